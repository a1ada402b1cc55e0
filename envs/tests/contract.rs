//! What every environment promises, checked for every line of the table.

#[path = "support/seated.rs"]
mod seated;

use rl_core::contract::{Coverage, PROMISES, STEPS, Subject};
use rl_core::{Canvas, EnvEntry, FiniteMdp, Seating};
use seated::{names, play, seat};

#[test]
fn presets_are_whole_tables_of_their_own() {
    for (entry, name) in names() {
        let preset: toml::Table = entry.preset.parse().unwrap();
        assert!(preset["env"].is_table() && preset["eval"].is_table(), "{name}: [env] and [eval]");
        assert!(!entry.summary.is_empty() && entry.version > 0, "{name}");
    }
}

#[test]
fn every_promise_is_kept() {
    std::thread::scope(|scope| {
        for (entry, name) in names() {
            scope.spawn(move || keeps_all(entry, &name));
        }
    });
}

fn keeps_all(entry: &EnvEntry, name: &str) {
    let mut subject = Subject::new(entry, name).unwrap();
    if let Some(limit) = subject.table.get_mut("max_frames") {
        *limit = (8 * STEPS as i64).into(); // whole games of some would outlast what is played
    }
    let unknown = toml::Table::from_iter([("no_such_key".to_owned(), true.into())]);
    let refused = (entry.build)(name, &unknown, &Seating { seed: 0, seats: 0..1 }).err().map(|e| e.to_string());
    assert!(refused.as_ref().is_some_and(|words| words.starts_with("env")), "{name}: {refused:?}");
    for promise in PROMISES {
        let found = promise.check(&subject).unwrap_or_else(|broken| panic!("{name}: {broken}"));
        let plays = !["settings", "actions"].contains(&promise.name);
        let played = found.is_none_or(|Coverage { steps, .. }| steps > 0);
        assert!(played || !plays, "{name}: nothing was played for {}", promise.name);
        assert!(found.is_some() || ["actions", "table"].contains(&promise.name), "{name}: {}", promise.name);
        let episodes = found.map_or(0, |played| played.episodes);
        assert!(promise.name != "ends" || episodes >= 3, "{name}: {episodes} episodes of three seats");
    }
}

#[cfg(feature = "doom")]
#[test]
fn buttons_with_actions_of_their_own_keep_all_promises() {
    let mut subject = Subject::new(&rl_envs::doom::ENTRY, "doom/basic").unwrap();
    subject.table.insert("buttons".to_owned(), "all".into());
    for promise in PROMISES {
        promise.check(&subject).unwrap_or_else(|broken| panic!("{broken}"));
    }
}

#[test]
fn another_seed_changes_the_trajectory_where_there_is_chance() {
    for (entry, name) in names() {
        let run = |seed| {
            let mut rows = play(&mut *seat(entry, &name, seed, 0..2), STEPS, 4, 0x55);
            // Seeds of episodes differ where nothing else does.
            rows.iter_mut().flat_map(|row| &mut row.episodes).for_each(|episode| episode.seed = 0);
            rows
        };
        let chance = seat(entry, &name, 6, 0..1).tabular().is_none_or(|table| chance(&table));
        assert_eq!(run(6) != run(7), chance, "{name}");
    }
}

/// Whether anything about a table is random.
fn chance(table: &FiniteMdp) -> bool {
    let certain = |p: &f64| *p == 0.0 || *p == 1.0;
    let pairs = (0..table.states() as u32).flat_map(|s| (0..table.actions() as u32).map(move |a| (s, a)));
    let mut outcomes = pairs.flat_map(|(state, action)| table.outcomes(state, action));
    !(table.start().iter().all(certain) && outcomes.all(|way| certain(&way.probability)))
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
