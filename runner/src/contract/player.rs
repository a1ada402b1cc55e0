//! Plays evaluations to see what a policy chooses, and looks at every action before it is taken.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{anyhow, bail};
use rl_agents::{Learner, Mode, Plan, Policy, legal};
use rl_core::{Error, Result, Seating, State};
use rl_replays::Rollout;

use super::{Coverage, Found, Subject, elsewhere, lost};
use crate::collect::{self, Seats, Workers};
use crate::games::play::SEATS;

/// Most seats that evaluations are played on, but for those of one world.
const SIDE_BY_SIDE: u32 = 4;
/// Rows after which a new policy takes the place of the last, where that is asked for.
const RENEWED: usize = 3;

/// Nothing is left to chance.
pub(super) const GREEDY: Mode = Mode::Evaluate { epsilon: 0.0, greedy: true };

/// What was wrong with an action; empty while nothing was.
#[derive(Clone, Default)]
pub(super) struct Wrong(Arc<Mutex<Option<String>>>);

impl Wrong {
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A policy whose actions are looked at before they are taken.
pub(super) struct Watched {
    policy: Box<dyn Policy>,
    wrong: Wrong,
}

impl Watched {
    pub(super) fn new(policy: Box<dyn Policy>, wrong: Wrong) -> Self {
        Self { policy, wrong }
    }
}

impl Policy for Watched {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        self.policy.act(blocks, t, mode)?;
        let Some(what) = wrong(blocks, t) else { return Ok(()) };
        *self.wrong.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.clone());
        Err(Error::Io(io::Error::other(what)))
    }

    fn is_recurrent(&self) -> bool {
        self.policy.is_recurrent()
    }

    fn state(&mut self) -> State<'_> {
        self.policy.state()
    }
}

/// What is wrong with what a policy wrote in row `t`, of the first seat in which something is.
fn wrong(blocks: &[Rollout], t: usize) -> Option<String> {
    let seats = blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
    let mut all = seats.enumerate().filter(|(_, (block, e))| !block.end[(t, *e)].over());
    all.find_map(|(seat, (block, e))| Some(format!("seat {seat} {}", wrong_in(block, t, e)?)))
}

fn wrong_in(block: &Rollout, t: usize, e: usize) -> Option<String> {
    let (spec, chosen) = (block.spec(), block.discrete.at(t, e));
    if let Some((action, count)) = chosen.iter().zip(&spec.discrete).find(|(action, count)| action >= count) {
        return Some(format!("chose {action} of {count} actions"));
    }
    if !legal::all(&spec.discrete, chosen, block.legal.at(t, e)) {
        return Some(format!("chose {chosen:?}, which the mask forbids"));
    }
    let mut bounded = block.continuous.at(t, e).iter().copied().zip(&spec.continuous);
    if let Some((value, bound)) = bounded.find(|(value, bound)| !(bound.low..=bound.high).contains(value)) {
        return Some(format!("chose {value}, and the bounds are {} and {}", bound.low, bound.high));
    }
    None
}

/// The seats that evaluations are played on, of whole worlds.
pub(super) fn seats_of(subject: &Subject) -> Range<u32> {
    let seats_per_world = subject.resolved.seats_per_world();
    SEATS..SEATS + (SIDE_BY_SIDE / seats_per_world).max(1) * seats_per_world
}

/// An evaluation to be played.
pub(super) struct Player<'a> {
    subject: &'a Subject,
    plan: Plan,
    mode: Mode,
    rows: usize,
    renewing: bool,
    recording: bool,
    blaming: bool,
}

impl<'a> Player<'a> {
    /// An evaluation of as many steps as a promise is checked over, of a learner with this plan.
    pub(super) fn new(subject: &'a Subject, plan: Plan, mode: Mode) -> Self {
        let rows = subject.steps.div_ceil(seats_of(subject).len() as u64) as usize;
        Self {
            subject,
            plan: Plan { horizon: 1, ..plan },
            mode,
            rows,
            renewing: false,
            recording: false,
            blaming: false,
        }
    }

