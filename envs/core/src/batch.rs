//! Worlds of one kind of environment, stepped one after the other in one thread.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::rows::Widths;
use crate::{
    Act, Canvas, End, Episode, Error, FiniteMdp, Info, Result, Rng, Rows, Seating, Seats, Spec, Stream, VecEnv, World,
    WorldStep, load_postcard, save_postcard,
};

/// A [`VecEnv`] of independent worlds, stepped one after the other in the calling thread; where `W` is an
/// [`Env`](crate::Env), each seat is a world of its own.
#[derive(Debug)]
pub struct Batch<W> {
    spec: Spec,
    widths: Widths,
    /// Global number of the first seat.
    first: u32,
    worlds: Vec<Course<W>>,
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
struct Course<W> {
    world: W,
    run: Run,
}

/// State of a world beside its own and the returns of its seats.
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
struct First {
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
    /// the first of its seats.
    ///
    /// # Panics
    /// If there are no worlds, their specs differ, or the seats are not divided evenly between them.
    pub fn new(worlds: Vec<W>, seating: &Seating) -> Self {
        let spec = worlds.first().expect("at least one world").spec();
        assert!(worlds.iter().all(|world| world.spec() == spec), "worlds of one spec");
        let together = seating.seats.len() / worlds.len();
        assert_eq!(together * worlds.len(), seating.seats.len(), "as many seats in each of {} worlds", worlds.len());
        let firsts = seating.seats.clone().step_by(together);
        let worlds = worlds.into_iter().zip(firsts).map(|(world, first)| {
            let rng = Rng::new(seating.seed, Stream::Env(first));
            Course { world, run: Run { rng, seed: 0, age: 0, frames: 0, over: true } }
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
    fn together(&self) -> usize {
        if W::ALONE { 1 } else { self.returns.len() / self.worlds.len() }
    }

    /// Returns the world of seat `n`, and the seat's index within the world.
    fn at(&self, n: usize) -> (&Course<W>, usize) {
        let together = self.together();
        (&self.worlds[n / together], n % together)
    }

    /// As [`at`](Self::at), to change it.
    fn at_mut(&mut self, n: usize) -> (&mut Course<W>, usize) {
        let together = self.together();
        (&mut self.worlds[n / together], n % together)
    }
}

/// Extracts the bytes that [`World::save`] wrote from what a seat of a [`Batch`] saved; `None` if `saved` is not of the
/// first seat of a world in a batch.
pub(crate) fn own_bytes(saved: &[u8]) -> Option<Vec<u8>> {
    load_postcard::<First>("", saved).ok().map(|first| first.world)
}

/// Replaces the bytes that [`World::save`] wrote within what the first seat of a world of a [`Batch`] saved.
pub(crate) fn with_own_bytes(saved: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>> {
    let first: First = load_postcard("", saved)?;
    let mut other = Vec::new();
    save_postcard(&First { world: bytes, ..first }, &mut other).map(|()| other)
}

impl<W: World> Course<W> {
    fn reset(&mut self, seats: Seats<'_>, returns: &mut [f64]) -> Result<()> {
        let seed = self.run.rng.u64();
        self.begin(seed, seats, returns)
    }

    fn begin(&mut self, seed: u64, mut seats: Seats<'_>, returns: &mut [f64]) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.world.reset(seed, seats.again()) {
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
        let together = self.together();
        self.worlds.iter_mut().for_each(Course::prepare); // all, before the first is waited for
        for (number, course) in self.worlds.iter_mut().enumerate() {
            let range = number * together..(number + 1) * together;
            self.serving = range.start;
            course.reset(rows.seats(&self.widths, range.clone()), &mut self.returns[range.clone()])?;
            rows.begin(range);
        }
        Ok(())
    }

    fn episode_seed(&self, n: usize) -> u64 {
        self.at(n).0.run.seed
    }

    fn begin(&mut self, seeds: &[u64], mut rows: Rows<'_>) -> Result<()> {
        assert_eq!(seeds.len(), self.returns.len(), "one episode per seat");
        let together = self.together();
        for (number, course) in self.worlds.iter_mut().enumerate() {
            let range = number * together..(number + 1) * together;
            self.serving = range.start;
            let seed = seeds[range.start]; // seats of a world share it
            course.begin(seed, rows.seats(&self.widths, range.clone()), &mut self.returns[range.clone()])?;
            rows.begin(range);
        }
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: Rows<'_>) -> Result<()> {
        let together = self.together();
        for (number, course) in self.worlds.iter_mut().enumerate() {
            let range = number * together..(number + 1) * together;
            let returns = &mut self.returns[range.clone()];
            self.serving = range.start;
            if !course.run.over {
                match course.world.step(act.seats(&self.spec, range.clone()), rows.seats(&self.widths, range.clone())) {
                    Ok(step) => {
                        course.count(step, range.clone(), &mut rows, returns);
                        if step.end.over() {
                            let episode =
                                |(n, &ret): (usize, &f64)| course.run.episode(self.first + n as u32, ret, step.end);
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
            course.reset(rows.seats(&self.widths, range.clone()), returns)?;
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
        let (course, n) = self.at(n);
        course.world.info(n)
    }

    fn shaping_reward(&self, n: usize) -> f32 {
        let (course, n) = self.at(n);
        course.world.shaping_reward(n)
    }

    fn take_crashes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.crashes)
    }

    fn action_names(&self) -> Vec<String> {
        self.worlds[0].world.action_names()
    }

    fn lives(&self, n: usize) -> Option<u32> {
        let (course, n) = self.at(n);
        course.world.lives(n)
    }

    fn listen(&mut self, n: usize) -> Option<u32> {
        let (course, n) = self.at_mut(n);
        course.world.listen(n)
    }

    fn sound(&self, n: usize) -> &[u8] {
        let (course, n) = self.at(n);
        course.world.sound(n)
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
        let (course, n) = self.at(n);
        course.world.draw(n, canvas);
    }

    fn serving(&self) -> u32 {
        self.first + self.serving as u32
    }

    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        let (Course { world, run }, place) = self.at(n);
        let episode = run.episode(self.first + n as u32, self.returns[n], End::No);
        if place > 0 {
            return save_postcard(&episode, out);
        }
        let mut bytes = Vec::new();
        world.save(&mut bytes)?;
        let Run { rng, seed, age, over, .. } = run.clone();
        save_postcard(&First { rng, seed, age, over, episode, world: bytes }, out)
    }

    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        let state = |message: String| Error::State { part: W::ID.to_owned(), message };
        let moved = || {
            state("was saved by another seat of its world: the number of seats that share one has changed".to_owned())
        };
        let (first, episode) = if n.is_multiple_of(self.together()) {
            let whole = |error| if load_postcard::<Episode>("", bytes).is_ok() { moved() } else { error };
            let first: First = load_postcard(W::ID, bytes).map_err(whole)?;
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
        if let Some(First { rng, seed, age, over, episode, world }) = first {
            let course = self.at_mut(n).0;
            course.world.load(&world)?;
            course.run = Run { rng, seed, age, frames: episode.frames, over };
            course.prepare();
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
