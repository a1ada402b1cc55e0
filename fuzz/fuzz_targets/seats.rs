//! Saved states of every environment but the emulator: what a seat takes can be stepped and drawn.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use rl_core::{Canvas, EnvEntry, Seating, VecEnv, load_seats, save_seats};
use rl_envs::ENVS;
use rl_fuzz::edited;
use rl_replays::Rollout;

fn entries() -> impl Iterator<Item = &'static EnvEntry> {
    ENVS.iter().filter(|entry| (entry.members)().is_empty())
}

fn seat(entry: &EnvEntry) -> Box<dyn VecEnv> {
    let preset: toml::Table = entry.preset.parse().expect("presets are TOML");
    let table = preset["env"].as_table().expect("[env] is a table");
    (entry.build)(entry.id, table, &Seating { seed: 1, seats: 0..1 }).expect("presets are valid")
}

fn step(env: &mut dyn VecEnv, block: &mut Rollout, steps: usize) {
    for number in 0..steps {
        let spec = env.spec().clone();
        for (action, n) in block.discrete.row_mut(0).iter_mut().zip(&spec.discrete) {
            *action = number as u32 % n;
        }
        let (act, rows) = block.step(0);
        env.step(act, rows).expect("an environment of our own does not fail");
        for (symbol, n) in block.symbols.row(1).iter().zip(&spec.symbols) {
            assert!(symbol < n, "{symbol} of {n}");
        }
        block.carry();
    }
}

static STATES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let Some((&[number], edits)) = data.split_first_chunk() else { return };
    let states = STATES.get_or_init(|| {
        let save = |entry| {
            let (mut env, mut bytes) = (seat(entry), Vec::new());
            let mut block = Rollout::new(env.spec(), 1, 1, 0);
            env.reset(block.first()).expect("it starts");
            step(env.as_mut(), &mut block, 3);
            save_seats([&*env], &mut bytes).expect("it can be saved");
            bytes
        };
        entries().map(save).collect()
    });
    // A picture takes longer than all the rest: the highest bit asks for it.
    let (draws, number) = (number & 0x80 != 0, usize::from(number & 0x7F) % states.len());
    let mut env = seat(entries().nth(number).expect("as many as states"));
    if load_seats([&mut *env], &edited(&states[number], edits)).is_err() {
        return;
    }
    if draws {
        env.draw(0, &mut Canvas::new(1, 1));
    }
    let mut block = Rollout::new(env.spec(), 1, 1, 0);
    step(env.as_mut(), &mut block, 8);
    save_seats([&*env], &mut Vec::new()).expect("what was taken can be saved");
});
