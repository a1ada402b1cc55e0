//! Worlds of one kind of environment, stepped one after the other in one thread.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{
    Act, Canvas, End, Episode, Error, FiniteMdp, Info, Result, Rng, Rows, Seating, Seats, Spec, Stream, VecEnv, World,
    WorldStep, load_postcard, save_postcard,
};

/// A [`VecEnv`] of independent worlds, stepped one after the other in the calling thread; where `W` is an
/// [`Env`](crate::Env), each seat is a world of its own.
#[derive(Debug)]
pub struct Batch<W> {
    spec: Spec,
    worlds: Vec<Course<W>>,
    /// Running episode of each seat, `[worlds, seats of a world]`.
    episodes: Vec<Episode>,
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

/// State of a world beside what it saves itself and the episodes of its seats.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    /// Generator of the seeds of successive episodes.
    rng: Rng,
    /// Seed of the present episode.
    seed: u64,
    #[serde(deserialize_with = "crate::counter")]
    age: u32,
    over: bool,
}

/// What the first seat of a world saves: the episodes of the world, its own, and the bytes of [`World::save`]. The other
/// seats save their [`Episode`] alone.
type First = (Run, Episode, Vec<u8>);

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
            Course { world, run: Run { rng, seed: 0, age: 0, over: true } }
        });
        let episodes = seating.seats.clone().map(started).collect();
        Self { spec, worlds: worlds.collect(), episodes, serving: 0, crashes: Vec::new() }
    }

    /// Returns the number of seats of each world.
    fn together(&self) -> usize {
        self.episodes.len() / self.worlds.len()
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
    load_postcard::<First>("", saved).ok().map(|(_, _, bytes)| bytes)
}

/// Replaces the bytes that [`World::save`] wrote within what the first seat of a world of a [`Batch`] saved.
pub(crate) fn with_own_bytes(saved: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>> {
    let (run, episode, _): First = load_postcard("", saved)?;
    let mut other = Vec::new();
    save_postcard(&(run, episode, bytes), &mut other).map(|()| other)
}

fn started(seat: u32) -> Episode {
    Episode { seat, ret: 0.0, steps: 0, frames: 0, end: End::No, seed: 0 }
}

impl<W: World> Course<W> {
    fn reset(&mut self, seats: Seats<'_>, episodes: &mut [Episode]) -> Result<()> {
        let seed = self.run.rng.u64();
        self.begin(seed, seats, episodes)
    }

    fn begin(&mut self, seed: u64, mut seats: Seats<'_>, episodes: &mut [Episode]) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.world.reset(seed, seats.again()) {
                Err(Error::Lost { .. }) if tries < PATIENCE => {}
                done => break done?,
            }
        }
        (self.run.seed, self.run.age, self.run.over) = (seed, 0, false);
        episodes.iter_mut().for_each(|episode| *episode = started(episode.seat));
        self.prepare();
        Ok(())
    }

    /// Tells the world which seed it will be reset with.
    fn prepare(&mut self) {
        self.world.prepare(|| self.run.rng.clone().u64());
    }

    /// Completes the row of the seats `range` after a step, and counts it in their episodes.
    fn count(&mut self, step: WorldStep, range: Range<usize>, rows: &mut Rows<'_>, episodes: &mut [Episode]) {
        let run = &mut self.run;
        (run.age, run.over) = (run.age + 1, step.end.over());
        for (n, (row, episode)) in range.zip(episodes).enumerate() {
            episode.ret += f64::from(rows.reward[row]);
            episode.steps += 1;
            episode.frames += u64::from(step.frames);
            rows.reward[row] += self.world.shaping_reward(n);
            (rows.age[row], rows.end[row], rows.frames[row]) = (run.age, step.end, step.frames);
            if run.over {
                rows.episodes.push(Episode { end: step.end, seed: run.seed, ..*episode });
            }
        }
    }
}

