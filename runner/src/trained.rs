//! What a run has trained: its weights, to play as a command asks; what its directory says of it; published models.

pub(crate) mod recorded;
pub(crate) mod initial;
pub(crate) mod report;
pub(crate) mod model;

use std::path::Path;

use anyhow::bail;
use candle_core::Device;
use rl_agents::Learner;
use toml::Table;

use crate::checkpoint::manifest::Owner;
use crate::checkpoint::{self, Checkpoint};
use crate::console::output;
use crate::console::usage::usage;
use crate::preset::Resolved;
use crate::preset::settings::alone;
use crate::run_dir::About;
use crate::session::WEIGHTS;
use crate::session::hash;
use crate::session::learner::build;
use crate::tables::Tables;
use recorded::Recorded;

/// Which games are to be played, and by whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Asked {
    /// `last`, `best`, or the frames of a checkpoint
    #[arg(long, default_value = "last")]
    pub(crate) checkpoint: String,
    /// Full games to play; the run's eval.episodes by default
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) episodes: Option<u32>,
    /// Protocol of the environment; the run's by default
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Seed of the games and of the policy's draws
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Take the most probable action where the policy would sample, and fixed quantiles where it would draw them (iqn)
    #[arg(long)]
    pub(crate) greedy: bool,
    /// Values of `[env]` and `[eval]` to play by, as `table.key=value`; only `eval` and `record` take any.
    #[arg(skip)]
    pub(crate) sets: Vec<String>,
}

/// Loads the weights of a checkpoint into `learner`, and returns the checkpoint: a name such as `last` may mean another
/// one later.
///
/// # Errors
/// If there is no such checkpoint, or its weights are damaged or do not fit.
pub(crate) fn load_weights(
    run: &Path,
    checkpoint: &str,
    resolved: &Resolved,
    learner: &mut dyn Learner,
) -> anyhow::Result<Checkpoint> {
    let dir = checkpoint::find(run, checkpoint)?;
    let owner = Owner::of(resolved, &resolved.train()?);
    let checkpoint = checkpoint::open(run, &dir, "", |dir| Checkpoint::open_only(dir, &owner, &[WEIGHTS]))?;
    checkpoint.load_part(WEIGHTS, learner.weights())?;
    Ok(checkpoint)
}

/// A trained agent and the settings that it plays by.
pub(crate) struct Trained {
    pub(crate) about: About,
    pub(crate) resolved: Resolved,
    pub(crate) learner: Box<dyn Learner>,
    /// Checkpoint that the weights are from.
    pub(crate) checkpoint: Checkpoint,
    /// SHA-256 of the weights as they are saved.
    pub(crate) parameters_sha256: String,
    /// Values of `[env]` and `[eval]` that are not those of the run, by their keys.
    pub(crate) changed: Table,
}

impl Trained {
    /// Loads the checkpoint of `run` that `asked` names, with the protocol, values and number of games that it names.
    ///
    /// # Errors
    /// If there is no such checkpoint, or observations or actions of what is asked have other shapes than in training.
    pub(crate) fn load(run: &Path, asked: &Asked, device: &Device, tables: &Tables) -> anyhow::Result<Self> {
        let Asked { checkpoint, episodes, protocol, seed, sets, .. } = asked;
        let Recorded { about, mut resolved, .. } = Recorded::read(run, tables)?;
        resolved.told.iter().for_each(output::note);
        let (trained, own) = (resolved.shapes()?, resolved.tables.clone());
        resolved.play_by(protocol.as_deref(), sets)?;
        if let Some(episodes) = episodes {
            alone("--episodes", "eval.episodes", sets)?;
            resolved.set("eval.episodes", i64::from(*episodes))?;
        }
        resolved.eval()?;
        let spec = resolved.shapes()?;
        if spec != trained {
            let protocol = protocol.as_ref().map(|protocol| format!("--protocol {protocol}"));
            let asked: Vec<String> =
                protocol.into_iter().chain(sets.iter().map(|set| format!("--set {set}"))).collect();
            bail!(usage(format!(
                "{}: observations or actions have other shapes there than this run was trained on",
                asked.join(" ")
            )));
        }
        let changed = resolved.played_otherwise(&own)?;
        let mut learner = build(&resolved, &spec, *seed, device)?;
        let checkpoint = load_weights(run, checkpoint, &resolved, learner.as_mut())?;
        let parameters_sha256 = hash::sha256(learner.weights())?;
        Ok(Self { about, resolved, learner, checkpoint, parameters_sha256, changed })
    }

    /// How the policy chooses, in words.
    pub(crate) fn policy(&self, epsilon: f32, greedy: bool) -> String {
        describe(epsilon, greedy || !self.resolved.agent.is_some_and(|agent| agent.stochastic))
    }
}

fn describe(epsilon: f32, greedy: bool) -> String {
    let choice = if greedy { "greedy" } else { "sampled" };
    if epsilon > 0.0 { format!("{choice}, ε = {epsilon}") } else { choice.to_owned() }
}
