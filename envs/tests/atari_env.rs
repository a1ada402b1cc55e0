//! The Atari environment's own rules: what a reset fixes, what a save keeps, what protocols and configurations say.
#![cfg(feature = "atari")]

use ale_sys::Ale;
use rl_core::{Act, Canvas, End, Env, EnvEntry, Error, Obs, Rng, Seating, Step, Stream};
use rl_envs::atari::{Atari, AtariConfig, ENTRY};

/// The family's preset with some keys replaced.
fn table(changes: &str) -> toml::Table {
    let preset: toml::Table = ENTRY.preset.parse().unwrap();
    let mut env = preset["env"].as_table().unwrap().clone();
    env.extend(changes.parse::<toml::Table>().unwrap());
    env
}

fn config(game: &str, changes: &str) -> AtariConfig {
    let mut table = table(changes);
    table.insert("game".to_owned(), game.into());
    table.try_into().unwrap()
}

/// An environment with its buffers and its seat's stream.
struct Seat {
    env: Atari,
    rng: Rng,
    actions: Rng,
    frame: Vec<u8>,
}

impl Seat {
    fn new(game: &str, changes: &str, seed: u64) -> Self {
        let env = Atari::new(&config(game, changes)).unwrap();
        let frame = vec![0; env.spec().frame_len()];
        Self { env, rng: Rng::new(seed, Stream::Env(0)), actions: Rng::new(seed, Stream::Act(0)), frame }
    }

    fn reset(&mut self) {
        let obs = Obs { frame: &mut self.frame, vector: &mut [], symbols: &mut [], legal: &mut [] };
        self.env.reset(self.rng.u64(), obs).unwrap();
    }

    fn step(&mut self) -> Step {
        let action = self.actions.below(self.env.spec().discrete[0]);
        self.act(action)
    }

    fn act(&mut self, action: u32) -> Step {
        let obs = Obs { frame: &mut self.frame, vector: &mut [], symbols: &mut [], legal: &mut [] };
        self.env.step(Act { discrete: &[action], continuous: &[] }, obs).unwrap()
    }

    /// A hash of `steps` steps: observations, rewards, ends, frames and lives.
    fn play(&mut self, steps: usize) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        for _ in 0..steps {
            let step = self.step();
            hash.update(&self.frame);
            hash.update(format!("{step:?} {:?}", self.env.lives()).as_bytes());
            if step.end.over() {
                self.reset();
            }
        }
        hash.finalize()
    }
}

#[test]
fn an_episode_depends_on_its_seed_alone() {
    for game in ["kung_fu_master", "qbert", "double_dunk"] {
        let mut fresh = Seat::new(game, "noops = 30", 5);
        fresh.reset();
        let expected = fresh.play(300);

        let mut used = Seat::new(game, "noops = 30", 6);
        used.reset();
        used.play(500);
        used.rng = Rng::new(5, Stream::Env(0));
        used.actions = Rng::new(5, Stream::Act(0));
        used.reset();
        assert_eq!(used.play(300), expected, "{game}");

        let mut other = Seat::new(game, "noops = 30", 7);
        other.reset();
        assert_ne!(other.play(300), expected, "{game}");
    }
}

#[test]
fn load_then_step_equals_step() {
    let mut seat = Seat::new("breakout", "fire_reset = true\nnoops = 30\nformat = \"rgb\"", 1);
    seat.reset();
    for _ in 0..4 {
        seat.play(150);
        let mut state = Vec::new();
        seat.env.save(&mut state).unwrap();
        let (rng, actions) = (seat.rng.clone(), seat.actions.clone());
        let expected = seat.play(150);

        let mut other = Seat::new("breakout", "fire_reset = true\nnoops = 30\nformat = \"rgb\"", 2);
        other.reset();
        other.play(10);
        other.env.load(&state).unwrap();
        (other.rng, other.actions) = (rng, actions);
        assert_eq!(other.play(150), expected);
    }
}

