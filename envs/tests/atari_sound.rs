//! What a game of Atari sounds like: ALE's samples, and that a game is the same whether anybody listens or not.
//!
//! The golden file and the script that made it are in `tests/golden/atari`.
#![cfg(feature = "atari")]

#[path = "support/lcg.rs"]
mod lcg;

use ale_sys::{Ale, Rom, SOUND_LEN};
use lcg::Lcg;
use rl_core::{Act, Env, Obs, Step};
use rl_envs::atari::{Atari, AtariConfig, ENTRY};

const SOUND: &str = include_str!("../../tests/golden/atari/sound.txt");
/// Frames between two hashes.
const BLOCK: usize = 500;
/// Of sticky actions in `sound.txt`.
const SEED: u32 = 7;
/// Frame skips of a game that is compared with itself.
const STEPS: usize = 2_000;

#[test]
fn four_thousand_frames_sound_as_in_ale_py() {
    for line in SOUND.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [game, uneven, ref hashes @ ..] = *fields else { panic!("{line}") };
        let mut ale = Ale::new(&Rom::find(game).unwrap(), 0.25, SEED).unwrap();
        let actions = ale.legal_actions().to_vec();
        let (mut lcg, mut hash, mut found) = (Lcg(1), crc32fast::Hasher::new(), 0);
        let mut samples = Vec::new();
        for (block, expected) in hashes.iter().enumerate() {
            for _ in 0..BLOCK {
                if ale.game_over() {
                    ale.reset().unwrap();
                }
                ale.act(actions[lcg.below(actions.len())]).unwrap();
                samples.clear();
                ale.hear(&mut samples);
                assert_eq!(samples.len(), SOUND_LEN);
                found += usize::from(samples.iter().any(|&sample| sample != samples[0]));
                hash.update(&samples);
            }
            let (from, to) = (block * BLOCK, (block + 1) * BLOCK);
            assert_eq!(format!("{:08x}", hash.clone().finalize()), *expected, "{game}, frames {from} to {to}");
        }
        assert_eq!(found.to_string(), uneven, "{game}");
    }
}

/// An environment and what it shows.
struct Seat {
    env: Atari,
    frame: Vec<u8>,
}

impl Seat {
    fn new(game: &str, frame_skip: i64) -> Self {
        let preset: toml::Table = ENTRY.preset.parse().unwrap();
        let mut table = preset["env"].as_table().unwrap().clone();
        table.insert("game".to_owned(), game.into());
        table.insert("frame_skip".to_owned(), frame_skip.into());
        let env = Atari::new(&table.try_into::<AtariConfig>().unwrap()).unwrap();
        let frame = vec![0; env.spec().frame_len()];
        Self { env, frame }
    }

    fn reset(&mut self, seed: u64) {
        let obs = Obs { frame: &mut self.frame, vector: &mut [], symbols: &mut [], legal: &mut [] };
        self.env.reset(seed, obs).unwrap();
    }

    fn act(&mut self, action: u32) -> Step {
        let obs = Obs { frame: &mut self.frame, vector: &mut [], symbols: &mut [], legal: &mut [] };
        self.env.step(Act { discrete: &[action], continuous: &[] }, obs).unwrap()
    }

    fn actions(&self) -> usize {
        self.env.spec().discrete[0] as usize
    }

    fn saved(&self) -> Vec<u8> {
        let mut state = Vec::new();
        self.env.save(&mut state).unwrap();
        state
    }
}

/// A tall screen, a paddle, a bank-switched cartridge, one with a sound generator of its own, and games that never are silent.
#[test]
fn a_game_is_the_same_whether_anybody_listens_or_not() {
    for game in ["air_raid", "breakout", "montezuma_revenge", "pitfall2", "kung_fu_master", "space_invaders"] {
        let (mut deaf, mut heard) = (Seat::new(game, 4), Seat::new(game, 4));
        assert_eq!(heard.env.listen(), Some(30_720));
        let (mut lcg, mut noise) = (Lcg(5), 0);
        deaf.reset(1);
        heard.reset(1);
        for step in 0..STEPS {
            let action = lcg.below(deaf.actions()) as u32;
            let (one, two) = (deaf.act(action), heard.act(action));
            assert_eq!(one, two, "{game}, step {step}");
            assert!(deaf.frame == heard.frame, "{game}, frame {step}");
            assert!(deaf.env.console().ram() == heard.env.console().ram(), "{game}, memory in step {step}");
            assert!(deaf.env.console().screen() == heard.env.console().screen(), "{game}, screen of step {step}");
            assert_eq!(heard.env.sound().len(), SOUND_LEN * two.frames as usize);
            assert!(deaf.env.sound().is_empty());
            noise += usize::from(heard.env.sound().iter().any(|&sample| sample != 128));
            if one.end.over() {
                deaf.reset(step as u64);
                heard.reset(step as u64);
                assert!(heard.env.sound().is_empty(), "a reset is not heard");
            }
            if step % 250 == 249 {
                let state = heard.saved();
                assert!(deaf.saved() == state, "{game}, state after step {step}");
                // Who listens goes on from the state of who does not, and the other way round.
                let other = deaf.saved();
                deaf.env.load(&state).unwrap();
                heard.env.load(&other).unwrap();
            }
        }
        assert!(noise > 100, "{game}: {noise} steps were heard");
    }
}

#[test]
fn an_episode_sounds_the_same_whatever_was_before() {
    let listen = |seat: &mut Seat| {
        seat.reset(9);
        let (mut lcg, mut all) = (Lcg(2), Vec::new());
        for _ in 0..400 {
            let action = lcg.below(seat.actions()) as u32;
            seat.act(action);
            all.extend_from_slice(seat.env.sound());
        }
        all
    };
    let mut seat = Seat::new("seaquest", 1);
    seat.env.listen();
    let fresh = listen(&mut seat);
    assert!(fresh.iter().any(|&sample| sample != 128));
    assert!(listen(&mut seat) == fresh);
}
