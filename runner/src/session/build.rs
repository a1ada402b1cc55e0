//! Builds the session that a run begins with.

use std::sync::Arc;

use candle_core::Device;
use rl_core::Seating;

use crate::collect::actors::Actors;
use crate::collect::{self, Seats, Workers};
use crate::console::usage::usage;
use crate::preset::{Resolved, Train};
use crate::session::learner::build;
use crate::session::{Acting, Counts, Session, Window};

impl Session {
    /// Builds a session at its very beginning, with environments that are not yet reset.
    ///
    /// # Errors
    /// If the agent cannot play the environment or have actors, a value is refused, or an environment or thread fails to
    /// start.
    pub(crate) fn build(
        resolved: &Resolved,
        train: &Train,
        seed: u64,
        device: &Device,
        workers: Workers,
    ) -> anyhow::Result<Self> {
        let range = 0..train.envs;
        let seating = Seating { seed, seats: range.clone() };
        // Actors are groups too, and need nobody else to step them.
        let (groups, workers) = match train.actors {
            0 => (workers, workers),
            actors => (Workers::Exactly(actors as usize), Workers::UpTo(1)),
        };
        let envs = collect::groups(&|seating| resolved.seat(seating), &seating, groups, resolved.seats_per_world())?;
        if envs.len() < train.actors as usize {
            let (actors, worlds) = (train.actors, envs.len());
            return Err(usage(format!(
                "train.actors: {actors}, and there are {worlds} worlds to be shared: lower it to that"
            )));
        }
        let learner = build(resolved, envs[0].spec(), seed, device)?;
        let seats = Seats::new(envs, learner.plan(), workers)?;
        let acting = if train.actors == 0 {
            Acting::InTurn(learner.policy(range)?)
        } else {
            let anew = resolved.clone();
            let rebuild = Arc::new(move |seating: &Seating| anew.seat(seating));
            let actors = Actors::new(learner.as_ref(), &seats, seed, rebuild)?;
            Acting::Apart(actors.ok_or_else(|| newest_only(resolved, "train.actors"))?)
        };
        let (counts, window) = (Counts::default(), Window::default());
        let mut session =
            Self { seats, learner, acting, counts, window, notes: Vec::new(), tape: None, episode_log: None };
        session.visit(&mut |_, _| Ok(()))?; // parts that no checkpoint can tell apart are refused before a run begins
        Ok(session)
    }
}

/// Error for the setting `asked` of an agent that cannot learn from data of older weights, so that it can have no
/// actors.
pub(crate) fn newest_only(resolved: &Resolved, asked: &str) -> anyhow::Error {
    let agent = resolved.agent.map_or("", |agent| agent.id);
    usage(format!(
        "{asked}: agent `{agent}` can learn only from data of its newest weights (impala also learns from older ones)"
    ))
}
