//! What an agent promises, checked by training it for a little while: for the tests of an agent of one's own, by
//! [`Registry::check_agent`](crate::Registry::check_agent), and for `rl-run check --agent`.
//!
//! A promise that is found broken is broken, and one that is found kept was kept as far as this training went. What
//! environments promise is in [`rl_core::contract`].

mod acting;
mod bits;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use anyhow::{anyhow, bail};
use candle_core::Device;
use rl_agents::Log;
use rl_core::caught;

use crate::checkpoint::snapshot::{Extent, Handed, Part, Snapshot};
use crate::collect::Workers;
use crate::console::stop::Stop;
use crate::preset::{Resolved, Train};
use crate::session::start::start;
use crate::session::{Session, demonstrations};

/// Most rounds until the first update. What needs more is out of order, or of a preset for longer runs.
const MOST_ROUNDS: usize = 100_000;

/// An agent to be checked, with its settings and an environment that it plays.
pub(crate) struct Subject {
    resolved: Resolved,
    train: Train,
    device: Device,
    /// Seed of all sessions.
    seed: u64,
    /// Agent steps of all seats before the state that is saved, and about as many after it.
    steps: u64,
    stop: Stop,
    trained: OnceLock<Result<Trained, String>>,
}

/// A run of two halves with equally many rounds, at least one update in the first.
struct Trained {
    /// Rounds of each half.
    rounds: usize,
    /// The state between the halves.
    half: Vec<Part>,
    /// Name and SHA-256 of each part at the end.
    end: Vec<(String, String)>,
    coverage: Coverage,
}

/// How much was done to check a promise that was found kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Agent steps of all seats together.
    pub(crate) steps: u64,
    /// Optimiser steps, or rounds of learning where there is no optimiser.
    pub(crate) updates: u64,
}

impl Subject {
    /// Makes a subject of the agent of `resolved`, to be checked over `steps` agent steps at least.
    ///
    /// # Errors
    /// If it cannot be built or has nothing to begin with: a wrong value or a missing file is no broken promise.
    pub(crate) fn new(
        mut resolved: Resolved,
        seed: u64,
        device: Device,
        steps: u64,
        stop: Stop,
    ) -> anyhow::Result<Self> {
        demonstrations::settle(&mut resolved)?;
        if resolved.train()?.actors > 0 {
            resolved.set("train.actors", 0)?; // what lags depends on who is first
        }
        let train = resolved.train()?;
        let subject = Self { resolved, train, device, seed, steps, stop, trained: OnceLock::new() };
        drop(subject.begin(Workers::Exactly(1))?);
        Ok(subject)
    }

    /// Builds a session that has not begun.
    fn build(&self, workers: Workers) -> anyhow::Result<Session> {
        start(&self.resolved, &self.train, self.seed, &self.device, workers)
    }

    /// Builds a session and begins it.
    fn begin(&self, workers: Workers) -> anyhow::Result<Session> {
        let mut session = self.build(workers)?;
        demonstrations::begin(&self.resolved, &mut session, &self.train, &self.stop)?;
        Ok(session)
    }

    fn advance(&self, session: &mut Session, rounds: usize) -> anyhow::Result<()> {
        (0..rounds).try_for_each(|_| {
            self.go_on()?;
            session.advance(&mut Log::default())
        })
    }

    fn go_on(&self) -> anyhow::Result<()> {
        if self.stop.asked() { bail!("stopped") } else { Ok(()) }
    }

    /// Trains for the steps that were asked for, and to the first update. Returns the number of rounds.
    fn first_half(&self, session: &mut Session) -> anyhow::Result<usize> {
        let mut rounds = 0;
        while session.counts.agent_steps < self.steps || session.learner.updates() == 0 {
            if rounds == MOST_ROUNDS {
                bail!("`updates` is still 0 after {} steps: lower what delays it", session.counts.agent_steps);
            }
            self.advance(session, 1)?;
            rounds += 1;
        }
        Ok(rounds)
    }

    /// The run that others are compared with, trained when it is first asked for.
    fn trained(&self) -> anyhow::Result<&Trained> {
        let trained = self.trained.get_or_init(|| self.train().map_err(|why| format!("{why:#}")));
        trained.as_ref().map_err(|why| anyhow!("{why}"))
    }