#[test]
fn damaged_and_foreign_states_are_refused() {
    let mut seat = Seat::new("pong", "", 1);
    seat.reset();
    let mut state = Vec::new();
    seat.env.save(&mut state).unwrap();
    let expected = seat.play(50);
    for cut in [0, 1, 20, 60, state.len() / 2, state.len() - 1] {
        assert!(matches!(seat.env.load(&state[..cut]), Err(Error::State { .. })), "cut at {cut}");
    }
    for at in (0..state.len()).step_by(9973) {
        let mut bytes = state.clone();
        bytes[at] ^= 0x40;
        // The first bytes are counters of the episode, of which any value is one.
        assert!(at < 16 || matches!(seat.env.load(&bytes), Err(Error::State { .. })), "byte {at}");
    }
    let mut other = Seat::new("breakout", "", 1);
    assert!(other.env.load(&state).unwrap_err().to_string().contains("another game"));

    seat.env.load(&state).unwrap();
    seat.actions = Rng::new(1, Stream::Act(0));
    assert_eq!(seat.play(50), expected);
}

#[test]
fn the_cap_truncates_at_its_frame() {
    let mut seat = Seat::new("kung_fu_master", "max_frames = 42\nnoops = 5\nframe_skip = 4", 3);
    for _ in 0..3 {
        seat.reset();
        let opening = seat.env.console().episode_frame();
        assert!((1..=5).contains(&opening));
        let mut frames = opening;
        let last = loop {
            let step = seat.step();
            frames += step.frames;
            if step.end.over() {
                break step;
            }
        };
        assert_eq!((frames, last.end), (42, End::Truncated));
        assert_eq!(seat.env.console().episode_frame(), 42);
    }
}

#[test]
fn what_is_seen_of_a_skip_that_was_cut_in_its_first_frame_is_that_frame_alone() {
    // Without a second frame there is no maximum: a stale one would be seen in what a truncation is bootstrapped from.
    let cap = 4 * 30 + 1;
    let last = |skip: u32, actions: &[u32]| {
        let mut seat = Seat::new("pong", &format!("max_frames = {cap}\nsticky = 0.0\nframe_skip = {skip}"), 3);
        seat.reset();
        let ends: Vec<End> = actions.iter().map(|&action| seat.act(action).end).collect();
        assert!(ends.iter().rev().skip(1).all(|end| !end.over()) && ends.last() == Some(&End::Truncated));
        seat.frame
    };
    let actions: Vec<u32> = (0..31).map(|step| [2, 3, 1][step / 11]).collect();
    let each: Vec<u32> = (0..cap as usize).map(|frame| actions[frame / 4]).collect();
    assert!(last(4, &actions) == last(1, &each), "the last frames of both differ");
}

#[test]
fn what_is_seen_of_a_skip_that_was_cut_later_is_its_last_two_frames() {
    let last = |skip: u32, cap: u32| {
        let mut seat = Seat::new("pong", &format!("max_frames = {cap}\nsticky = 0.0\nframe_skip = {skip}"), 3);
        seat.reset();
        while seat.act(3).end == End::No {}
        assert_eq!(seat.env.console().episode_frame(), cap);
        seat.frame
    };
    for cut in [2, 3] {
        let cap = 4 * 51 + cut; // a multiple of `cut`: skips of as many frames are all whole
        let seen = last(4, cap);
        assert!(seen == last(cut, cap), "{cut}");
        assert!(seen != last(1, cap), "{cut}: the ball is seen twice");
    }
}

#[test]
fn frames_on_the_way_to_a_mode_count_to_the_cap() {
    let new = |cap: u32| Atari::new(&config("video_cube", &format!("mode = 2\nmax_frames = {cap}")));
    let begun = new(1000).unwrap().console().episode_frame();
    assert!(begun > 40, "{begun} frames");
    let error = new(begun).unwrap_err().to_string();
    assert!(error.starts_with("env.max_frames: ") && error.contains(&format!(" {begun} frames")), "{error}");
    new(begun + 1).unwrap();
}

