//! Which outputs of a policy are recorded with its games.

use anyhow::bail;
use rl_agents::Learner;
use rl_core::Spec;
use rl_replays::Outputs;
use rl_replays::recording::{OutputSampling, WIDTH};

use crate::console::usage::usage;
use crate::games::play::SEATS;

/// Which outputs of the policies of an agent are recorded: before every `every`-th step.
///
/// # Errors
/// If it has none, or there are too many actions.
pub(crate) fn kept(every: u32, learner: &dyn Learner, spec: &Spec, agent: &str) -> anyhow::Result<OutputSampling> {
    let Some(kind) = learner.policy(SEATS..SEATS + 1)?.outputs() else {
        bail!(usage(format!("--outputs: agent `{agent}` has neither values nor action probabilities to record")));
    };
    let actions = Outputs::width(spec) - 1;
    if actions > WIDTH {
        bail!(usage(format!(
            "--outputs: recordings keep the outputs of at most {WIDTH} actions, and this environment has {actions}"
        )));
    }
    Ok(OutputSampling { kind, every })
}

/// Parses `every:N`, the value of `--outputs`.
pub(crate) fn every(text: &str) -> Result<u32, String> {
    let every = text.strip_prefix("every:").and_then(|number| number.parse().ok()).filter(|&every| every > 0);
    every.ok_or_else(|| "expected every:N, N a number of steps, such as every:4".to_owned())
}
