//! Games of a world of two seats, played again as each of them saw it.

use rl_core::embedded_graphics::pixelcolor::Rgb888;
use rl_core::{Act, End, Result, Rng, Spec, Stream, World, WorldRows, WorldStep, load_postcard, save_postcard};
use rl_replays::recording::Replayed;

use super::*;
use crate::games::takes::{Take, manifest, write};
use crate::preset::{Ask, resolve};

/// Each seat sees itself and the sum of all actions, earns its own action, and is drawn as wide as it earned.
struct Pair {
    earned: [u32; 2],
    sum: u32,
    age: u32,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

impl Pair {
    fn show(&self, rows: &mut WorldRows<'_>) {
        (0..2).for_each(|n| rows.obs(n).symbols.copy_from_slice(&[n as u32, self.sum]));
    }
}

impl World for Pair {
    const ID: &'static str = "pair";
    const VERSION: u32 = 1;
    type Config = Config;

    fn seats(_config: &Config) -> usize {
        2
    }

    fn new(_config: &Config) -> Result<Self> {
        Ok(Self { earned: [0; 2], sum: 0, age: 0 })
    }

    fn spec(&self) -> Spec {
        Spec { symbols: [2, 100].into(), discrete: [4].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut rows: WorldRows<'_>) -> Result<()> {
        *self = Self { earned: [0; 2], sum: (seed % 7) as u32, age: 0 };
        self.show(&mut rows);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: WorldRows<'_>) -> Result<WorldStep> {
        (self.age, self.sum) = (self.age + 1, self.sum + act.discrete.iter().sum::<u32>());
        for n in 0..2 {
            self.earned[n] += act.discrete[n];
            rows.reward[n] = act.discrete[n] as f32;
        }
        self.show(&mut rows);
        Ok(WorldStep { end: End::of(self.age == 9, false), frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&(self.earned, self.sum, self.age), out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        (self.earned, self.sum, self.age) = load_postcard(Self::ID, bytes)?;
        Ok(())
    }

    fn draw(&self, n: usize, canvas: &mut Canvas) {
        canvas.begin(1 + self.earned[n] as usize, 1, Rgb888::default());
    }
}

const ENVS: &[EnvEntry] =
    &[EnvEntry::shared::<Pair>("Two who add up", "[env]\n\n[eval]\nepisodes = 4\nepsilon = 0.0\n")];

/// Two games of each seat, of random actions, and the tables that they are played again with.
fn recorded() -> (Recording, Tables) {
    let tables = Tables::new(&[ENVS], &[]);
    let resolved = resolve(&tables, &Ask { env: "pair", ..Ask::default() }).unwrap();
    let mut env = resolved.seat_eval(&Seating { seed: 1, seats: 6..8 }).unwrap();
    let (mut rng, mut takes, mut canvas) = (Rng::new(1, Stream::Tool(0)), Vec::new(), Canvas::new(0, 0));
    let mut block = Rollout::new(env.spec(), 1, 2, 0);
    env.reset(block.first()).unwrap();
    for _ in 0..2 {
        let mut games = [0, 1].map(|n| Take::of_seat(env.as_ref(), n, 2, None).unwrap());
        while !games[0].outcome.end.over() {
            block.discrete.row_mut(0).fill_with(|| rng.below(4));
            let (act, rows) = block.step(0);
            env.step(act, rows).unwrap();
            games.iter_mut().for_each(|game| game.follow(env.as_ref(), &block, &mut canvas).unwrap());
            block.carry();
        }
        takes.extend(games);
        let (act, rows) = block.step(0); // resets
        env.step(act, rows).unwrap();
        block.carry();
    }
    let about = manifest(&resolved, resolved.table("env"), env.as_ref(), Player::Random { seed: 1 }, None).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    write(file.path(), &about, &takes).unwrap();
    (read(file.path()).unwrap(), tables)
}

#[test]
fn the_game_of_a_seat_is_what_it_saw_and_earned_beside_the_other() {
    let (recording, tables) = recorded();
    let mut playback = Playback::new(&recording.manifest, &tables).unwrap();
    let (mut canvas, mut returns) = (Canvas::new(0, 0), Vec::new());
    for (number, played) in recording.episodes.iter().enumerate() {
        assert_eq!((played.seat as usize, played.steps()), (number % 2, 9));
        playback.begin(played).unwrap();
        let (mut replayed, mut earned) = (Replayed::begin(played), 0.0);
        for step in 0..9 {
            let shown = playback.step(played, step).unwrap();
            replayed.step(shown.seen).unwrap();
            assert_eq!(shown.told.reward, played.own_action(step).0[0] as f32);
            assert_eq!(playback.block().symbols.at(0, 0)[0], played.seat);
            earned += f64::from(shown.told.reward);
            playback.draw(&mut canvas);
            assert_eq!(canvas.width(), 1 + earned as usize);
            assert_eq!(shown.ret, (step == 8).then_some(earned));
        }
        assert_eq!(played.outcome.map(|outcome| outcome.ret), Some(earned));
        returns.push(earned);
    }
    assert!(returns[0] != returns[1] || returns[2] != returns[3], "two seats: {returns:?}");
}

#[cfg(feature = "viewer")]
#[test]
fn a_game_goes_on_from_a_state_of_all_seats() {
    let (recording, tables) = recorded();
    let mut playback = Playback::new(&recording.manifest, &tables).unwrap();
    let played = &recording.episodes[3];
    playback.begin(played).unwrap();
    for step in 0..4 {
        playback.step(played, step).unwrap();
    }
    let state = playback.save().unwrap();
    let rest = |playback: &mut Playback| -> Vec<_> {
        (4..9).map(|step| playback.step(played, step).unwrap()).map(|shown| (shown.seen, shown.ret)).collect()
    };
    let expected = rest(&mut playback);
    playback.begin(played).unwrap();
    playback.load(&state).unwrap();
    assert_eq!(rest(&mut playback), expected);
}

#[test]
fn games_of_worlds_of_another_size_are_refused() {
    let (recording, tables) = recorded();
    let alone = Manifest { seats: 1, discrete: vec![4], ..recording.manifest };
    let error = Playback::new(&alone, &tables).err().unwrap().to_string();
    assert_eq!(error, "is of worlds of 1 seats, and pair has worlds of 2");
}
