//! Promises about actions: the agent plays, in training and in evaluations, and what it chooses is looked at.

use std::io;
use std::ops::Range;

use anyhow::{Context as _, bail};
use rl_agents::{Clock, Context, Learner, Mode, Plan, Policy, legal};
use rl_core::{Error, Result, Seating, State};
use rl_replays::Rollout;
use toml::Value;

use super::{Coverage, Found, Subject, same};
use crate::collect::{self, Seats, Workers};
use crate::games::play::SEATS;
use crate::session::learner::{build, context};
use crate::session::{Acting, WEIGHTS};

/// Most seats that evaluations are played on.
const SIDE_BY_SIDE: u32 = 4;
/// Rows after which [`memory`] puts a new policy in the place of the last.
const RENEWED: usize = 3;

pub(super) fn settings(subject: &Subject) -> Found {
    let Subject { resolved, seed, device, .. } = subject;
    let spec = resolved.shapes()?;
    let (agent, context) = context(resolved, &spec, *seed, device)?;
    let mut table = context.config.clone();
    table.insert("no_such_key".to_owned(), Value::Integer(1));
    match (agent.build)(&Context { config: &table, ..context }).map(drop) {
        Ok(()) => bail!("agent.no_such_key is taken: its settings want #[serde(deny_unknown_fields)]"),
        Err(why) if why.to_string().contains("no_such_key") => Ok(Some(Coverage::default())),
        Err(why) => bail!("agent.no_such_key is refused, and the message does not name it: {why}"),
    }
}

pub(super) fn actions(subject: &Subject) -> Found {
    let mut session = subject.begin(Workers::Exactly(1))?;
    session.acting = Acting::InTurn(Box::new(Watched(session.learner.policy(0..subject.train.envs)?)));
    subject.first_half(&mut session)?;
    Ok(Some(Coverage { steps: session.counts.agent_steps, updates: session.learner.updates() }))
}

/// A policy whose actions are looked at before they are taken.
struct Watched(Box<dyn Policy>);

impl Policy for Watched {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        self.0.act(blocks, t, mode)?;
        let seats = blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
        for (seat, (block, e)) in seats.enumerate() {
            if let Some(what) = wrong(block, t, e) {
                return Err(Error::Io(io::Error::other(format!("seat {seat}: {what}"))));
            }
        }
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        self.0.is_recurrent()
    }

    fn state(&mut self) -> State<'_> {
        self.0.state()
    }
}

/// What is wrong with what a policy wrote for a seat whose episode goes on.
fn wrong(block: &Rollout, t: usize, e: usize) -> Option<String> {
    if block.end[(t, e)].over() {
        return None;
    }
    let (spec, chosen) = (block.spec(), block.discrete.at(t, e));
    if let Some((action, count)) = chosen.iter().zip(&spec.discrete).find(|(action, count)| action >= count) {
        return Some(format!("it chose {action} of {count} actions"));
    }
    if !legal::all(&spec.discrete, chosen, block.legal.at(t, e)) {
        return Some(format!("it chose {chosen:?}, and the mask forbids that"));
    }
    let mut bounded = block.continuous.at(t, e).iter().copied().zip(&spec.continuous);
    if let Some((value, bound)) = bounded.find(|(value, bound)| !(bound.low..=bound.high).contains(value)) {
        return Some(format!("it chose {value}, and the bounds are {} and {}", bound.low, bound.high));
    }
    let extra = block.extra.at(t, e);
    extra.iter().any(|value| !value.is_finite()).then(|| format!("it wrote {extra:?} for its learner"))
}

pub(super) fn trials(subject: &Subject) -> Found {
    let mut session = subject.half_trained()?;
    let before = session.digests()?;
    let played = play(subject, session.learner.as_ref(), sampled(subject)?, Way::Plain)?;
    same(&before, &session.digests()?, "after an evaluation")?;
    Ok(Some(played.coverage()))
}

pub(super) fn weights(subject: &Subject) -> Found {
    let session = subject.half_trained()?;
    let mode = sampled(subject)?;
    let played = play(subject, session.learner.as_ref(), mode, Way::Plain)?;
    let other = play(subject, alone(subject, subject.seed)?.as_ref(), mode, Way::Plain)?;
    played.same(&other, "given its weights alone")
}

pub(super) fn greedy(subject: &Subject) -> Found {
    let mode = Mode::Evaluate { epsilon: 0.0, greedy: true };
    let played = play(subject, alone(subject, subject.seed)?.as_ref(), mode, Way::Plain)?;
    let other = play(subject, alone(subject, subject.seed + 1)?.as_ref(), mode, Way::Plain)?;
    played.same(&other, "with another seed")
}

