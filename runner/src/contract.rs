//! What an agent promises, checked by training it for a little while: for the tests of an agent of one's own, by
//! [`Registry::check_agent`](crate::Registry::check_agent), and for `rl-run check --agent`.
//!
//! A promise that is found broken is broken, and one that is found kept was kept as far as this training went. What
//! environments promise is in [`rl_core::contract`].

mod evaluation;
mod learning;
mod player;
mod refused;
mod reproducible;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::sync::OnceLock;

use anyhow::{anyhow, bail};
use candle_core::Device;
use rl_agents::Log;
use rl_core::caught;

use crate::checkpoint::snapshot::{Extent, Handed, Part, Snapshot};
use crate::collect::Workers;
use crate::console::stop::Stop;
use crate::preset::{Resolved, Train};
use crate::session::{Acting, Session, WEIGHTS, demonstrations};
use player::{Watched, Wrong};

/// Most rounds without a first update. What needs more is out of order, or of a preset for longer runs.
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
    trained: OnceLock<Result<Trained, Failure>>,
}

/// A run in two halves, with at least one update in each.
struct Trained {
    /// Rounds of each half.
    rounds: [usize; 2],
    /// The state between the halves.
    half: Vec<Part>,
    /// Name and SHA-256 of each part at the end.
    end: Vec<(String, String)>,
    coverage: Coverage,
}

/// Why the run that others are compared with did not come to its end.
enum Failure {
    /// An action was wrong.
    Action(String),
    /// What the agent is not to blame for: an engine that was lost or failed, or a warm-up that is too long.
    Unchecked(String),
    /// Anything else, a panic too.
    Other(String),
}

/// The error of a check that could say nothing, for this reason.
#[derive(Debug)]
struct Unchecked(String);

/// The error of a check of what the agent or its environment lacks.
#[derive(Debug)]
struct Lacking(&'static str);

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unchecked {}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Lacking {}

/// What another promise is about: its failure says nothing of the one that is checked.
fn elsewhere<T>(done: anyhow::Result<T>, what: &str) -> anyhow::Result<T> {
    done.map_err(|why| Unchecked(format!("{what}: {why:#}")).into())
}

/// An engine that was lost: its episode was given up, so that two runs differ without anybody's fault.
fn lost(note: &str) -> anyhow::Error {
    Unchecked(format!("an engine was lost: {note}")).into()
}

/// How much was done to check a promise that was found kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Agent steps of all seats together.
    pub(crate) steps: u64,
    /// Optimiser steps, or rounds of learning where there is no optimiser.
    pub(crate) updates: u64,
    /// Episodes that ended, in all seats together.
    pub(crate) episodes: u64,
}

impl Coverage {
    fn of(session: &Session) -> Self {
        let counts = &session.counts;
        Self { steps: counts.agent_steps, updates: session.learner.updates(), episodes: counts.episodes }
    }
}

impl Subject {
    /// Makes a subject of the agent of `resolved`, to be checked over `steps` agent steps at least. Without actors, since
    /// what lags depends on who is first.
    ///
    /// # Errors
    /// If it cannot be built, has nothing to begin with or the state of its environment cannot be saved: a wrong value
    /// or a missing file is no broken promise.
    pub(crate) fn new(
        mut resolved: Resolved,
        seed: u64,
        device: Device,
        steps: u64,
        stop: Stop,
    ) -> anyhow::Result<Self> {
        demonstrations::settle(&mut resolved)?;
        if resolved.train()?.actors > 0 {
            resolved.set("train.actors", 0)?;
        }
        let train = resolved.train()?;
        let subject = Self { resolved, train, device, seed, steps, stop, trained: OnceLock::new() };
        subject.begin(Workers::Exactly(1))?.check_saves()?;
        Ok(subject)
    }

