//! What every environment promises, checked for every line of the table.

#[path = "support/seated.rs"]
mod seated;

use rl_core::{Canvas, End, Rng, Seating, Spec, Stream, VecEnv, load_seats, save_seats};
use seated::{Actions, Buffer, Row, names, play, preset, seat};

const STEPS: usize = 600; // long enough for the ends of most episodes under random actions

#[test]
fn presets_are_whole_tables_of_their_own() {
    for (entry, name) in names() {
        let preset: toml::Table = entry.preset.parse().unwrap();
        assert!(preset["env"].is_table() && preset["eval"].is_table(), "{name}: [env] and [eval]");
        assert!(!entry.summary.is_empty() && entry.version > 0, "{name}");
    }
}

#[test]
fn every_element_of_every_lane_is_written() {
    for (entry, name) in names() {
        // The same trajectory written over two patterns: what differs was left as it was.
        let one = play(&mut *seat(entry, &name, 3, 0..3), STEPS, 1, 0x55);
        let other = play(&mut *seat(entry, &name, 3, 0..3), STEPS, 1, 0xAA);
        for (t, (one, other)) in one.iter().zip(&other).enumerate() {
            assert_eq!(one, other, "{name}: row {t} is not the same, or was not written");
        }
    }
}

#[test]
fn values_are_within_what_the_spec_says() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 4, 0..2);
        let spec = env.spec().clone();
        assert!(spec.stack >= 1 && (spec.frame_len() > 0 || spec.stack == 1), "{name}: stack {}", spec.stack);
        assert!(spec.frame_len() + spec.vector + spec.symbols.len() > 0, "{name} shows nothing");
        assert!(!spec.discrete.is_empty() || !spec.continuous.is_empty(), "{name} takes no action");
        for (t, row) in play(&mut *env, STEPS, 2, 0x55).iter().enumerate() {
            let place = format!("{name}, row {t}");
            assert!(row.vector.iter().all(|&bits| f32::from_bits(bits).is_finite()), "{place}: {:?}", row.vector);
            for (symbol, n) in row.symbols.iter().zip(spec.symbols.iter().cycle()) {
                assert!(symbol < n, "{place}: symbol {symbol} of {n}");
            }
            for legal in row.legal.chunks_exact(spec.legal_len().max(1)) {
                assert!(legal.iter().all(|&flag| flag <= 1) && legal.contains(&1), "{place}: {legal:?}");
            }
            assert!(row.reward.iter().all(|reward| reward.is_finite()), "{place}: {:?}", row.reward);
        }
    }
}

#[test]
fn autoreset_is_next_step_and_episodes_add_up() {
    for (entry, name) in names() {
        let rows = play(&mut *seat(entry, &name, 5, 7..10), 4 * STEPS, 3, 0xAA);
        for n in 0..3 {
            let (mut ret, mut frames, mut finished) = (0.0, 0, 0);
            for (t, pair) in rows.windows(2).enumerate() {
                let (before, row) = (&pair[0], &pair[1]);
                let place = format!("{name}, seat {n}, row {}", t + 1);
                let found = row.episodes.iter().find(|episode| episode.seat == 7 + n as u32);
                if before.end[n].over() {
                    let reset = (row.age[n], row.reward[n], row.end[n], row.frames[n]);
                    assert_eq!(reset, (0, 0.0, End::No, 0), "{place}: a reset row");
                    (ret, frames) = (0.0, 0);
                    assert!(found.is_none(), "{place}");
                    continue;
                }
                assert_eq!(row.age[n], before.age[n] + 1, "{place}");
                assert!(row.frames[n] >= 1, "{place}: a step takes frames");
                ret += f64::from(row.reward[n]);
                frames += u64::from(row.frames[n]);
                assert_eq!(found.is_some(), row.end[n].over(), "{place}: an episode is reported where it ends");
                if let Some(episode) = found {
                    finished += 1;
                    let expected = (ret, u64::from(row.age[n]), frames, row.end[n]);
                    assert_eq!((episode.ret, episode.steps, episode.frames, episode.end), expected, "{place}");
                }
            }
            assert!(finished > 0 || spec_is_long(entry.id), "{name}, seat {n} finished no episode");
        }
    }
}

/// Whole games of some families outlast this test.
fn spec_is_long(id: &str) -> bool {
    id.ends_with('/')
}

