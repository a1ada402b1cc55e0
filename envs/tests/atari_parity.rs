//! The emulator and the preprocessing against ale-py 0.12.1, Gymnasium's AtariPreprocessing and OpenCV.
//!
//! Golden files and the script that made them are in `tests/golden/atari`.
#![cfg(feature = "atari")]

#[path = "support/lcg.rs"]
mod lcg;

use std::thread;

use ale_sys::{Ale, Rom};
use lcg::Lcg;
use rl_core::{Act, Env, Obs, Rng, Stream};
use rl_envs::atari::{Atari, AtariConfig, ENTRY};

const FRAMES: &str = include_str!("../../tests/golden/atari/frames.txt");
const OBSERVATIONS: &str = include_str!("../../tests/golden/atari/observations.txt");
/// Frames and steps between two hashes.
const BLOCK: usize = 2_000;
const STEP_BLOCK: usize = 100;
/// Of sticky actions in `frames.txt`.
const SEED: u32 = 7;
/// Of sticky actions in `observations.txt`: what the first episode of this stream draws.
const STREAM: (u64, Stream) = (1, Stream::Env(0));
const EPISODE_SEED: u32 = 820_282_386;

/// Lines of fields, without the comment.
fn lines(golden: &str) -> Vec<Vec<&str>> {
    golden.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect()).collect()
}

/// Checks lines on two threads and reports all that fail.
fn check_all(lines: &[Vec<&str>], check: impl Fn(&[&str]) -> Result<(), String> + Sync) {
    let wrong: Vec<String> = thread::scope(|scope| {
        let half = |k: usize| {
            let check = &check;
            scope
                .spawn(move || lines.iter().skip(k).step_by(2).filter_map(|line| check(line).err()).collect::<Vec<_>>())
        };
        [half(0), half(1)].into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(!lines.is_empty() && wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

#[test]
fn twenty_thousand_frames_equal_ale_py() {
    check_all(&lines(FRAMES), |line| {
        let [game, sticky, resets, rewards, ref hashes @ ..] = *line else { panic!("{line:?}") };
        let mut ale = Ale::new(&Rom::find(game).unwrap(), sticky.parse().unwrap(), SEED).unwrap();
        let actions = ale.legal_actions().to_vec();
        let (mut lcg, mut hash, mut sums) = (Lcg(1), crc32fast::Hasher::new(), (0, 0));
        for (block, expected) in hashes.iter().enumerate() {
            for _ in 0..BLOCK {
                if ale.game_over() {
                    ale.reset().unwrap();
                    sums.0 += 1;
                }
                let reward = ale.act(actions[lcg.below(actions.len())]).unwrap();
                sums.1 += reward;
                hash.update(ale.ram());
                hash.update(ale.screen());
                hash.update(&reward.to_le_bytes());
                hash.update(&ale.lives().to_le_bytes());
                hash.update(&u32::from(ale.game_over()).to_le_bytes());
            }
            let found = format!("{:08x}", hash.clone().finalize());
            if found != *expected {
                return Err(format!("{game} sticky {sticky}: frames {} to {}", block * BLOCK, (block + 1) * BLOCK));
            }
        }
        let expected = (resets.parse().unwrap(), rewards.parse().unwrap());
        if sums == expected { Ok(()) } else { Err(format!("{game} sticky {sticky}: {sums:?}, expected {expected:?}")) }
    });
}

#[test]
fn a_thousand_observations_equal_gymnasium() {
    let (seed, stream) = STREAM;
    let drawn = Rng::episode(Rng::new(seed, stream).u64()).u32();
    assert_eq!(drawn, EPISODE_SEED, "the seed in make.py is the one that the stream draws");
    check_all(&lines(OBSERVATIONS), |line| {
        let [game, sticky, format, height, width, mode, difficulty, episodes, ref hashes @ ..] = *line else {
            panic!("{line:?}")
        };
        let name = format!("{game} sticky {sticky} {format} {height}×{width} mode {mode} difficulty {difficulty}");
        let preset: toml::Table = ENTRY.preset.parse().unwrap();
        let mut table = preset["env"].as_table().unwrap().clone();
        let set =
            format!("game = \"{game}\"\nsticky = {sticky}\nformat = \"{format}\"\nheight = {height}\nwidth = {width}");
        table.extend(set.parse::<toml::Table>().unwrap());
        for (key, number) in [("mode", mode), ("difficulty", difficulty)] {
            // Else it stays `default`, as in the preset.
            if let Ok(number) = number.parse::<i64>() {
                table.insert(key.to_owned(), number.into());
            }
        }
        let config: AtariConfig = table.try_into().unwrap();
        let mut env = Atari::new(&config).unwrap();

        let actions = env.spec().discrete[0] as usize;
        let mut frame = vec![0; env.spec().frame_len()];
        let (mut lcg, mut hash, mut played) = (Lcg(2), crc32fast::Hasher::new(), 0);
        let reset = |env: &mut Atari, frame: &mut [u8]| {
            let obs = Obs { frame, vector: &mut [], symbols: &mut [], legal: &mut [] };
            env.reset(Rng::new(seed, stream).u64(), obs).unwrap();
        };
        reset(&mut env, &mut frame);
        hash.update(&frame);
        for (block, expected) in hashes.iter().enumerate() {
            for _ in 0..STEP_BLOCK {
                let action = [lcg.below(actions) as u32];
                let obs = Obs { frame: &mut frame, vector: &mut [], symbols: &mut [], legal: &mut [] };
                let step = env.step(Act { discrete: &action, continuous: &[] }, obs).unwrap();
                let over = step.end.over();
                if !over {
                    hash.update(&frame);
                }
                hash.update(&(step.reward as i32).to_le_bytes());
                hash.update(&env.lives().unwrap().to_le_bytes());
                hash.update(&u32::from(over).to_le_bytes());
                if over {
                    played += 1;
                    reset(&mut env, &mut frame);
                    hash.update(&frame);
                }
            }
            let found = format!("{:08x}", hash.clone().finalize());
            if found != *expected {
                return Err(format!("{name}: steps {} to {}", block * STEP_BLOCK, (block + 1) * STEP_BLOCK));
            }
        }
        if played.to_string() == episodes { Ok(()) } else { Err(format!("{name}: {played} episodes, not {episodes}")) }
    });
}
