//! Seats of one kind of environment, stepped one after the other in one thread.

use serde::{Deserialize, Serialize};

use crate::{
    Act, Canvas, Env, Episode, Error, FiniteMdp, Info, Obs, Result, Rng, Rows, Seating, Spec, Stream, VecEnv,
    load_postcard, save_postcard,
};

/// A [`VecEnv`] of independent environments, one per seat, stepped one after the other in the calling thread.
#[derive(Debug)]
pub struct Batch<E> {
    spec: Spec,
    seats: Vec<Seat<E>>,
    /// Index of the seat that the present or last call was serving.
    serving: usize,
    crashes: Vec<String>,
}

/// Number of engines lost in a row at one reset, of which the last is reported as an error.
const PATIENCE: u32 = 3;

#[derive(Debug)]
struct Seat<E> {
    env: E,
    run: Run,
}

/// State of a seat beside its environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    /// Generator of the seeds of successive episodes.
    rng: Rng,
    /// Seed of the present episode.
    seed: u64,
    #[serde(deserialize_with = "crate::counter")]
    age: u32,
    over: bool,
    episode: Episode,
}

impl<E: Env> Batch<E> {
    /// Makes a batch in which `envs[n]` plays the `n`-th seat of `seating`, with the random stream of that seat.
    ///
    /// # Panics
    /// If there is not exactly one environment per seat, or none, or their specs differ.
    pub fn new(envs: Vec<E>, seating: &Seating) -> Self {
        assert_eq!(envs.len(), seating.seats.len(), "one environment per seat");
        let spec = envs.first().expect("at least one seat").spec();
        assert!(envs.iter().all(|env| env.spec() == spec), "environments of one spec");
        let seats = envs.into_iter().zip(seating.seats.clone()).map(|(env, seat)| {
            let rng = Rng::new(seating.seed, Stream::Env(seat));
            Seat { env, run: Run { rng, seed: 0, age: 0, over: true, episode: started(seat) } }
        });
        Self { spec, seats: seats.collect(), serving: 0, crashes: Vec::new() }
    }
}

/// Extracts the bytes that [`Env::save`] wrote from what a seat of a [`Batch`] saved; `None` if `saved` is not of a
/// batch.
pub(crate) fn own_bytes(saved: &[u8]) -> Option<Vec<u8>> {
    load_postcard::<(Run, Vec<u8>)>("", saved).ok().map(|(_, bytes)| bytes)
}

/// Replaces the bytes that [`Env::save`] wrote within what a seat of a [`Batch`] saved.
pub(crate) fn with_own_bytes(saved: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>> {
    let (run, _): (Run, Vec<u8>) = load_postcard("", saved)?;
    let mut other = Vec::new();
    save_postcard(&(run, bytes), &mut other).map(|()| other)
}

fn started(seat: u32) -> Episode {
    Episode { seat, ret: 0.0, steps: 0, frames: 0, end: crate::End::No, seed: 0 }
}

impl<E: Env> Seat<E> {
    fn reset(&mut self, obs: Obs<'_>) -> Result<()> {
        let seed = self.run.rng.u64();
        self.begin(seed, obs)
    }

    fn begin(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.env.reset(seed, obs.again()) {
                Err(Error::Lost { .. }) if tries < PATIENCE => {}
                done => break done?,
            }
        }
        self.run.seed = seed;
        self.run.age = 0;
        self.run.over = false;
        self.run.episode = started(self.run.episode.seat);
        Ok(())
    }
}

