//! Pictures are pinned by their checksum, so that they change only when someone has looked at them again.
//!
//! The tests leave them as PPM files in cargo's `target/tmp`.

use rl_core::{Act, Canvas, Env, Obs, Rng, Stream};
use rl_envs::ENVS;
use rl_envs::classic::cartpole::CartPole;
use rl_envs::grid::frozen_lake::FrozenLake;

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

fn obs(symbols: &mut [u32]) -> Obs<'_> {
    Obs { frame: &mut [], vector: &mut [], symbols, legal: &mut [] }
}

fn walk(id: &str, actions: &[u32]) -> Canvas {
    let mut lake = FrozenLake::new(&config::<FrozenLake>(id)).unwrap();
    let mut symbol = [0];
    lake.reset(&mut Rng::new(1, Stream::Env(0)), obs(&mut symbol)).unwrap();
    for &action in actions {
        lake.step(Act { discrete: &[action], continuous: &[] }, obs(&mut symbol)).unwrap();
    }
    let mut canvas = Canvas::new(1, 1);
    lake.draw(&mut canvas);
    canvas
}

#[test]
fn frozen_lake_shows_start_goal_holes_and_walker() {
    pin("frozenlake", &walk("frozenlake", &[2, 1]), (384, 384), 0x9e51c50167086b32);
    pin("frozenlake8x8", &walk("frozenlake8x8", &[2, 2, 1, 2, 1]), (512, 512), 0x964fe6b05bf29d44);
}

#[test]
fn cartpole_shows_cart_pole_track_and_limits() {
    let mut cartpole = CartPole::new(&config::<CartPole>("cartpole")).unwrap();
    let mut canvas = Canvas::new(1, 1);
    cartpole.start_from([0.8, 0.0, -0.12, 0.0]);
    cartpole.draw(&mut canvas);
    pin("cartpole", &canvas, (600, 400), 0x83fe8273da23b175);
}
