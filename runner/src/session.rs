//! The state of a run: everything that decides its future, in named parts in a fixed order.
//!
//! A run that lacked a part here would resume differently; a test drops each of them.

pub(crate) mod hash;
mod parts;
mod build;
pub(crate) mod learner;
pub(crate) mod demonstrations;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Component, Path};

use anyhow::Context as _;
use rl_agents::{Learner, Log, Mode, Part, Policy};
use rl_core::{Episode, Saved, Solo};
use rl_replays::Rollout;
use rl_replays::recording::OutputSampling;
use serde::{Deserialize, Serialize};

use self::parts::{Carried, Plain, Restarts, Worlds};
use crate::collect::actors::Actors;
use crate::collect::{self, Seats, count, finished};
use crate::games::outputs;
use crate::preset::{Resolved, Train};
use crate::run_dir::episode_log::EpisodeLog;
use crate::run_dir::tape::{Tape, Which};
pub(crate) use build::newest_only;

/// Number of finished episodes that mean returns are taken over.
pub(crate) const WINDOW: usize = 100;

/// A run between two blocks.
pub(crate) struct Session {
    /// All training seats; row 0 of their blocks is where the next blocks begin. Empty while actors run.
    pub(crate) seats: Seats,
    /// The agent's learner.
    pub(crate) learner: Box<dyn Learner>,
    /// Who chooses actions in the training seats.
    pub(crate) acting: Acting,
    /// How far the run is.
    pub(crate) counts: Counts,
    /// Returns and lengths of the latest episodes.
    pub(crate) window: Window,
    /// Messages for a person that were not yet shown, such as lost engines.
    pub(crate) notes: Vec<String>,
    /// Records episodes, if `--record` is given. It decides nothing of the run.
    pub(crate) tape: Option<Tape>,
    /// Lists episodes, where the run has a directory. It decides nothing of the run.
    pub(crate) episode_log: Option<EpisodeLog>,
}

/// Who chooses actions in the training seats.
pub(crate) enum Acting {
    /// This thread, in turns with the learner and by its newest weights.
    InTurn(Box<dyn Policy>),
    /// Actors in threads of their own, by weights that may lag behind.
    Apart(Actors),
}

/// How far a run is. Frames, agent steps and updates are different counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Emulator frames.
    #[serde(deserialize_with = "rl_core::counter")]
    pub(crate) frames: u64,
    /// Actions taken in all seats.
    #[serde(deserialize_with = "rl_core::counter")]
    pub(crate) agent_steps: u64,
    /// Finished episodes.
    #[serde(deserialize_with = "rl_core::counter")]
    pub(crate) episodes: u64,
    /// Frames at which the next checkpoint is due.
    pub(crate) next_checkpoint: u64,
    /// Frames at which the next evaluation is due.
    pub(crate) next_eval: u64,
    /// Mean return of the best evaluation so far.
    pub(crate) best: Option<f64>,
}

impl Counts {
    /// Adds frames, agent steps and episodes of filled blocks.
    fn add(&mut self, blocks: &[Rollout]) {
        let (frames, steps) = count(blocks);
        self.frames += frames;
        self.agent_steps += steps;
        self.episodes += blocks.iter().map(|block| block.episodes.len() as u64).sum::<u64>();
    }
}

/// Returns and lengths of the last [`WINDOW`] finished episodes. Short episodes finish first, so that an early mean is
/// biased towards them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window(VecDeque<(f64, u64)>);

impl Window {
    /// Adds a finished episode and removes the oldest beyond [`WINDOW`].
    pub(crate) fn push(&mut self, episode: &Episode) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back((episode.ret, episode.frames));
    }

    /// Raw returns and emulator frames of the last `count` episodes, or of as many as are known, oldest first.
    #[cfg(feature = "tui")]
    pub(crate) fn latest(&self, count: usize) -> impl ExactSizeIterator<Item = (f64, u64)> {
        self.0.iter().skip(self.0.len().saturating_sub(count)).copied()
    }

    /// Mean raw return; `None` before an episode has finished.
    pub(crate) fn mean_return(&self) -> Option<f64> {
        self.mean(|&(ret, _)| ret)
    }

    /// Mean length in emulator frames; `None` before an episode has finished.
    pub(crate) fn mean_frames(&self) -> Option<f64> {
        self.mean(|&(_, frames)| frames as f64)
    }

    fn mean(&self, of: impl Fn(&(f64, u64)) -> f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.iter().map(of).sum::<f64>() / self.0.len() as f64)
    }
}

