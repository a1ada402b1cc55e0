//! Promises about training itself.

use anyhow::{anyhow, bail};

use super::player::{GREEDY, Player, seats_of};
use super::{Coverage, Failure, Found, Subject, Unchecked};

pub(super) fn actions(subject: &Subject) -> Found {
    match subject.outcome() {
        Ok(trained) => Ok(trained.coverage),
        Err(Failure::Action(how)) => bail!("{how}"),
        Err(Failure::Lost(_) | Failure::Other(_)) => Ok(subject.trained()?.coverage),
    }
}

pub(super) fn learns(subject: &Subject) -> Found {
    match subject.outcome() {
        Ok(trained) => Ok(trained.coverage),
        Err(Failure::Action(_)) => Ok(subject.trained()?.coverage),
        Err(Failure::Lost(why)) => Err(Unchecked(why.clone()).into()),
        Err(Failure::Other(why)) => Err(anyhow!("{why}")),
    }
}

pub(super) fn newest(subject: &Subject) -> Found {
    let mut session = subject.half_trained()?;
    let seats = seats_of(subject);
    let mut older = session.learner.policy(seats.clone())?;
    let before = session.learner.updates();
    let mut rounds = 0;
    while session.learner.updates() == before && rounds < subject.trained()?.rounds[1] {
        subject.advance(&mut session, 1)?;
        rounds += 1;
    }
    let mut newer = session.learner.policy(seats.clone())?;
    let plan = session.learner.plan();
    let played = Player::new(subject, plan, GREEDY).play(seats.clone(), older.as_mut())?;
    let other = Player::new(subject, plan, GREEDY).play(seats, newer.as_mut())?;
    played.same(&other, "by a policy that was made after an update")?;
    Ok(Coverage { updates: session.learner.updates() - before, ..played.coverage() })
}
