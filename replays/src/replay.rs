//! Replay buffer: one ring of rows for all seats, which stores single frames once; a transition is a row and a seat.
//!
//! Row `r` holds an observation, how the step that led to it ended, and the action taken in it. All seats advance together,
//! so one counter, the number of rows ever written, says which rows are still present. The true last observation of an
//! episode is a row like any other (next-step autoreset), which is why storing each frame once, n-step returns and
//! bootstrapping through a truncation need no special case.
//! Source: Mnih et al. 2015 (uniform replay); Sutton and Barto 2018, section 7.1 (n-step returns).

use rl_core::{End, Future, LifeLoss, Result, Rng, Spec};

use crate::priorities::Priorities;
use crate::saved::foreign;
use crate::segments::rows_of_segment;
use crate::sequences::{self, Beginnings, Sequence};
use crate::sum_tree::SumTree;
use crate::{Lane, RewardTransform, Rollout, Sample, stack};

/// Rejected uniform draws in a row after which the sampler lists all transitions instead.
const PATIENCE: u32 = 64;

/// How the n-step returns of sampled transitions are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NStepReturns {
    /// Agent steps of a return, at least 1; fewer where the episode ends before.
    pub n_step: usize,
    /// Discount per agent step, 0 to 1.
    pub gamma: f32,
    /// Whether a lost life cuts the return, as a terminal step does.
    pub life_loss: LifeLoss,
}

/// A replay buffer (ring) of the newest transitions of `N` seats, sampled uniformly or by priority.
///
/// ```
/// use rl_core::{LifeLoss, Rng, Spec, Stream};
/// use rl_replays::{RewardTransform, Replay, Rollout, Sample, NStepReturns};
///
/// let spec = Spec { vector: 4, discrete: [2].into(), ..Spec::none() };
/// let targets = NStepReturns { n_step: 3, gamma: 0.99, life_loss: LifeLoss::Ignore };
/// let mut replay = Replay::new(&spec, 8, 100_000, targets).prioritised();
/// let mut block = Rollout::new(&spec, 16, 8, 0); // 16 steps of 8 seats, which a policy and environments fill
/// # for t in 0..17 { block.age.row_mut(t).fill(t as u32) }
/// replay.append(std::slice::from_ref(&block))?;
/// block.carry(); // its last row is the first of the next block
///
/// let (mut rng, mut sample) = (Rng::new(1, Stream::Learn), Sample::new(&spec, 32));
/// replay.sample(&mut rng, RewardTransform::Raw, &mut sample)?;
/// let importance = sample.priorities.iter().map(|priority| 1.0 / priority); // to the power of β, over the largest
/// # assert!(importance.eq([1.0; 32]));
/// let errors = [0.5; 32]; // what the learner finds
/// replay.set_priorities(&sample.places, &errors);
/// # Ok::<(), rl_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Replay {
    pub(crate) spec: Spec,
    pub(crate) seats: usize,
    pub(crate) rows: usize,
    /// Rows per checkpoint segment; 0 where the ring is saved as a whole.
    pub(crate) segment: usize,
    /// Rows ever written; row `r` stands at `r % rows`.
    pub(crate) written: u64,
    pub(crate) frame: Lane<u8>,
    pub(crate) vector: Lane<f32>,
    pub(crate) symbols: Lane<u32>,
    pub(crate) legal: Lane<u8>,
    pub(crate) age: Lane<u32>,
    pub(crate) reward: Lane<f32>,
    pub(crate) end: Lane<End>,
    pub(crate) discrete: Lane<u32>,
    pub(crate) continuous: Lane<f32>,
    /// Priorities of the transitions; `None` where draws are uniform.
    pub(crate) priorities: Option<Priorities>,
    /// Recurrent states with which sequences begin; `None` where single transitions are drawn.
    pub(crate) beginnings: Option<Beginnings>,
    targets: NStepReturns,
}

/// End of an n-step return.
pub(crate) struct Window {
    /// Row of the observation from which the return bootstraps.
    pub(crate) last: u64,
    /// Factor of the bootstrap value: γ^k after `k` steps, 0 after a terminal one.
    pub(crate) discount: f32,
}