/// A function that is called with the name of a part, which fits a file name, and the part.
pub(crate) type Visit<'a> = dyn FnMut(&str, &mut dyn Saved) -> anyhow::Result<()> + 'a;

/// Name of the part with the weights, which is all that an evaluation needs.
pub(crate) const WEIGHTS: &str = "model.safetensors";

impl Session {
    /// Resets every environment and schedules the first checkpoint and evaluation.
    ///
    /// # Errors
    /// If an environment fails.
    pub(crate) fn begin(&mut self, train: &Train) -> anyhow::Result<()> {
        self.seats.reset()?;
        self.counts.next_checkpoint = train.checkpoint_every;
        self.counts.next_eval = train.eval_every;
        Ok(())
    }

    /// Checks that states of the environments can be saved, for a run that else would end at its first checkpoint.
    ///
    /// # Errors
    /// If one cannot.
    pub(crate) fn check_saves(&mut self) -> anyhow::Result<()> {
        Ok(Worlds(&mut self.seats).save(&mut std::io::sink())?)
    }

    /// Which outputs of the policy can be recorded before every `every`-th step; `None` if none are wanted.
    ///
    /// # Errors
    /// If the agent has no outputs to record, or there are too many actions.
    pub(crate) fn outputs(&self, every: Option<u32>, resolved: &Resolved) -> anyhow::Result<Option<OutputSampling>> {
        let agent = resolved.agent.map_or("", |agent| agent.id);
        every.map(|every| outputs::kept(every, self.learner.as_ref(), self.seats.spec(), agent)).transpose()
    }

    /// Records episodes of the first seat in the directory `run`, with the outputs in `kept`.
    ///
    /// # Errors
    /// If a file cannot be read or removed.
    pub(crate) fn record(
        &mut self,
        which: Which,
        kept: Option<OutputSampling>,
        run: &Path,
        resolved: &Resolved,
        seed: u64,
    ) -> anyhow::Result<()> {
        if kept.is_some() {
            self.record_outputs();
        }
        let env = self.seats.envs().next().expect("a run has seats");
        self.tape = Some(Tape::open(which, kept, run, resolved, seed, (env, self.counts.frames))?);
        Ok(())
    }

    /// Name and hash of each file that its environments play from.
    pub(crate) fn assets(&self) -> BTreeMap<String, String> {
        self.seats.envs().next().map_or_else(BTreeMap::new, |env| env.assets().into_iter().collect())
    }

    /// Has the outputs of the first seat's policy recorded; no action depends on it.
    fn record_outputs(&mut self) {
        self.seats.blocks_mut().first_mut().into_iter().for_each(Rollout::record_outputs);
        if let Acting::Apart(actors) = &mut self.acting {
            actors.record_outputs();
        }
    }

    /// Makes one round: fills the blocks, learns from them and counts them.
    ///
    /// # Errors
    /// If an environment, the policy or the learner fails.
    pub(crate) fn advance(&mut self, log: &mut Log) -> anyhow::Result<()> {
        match &mut self.acting {
            Acting::InTurn(policy) => {
                let updates = self.learner.updates();
                self.seats.blocks_mut().iter_mut().for_each(|block| block.weights_version = updates);
                self.seats.collect(policy.as_mut(), Mode::Explore, &mut log.clock)?;
                self.notes.extend(self.seats.take_crashes().into_iter().map(collect::lost));
                self.learner.learn(self.seats.blocks(), &mut Solo, log)?;
                let logs = (self.tape.as_mut(), self.episode_log.as_mut());
                note_down(self.seats.blocks(), &mut self.counts, &mut self.window, logs)?;
                self.seats.carry();
            }
            Acting::Apart(actors) => {
                if actors.at_rest() {
                    self.learner.publish()?;
                    actors.start(&mut self.seats)?;
                }
                actors.give_back();
                self.round(log)?;
            }
        }
        Ok(())
    }

    /// Learns from what actors have under way and ends their threads, so that every part can be saved. They start again
    /// with the next [`advance`](Self::advance).
    ///
    /// # Errors
    /// If an actor or the learner fails.
    pub(crate) fn rest(&mut self, log: &mut Log) -> anyhow::Result<()> {
        while self.actors().is_some_and(|actors| actors.under_way()) {
            self.round(log)?;
        }
        match &mut self.acting {
            Acting::Apart(actors) => actors.rest(&mut self.seats),
            Acting::InTurn(_) => Ok(()),
        }
    }

