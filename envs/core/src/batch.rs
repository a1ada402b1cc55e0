//! Worlds of one kind of environment, stepped one after the other in one thread.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::rows::Widths;
use crate::{
    Act, Canvas, End, Episode, Error, FiniteMdp, Info, Result, Rng, Rows, Seating, Spec, Stream, VecEnv, World,
    WorldRows, WorldStep, load_postcard, save_postcard,
};

/// A [`VecEnv`] of independent worlds, stepped one after the other in the calling thread; where `W` is an
/// [`Env`](crate::Env), each seat is a world of its own.
#[derive(Debug)]
pub struct Batch<W> {
    spec: Spec,
    widths: Widths,
    /// Global number of the first seat.
    first: u32,
    worlds: Vec<Slot<W>>,
    /// Sum of raw rewards of the running episode of each seat, `[worlds, seats of a world]`.
    returns: Vec<f64>,
    /// Index of the seat that the present or last call was serving, the first one of its world.
    serving: usize,
    crashes: Vec<String>,
}

/// Number of engines lost in a row at one reset, of which the last is reported as an error.
const PATIENCE: u32 = 3;

/// A world, and where it is in its episodes.
#[derive(Debug)]
struct Slot<W> {
    world: W,
    run: Run,
}

/// What a batch keeps of a world: its random stream, and where its episode is.
#[derive(Clone, Debug)]
struct Run {
    /// Generator of the seeds of successive episodes.
    rng: Rng,
    /// Seed of the present episode.
    seed: u64,
    age: u32,
    /// Emulator frames of the present episode.
    frames: u64,
    over: bool,
}

/// What the first seat of a world saves. The other seats save their [`Episode`] alone.
#[derive(Serialize, Deserialize)]
struct FirstSeat {
    rng: Rng,
    seed: u64,
    #[serde(deserialize_with = "crate::counter")]
    age: u32,
    over: bool,
    episode: Episode,
    /// What [`World::save`] wrote.
    world: Vec<u8>,
}

impl<W: World> Batch<W> {
    /// Makes a batch in which `worlds[0]` plays the first seats of `seating`, and so on, each with the random stream of
    /// the first of its seats. There are as many seats for each world as [`World::seats`] says.
    ///
    /// # Panics
    /// If there are no worlds or no seats, the specs of worlds differ, or the seats are not divided evenly between them.
    pub fn new(worlds: Vec<W>, seating: &Seating) -> Self {
        let spec = worlds.first().expect("at least one world").spec();
        assert!(worlds.iter().all(|world| world.spec() == spec), "worlds of one spec");
        let seats_per_world = seating.seats.len() / worlds.len();
        assert_eq!(
            seats_per_world * worlds.len(),
            seating.seats.len(),
            "as many seats in each of {} worlds",
            worlds.len()
        );
        assert!(seats_per_world > 0, "at least one seat");
        assert!(seats_per_world == 1 || !W::SINGLE_SEAT, "one environment per seat");
        let firsts = seating.seats.clone().step_by(seats_per_world);
        let worlds = worlds.into_iter().zip(firsts).map(|(world, first)| {
            let rng = Rng::new(seating.seed, Stream::Env(first));
            Slot { world, run: Run { rng, seed: 0, age: 0, frames: 0, over: true } }
        });
        let (first, returns) = (seating.seats.start, vec![0.0; seating.seats.len()]);
        Self {
            widths: Widths::of(&spec),
            spec,
            first,
            worlds: worlds.collect(),
            returns,
            serving: 0,
            crashes: Vec::new(),
        }
    }

    /// Returns the number of seats of each world.
    fn seats_per_world(&self) -> usize {
        if W::SINGLE_SEAT { 1 } else { self.returns.len() / self.worlds.len() }
    }

    /// Returns the world of seat `n`, and the seat's index within the world.
    fn at(&self, n: usize) -> (&Slot<W>, usize) {
        let seats_per_world = self.seats_per_world();
        (&self.worlds[n / seats_per_world], n % seats_per_world)
    }

    /// As [`at`](Self::at), to change it.
    fn at_mut(&mut self, n: usize) -> (&mut Slot<W>, usize) {
        let seats_per_world = self.seats_per_world();
        (&mut self.worlds[n / seats_per_world], n % seats_per_world)
    }
}

