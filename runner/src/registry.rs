//! What a program of one's own knows by name, environments, to be seated alone, and agents, to be checked; and what it
//! trains.

use std::path::Path;

use candle_core::Device;
use rl_agents::AgentEntry;
use rl_core::contract::STEPS;
use rl_core::{EnvEntry, Seating, VecEnv};

use crate::console::stop::Stop;
use crate::contract::{self, Subject};
use crate::preset::{self, Ask, Resolved};
use crate::tables::Tables;

/// Environments and agents that a program knows, by their names.
#[derive(Clone, Debug)]
pub struct Registry(pub(crate) Tables);

impl Registry {
    /// Joins tables, such as `rl_envs::ENVS`, `rl_agents::AGENTS`, [`PLANNERS`](crate::PLANNERS), of which `alphazero` is
    /// one, and those of one's own.
    ///
    /// # Errors
    /// If two entries have one name.
    pub fn new(envs: &[&'static [EnvEntry]], agents: &[&'static [AgentEntry]]) -> anyhow::Result<Self> {
        let tables = Tables::new(envs, agents);
        tables.check()?;
        Ok(Self(tables))
    }

    /// Seats the environment `env` of `--env`, with single values `sets` of `--set` changed, to be stepped by a program
    /// of one's own.
    ///
    /// ```
    /// use rl_core::{Act, RowsBuf, Seating};
    /// use rl_runner::Registry;
    ///
    /// let registry = Registry::new(&[rl_envs::ENVS], &[])?;
    /// let mut env = registry.seat("cartpole", &["env.max_steps=200"], &Seating { seed: 1, seats: 0..8 })?;
    /// let mut row = RowsBuf::new(env.spec(), env.seats());
    /// env.reset(row.rows())?;
    /// while row.episodes.len() < 10 {
    ///     let actions: Vec<u32> = row.vector.chunks(4).map(|seen| u32::from(seen[2] > 0.0)).collect(); // where the pole leans
    ///     env.step(Act { discrete: &actions, continuous: &[] }, row.rows())?;
    /// }
    /// assert!(row.episodes.iter().all(|episode| episode.ret > 9.0));
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// If a name, key or value is refused, a file that the environment needs is not there and cannot be fetched, which is
    /// tried and told on stderr, or the environment makes another number of seats.
    pub fn seat(&self, env: &str, sets: &[&str], seating: &Seating) -> anyhow::Result<Box<dyn VecEnv>> {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        preset::resolve(&self.0, &Ask { env, agent: None, preset: None, sets: &sets, protocol: None })?.seat(seating)
    }

    /// Checks that an agent keeps what all agents promise: what `rl-run check --agent` checks, for tests. It is trained
    /// several times, for twice 600 agent steps at least with an update in each half, so that small settings are best.
    ///
    /// ```
    /// use rl_runner::{Registry, TrainerConfig};
    ///
    /// let registry = Registry::new(&[rl_envs::ENVS], &[rl_agents::AGENTS])?;
    /// let (sets, device) = (&["train.envs=2", "agent.horizon=64"], rl_runner::candle_core::Device::Cpu);
    /// registry.check_agent(&TrainerConfig { env: "cartpole", agent: "ppo", preset: None, sets, seed: 1, device })?;
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// If it cannot be built, breaks a promise or cannot be checked: the message names it and says what was seen.
    pub fn check_agent(&self, config: &TrainerConfig<'_>) -> anyhow::Result<()> {
        let (seed, device) = (config.seed, config.device.clone());
        contract::check(&Subject::new(config.resolve(self)?, seed, device, STEPS as u64, Stop::default())?)
    }
}

/// What a [`Trainer`](crate::Trainer) trains.
#[derive(Clone, Debug)]
pub struct TrainerConfig<'a> {
    /// Name of the environment, as of `--env`.
    pub env: &'a str,
    /// Name of the agent, as of `--agent`.
    pub agent: &'a str,
    /// A preset file, or the name of a built-in preset of the pair, as of `--preset`; the pair's own by default.
    pub preset: Option<&'a Path>,
    /// Replacements of single values, `table.key=value` each, as of `--set`.
    pub sets: &'a [&'a str],
    /// Seed of every random stream.
    pub seed: u64,
    /// Where tensors live.
    pub device: Device,
}

impl TrainerConfig<'_> {
    pub(crate) fn resolve(&self, registry: &Registry) -> anyhow::Result<Resolved> {
        let sets: Vec<String> = self.sets.iter().map(|&set| set.to_owned()).collect();
        let ask = Ask { env: self.env, agent: Some(self.agent), preset: self.preset, sets: &sets, protocol: None };
        preset::resolve(&registry.0, &ask)
    }
}