impl<W: World> VecEnv for Batch<W> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn seats(&self) -> usize {
        self.episodes.len()
    }

    fn reset(&mut self, mut rows: Rows<'_>) -> Result<()> {
        let together = self.together();
        self.worlds.iter_mut().for_each(Course::prepare); // all, before the first is waited for
        for (number, (course, episodes)) in
            self.worlds.iter_mut().zip(self.episodes.chunks_exact_mut(together)).enumerate()
        {
            self.serving = number * together;
            course.reset(rows.seats(&self.spec, self.serving..self.serving + together), episodes)?;
        }
        rows.begin(0..self.episodes.len());
        Ok(())
    }

    fn episode_seed(&self, n: usize) -> u64 {
        self.at(n).0.run.seed
    }

    fn begin(&mut self, seeds: &[u64], mut rows: Rows<'_>) -> Result<()> {
        assert_eq!(seeds.len(), self.episodes.len(), "one episode per seat");
        let together = self.together();
        for (number, (course, episodes)) in
            self.worlds.iter_mut().zip(self.episodes.chunks_exact_mut(together)).enumerate()
        {
            self.serving = number * together;
            let seats = rows.seats(&self.spec, self.serving..self.serving + together);
            course.begin(seeds[self.serving], seats, episodes)?; // seats of a world share it
        }
        rows.begin(0..self.episodes.len());
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: Rows<'_>) -> Result<()> {
        let together = self.together();
        for (number, (course, episodes)) in
            self.worlds.iter_mut().zip(self.episodes.chunks_exact_mut(together)).enumerate()
        {
            let range = number * together..(number + 1) * together;
            self.serving = range.start;
            if !course.run.over {
                match course.world.step(act.seats(&self.spec, range.clone()), rows.seats(&self.spec, range.clone())) {
                    Err(error @ Error::Lost { .. }) => {
                        // Nothing answers the actions: the rows begin another episode, and the transitions are none. What was
                        // played so far has no end, and is no episode that could be a score.
                        self.crashes.push(format!("{}: {error}", named(episodes)));
                    }
                    step => {
                        course.count(step?, range, &mut rows, episodes);
                        continue;
                    }
                }
            }
            course.reset(rows.seats(&self.spec, range.clone()), episodes)?;
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
        self.episodes[self.serving].seat
    }

    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        let (course, place) = self.at(n);
        if place > 0 {
            return save_postcard(&self.episodes[n], out);
        }
        let mut bytes = Vec::new();
        course.world.save(&mut bytes)?;
        save_postcard(&(&course.run, &self.episodes[n], bytes), out)
    }

    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        let state = |message: String| Error::State { part: W::ID.to_owned(), message };
        let moved = || {
            state("was saved by another seat of its world: the number of seats that share one has changed".to_owned())
        };
        let (first, episode) = if n.is_multiple_of(self.together()) {
            let loaded = load_postcard::<First>(W::ID, bytes);
            let whole = |error| if load_postcard::<Episode>("", bytes).is_ok() { moved() } else { error };
            let (run, episode, bytes) = loaded.map_err(whole)?;
            (Some((run, bytes)), episode)
        } else {
            let alone = |error| if own_bytes(bytes).is_some() { moved() } else { error };
            (None, load_postcard::<Episode>(W::ID, bytes).map_err(alone)?)
        };
        let (expected, found) = (self.episodes[n].seat, episode.seat);
        if found != expected {
            return Err(state(format!("was saved at seat {found}, expected {expected}")));
        }
        if let Some((run, bytes)) = first {
            let course = self.at_mut(n).0;
            course.world.load(&bytes)?;
            course.run = run;
            course.prepare();
        }
        self.episodes[n] = episode;
        Ok(())
    }
}

