//! Builds learners from settings.

use anyhow::Context as _;
use candle_core::Device;
use rl_agents::{AgentEntry, Context, Learner};

use crate::needs;
use crate::preset;
use crate::preset::{Resolved, Train};

/// The agent of a run and what a learner is built from.
///
/// # Errors
/// If `[train]` is out of range.
///
/// # Panics
/// If `resolved` has no agent.
pub(crate) fn context<'a>(
    resolved: &'a Resolved,
    spec: &'a rl_core::Spec,
    seed: u64,
    device: &'a Device,
) -> anyhow::Result<(&'static AgentEntry, Context<'a>)> {
    let agent = resolved.agent.expect("whoever builds a learner named its agent");
    let Train { envs: seats, precision, .. } = resolved.train()?;
    Ok((agent, Context { spec, config: resolved.table("agent"), seats, seed, device, precision }))
}

/// Builds the untrained learner of a run.
///
/// # Errors
/// If the agent cannot play the environment or refuses a value, or memory is short.
///
/// # Panics
/// If `resolved` has no agent.
pub(crate) fn build(
    resolved: &Resolved,
    spec: &rl_core::Spec,
    seed: u64,
    device: &Device,
) -> anyhow::Result<Box<dyn Learner>> {
    let agent = resolved.agent.expect("whoever builds a learner named its agent");
    if let Some(refusal) = preset::refusal(agent, &resolved.env_name, spec) {
        return Err(refusal);
    }
    let (agent, context) = context(resolved, spec, seed, device)?;
    needs::allocation(agent, &context).with_context(|| resolved.blame("agent"))?;
    (agent.build)(&context).with_context(|| resolved.blame("agent"))
}