#[test]
fn a_seed_fixes_the_trajectory_and_another_changes_it() {
    for (entry, name) in names() {
        let run = |seed| {
            let mut rows = play(&mut *seat(entry, &name, seed, 0..2), STEPS, 4, 0x55);
            // Seeds of episodes differ where nothing else does.
            rows.iter_mut().flat_map(|row| &mut row.episodes).for_each(|episode| episode.seed = 0);
            rows
        };
        let one = run(6);
        assert!(one == run(6), "{name}: the same seed gave another trajectory");
        let chance = seat(entry, &name, 6, 0..1).tabular().is_none_or(|table| chance(&table));
        assert_eq!(one != run(7), chance, "{name}: another seed changes the trajectory where there is chance");
    }
}

/// Whether anything about a table is random.
fn chance(table: &rl_core::Tabular) -> bool {
    let certain = |p: &f64| *p == 0.0 || *p == 1.0;
    let pairs = (0..table.states() as u32).flat_map(|s| (0..table.actions() as u32).map(move |a| (s, a)));
    let mut outcomes = pairs.flat_map(|(state, action)| table.outcomes(state, action));
    !(table.start().iter().all(certain) && outcomes.all(|way| certain(&way.probability)))
}

#[test]
fn seats_do_not_know_of_each_other() {
    for (entry, name) in names() {
        let spec = seat(entry, &name, 8, 0..1).spec().clone();
        let steps = 200;
        let mut together = seat(entry, &name, 8, 0..3);
        let mut alone: Vec<_> = (0..3).map(|n| seat(entry, &name, 8, n..n + 1)).collect();
        let mut actions = Actions::new(&spec, 3, 5);
        let mut all = Buffer::new(&spec, 3, 0x55);
        let mut one = Buffer::new(&spec, 1, 0x55);
        together.reset(all.rows()).unwrap();
        alone.iter_mut().for_each(|env| env.reset(one.rows()).unwrap());
        for t in 0..steps {
            let act = actions.draw(&spec);
            together.step(act, all.rows()).unwrap();
            for (n, env) in alone.iter_mut().enumerate() {
                env.step(act.seat(&spec, n), one.rows()).unwrap();
                assert_same_seat(&all.row(), n, &one.row(), &spec, &format!("{name}, seat {n}, step {t}"));
            }
        }
    }
}

fn assert_same_seat(all: &Row, n: usize, one: &Row, spec: &Spec, place: &str) {
    let (f, v, s) = (spec.frame_len(), spec.vector, spec.symbols.len());
    assert!(all.frame[n * f..(n + 1) * f] == one.frame, "{place}: frame");
    assert_eq!(all.vector[n * v..(n + 1) * v], one.vector, "{place}");
    assert_eq!(all.symbols[n * s..(n + 1) * s], one.symbols, "{place}");
    let flat = |row: &Row, n: usize| (row.age[n], row.reward[n].to_bits(), row.end[n], row.frames[n]);
    assert_eq!(flat(all, n), flat(one, 0), "{place}");
}

#[test]
fn save_then_load_then_step_equals_step() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 9, 0..2);
        let spec = env.spec().clone();
        let mut actions = Actions::new(&spec, 2, 6);
        let mut buffer = Buffer::new(&spec, 2, 0x55);
        env.reset(buffer.rows()).unwrap();
        let mut ends = 0;
        for t in 0..300 {
            env.step(actions.draw(&spec), buffer.rows()).unwrap();
            let over = buffer.row().end.iter().any(|end| end.over());
            ends += usize::from(over);
            if t % 60 == 0 || (over && ends <= 3) {
                assert_continues_alike(&*env, seat(entry, &name, 1000, 0..2), &format!("{name}, step {t}"));
            }
        }
    }
}