impl Replay {
    /// Allocates a ring for `capacity` transitions of all seats together, sampled uniformly.
    ///
    /// # Panics
    /// If `capacity`, `seats`, `n_step` or the stack of `spec` is 0, or `gamma` is not from 0 to 1.
    pub fn new(spec: &Spec, seats: usize, capacity: usize, targets: NStepReturns) -> Self {
        Self::build(spec, seats, capacity, targets, None)
    }

    /// Allocates a ring for `capacity` transitions, from which [sequences](Replay::sample_sequences) are drawn.
    ///
    /// A sequence begins with the recurrent state that the policy stored in [`Rollout::extra`].
    ///
    /// # Panics
    /// If `capacity`, `seats`, `n_step`, the stack of `spec`, or the steps or the period of a sequence are 0, or `gamma`
    /// is not from 0 to 1.
    pub fn of_sequences(spec: &Spec, seats: usize, capacity: usize, targets: NStepReturns, sequence: Sequence) -> Self {
        assert!(sequence.steps > 0 && sequence.period > 0, "sequences have steps and a period");
        Self::build(spec, seats, capacity, targets, Some(sequence))
    }

    fn build(spec: &Spec, seats: usize, capacity: usize, targets: NStepReturns, sequence: Option<Sequence>) -> Self {
        assert!(capacity > 0 && seats > 0 && targets.n_step > 0, "a replay has room, seats and steps");
        assert!(spec.stack > 0, "a stack has at least one frame");
        assert!((0.0..=1.0).contains(&targets.gamma), "a discount is from 0 to 1");
        let rows = rows_for(spec, seats, capacity, targets.n_step, sequence);
        let bytes = Self::bytes_for(spec, seats, capacity, targets.n_step, sequence);
        let states = |sequence: Sequence| Lane::new(rows / sequence.period, seats, sequence.state);
        Self {
            frame: Lane::new(rows, seats, spec.frame_len()),
            vector: Lane::new(rows, seats, spec.vector),
            symbols: Lane::new(rows, seats, spec.symbols.len()),
            legal: Lane::new(rows, seats, spec.legal_len()),
            age: Lane::new(rows, seats, 1),
            reward: Lane::new(rows, seats, 1),
            end: Lane::new(rows, seats, 1),
            discrete: Lane::new(rows, seats, spec.discrete.len()),
            continuous: Lane::new(rows, seats, spec.continuous.len()),
            priorities: None,
            beginnings: sequence.map(|sequence| Beginnings { sequence, states: states(sequence) }),
            written: 0,
            segment: rows_of_segment(rows, bytes),
            rows,
            seats,
            targets,
            spec: spec.clone(),
        }
    }

