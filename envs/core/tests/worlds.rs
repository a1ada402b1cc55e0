//! Worlds of several seats in a batch.

use rl_core::contract::{Subject, check, cover};
use rl_core::embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use rl_core::{
    Act, Batch, Canvas, End, EnvEntry, Episode, Error, Info, Result, RowsBuf, Seating, Spec, VecEnv, World, WorldRows,
    WorldStep, load_postcard, save_postcard,
};

/// Pays each seat its number and the sum of all actions, and ends after `length` steps; where a seat asks for 3 it loses its
/// engine.
struct Sum {
    players: usize,
    length: u32,
    age: u32,
    shown: Vec<u32>,
    prepared: Option<u64>,
    /// Number of resets with the seed that was told before.
    expected: u64,
    lax: bool,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    players: usize,
    length: u32,
    /// Looks at the first seat's action alone.
    #[serde(default)]
    lax: bool,
}

impl Sum {
    fn show(&self, rows: &mut WorldRows<'_>) {
        for n in 0..self.players {
            rows.obs(n).symbols.copy_from_slice(&[n as u32, self.shown[n], self.age]);
        }
    }
}

impl World for Sum {
    const ID: &'static str = "sum";
    const VERSION: u32 = 1;
    type Config = Config;

    fn seats(config: &Config) -> usize {
        config.players
    }

    fn new(config: &Config) -> Result<Self> {
        let Config { players, length, lax } = *config;
        Ok(Self { lax, players, length, age: 0, shown: vec![0; players], prepared: None, expected: 0 })
    }

    fn spec(&self) -> Spec {
        Spec { symbols: [9, 4, 99].into(), discrete: [4].into(), ..Spec::none() }
    }

    fn prepare(&mut self, next_seed: impl FnOnce() -> u64) {
        self.prepared = Some(next_seed());
    }