#[test]
fn where_no_action_sticks_a_loaded_start_is_that_of_a_console_switched_on() {
    // These games' resets draw from the generator of sticky actions.
    for game in ["berzerk", "double_dunk"] {
        let mut seat = Seat::new(game, "sticky = 0.0\nframe_skip = 1", 4);
        let place = seat.env.console().screen().as_ptr();
        seat.reset();
        seat.play(100);
        seat.reset();
        assert_eq!(seat.env.console().screen().as_ptr(), place, "{game}: one console plays all episodes");

        let mut fresh = Ale::new(seat.env.console().rom(), 0.0, 77).unwrap();
        fresh.reset().unwrap();
        let actions = fresh.minimal_actions().to_vec();
        for frame in 0..900 {
            assert!(fresh.screen() == seat.env.console().screen(), "{game}: frame {frame}");
            assert!(fresh.ram() == seat.env.console().ram(), "{game}: frame {frame}");
            let action = frame / 7 % actions.len();
            let step = seat.act(action as u32);
            assert_eq!(step.reward, fresh.act(actions[action]).unwrap() as f32, "{game}: frame {frame}");
            if step.end.over() {
                assert!(fresh.game_over(), "{game}: frame {frame}");
                break;
            }
        }
    }
}

#[test]
fn where_objects_of_adventure_lie_by_chance_they_do_so_without_sticky_actions_too() {
    for mode in [0, 1, 2] {
        let mut seat = Seat::new("adventure", &format!("sticky = 0.0\nmode = {mode}"), 4);
        let starts: std::collections::BTreeSet<Vec<u8>> = (0..8)
            .map(|_| {
                seat.reset();
                seat.env.console().ram().to_vec()
            })
            .collect();
        assert_eq!(starts.len() > 1, mode > 0, "mode {mode}: {} starts", starts.len());
    }
}

#[test]
fn all_numbers_of_no_ops_are_drawn() {
    let mut seat = Seat::new("pong", "noops = 5", 7);
    let drawn: std::collections::BTreeSet<u32> = (0..60)
        .map(|_| {
            seat.reset();
            seat.env.console().episode_frame()
        })
        .collect();
    assert_eq!(drawn, (1..=5).collect());
}

/// Kung Fu Master without a move and Pong with FIRE alone are lost in a minute.
#[test]
fn a_game_that_ends_in_its_no_ops_or_by_fire_begins_again() {
    let whole = |game: &str, action: u32| {
        let mut seat = Seat::new(game, "sticky = 0.0\nframe_skip = 1", 1);
        seat.reset();
        (1u32..).find(|_| seat.act(action).end.over()).expect("every game ends")
    };
    let begun = |mut seat: Seat, frames: u32| {
        seat.reset();
        let console = seat.env.console();
        assert!(!console.game_over(), "{}", console.rom().game());
        assert_eq!(console.episode_frame(), frames, "{}: frames of the second game alone", console.rom().game());
    };
    let idle = whole("kung_fu_master", 0);
    let mut seat = Seat::new("kung_fu_master", &format!("sticky = 0.0\nnoops = {}", 2 * idle - 1), 1);
    let noops = loop {
        let mut draws = Rng::episode(seat.rng.clone().u64());
        draws.u32(); // seeds sticky actions
        let noops = 1 + draws.below(2 * idle - 1);
        if noops >= idle {
            break noops;
        }
        seat.rng.u64(); // another episode
    };
    begun(seat, noops - idle);
    let firing = whole("pong", 1);
    let fire = format!("sticky = 0.0\nfire_reset = true\nframe_skip = {}", firing + 100);
    begun(Seat::new("pong", &fire, 1), 100);
}

