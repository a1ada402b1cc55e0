//! Doom: engines that die, limits of time, shaping, seeds as Python's, and what is refused.
#![cfg(feature = "doom")]

#[path = "../vizdoom/tests/support/engines.rs"]
mod engines;
#[path = "support/seated.rs"]
mod seated;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rl_core::{Canvas, End, Info, Result, Seating, VecEnv};
use rl_envs::doom::ENTRY;
use seated::{Actions, RowsBuf, cover, play, preset};

fn seated(name: &str, change: &str) -> Result<Box<dyn VecEnv>> {
    let mut table = preset(&ENTRY, name);
    table.extend(change.parse::<toml::Table>().unwrap_or_else(|e| panic!("{change}: {e}")));
    (ENTRY.build)(name, &table, &Seating { seed: 5, seats: 0..1 })
}

fn basic(change: &str) -> Box<dyn VecEnv> {
    seated("doom/basic", change).unwrap_or_else(|e| panic!("{change}: {e}"))
}

/// Held by who counts engines.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes of engines that this one has started.
fn engines() -> Vec<u32> {
    engines::of(std::process::id())
}

#[test]
fn an_engine_that_is_killed_costs_its_episode_and_no_more() {
    let _alone = alone();
    let mut env = basic("");
    let spec = env.spec().clone();
    let (mut buffer, mut actions) = (RowsBuf::new(&spec, 1), Actions::new(&spec, 1, 1));
    env.reset(buffer.rows()).unwrap();
    for round in 0..3 {
        env.step(actions.draw(&spec), buffer.rows()).unwrap();
        let [engine] = engines()[..] else { panic!("one engine plays: {:?}", engines()) };
        assert!(Command::new("kill").args(["-9", &engine.to_string()]).status().unwrap().success());
        cover(&mut buffer, 0x55);
        env.step(actions.draw(&spec), buffer.rows()).unwrap();
        let row = &buffer;
        assert_eq!((row.age[0], row.end[0], row.reward[0], row.frames[0]), (0, End::No, 0.0, 0), "round {round}");
        assert!(row.episodes.is_empty(), "it has no end, and is no score: {:?}", row.episodes);
        let crashes = env.take_crashes();
        assert!(crashes.len() == 1 && crashes[0].contains("seat 0") && crashes[0].contains("signal 9"), "{crashes:?}");
        assert!(env.take_crashes().is_empty());
    }
    drop(env);
    assert!(engines().is_empty());
}

#[test]
fn episodes_end_by_the_limit_of_the_file_or_by_ours() {
    let _alone = alone();
    for (change, steps, tics) in [
        ("", 75, 300),
        ("max_tics = 4294967295", 75, 300),
        ("max_tics = 30", 8, 30),
        ("max_tics = 30\nframe_repeat = 7", 5, 30),
    ] {
        let mut env = basic(&format!("skill = 1\n{change}"));
        let spec = env.spec().clone();
        let mut buffer = RowsBuf::new(&spec, 1);
        env.reset(buffer.rows()).unwrap();
        let episode = loop {
            let act = rl_core::Act { discrete: &[0], continuous: &[] }; // nothing, so that nobody dies
            env.step(act, buffer.rows()).unwrap();
            if let Some(episode) = buffer.episodes.last() {
                break *episode;
            }
        };
        assert_eq!((episode.steps, episode.frames, episode.end), (steps, tics, End::Truncated), "{change}");
        assert_eq!(episode.ret, -f64::from(tics as u32), "{change}: a tic costs 1");
    }
}

