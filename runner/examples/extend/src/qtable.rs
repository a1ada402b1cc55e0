//! An agent of one's own: Q-learning on a table, for environments that show one symbol and take one discrete action.
//! Source: Watkins 1989; Sutton and Barto 2018, section 6.5.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rl_agents::{AgentEntry, Context, Learner, Log, Mode, Plan, Policy, Streams, UpdateRatio, legal};
use rl_core::{Future, LifeLoss, Postcard, Reduce, Result, Saved, State};
use rl_nn::{load_array, save_array};
use rl_replays::{Rollout, played};
use serde::Deserialize;

pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "qtable",
    summary: "Q-learning on a table",
    refuses: |spec| {
        let fits = (spec.symbols.len(), spec.discrete.len(), spec.vector, spec.frame_len()) == (1, 1, 0, 0);
        (!fits).then(|| "it needs one symbol as observation, and one discrete action".to_owned())
    },
    presets: &[("corridor", CORRIDOR), ("frozenlake", LAKE), ("frozenlake8x8", LAKE)],
    stochastic: false,
    allocation: |context| {
        Ok((
            4 * u64::from(context.spec.symbols[0]) * u64::from(context.spec.discrete[0]),
            "env.length, or choose an environment of fewer states",
        ))
    },
    build: |context| Ok(Box::new(Learns::new(context)?)),
};

const CORRIDOR: &str = "[agent]\nrate = 0.5\ndiscount = 0.9\nepsilon = 0.3\n\n[train]\nframes = 5000\nenvs = 2\n\
    checkpoint_every = 2000\nkeep_checkpoints = 2\neval_every = 0\n";
const LAKE: &str = "[agent]\nrate = 0.02\ndiscount = 0.995\nepsilon = 0.5\n\n[train]\nframes = 1000000\nenvs = 8\n\
    checkpoint_every = 500000\nkeep_checkpoints = 2\neval_every = 0\n";

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    rate: f32,
    discount: f32,
    epsilon: f32,
}

/// Values of every action in every state, `[S, A]`, read by policies and written by the learner.
#[derive(Clone)]
struct Table {
    actions: usize,
    values: Arc<Mutex<Vec<f32>>>,
}

impl Table {
    fn values(&self) -> MutexGuard<'_, Vec<f32>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// States and actions.
    fn shape(&self) -> [usize; 2] {
        [self.values().len() / self.actions, self.actions]
    }
}

/// Weights are safetensors, which other programs read.
impl Saved for Table {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        save_array("q", &self.shape(), &self.values(), out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let read = load_array("q", &self.shape(), from)?;
        self.values().copy_from_slice(&read);
        Ok(())
    }
}

struct Learns {
    config: Config,
    seed: u64,
    seats: u32,
    table: Table,
    updates: Postcard<u64>,
}

impl Learns {
    fn new(context: &Context<'_>) -> Result<Self> {
        let config: Config = context.settings()?;
        let (states, actions) = (context.spec.symbols[0] as usize, context.spec.discrete[0] as usize);
        let values = Arc::new(Mutex::new(vec![0.0; states * actions]));
        Ok(Self {
            config,
            seed: context.seed,
            seats: context.seats,
            table: Table { actions, values },
            updates: Postcard(0),
        })
    }
}

impl Learner for Learns {
    fn plan(&self) -> Plan {
        Plan { horizon: 16, extra: 0, pace: Some(UpdateRatio { updates: 1, steps: 16 * u64::from(self.seats) }) }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        let (table, epsilon) = (self.table.clone(), self.config.epsilon);
        Ok(Box::new(Acts { table, epsilon, streams: Streams::new(self.seed, seats) }))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let (n, Config { rate, discount, .. }) = (self.table.actions, self.config);
        let mut values = self.table.values();
        for (block, t, e) in played(blocks) {
            let next = block.symbols[(t + 1, e)] as usize * n;
            let best = || values[next + legal::argmax(&values[next..next + n], block.legal.at(t + 1, e))];
            let future = match LifeLoss::Ignore.future(block.end[(t + 1, e)]) {
                Future::Zero => 0.0, // a terminal state
                Future::Bootstraps | Future::Continues => discount * best(),
            };
            let at = block.symbols[(t, e)] as usize * n + block.discrete[(t, e)] as usize;
            let error = block.reward[(t + 1, e)] + future - values[at];
            values[at] += rate * error;
            log.add("loss", f64::from(error * error));
        }
        reduce.mean(&mut values)?;
        self.updates.0 += 1;
        Ok(())
    }

    fn updates(&self) -> u64 {
        self.updates.0
    }

    fn weights(&mut self) -> &mut dyn Saved {
        &mut self.table
    }

    fn state(&mut self) -> State<'_> {
        vec![("updates".to_owned(), &mut self.updates)]
    }
}

struct Acts {
    table: Table,
    epsilon: f32,
    streams: Streams,
}

impl Policy for Acts {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let (epsilon, greedy) = match mode {
            Mode::Explore => (self.epsilon, false),
            Mode::Evaluate { epsilon, greedy } => (epsilon, greedy),
        };
        let (n, values, mut streams) = (self.table.actions, self.table.values(), self.streams.iter_mut());
        for block in blocks {
            for e in 0..block.seats() {
                let rng = streams.next().expect("a stream per seat");
                if block.end[(t, e)].over() {
                    continue; // the next step resets: a policy draws nothing there
                }
                let (state, legal) = (block.symbols[(t, e)] as usize, block.legal.at(t, e));
                let row = &values[state * n..][..n];
                block.discrete[(t, e)] = if rng.f32() < epsilon {
                    legal::random(n as u32, legal, rng)
                } else if greedy {
                    legal::argmax(row, legal) as u32 // nothing is left to chance
                } else {
                    let best = row[legal::argmax(row, legal)];
                    let mut ties = (0..n).filter(|&a| legal::allows(legal, a) && row[a] == best);
                    let tie = rng.below(ties.clone().count() as u32);
                    ties.nth(tie as usize).expect("a tie is among the best") as u32
                };
            }
        }
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        vec![("streams".to_owned(), &mut self.streams)]
    }
}