    /// Bytes that [`new`](Replay::new) or, with a `sequence`, [`of_sequences`](Replay::of_sequences) allocates, for
    /// returns of `n_step` rewards.
    ///
    /// # Panics
    /// If `seats` or the period of a sequence is 0.
    pub fn bytes_for(spec: &Spec, seats: usize, capacity: usize, n_step: usize, sequence: Option<Sequence>) -> u64 {
        let row = spec.frame_len() + 4 * spec.vector + 4 * spec.symbols.len() + spec.legal_len();
        let row = row + size_of::<u32>() + size_of::<f32>() + size_of::<End>();
        let row = row + 4 * (spec.discrete.len() + spec.continuous.len());
        let rows = rows_for(spec, seats, capacity, n_step, sequence) as u64;
        let states = sequence.map_or(0, |it| (rows / it.period as u64).saturating_mul(4 * it.state as u64));
        (row as u64).saturating_mul(rows).saturating_add(states).saturating_mul(seats as u64)
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> u64 {
        self.frame.bytes()
            + self.vector.bytes()
            + self.symbols.bytes()
            + self.legal.bytes()
            + self.age.bytes()
            + self.reward.bytes()
            + self.end.bytes()
            + self.discrete.bytes()
            + self.continuous.bytes()
            + self.beginnings.as_ref().map_or(0, |beginnings| beginnings.states.bytes())
            + self.priorities.as_ref().map_or(0, |priorities| SumTree::bytes_for(priorities.tree.len()))
    }

    /// Rows present, summed over all seats: an upper bound of the transitions that can be sampled.
    pub fn len(&self) -> usize {
        (self.written.min(self.rows as u64)) as usize * self.seats
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Appends all steps of one block per group of seats, in the order of the seats.
    ///
    /// Row 0 of the blocks must be the last row of the blocks before: see [`Rollout::carry`].
    ///
    /// # Errors
    /// If row 0 has another age, reward or end than the last row that was written, as where replay and blocks were
    /// loaded from states of two moments. Nothing is appended then.
    ///
    /// # Panics
    /// If the blocks differ in horizon, do not have the seats and the spec of this replay, or for sequences not their
    /// states in [`Rollout::extra`].
    pub fn append(&mut self, blocks: &[Rollout]) -> Result<()> {
        let horizon = blocks[0].horizon();
        assert!(blocks.iter().all(|block| block.horizon() == horizon), "blocks of one append have one horizon");
        self.assert_fit(blocks);
        if self.is_empty() {
            self.push(blocks, 0);
        } else {
            self.check_follows(blocks)?;
        }
        (0..horizon).for_each(|t| self.step(blocks, t));
        Ok(())
    }

    /// Appends step `t` of blocks: stores its actions with the newest row, and appends row `t + 1`.
    fn step(&mut self, blocks: &[Rollout], t: usize) {
        let slot = self.slot(self.written - 1);
        let mut seat = 0;
        for block in blocks {
            copy(&mut self.discrete, slot, seat, block.discrete.row(t));
            copy(&mut self.continuous, slot, seat, block.continuous.row(t));
            if let Some(Beginnings { sequence: Sequence { period, .. }, states }) = &mut self.beginnings
                && slot.is_multiple_of(*period)
            {
                copy(states, slot / *period, seat, block.extra.row(t));
            }
            seat += block.seats();
        }
        self.push(blocks, t + 1);
    }

    /// Rows (each of all seats) that can still be written before the oldest one is overwritten.
    pub fn room_in_rows(&self) -> usize {
        (self.rows as u64).saturating_sub(self.written) as usize
    }

    /// Panics where blocks have other seats or shapes: values are copied by seat, and other widths would shift them.
    fn assert_fit(&self, blocks: &[Rollout]) {
        assert_eq!(blocks.iter().map(Rollout::seats).sum::<usize>(), self.seats, "one column per seat");
        assert!(blocks.iter().all(|block| *block.spec() == self.spec), "blocks of the spec of this replay");
        if let Some(Beginnings { sequence, .. }) = &self.beginnings {
            let state = |block: &Rollout| block.extra.width() == sequence.state;
            assert!(blocks.iter().all(state), "a state of {} numbers in each row", sequence.state);
        }
    }

    /// Refuses blocks whose row 0 is not the newest row: transitions would join unrelated steps.
    fn check_follows(&self, blocks: &[Rollout]) -> Result<()> {
        let (slot, mut seat) = (self.slot(self.written - 1), 0);
        for block in blocks {
            let same = |e: usize| {
                let (at, place) = ((0, e), (slot, seat + e));
                block.age[at] == self.age[place]
                    && block.end[at] == self.end[place]
                    && block.reward[at].to_bits() == self.reward[place].to_bits()
            };
            if !(0..block.seats()).all(same) {
                let message = "row 0 of the steps is not its newest row, so that the saved parts are not of one state";
                return Err(foreign(message));
            }
            seat += block.seats();
        }
        Ok(())
    }

    /// Appends row `t` of blocks, without actions.
    fn push(&mut self, blocks: &[Rollout], t: usize) {
        let slot = self.slot(self.written);
        let mut seat = 0;
        for block in blocks {
            copy(&mut self.frame, slot, seat, block.frame_row(t));
            copy(&mut self.vector, slot, seat, block.vector.row(t));
            copy(&mut self.symbols, slot, seat, block.symbols.row(t));
            copy(&mut self.legal, slot, seat, block.legal.row(t));
            copy(&mut self.age, slot, seat, block.age.row(t));
            copy(&mut self.reward, slot, seat, block.reward.row(t));
            copy(&mut self.end, slot, seat, block.end.row(t));
            seat += block.seats();
        }
        self.written += 1;
        self.settle();
    }

    /// Draws a minibatch of transitions into `out`, with replacement: uniformly, or by priority where the ring is
    /// [prioritised](Replay::prioritised). `transform` transforms the rewards of the returns.
    ///
    /// # Errors
    /// If no transition is complete yet.
    ///
    /// # Panics
    /// If the ring was made by [`of_sequences`](Replay::of_sequences), or `out` was made for another spec.
    pub fn sample(&self, rng: &mut Rng, transform: RewardTransform, out: &mut Sample) -> Result<()> {
        assert!(self.beginnings.is_none(), "a ring of sequences gives no single transitions");
        self.draws(out.rows(), rng, |row, (at, seat), priority| {
            self.put((at, seat), transform, out, row);
            out.priorities[row] = priority;
        })
    }

    /// Draws `count` times, and calls `put` with the number of the draw, its (row, seat) and its priority.
    ///
    /// # Errors
    /// If nothing can be drawn yet.
    pub(crate) fn draws(
        &self,
        count: usize,
        rng: &mut Rng,
        mut put: impl FnMut(usize, (u64, usize), f64),
    ) -> Result<()> {
        if let Some(priorities) = &self.priorities {
            return self.draws_by_priority(priorities, count, rng, put);
        }
        for number in 0..count {
            put(number, self.draw(rng)?, 1.0);
        }
        Ok(())
    }

    /// Writes a transition that can be drawn to row `row` of a minibatch.
    fn put(&self, (at, seat): (u64, usize), transform: RewardTransform, out: &mut Sample, row: usize) {
        let window = self.window(at, seat).expect("draws are complete transitions");
        let slot = self.slot(at);
        out.places[row] = self.place(at, seat);
        out.discrete.copy_row(row, self.discrete.at(slot, seat));
        out.continuous.copy_row(row, self.continuous.at(slot, seat));
        out.reward[row] = self.earned((at, seat), window.last, transform);
        out.discount[row] = window.discount;
        self.observe(at, seat, &mut out.obs, row);
        self.observe(window.last, seat, &mut out.next, row);
    }

    /// Iterates over all transitions, or beginnings of sequences, that can be drawn, as (row, seat), oldest first.
    ///
    /// Rows are counted from the first one ever written.
    pub fn transitions(&self) -> impl Iterator<Item = (u64, usize)> + '_ {
        self.transitions_from(0)
    }

    /// Iterates over [`transitions`](Replay::transitions) from row `from` on, or from the oldest present if later.
    pub fn transitions_from(&self, from: u64) -> impl Iterator<Item = (u64, usize)> + '_ {
        let first = self.first().max(from.next_multiple_of(self.period() as u64));
        let rows = (first..self.written).step_by(self.period());
        rows.flat_map(move |at| (0..self.seats).map(move |seat| (at, seat)))
            .filter(|&(at, seat)| self.is_drawable(at, seat))
    }

