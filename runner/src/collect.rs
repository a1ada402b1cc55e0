//! One block of experience from every seat: act on all of them in one batch, then step them, here or on all cores; or
//! [`actors`] do both by themselves.
//!
//! Seats are divided into groups, one per worker at most; this thread steps the first of them itself. Every seat has
//! its own random streams, a row of a forward pass does not depend on the batch around it, and whoever reads the blocks
//! reads them by time, then by seat: so the number of groups and of threads decides no bit.
//!
//! Two halves that take turns, one stepping while actions are chosen for the other, would not pay here: both already
//! use every core, and choosing takes a few hundredths of a training run's time.

pub(crate) mod workers;
pub(crate) mod actors;

use std::ops::Range;
use std::time::{Duration, Instant};

use rl_agents::{Clock, Mode, Part, Plan, Policy};
use rl_core::{Episode, Seating, Spec, VecEnv};
use rl_replays::{Rollout, played};

use workers::Worker;

/// Rows that are stepped in this thread before it is decided whether workers would help.
const TRIED: u32 = 16;
/// Time of the fastest tried row from which workers help: handing a group over and back takes 20 µs where a core is
/// free, and several hundred where none is.
const WORTH: Duration = Duration::from_micros(150);

/// How many threads step environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workers {
    /// This many threads, even if steps are short.
    Exactly(usize),
    /// At most this many threads, if a row of seats takes long enough to share; else this thread alone.
    UpTo(usize),
}

impl Workers {
    fn most(self) -> usize {
        let (Workers::Exactly(most) | Workers::UpTo(most)) = self;
        most
    }
}

/// Builds the environments of a range of seats.
pub(crate) type Seat<'a> = dyn Fn(&Seating) -> anyhow::Result<Box<dyn VecEnv>> + 'a;

/// Builds the environments of a run in at most one group per worker. Seats that share a world stay in one group.
///
/// # Errors
/// If the environment refuses a value or fails to start.
pub(crate) fn groups(
    seat: &Seat<'_>,
    seating: &Seating,
    workers: Workers,
    seats_per_world: u32,
) -> anyhow::Result<Vec<Box<dyn VecEnv>>> {
    let Range { start: first, end } = seating.seats;
    if !(end - first).is_multiple_of(seats_per_world) {
        return Ok(vec![seat(seating)?]); // which refuses them, by their number
    }
    let worlds = ((end - first) / seats_per_world) as usize;
    let groups = workers.most().clamp(1, worlds.max(1));
    let edge = |group: usize| first + (worlds * group / groups) as u32 * seats_per_world;
    (0..groups).map(|g| seat(&Seating { seed: seating.seed, seats: edge(g)..edge(g + 1) })).collect()
}

/// Message for a person on an engine that was lost in the middle of an episode.
pub(crate) fn lost(loss: String) -> String {
    loss + ": its episode is given up, another begins"
}

/// The seats of a run, in groups that act in one batch and step together, and the blocks that they fill.
pub(crate) struct Seats {
    spec: Spec,
    envs: Vec<Box<dyn VecEnv>>,
    blocks: Vec<Rollout>,
    way: Way,
}

/// Which threads step the groups.
enum Way {
    /// This thread steps all groups.
    Alone,
    /// This thread steps all groups until [`TRIED`] rows are timed: rows so far, and the time of the fastest.
    Trying(u32, Duration),
    /// This thread steps the first group and a worker each of the others.
    Together(Vec<Worker>),
}