pub(super) fn memory(subject: &Subject) -> Found {
    let mode = Mode::Evaluate { epsilon: 0.0, greedy: true };
    let learner = alone(subject, subject.seed)?;
    if learner.policy(SEATS..SEATS + 1)?.is_recurrent() {
        return Ok(None);
    }
    let played = play(subject, learner.as_ref(), mode, Way::Plain)?;
    let other = play(subject, learner.as_ref(), mode, Way::Renewed)?;
    played.same(&other, "where a new policy takes over in the middle of an episode")
}

pub(super) fn outputs(subject: &Subject) -> Found {
    let (learner, mode) = (alone(subject, subject.seed)?, sampled(subject)?);
    if learner.policy(SEATS..SEATS + 1)?.outputs().is_none() {
        return Ok(None);
    }
    let played = play(subject, learner.as_ref(), mode, Way::Plain)?;
    let other = play(subject, learner.as_ref(), mode, Way::Recorded)?;
    played.same(&other, "where its outputs are recorded")
}

/// As `rl-run eval` plays.
fn sampled(subject: &Subject) -> anyhow::Result<Mode> {
    Ok(Mode::Evaluate { epsilon: subject.resolved.eval()?.epsilon, greedy: false })
}

/// A learner that was just built and given nothing but the weights of the half-trained one.
fn alone(subject: &Subject, seed: u64) -> anyhow::Result<Box<dyn Learner>> {
    let half = &subject.trained()?.half;
    let mut learner = build(&subject.resolved, &subject.resolved.shapes()?, seed, &subject.device)?;
    let saved = half.iter().find(|part| part.name == WEIGHTS).context("it has no weights")?;
    learner.weights().load(&mut &saved.bytes[..])?;
    Ok(learner)
}

/// How an evaluation is played.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    /// A new policy takes over after every [`RENEWED`] rows.
    Renewed,
    /// Outputs are recorded.
    Recorded,
}

/// The actions of an evaluation.
struct Played {
    seats: usize,
    /// Actions by rows, then by seats, continuous ones by their bits; empty where an episode was over.
    actions: Vec<Vec<u32>>,
}

impl Played {
    fn coverage(&self) -> Coverage {
        Coverage { steps: self.actions.len() as u64, updates: 0 }
    }

    /// Compares with what `other` chose, which is to be the same.
    fn same(&self, other: &Self, what: &str) -> Found {
        match self.actions.iter().zip(&other.actions).position(|(one, other)| one != other) {
            Some(at) => bail!(
                "in row {} seat {} chose {:?}, and {:?} {what}",
                at / self.seats,
                at % self.seats,
                self.actions[at],
                other.actions[at]
            ),
            None => Ok(Some(self.coverage())),
        }
    }
}

/// Plays an evaluation by policies of `learner`, as many steps as a promise is checked over.
fn play(subject: &Subject, learner: &dyn Learner, mode: Mode, way: Way) -> anyhow::Result<Played> {
    let Subject { resolved, seed, steps, .. } = subject;
    let together = resolved.seats_per_world();
    let range: Range<u32> = SEATS..SEATS + (SIDE_BY_SIDE / together).max(1) * together;
    let seating = Seating { seed: *seed, seats: range.clone() };
    let envs = collect::groups(&|seating| resolved.seat_eval(seating), &seating, Workers::Exactly(1), together)?;
    let mut seats = Seats::new(envs, Plan { horizon: 1, ..learner.plan() }, Workers::Exactly(1))?;
    if way == Way::Recorded {
        seats.blocks_mut().iter_mut().for_each(Rollout::record_outputs);
    }
    let mut policy = learner.policy(range.clone())?;
    let mut played = Played { seats: range.len(), actions: Vec::new() };
    seats.reset()?;
    for row in 0..steps.div_ceil(range.len() as u64) as usize {
        subject.go_on()?;
        if way == Way::Renewed && row % RENEWED == 0 {
            policy = learner.policy(range.clone())?;
        }
        seats.collect(policy.as_mut(), mode, &mut Clock::default())?;
        let block = &seats.blocks()[0];
        played.actions.extend((0..block.seats()).map(|e| match block.end[(0, e)].over() {
            true => Vec::new(),
            false => {
                let continuous = block.continuous.at(0, e).iter().map(|value| value.to_bits());
                block.discrete.at(0, e).iter().copied().chain(continuous).collect()
            }
        }));
        seats.carry();
    }
    Ok(played)
}