    /// Whether the run is reproducible to the bit. With actors that lag it is not: they take new weights whenever these
    /// come.
    pub(crate) fn is_exact(&mut self) -> bool {
        self.actors().is_none_or(|actors| actors.max_lag() == 0)
    }

    fn actors(&mut self) -> Option<&mut Actors> {
        match &mut self.acting {
            Acting::Apart(actors) => Some(actors),
            Acting::InTurn(_) => None,
        }
    }

    /// Makes one round with actors under way: waits for their blocks and learns from them.
    fn round(&mut self, log: &mut Log) -> anyhow::Result<()> {
        let Acting::Apart(actors) = &mut self.acting else { unreachable!("only actors are ever under way") };
        let blocks = actors.round(&mut self.notes)?;
        log.lap(Part::Step);
        log.add("restarts", actors.restarts() as f64);
        self.learner.learn(&blocks, &mut Solo, log)?;
        self.learner.publish()?;
        let logs = (self.tape.as_mut(), self.episode_log.as_mut());
        note_down(&blocks, &mut self.counts, &mut self.window, logs)?;
        actors.keep(blocks);
        Ok(())
    }

    /// Calls `visit` with every part: the weights first, then in the order in which they depend on each other.
    ///
    /// # Errors
    /// If two parts have one name, or a name is no file name, since a checkpoint has a file for each; otherwise the
    /// first error of `visit`.
    ///
    /// # Panics
    /// If actors are under way.
    pub(crate) fn visit(&mut self, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        let mut names = BTreeSet::new();
        let visit: &mut Visit<'_> = &mut |name: &str, part: &mut dyn Saved| {
            if !is_name(name) {
                anyhow::bail!("a part of this session is called `{name}`: a checkpoint has a file of that name");
            }
            if !names.insert(name.to_owned()) {
                anyhow::bail!("two parts of this session are called `{name}`: a checkpoint has one file of a name");
            }
            visit(name, part)
        };
        visit(WEIGHTS, self.learner.weights())?;
        self.visit_learner(visit)?;
        match &mut self.acting {
            Acting::InTurn(policy) => {
                for (name, part) in policy.state() {
                    visit(&format!("policy.{name}"), part)?;
                }
            }
            Acting::Apart(actors) => {
                for (number, policy) in actors.policies().enumerate() {
                    for (name, part) in policy.state() {
                        visit(&format!("policy.{number}.{name}"), part)?;
                    }
                }
                visit("restarts", &mut Restarts(Plain("restarts", actors.restarts_mut())))?;
            }
        }
        visit("env", &mut Worlds(&mut self.seats))?;
        visit("block", &mut Carried(&mut self.seats))?;
        visit("counts", &mut Plain("counts", &mut self.counts))?;
        visit("window", &mut Plain("window", &mut self.window))
    }

    /// Name and SHA-256 of every part, in their order.
    ///
    /// # Errors
    /// As [`visit`](Self::visit), or if a part cannot be saved.
    pub(crate) fn digests(&mut self) -> anyhow::Result<Vec<(String, String)>> {
        let mut digests = Vec::new();
        self.visit(&mut |name, part| {
            digests.push((name.to_owned(), hash::sha256(part).with_context(|| format!("part {name}"))?));
            Ok(())
        })?;
        Ok(digests)
    }

    /// Calls `visit` with the learner's parts other than its weights; actors may be under way.
    ///
    /// # Errors
    /// The first error of `visit`.
    pub(crate) fn visit_learner(&mut self, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        self.learner.state().into_iter().try_for_each(|(name, part)| visit(&format!("learner.{name}"), part))
    }
}

/// Whether `name` is a plain file name that cannot lead out of its directory, as the name of a part is.
pub(crate) fn is_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}

/// Counts filled blocks and passes them to the window of returns, to the tape and to the list of episodes.
///
/// # Errors
/// If one of these cannot be written.
fn note_down(
    blocks: &[Rollout],
    counts: &mut Counts,
    window: &mut Window,
    (tape, log): (Option<&mut Tape>, Option<&mut EpisodeLog>),
) -> anyhow::Result<()> {
    log.map_or(Ok(()), |log| log.add(blocks, counts.frames))?;
    counts.add(blocks);
    finished(blocks).for_each(|(_, episode)| window.push(episode));
    tape.map_or(Ok(()), |tape| tape.watch(blocks, counts.frames))
}

#[cfg(test)]
pub(crate) mod tests;