impl Seats {
    /// Makes a block for each group of `envs`, as long and wide as `plan` says.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(crate) fn new(envs: Vec<Box<dyn VecEnv>>, plan: Plan, workers: Workers) -> anyhow::Result<Self> {
        let block = |env: &dyn VecEnv| Rollout::new(env.spec(), plan.horizon, env.seats(), plan.extra);
        let blocks = envs.iter().map(|env| block(env.as_ref())).collect();
        let way = match workers {
            _ if envs.len() == 1 => Way::Alone,
            Workers::Exactly(_) => Way::together(envs.len())?,
            Workers::UpTo(_) => Way::Trying(0, Duration::MAX),
        };
        Ok(Self { spec: envs[0].spec().clone(), envs, blocks, way })
    }

    /// Shapes of what one seat shows and takes.
    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The blocks, one per group, in the order of seats.
    pub(crate) fn blocks(&self) -> &[Rollout] {
        &self.blocks
    }

    /// The blocks, one per group, to be changed or filled from elsewhere.
    pub(crate) fn blocks_mut(&mut self) -> &mut [Rollout] {
        &mut self.blocks
    }

    /// Hands over all environments and blocks, in the order of seats, until [`put_back`](Self::put_back) returns them.
    pub(crate) fn take(&mut self) -> (Vec<Box<dyn VecEnv>>, Vec<Rollout>) {
        (std::mem::take(&mut self.envs), std::mem::take(&mut self.blocks))
    }

    /// Takes back the environments and blocks that [`take`](Self::take) handed over.
    pub(crate) fn put_back(&mut self, envs: Vec<Box<dyn VecEnv>>, blocks: Vec<Rollout>) {
        (self.envs, self.blocks) = (envs, blocks);
    }

    /// The environments, in the order of seats.
    pub(crate) fn envs(&self) -> impl Iterator<Item = &(dyn VecEnv + 'static)> {
        self.envs.iter().map(|env| &**env)
    }

    /// The environments, in the order of seats, to be restored.
    pub(crate) fn envs_mut(&mut self) -> impl Iterator<Item = &mut (dyn VecEnv + 'static)> {
        self.envs.iter_mut().map(|env| &mut **env)
    }

    /// Starts a first episode in every seat.
    ///
    /// # Errors
    /// If an environment fails; the message names the seat.
    pub(crate) fn reset(&mut self) -> anyhow::Result<()> {
        self.envs.iter_mut().zip(&mut self.blocks).try_for_each(|(env, block)| workers::reset(env.as_mut(), block))
    }

    /// Fills the blocks, whose row 0 is there already: acts and steps once for each further row.
    ///
    /// # Errors
    /// If the policy or an environment fails; the message names the seat.
    pub(crate) fn collect(&mut self, policy: &mut dyn Policy, mode: Mode, clock: &mut Clock) -> anyhow::Result<()> {
        for t in 0..self.blocks[0].horizon() {
            policy.act(&mut self.blocks, t, mode)?;
            clock.lap(Part::Infer);
            self.step(t)?;
            clock.lap(Part::Step);
        }
        Ok(())
    }

    /// Takes the messages of engines that were lost since the last call.
    pub(crate) fn take_crashes(&mut self) -> Vec<String> {
        self.envs.iter_mut().flat_map(|env| env.take_crashes()).collect()
    }

    /// Makes the last row of every block its first, and forgets finished episodes.
    pub(crate) fn carry(&mut self) {
        self.blocks.iter_mut().for_each(Rollout::carry);
    }

    /// Steps all seats by the actions in row `t` of the blocks, and writes row `t + 1`.
    ///
    /// # Errors
    /// If an environment fails; the message names the seat.
    pub(crate) fn step(&mut self, t: usize) -> anyhow::Result<()> {
        match &mut self.way {
            Way::Together(workers) => step_on_workers(&mut self.envs, &mut self.blocks, workers, t),
            Way::Alone => alone(&mut self.envs, &mut self.blocks, t),
            Way::Trying(rows, fastest) => {
                let begin = Instant::now();
                alone(&mut self.envs, &mut self.blocks, t)?;
                (*rows, *fastest) = (*rows + 1, begin.elapsed().min(*fastest));
                if *rows == TRIED {
                    self.way = if *fastest < WORTH { Way::Alone } else { Way::together(self.envs.len())? };
                }
                Ok(())
            }
        }
    }
}

impl Way {
    fn together(groups: usize) -> anyhow::Result<Self> {
        Ok(Way::Together((1..groups).map(Worker::start).collect::<anyhow::Result<_>>()?))
    }
}

fn alone(envs: &mut [Box<dyn VecEnv>], blocks: &mut [Rollout], t: usize) -> anyhow::Result<()> {
    envs.iter_mut().zip(blocks).try_for_each(|(env, block)| workers::step(env.as_mut(), block, t))
}

