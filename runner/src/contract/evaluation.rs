//! Promises about evaluations, which are played by the weights between the two halves of training.

use std::ops::Range;

use rl_agents::{Learner, Mode, Policy};

use super::player::{GREEDY, Player, seats_of};
use super::{Found, Lacking, Subject, elsewhere, same};
use crate::games::play::SEATS;
use crate::session::learner::build;

/// Actions are drawn, half of them uniformly, so that what is drawn shows.
pub(super) fn drawing() -> Mode {
    Mode::Evaluate { epsilon: 0.5, greedy: false }
}

/// A learner that was just built.
fn built(subject: &Subject, seed: u64) -> anyhow::Result<Box<dyn Learner>> {
    build(&subject.resolved, &subject.resolved.shapes()?, seed, &subject.device)
}

/// Loads the weights of the half-trained learner, and nothing else.
///
/// # Errors
/// If they are refused.
fn load(subject: &Subject, learner: &mut dyn Learner) -> anyhow::Result<()> {
    let mut weights = subject.weights()?;
    Ok(learner.weights().load(&mut weights)?)
}

/// Loads them where another promise is checked.
///
/// # Errors
/// [`Unchecked`](super::Unchecked) if they are refused, of which [`weights`] tells.
fn lend(subject: &Subject, learner: &mut dyn Learner) -> anyhow::Result<()> {
    elsewhere(load(subject, learner), "its weights are not loaded")
}

/// A learner that was just built and given nothing but the weights of the half-trained one.
///
/// # Errors
/// As [`lend`].
pub(super) fn alone(subject: &Subject, seed: u64) -> anyhow::Result<Box<dyn Learner>> {
    let mut learner = built(subject, seed)?;
    lend(subject, learner.as_mut())?;
    Ok(learner)
}

/// A seed that is not the subject's.
fn another(subject: &Subject) -> u64 {
    subject.seed.wrapping_add(1)
}

pub(super) fn newest(subject: &Subject) -> Found {
    let (mut learner, seats) = (built(subject, another(subject))?, seats_of(subject));
    let mut older = learner.policy(seats.clone())?;
    lend(subject, learner.as_mut())?;
    let play = |policy: &mut dyn Policy| Player::new(subject, learner.plan(), GREEDY).play(seats.clone(), policy);
    let played = play(older.as_mut())?;
    played.same(&play(learner.policy(seats.clone())?.as_mut())?, "by a policy that was made after its weights came")
}

pub(super) fn unchanged(subject: &Subject) -> Found {
    let rounds = subject.trained()?.rounds[1];
    let mut session = subject.half_trained()?;
    let before = session.digests()?;
    let played = Player::new(subject, session.learner.plan(), drawing()).all(session.learner.as_ref())?;
    same(&before, &session.digests()?, "after an evaluation")?;
    // What it does not save may have changed too.
    let mut other = subject.half_trained()?;
    subject.advance(&mut session, rounds)?;
    subject.advance(&mut other, rounds)?;
    same(&other.digests()?, &session.digests()?, "in a run that was evaluated and went on")?;
    Ok(played.coverage())
}

pub(super) fn seats(subject: &Subject) -> Found {
    let learner = alone(subject, subject.seed)?;
    let play = |seats: Range<u32>| {
        let mut policy = learner.policy(seats.clone())?;
        Player::new(subject, learner.plan(), drawing()).play(seats, policy.as_mut())
    };
    let seats_per_world = subject.resolved.seats_per_world();
    let seats = seats_of(subject);
    let seats = seats.start..seats.end.max(seats.start + 2 * seats_per_world); // of two worlds at least
    let some = play(seats.end - seats_per_world..seats.end)?;
    play(seats)?.of_last(seats_per_world as usize).same(&some, "without the seats before it")?;
    Ok(some.coverage())
}

pub(super) fn weights(subject: &Subject) -> Found {
    let play = |learner: &dyn Learner, mode| Player::new(subject, learner.plan(), mode).all(learner);
    let [drawn, greedy] = {
        let session = subject.half_trained()?; // which may hold a large replay
        [play(session.learner.as_ref(), drawing())?, play(session.learner.as_ref(), GREEDY)?]
    };
    let alone = |seed| -> anyhow::Result<Box<dyn Learner>> {
        let mut learner = built(subject, seed)?;
        load(subject, learner.as_mut())?;
        Ok(learner)
    };
    drawn.same(&play(alone(subject.seed)?.as_ref(), drawing())?, "given its weights alone")?;
    // What it has of its seed besides, and does not save with its weights, is another then.
    greedy.same(&play(alone(another(subject))?.as_ref(), GREEDY)?, "given its weights alone and another seed")
}

pub(super) fn greedy(subject: &Subject) -> Found {
    let (learner, seats) = (alone(subject, subject.seed)?, seats_of(subject));
    let played = Player::new(subject, learner.plan(), GREEDY).all(learner.as_ref())?;
    // Its streams are elsewhere then, and what it remembers ends with the first row of an episode.
    let mut drawn = learner.policy(seats.clone())?;
    Player::new(subject, learner.plan(), drawing()).play(seats.clone(), drawn.as_mut())?;
    let other = Player::new(subject, learner.plan(), GREEDY).play(seats, drawn.as_mut())?;
    played.same(&other, "by a policy that has drawn before")
}

pub(super) fn memory(subject: &Subject) -> Found {
    let learner = alone(subject, subject.seed)?;
    if learner.policy(SEATS..SEATS + 1)?.is_recurrent() {
        return Err(Lacking("it is recurrent").into());
    }
    let played = Player::new(subject, learner.plan(), GREEDY).all(learner.as_ref())?;
    let renewed = Player::new(subject, learner.plan(), GREEDY).renewing().all(learner.as_ref())?;
    played.same(&renewed, "where a new policy takes over in the middle of an episode")
}

pub(super) fn outputs(subject: &Subject) -> Found {
    let learner = alone(subject, subject.seed)?;
    if learner.policy(SEATS..SEATS + 1)?.outputs().is_none() {
        return Err(Lacking("it has no outputs").into());
    }
    let played = Player::new(subject, learner.plan(), drawing()).all(learner.as_ref())?;
    let recorded = Player::new(subject, learner.plan(), drawing()).recording().all(learner.as_ref())?;
    played.same(&recorded, "where its outputs are recorded")
}

pub(super) fn actors(subject: &Subject) -> Found {
    // Of another seed, whose first weights an actor would have that pulls none.
    let (mut learner, seats) = (alone(subject, another(subject))?, seats_of(subject));
    let Some(mut actor) = learner.actor(seats.clone())? else {
        return Err(Lacking("it has no actors").into());
    };
    learner.publish()?;
    actor.weights.pull()?;
    let play = |policy: &mut dyn Policy| Player::new(subject, learner.plan(), GREEDY).play(seats.clone(), policy);
    let played = play(learner.policy(seats.clone())?.as_mut())?;
    played.same(&play(actor.policy.as_mut())?, "by an actor")
}
