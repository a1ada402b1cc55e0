//! Which outputs of a policy are recorded with its games.

use anyhow::bail;
use rl_agents::Learner;
use rl_core::Spec;
use rl_replays::Outputs;
use rl_replays::recording::{OutputSampling, WIDTH};

use crate::console::usage::usage;
use crate::games::play::SEATS;
use crate::preset::Resolved;
use crate::session::Session;

/// Which outputs of a run's policy are recorded while it trains: before every `every`-th step.
///
/// # Errors
/// If its agent has no outputs to record, or there are too many actions.
pub(crate) fn kept_of(
    every: Option<u32>,
    session: &Session,
    resolved: &Resolved,
) -> anyhow::Result<Option<OutputSampling>> {
    let agent = resolved.agent.map_or("", |agent| agent.id);
    every.map(|every| kept(every, session.learner.as_ref(), session.seats.spec(), agent)).transpose()
}

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