/// All come back, whatever happened to one; of several failures that of the first seat is told.
fn step_on_workers(
    envs: &mut Vec<Box<dyn VecEnv>>,
    blocks: &mut Vec<Rollout>,
    workers: &[Worker],
    t: usize,
) -> anyhow::Result<()> {
    for ((env, block), worker) in envs.drain(1..).zip(blocks.drain(1..)).zip(workers) {
        worker.send(env, block, t);
    }
    let mut done = workers::step(envs[0].as_mut(), &mut blocks[0], t);
    for worker in workers {
        let ((env, block), theirs) = worker.receive();
        envs.push(env);
        blocks.push(block);
        done = done.and(theirs);
    }
    done
}

/// Episodes that finished in filled blocks, each with the row that it ended in, in the order of time, then of seats.
pub(crate) fn finished(blocks: &[Rollout]) -> impl Iterator<Item = (usize, &Episode)> {
    let mut left: Vec<_> = blocks.iter().map(|block| block.episodes.iter()).collect();
    let row = move |t| {
        let ended = |block: &Rollout| block.end.row(t).iter().filter(|end| end.over()).count();
        let episodes = blocks.iter().zip(&mut left).flat_map(|(block, left)| left.by_ref().take(ended(block)));
        episodes.map(|episode| (t, episode)).collect::<Vec<_>>()
    };
    (1..=blocks.first().map_or(0, Rollout::horizon)).flat_map(row)
}

