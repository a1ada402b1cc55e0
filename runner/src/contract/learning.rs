//! Promises about training itself, and about every action.

use anyhow::{anyhow, bail};

use super::evaluation::{alone, drawing};
use super::player::{GREEDY, Player};
use super::{Failure, Found, Subject, Unchecked};

pub(super) fn actions(subject: &Subject) -> Found {
    let trained = match subject.outcome() {
        Err(Failure::Action(how)) => bail!("{how}"),
        Ok(_) | Err(_) => subject.trained()?,
    };
    let learner = alone(subject, subject.seed)?;
    for mode in [drawing(), GREEDY] {
        Player::new(subject, learner.plan(), mode).blaming().all(learner.as_ref())?;
    }
    Ok(trained.coverage)
}

pub(super) fn learns(subject: &Subject) -> Found {
    match subject.outcome() {
        Ok(trained) => Ok(trained.coverage),
        Err(Failure::Action(_)) => Ok(subject.trained()?.coverage),
        Err(Failure::Unchecked(why)) => Err(Unchecked(why.clone()).into()),
        Err(Failure::Other(why)) => Err(anyhow!("{why}")),
    }
}