    fn train(&self) -> anyhow::Result<Trained> {
        let mut session = self.begin(Workers::Exactly(1))?;
        let rounds = self.first_half(&mut session)?;
        let half = Snapshot::take(&mut session, Extent::Whole, &Handed::default())?.parts;
        self.advance(&mut session, rounds)?;
        let coverage = Coverage { steps: session.counts.agent_steps, updates: session.learner.updates() };
        Ok(Trained { rounds, half, end: session.digests()?, coverage })
    }

    /// A session in the state between the halves.
    fn half_trained(&self) -> anyhow::Result<Session> {
        let (trained, mut session) = (self.trained()?, self.build(Workers::Exactly(1))?);
        session.visit(&mut |name, part| {
            let Some(saved) = trained.half.iter().find(|saved| saved.name == name) else {
                bail!("a learner that was just built has the part `{name}`, and one that was trained has none");
            };
            Ok(part.load(&mut &saved.bytes[..])?)
        })?;
        Ok(session)
    }
}

/// What a check finds: `None` where the promise does not apply to the agent.
type Found = anyhow::Result<Option<Coverage>>;

/// One property that every agent must have, such as determinism by its seed, and its check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    /// One word.
    pub(crate) name: &'static str,
    /// What holds where the promise is kept.
    pub(crate) text: &'static str,
    check: fn(&Subject) -> Found,
}

impl Promise {
    /// Checks the promise and returns how much was done, or `None` where it does not apply, as one about recorded outputs
    /// does not to an agent that has none.
    ///
    /// # Errors
    /// In one line, if the agent breaks the promise, fails or panics, or was asked to stop.
    pub(crate) fn check(&self, subject: &Subject) -> Result<Option<Coverage>, String> {
        let found = caught(|| (self.check)(subject)).unwrap_or_else(|panic| Err(anyhow!("it panicked: {panic}")));
        found.map_err(|why| format!("{why:#}"))
    }
}

/// All promises of an agent, the simplest first, since a broken one often breaks later ones too.
pub(crate) const PROMISES: &[Promise] = &[
    Promise {
        name: "settings",
        text: "a setting that it does not know is refused by its name",
        check: acting::settings,
    },
    Promise { name: "actions", text: "its actions exist, are legal and within their bounds", check: acting::actions },
    Promise { name: "seed", text: "its seed decides every bit of what it learns", check: bits::seed },
    Promise { name: "groups", text: "how seats are grouped and stepped changes no bit", check: bits::groups },
    Promise { name: "threads", text: "the number of threads changes no bit", check: bits::threads },
    Promise { name: "state", text: "a saved state goes on as what it was saved from", check: bits::state },
    Promise { name: "damage", text: "a state that was cut is refused, part by part", check: bits::damage },
    Promise { name: "trials", text: "an evaluation changes nothing of it", check: acting::trials },
    Promise { name: "weights", text: "its weights alone play as it does", check: acting::weights },
    Promise { name: "greedy", text: "a greedy evaluation leaves nothing to chance", check: acting::greedy },
    Promise { name: "memory", text: "unless it is recurrent, it chooses by what it sees alone", check: acting::memory },
    Promise { name: "outputs", text: "that its outputs are recorded changes no action", check: acting::outputs },
];

/// Checks all [`PROMISES`] in order and stops at the first that is broken.
///
/// # Errors
/// If one is broken.
pub(crate) fn check(subject: &Subject) -> anyhow::Result<()> {
    PROMISES.iter().try_for_each(|promise| match promise.check(subject) {
        Ok(_) => Ok(()),
        Err(how) => Err(anyhow!("{}: {how}", promise.name)),
    })
}

/// Names the first part whose hash differs in `other`.
///
/// # Errors
/// If there is one; `what` says when or in what the others are.
fn same(one: &[(String, String)], other: &[(String, String)], what: &str) -> anyhow::Result<()> {
    match crate::run_dir::digests::first_difference(one, other) {
        Some(part) => bail!("`{part}` differs {what}"),
        None => Ok(()),
    }
}
