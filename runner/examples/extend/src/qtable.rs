//! An agent of one's own: Q-learning on a table, for environments that show one symbol and take one discrete action.
//! Source: Watkins 1989; Sutton and Barto 2018, section 6.5.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::Device;
use rl_agents::{AgentEntry, Context, Learner, Log, Mode, Plan, Policy, UpdateRatio};
use rl_core::{End, Error, Postcard, Reduce, Result, Rng, Saved, State, Stream};
use rl_nn::{Init, Params, tensor};
use rl_replays::{Rollout, played};
use serde::Deserialize;

pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "qtable",
    summary: "Q-learning on a table",
    refuses: |spec| {
        let fits = (spec.symbols.len(), spec.discrete.len(), spec.vector, spec.frame_len()) == (1, 1, 0, 0);
        match fits && !spec.mask {
            true => None,
            false => {
                Some("it needs one symbol as observation, and one discrete action that is always legal".to_owned())
            }
        }
    },
    presets: &[("corridor", CORRIDOR), ("frozenlake", LAKE), ("frozenlake8x8", LAKE)],
    stochastic: false,
    memory: |context| Ok((4 * u64::from(context.spec.symbols[0]) * u64::from(context.spec.discrete[0]), "train.envs")),
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

    /// The same as parameters, which know how to write themselves as safetensors.
    fn params(&self) -> Result<Params> {
        let (values, mut params) = (self.values(), Params::new(&Device::Cpu, Rng::new(0, Stream::Init)));
        params.root().var("q", &[values.len() / self.actions, self.actions], Init::Zeros).map_err(tensor)?;
        params.write(&values).map_err(tensor)?;
        Ok(params)
    }
}

impl Saved for Table {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        self.params()?.save(out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let mut params = self.params()?;
        params.load(from)?;
        params.read(&mut self.values()).map_err(tensor)
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
        let config = context.config.clone().try_into::<Config>();
        let config = config.map_err(|e| Error::Config { key: "agent".to_owned(), message: e.message().to_owned() })?;
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
        let rngs = seats.map(|seat| Rng::new(self.seed, Stream::Act(seat))).collect();
        Ok(Box::new(Acts { table: self.table.clone(), epsilon: self.config.epsilon, rngs: Postcard(rngs) }))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let (n, Config { rate, discount, .. }) = (self.table.actions, self.config);
        let mut values = self.table.values();
        for (block, t, e) in played(blocks) {
            let next = block.symbols[(t + 1, e)] as usize * n;
            let best = values[next..next + n].iter().copied().fold(f32::MIN, f32::max);
            let future = if block.end[(t + 1, e)] == End::Terminated { 0.0 } else { discount * best };
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
    rngs: Postcard<Vec<Rng>>,
}

impl Policy for Acts {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let epsilon = match mode {
            Mode::Explore => self.epsilon,
            Mode::Evaluate { epsilon, .. } => epsilon,
        };
        let n = self.table.actions;
        let seats = blocks.iter_mut().flat_map(|block| {
            let (symbols, ends) = (block.symbols.row(t), block.end.row(t));
            block.discrete.row_mut(t).iter_mut().zip(symbols).zip(ends)
        });
        let values = self.table.values();
        for (((action, &symbol), end), rng) in seats.zip(&mut self.rngs.0) {
            if end.over() {
                continue; // the next step resets: a policy draws nothing there
            }
            if rng.f32() < epsilon {
                *action = rng.below(n as u32);
                continue;
            }
            let row = &values[symbol as usize * n..][..n];
            let best = row.iter().copied().fold(f32::MIN, f32::max);
            let ties = row.iter().filter(|&&value| value == best).count() as u32;
            let tie = rng.below(ties) as usize;
            *action = (0..n).filter(|&a| row[a] == best).nth(tie).expect("a tie is among the best") as u32;
        }
        Ok(())
    }

    fn state(&mut self) -> State<'_> {
        vec![("rngs".to_owned(), &mut self.rngs as &mut dyn Saved)]
    }
}