#[test]
fn minimal_actions_are_the_games_own_and_full_ones_all_eighteen() {
    for (game, minimal) in [("kung_fu_master", 14), ("pong", 6), ("breakout", 4)] {
        let count = |set: &str| Seat::new(game, &format!("actions = \"{set}\""), 1).env.spec().discrete[0];
        assert_eq!([count("minimal"), count("full")], [minimal, 18], "{game}");
    }
}

#[test]
fn lives_are_reported_and_end_nothing() {
    let mut seat = Seat::new("breakout", "fire_reset = true", 1);
    seat.reset();
    let mut lost = 0;
    loop {
        let before = seat.env.lives();
        let step = seat.step();
        match step.end {
            End::LifeLost => {
                lost += 1;
                assert!(seat.env.lives() < before);
            }
            End::Terminated => break,
            _ => assert_eq!(seat.env.lives(), before),
        }
    }
    assert_eq!(lost, 4, "five lives, of which the last ends the game");
}

#[test]
fn fire_is_pressed_only_where_it_exists() {
    // Without FIRE, the ball of Breakout never moves; with it, NOOP alone loses all lives.
    let count = |game: &str, changes: &str| {
        let mut seat = Seat::new(game, changes, 1);
        seat.reset();
        (0..3000).take_while(|_| !seat.act(0).end.over()).count()
    };
    assert_eq!(count("breakout", "fire_reset = false\nsticky = 0.0"), 3000);
    assert!(count("breakout", "fire_reset = true\nsticky = 0.0") < 1000);
    let without = Seat::new("kung_fu_master", "fire_reset = true\nsticky = 0.0", 1);
    assert_eq!(without.env.spec().discrete[0], 14);
    let frames = {
        let mut seat = without;
        seat.reset();
        seat.env.console().episode_frame()
    };
    assert_eq!(frames, 0, "Kung Fu Master's minimal actions hold no FIRE");
}

#[test]
fn bad_configurations_name_their_key_and_the_mend() {
    let seating = Seating { seed: 1, seats: 0..1 };
    let error = |name: &str, table: &toml::Table| (ENTRY.build)(name, table, &seating).err().unwrap().to_string();
    let check = |changes: &str, key: &str, part: &str| {
        let error = error("atari/pong", &table(changes));
        assert!(error.starts_with(&format!("{key}: ")) && error.contains(part), "{changes}: {error}");
    };
    check("frame_skip = 0", "env.frame_skip", "at least 1");
    check("stack = 4000000000", "env.stack", "is more than 256");
    check("sticky = 1.0", "env.sticky", "probability");
    check("sticky = nan", "env.sticky", "probability");
    check("max_frames = 0", "env.max_frames", "exceed");
    check("width = 161", "env.width", "160");
    check("height = 0", "env.height", "at least 1");
    check("mode = 99", "env.mode", "0, 1");
    check("mode = \"easy\"", "env.mode", "modes");
    check("noops = -3", "env.noops", "expected a whole number from 0 on");
    check("difficulty = 7", "env.difficulty", "0, 1");
    check("protocol = \"machado\"", "env.protocol", "machado18, ");
    check("actions = \"all\"", "env.actions", "minimal");
    check("stikcy = 0.1", "env.stikcy", "sticky");

    assert!(error("atari/pongg", &table("")).contains("pongg"));
    assert!(error("atari/pong", &table("game = \"breakout\"")).contains("env.game"));
}