    fn reset(&mut self, seed: u64, mut rows: WorldRows<'_>) -> Result<()> {
        self.expected += u64::from(self.prepared == Some(seed));
        self.age = 0;
        self.shown.fill((seed % 4) as u32);
        self.show(&mut rows);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: WorldRows<'_>) -> Result<WorldStep> {
        let taken = if self.lax { &act.discrete[..1] } else { act.discrete };
        assert!(taken.iter().all(|&action| action < 4), "of {:?} one is no action", act.discrete);
        if self.length == LOSES && act.discrete.contains(&3) {
            return Err(Error::Lost { env: "sum".to_owned(), message: "gone".to_owned() });
        }
        self.age += 1;
        self.shown.copy_from_slice(act.discrete);
        self.show(&mut rows);
        let sum: u32 = act.discrete.iter().sum();
        rows.reward.iter_mut().enumerate().for_each(|(n, reward)| *reward = (n as u32 + sum) as f32);
        Ok(WorldStep { end: End::of(self.age >= self.length, false), frames: 2 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&(self.age, &self.shown), out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let (age, shown): (u32, Vec<u32>) = load_postcard(Self::ID, bytes)?;
        if age > self.length || shown.len() != self.players || shown.iter().any(|&action| action > 3) {
            let message = "is of another game".to_owned();
            return Err(Error::State { part: Self::ID.to_owned(), message });
        }
        (self.age, self.shown) = (age, shown);
        Ok(())
    }

    fn shaping_reward(&self, n: usize) -> f32 {
        0.25 * n as f32
    }

    fn info(&self, _n: usize) -> Vec<(&'static str, Info)> {
        vec![("expected", Info::Count(self.expected))]
    }

    fn draw(&self, _n: usize, canvas: &mut Canvas) {
        canvas.begin(8, 8, Rgb888::WHITE);
    }
}

/// Length of a game in which an action of 3 loses the engine.
const LOSES: u32 = 4;

const ENTRY: EnvEntry =
    EnvEntry::shared::<Sum>("Sums", "[env]\nplayers = 3\nlength = 7\n\n[eval]\nepisodes = 3\nepsilon = 0.0\n");

fn table(players: i64, length: i64) -> toml::Table {
    [("players", players), ("length", length)].map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect()
}

/// Two worlds of two seats, the first of which is the seat 6, and their row after a reset.
fn two(length: u32) -> (Batch<Sum>, RowsBuf) {
    let worlds = (0..2).map(|_| Sum::new(&Config { players: 2, length, lax: false }).unwrap()).collect();
    let mut batch = Batch::new(worlds, &Seating { seed: 1, seats: 6..10 });
    let mut row = RowsBuf::new(batch.spec(), batch.seats());
    cover(&mut row, 0xAA);
    batch.reset(row.rows()).unwrap();
    (batch, row)
}

fn step(batch: &mut Batch<Sum>, row: &mut RowsBuf, actions: [u32; 4]) {
    batch.step(Act { discrete: &actions, continuous: &[] }, row.rows()).unwrap();
}

#[test]
fn a_world_of_three_keeps_what_all_promise() {
    assert_eq!((ENTRY.seats_per_world)(&table(3, 7)), 3);
    check(&Subject::new(&ENTRY, "sum").unwrap()).unwrap();
}

#[test]
fn a_world_that_looks_at_one_seats_action_alone_breaks_its_promise() {
    let mut lax = Subject::new(&ENTRY, "sum").unwrap();
    lax.table.insert("lax".to_owned(), true.into());
    let broken = check(&lax).unwrap_err();
    assert_eq!(broken.to_string(), "actions: discrete[1] = 4 is taken, and the highest is 3");
}

#[test]
#[should_panic(expected = "as many seats in each of 2 worlds")]
fn seats_that_are_divided_unevenly_are_no_batch() {
    let worlds = (0..2).map(|_| Sum::new(&Config { players: 2, length: 2, lax: false }).unwrap()).collect();
    Batch::new(worlds, &Seating { seed: 1, seats: 0..3 });
}

#[test]
fn seats_of_a_world_share_seed_age_and_end_and_earn_each_their_own() {
    let (mut batch, mut row) = two(2);
    assert_eq!((&row.age[..], &row.reward[..], &row.frames[..]), (&[0; 4][..], &[0.0; 4][..], &[0; 4][..]));
    let seeds: Vec<u64> = (0..4).map(|n| batch.episode_seed(n)).collect();
    assert!(seeds[0] == seeds[1] && seeds[2] == seeds[3] && seeds[0] != seeds[2], "{seeds:?}");
    step(&mut batch, &mut row, [0, 1, 2, 3]);
    assert_eq!(row.symbols, [0, 0, 1, 1, 1, 1, 0, 2, 1, 1, 3, 1]);
    assert_eq!((&row.reward[..], &row.age[..]), (&[1.0, 2.25, 5.0, 6.25][..], &[1; 4][..]));
    step(&mut batch, &mut row, [1; 4]);
    assert_eq!((&row.end[..], &row.frames[..]), (&[End::Terminated; 4][..], &[2; 4][..]));
    let episode = |n: usize, ret: f64| Episode {
        seat: 6 + n as u32,
        ret,
        steps: 2,
        frames: 4,
        end: End::Terminated,
        seed: seeds[n],
    };
    assert_eq!(row.episodes, [episode(0, 3.0), episode(1, 5.0), episode(2, 7.0), episode(3, 9.0)]);
    step(&mut batch, &mut row, [1; 4]);
    assert_eq!((&row.age[..], &row.reward[..], &row.end[..]), (&[0; 4][..], &[0.0; 4][..], &[End::No; 4][..]));
}

#[test]
fn where_a_world_is_lost_all_of_its_seats_begin_another_episode_and_no_others() {
    let (mut batch, mut row) = two(LOSES);
    step(&mut batch, &mut row, [0; 4]);
    step(&mut batch, &mut row, [0, 3, 0, 0]);
    assert_eq!((&row.age[..], &row.reward[..]), (&[0, 0, 2, 2][..], &[0.0, 0.0, 0.0, 1.25][..]));
    assert_eq!(batch.take_crashes(), ["seats 6 to 7: environment sum: gone"]);
    (0..2).for_each(|_| step(&mut batch, &mut row, [0; 4]));
    assert_eq!(row.episodes.iter().map(|episode| (episode.seat, episode.steps)).collect::<Vec<_>>(), [(8, 4), (9, 4)]);
}

#[test]
fn a_world_is_told_the_seed_of_its_next_episode() {
    let told = |batch: &Batch<Sum>| batch.info(2)[0].1.clone();
    let (mut batch, mut row) = two(2);
    assert_eq!(told(&batch), Info::Count(1));
    (0..3).for_each(|_| step(&mut batch, &mut row, [0; 4]));
    assert_eq!(told(&batch), Info::Count(2), "after an end");
    let mut states = [const { Vec::new() }; 2];
    (0..2).for_each(|n| batch.save(2 + n, &mut states[n]).unwrap());
    let (mut other, mut row) = two(2);
    (0..2).for_each(|n| other.load(2 + n, &states[n]).unwrap());
    (0..3).for_each(|_| step(&mut other, &mut row, [0; 4]));
    assert_eq!(told(&other), Info::Count(2), "after a load");
    other.begin(&[7; 4], row.rows()).unwrap();
    assert_eq!((told(&other), other.episode_seed(3)), (Info::Count(2), 7), "of a seed from elsewhere");
}

#[test]
fn a_state_of_another_place_in_a_world_is_refused_by_that() {
    let (mut batch, _) = two(2);
    for (from, to) in [(0, 1), (1, 0), (3, 2)] {
        let mut bytes = Vec::new();
        batch.save(from, &mut bytes).unwrap();
        let error = batch.load(to, &bytes).unwrap_err().to_string();
        let expected = "saved state of sum: was saved by another seat of its world: the number of seats that share one has \
                        changed";
        assert_eq!(error, expected, "{from} {to}");
    }
    let mut bytes = Vec::new();
    batch.save(0, &mut bytes).unwrap();
    assert_eq!(batch.load(2, &bytes).unwrap_err().to_string(), "saved state of sum: was saved at seat 6, expected 8");
}

#[test]
fn seats_that_make_no_whole_worlds_are_refused() {
    let refused = |players, seats| {
        let built = (ENTRY.build)("sum", &table(players, 2), &Seating { seed: 1, seats });
        built.err().map(|error| error.to_string())
    };
    assert_eq!(refused(3, 3..9), None);
    let multiple = "train.envs is a multiple of that";
    assert_eq!(refused(3, 0..4), Some(format!("env: 4 seats make no whole worlds of 3: {multiple}")));
    assert_eq!(refused(4, 3..9), Some(format!("env: 6 seats make no whole worlds of 4: {multiple}")));
    assert_eq!(refused(2, 4..4), Some(format!("env: 0 seats make no whole worlds of 2: {multiple}")));
    assert_eq!(refused(2, 3..4), Some("env: one seat cannot be played alone: 2 share a world".to_owned()));
    assert_eq!(refused(0, 0..4), Some("env: makes a world without seats".to_owned()));
    assert_eq!((ENTRY.seats_per_world)(&table(0, 2)), 1);
    assert_eq!((ENTRY.seats_per_world)(&"player = 3".parse().unwrap()), 1, "what the build refuses");
}
