//! Threads that act and step while this one learns: blocks go there empty and come back full, by value.
//!
//! An actor owns its seats' environments, a policy with weights of its own, and a few blocks. For every block it first
//! takes over the weights that were published last, and notes their version in it. The learner's thread takes the next
//! block of every actor, in the order of seats, and gives them back once it has learned from them and published what
//! came of it.
//!
//! The number of blocks is all that holds an actor back, and it bounds the lag: with `max_lag + 1` blocks an actor
//! begins its block r when block r - max_lag - 1 has come back, so that no block is older than `max_lag` rounds when it
//! is learned from. Without a lag actors and learner take turns, and the bits are those of a run without actors.
//!
//! At rest, as for a checkpoint, all that was under way has been learned from, the threads have ended, and what they
//! owned is back with the session: nothing but how old which weights were is lost between two sittings.

use std::collections::VecDeque;
use std::ops::Range;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use anyhow::{Context as _, anyhow, bail};
use crossbeam_channel::{Receiver, Sender, bounded, never};
use rayon::ThreadPoolBuilder;
use rl_agents::{Actor, Learner, Mode, Policy};
use rl_core::{Rng, Seating, Stream, VecEnv, caught};
use rl_replays::Rollout;

use crate::collect::workers;
use crate::collect::{self, Seats};

/// Restarts of an actor's environments that are allowed between two whole blocks.
const PATIENCE: u32 = 3;

/// Builds the environments of a range of seats again after they failed.
pub(crate) type Rebuild = Arc<dyn Fn(&Seating) -> anyhow::Result<Box<dyn VecEnv>> + Send + Sync>;

/// The actors of a run: at rest between sittings and checkpoints, else running in threads.
pub(crate) struct Actors {
    /// One per group of seats, in their order; empty while the threads run, which own them then.
    crews: Vec<Crew>,
    running: Option<Running>,
    rebuild: Rebuild,
    seed: u64,
    /// How often each actor's environments were built anew.
    restarts: Vec<u32>,
}

/// What an actor owns besides its environments and the block that it fills.
struct Crew {
    actor: Actor,
    seats: Range<u32>,
    /// Blocks beyond the one that is kept in [`Seats`]: one per round of lag.
    spares: Vec<Rollout>,
    /// The last row of the last block that was filled: the next block begins with it.
    edge: Rollout,
}

/// What a thread hands back when told to rest: environments and crew; `None` if it failed or was abandoned.
type Returned = Option<(Box<dyn VecEnv>, Crew)>;

/// A message from an actor's thread to the learner's.
#[allow(clippy::large_enum_variant)] // nearly all of them are blocks
enum Event {
    /// A whole block of the actor with this number, and messages of engines that were lost while it filled.
    Full(usize, Rollout, Vec<String>),
    /// The environments of the actor with this number failed for this reason and were built anew.
    Restarted(usize, String),
    /// An actor ended with an error; of several, the first is reported.
    Failed(anyhow::Error),
}

/// The threads of actors under way, and this side's ends of their channels.
struct Running {
    threads: Vec<JoinHandle<Returned>>,
    empties: Vec<Sender<Rollout>>,
    events: Receiver<Event>,
    /// Full blocks of each actor that were not yet handed to the learner, oldest first.
    full: Vec<VecDeque<Rollout>>,
    /// Blocks of each actor that were learned from and have not been given back.
    kept: Vec<Vec<Rollout>>,
    /// Rounds still to come for which the actors have blocks.
    rounds: usize,
    abandoned: Arc<AtomicBool>,
}