    /// A new policy takes over after every [`RENEWED`] rows.
    pub(super) fn renewing(self) -> Self {
        Self { renewing: true, ..self }
    }

    /// Outputs are recorded.
    pub(super) fn recording(self) -> Self {
        Self { recording: true, ..self }
    }

    /// A wrong action is a breach, and not one of another promise.
    pub(super) fn blaming(self) -> Self {
        Self { blaming: true, ..self }
    }

    /// Plays on all [`seats_of`] the subject by policies of `learner`.
    pub(super) fn all(self, learner: &dyn Learner) -> anyhow::Result<Played> {
        let seats = seats_of(self.subject);
        let renewing = self.renewing;
        let mut policy = learner.policy(seats.clone())?;
        self.each(seats.clone(), &mut |row, blocks, mode| {
            if renewing && row % RENEWED == 0 {
                policy = learner.policy(seats.clone())?;
            }
            Ok(policy.act(blocks, 0, mode)?)
        })
    }

    /// Plays on `seats` by a policy for them.
    pub(super) fn play(self, seats: Range<u32>, policy: &mut dyn Policy) -> anyhow::Result<Played> {
        self.each(seats, &mut |_, blocks, mode| Ok(policy.act(blocks, 0, mode)?))
    }

    fn each(self, range: Range<u32>, act: &mut Act<'_>) -> anyhow::Result<Played> {
        let Self { subject, plan, mode, rows, recording, blaming, .. } = self;
        let resolved = &subject.resolved;
        let seating = Seating { seed: subject.seed, seats: range.clone() };
        let seats_per_world = resolved.seats_per_world();
        let envs =
            collect::groups(&|seating| resolved.seat_eval(seating), &seating, Workers::Exactly(1), seats_per_world)?;
        let mut seats = Seats::new(envs, plan, Workers::Exactly(1))?;
        if recording {
            seats.blocks_mut().iter_mut().for_each(Rollout::record_outputs);
        }
        let mut played = Played { seats: range.len(), actions: Vec::new(), episodes: 0 };
        seats.reset()?;
        for row in 0..rows {
            subject.go_on()?;
            act(row, seats.blocks_mut(), mode)?;
            if let Some(what) = wrong(seats.blocks(), 0) {
                let what = anyhow!("in row {row} of an evaluation {what}");
                return if blaming { Err(what) } else { elsewhere(Err(what), "its actions are wrong") };
            }
            seats.step(0)?;
            seats.take_crashes().first().map_or(Ok(()), |crash| Err(lost(crash)))?;
            let block = &seats.blocks()[0];
            played.episodes += block.episodes.len() as u64;
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
}

/// Writes the actions of row 0 of the blocks, the evaluation being at this row.
type Act<'a> = dyn FnMut(usize, &mut [Rollout], Mode) -> anyhow::Result<()> + 'a;

/// The actions of an evaluation.
pub(super) struct Played {
    seats: usize,
    /// Actions by rows, then by seats, continuous ones by their bits; empty where an episode was over.
    actions: Vec<Vec<u32>>,
    episodes: u64,
}

impl Played {
    pub(super) fn coverage(&self) -> Coverage {
        let steps = self.actions.iter().filter(|chosen| !chosen.is_empty()).count() as u64;
        Coverage { steps, updates: 0, episodes: self.episodes }
    }

    /// What the last `count` seats chose.
    pub(super) fn of_last(&self, count: usize) -> Self {
        let rows = self.actions.chunks(self.seats);
        let actions = rows.flat_map(|row| row[self.seats - count..].iter().cloned()).collect();
        Self { seats: count, actions, episodes: self.episodes }
    }

    /// Compares with what `other` chose, which is to be the same.
    pub(super) fn same(&self, other: &Self, what: &str) -> Found {
        match self.actions.iter().zip(&other.actions).position(|(one, other)| one != other) {
            Some(at) => bail!(
                "in row {} seat {} chose {:?}, and {:?} {what}",
                at / self.seats,
                at % self.seats,
                self.actions[at],
                other.actions[at]
            ),
            None => Ok(self.coverage()),
        }
    }
}
