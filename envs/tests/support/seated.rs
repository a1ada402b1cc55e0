//! What the tests of all environments share: an entry seated, and rows to step it into.
#![allow(dead_code)] // each test binary uses its own part

use rl_core::{Act, End, EnvEntry, Episode, Error, Result, Rng, Rows, Seating, Spec, Stream, Tabular, VecEnv};
use rl_envs::ENVS;

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
    let text = entry.member_presets.iter().find(|(member, _)| *member == name).map_or(entry.preset, |&(_, text)| text);
    let preset: toml::Table = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
    preset["env"].as_table().expect("[env] is a table").clone()
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
    table.extend(change.parse::<toml::Table>().map_err(|e| Error::Tensor(e.to_string()))?);
    (entry.build)(id, &table, &Seating { seed: 0, seats: 0..1 })
}

/// A row of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) frame: Vec<u8>,
    pub(crate) vector: Vec<u32>,
    pub(crate) symbols: Vec<u32>,
    pub(crate) legal: Vec<u8>,
    pub(crate) age: Vec<u32>,
    pub(crate) reward: Vec<f32>,
    pub(crate) end: Vec<End>,
    pub(crate) frames: Vec<u32>,
    pub(crate) episodes: Vec<Episode>,
}

/// Lanes that an environment writes into, and that start out as a pattern which it would hardly write.
pub(crate) struct Buffer {
    frame: Vec<u8>,
    vector: Vec<f32>,
    symbols: Vec<u32>,
    legal: Vec<u8>,
    age: Vec<u32>,
    reward: Vec<f32>,
    end: Vec<End>,
    frames: Vec<u32>,
    pub(crate) episodes: Vec<Episode>,
    pattern: u8,
}

impl Buffer {
    pub(crate) fn new(spec: &Spec, seats: usize, pattern: u8) -> Self {
        Self {
            frame: vec![0; seats * spec.frame_len()],
            vector: vec![0.0; seats * spec.vector],
            symbols: vec![0; seats * spec.symbols.len()],
            legal: vec![0; seats * spec.legal_len()],
            age: vec![0; seats],
            reward: vec![0.0; seats],
            end: vec![End::No; seats],
            frames: vec![0; seats],
            episodes: Vec::with_capacity(1024),
            pattern,
        }
    }

    /// Covers every lane with the pattern.
    pub(crate) fn cover(&mut self) {
        let word = u32::from_ne_bytes([self.pattern; 4]);
        self.frame.fill(self.pattern);
        self.vector.fill(f32::from_bits(word));
        self.symbols.fill(word);
        self.legal.fill(self.pattern);
        self.age.fill(word);
        self.reward.fill(f32::from_bits(word));
        self.end.fill(if self.pattern > 0x7f { End::LifeLost } else { End::Truncated });
        self.frames.fill(word);
        self.episodes.clear();
    }

    pub(crate) fn rows(&mut self) -> Rows<'_> {
        Rows {
            frame: &mut self.frame,
            vector: &mut self.vector,
            symbols: &mut self.symbols,
            legal: &mut self.legal,
            age: &mut self.age,
            reward: &mut self.reward,
            end: &mut self.end,
            frames: &mut self.frames,
            episodes: &mut self.episodes,
        }
    }

    pub(crate) fn has_reset(&self) -> bool {
        self.age.contains(&0)
    }

    /// What is in the lanes now; features by their bits, so that rows compare exactly.
    pub(crate) fn row(&self) -> Row {
        Row {
            frame: self.frame.clone(),
            vector: self.vector.iter().map(|value| value.to_bits()).collect(),
            symbols: self.symbols.clone(),
            legal: self.legal.clone(),
            age: self.age.clone(),
            reward: self.reward.clone(),
            end: self.end.clone(),
            frames: self.frames.clone(),
            episodes: self.episodes.clone(),
        }
    }
}

/// Random actions for a row of seats, the same for the same seed.
pub(crate) struct Actions {
    rng: Rng,
    pub(crate) discrete: Vec<u32>,
    pub(crate) continuous: Vec<f32>,
}

impl Actions {
    pub(crate) fn new(spec: &Spec, seats: usize, seed: u64) -> Self {
        let rng = Rng::new(seed, Stream::Tool(0));
        let (discrete, continuous) = (vec![0; seats * spec.discrete.len()], vec![0.0; seats * spec.continuous.len()]);
        Self { rng, discrete, continuous }
    }

    pub(crate) fn draw(&mut self, spec: &Spec) -> Act<'_> {
        for (action, &n) in self.discrete.iter_mut().zip(spec.discrete.iter().cycle()) {
            *action = self.rng.below(n);
        }
        for (action, bound) in self.continuous.iter_mut().zip(spec.continuous.iter().cycle()) {
            *action = self.rng.uniform(f64::from(bound.low), f64::from(bound.high)) as f32;
        }
        Act { discrete: &self.discrete, continuous: &self.continuous }
    }
}

/// Rows of `steps` random steps after a reset; the first is the reset's.
pub(crate) fn play(env: &mut dyn VecEnv, steps: usize, seed: u64, pattern: u8) -> Vec<Row> {
    let (spec, seats) = (env.spec().clone(), env.seats());
    let mut buffer = Buffer::new(&spec, seats, pattern);
    let mut actions = Actions::new(&spec, seats, seed);
    buffer.cover();
    env.reset(buffer.rows()).expect("reset");
    let mut rows = vec![buffer.row()];
    for _ in 0..steps {
        buffer.cover();
        env.step(actions.draw(&spec), buffer.rows()).expect("step");
        rows.push(buffer.row());
    }
    rows
}

/// Gymnasium's tuple of probability, next state, reward and end.
pub(crate) type Way = (f64, u32, f64, bool);

/// Compares a table with Gymnasium's `P[state][action]`, in its order and to the bit.
pub(crate) fn assert_equals(ours: &Tabular, theirs: &[Vec<Vec<Way>>], what: &str) {
    assert_eq!((ours.states(), ours.actions()), (theirs.len(), theirs[0].len()), "{what}");
    for (s, actions) in (0..).zip(theirs) {
        for (a, theirs) in (0..).zip(actions) {
            let ours = ours.outcomes(s, a).iter().map(|way| (way.probability, way.next, way.reward, way.terminated));
            assert_eq!(&ours.collect::<Vec<_>>(), theirs, "{what}, state {s}, action {a}");
        }
    }
}