/// Returns the numbers of the seats of a world, for a message.
fn named(episodes: &[Episode]) -> String {
    match episodes {
        [one] => format!("seat {}", one.seat),
        all => format!("seats {} to {}", all[0].seat, all[all.len() - 1].seat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::cover;
    use crate::{Env, Obs, RowsBuf, Step};

    /// Pays 2 a step and ends after three; action 1 loses its engine, and `broken` resets find none.
    struct Frail {
        age: u32,
        broken: u32,
    }

    fn lost() -> Error {
        Error::Lost { env: <Frail as Env>::ID.to_owned(), message: "gone".to_owned() }
    }

    impl Env for Frail {
        const ID: &'static str = "frail";
        const VERSION: u32 = 1;
        type Config = ();

        fn new(_config: &()) -> Result<Self> {
            Ok(Self { age: 0, broken: 0 })
        }

        fn spec(&self) -> Spec {
            Spec { symbols: [9].into(), discrete: [2].into(), ..Spec::none() }
        }

        fn reset(&mut self, _seed: u64, obs: Obs<'_>) -> Result<()> {
            if self.broken > 0 {
                self.broken -= 1;
                return Err(lost());
            }
            (self.age, obs.symbols[0]) = (0, 0);
            Ok(())
        }

        fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step> {
            if act.discrete[0] == 1 {
                return Err(lost());
            }
            self.age += 1;
            obs.symbols[0] = self.age;
            Ok(Step { reward: 2.0, end: End::of(self.age == 3, false), frames: 4 })
        }

        fn save(&self, out: &mut Vec<u8>) -> Result<()> {
            save_postcard(&self.age, out)
        }

        fn load(&mut self, bytes: &[u8]) -> Result<()> {
            self.age = load_postcard(<Self as Env>::ID, bytes)?;
            Ok(())
        }

        fn shaping_reward(&self) -> f32 {
            0.5
        }

        fn draw(&self, _canvas: &mut Canvas) {}
    }

    /// A batch with the row that it writes.
    struct Table {
        batch: Batch<Frail>,
        row: RowsBuf,
    }

    impl Table {
        fn new(seats: Range<u32>) -> Self {
            let envs = seats.clone().map(|_| Frail { age: 0, broken: 0 }).collect();
            let batch = Batch::new(envs, &Seating { seed: 1, seats });
            let mut row = RowsBuf::new(batch.spec(), batch.seats());
            cover(&mut row, 0xAA);
            Self { batch, row }
        }

        fn with<T>(&mut self, call: impl FnOnce(&mut Batch<Frail>, Rows<'_>) -> T) -> T {
            call(&mut self.batch, self.row.rows())
        }

        fn step(&mut self, actions: &[u32]) {
            let act = Act { discrete: actions, continuous: &[] };
            self.with(|batch, rows| batch.step(act, rows)).unwrap();
        }

        fn row(&self, n: usize) -> (u32, u32, f32, End, u32) {
            let row = &self.row;
            (row.symbols[n], row.age[n], row.reward[n], row.end[n], row.frames[n])
        }
    }

    const RESET: (u32, u32, f32, End, u32) = (0, 0, 0.0, End::No, 0);

    #[test]
    fn seats_play_episodes_of_their_own_number_and_begun_ones_take_none_of_them() {
        let seeds = |seats: Range<u32>, begun: bool| {
            let mut table = Table::new(seats);
            let count = table.batch.seats();
            if begun {
                table.with(|batch, rows| batch.begin(&vec![7; count], rows)).unwrap();
                assert!((0..count).all(|n| table.batch.episode_seed(n) == 7));
            }
            table.with(|batch, rows| batch.reset(rows)).unwrap();
            (0..count).map(|n| table.batch.episode_seed(n)).collect::<Vec<u64>>()
        };
        let all = seeds(3..6, false);
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
        assert_eq!((&seeds(4..6, false)[..], seeds(3..6, true)), (&all[1..], all.clone()));
    }

    #[test]
    fn an_episode_counts_raw_rewards_and_emulator_frames_and_a_row_is_paid_the_bonus() {
        let mut table = Table::new(3..4);
        table.with(|batch, rows| batch.reset(rows)).unwrap();
        assert_eq!(table.row(0), RESET);
        for age in 1..=3 {
            table.step(&[0]);
            assert_eq!(table.row(0), (age, age, 2.5, End::of(age == 3, false), 4));
        }
        let seed = table.batch.episode_seed(0);
        assert_eq!(
            table.row.episodes,
            [Episode { seat: 3, ret: 6.0, steps: 3, frames: 12, end: End::Terminated, seed }]
        );
        table.step(&[0]);
        assert_eq!((table.row(0), table.row.episodes.len()), (RESET, 1));
        assert_ne!(table.batch.episode_seed(0), seed);
    }

    #[test]
    fn where_an_engine_is_lost_the_row_is_a_reset_and_no_episode_is_told() {
        let mut table = Table::new(3..5);
        table.with(|batch, rows| batch.reset(rows)).unwrap();
        table.step(&[0, 0]);
        table.step(&[1, 0]);
        assert_eq!((table.row(0), table.row(1)), (RESET, (2, 2, 2.5, End::No, 4)));
        assert_eq!(table.batch.take_crashes(), ["seat 3: environment frail: gone"]);
        (0..3).for_each(|_| table.step(&[0, 0]));
        let told: Vec<(u32, u64)> = table.row.episodes.iter().map(|episode| (episode.seat, episode.steps)).collect();
        assert_eq!((told, table.batch.take_crashes().len()), (vec![(4, 3), (3, 3)], 0));
    }

    #[test]
    fn a_reset_bears_with_two_lost_engines_and_not_with_three() {
        for (broken, starts) in [(2, true), (3, false)] {
            let mut table = Table::new(0..1);
            table.batch.worlds[0].world.broken = broken;
            assert_eq!(table.with(|batch, rows| batch.reset(rows)).is_ok(), starts, "{broken}");
        }
    }

    #[test]
    fn a_seat_takes_up_its_own_state_and_no_other_seats() {
        let mut table = Table::new(3..5);
        table.with(|batch, rows| batch.reset(rows)).unwrap();
        table.step(&[0, 0]);
        let mut bytes = Vec::new();
        table.batch.save(0, &mut bytes).unwrap();
        let error = table.batch.load(1, &bytes).unwrap_err().to_string();
        assert_eq!(error, "saved state of frail: was saved at seat 3, expected 4");
        table.step(&[0, 0]);
        table.batch.load(0, &bytes).unwrap();
        table.step(&[0, 0]);
        assert_eq!((table.row(0).0, table.row(1).0), (2, 3));
    }
}