#[test]
fn pinning_decides_no_bit_and_leaves_the_thread_free() {
    let _alone = alone();
    let cores = || rustix::thread::sched_getaffinity(None).unwrap().count();
    let before = cores();
    let checksums = |change: &str| {
        let rows = play(&mut *basic(change), 60, 3, 0);
        rows.iter().map(|row| (crc32fast::hash(&row.frame), row.reward[0].to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(checksums("pin = true"), checksums(""));
    assert_eq!(cores(), before);
}

/// Who watches sees colours, and the agent the same grey: of every place, of the flash of a wound, and of other buffers.
#[test]
#[cfg(target_arch = "x86_64")]
fn colours_for_people_change_no_bit_of_what_agents_see() {
    let _alone = alone();
    let all = "observe = [\"automap\", \"depth\", \"screen\"]\nresolution = \"320x240\"\nwidth = 320\nheight = 240";
    for (name, change, steps) in [("doom/defend_the_center", "", 120), ("doom/health_gathering", all, 30)] {
        let of = || seated(name, change).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (mut plain, mut watched) = (of(), of());
        assert!(watched.watch(0));
        let spec = plain.spec().clone();
        assert_eq!(&spec, watched.spec());
        let (mut buffers, mut actions) = ([(); 2].map(|()| RowsBuf::new(&spec, 1)), Actions::new(&spec, 1, 2));
        let (mut grey, mut coloured) = (Canvas::new(0, 0), Canvas::new(0, 0));
        plain.reset(buffers[0].rows()).unwrap();
        watched.reset(buffers[1].rows()).unwrap();
        let mut seen = BTreeSet::new();
        for step in 0..steps {
            let [ours, theirs] = &buffers;
            assert!(ours.frame == theirs.frame && ours.reward == theirs.reward, "{name}, step {step}");
            plain.draw(0, &mut grey);
            watched.draw(0, &mut coloured);
            assert_eq!((grey.width(), grey.height()), (coloured.width(), coloured.height()));
            for (grey, &[r, g, b]) in grey.pixels().as_chunks::<3>().0.iter().zip(coloured.pixels().as_chunks().0) {
                let bright = (0.21 * f64::from(r) + 0.72 * f64::from(g) + 0.07 * f64::from(b)) as u8;
                assert_eq!(*grey, [bright; 3], "{name}, step {step}: {r} {g} {b}");
                seen.insert([r, g, b]);
            }
            let act = actions.draw(&spec);
            plain.step(act, buffers[0].rows()).unwrap();
            watched.step(act, buffers[1].rows()).unwrap();
        }
        let bright = seen.iter().filter(|[r, g, b]| r != g || g != b).count();
        assert!(bright > 50, "{name}: {bright} colours that are not grey");
        let mut state = Vec::new();
        watched.save(0, &mut state).unwrap();
        plain.load(0, &state).unwrap();
        assert!(!plain.watch(0) && watched.watch(0), "too late to change anything");
        watched.draw(0, &mut coloured);
        assert!(coloured.pixels().as_chunks::<3>().0.iter().any(|[r, g, b]| r != g || g != b));
    }
}

#[test]
fn a_shaping_is_paid_and_not_reported() {
    let _alone = alone();
    let rows = |change: &str| play(&mut *basic(change), 200, 3, 0);
    let (plain, shaped) = (rows(""), rows("shaping = \"combat\""));
    let paid = |rows: &[RowsBuf]| rows.iter().map(|row| f64::from(row.reward[0])).sum::<f64>();
    let told = |rows: &[RowsBuf]| rows.iter().flat_map(|row| &row.episodes).map(|episode| episode.ret).sum::<f64>();
    assert_eq!(told(&plain), told(&shaped));
    assert!(told(&plain) != 0.0 && paid(&plain) != paid(&shaped));
}

/// The first episode of seed 7 in `vizdoom/tests/golden/parity.json` ends at a score of 8 after 20 actions of 4 tics.
#[test]
fn a_seed_of_the_engine_and_a_value_for_each_button_play_what_python_plays() {
    let _alone = alone();
    let golden = fs::read_to_string("vizdoom/tests/golden/parity.json").unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let first = &golden["basic"]["7"][0];
    let mut env = basic("engine_seed = 7\nbuttons = \"all\"");
    let spec = env.spec().clone();
    assert_eq!((&spec.discrete[..], spec.continuous.len()), (&[2, 2, 2][..], 0));
    let mut buffer = RowsBuf::new(&spec, 1);
    env.reset(buffer.rows()).unwrap();
    assert!(env.info(0).contains(&("tic", Info::Count(14))), "{:?}", env.info(0));
    let mut x = 7u32;
    let episode = loop {
        let row: Vec<u32> = (0..3)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223); // as in parity.py
                (x >> 16) % 2
            })
            .collect();
        env.step(rl_core::Act { discrete: &row, continuous: &[] }, buffer.rows()).unwrap();
        if let Some(episode) = buffer.episodes.last() {
            break *episode;
        }
    };
    let total = u64::from_str_radix(first[0].as_str().unwrap(), 16).unwrap();
    assert_eq!((episode.ret.to_bits(), episode.steps), (total, first[2].as_u64().unwrap()));
}

/// What an engine has played before decides its episodes there, and no state holds it.
#[test]
fn of_an_engine_that_draws_its_own_seeds_no_state_is_saved_or_loaded() {
    let mut state = Vec::new();
    let refused = [
        basic("engine_seed = 7").save(0, &mut state),
        basic("").save(0, &mut state).and_then(|()| basic("engine_seed = 7").load(0, &state)),
    ];
    assert!(!state.is_empty());
    for refused in refused {
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with("env.engine_seed: its episodes depend on those before"), "{error}");
    }
}

#[test]
fn what_cannot_be_played_is_refused_by_the_key_at_fault() {
    let dir = std::env::temp_dir().join(format!("rl-envs-doom-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("mine.cfg");
    fs::write(&file, "living_reward = -1\nepisode_timeuot = 3\n").unwrap();
    let path = file.display();
    for (change, message) in [
        ("resolution = \"9x9\"".to_owned(), "env.resolution: 9x9 is not one of"),
        ("format = \"PINK\"".to_owned(), "env.format: PINK is not one of"),
        ("format = \"RGBA32\"".to_owned(), "env.format: RGBA32 is for other programs"),
        ("width = 161".to_owned(), "env.width: 161 is not from 1 to the 160 pixels"),
        ("observe = []".to_owned(), "env.observe: names no buffer"),
        ("skill = 6".to_owned(), "env.skill: 6"),
        ("map = \"map01;quit\"".to_owned(), "env.map: `map01;quit` is no map's name"),
        ("map = \"map01\\tx\"".to_owned(), "is no map's name: at most 8 letters and digits"),
        ("map = \"-record\"".to_owned(), "env.map: `-record` is no map's name"),
        ("exact = true\nengine_seed = 3".to_owned(), "env.exact: each engine would begin with the first draw"),
        ("frame_repeat = 0".to_owned(), "env.frame_repeat: must be at least 1"),
        ("config = \"/nowhere.cfg\"".to_owned(), "/nowhere.cfg"),
        (format!("config = \"{path}\""), "mine.cfg:2: episode_timeuot"),
    ] {
        let error = seated("doom/basic", &change).err().unwrap_or_else(|| panic!("{change}: taken")).to_string();
        assert!(error.contains(message), "{change}: {error}");
    }
    fs::remove_dir_all(&dir).unwrap();
}