impl<E: Env> VecEnv for Batch<E> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn seats(&self) -> usize {
        self.seats.len()
    }

    fn reset(&mut self, mut rows: Rows<'_>) -> Result<()> {
        for (n, seat) in self.seats.iter_mut().enumerate() {
            self.serving = n;
            seat.reset(rows.obs(&self.spec, n))?;
        }
        rows.begin();
        Ok(())
    }

    fn episode_seed(&self, n: usize) -> u64 {
        self.seats[n].run.seed
    }

    fn begin(&mut self, seeds: &[u64], mut rows: Rows<'_>) -> Result<()> {
        assert_eq!(seeds.len(), self.seats.len(), "one episode per seat");
        for (n, (seat, &seed)) in self.seats.iter_mut().zip(seeds).enumerate() {
            self.serving = n;
            seat.begin(seed, rows.obs(&self.spec, n))?;
        }
        rows.begin();
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: Rows<'_>) -> Result<()> {
        for (n, seat) in self.seats.iter_mut().enumerate() {
            self.serving = n;
            if seat.run.over {
                seat.reset(rows.obs(&self.spec, n))?;
                (rows.age[n], rows.reward[n], rows.end[n], rows.frames[n]) = (0, 0.0, crate::End::No, 0);
                continue;
            }
            let step = match seat.env.step(act.seat(&self.spec, n), rows.obs(&self.spec, n)) {
                Err(error @ Error::Lost { .. }) => {
                    // Nothing answers the action: the row begins another episode, and the transition is none. What was played
                    // so far has no end, and is no episode that could be a score.
                    self.crashes.push(format!("seat {}: {error}", seat.run.episode.seat));
                    seat.reset(rows.obs(&self.spec, n))?;
                    (rows.age[n], rows.reward[n], rows.end[n], rows.frames[n]) = (0, 0.0, crate::End::No, 0);
                    continue;
                }
                step => step?,
            };
            let run = &mut seat.run;
            run.age += 1;
            run.over = step.end.over();
            run.episode.ret += f64::from(step.reward);
            run.episode.steps += 1;
            run.episode.frames += u64::from(step.frames);
            let paid = step.reward + seat.env.shaping_reward();
            (rows.age[n], rows.reward[n], rows.end[n], rows.frames[n]) = (run.age, paid, step.end, step.frames);
            if run.over {
                rows.episodes.push(Episode { end: step.end, seed: run.seed, ..run.episode });
            }
        }
        Ok(())
    }

    fn frame_rate(&self) -> f64 {
        E::FRAME_RATE
    }

    fn assets(&self) -> Vec<(String, String)> {
        self.seats[0].env.assets()
    }

    fn info(&self, n: usize) -> Vec<(&'static str, Info)> {
        self.seats[n].env.info()
    }

    fn shaping_reward(&self, n: usize) -> f32 {
        self.seats[n].env.shaping_reward()
    }

    fn take_crashes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.crashes)
    }

    fn action_names(&self) -> Vec<String> {
        self.seats[0].env.action_names()
    }

    fn lives(&self, n: usize) -> Option<u32> {
        self.seats[n].env.lives()
    }

    fn listen(&mut self, n: usize) -> Option<u32> {
        self.seats[n].env.listen()
    }

    fn sound(&self, n: usize) -> &[u8] {
        self.seats[n].env.sound()
    }

    fn watch(&mut self, n: usize) -> bool {
        self.seats[n].env.watch()
    }

    fn tabular(&self) -> Option<FiniteMdp> {
        self.seats[0].env.tabular()
    }

    fn draw_policy(&self, actions: &[u32], values: &[f64], canvas: &mut Canvas) -> bool {
        self.seats[0].env.draw_policy(actions, values, canvas)
    }

    fn draw(&self, n: usize, canvas: &mut Canvas) {
        self.seats[n].env.draw(canvas);
    }

    fn serving(&self) -> u32 {
        self.seats[self.serving].run.episode.seat
    }

    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        let seat = &self.seats[n];
        let mut bytes = Vec::new();
        seat.env.save(&mut bytes)?;
        save_postcard(&(&seat.run, bytes), out)
    }

    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        let (run, bytes): (Run, Vec<u8>) = load_postcard(E::ID, bytes)?;
        let seat = &mut self.seats[n];
        let (expected, found) = (seat.run.episode.seat, run.episode.seat);
        if found != expected {
            let message = format!("was saved at seat {found}, expected {expected}");
            return Err(Error::State { part: E::ID.to_owned(), message });
        }
        seat.env.load(&bytes)?;
        seat.run = run;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::{End, Step};

    /// Pays 2 a step and ends after three; action 1 loses its engine, and `broken` resets find none.
    struct Frail {
        age: u32,
        broken: u32,
    }

    fn lost() -> Error {
        Error::Lost { env: Frail::ID.to_owned(), message: "gone".to_owned() }
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
            self.age = load_postcard(Self::ID, bytes)?;
            Ok(())
        }

        fn shaping_reward(&self) -> f32 {
            0.5
        }

        fn draw(&self, _canvas: &mut Canvas) {}
    }

    /// A batch with the lanes that it writes.
    struct Table {
        batch: Batch<Frail>,
        symbols: Vec<u32>,
        age: Vec<u32>,
        reward: Vec<f32>,
        end: Vec<End>,
        frames: Vec<u32>,
        episodes: Vec<Episode>,
    }

    impl Table {
        fn new(seats: Range<u32>) -> Self {
            let count = seats.len();
            let envs = (0..count).map(|_| Frail { age: 0, broken: 0 }).collect();
            let batch = Batch::new(envs, &Seating { seed: 1, seats });
            let (symbols, age, frames) = (vec![9; count], vec![9; count], vec![9; count]);
            Self { batch, symbols, age, reward: vec![9.0; count], end: vec![End::No; count], frames, episodes: vec![] }
        }

        fn with<T>(&mut self, call: impl FnOnce(&mut Batch<Frail>, Rows<'_>) -> T) -> T {
            let Self { batch, symbols, age, reward, end, frames, episodes } = self;
            let rows =
                Rows { frame: &mut [], vector: &mut [], symbols, legal: &mut [], age, reward, end, frames, episodes };
            call(batch, rows)
        }

        fn step(&mut self, actions: &[u32]) {
            let act = Act { discrete: actions, continuous: &[] };
            self.with(|batch, rows| batch.step(act, rows)).unwrap();
        }

        fn row(&self, n: usize) -> (u32, u32, f32, End, u32) {
            (self.symbols[n], self.age[n], self.reward[n], self.end[n], self.frames[n])
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
        assert_eq!(table.episodes, [Episode { seat: 3, ret: 6.0, steps: 3, frames: 12, end: End::Terminated, seed }]);
        table.step(&[0]);
        assert_eq!((table.row(0), table.episodes.len()), (RESET, 1));
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
        let told: Vec<(u32, u64)> = table.episodes.iter().map(|episode| (episode.seat, episode.steps)).collect();
        assert_eq!((told, table.batch.take_crashes().len()), (vec![(4, 3), (3, 3)], 0));
    }

    #[test]
    fn a_reset_bears_with_two_lost_engines_and_not_with_three() {
        for (broken, starts) in [(2, true), (3, false)] {
            let mut table = Table::new(0..1);
            table.batch.seats[0].env.broken = broken;
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