fn save(env: &(dyn VecEnv + 'static)) -> Vec<u8> {
    let mut bytes = Vec::new();
    save_seats([env], &mut bytes).unwrap();
    bytes
}

fn save_all(envs: &[Box<dyn VecEnv>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    save_seats(envs.iter().map(|env| &**env), &mut bytes).unwrap();
    bytes
}

/// Loads the state of `env` into `fresh` and into another that has played before, and steps both.
fn assert_continues_alike(env: &(dyn VecEnv + 'static), mut fresh: Box<dyn VecEnv>, place: &str) {
    let saved = save(env);
    let spec = env.spec().clone();
    let run = |env: &mut (dyn VecEnv + 'static)| -> (Vec<Row>, Vec<u8>) {
        load_seats([&mut *env], &saved).unwrap_or_else(|e| panic!("{place}: {e}"));
        let again = save(env);
        assert!(again == saved, "{place}: what was loaded is not what is saved");
        let mut actions = Actions::new(&spec, env.seats(), 7);
        let mut buffer = Buffer::new(&spec, env.seats(), 0xAA);
        let mut rows = Vec::new();
        for _ in 0..100 {
            buffer.cover();
            env.step(actions.draw(&spec), buffer.rows()).unwrap();
            rows.push(buffer.row());
        }
        (rows, save(env))
    };
    let first = run(&mut *fresh);
    let second = run(&mut *fresh); // now one that stands elsewhere
    assert!(first == second, "{place}: a loaded state does not fix what follows");
}

#[test]
fn a_loaded_state_continues_the_trajectory_it_was_saved_from() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 10, 0..2);
        play(&mut *env, 77, 8, 0x55);
        // Divided otherwise: a seat does not know who sits beside it.
        let mut others = [0..1, 1..2].map(|range| seat(entry, &name, 11, range));
        load_seats(others.iter_mut().map(|env| &mut **env), &save(&*env)).unwrap();
        assert!(save_all(&others) == save(&*env), "{name}: saved alike");
        let mut other = seat(entry, &name, 11, 0..2);
        load_seats([&mut *other], &save_all(&others)).unwrap();
        let spec = env.spec().clone();
        let mut actions = Actions::new(&spec, 2, 9);
        let (mut a, mut b) = (Buffer::new(&spec, 2, 0x55), Buffer::new(&spec, 2, 0xAA));
        for t in 0..STEPS {
            let act = actions.draw(&spec);
            a.cover();
            b.cover();
            env.step(act, a.rows()).unwrap();
            other.step(act, b.rows()).unwrap();
            assert!(a.row() == b.row(), "{name}: {t} steps after a load");
        }
    }
}

#[test]
fn damaged_states_are_refused_and_nothing_panics() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 12, 0..2);
        play(&mut *env, 50, 10, 0x55);
        let saved = save(&*env);
        let mut other = seat(entry, &name, 12, 0..2);
        let mut refuse = |bytes: &[u8], what: &str| {
            let error = load_seats([&mut *other], bytes).expect_err(&format!("{name}: {what} was taken"));
            assert!(!error.to_string().contains('\n'), "{error}");
        };
        let cuts = 20.min(saved.len());
        for cut in 0..cuts {
            let at = cut * saved.len() / cuts;
            refuse(&saved[..at], &format!("a state cut after {at} of {} bytes", saved.len()));
        }
        refuse(&[&saved[..], &[0]].concat(), "a state with a byte too many");
        refuse(&[0xFF; 64], "garbage");
        refuse(&save(&*seat(entry, &name, 12, 0..1)), "a state of one seat");
        refuse(&save(&*seat(entry, &name, 12, 0..3)), "a state of three seats");
        let mut env = seat(entry, &name, 12, 5..7);
        play(&mut *env, 1, 10, 0x55);
        refuse(&save(&*env), "a state of other seats");

        let mut rng = Rng::new(0, Stream::Tool(1));
        for _ in 0..20 {
            let mut bytes = saved.clone();
            for _ in 0..=rng.below(4) {
                let at = rng.below(bytes.len() as u32) as usize;
                bytes[at] ^= 1 << rng.below(8);
            }
            let _ = load_seats([&mut *other], &bytes); // a flipped bit may give another valid state: checkpoints carry a checksum
        }
    }
}

#[test]
fn bad_configuration_is_one_line_about_its_key() {
    for (entry, name) in names() {
        let mut table = preset(entry, &name);
        table.insert("no_such_key".to_owned(), toml::Value::Boolean(true));
        let error = (entry.build)(&name, &table, &Seating { seed: 0, seats: 0..1 }).err().map(|e| e.to_string());
        let error = error.unwrap_or_else(|| panic!("{name} takes a key that it does not know"));
        assert!(error.contains("no_such_key") && error.starts_with("env"), "{name}: {error}");
    }
}

