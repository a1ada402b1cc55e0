//! What the tests of all environments share: an entry seated, and rows to step it into.
#![allow(dead_code)] // each test binary uses its own part

use rl_core::contract::Subject;
use rl_core::{EnvEntry, Error, FiniteMdp, Result, Seating, VecEnv};
use rl_envs::ENVS;

pub(crate) use rl_core::RowsBuf;
pub(crate) use rl_core::contract::{Actions, cover};

/// Full names to test: every single environment, and the first two members of a family.
pub(crate) fn names() -> Vec<(&'static EnvEntry, String)> {
    let mut names = Vec::new();
    for entry in ENVS {
        let members = (entry.members)();
        if members.is_empty() {
            names.push((entry, entry.id.to_owned()));
        }
        names.extend(members.iter().take(2).map(|member| (entry, format!("{}{member}", entry.id))));
    }
    names
}

/// The `[env]` table of an entry.
pub(crate) fn preset(entry: &EnvEntry, name: &str) -> toml::Table {
    Subject::new(entry, name).unwrap_or_else(|e| panic!("{e}")).table
}

/// Seats `seats` of the environment called `name` by its preset.
pub(crate) fn seat(entry: &EnvEntry, name: &str, seed: u64, seats: std::ops::Range<u32>) -> Box<dyn VecEnv> {
    let built = (entry.build)(name, &preset(entry, name), &Seating { seed, seats });
    built.unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Builds an environment by its id with some keys changed.
pub(crate) fn with(id: &str, change: &str) -> Result<Box<dyn VecEnv>> {
    let entry = ENVS.iter().find(|entry| entry.id == id).expect("an entry of that name");
    let mut table = preset(entry, id);
    table.extend(change.parse::<toml::Table>().map_err(|e| Error::Tensor(e.into()))?);
    (entry.build)(id, &table, &Seating { seed: 0, seats: 0..1 })
}

/// Rows of `steps` random steps after a reset; the first is the reset's.
pub(crate) fn play(env: &mut dyn VecEnv, steps: usize, seed: u64, pattern: u8) -> Vec<RowsBuf> {
    let (spec, seats) = (env.spec().clone(), env.seats());
    let mut buffer = RowsBuf::new(&spec, seats);
    let mut actions = Actions::new(&spec, seats, seed);
    cover(&mut buffer, pattern);
    env.reset(buffer.rows()).expect("reset");
    let mut rows = vec![buffer.clone()];
    for _ in 0..steps {
        cover(&mut buffer, pattern);
        env.step(actions.draw(&spec), buffer.rows()).expect("step");
        rows.push(buffer.clone());
    }
    rows
}

/// Gymnasium's tuple of probability, next state, reward and end.
pub(crate) type Outcome = (f64, u32, f64, bool);

/// Compares a table with Gymnasium's `P[state][action]`, in its order and to the bit.
pub(crate) fn assert_equals(ours: &FiniteMdp, theirs: &[Vec<Vec<Outcome>>], what: &str) {
    assert_eq!((ours.states(), ours.actions()), (theirs.len(), theirs[0].len()), "{what}");
    for (s, actions) in (0..).zip(theirs) {
        for (a, theirs) in (0..).zip(actions) {
            let ours = ours.outcomes(s, a).iter().map(|way| (way.probability, way.next, way.reward, way.terminated));
            assert_eq!(&ours.collect::<Vec<_>>(), theirs, "{what}, state {s}, action {a}");
        }
    }
}
