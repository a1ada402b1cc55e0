//! An agent that names its parts as its preset says, and learns nothing.

use std::ops::Range;

use rl_agents::{AgentEntry, Context, Learner, Log, Mode, Plan, Policy, UpdateRatio};
use rl_core::{Error, Postcard, Reduce, Result, Saved, State};
use rl_replays::Rollout;
use serde::Deserialize;

pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "twins",
    summary: "For tests: two parts of one name",
    refuses: |_| None,
    presets: &[("faulty", PRESET)],
    stochastic: false,
    allocation: |_| Ok((0, "train.envs")),
    build: |context| Ok(Box::new(Twins::new(context)?)),
};

const PRESET: &str = "[agent]\nparts = [\"twin\", \"twin\"]\n\n[train]\nframes = 100\nenvs = 2\ncheckpoint_every = 50\n\
    keep_checkpoints = 2\neval_every = 0\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    parts: Vec<String>,
}

struct Twins {
    parts: Vec<(String, Postcard<u64>)>,
    weights: Postcard<u64>,
}

impl Twins {
    fn new(context: &Context<'_>) -> Result<Self> {
        let config = context.config.clone().try_into::<Config>();
        let config = config.map_err(|e| Error::Config { key: "agent".to_owned(), message: e.message().to_owned() })?;
        Ok(Self { parts: config.parts.into_iter().map(|name| (name, Postcard(0))).collect(), weights: Postcard(0) })
    }
}

impl Learner for Twins {
    fn plan(&self) -> Plan {
        Plan { horizon: 10, extra: 0, pace: Some(UpdateRatio { updates: 1, steps: 10 }) }
    }

    fn policy(&self, _seats: Range<u32>) -> Result<Box<dyn Policy>> {
        Ok(Box::new(Still))
    }

    fn learn(&mut self, _blocks: &[Rollout], _reduce: &mut dyn Reduce, _log: &mut Log) -> Result<()> {
        self.weights.0 += 1;
        Ok(())
    }

    fn updates(&self) -> u64 {
        self.weights.0
    }

    fn weights(&mut self) -> &mut dyn Saved {
        &mut self.weights
    }

    fn state(&mut self) -> State<'_> {
        self.parts.iter_mut().map(|(name, part)| (name.clone(), part as &mut dyn Saved)).collect()
    }
}

/// Takes the first action of all.
struct Still;

impl Policy for Still {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, _mode: Mode) -> Result<()> {
        blocks.iter_mut().for_each(|block| block.discrete.row_mut(t).fill(0));
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        Vec::new()
    }
}