impl Actors {
    /// Makes an actor per group of `seats`; `None` if `learner` offers no actors.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub(crate) fn new(
        learner: &dyn Learner,
        seats: &Seats,
        seed: u64,
        rebuild: Rebuild,
    ) -> rl_core::Result<Option<Self>> {
        let (mut crews, mut first) = (Vec::new(), 0);
        for block in seats.blocks() {
            let range = first..first + block.seats() as u32;
            first = range.end;
            let Some(actor) = learner.actor(range.clone())? else { return Ok(None) };
            let empty = |horizon| Rollout::new(block.spec(), horizon, block.seats(), block.extra.width());
            let spares = (0..actor.max_lag).map(|_| empty(block.horizon())).collect();
            crews.push(Crew { actor, seats: range, spares, edge: empty(1) });
        }
        let restarts = vec![0; crews.len()];
        Ok(Some(Self { crews, running: None, rebuild, seed, restarts }))
    }

    /// Has the spare blocks of the first actor record outputs; those of [`Seats`] are told separately.
    pub(crate) fn record_outputs(&mut self) {
        self.crews.first_mut().into_iter().flat_map(|crew| &mut crew.spares).for_each(Rollout::record_outputs);
    }

    /// Whether no thread is running, so that every part can be saved.
    pub(crate) fn at_rest(&self) -> bool {
        self.running.is_none()
    }

    /// Rounds by which the weights that filled a block may be older than those that learn from it.
    pub(crate) fn max_lag(&self) -> usize {
        self.crews.first().map_or(0, |crew| crew.actor.max_lag)
    }

    /// Sum of the restarts of all actors: how often environments that failed were built anew.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.iter().map(|&restarts| u64::from(restarts)).sum()
    }

    /// Restarts of each actor, in the order of seats, to be saved and loaded.
    pub(crate) fn restarts_mut(&mut self) -> &mut Vec<u32> {
        &mut self.restarts
    }

    /// The actors' policies, in the order of seats.
    ///
    /// # Panics
    /// If actors are under way.
    pub(crate) fn policies(&mut self) -> impl Iterator<Item = &mut (dyn Policy + 'static)> {
        assert!(self.at_rest(), "what is under way cannot be looked at");
        self.crews.iter_mut().map(|crew| &mut *crew.actor.policy)
    }

    /// Starts the threads with the environments and blocks of `seats`. They begin with the weights published last.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(crate) fn start(&mut self, seats: &mut Seats) -> anyhow::Result<()> {
        let (envs, blocks) = seats.take();
        let count = self.crews.len();
        let rounds = self.max_lag() + 1;
        // As many places as there are blocks: a full one never waits.
        let (to_learner, events) = bounded(count * rounds);
        let abandoned = Arc::new(AtomicBool::new(false));
        // Each actor multiplies in a small pool of its own: in a shared one its kernels would wait for the learner's.
        // The learner keeps all of its threads.
        let sharing = count + usize::from(self.max_lag() > 0);
        let threads = (rayon::current_num_threads() / sharing).max(1);
        let mut running = Running {
            threads: Vec::new(),
            empties: Vec::new(),
            events,
            full: (0..count).map(|_| VecDeque::new()).collect(),
            kept: (0..count).map(|_| Vec::new()).collect(),
            rounds,
            abandoned: abandoned.clone(),
        };
        for (number, ((env, block), mut crew)) in envs.into_iter().zip(blocks).zip(self.crews.drain(..)).enumerate() {
            let (empties, from_learner) = bounded(rounds);
            for spare in crew.spares.drain(..) {
                assert!(empties.send(spare).is_ok(), "its other end is here");
            }
            running.empties.push(empties);
            let thread = Thread {
                number,
                empties: from_learner,
                events: to_learner.clone(),
                abandoned: abandoned.clone(),
                rebuild: self.rebuild.clone(),
                seed: self.seed,
                restarts: self.restarts[number],
            };
            let name = format!("actor-{}", crew.seats.start);
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().context("starting an actor")?;
            let run = move || pool.install(|| thread.run(env, crew, block));
            running.threads.push(Builder::new().name(name).spawn(run).context("starting an actor")?);
        }
        self.running = Some(running);
        Ok(())
    }

    /// Waits for the next block of every actor and returns them in the order of seats; appends messages on lost engines
    /// and restarts to `notes`.
    ///
    /// # Errors
    /// If an actor failed: the run can only go on from its last checkpoint.
    ///
    /// # Panics
    /// If no actors are under way, or they have no block for another round.
    pub(crate) fn round(&mut self, notes: &mut Vec<String>) -> anyhow::Result<Vec<Rollout>> {
        let running = self.running.as_mut().expect("the caller starts the actors");
        assert!(running.rounds > 0, "a round that no actor has a block for never comes");
        while running.full.iter().any(VecDeque::is_empty) {
            match running.events.recv() {
                Ok(Event::Full(number, block, lost)) => {
                    running.full[number].push_back(block);
                    notes.extend(lost.into_iter().map(collect::lost));
                }
                Ok(Event::Restarted(number, why)) => {
                    self.restarts[number] += 1;
                    notes.push(format!("{why}: its actor's seats begin new episodes"));
                }
                Ok(Event::Failed(error)) => return Err(error),
                Err(_) => bail!("every actor has ended"),
            }
        }
        running.rounds -= 1;
        Ok(running.full.iter_mut().map(|full| full.pop_front().expect("one of each is there")).collect())
    }

    /// Takes back the blocks of a round that was learned from, until [`give_back`](Self::give_back) returns them to the
    /// actors.
    pub(crate) fn keep(&mut self, blocks: Vec<Rollout>) {
        let Some(running) = &mut self.running else { return };
        running.kept.iter_mut().zip(blocks).for_each(|(kept, block)| kept.push(block));
    }

    /// Gives the kept blocks back to the actors to be filled again. Called only when another round is wanted, so that
    /// nothing is played in vain.
    pub(crate) fn give_back(&mut self) {
        let Some(running) = &mut self.running else { return };
        running.rounds += usize::from(running.kept.iter().all(|kept| !kept.is_empty()));
        for (empties, kept) in running.empties.iter().zip(&mut running.kept) {
            for block in kept.drain(..) {
                let _ = empties.send(block); // an actor that has ended says why in the next round
            }
        }
    }

    /// Whether the actors have blocks for another round without one given back.
    pub(crate) fn under_way(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.rounds > 0)
    }

    /// Ends the threads, all of whose blocks must have been [kept](Self::keep), and puts environments and blocks back
    /// into `seats`.
    ///
    /// # Errors
    /// If an actor failed after its last block.
    pub(crate) fn rest(&mut self, seats: &mut Seats) -> anyhow::Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        running.empties.clear(); // ends their loops
        let (mut envs, mut blocks) = (Vec::new(), Vec::new());
        for (thread, mut kept) in running.threads.drain(..).zip(running.kept.drain(..)) {
            let Ok(Some((env, mut crew))) = thread.join() else {
                let failed = running.events.try_iter().find_map(|event| match event {
                    Event::Failed(error) => Some(error),
                    _ => None,
                });
                return Err(failed.unwrap_or_else(|| anyhow!("an actor has ended")));
            };
            let mut block = kept.pop().expect("every actor had a block");
            block.begin_with(&crew.edge, 0);
            crew.spares = kept;
            envs.push(env);
            blocks.push(block);
            self.crews.push(crew);
        }
        seats.put_back(envs, blocks);
        Ok(())
    }
}

