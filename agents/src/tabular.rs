//! Q-learning on a table: one value for every action in every state, for environments that show symbols alone.
//! Source: Watkins and Dayan 1992; step sizes that fall with visits after Even-Dar and Mansour 2003.
//!
//! Updates go by time, then by seat, so that the bits do not depend on how seats are grouped. In a distributed run each
//! member learns from its own steps, and the tables are averaged after every block: a value that only one member
//! updated moves by a share of the update.

mod table;

use std::io::{Read, Write};
use std::ops::Range;

use rl_core::{Error, Future, LifeLoss, Reduce, Result, Saved, Spec, State, read_postcard, write_postcard};
use rl_replays::{Outputs, Rollout, played};
use serde::{Deserialize, Serialize};

use crate::exploring::Exploring;
use crate::progress::Progress;
use crate::reward_scale::{RewardScale, RewardScaler};
use crate::{AgentEntry, Context, Learner, Log, Mode, Part, Plan, Policy, Schedule, UpdateRatio, config, legal};
use table::Table;

/// Registry entry of tabular Q-learning.
pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "tabular",
    summary: "Q-learning on a table of states and actions",
    refuses,
    presets: &[
        ("frozenlake", include_str!("../../presets/tabular/frozenlake.toml")),
        ("frozenlake8x8", include_str!("../../presets/tabular/frozenlake8x8.toml")),
        ("cliffwalking", include_str!("../../presets/tabular/cliffwalking.toml")),
        ("taxi", include_str!("../../presets/tabular/taxi.toml")),
        ("blackjack", include_str!("../../presets/tabular/blackjack.toml")),
    ],
    stochastic: false,
    allocation: |context| {
        let row = 4 * context.spec.symbols.len() as u64 + 64;
        let steps = (Config::read(context)?.horizon as u64).saturating_mul(u64::from(context.seats));
        Ok((steps.saturating_mul(row).saturating_add(16 * cells(context.spec).unwrap_or(0) as u64), "agent.horizon"))
    },
    build: |context| Ok(Box::new(Tabular::new(context)?)),
};

/// Largest number of values of a table.
const MOST: usize = 1 << 22;

/// The `[agent]` table of tabular Q-learning. Agent steps are counted over all seats together, except in `horizon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Exponent ω of the step size, 0 to 1: the n-th update of a value has step size n^-ω; 0 for step size 1, which
    /// suits deterministic environments.
    pub rate_power: f64,
    /// Discount per agent step, 0 to 1.
    pub gamma: f64,
    /// Initial value of all actions; above all reachable values it makes the agent try everything (optimism).
    pub initial: f64,
    /// Agent steps per seat between updates.
    pub horizon: usize,
    /// Probability of a random action while training (ε-greedy), by agent steps.
    pub epsilon: Schedule,
    /// How rewards are clipped or normalised.
    pub reward_scale: RewardScale,
}

impl Config {
    fn read(context: &Context<'_>) -> Result<Self> {
        let config: Self = config::read(context)?;
        config::at_least_one(&[("horizon", config.horizon as u64)])?;
        config::fractions(&[("gamma", config.gamma), ("rate_power", config.rate_power)])?;
        config.epsilon.check("agent.epsilon", 0.0, 1.0)?;
        if !(config.initial as f32).is_finite() {
            let message = format!("{} is not a number that a value can have", config.initial);
            return Err(Error::Config { key: "agent.initial".to_owned(), message });
        }
        Ok(config)
    }
}

/// Learner of tabular Q-learning.
pub(crate) struct Tabular {
    config: Config,
    seed: u64,
    seats: u32,
    table: Table,
    visits: Visits,
    progress: Progress,
    rewards: RewardScaler,
}

/// Number of updates of each value so far, `[states, actions]`.
struct Visits(Vec<u32>);

impl Tabular {
    /// Creates an untrained learner.
    ///
    /// # Errors
    /// If a setting is out of range, or the environment does not have exactly one discrete action, discrete
    /// observations alone and few enough states.
    pub(crate) fn new(context: &Context<'_>) -> Result<Self> {
        let config = Config::read(context)?;
        crate::config::playable(refuses(context.spec))?;
        let table = Table::new(context.spec, config.initial as f32)?;
        let (visits, progress) = (Visits(vec![0; table.len()]), Progress::new(context.seed));
        let rewards = RewardScaler::new(config.reward_scale, config.gamma, LifeLoss::Ignore, context.seats);
        Ok(Self { config, seed: context.seed, seats: context.seats, table, visits, progress, rewards })
    }
}