#[test]
fn protocols_overlay_the_preset() {
    let EnvEntry { preset, protocols, .. } = ENTRY;
    let preset: toml::Table = preset.parse().unwrap();
    let sections = |table: &toml::Table| table.keys().cloned().collect::<Vec<_>>();
    assert_eq!(sections(&preset), ["env", "eval"]);
    for &(name, text) in protocols {
        let overlay: toml::Table = text.parse().unwrap();
        assert_eq!(sections(&overlay), ["agent", "env", "eval"], "{name}");
        let mut merged = preset.clone();
        for section in ["env", "eval"] {
            for (key, value) in overlay[section].as_table().unwrap() {
                let old = merged[section].as_table_mut().unwrap().insert(key.clone(), value.clone());
                assert!(old.is_some(), "{name} names {section}.{key}, which the preset does not have");
            }
        }
        if name == "machado18" {
            assert_eq!(merged, preset, "the preset spells its protocol out");
        }
        let agent = overlay["agent"].as_table().unwrap();
        assert_eq!(agent.keys().collect::<Vec<_>>(), ["life_loss", "reward_scale"], "{name}");
        assert!(["ignore", "terminal"].contains(&agent["life_loss"].as_str().unwrap()), "{name}");
        assert_eq!(agent["reward_scale"].as_str(), Some("sign"), "{name}");

        let env = merged["env"].as_table_mut().unwrap();
        env.insert("protocol".to_owned(), name.into());
        (ENTRY.build)("atari/pong", env, &Seating { seed: 1, seats: 0..1 }).unwrap();
    }
}

#[test]
fn protocols_are_those_of_their_sources() {
    /// Frames per step, sticky, no-ops, FIRE, actions and cap; ε, games and cap of an evaluation; a lost life.
    type Protocol = (&'static str, (i64, f64, i64, bool, &'static str, i64), (f64, i64, i64), &'static str);
    let all: [Protocol; 6] = [
        ("machado18", (4, 0.25, 0, false, "minimal", 108_000), (0.001, 100, 108_000), "ignore"),
        ("machado18-paper", (5, 0.25, 0, false, "full", 18_000), (0.01, 100, 18_000), "ignore"),
        ("nature15", (4, 0.0, 30, false, "minimal", 108_000), (0.05, 30, 18_000), "terminal"),
        ("noop30", (4, 0.0, 30, false, "minimal", 108_000), (0.001, 100, 108_000), "terminal"),
        ("ppo17", (4, 0.0, 30, true, "minimal", 400_000), (0.0, 100, 400_000), "terminal"),
        ("atari100k", (4, 0.0, 30, false, "minimal", 108_000), (0.001, 100, 108_000), "terminal"),
    ];
    assert_eq!(ENTRY.protocols.iter().map(|protocol| protocol.0).collect::<Vec<_>>(), all.map(|row| row.0));
    for (&(name, text), (_, (skip, sticky, noops, fire, actions, cap), eval, life_loss)) in
        ENTRY.protocols.iter().zip(all)
    {
        let expected = format!(
            "[agent]\nlife_loss = \"{life_loss}\"\nreward_scale = \"sign\"\n\
            [env]\nframe_skip = {skip}\nsticky = {sticky:?}\nnoops = {noops}\nfire_reset = {fire}\n\
            actions = \"{actions}\"\nmax_frames = {cap}\nmode = \"default\"\ndifficulty = \"default\"\n\
            [eval]\nepsilon = {:?}\nepisodes = {}\nmax_frames = {}\n",
            eval.0, eval.1, eval.2
        );
        assert_eq!(text.parse::<toml::Table>().unwrap(), expected.parse::<toml::Table>().unwrap(), "{name}");
    }
}

#[test]
fn a_picture_is_the_screen_with_square_pixels() {
    let mut seat = Seat::new("kung_fu_master", "", 1);
    seat.reset();
    seat.play(20);
    let mut canvas = Canvas::new(1, 1);
    seat.env.draw(&mut canvas);
    assert_eq!((canvas.width(), canvas.height()), (320, 210));
    let (ale, palette) = (seat.env.console(), seat.env.console().palette());
    let expected: Vec<[u8; 3]> = ale.screen().iter().flat_map(|&index| [palette.rgb[usize::from(index)]; 2]).collect();
    assert!(canvas.pixels() == expected.as_flattened());
}
