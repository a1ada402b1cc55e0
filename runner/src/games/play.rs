//! Plays full games for evaluations and recordings, on seats that training never uses.

use anyhow::bail;
use rl_agents::{Clock, Learner, Mode, Plan};
use rl_core::{Seating, VecEnv};
use rl_replays::Rollout;

use crate::collect::{self, Seats, Workers, finished};
use crate::console::waiting::Waiting;
use crate::games::score::Score;
use crate::preset::Resolved;

/// First seat of evaluations; training seats are numbered from 0.
pub(crate) const SEATS: u32 = 1_000_000;
/// First seat of evaluations while a run trains. The best weights are chosen by these games, so that they are judged by
/// others.
pub(crate) const TRIALS: u32 = 2_000_000;
/// Most games that are played side by side. It decides which games are played, so it is not a setting.
const SIDE_BY_SIDE: u32 = 16;

/// Seats for `episodes` games of an environment whose worlds have `seats_per_world` seats each: whole worlds, at least one.
fn seats(episodes: u32, seats_per_world: u32) -> u32 {
    (episodes.min(SIDE_BY_SIDE) / seats_per_world).max(1) * seats_per_world
}

/// Which games to play, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Games {
    /// Seed of the games and of the policy's random draws.
    pub(crate) seed: u64,
    /// First seat to play on: [`SEATS`] or [`TRIALS`].
    pub(crate) first: u32,
    /// Number of full games.
    pub(crate) episodes: u32,
    /// How the policy chooses actions.
    pub(crate) mode: Mode,
    /// Threads that step environments; no score depends on them.
    pub(crate) workers: Workers,
    /// Whether the policy is asked for its outputs; no game depends on it.
    pub(crate) outputs: bool,
    /// Whether seats are drawn for people; no game depends on it.
    pub(crate) filmed: bool,
}

impl Games {
    /// Number of the games that are played in seat `seat` of `seats`, counted from 0.
    pub(crate) fn share(&self, seat: u32, seats: u32) -> u32 {
        self.episodes / seats + u32::from(seat < self.episodes % seats)
    }
}

/// Most engines that may be lost in a row without a finished game in between.
pub(crate) const CRASHES: usize = 50;

/// Plays full games, a fixed share of them in each seat, so that short games are not favoured. Changes nothing of the
/// learner.
///
/// # Errors
/// If the environment or the policy fails, too many engines are lost, or [`Stopped`](crate::console::waiting::Stopped).
pub(crate) fn play(
    resolved: &Resolved,
    learner: &dyn Learner,
    games: Games,
    waiting: &Waiting,
) -> anyhow::Result<Score> {
    watched(resolved, learner, games, waiting, &mut |_| Ok(()))
}

/// Plays games as [`play`] does, and calls `watch` after the first reset and after every step, whose result is in row 1
/// of the blocks.
///
/// # Errors
/// As [`play`], or if `watch` fails.
pub(crate) fn watched(
    resolved: &Resolved,
    learner: &dyn Learner,
    games: Games,
    waiting: &Waiting,
    watch: &mut dyn FnMut(&Seats) -> anyhow::Result<()>,
) -> anyhow::Result<Score> {
    let Games { seed, first, episodes, mode, workers, outputs, filmed } = games;
    let seats = seats(episodes, resolved.seats_per_world());
    let range = first..first + seats;
    let seating = Seating { seed, seats: range.clone() };
    let mut envs =
        collect::groups(&|seating| resolved.seat_eval(seating), &seating, workers, resolved.seats_per_world())?;
    for env in envs.iter_mut().filter(|_| filmed) {
        for n in 0..env.seats() {
            env.watch(n);
        }
    }
    let mut policy = learner.policy(range)?;
    let mut seated = Seats::new(envs, Plan { horizon: 1, ..learner.plan() }, workers)?;
    if outputs {
        seated.blocks_mut().iter_mut().for_each(Rollout::record_outputs);
    }
    let mut clock = Clock::default();
    let mut played: Vec<Vec<f64>> = vec![Vec::new(); seats as usize];
    let (mut score, mut lost) = (Score::default(), 0);
    let bar = waiting.bar(episodes as usize, "games");
    seated.reset()?;
    for env in seated.envs() {
        alone(env)?;
    }
    watch(&seated)?;
    let share = |seat| games.share(seat, seats);
    while (0..seats).any(|seat| played[seat as usize].len() < share(seat) as usize) {
        waiting.go_on()?;
        bar.reach(played.iter().map(Vec::len).sum());
        seated.collect(policy.as_mut(), mode, &mut clock)?;
        score.crashes.extend(seated.take_crashes().into_iter().map(collect::lost));
        let ended = seated.blocks().iter().any(|block| !block.episodes.is_empty());
        if ended {
            lost = score.crashes.len();
        } else if score.crashes.len() > lost + CRASHES {
            let last = score.crashes.pop().unwrap_or_default();
            bail!("{last}; more than {CRASHES} engines were lost before it without a finished game in between");
        }
        bar.stepped(
            seated.blocks().iter().flat_map(|block| block.frames.row(1)).map(|&frames| u64::from(frames)).sum(),
        );
        watch(&seated)?;
        // Most steps end none, and are not to allocate.
        for (_, episode) in ended.then(|| finished(seated.blocks())).into_iter().flatten() {
            let seat = episode.seat - first;
            if played[seat as usize].len() < share(seat) as usize {
                played[seat as usize].push(episode.ret);
                score.frames += episode.frames;
            }
        }
        seated.carry();
    }
    score.returns = played.into_iter().flatten().collect();
    Ok(score)
}

/// Checks that games of `env`, which has been reset, do not depend on those before them, as with `env.engine_seed` of
/// Doom: a score would count the same games for every seat, and no recording could begin with a later one.
///
/// # Errors
/// If a setting makes them depend; the message names it.
pub(crate) fn alone(env: &dyn VecEnv) -> anyhow::Result<()> {
    match env.save(0, &mut Vec::new()) {
        Err(setting @ rl_core::Error::Config { .. }) => Err(setting.into()),
        _ => Ok(()), // what cannot be saved for another reason may well be played again
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Workers;

    #[test]
    fn seats_are_whole_worlds_and_together_play_all_games() {
        assert_eq!([1, 15, 16, 50].map(|episodes| seats(episodes, 1)), [1, 15, 16, 16]);
        assert_eq!([1, 2, 5, 50].map(|episodes| seats(episodes, 2)), [2, 2, 4, 16]);
        assert_eq!([1, 10, 50].map(|episodes| seats(episodes, 3)), [3, 9, 15]);
        let (mode, workers) = (Mode::Explore, Workers::UpTo(1));
        for (episodes, seats_per_world) in [(1, 1), (50, 1), (1, 3), (10, 3), (50, 3), (50, 16)] {
            let games = Games { seed: 0, first: 0, episodes, mode, workers, outputs: false, filmed: false };
            let seats = seats(episodes, seats_per_world);
            let shares: Vec<u32> = (0..seats).map(|seat| games.share(seat, seats)).collect();
            assert_eq!(shares.iter().sum::<u32>(), episodes, "{seats_per_world} a world: {shares:?}");
        }
    }
}
