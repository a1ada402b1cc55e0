//! What the targets of `fuzz/` reach into: the parsers of this crate, and runs small enough to load a part of in a
//! millisecond. No part of the crate's face.

use std::path::Path;

use candle_core::Device;
use rl_core::{Env as _, Seating};
use rl_envs::grid::frozen_lake::FrozenLake;

use crate::checkpoint::manifest::Manifest;
use crate::checkpoint::manifest::Owner;
use crate::checkpoint::{self, Checkpoint};
use crate::collect::Workers;
use crate::commands::plot::curves::{self, Axis, See};
use crate::commands::rollout;
use crate::planners::PLANNERS;
use crate::preset::{self, Ask};
use crate::registry::{Registry, TrainerConfig};
use crate::run_dir::digests::{self, Digests};
use crate::run_dir::episode_log::EpisodeLog;
use crate::run_dir::metrics::Metrics;
use crate::session::learner;
use crate::tables::Tables;
use crate::trained::recorded::Recorded;
use crate::trainer::Trainer;
use crate::training::seeds::Seeds;
use crate::training::time_by_part::Timed;

fn tables() -> Tables {
    Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, PLANNERS])
}

/// A run in memory that has just begun.
pub struct Run(Trainer);

impl Run {
    /// The preset of a pair with some values replaced.
    ///
    /// # Errors
    /// If one is refused.
    pub fn new(env: &str, agent: &str, sets: &[&str]) -> anyhow::Result<Self> {
        let config = TrainerConfig { env, agent, preset: None, sets, seed: 1, device: Device::Cpu };
        Trainer::new(&Registry(tables()), &config).map(Self)
    }

    /// Acts, steps and learns once.
    ///
    /// # Errors
    /// If the environment or the learner fails.
    pub fn advance(&mut self) -> anyhow::Result<()> {
        self.0.advance()
    }

    /// Every part by its name.
    ///
    /// # Errors
    /// If one cannot be saved.
    pub fn parts(&mut self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let mut parts = Vec::new();
        self.0.session().visit(&mut |name, part| {
            let mut bytes = Vec::new();
            part.save(&mut bytes)?;
            parts.push((name.to_owned(), bytes));
            Ok(())
        })?;
        Ok(parts)
    }

    /// Loads the part called `name`.
    ///
    /// # Errors
    /// If `bytes` is not such a part.
    pub fn load(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.0.session().visit(&mut |found, part| if found == name { Ok(part.load(&mut &*bytes)?) } else { Ok(()) })
    }

    /// Writes `run.toml` and a checkpoint into the directory of a run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.0.save(dir)
    }
}

/// Reads what `rl-run resume`, `verify`, `profile` and `plot` read of a run, and goes on with it in memory.
///
/// # Errors
/// If any of it is refused.
pub fn open(dir: &Path) -> anyhow::Result<()> {
    let timed = Timed::read(dir).map(|timed| timed.table());
    let states = digests::all(dir);
    let curves = [(Axis::Frames, false), (Axis::Steps, false), (Axis::Minutes, true)].map(|(axis, centred)| {
        curves::read(&[dir.to_owned()], See { axis, key: "return_100", smooth: 3, centred, iqm: true })
    });
    let run = Recorded::read(dir, &tables())?;
    let path = checkpoint::find(dir, "last")?;
    let checkpoint = Checkpoint::open(&path, &Owner::of(&run.resolved, &run.resolved.train()?))?;
    let mut session = run.session(&Device::Cpu, Workers::Exactly(1))?;
    checkpoint.load(&mut session)?;
    Metrics::reopen(dir, checkpoint.frames(), true)?;
    EpisodeLog::open(dir, checkpoint.frames())?;
    Digests::reopen(dir, checkpoint.frames())?;
    timed?;
    curves.into_iter().try_for_each(|drawn| drawn.map(drop))?;
    states.map(drop)
}

/// A manifest with the checksum that whoever forges one would give it.
pub fn seal(manifest: &[u8]) -> Option<Vec<u8>> {
    Manifest::forged(manifest)
}

/// Resolves a pair with the preset in `file`, and seats its environment and builds its learner where they are small.
///
/// # Errors
/// If a key or a value is refused.
pub fn resolve(env: &str, agent: &str, file: Option<&Path>, sets: &[String]) -> anyhow::Result<()> {
    let resolved = preset::resolve(&tables(), &Ask { env, agent: Some(agent), preset: file, sets, protocol: None })?;
    let (train, _) = (resolved.train()?, resolved.eval()?);
    let text = resolved.text(); // and not the tables themselves, of which one that holds a NaN is no other's equal
    let mut again = resolved.clone();
    again.tables = preset::parse(&text, "what was written")?;
    assert_eq!(again.text(), text, "a resolved preset is read as it is written");
    let seating = Seating { seed: 0, seats: 0..train.envs.min(2) };
    let env = resolved.seat(&seating)?;
    resolved.seat_eval(&seating)?;
    let (agent, context) = learner::context(&resolved, env.spec(), 0, &Device::Cpu)?;
    if (agent.allocation)(&context)?.0 < SMALL && preset::refusal(agent, &resolved.env_name, env.spec()).is_none() {
        (agent.build)(&context)?;
    }
    Ok(())
}

/// Bytes of a learner that a target builds.
const SMALL: u64 = 1 << 24;

/// Reads the `--seeds` of a command line.
///
/// # Errors
/// If they are none.
pub fn seeds(text: &str) -> Result<String, String> {
    text.parse::<Seeds>().map(|seeds| seeds.to_string())
}

/// Reads the actions of `rl-run rollout` for FrozenLake, which has four.
///
/// # Errors
/// If one does not exist.
pub fn actions(file: &Path) -> anyhow::Result<usize> {
    let spec = tables().env(FrozenLake::ID)?.1;
    let table: toml::Table = preset::parse(spec.preset, "preset")?;
    let env =
        (spec.build)(FrozenLake::ID, table["env"].as_table().expect("a table"), &Seating { seed: 0, seats: 0..1 })?;
    rollout::read(file, env.spec(), u64::MAX).map(|actions| actions.len())
}
