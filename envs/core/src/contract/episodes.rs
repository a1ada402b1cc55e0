//! How episodes begin and end, and what decides them.

use super::player::Player;
use super::rows::{difference, part};
use super::{Found, Subject, hold};
use crate::{End, Episode};

/// Checks next-step autoreset, and that reported episodes are the sums of their steps.
pub(super) fn ends(subject: &Subject<'_>) -> Found {
    let mut player = Player::new(subject, 5, 7..10, 3, 0xAA)?;
    let seats = player.env.seats();
    let first = 7 * (seats as u32 / 3);
    player.reset()?;
    let mut before = player.row();
    let (mut ret, mut slack, mut frames) = (vec![0.0; seats], vec![0.0; seats], vec![0; seats]);
    for step in 1..=4 * subject.steps {
        player.step()?;
        let row = player.row();
        for n in 0..seats {
            let place = || format!("step {step}, seat {}", first + n as u32);
            let mut reported = row.episodes.iter().filter(|episode| episode.seat == first + n as u32);
            let (found, second) = (reported.next(), reported.next());
            if before.end[n].over() {
                let (age, reward, end) = (row.age[n], row.reward[n], row.end[n]);
                hold((age, reward, end, row.frames[n]) == (0, 0.0, End::No, 0), || {
                    format!("{}: an episode is over, and no reset follows: age {age}, reward {reward}", place())
                })?;
                hold(found.is_none(), || format!("{}: a reset reports an episode", place()))?;
                (ret[n], slack[n], frames[n]) = (0.0, 0.0, 0);
                continue;
            }
            hold(row.age[n] == before.age[n] + 1, || {
                format!("{}: age {} follows {}", place(), row.age[n], before.age[n])
            })?;
            let bonus = player.env.shaping_reward(n);
            ret[n] += f64::from(row.reward[n] - bonus);
            if bonus != 0.0 {
                // What single precision loses where it is taken off the reward again.
                slack[n] += f64::from(row.reward[n].abs().max(bonus.abs()) * f32::EPSILON);
            }
            frames[n] += u64::from(row.frames[n]);
            let expected = Episode {
                seat: first + n as u32,
                ret: ret[n],
                steps: u64::from(row.age[n]),
                frames: frames[n],
                end: row.end[n],
                seed: player.env.episode_seed(n),
            };
            hold(found.is_some() == row.end[n].over() && second.is_none(), || {
                format!(
                    "{}: {} episodes are reported where the end is {}",
                    place(),
                    row.episodes.len(),
                    row.end[n].name()
                )
            })?;
            let same = |reported: &Episode| {
                let off = (reported.ret - expected.ret).abs();
                off <= slack[n] && *reported == Episode { ret: reported.ret, ..expected }
            };
            hold(found.is_none_or(same), || {
                format!("{}: an episode is reported as {found:?}, and its steps come to {expected:?}", place())
            })?;
        }
        hold(row.episodes.iter().all(|episode| (first..first + seats as u32).contains(&episode.seat)), || {
            format!("step {step}: an episode of another seat is reported: {:?}", row.episodes)
        })?;
        before = row;
    }
    Ok(Some(player.played))
}

/// Checks that two environments that are built alike do the same.
pub(super) fn seed(subject: &Subject<'_>) -> Found {
    let mut one = Player::new(subject, 6, 0..2, 4, 0x55)?;
    let mut other = Player::new(subject, 6, 0..2, 4, 0x55)?;
    one.beside(&mut other, "with the same seed and the same actions")?;
    Ok(Some(one.played))
}

/// Checks that the first episodes of some seats repeat when they are begun by their seeds in other seats that have
/// played.
pub(super) fn episode(subject: &Subject<'_>) -> Found {
    let mut one = Player::new(subject, 16, 0..2, 13, 0x55)?;
    one.reset()?;
    let seats = one.env.seats();
    let seeds: Vec<u64> = (0..seats).map(|n| one.env.episode_seed(n)).collect();
    let mut other = Player::new(subject, 17, 4..6, 14, 0x55)?;
    other.reset()?;
    for _ in 0..subject.steps.min(50) {
        other.step()?;
    }
    other.begin(&seeds)?;
    other.act_by(13);
    hold((0..seats).all(|n| other.env.episode_seed(n) == seeds[n]), || {
        "an episode that was begun by its seed tells another".to_owned()
    })?;
    let mut over = vec![false; seats];
    for step in 0..=subject.steps {
        let (here, there) = (one.row(), other.row());
        for n in (0..seats).filter(|&n| !over[n]) {
            if let Some(what) = difference(&part(&here, n..n + 1, seats), &part(&there, n..n + 1, seats)) {
                return Err(format!("step {step} of an episode: {what}, begun by the same seed in another seat"));
            }
        }
        over.iter_mut().zip(&here.end).for_each(|(over, end)| *over |= end.over());
        if step == subject.steps || over.iter().all(|&over| over) {
            break;
        }
        one.step()?;
        other.step()?;
    }
    Ok(Some(one.played))
}

/// Checks that the seats of a world do the same beside other worlds as alone.
pub(super) fn seats(subject: &Subject<'_>) -> Found {
    const WORLDS: usize = 3;
    let mut all = Player::new(subject, 8, 0..WORLDS as u32, 5, 0x55)?;
    let alone = (0..WORLDS as u32).map(|world| Player::new(subject, 8, world..world + 1, 0, 0x55));
    let mut alone = alone.collect::<Result<Vec<_>, _>>()?;
    all.reset()?;
    alone.iter_mut().try_for_each(Player::reset)?;
    let seats = all.env.seats();
    let share = seats / WORLDS;
    for step in 0..=subject.steps.div_ceil(3) {
        let row = all.row();
        for (world, player) in alone.iter().enumerate() {
            let here = part(&row, world * share..(world + 1) * share, seats);
            let there = part(&player.row(), 0..share, share);
            if let Some(what) = difference(&here, &there) {
                return Err(format!("step {step}, seat {}: {what}, where others play beside it", world * share));
            }
        }
        all.step()?;
        for (world, player) in alone.iter_mut().enumerate() {
            player.take(all.actions.act().seats(&all.spec, world * share..(world + 1) * share))?;
        }
    }
    Ok(Some(all.played))
}