    /// Builds a session that has not begun.
    fn build(&self, workers: Workers) -> anyhow::Result<Session> {
        Session::build(&self.resolved, &self.train, self.seed, &self.device, workers)
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
            session.advance(&mut Log::default())?;
            session.notes.first().map_or(Ok(()), |note| Err(lost(note)))
        })
    }

    fn go_on(&self) -> anyhow::Result<()> {
        if self.stop.asked() { bail!("stopped") } else { Ok(()) }
    }

    /// The run that others are compared with, trained when it is first asked for.
    ///
    /// # Errors
    /// [`Unchecked`] if it failed, of which [`learning`] tells.
    fn trained(&self) -> anyhow::Result<&Trained> {
        self.outcome().as_ref().map_err(|_| Unchecked("it was not trained to the end".to_owned()).into())
    }

    /// How that run ended.
    fn outcome(&self) -> &Result<Trained, Failure> {
        self.trained.get_or_init(|| {
            let wrong = Wrong::default();
            let trained = caught(|| self.train(&wrong)).unwrap_or_else(|panic| Err(anyhow!("it panicked: {panic}")));
            trained.map_err(|why| match wrong.take() {
                Some(action) => Failure::Action(action),
                None if why.is::<Unchecked>() || is_of_engine(&why) => Failure::Unchecked(format!("{why:#}")),
                None => Failure::Other(format!("{why:#}")),
            })
        })
    }

    fn train(&self, wrong: &Wrong) -> anyhow::Result<Trained> {
        let mut session = self.begin(Workers::Exactly(1))?;
        let policy = session.learner.policy(0..self.train.envs)?;
        session.acting = Acting::InTurn(Box::new(Watched::new(policy, wrong.clone())));
        let first = self.train_half(&mut session)?;
        let half = Snapshot::take(&mut session, Extent::Whole, &Handed::default())?.parts;
        let second = self.train_half(&mut session)?;
        Ok(Trained { rounds: [first, second], half, end: session.digests()?, coverage: Coverage::of(&session) })
    }

    /// Trains for the steps that were asked for, and to an update. Returns the number of rounds.
    fn train_half(&self, session: &mut Session) -> anyhow::Result<usize> {
        let (steps, updates) = (session.counts.agent_steps, session.learner.updates());
        let mut rounds = 0;
        while session.counts.agent_steps < steps + self.steps || session.learner.updates() == updates {
            if rounds >= MOST_ROUNDS && session.learner.updates() == updates {
                let had = session.counts.agent_steps;
                if had < session.learner.warm_up() {
                    return Err(Unchecked(format!("no update in {had} agent steps: shorten its warm-up")).into());
                }
                bail!("no update in {} agent steps", had - steps);
            }
            self.advance(session, 1)?;
            rounds += 1;
        }
        Ok(rounds)
    }

    /// A session in the state between the halves.
    ///
    /// # Errors
    /// [`Unchecked`] if that is not loaded, of which [`reproducible::state`] tells.
    fn half_trained(&self) -> anyhow::Result<Session> {
        elsewhere(self.load_half(), "its saved state is not loaded")
    }

    /// The weights between the halves.
    fn weights(&self) -> anyhow::Result<&[u8]> {
        let half = &self.trained()?.half;
        let weights = half.iter().find(|part| part.name == WEIGHTS);
        Ok(&weights.expect("every session has weights").bytes)
    }

    fn load_half(&self) -> anyhow::Result<Session> {
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

/// Whether an engine of the environment failed.
fn is_of_engine(why: &anyhow::Error) -> bool {
    let of_engine =
        |error: &rl_core::Error| matches!(error, rl_core::Error::Engine { .. } | rl_core::Error::Lost { .. });
    why.chain().any(|cause| cause.downcast_ref().is_some_and(of_engine))
}

/// What a check finds; what is neither [`Unchecked`] nor [`Lacking`] is a breach.
type Found = anyhow::Result<Coverage>;

/// What was found of a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept(Coverage),
    /// The agent or its environment lacks what it is about.
    Lacking(&'static str),
    /// It could not be checked, for this reason.
    Unchecked(String),
    /// How it was broken, in one line.
    Broken(String),
}

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
    /// Checks the promise. What is found once someone has asked to stop is nothing.
    pub(crate) fn check(&self, subject: &Subject) -> Verdict {
        let found = caught(|| (self.check)(subject)).unwrap_or_else(|panic| Err(anyhow!("it panicked: {panic}")));
        match found {
            Ok(coverage) => Verdict::Kept(coverage),
            Err(why) => match why.downcast_ref::<Lacking>() {
                Some(Lacking(what)) => Verdict::Lacking(what),
                None if why.is::<Unchecked>() || is_of_engine(&why) => Verdict::Unchecked(format!("{why:#}")),
                None => Verdict::Broken(format!("{why:#}")),
            },
        }
    }
}

/// All promises of an agent, the simplest first, since a broken one often breaks later ones too.
pub(crate) const PROMISES: &[Promise] = &[
    Promise {
        name: "settings",
        text: "a setting that it does not know is refused by its name",
        check: refused::settings,
    },
    Promise { name: "actions", text: "its actions exist, are legal and within their bounds", check: learning::actions },
    Promise { name: "learning", text: "it learns without an error", check: learning::learns },
    Promise { name: "newest", text: "its policies act by the newest weights", check: evaluation::newest },
    Promise { name: "seed", text: "its seed decides every bit of what it learns", check: reproducible::seed },
    Promise { name: "groups", text: "how seats are grouped and stepped changes no bit", check: reproducible::groups },
    Promise { name: "threads", text: "the number of threads changes no bit", check: reproducible::threads },
    Promise { name: "state", text: "a saved state goes on as what it was saved from", check: reproducible::state },
    Promise { name: "damage", text: "a state that was cut is refused, part by part", check: refused::damage },
    Promise { name: "evaluation", text: "an evaluation changes nothing of it", check: evaluation::unchanged },
    Promise { name: "seats", text: "no seat's actions depend on the seats beside it", check: evaluation::seats },
    Promise { name: "weights", text: "its weights alone play as it does", check: evaluation::weights },
    Promise { name: "greedy", text: "a greedy evaluation leaves nothing to chance", check: evaluation::greedy },
    Promise {
        name: "memory",
        text: "unless it is recurrent, it chooses by what it sees alone",
        check: evaluation::memory,
    },
    Promise { name: "outputs", text: "that its outputs are recorded changes no action", check: evaluation::outputs },
    Promise {
        name: "actors",
        text: "an actor plays by the weights that were published last",
        check: evaluation::actors,
    },
];

/// Checks all [`PROMISES`] in order and stops at the first that is broken.
///
/// # Errors
/// If one is broken, or else if one could not be checked.
pub(crate) fn check(subject: &Subject) -> anyhow::Result<()> {
    let mut unchecked = None;
    for promise in PROMISES {
        match promise.check(subject) {
            Verdict::Broken(how) => bail!("{}: {how}", promise.name),
            Verdict::Unchecked(why) if unchecked.is_none() => {
                unchecked = Some(anyhow!("{}: could not be checked: {why}", promise.name));
            }
            Verdict::Kept(_) | Verdict::Lacking(_) | Verdict::Unchecked(_) => {}
        }
    }
    unchecked.map_or(Ok(()), Err)
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