/// Extracts the bytes that [`World::save`] wrote from what a seat of a [`Batch`] saved; `None` if `saved` is not of the
/// first seat of a world in a batch.
pub(crate) fn own_bytes(saved: &[u8]) -> Option<Vec<u8>> {
    load_postcard::<FirstSeat>("", saved).ok().map(|first| first.world)
}

/// Replaces the bytes that [`World::save`] wrote within what the first seat of a world of a [`Batch`] saved.
pub(crate) fn with_own_bytes(saved: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>> {
    let first: FirstSeat = load_postcard("", saved)?;
    let mut other = Vec::new();
    save_postcard(&FirstSeat { world: bytes, ..first }, &mut other).map(|()| other)
}

impl<W: World> Slot<W> {
    fn reset(&mut self, rows: WorldRows<'_>, returns: &mut [f64]) -> Result<()> {
        let seed = self.run.rng.u64();
        self.begin(seed, rows, returns)
    }

    fn begin(&mut self, seed: u64, mut rows: WorldRows<'_>, returns: &mut [f64]) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.world.reset(seed, rows.again()) {
                Err(Error::Lost { .. }) if tries < PATIENCE => {}
                done => break done?,
            }
        }
        (self.run.seed, self.run.age, self.run.frames, self.run.over) = (seed, 0, 0, false);
        returns.fill(0.0);
        self.prepare();
        Ok(())
    }

    /// Tells the world which seed it will be reset with.
    fn prepare(&mut self) {
        self.world.prepare(|| self.run.rng.clone().u64());
    }

    /// Completes the row of the seats `range` after a step, and adds it to their returns.
    fn count(&mut self, step: WorldStep, range: Range<usize>, rows: &mut Rows<'_>, returns: &mut [f64]) {
        let run = &mut self.run;
        run.age += 1;
        run.frames += u64::from(step.frames);
        run.over = step.end.over();
        for (n, (row, ret)) in range.zip(returns).enumerate() {
            *ret += f64::from(rows.reward[row]);
            rows.reward[row] += self.world.shaping_reward(n);
            (rows.age[row], rows.end[row], rows.frames[row]) = (run.age, step.end, step.frames);
        }
    }
}

impl Run {
    /// Returns the present episode, of the return `ret` in the seat with the global number `seat`.
    fn episode(&self, seat: u32, ret: f64, end: End) -> Episode {
        Episode { seat, ret, steps: self.age.into(), frames: self.frames, end, seed: self.seed }
    }
}

