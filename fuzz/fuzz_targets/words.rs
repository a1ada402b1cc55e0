//! Small languages: `--seeds`, files of actions, maps of lakes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rl_core::Seating;
use rl_envs::grid::frozen_lake::ENTRY;
use rl_fuzz::scratch;
use rl_runner::fuzzing::{actions, seeds};

fn lake(rows: &str) {
    let preset: toml::Table = ENTRY.preset.parse().expect("presets are TOML");
    let mut table = preset["env"].as_table().expect("[env] is a table").clone();
    let map = match rows.strip_prefix('/') {
        Some(rows) => toml::Value::Array(rows.split('/').map(|row| row.into()).collect()),
        None => rows.into(),
    };
    table.insert("map".to_owned(), map);
    let Ok(env) = (ENTRY.build)(ENTRY.id, &table, &Seating { seed: 0, seats: 0..1 }) else { return };
    let table = env.tabular().expect("a lake has a table");
    assert!(table.states() as u32 == env.spec().symbols[0]);
    env.draw(0, &mut rl_core::Canvas::new(1, 1));
}

fuzz_target!(|data: &[u8]| {
    let Some((&[kind], text)) = data.split_first_chunk() else { return };
    if kind % 3 == 0 {
        let dir = scratch();
        let file = dir.path().join("actions");
        std::fs::write(&file, text).expect("it can be written");
        let _ = actions(&file);
        return;
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    match kind % 3 {
        1 => lake(text),
        _ => {
            if let Ok(written) = seeds(text) {
                assert_eq!(seeds(&written).as_ref(), Ok(&written), "seeds are read as they are written");
            }
        }
    }
});
