//! Equality with Python's vizdoom 1.3.2: rewards, tics, variables, labels, and every pixel of all four buffers.
//!
//! `golden/parity.json` is made by `golden/parity.py`.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vizdoom::{Buffer, Config, Game, MapName, Mode};

use support::{Draws, number};

/// Sum of rewards (bits), last tic, actions, checksum of all that was answered.
type Episode = (String, u32, u32, String);

const ACTIONS: u32 = 60;
const TICS: u32 = 4;

fn episode(game: &mut Game, draws: &mut Draws) -> Episode {
    let (mut crc, mut actions) = (crc32fast::Hasher::new(), 0);
    for _ in 0..ACTIONS {
        let row = draws.action(&game.config().available_buttons);
        let reward = game.act(&row, TICS).unwrap();
        let mut line = format!("{} {}", number(reward), game.tic());
        for &variable in &game.config().available_game_variables {
            write!(line, " {}", number(game.variable(variable))).unwrap();
        }
        if !game.is_over() {
            for buffer in [Buffer::Screen, Buffer::Depth, Buffer::Labels, Buffer::Automap] {
                let mut bytes = vec![0; game.buffer_len(buffer)];
                game.copy(buffer, &mut bytes);
                write!(line, " {:08x}", crc32fast::hash(&bytes)).unwrap();
            }
            for label in game.labels() {
                let ([x, y], [width, height]) = (label.corner, label.size);
                write!(line, " {}/{}:{x},{y},{width},{height}", label.name, label.category).unwrap();
            }
        }
        crc.update(line.as_bytes());
        crc.update(b"\n");
        actions += 1;
        if game.is_over() {
            break;
        }
    }
    (number(game.total_reward()), game.tic(), actions, format!("{:08x}", crc.finalize()))
}

#[test]
fn every_scenario_answers_as_it_does_in_python() {
    let package = support::package();
    let golden = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/parity.json")).unwrap();
    let golden: BTreeMap<String, BTreeMap<u32, Vec<Episode>>> = serde_json::from_str(&golden).unwrap();
    assert_eq!(golden.len(), 18, "all scenarios for one player");
    let mut different = Vec::new();
    for (name, runs) in golden {
        for (seed, expected) in runs {
            let mut config = Config::read(&package.join("vizdoom/scenarios").join(format!("{name}.cfg"))).unwrap();
            if name == "freedoom1" {
                config.doom_map = MapName::parse("e1m1").unwrap(); // see MAPS there
            }
            config.seed = Some(seed);
            config.mode = Mode::Player;
            config.window_visible = false;
            config.audio.enabled = false;
            config.depth_buffer_enabled = true;
            config.labels_buffer_enabled = true;
            config.automap.enabled = true;
            let mut game = Game::start(config, &package).unwrap();
            let mut draws = Draws(seed);
            for (number, expected) in expected.into_iter().enumerate() {
                game.new_episode().unwrap();
                let played = episode(&mut game, &mut draws);
                if played != expected {
                    different.push(format!("{name}, seed {seed}, episode {number}: {played:?}, expected {expected:?}"));
                }
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