    /// Whether a complete transition, or in a ring of sequences a complete sequence, begins in row `at` of `seat`.
    pub(crate) fn is_drawable(&self, at: u64, seat: usize) -> bool {
        match &self.beginnings {
            None => self.window(at, seat).is_some(),
            Some(beginnings) => self.is_sequence(beginnings.sequence, at, seat),
        }
    }

    pub(crate) fn n_step(&self) -> usize {
        self.targets.n_step
    }

    /// Whether a transition or sequence that no end cuts short can be whole: with many seats a thousand steps are few rows.
    pub fn has_reach(&self) -> bool {
        self.written > self.reach() as u64
    }

    /// Rows after its first one that a transition or sequence needs at most.
    pub(crate) fn reach(&self) -> usize {
        let n_step = self.n_step();
        self.beginnings.as_ref().map_or(n_step, |beginnings| beginnings.sequence.reach(n_step))
    }

    /// Rows from one possible beginning of a draw to the next: 1, or the period of sequences.
    fn period(&self) -> usize {
        self.beginnings.as_ref().map_or(1, |beginnings| beginnings.sequence.period)
    }

    /// The oldest row in which a draw may begin.
    fn first(&self) -> u64 {
        self.oldest().next_multiple_of(self.period() as u64)
    }

    /// Draws uniformly by rejection; after [`PATIENCE`] rejections by counting the rows that can be drawn.
    fn draw(&self, rng: &mut Rng) -> Result<(u64, usize)> {
        let (first, period) = (self.first(), self.period() as u64);
        let rows = self.written.saturating_sub(first).div_ceil(period);
        let places = u32::try_from(rows * self.seats as u64).expect("a ring has fewer than 2^32 rows");
        if places == 0 {
            return Err(self.nothing_to_draw());
        }
        for _ in 0..PATIENCE {
            let place = rng.below(places) as usize;
            let (at, seat) = (first + (place / self.seats) as u64 * period, place % self.seats);
            if self.is_drawable(at, seat) {
                return Ok((at, seat));
            }
        }
        match self.transitions().count() as u32 {
            0 => Err(self.nothing_to_draw()),
            count => Ok(self.transitions().nth(rng.below(count) as usize).expect("fewer than counted")),
        }
    }

