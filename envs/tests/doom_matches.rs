//! Matches of Doom: seats that play against each other, or one against players of any action.
#![cfg(feature = "doom")]

#[path = "../vizdoom/tests/support/engines.rs"]
mod engines;
#[path = "support/seated.rs"]
mod seated;

use std::ops::Range;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rl_core::{Canvas, End, Info, Result, Seating, VecEnv, load_seats, save_seats};
use rl_envs::doom::ENTRY;
use seated::{Actions, RowsBuf, cover, play, preset};

/// A second of play: 9 steps, of 4 tics and the last of 3.
const SHORT: &str = "max_tics = 35";

fn seated(name: &str, change: &str, seats: Range<u32>) -> Result<Box<dyn VecEnv>> {
    let mut table = preset(&ENTRY, name);
    table.extend(change.parse::<toml::Table>().unwrap_or_else(|e| panic!("{change}: {e}")));
    (ENTRY.build)(name, &table, &Seating { seed: 5, seats })
}

fn matches(change: &str, seats: Range<u32>) -> Box<dyn VecEnv> {
    seated("doom/cig", change, seats).unwrap_or_else(|e| panic!("{change}: {e}"))
}

/// Held by who counts engines, and to have no more of them than cores can play.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes of engines that this one has started.
fn engines() -> Vec<u32> {
    engines::of(std::process::id())
}

/// Rows of seats as one, whoever sat where: what a seat saw and earned.
fn seat(rows: &[RowsBuf], n: usize, seats: usize) -> Vec<(Vec<u8>, u32, u32, End)> {
    let of = |row: &RowsBuf| {
        let frame = row.frame.len() / seats;
        (row.frame[n * frame..(n + 1) * frame].to_vec(), row.age[n], row.reward[n].to_bits(), row.end[n])
    };
    rows.iter().map(of).collect()
}

#[test]
fn seats_of_a_match_share_its_end_and_see_it_each_for_themselves() {
    let _alone = alone();
    let rows = play(&mut *matches(SHORT, 0..4), 21, 1, 0x55);
    for row in &rows {
        for pair in [0, 2] {
            assert_eq!((row.age[pair], row.end[pair]), (row.age[pair + 1], row.end[pair + 1]));
        }
    }
    let ends: Vec<usize> = (0..rows.len()).filter(|&t| rows[t].end[0] == End::Truncated).collect();
    assert_eq!(ends, [9, 19], "9 steps and a reset");
    assert_eq!(rows[10].age, [0; 4]);
    let episodes: Vec<_> = rows.iter().flat_map(|row| &row.episodes).collect();
    assert!(episodes.iter().all(|episode| (episode.steps, episode.frames) == (9, 35)), "{episodes:?}");
    let seats: Vec<u32> = episodes.iter().map(|episode| episode.seat).collect();
    assert_eq!(seats, [0, 1, 2, 3, 0, 1, 2, 3]);
    assert!(episodes[0].seed == episodes[1].seed && episodes[0].seed != episodes[2].seed);
    assert_ne!(seat(&rows, 0, 4), seat(&rows, 1, 4), "two pairs of eyes");
    assert_ne!(seat(&rows, 0, 4), seat(&rows, 2, 4), "two matches");
}

#[test]
fn how_matches_are_divided_decides_no_bit() {
    let _alone = alone();
    let spec = matches(SHORT, 0..4).spec().clone();
    let mut seats_per_world = matches(SHORT, 0..4);
    let mut apart = [matches(SHORT, 0..2), matches(SHORT, 2..4)];
    let mut actions = Actions::new(&spec, 4, 5);
    let (mut all, mut half) = (RowsBuf::new(&spec, 4), RowsBuf::new(&spec, 2));
    seats_per_world.reset(all.rows()).unwrap();
    apart.iter_mut().for_each(|env| env.reset(half.rows()).unwrap());
    for _ in 0..15 {
        let act = actions.draw(&spec);
        seats_per_world.step(act, all.rows()).unwrap();
        let all = [all.clone()];
        for (number, env) in apart.iter_mut().enumerate() {
            let discrete = &act.discrete[number * 2..number * 2 + 2];
            env.step(rl_core::Act { discrete, continuous: &[] }, half.rows()).unwrap();
            for n in 0..2 {
                assert!(seat(&all, number * 2 + n, 4) == seat(&[half.clone()], n, 2), "match {number}, seat {n}");
            }
        }
    }
}

