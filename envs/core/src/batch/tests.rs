//! Seats of an environment that loses its engine and pays a bonus.

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
    assert_eq!(table.row.episodes, [Episode { seat: 3, ret: 6.0, steps: 3, frames: 12, end: End::Terminated, seed }]);
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

#[test]
fn an_age_that_no_episode_reaches_is_refused() {
    let mut table = Table::new(3..4);
    let mut loaded = |age| {
        let mut bytes = Vec::new();
        table.batch.save(0, &mut bytes).unwrap();
        let first = FirstSeat { age, ..load_postcard("", &bytes).unwrap() };
        bytes.clear();
        save_postcard(&first, &mut bytes).unwrap();
        table.batch.load(0, &bytes)
    };
    assert!(loaded(i32::MAX as u32).is_ok());
    assert!(loaded(i32::MAX as u32 + 1).is_err() && loaded(u32::MAX).is_err());
}

/// Checkpoints hold it.
#[test]
fn a_seat_is_saved_in_the_order_that_it_always_was() {
    let mut table = Table::new(3..4);
    table.with(|batch, rows| batch.reset(rows)).unwrap();
    table.step(&[0]);
    let mut saved = Vec::new();
    table.batch.save(0, &mut saved).unwrap();
    let mut rng = Rng::new(1, Stream::Env(3));
    let seed = rng.u64();
    let episode = (3u32, 2.0f64, 1u64, 4u64, End::No);
    let mut expected = Vec::new();
    save_postcard(&(rng, seed, 1u32, false, episode, vec![1u8]), &mut expected).unwrap();
    assert_eq!(saved, expected);
}

#[test]
#[should_panic(expected = "one environment per seat")]
fn two_seats_are_no_batch_of_one_environment() {
    Batch::new(vec![Frail { age: 0, broken: 0 }], &Seating { seed: 1, seats: 0..2 });
}
