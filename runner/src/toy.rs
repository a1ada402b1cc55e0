//! An agent for tests, the smallest whose every part decides its future: a linear ε-greedy policy, momentum, and noise.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use rl_agents::{AgentEntry, Context, Learner, Log, Mode, Plan, Policy, UpdateRatio};
use rl_core::{Postcard, Reduce, Result, Rng, Saved, State, Stream};
use rl_replays::{Rollout, played};

pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "toy",
    summary: "For tests",
    refuses: |spec| spec.discrete.is_empty().then(|| "it needs a discrete action".to_owned()),
    presets: &[("frozenlake", PRESET), ("cartpole", PRESET)],
    stochastic: false,
    allocation: |_| Ok((1 << 20, "agent.nothing")),
    build: |context| Ok(Box::new(Toy::new(context))),
};

const PRESET: &str =
    "[agent]\nlr = 0.01\n[train]\nframes = 100\nenvs = 3\ncheckpoint_every = 40\nkeep_checkpoints = 2\neval_every = 0";
const HORIZON: usize = 4;

/// Weights of the linear policy, `[actions, features]`.
#[derive(Clone)]
struct Weights(Arc<Mutex<Vec<f32>>>);

impl Saved for Weights {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        Postcard(self.0.lock().unwrap().clone()).save(out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let mut kept = Postcard(Vec::new());
        kept.load(from)?;
        *self.0.lock().unwrap() = kept.0;
        Ok(())
    }
}

struct Toy {
    seed: u64,
    seats: u64,
    actions: usize,
    rate: f32,
    weights: Weights,
    moments: Postcard<Vec<f32>>,
    rng: Postcard<Rng>,
    updates: Postcard<u64>,
}

impl Toy {
    fn new(context: &Context<'_>) -> Self {
        let (actions, width) = (context.spec.discrete[0] as usize, width(context.spec));
        let mut rng = Rng::new(context.seed, Stream::Init);
        let weights = (0..actions * width).map(|_| rng.normal() as f32).collect();
        Self {
            seed: context.seed,
            seats: context.seats.into(),
            actions,
            rate: context.config["lr"].as_float().unwrap() as f32,
            weights: Weights(Arc::new(Mutex::new(weights))),
            moments: Postcard(vec![0.0; actions * width]),
            rng: Postcard(Rng::new(context.seed, Stream::Learn)),
            updates: Postcard(0),
        }
    }
}

fn width(spec: &rl_core::Spec) -> usize {
    spec.vector + spec.symbols.iter().map(|&n| n as usize).sum::<usize>()
}

fn features(block: &Rollout, t: usize, e: usize) -> Vec<f32> {
    let mut features = block.vector.at(t, e).to_vec();
    for (&symbol, &n) in block.symbols.at(t, e).iter().zip(&block.spec().symbols) {
        features.extend((0..n).map(|i| f32::from(u8::from(i == symbol))));
    }
    features
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Learner for Toy {
    fn plan(&self) -> Plan {
        let steps = HORIZON as u64 * self.seats;
        Plan { horizon: HORIZON, extra: 0, pace: Some(UpdateRatio { updates: 1, steps }) }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        let rngs = seats.map(|seat| Rng::new(self.seed, Stream::Act(seat))).collect();
        Ok(Box::new(Eyes { weights: self.weights.clone(), actions: self.actions, rngs: Postcard(rngs) }))
    }

    fn learn(&mut self, blocks: &[Rollout], _reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let mut weights = self.weights.0.lock().unwrap();
        for (block, t, e) in played(blocks) {
            let seen = features(block, t, e);
            let at = block.discrete[(t, e)] as usize * seen.len();
            let error = block.reward[(t + 1, e)] + self.rng.0.normal() as f32 - dot(&weights[at..], &seen);
            for (i, x) in seen.iter().enumerate() {
                self.moments.0[at + i] = 0.9 * self.moments.0[at + i] + error * x;
                weights[at + i] += self.rate * self.moments.0[at + i];
            }
            log.add("loss", f64::from(error * error));
        }
        self.updates.0 += 1;
        Ok(())
    }

    fn updates(&self) -> u64 {
        self.updates.0
    }

    fn weights(&mut self) -> &mut dyn Saved {
        &mut self.weights
    }

    fn state(&mut self) -> State<'_> {
        vec![
            ("moments".to_owned(), &mut self.moments as &mut dyn Saved),
            ("rng".to_owned(), &mut self.rng),
            ("updates".to_owned(), &mut self.updates),
        ]
    }
}

struct Eyes {
    weights: Weights,
    actions: usize,
    rngs: Postcard<Vec<Rng>>,
}

impl Policy for Eyes {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let epsilon = match mode {
            Mode::Explore => 0.3,
            Mode::Evaluate { epsilon, .. } => epsilon,
        };
        let weights = self.weights.0.lock().unwrap();
        let mut rngs = self.rngs.0.iter_mut();
        for block in blocks {
            for e in 0..block.seats() {
                let (rng, seen) = (rngs.next().unwrap(), features(block, t, e));
                let value = |a: &usize| dot(&weights[a * seen.len()..], &seen);
                let best = (0..self.actions).max_by(|a, b| value(a).total_cmp(&value(b))).unwrap() as u32;
                let action = if rng.f32() < epsilon { rng.below(self.actions as u32) } else { best };
                block.discrete[(t, e)] = action;
            }
        }
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        vec![("rngs".to_owned(), &mut self.rngs as &mut dyn Saved)]
    }
}
