//! Pictures are pinned by their checksum, so that they change only when someone has looked at them again.
//!
//! The tests leave them as PPM files in cargo's `target/tmp`.

use rl_core::{Act, Canvas, Env, Obs, Rng, Stream};
use rl_envs::ENVS;
use rl_envs::board::connect_four::ConnectFour;
use rl_envs::cards::blackjack::Blackjack;
use rl_envs::classic::acrobot::Acrobot;
use rl_envs::classic::cartpole::CartPole;
use rl_envs::classic::mountain_car::MountainCar;
use rl_envs::classic::pendulum::Pendulum;
use rl_envs::grid::cliff_walking::CliffWalking;
use rl_envs::grid::frozen_lake::{Config, FrozenLake, Map};
use rl_envs::grid::taxi::Taxi;

fn config<E: Env>(id: &str) -> E::Config {
    let entry = ENVS.iter().find(|entry| entry.id == id).expect("an entry of that name");
    let preset: toml::Table = entry.preset.parse().expect("a preset is TOML");
    preset["env"].clone().try_into().expect("a preset is complete")
}

/// FNV-1a, which needs no crate.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[track_caller]
fn pin(name: &str, canvas: &Canvas, size: (usize, usize), expected: u64) {
    let path = format!("{}/{name}.ppm", env!("CARGO_TARGET_TMPDIR"));
    let mut file = format!("P6\n{} {}\n255\n", canvas.width(), canvas.height()).into_bytes();
    file.extend_from_slice(canvas.pixels());
    std::fs::write(&path, file).expect("target/tmp is writable");
    assert_eq!((canvas.width(), canvas.height()), size, "{path}");
    let found = checksum(canvas.pixels());
    assert_eq!(found, expected, "{path} differs: {found:#018x}; look at it before you pin it");
}

fn obs<'a>(vector: &'a mut [f32], symbols: &'a mut [u32]) -> Obs<'a> {
    Obs { frame: &mut [], vector, symbols, legal: &mut [] }
}

fn walk<E: Env>(id: &str, seed: u64, actions: &[u32]) -> Canvas {
    let mut env = E::new(&config::<E>(id)).unwrap();
    let mut symbols = vec![0; env.spec().symbols.len()];
    env.reset(Rng::new(seed, Stream::Env(0)).u64(), obs(&mut [], &mut symbols)).unwrap();
    for &action in actions {
        env.step(Act { discrete: &[action], continuous: &[] }, obs(&mut [], &mut symbols)).unwrap();
    }
    drawn(&env)
}

#[test]
fn frozen_lake_shows_start_goal_holes_and_walker() {
    pin("frozenlake", &walk::<FrozenLake>("frozenlake", 1, &[2, 1]), (384, 384), 0x9e51c50167086b32);
    pin("frozenlake8x8", &walk::<FrozenLake>("frozenlake8x8", 1, &[2, 2, 1, 2, 1]), (512, 512), 0x964fe6b05bf29d44);
}

#[test]
fn a_lake_of_many_cells_has_a_picture_of_the_same_size() {
    let rows = |side: usize| {
        let mut rows = vec!["F".repeat(side); side];
        rows[0].replace_range(..1, "S");
        rows[side - 1].replace_range(side - 1.., "G");
        rows
    };
    for (side, pixels) in [(16, 512), (21, 504), (22, 506), (100, 500), (600, 600)] {
        let map = Map::Rows(rows(side));
        let mut env = FrozenLake::new(&Config { map, ..config::<FrozenLake>("frozenlake") }).unwrap();
        env.reset(1, obs(&mut [], &mut [0])).unwrap();
        let canvas = drawn(&env);
        assert_eq!((canvas.width(), canvas.height()), (pixels, pixels), "{side} cells");
    }
}

#[test]
fn cliff_walking_shows_meadow_cliff_and_walker() {
    pin("cliffwalking", &walk::<CliffWalking>("cliffwalking", 1, &[0, 1, 1]), (768, 256), 0xaddf6344ec286dd3);
}

#[test]
fn taxi_shows_walls_stands_passenger_and_destination() {
    pin("taxi", &walk::<Taxi>("taxi", 1, &[0, 2]), (400, 400), 0x8951ef7c87fa6b98);
    pin("taxi-taken", &walk::<Taxi>("taxi", 1, &[0, 2, 0, 0, 0, 3, 4, 1]), (400, 400), 0x7d5822cf583a8e91);
}

