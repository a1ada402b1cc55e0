//! Promises about evaluations, which are played by the weights between the two halves of training.

use anyhow::Context as _;
use rl_agents::{Learner, Mode};

use super::player::{GREEDY, Player, seats_of};
use super::{Found, Subject, Unchecked, same};
use crate::games::play::SEATS;
use crate::session::WEIGHTS;
use crate::session::learner::build;

/// As `rl-run eval` plays.
fn sampled(subject: &Subject) -> anyhow::Result<Mode> {
    Ok(Mode::Evaluate { epsilon: subject.resolved.eval()?.epsilon, greedy: false })
}

/// A learner that was just built and given nothing but the weights of the half-trained one.
fn alone(subject: &Subject, seed: u64) -> anyhow::Result<Box<dyn Learner>> {
    let half = &subject.trained()?.half;
    let mut learner = build(&subject.resolved, &subject.resolved.shapes()?, seed, &subject.device)?;
    let saved = half.iter().find(|part| part.name == WEIGHTS).context("it has no weights")?;
    learner.weights().load(&mut &saved.bytes[..])?;
    Ok(learner)
}

/// A seed that is not the subject's.
fn another(subject: &Subject) -> u64 {
    subject.seed.wrapping_add(1)
}

pub(super) fn unchanged(subject: &Subject) -> Found {
    let mut session = subject.half_trained()?;
    let before = session.digests()?;
    let played = Player::new(subject, session.learner.plan(), sampled(subject)?).all(session.learner.as_ref())?;
    same(&before, &session.digests()?, "after an evaluation")?;
    Ok(played.coverage())
}

pub(super) fn seats(subject: &Subject) -> Found {
    let learner = alone(subject, subject.seed)?;
    let player = || -> anyhow::Result<Player<'_>> { Ok(Player::new(subject, learner.plan(), sampled(subject)?)) };
    let seats = seats_of(subject);
    let together = subject.resolved.seats_per_world();
    if seats.len() as u32 == together {
        return Err(Unchecked("all seats are of one world".to_owned()).into());
    }
    let all = player()?.all(learner.as_ref())?;
    let last = seats.end - together..seats.end;
    let some = player()?.play(last.clone(), learner.policy(last.clone())?.as_mut())?;
    all.of_last(last.len()).same(&some, "without the seats before it")
}

pub(super) fn weights(subject: &Subject) -> Found {
    let play = |learner: &dyn Learner, mode| Player::new(subject, learner.plan(), mode).all(learner);
    let mode = sampled(subject)?;
    let [drawn, greedy] = {
        let session = subject.half_trained()?; // which may hold a large replay
        [play(session.learner.as_ref(), mode)?, play(session.learner.as_ref(), GREEDY)?]
    };
    drawn.same(&play(alone(subject, subject.seed)?.as_ref(), mode)?, "given its weights alone")?;
    // What it has of its seed besides, and does not save with its weights, is another then.
    greedy.same(&play(alone(subject, another(subject))?.as_ref(), GREEDY)?, "given its weights alone and another seed")
}

pub(super) fn greedy(subject: &Subject) -> Found {
    let (learner, seats) = (alone(subject, subject.seed)?, seats_of(subject));
    let played = Player::new(subject, learner.plan(), GREEDY).all(learner.as_ref())?;
    // Its streams are elsewhere then, and what it remembers ends with the first row of an episode.
    let mut drawn = learner.policy(seats.clone())?;
    Player::new(subject, learner.plan(), sampled(subject)?).play(seats.clone(), drawn.as_mut())?;
    let other = Player::new(subject, learner.plan(), GREEDY).play(seats, drawn.as_mut())?;
    played.same(&other, "by a policy that has drawn before")
}

pub(super) fn memory(subject: &Subject) -> Found {
    let learner = alone(subject, subject.seed)?;
    if learner.policy(SEATS..SEATS + 1)?.is_recurrent() {
        return Err(Unchecked("it is recurrent".to_owned()).into());
    }
    let played = Player::new(subject, learner.plan(), GREEDY).all(learner.as_ref())?;
    let renewed = Player::new(subject, learner.plan(), GREEDY).renewing().all(learner.as_ref())?;
    played.same(&renewed, "where a new policy takes over in the middle of an episode")
}

pub(super) fn outputs(subject: &Subject) -> Found {
    let (learner, mode) = (alone(subject, subject.seed)?, sampled(subject)?);
    if learner.policy(SEATS..SEATS + 1)?.outputs().is_none() {
        return Err(Unchecked("it has no outputs".to_owned()).into());
    }
    let played = Player::new(subject, learner.plan(), mode).all(learner.as_ref())?;
    let recorded = Player::new(subject, learner.plan(), mode).recording().all(learner.as_ref())?;
    played.same(&recorded, "where its outputs are recorded")
}

pub(super) fn actors(subject: &Subject) -> Found {
    let (mut learner, mode, seats) = (alone(subject, subject.seed)?, sampled(subject)?, seats_of(subject));
    let Some(mut actor) = learner.actor(seats.clone())? else {
        return Err(Unchecked("it has no actors".to_owned()).into());
    };
    learner.publish()?;
    actor.weights.pull()?;
    let played = Player::new(subject, learner.plan(), mode).all(learner.as_ref())?;
    let other = Player::new(subject, learner.plan(), mode).play(seats, actor.policy.as_mut())?;
    played.same(&other, "by an actor")
}