    /// Whether all frames of the stack of row `at` are still present.
    pub(crate) fn has_history(&self, at: u64, seat: usize) -> bool {
        at >= self.oldest() + stack::history(self.spec.stack, self.age[(self.slot(at), seat)]) as u64
    }

    /// End of the n-step return from row `at`; `None` where no transition begins there, its rows are not all written,
    /// or frames of its stack are overwritten.
    pub(crate) fn window(&self, at: u64, seat: usize) -> Option<Window> {
        if self.end[(self.slot(at), seat)].over() || !self.has_history(at, seat) {
            return None;
        }
        let NStepReturns { n_step, gamma, life_loss } = self.targets;
        let mut discount = 1.0;
        for last in at + 1..=at + n_step as u64 {
            if last >= self.written {
                return None;
            }
            let slot = self.slot(last);
            if self.age[(slot, seat)] == 0 {
                return None; // a reset that no end announced
            }
            discount *= gamma;
            match life_loss.future(self.end[(slot, seat)]) {
                Future::Zero => return Some(Window { last, discount: 0.0 }),
                Future::Bootstraps => return Some(Window { last, discount }),
                Future::Continues => {}
            }
        }
        Some(Window { last: at + n_step as u64, discount })
    }

    /// Discounted sum of the rewards of rows `at + 1` to `last`, inclusive, transformed by `transform`.
    pub(crate) fn earned(&self, (at, seat): (u64, usize), last: u64, transform: RewardTransform) -> f32 {
        let (mut sum, mut discount) = (0.0, 1.0);
        for row in at + 1..=last {
            sum += discount * transform.of(self.reward[(self.slot(row), seat)]);
            discount *= self.targets.gamma;
        }
        sum
    }

    /// Writes the observation of row `at`, with its frame stack, to row `row` of `out`.
    pub(crate) fn observe(&self, at: u64, seat: usize, out: &mut crate::sample::Observations, row: usize) {
        let slot = self.slot(at);
        if self.spec.frame_len() > 0 {
            let frame = |back: usize| self.frame.at(self.slot(at - back as u64), seat);
            let age = self.age[(slot, seat)];
            stack::gather(self.spec.stack, self.spec.frame[2], age, frame, out.frames.row_mut(row));
        }
        out.vector.copy_row(row, self.vector.at(slot, seat));
        out.symbols.copy_row(row, self.symbols.at(slot, seat));
        out.legal.copy_row(row, self.legal.at(slot, seat));
    }

    /// Index in the ring of a row that is counted from the first one ever written.
    pub(crate) fn slot(&self, row: u64) -> usize {
        (row % self.rows as u64) as usize
    }

    /// Number of a row of a seat, unique over the life of the ring.
    pub(crate) fn place(&self, row: u64, seat: usize) -> u64 {
        row * self.seats as u64 + seat as u64
    }

    /// The oldest row that is still present, counted from the first one ever written.
    pub(crate) fn oldest(&self) -> u64 {
        self.written.saturating_sub(self.rows as u64)
    }
}

/// Copies the values of consecutive seats, from seat `seat` on, to row `slot` of a lane.
fn copy<T: Copy + Default>(into: &mut Lane<T>, slot: usize, seat: usize, from: &[T]) {
    let width = into.width();
    into.row_mut(slot)[seat * width..][..from.len()].copy_from_slice(from);
}

/// Rows of a ring for `capacity` transitions of all seats.
///
/// More than one per transition of a seat: the newest rows have no complete return yet, the oldest lack their history.
pub(crate) fn rows_for(spec: &Spec, seats: usize, capacity: usize, n_step: usize, sequence: Option<Sequence>) -> usize {
    match sequence {
        None => capacity.div_ceil(seats).saturating_add(n_step).saturating_add(stack::most(spec)),
        Some(sequence) => sequences::rows_for(spec, seats, capacity, n_step, sequence),
    }
}