impl Learner for Tabular {
    fn plan(&self) -> Plan {
        let steps = self.config.horizon as u64 * u64::from(self.seats);
        Plan { horizon: self.config.horizon, extra: 0, pace: Some(UpdateRatio { updates: 1, steps }) }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        let exploring = Exploring::new(self.config.epsilon, self.seed, seats);
        Ok(Box::new(TablePolicy { table: self.table.clone(), exploring }))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        self.progress.count(blocks, reduce)?;
        let transform = self.rewards.transform(blocks, reduce, log)?;
        log.lap(Part::Sample);
        let Config { gamma, rate_power, .. } = self.config;
        let mut values = self.table.values();
        let (mut error, mut count) = (0.0, 0u32);
        for (block, t, e) in played(blocks) {
            let at = self.table.at(block.symbols.at(t, e)) + block.discrete[(t, e)] as usize;
            let next = self.table.at(block.symbols.at(t + 1, e));
            let next = &values[next..next + self.table.actions()];
            let bootstrap = match LifeLoss::Ignore.future(block.end[(t + 1, e)]) {
                Future::Zero => 0.0,
                Future::Bootstraps | Future::Continues => next[legal::argmax(next, block.legal.at(t + 1, e))],
            };
            let reward = transform.of(block.reward[(t + 1, e)]);
            let off = f64::from(reward) + gamma * f64::from(bootstrap) - f64::from(values[at]);
            self.visits.0[at] = self.visits.0[at].saturating_add(1);
            let rate = libm::pow(f64::from(self.visits.0[at]), -rate_power);
            values[at] = (f64::from(values[at]) + rate * off) as f32;
            (error, count) = (error + off.abs(), count + 1);
        }
        reduce.mean(&mut values)?;
        drop(values);
        self.progress.updates += 1;
        if count > 0 {
            log.add("td_error", error / f64::from(count));
        }
        log.add("epsilon", self.config.epsilon.at(self.progress.steps()));
        log.lap(Part::Optimiser);
        Ok(())
    }

    fn updates(&self) -> u64 {
        self.progress.updates
    }

    fn weights(&mut self) -> &mut dyn Saved {
        &mut self.table
    }

    fn state(&mut self) -> State<'_> {
        let mut state: State<'_> =
            vec![("visits".to_owned(), &mut self.visits), ("progress".to_owned(), &mut self.progress)];
        state.extend(self.rewards.saved().map(|rewards| ("rewards".to_owned(), rewards)));
        state
    }
}

impl Saved for Visits {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(&self.0, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let visits: Vec<u32> = read_postcard("visits", from)?;
        if visits.len() != self.0.len() {
            let message = format!("holds {} values, expected {}", visits.len(), self.0.len());
            return Err(Error::State { part: "visits".to_owned(), message });
        }
        self.0 = visits;
        Ok(())
    }
}

/// ε-greedy policy on the table: a random legal action with probability ε, else the first of the best legal ones.
struct TablePolicy {
    table: Table,
    exploring: Exploring,
}

impl Policy for TablePolicy {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { table, exploring } = self;
        let (epsilon, values) = (exploring.epsilon(mode), table.values());
        let (mut rngs, mut playing) = (exploring.rngs(), 0);
        for block in blocks {
            for e in 0..block.seats() {
                let rng = rngs.next().expect("a stream per seat");
                let action = if block.end[(t, e)].over() {
                    0 // ignored: the environment resets
                } else {
                    playing += 1;
                    let legal = block.legal.at(t, e);
                    if rng.f32() < epsilon {
                        legal::random(table.actions() as u32, legal, rng)
                    } else {
                        let at = table.at(block.symbols.at(t, e));
                        legal::argmax(&values[at..at + table.actions()], legal) as u32
                    }
                };
                block.discrete[(t, e)] = action;
                if let Some((said, all)) = block.outputs.at_mut(t, e).split_first_mut() {
                    let at = table.at(block.symbols.at(t, e));
                    let (values, legal) = (&values[at..at + table.actions()], block.legal.at(t, e));
                    *said = values[legal::argmax(values, legal)];
                    legal::keep(values, legal, all);
                }
            }
        }
        drop(rngs);
        exploring.count(mode, playing);
        Ok(())
    }

    fn outputs(&self) -> Option<Outputs> {
        Some(Outputs::Q)
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        vec![("act".to_owned(), &mut self.exploring)]
    }
}

/// Number of values of a table for `spec`, states times actions; `None` on overflow or without a discrete action.
fn cells(spec: &Spec) -> Option<usize> {
    let states = spec.symbols.iter().try_fold(1usize, |states, &count| states.checked_mul(count as usize))?;
    states.checked_mul(*spec.discrete.first()? as usize)
}

fn refuses(spec: &Spec) -> Option<String> {
    if let Some(why) = crate::dqn::refuses("tabular", spec) {
        return Some(why);
    }
    if spec.frame_len() > 0 || spec.vector > 0 || spec.symbols.is_empty() {
        return Some("tabular needs observations that are symbols alone, such as frozenlake's cell".to_owned());
    }
    match cells(spec) {
        Some(cells) if cells <= MOST => None,
        _ => Some(format!("tabular keeps {MOST} values at most: this environment has more states")),
    }
}

#[cfg(test)]
mod tests;