#[test]
fn blackjack_shows_both_hands_and_the_hidden_card() {
    pin("blackjack", &walk::<Blackjack>("blackjack", 1, &[]), (420, 320), 0xdb0096e95503cd59);
    pin("blackjack-over", &walk::<Blackjack>("blackjack", 1, &[0]), (420, 320), 0xd55eb53efc9fe8f2);
}

/// The best policy and its values.
fn solved<E: Env>(id: &str, discount: f64) -> Canvas {
    let env = E::new(&config::<E>(id)).unwrap();
    let table = env.tabular().unwrap();
    let values = table.value_iteration(discount);
    let mut canvas = Canvas::new(1, 1);
    assert!(env.draw_policy(&table.greedy(&values, discount), &values, &mut canvas));
    canvas
}

#[test]
fn policies_show_an_arrow_and_a_value_in_every_cell_that_is_open() {
    pin("frozenlake-policy", &solved::<FrozenLake>("frozenlake", 0.99), (384, 384), 0x91c4ff417c0db5ea);
    pin("frozenlake8x8-policy", &solved::<FrozenLake>("frozenlake8x8", 0.99), (512, 512), 0x4d1179e56b0a8074);
    pin("cliffwalking-policy", &solved::<CliffWalking>("cliffwalking", 1.0), (768, 256), 0x7e8b5b087a3113cf);
    let taxi = Taxi::new(&config::<Taxi>("taxi")).unwrap();
    assert!(!taxi.draw_policy(&[], &[], &mut Canvas::new(1, 1)), "500 states on 25 cells");
}

#[test]
fn connect_four_shows_stones_of_both_sides_and_a_line_of_four() {
    let mut env = ConnectFour::new(&config::<ConnectFour>("connectfour")).unwrap();
    let (mut planes, mut legal) = ([0.0; 84], [0; 7]);
    for column in [3, 2, 2, 3, 4, 5, 4, 4, 3, 3, 2] {
        let obs = Obs { frame: &mut [], vector: &mut planes, symbols: &mut [], legal: &mut legal };
        env.step(Act { discrete: &[column], continuous: &[] }, obs).unwrap();
    }
    pin("connectfour", &drawn(&env), (452, 396), 0x61c2e68ad9979b19);
    for column in [5, 0, 6] {
        let obs = Obs { frame: &mut [], vector: &mut planes, symbols: &mut [], legal: &mut legal };
        env.step(Act { discrete: &[column], continuous: &[] }, obs).unwrap();
    }
    pin("connectfour-over", &drawn(&env), (452, 396), 0x8835a7edb786d2bb);
}

/// The picture of an environment that starts from a given state.
fn picture<E: Env, const S: usize>(start_from: fn(&mut E, [f64; S]), state: [f64; S]) -> Canvas {
    let mut env = E::new(&config::<E>(E::ID)).unwrap();
    start_from(&mut env, state);
    drawn(&env)
}

fn drawn(env: &impl Env) -> Canvas {
    let mut canvas = Canvas::new(1, 1);
    env.draw(&mut canvas);
    canvas
}

#[test]
fn cartpole_shows_cart_pole_track_and_limits() {
    pin("cartpole", &picture(CartPole::start_from, [0.8, 0.0, -0.12, 0.0]), (600, 400), 0x83fe8273da23b175);
}

#[test]
fn mountain_car_shows_valley_car_and_flag() {
    pin("mountaincar", &picture(MountainCar::start_from, [-0.85, 0.0]), (600, 400), 0x7859b39dd96bf22a);
}

#[test]
fn acrobot_shows_both_links_bar_and_line() {
    pin("acrobot", &picture(Acrobot::start_from, [0.7, 1.1, 0.0, 0.0]), (440, 440), 0x3c68aad90d143920);
}

#[test]
fn pendulum_shows_rod_dial_and_torque() {
    let mut env = Pendulum::new(&config::<Pendulum>("pendulum")).unwrap();
    env.start_from([2.2, 0.0]);
    env.step(Act { discrete: &[], continuous: &[1.5] }, obs(&mut [0.0; 3], &mut [])).unwrap();
    pin("pendulum", &drawn(&env), (400, 400), 0x79b8edba057e6766);
}