impl Drop for Running {
    /// Ends the threads however the run ends: within a step, or when they next ask for a block.
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.empties.clear();
        self.events = never();
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // it catches its panics
        }
    }
}

/// What an actor's thread runs with.
struct Thread {
    number: usize,
    empties: Receiver<Rollout>,
    events: Sender<Event>,
    abandoned: Arc<AtomicBool>,
    rebuild: Rebuild,
    seed: u64,
    restarts: u32,
}

/// How the filling of a block ended.
enum Fate {
    Full,
    Abandoned,
    Broken(anyhow::Error),
}

impl Thread {
    /// Fills blocks until no empty one comes any more, and returns what it owned; `None` if it failed or was abandoned.
    fn run(mut self, env: Box<dyn VecEnv>, crew: Crew, block: Rollout) -> Returned {
        let number = self.number;
        let done = caught(|| self.act(env, crew, block));
        match done.unwrap_or_else(|panic| Err(anyhow!("it panicked: {panic}"))) {
            Ok(parts) => parts,
            Err(error) => {
                let _ = self.events.send(Event::Failed(error.context(format!("actor {number}"))));
                None
            }
        }
    }

    fn act(&mut self, mut env: Box<dyn VecEnv>, mut crew: Crew, mut block: Rollout) -> anyhow::Result<Returned> {
        let mut failures = 0;
        loop {
            match self.fill(env.as_mut(), &mut crew.actor, &mut block)? {
                Fate::Full => failures = 0,
                Fate::Abandoned => return Ok(None),
                Fate::Broken(error) if failures == PATIENCE => {
                    return Err(error.context(format!("after {PATIENCE} restarts without a whole block")));
                }
                Fate::Broken(error) => {
                    failures += 1;
                    env = self.restart(&crew.seats, &mut block)?;
                    if self.events.send(Event::Restarted(self.number, format!("{error:#}"))).is_err() {
                        return Ok(None);
                    }
                    continue;
                }
            }
            crew.edge.begin_with(&block, block.horizon());
            if self.events.send(Event::Full(self.number, block, env.take_crashes())).is_err() {
                return Ok(None);
            }
            match self.empties.recv() {
                Ok(empty) => block = empty,
                Err(_) => return Ok(Some((env, crew))),
            }
            block.begin_with(&crew.edge, 0);
        }
    }

    /// Fills `block`, whose row 0 is there already, by the weights published last.
    fn fill(&self, env: &mut dyn VecEnv, actor: &mut Actor, block: &mut Rollout) -> anyhow::Result<Fate> {
        block.weights_version = actor.weights.pull()?;
        for t in 0..block.horizon() {
            if self.abandoned.load(Ordering::Relaxed) {
                return Ok(Fate::Abandoned);
            }
            actor.policy.act(slice::from_mut(block), t, Mode::Explore)?;
            if let Err(error) = workers::step(env, block, t) {
                return Ok(Fate::Broken(error));
            }
        }
        Ok(Fate::Full)
    }

    /// Builds environments for `seats` in place of those that failed, with a seed of their own; `block` begins anew
    /// with their first observations.
    fn restart(&mut self, seats: &Range<u32>, block: &mut Rollout) -> anyhow::Result<Box<dyn VecEnv>> {
        let mut rng = Rng::new(self.seed, Stream::Restart(seats.start));
        let seed = (0..=self.restarts).map(|_| rng.u64()).last().expect("one at least");
        self.restarts += 1;
        block.episodes.clear();
        let mut env =
            (self.rebuild)(&Seating { seed, seats: seats.clone() }).context("building its environments anew")?;
        workers::reset(env.as_mut(), block).context("resetting its new environments")?;
        Ok(env)
    }
}

#[cfg(test)]
mod tests;