impl<W: World> VecEnv for Batch<W> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn seats(&self) -> usize {
        self.returns.len()
    }

    fn reset(&mut self, mut rows: Rows<'_>) -> Result<()> {
        let seats_per_world = self.seats_per_world();
        self.worlds.iter_mut().for_each(Slot::prepare); // all, before the first is waited for
        for (number, slot) in self.worlds.iter_mut().enumerate() {
            let range = number * seats_per_world..(number + 1) * seats_per_world;
            self.serving = range.start;
            slot.reset(rows.world(&self.widths, range.clone()), &mut self.returns[range.clone()])?;
            rows.begin(range);
        }
        Ok(())
    }

    fn episode_seed(&self, n: usize) -> u64 {
        self.at(n).0.run.seed
    }

    fn begin(&mut self, seeds: &[u64], mut rows: Rows<'_>) -> Result<()> {
        assert_eq!(seeds.len(), self.returns.len(), "one episode per seat");
        let seats_per_world = self.seats_per_world();
        for (number, slot) in self.worlds.iter_mut().enumerate() {
            let range = number * seats_per_world..(number + 1) * seats_per_world;
            self.serving = range.start;
            let seed = seeds[range.start]; // seats of a world share it
            slot.begin(seed, rows.world(&self.widths, range.clone()), &mut self.returns[range.clone()])?;
            rows.begin(range);
        }
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: Rows<'_>) -> Result<()> {
        let seats_per_world = self.seats_per_world();
        for (number, slot) in self.worlds.iter_mut().enumerate() {
            let range = number * seats_per_world..(number + 1) * seats_per_world;
            let returns = &mut self.returns[range.clone()];
            self.serving = range.start;
            if !slot.run.over {
                match slot.world.step(act.seats(&self.spec, range.clone()), rows.world(&self.widths, range.clone())) {
                    Ok(step) => {
                        slot.count(step, range.clone(), &mut rows, returns);
                        if step.end.over() {
                            let episode =
                                |(n, &ret): (usize, &f64)| slot.run.episode(self.first + n as u32, ret, step.end);
                            rows.episodes.extend(range.zip(&*returns).map(episode));
                        }
                        continue;
                    }
                    // Nothing answers the actions: the rows begin another episode, and the transitions are none. What was
                    // played so far has no end, and is no episode that could be a score.
                    Err(error @ Error::Lost { .. }) => {
                        self.crashes.push(format!("{}: {error}", named(self.first, &range)));
                    }
                    Err(error) => return Err(error),
                }
            }
            slot.reset(rows.world(&self.widths, range.clone()), returns)?;
            rows.begin(range);
        }
        Ok(())
    }

    fn frame_rate(&self) -> f64 {
        W::FRAME_RATE
    }

    fn assets(&self) -> Vec<(String, String)> {
        self.worlds[0].world.assets()
    }

    fn info(&self, n: usize) -> Vec<(&'static str, Info)> {
        let (slot, n) = self.at(n);
        slot.world.info(n)
    }

    fn shaping_reward(&self, n: usize) -> f32 {
        let (slot, n) = self.at(n);
        slot.world.shaping_reward(n)
    }

    fn take_crashes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.crashes)
    }

    fn action_names(&self) -> Vec<String> {
        self.worlds[0].world.action_names()
    }

    fn lives(&self, n: usize) -> Option<u32> {
        let (slot, n) = self.at(n);
        slot.world.lives(n)
    }

    fn listen(&mut self, n: usize) -> Option<u32> {
        let (slot, n) = self.at_mut(n);
        slot.world.listen(n)
    }

    fn sound(&self, n: usize) -> &[u8] {
        let (slot, n) = self.at(n);
        slot.world.sound(n)
    }

    fn watch(&mut self, n: usize) -> bool {
        self.at_mut(n).0.world.watch()
    }

    fn tabular(&self) -> Option<FiniteMdp> {
        self.worlds[0].world.tabular()
    }

    fn draw_policy(&self, actions: &[u32], values: &[f64], canvas: &mut Canvas) -> bool {
        self.worlds[0].world.draw_policy(actions, values, canvas)
    }

    fn draw(&self, n: usize, canvas: &mut Canvas) {
        let (slot, n) = self.at(n);
        slot.world.draw(n, canvas);
    }

    fn serving(&self) -> u32 {
        self.first + self.serving as u32
    }

    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        let (Slot { world, run }, place) = self.at(n);
        let episode = run.episode(self.first + n as u32, self.returns[n], End::No);
        if place > 0 {
            return save_postcard(&episode, out);
        }
        let mut bytes = Vec::new();
        world.save(&mut bytes)?;
        let Run { rng, seed, age, over, .. } = run.clone();
        save_postcard(&FirstSeat { rng, seed, age, over, episode, world: bytes }, out)
    }

    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        let state = |message: String| Error::State { part: W::ID.to_owned(), message };
        let moved = || {
            state("was saved by another seat of its world: the number of seats that share one has changed".to_owned())
        };
        let (first, episode) = if n.is_multiple_of(self.seats_per_world()) {
            let whole = |error| if load_postcard::<Episode>("", bytes).is_ok() { moved() } else { error };
            let first: FirstSeat = load_postcard(W::ID, bytes).map_err(whole)?;
            let episode = first.episode;
            (Some(first), episode)
        } else {
            let alone = |error| if own_bytes(bytes).is_some() { moved() } else { error };
            (None, load_postcard::<Episode>(W::ID, bytes).map_err(alone)?)
        };
        let (expected, found) = (self.first + n as u32, episode.seat);
        if found != expected {
            return Err(state(format!("was saved at seat {found}, expected {expected}")));
        }
        if let Some(FirstSeat { rng, seed, age, over, episode, world }) = first {
            let slot = self.at_mut(n).0;
            slot.world.load(&world)?;
            slot.run = Run { rng, seed, age, frames: episode.frames, over };
            slot.prepare();
        }
        self.returns[n] = episode.ret;
        Ok(())
    }
}

/// Returns the global numbers of the seats `range` of a batch that begins with the seat `first`, for a message.
fn named(first: u32, range: &Range<usize>) -> String {
    let [one, last] = [range.start, range.end - 1].map(|n| first + n as u32);
    if one == last { format!("seat {one}") } else { format!("seats {one} to {last}") }
}

#[cfg(test)]
mod tests;