#[test]
fn an_action_that_does_not_exist_panics_with_its_number() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 13, 0..1);
        let spec = env.spec().clone();
        if spec.discrete.is_empty() {
            continue;
        }
        let mut buffer = Buffer::new(&spec, 1, 0x55);
        env.reset(buffer.rows()).unwrap();
        let mut actions = Actions::new(&spec, 1, 0);
        actions.draw(&spec);
        actions.discrete[0] = spec.discrete[0];
        let step = std::panic::AssertUnwindSafe(|| {
            let act = rl_core::Act { discrete: &actions.discrete, continuous: &actions.continuous };
            env.step(act, buffer.rows()).map_err(|e| e.to_string())
        });
        let message = match std::panic::catch_unwind(step) {
            Ok(Ok(())) => panic!("{name} took action {}", spec.discrete[0]),
            Ok(Err(message)) => message,
            Err(panic) => panic.downcast_ref::<String>().expect("a message").clone(),
        };
        assert!(message.contains(&spec.discrete[0].to_string()), "{name}: {message}");
    }
}

#[test]
fn every_environment_draws_itself() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 14, 0..1);
        play(&mut *env, 30, 11, 0x55);
        let mut canvas = Canvas::new(1, 1);
        env.draw(0, &mut canvas);
        assert_eq!(canvas.pixels().len(), canvas.width() * canvas.height() * 3, "{name}");
        assert!(canvas.width() >= 64 && canvas.height() >= 64, "{name}: {} x {}", canvas.width(), canvas.height());
        let first = &canvas.pixels()[..3];
        assert!(canvas.pixels().chunks_exact(3).any(|pixel| pixel != first), "{name} draws one colour");
    }
}

#[test]
fn tables_agree_with_the_spec_and_with_what_is_played() {
    for (entry, name) in names() {
        let mut env = seat(entry, &name, 15, 0..1);
        let Some(table) = env.tabular() else { continue };
        let spec = env.spec().clone();
        let (width, actions) = (spec.symbols.len(), table.actions() as u32);
        let shown = |state: u32| &table.symbols()[state as usize * width..][..width];
        let legal = |state: u32| table.legal().get(state as usize * spec.legal_len()..).unwrap_or(&[]);
        assert_eq!(table.symbols().len(), table.states() * width, "{name}");
        for state in 0..table.states() as u32 {
            let fits = shown(state).iter().zip(&spec.symbols).all(|(symbol, n)| symbol < n);
            assert!(fits && legal(state).len() >= spec.legal_len(), "{name}: state {state} shows {:?}", shown(state));
        }
        assert_eq!(*spec.discrete, [actions], "{name}");

        // Where states look alike, those that it may be in by what was seen so far.
        let starts: Vec<u32> = (0..).zip(table.start()).filter(|(_, p)| **p > 0.0).map(|(state, _)| state).collect();
        let mut buffer = Buffer::new(&spec, 1, 0x55);
        let mut played = Actions::new(&spec, 1, 12);
        env.reset(buffer.rows()).unwrap();
        let mut states = Vec::new();
        for t in 0..4 * STEPS {
            let row = buffer.row();
            if row.age[0] == 0 {
                states.clone_from(&starts);
            }
            states.retain(|&state| shown(state) == row.symbols && legal(state)[..spec.legal_len()] == row.legal);
            assert!(!states.is_empty(), "{name}, step {t}: {:?} {:?} is not in the table", row.symbols, row.end);
            let act = played.draw(&spec);
            let action = act.discrete[0];
            env.step(act, buffer.rows()).unwrap();
            let row = buffer.row();
            if row.age[0] > 0 {
                let ways = states.iter().flat_map(|&state| table.outcomes(state, action));
                let same = |way: &&rl_core::Outcome| {
                    (way.reward as f32, way.terminated) == (row.reward[0], ends(&row)) && way.probability > 0.0
                };
                states = ways.filter(same).map(|way| way.next).collect();
                states.sort_unstable();
                states.dedup();
                let cut = table.limit().is_some_and(|limit| row.age[0] == limit);
                assert_eq!(row.end[0] == End::Truncated, cut && !ends(&row), "{name}, step {t}");
            }
        }
    }
}

fn ends(row: &Row) -> bool {
    row.end[0] == End::Terminated
}