fn save(env: &(dyn VecEnv + 'static)) -> Vec<u8> {
    let mut bytes = Vec::new();
    save_seats([env], &mut bytes).unwrap();
    bytes
}

/// Plays on after `steps` steps, once as it is and once from what was saved there.
fn assert_goes_on(name: &str, change: &str, seats: Range<u32>, steps: usize) {
    let count = seats.len();
    let mut env = seated(name, change, seats.clone()).unwrap();
    play(&mut *env, steps, 8, 0x55);
    let saved = save(&*env);
    let mut other = seated(name, change, seats).unwrap();
    load_seats([&mut *other], &saved).unwrap();
    assert!(save(&*other) == saved, "{change}: what was loaded is not what is saved");
    let spec = env.spec().clone();
    let mut actions = Actions::new(&spec, count, 9);
    let (mut a, mut b) = (RowsBuf::new(&spec, count), RowsBuf::new(&spec, count));
    for t in 0..25 {
        let act = actions.draw(&spec);
        cover(&mut a, 0x55);
        cover(&mut b, 0xAA);
        env.step(act, a.rows()).unwrap();
        other.step(act, b.rows()).unwrap();
        assert!(a == b, "{change}: {t} steps after a load");
    }
}

#[test]
fn a_match_goes_on_from_where_it_was_saved() {
    let _alone = alone();
    assert_goes_on("doom/cig", "max_tics = 400", 0..2, 77); // in the midst of it, and over its end
    assert_goes_on("doom/cig", "max_tics = 35", 4..6, 9); // at its end
    assert_goes_on("doom/cig", "opponent = \"random\"\nmax_tics = 400", 0..2, 77);
    assert_goes_on("doom/cig", "players = 3\nbuttons = \"all\"", 0..3, 12);
    assert_goes_on("doom/multi_duel", "players = 4\nmax_tics = 100", 0..4, 15);
}

#[test]
fn a_duel_s_map_is_played_by_three_and_by_four_to_its_end_and_the_same_again() {
    let _alone = alone();
    for players in [3, 4] {
        let change = format!("players = {players}\nmax_tics = 70\nbuttons = \"all\"");
        let run = || play(&mut *seated("doom/multi_duel", &change, 0..players).unwrap(), 40, 3, 0x55);
        let rows = run();
        let ends: Vec<usize> = (0..rows.len()).filter(|&t| rows[t].end[0] == End::Truncated).collect();
        assert_eq!(ends, [18, 37], "{players} players: 18 steps and a reset");
        let episodes: Vec<_> = rows.iter().flat_map(|row| &row.episodes).collect();
        let seats: Vec<u32> = episodes.iter().map(|episode| episode.seat).collect();
        assert_eq!(seats, [0..players, 0..players].into_iter().flatten().collect::<Vec<_>>());
        for first in (0..seats.len()).step_by(players as usize) {
            let of_one = &episodes[first..first + players as usize];
            let same = |episode: &&rl_core::Episode| (episode.seed, episode.steps, episode.frames, episode.end);
            assert!(
                of_one.iter().all(|episode| same(episode) == (of_one[0].seed, 18, 70, End::Truncated)),
                "{of_one:?}"
            );
        }
        let seen: Vec<_> = (0..players as usize).map(|n| seat(&rows[5..6], n, players as usize)).collect();
        assert!((1..seen.len()).all(|n| !seen[..n].contains(&seen[n])), "each has eyes of its own");
        assert!(run() == rows, "{players} players: another match of the same seed");
    }
}

#[test]
fn an_engine_that_is_killed_costs_its_match_and_no_more() {
    let _alone = alone();
    let mut env = matches("max_tics = 2000", 0..4);
    let spec = env.spec().clone();
    let (mut buffer, mut actions) = (RowsBuf::new(&spec, 4), Actions::new(&spec, 4, 1));
    env.reset(buffer.rows()).unwrap();
    let playing = env.info(0);
    assert!(playing.contains(&("frags", Info::Number(0.0))), "{playing:?}");
    env.step(actions.draw(&spec), buffer.rows()).unwrap();
    // Engines that wait for the next match may be the ones: then nothing is lost but they.
    let mut lost = Vec::new();
    while lost.is_empty() {
        let engine = engines().into_iter().find(|&engine| engines::lives(engine)).unwrap();
        assert!(Command::new("kill").args(["-9", &engine.to_string()]).status().unwrap().success());
        cover(&mut buffer, 0x55);
        env.step(actions.draw(&spec), buffer.rows()).unwrap();
        lost = env.take_crashes();
    }
    let row = &buffer;
    let first = if lost[0].contains("seats 0") { 0 } else { 2 };
    assert!(lost.len() == 1 && lost[0].contains("signal 9"), "{lost:?}");
    for n in first..first + 2 {
        assert_eq!((row.age[n], row.end[n], row.reward[n], row.frames[n]), (0, End::No, 0.0, 0));
    }
    assert!(row.age[2 - first] > 0, "the other match goes on");
    assert!(row.episodes.is_empty(), "they have no end, and are no scores: {:?}", row.episodes);
    drop(env);
    assert!(engines().is_empty());
}

/// Of self-play, and of one against chance, whatever is observed beside the screen or in its place.
#[test]
#[cfg(target_arch = "x86_64")]
fn colours_for_people_change_no_bit_of_a_match() {
    let _alone = alone();
    for (change, seats) in [
        ("observe = [\"screen\"]", 0..2),
        ("observe = [\"labels\", \"screen\"]", 0..2),
        ("observe = [\"labels\"]\nopponent = \"random\"", 0..1),
    ] {
        let count = seats.len();
        let of = || seated("doom/multi_duel", &format!("{change}\n{SHORT}"), seats.clone()).unwrap();
        let (mut plain, mut watched) = (of(), of());
        assert!((0..count).all(|n| watched.watch(n)));
        let seen = |env: &mut dyn VecEnv| -> Vec<_> {
            let rows = play(env, 12, 1, 0x55); // with a second match
            (0..count).map(|n| seat(&rows, n, count)).collect()
        };
        assert!(seen(&mut *plain) == seen(&mut *watched), "{change}");
        for n in 0..count {
            let coloured = |env: &dyn VecEnv| {
                let mut canvas = Canvas::new(0, 0);
                env.draw(n, &mut canvas);
                canvas.pixels().as_chunks::<3>().0.iter().any(|[r, g, b]| r != g || g != b)
            };
            assert_eq!((coloured(&*plain), coloured(&*watched)), (false, true), "{change}, seat {n}");
        }
        assert!(!plain.watch(0), "too late: its engines draw in grey");
    }
}

#[test]
fn returns_are_frags() {
    let _alone = alone();
    let mut env = seated("doom/multi_duel", "opponent = \"random\"\nshaping = \"none\"", 0..1).unwrap();
    let spec = env.spec().clone();
    let (mut buffer, mut actions) = (RowsBuf::new(&spec, 1), Actions::new(&spec, 1, 3));
    env.reset(buffer.rows()).unwrap();
    let mut earned = 0.0;
    let mut moments = 0;
    loop {
        env.step(actions.draw(&spec), buffer.rows()).unwrap();
        let row = &buffer;
        earned += f64::from(row.reward[0]);
        moments += u32::from(row.reward[0] != 0.0);
        assert!(env.info(0).contains(&("frags", Info::Number(earned))), "{:?}", env.info(0));
        if let Some(episode) = row.episodes.last() {
            assert_eq!((episode.ret, episode.frames, episode.end), (earned, 2100, End::Truncated));
            break;
        }
    }
    assert!(moments > 0, "nobody was killed in a minute");
}

#[test]
fn what_is_no_match_is_refused_by_the_key_at_fault() {
    for (name, change, seats, message) in [
        ("doom/cig", "", 0..1, "env.players: 1 is no number of seats for matches of 2"),
        ("doom/cig", "players = 3", 0..4, "env.players: 4 is no number of seats for matches of 3"),
        ("doom/cig", "players = 17", 0..17, "env.players: 17 is not from 1 to 16"),
        ("doom/cig", "players = 0", 0..1, "env.players: must be at least 1"),
        ("doom/cig", "engine_seed = 3", 0..2, "env.players: each engine would begin with the first draw"),
        ("doom/cig", "pin = true", 0..2, "env.pin: engines of a match wait for each other"),
        ("doom/cig", "opponent = \"nobody\"", 0..2, "unknown variant `nobody`"),
    ] {
        let error = seated(name, change, seats).err().unwrap_or_else(|| panic!("{change}: taken")).to_string();
        assert!(error.contains(message), "{change}: {error}");
    }
}

#[test]
fn a_scenario_for_one_can_be_a_match_too() {
    let _alone = alone();
    let change = format!("players = 2\n{SHORT}");
    let mut env = seated("doom/freedoom2", &change, 0..2).unwrap();
    let rows = play(&mut *env, 12, 2, 0x55);
    assert!(rows[9].end[0] == End::Truncated && env.info(1).iter().any(|(name, _)| *name == "frags"));
    // Its map has no places where players of a deathmatch begin.
    let mut env = seated("doom/deathmatch", &change, 0..2).unwrap();
    let spec = env.spec().clone();
    let error = env.reset(RowsBuf::new(&spec, 2).rows()).unwrap_err().to_string();
    assert!(error.contains("No deathmatch starts"), "{error}");
}
