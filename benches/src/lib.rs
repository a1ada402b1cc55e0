//! Shared parts of the benchmarks, one for each stage of the training loop (env, replay, agent): environments by name,
//! and random actions.
#![forbid(unsafe_code)]

use rl_core::{Act, EnvEntry, Rng, Seating, Spec, Stream, VecEnv};
use rl_envs::ENVS;
use rl_replays::Rollout;
use toml::Table;

/// Rows of random actions, drawn before anything is timed.
const DRAWN: usize = 1024;

/// Names of the environments that are measured and part of this build.
pub fn envs() -> Vec<&'static str> {
    let wanted = ["cartpole", "frozenlake", "kungfu"];
    wanted.into_iter().filter(|name| find(name).is_some()).collect()
}

fn find(name: &str) -> Option<(&'static EnvEntry, &str)> {
    ENVS.iter().find_map(|entry| {
        let full = entry.aliases.iter().find(|(alias, _)| *alias == name).map_or(name, |&(_, full)| full);
        let family = entry.id.ends_with('/') && full.starts_with(entry.id);
        (family || entry.id == full).then_some((entry, full))
    })
}

/// Makes `n` seats of the environment `name` with its preset, not yet reset.
///
/// # Panics
/// If there is no such environment or it cannot be built.
pub fn seats(name: &str, n: usize) -> Box<dyn VecEnv> {
    let (entry, full) = find(name).expect("the environment is in this build");
    let preset: Table = entry.preset_of(full).parse().expect("presets are TOML");
    let table = preset["env"].as_table().expect("presets have a table [env]");
    let seating = Seating { seed: 1, seats: 0..u32::try_from(n).expect("a few seats") };
    (entry.build)(full, table, &seating).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Random discrete actions for `n` seats, drawn once and played in a cycle of 1024 rows.
#[derive(Clone, Debug)]
pub struct Actions {
    values: Vec<u32>,
    row: usize,
    width: usize,
}

impl Actions {
    /// Draws actions for `n` seats of the action space of `spec`.
    pub fn new(spec: &Spec, n: usize) -> Self {
        let mut rng = Rng::new(1, Stream::Tool(0));
        let values = (0..DRAWN * n).flat_map(|_| &spec.discrete).map(|&cardinality| rng.below(cardinality)).collect();
        Self { values, row: 0, width: n * spec.discrete.len() }
    }

    /// Next row of actions, `[n · discrete]`: those of each seat together.
    pub fn next_row(&mut self) -> &[u32] {
        self.row = (self.row + 1) % DRAWN;
        &self.values[self.row * self.width..(self.row + 1) * self.width]
    }
}

/// Plays random actions into the rows 1 to `horizon` of `block`, whose row 0 is there already.
///
/// # Panics
/// If the environment fails.
pub fn fill(env: &mut dyn VecEnv, block: &mut Rollout, actions: &mut Actions) {
    for t in 0..block.horizon() {
        block.discrete.row_mut(t).copy_from_slice(actions.next_row());
        let (act, rows) = block.step(t);
        env.step(act, rows).expect("the environment steps");
    }
}

/// Steps every seat once, by the next row of random actions, into row `t + 1` of `block`. The actions are not written
/// to the block.
///
/// # Panics
/// If the environment fails.
pub fn step(env: &mut dyn VecEnv, block: &mut Rollout, t: usize, actions: &mut Actions) {
    let act = Act { discrete: actions.next_row(), continuous: &[] };
    env.step(act, block.step(t).1).expect("the environment steps");
}