/// Emulator frames and agent steps in filled blocks; the row of a reset counts as neither.
pub(crate) fn count(blocks: &[Rollout]) -> (u64, u64) {
    let rows = blocks.iter().flat_map(|block| (1..=block.horizon()).map(|t| block.frames.row(t)));
    let frames = rows.flatten().map(|&frames| u64::from(frames)).sum();
    (frames, played(blocks).count() as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rl_agents::UpdateRatio;
    use rl_core::{Act, Batch, Canvas, End, Env, Error, Obs, Result, State, Step};

    use super::*;

    /// Fails or panics at a step of its own.
    struct Fuse {
        left: Option<u32>,
        panics: bool,
        _alive: Arc<()>,
    }

    impl Env for Fuse {
        const ID: &'static str = "fuse";
        const VERSION: u32 = 1;
        type Config = ();

        fn new(_config: &()) -> Result<Self> {
            Ok(Self { left: None, panics: false, _alive: Arc::new(()) })
        }

        fn spec(&self) -> Spec {
            let (symbols, discrete, continuous) = ([].into(), [2].into(), [].into());
            Spec { frame: [0; 3], stack: 1, vector: 1, symbols, mask: false, discrete, continuous }
        }

        fn reset(&mut self, _seed: u64, obs: Obs<'_>) -> Result<()> {
            obs.vector[0] = 0.0;
            Ok(())
        }

        fn step(&mut self, _act: Act<'_>, obs: Obs<'_>) -> Result<Step> {
            obs.vector[0] += 1.0;
            self.left = self.left.map(|left| left - 1);
            match self.left {
                Some(0) if self.panics => panic!("the fuse\nblew"),
                Some(0) => Err(Error::Engine { env: "fuse".to_owned(), message: "blew".to_owned() }),
                _ => Ok(Step { reward: 1.0, end: End::No, frames: 1 }),
            }
        }

        fn save(&self, _out: &mut Vec<u8>) -> Result<()> {
            Ok(())
        }

        fn load(&mut self, _bytes: &[u8]) -> Result<()> {
            Ok(())
        }

        fn draw(&self, _canvas: &mut Canvas) {}
    }

    struct Zero;

    impl Policy for Zero {
        fn act(&mut self, blocks: &mut [Rollout], t: usize, _mode: Mode) -> Result<()> {
            blocks.iter_mut().for_each(|block| block.discrete.row_mut(t).fill(0));
            Ok(())
        }

        fn is_recurrent(&self) -> bool {
            false
        }

        fn state(&mut self) -> State<'_> {
            Vec::new()
        }
    }

    const PLAN: Plan = Plan { horizon: 4, extra: 0, pace: Some(UpdateRatio { updates: 1, steps: 1 }) };

    /// Six seats from 10 on, of which those of `fuses` fail at a step.
    fn fail(workers: Workers, fuses: &[(u32, u32)], panics: bool) -> (String, usize) {
        let alive = Arc::new(());
        let build = |seating: &Seating| -> anyhow::Result<Box<dyn VecEnv>> {
            let fuse = |seat: u32| {
                let left = fuses.iter().find(|(at, _)| *at == seat).map(|&(_, left)| left);
                Fuse { left, panics, _alive: Arc::clone(&alive) }
            };
            Ok(Box::new(Batch::new(seating.seats.clone().map(fuse).collect(), seating)))
        };
        let envs = groups(&build, &Seating { seed: 1, seats: 10..16 }, workers, 1).unwrap();
        let mut seats = Seats::new(envs, PLAN, workers).unwrap();
        seats.reset().unwrap();
        let failed = loop {
            match seats.collect(&mut Zero, Mode::Explore, &mut Clock::default()) {
                Ok(()) => seats.carry(),
                Err(error) => break format!("{error:#}"),
            }
        };
        assert_eq!(seats.envs.len(), seats.blocks.len(), "every group comes back");
        drop(seats);
        (failed, Arc::strong_count(&alive))
    }

    #[test]
    fn a_failure_names_the_first_seat_that_failed_wherever_it_was_stepped() {
        rl_core::hush_caught_panics();
        for workers in [Workers::Exactly(1), Workers::Exactly(3), Workers::Exactly(64), Workers::UpTo(4)] {
            let (error, alive) = fail(workers, &[(15, 7), (13, 7), (11, 8)], false);
            assert_eq!((error.as_str(), alive), ("seat 13: environment fuse: blew", 1), "{workers:?}");
            let (error, alive) = fail(workers, &[(12, 3)], true);
            assert!(
                error.starts_with("seat 12: the environment panicked: the fuse\nblew (runner/src/collect.rs:"),
                "{error}"
            );
            assert_eq!(alive, 1, "{workers:?}: nothing is left behind");
        }
    }

    #[test]
    fn seats_of_one_world_are_in_one_group() {
        let asked = std::cell::RefCell::new(Vec::new());
        let build = |seating: &Seating| -> anyhow::Result<Box<dyn VecEnv>> {
            asked.borrow_mut().push(seating.seats.clone());
            let envs = seating.seats.clone().map(|_| Fuse::new(&())).collect::<Result<_>>()?;
            Ok(Box::new(Batch::new(envs, seating)))
        };
        // Where each group begins.
        let cases: [(Range<u32>, usize, &[u32]); 6] = [
            (10..22, 3, &[10, 14, 18]),
            (10..22, 2, &[10, 14]),
            (0..4, 8, &[0]),
            (0..6, 1, &[0]),
            (0..2, 1, &[0]),
            (0..9, 2, &[0]), // all in one, which the environment refuses
        ];
        for (seats, workers, expected) in cases {
            let end = seats.end;
            groups(&build, &Seating { seed: 1, seats }, Workers::Exactly(workers), 4).unwrap();
            let asked = asked.take();
            assert_eq!(asked.iter().map(|seats| seats.start).collect::<Vec<_>>(), expected);
            assert!(asked.windows(2).all(|pair| pair[0].end == pair[1].start) && asked[asked.len() - 1].end == end);
        }
    }

    #[test]
    fn rows_that_take_no_time_stay_in_this_thread() {
        let build = |seating: &Seating| -> anyhow::Result<Box<dyn VecEnv>> {
            let envs = seating.seats.clone().map(|_| Fuse::new(&())).collect::<Result<_>>()?;
            Ok(Box::new(Batch::new(envs, seating)))
        };
        let workers = Workers::UpTo(4);
        let envs = groups(&build, &Seating { seed: 1, seats: 0..6 }, workers, 1).unwrap();
        let mut seats = Seats::new(envs, PLAN, workers).unwrap();
        seats.reset().unwrap();
        assert!(matches!(seats.way, Way::Trying(0, _)));
        for _ in 0..TRIED / 4 {
            seats.collect(&mut Zero, Mode::Explore, &mut Clock::default()).unwrap();
            seats.carry();
        }
        assert!(matches!(seats.way, Way::Alone), "six seats that count to one");
    }
}
