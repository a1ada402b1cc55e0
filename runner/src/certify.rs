//! `rl-run verify FILE`: plays a recording again, and certifies its scores or names the first step that differs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use rl_replays::recording::{Outcome, Played, Replayed};
use serde::Serialize;

use crate::output;
use crate::playback::{self, Playback};
use crate::score::Score;
use crate::stop::{STOPPED, Stop};
use crate::tables::Tables;
use crate::train::Report;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Verdict {
    file: PathBuf,
    env: String,
    /// Every step was seen again, and the file is whole.
    equal: bool,
    whole: bool,
    /// Games that were played again and are equal, and their steps.
    episodes: usize,
    steps: usize,
    /// Returns of those games.
    returns: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_difference: Option<Difference>,
}

/// Where a game leaves the recorded one; both are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Difference {
    episode: usize,
    /// It was seen here.
    step: usize,
    /// It may have begun as early as here, unseen.
    since: usize,
}

/// Plays the games of a recording again.
///
/// # Errors
/// If the file is no recording, or of an environment that is not the one that is known here.
pub(crate) fn run(path: &Path, report: Report, tables: &Tables) -> anyhow::Result<ExitCode> {
    let stop = Stop::listen()?;
    let recording = playback::read(path)?;
    let name = path.display();
    let mut playback = Playback::new(&recording.manifest, tables).with_context(|| name.to_string())?;
    let mut verdict = Verdict {
        file: path.to_owned(),
        env: recording.manifest.env.clone(),
        equal: false,
        whole: recording.whole,
        episodes: 0,
        steps: 0,
        returns: Vec::new(),
        mean: None,
        first_difference: None,
    };
    for played in &recording.episodes {
        if stop.asked() {
            let equal = verdict.episodes;
            output::note(format!("stopped after {equal} of {} games, which are equal", recording.episodes.len()));
            return Ok(ExitCode::from(STOPPED));
        }
        // Of one that is cut short there is no score.
        let Some(outcome) = &played.outcome else { break };
        if let Some((step, since)) = differs(&mut playback, played, outcome)? {
            verdict.first_difference = Some(Difference { episode: verdict.episodes + 1, step, since });
            break;
        }
        verdict.episodes += 1;
        verdict.steps += played.steps();
        verdict.returns.push(outcome.ret);
    }
    verdict.equal = verdict.whole && verdict.first_difference.is_none();
    let score = Score { returns: verdict.returns.clone(), frames: 0 };
    verdict.mean = (!score.returns.is_empty()).then(|| score.mean());
    if report.json {
        output::line(serde_json::to_string(&verdict)?);
    } else if verdict.equal {
        let by = playback::player(&recording.manifest);
        let Verdict { env, episodes, steps, .. } = &verdict;
        output::line(format!("{name}: {episodes} games of {env} by {by} play again as recorded, {steps} steps"));
        if let Some(mean) = verdict.mean {
            output::line(format!(
                "mean {mean:.4} ± {:.4} (standard error), median {:.4}",
                score.stderr(),
                score.median()
            ));
        }
    }
    match verdict.first_difference {
        Some(Difference { episode, step, since }) => output::note(format!(
            "error: {name}: game {episode} is not what was recorded: step {step} shows something else{}",
            if since < step { format!(" (or one since step {since} did)") } else { String::new() }
        )),
        None if !verdict.whole => output::note(format!(
            "error: {name}: is cut short; the {} games before that play again as recorded",
            verdict.episodes
        )),
        None => {}
    }
    Ok(if verdict.equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The step at which a game is seen to differ, and since when it may have, from 1; `None` if it is the recorded one.
fn differs(playback: &mut Playback, played: &Played, outcome: &Outcome) -> anyhow::Result<Option<(usize, usize)>> {
    playback.begin(played)?;
    let mut replayed = Replayed::begin(played);
    let mut now = Outcome { ret: 0.0, frames: 0, end: rl_core::End::No };
    for step in 0..played.steps() {
        let shown = playback.step(played, step)?;
        if let Err(differs) = replayed.step(shown.seen) {
            return Ok(Some((differs.seen + 1, differs.from + 1)));
        }
        now.ret += f64::from(shown.reward);
        now.frames += u64::from(shown.frames);
        now.end = shown.end;
        if now.end.over() && step + 1 < played.steps() {
            return Ok(Some((step + 2, step + 2)));
        }
    }
    let same = now.ret.to_bits() == outcome.ret.to_bits() && (now.frames, now.end) == (outcome.frames, outcome.end);
    Ok((!same).then_some((played.steps(), played.steps())))
}

#[cfg(test)]
mod tests {
    use rl_core::{End, Seating};
    use rl_replays::recording::{Manifest, Player, Recorder, Recording, VERSION};

    use super::*;
    use crate::preset::{Ask, resolve};

    /// A game of three moves against the wall of a FrozenLake and one into its first hole.
    const MOVES: [u32; 5] = [0, 0, 0, 2, 1];

    fn tables() -> Tables {
        Tables::new(&[rl_envs::ENVS], &[])
    }

    fn manifest() -> Manifest {
        let sets = ["env.slippery=false".to_owned()];
        let resolved = resolve(&tables(), &Ask { env: "frozenlake", sets: &sets, ..Ask::default() }).unwrap();
        let env = resolved.seat_eval(&Seating { seed: 0, seats: 0..1 }).unwrap();
        Manifest {
            version: VERSION,
            env: resolved.env_name.clone(),
            env_version: resolved.env.version,
            config: toml::to_string(&resolved.eval_table().unwrap()).unwrap(),
            assets: [].into(),
            discrete: env.spec().discrete.to_vec(),
            continuous: 0,
            player: Player::Human {},
            outputs: None,
            made_by: "a test".to_owned(),
        }
    }

    /// A recording of one game, in which `moves` are said to have shown what `shown` says.
    fn recorded(moves: &[u32], seen: &[u32], outcome: &Outcome) -> Played {
        let mut bytes = Vec::new();
        let mut recorder = Recorder::begin(&mut bytes, &manifest()).unwrap();
        recorder.episode(7).unwrap();
        moves.iter().zip(seen).for_each(|(&action, &seen)| recorder.step(&[action], &[], seen).unwrap());
        recorder.end(outcome).unwrap();
        recorder.close().unwrap();
        Recording::read(&bytes[..]).unwrap().episodes.remove(0)
    }

    #[test]
    fn a_changed_game_and_a_better_score_are_found() {
        let mut playback = Playback::new(&manifest(), &tables()).unwrap();
        let unseen = recorded(&MOVES, &[0; 5], &Outcome { ret: 0.0, frames: 5, end: End::Terminated });
        playback.begin(&unseen).unwrap();
        let shown: Vec<_> = (0..MOVES.len()).map(|step| playback.step(&unseen, step).unwrap()).collect();
        assert_eq!(shown.last().unwrap().end, End::Terminated, "the hole");
        let seen: Vec<u32> = shown.iter().map(|shown| shown.seen).collect();
        let fair = Outcome { ret: 0.0, frames: 5, end: End::Terminated };
        let mut of = |moves: &[u32], seen: &[u32], outcome| {
            differs(&mut playback, &recorded(moves, seen, &outcome), &outcome).unwrap()
        };
        assert_eq!(of(&MOVES, &seen, fair), None);
        assert_eq!(of(&MOVES, &seen, Outcome { ret: 1.0, ..fair }), Some((5, 5)), "a better score");
        assert_eq!(of(&MOVES, &seen, Outcome { frames: 4, ..fair }), Some((5, 5)));
        assert_eq!(of(&MOVES, &seen, Outcome { end: End::Truncated, ..fair }), Some((5, 5)));
        assert_eq!(of(&[0, 0, 2, 2, 1], &seen, fair).map(|(step, _)| step), Some(3), "another way");
        assert_eq!(of(&[&MOVES[..], &[0]].concat(), &[&seen[..], &[0]].concat(), fair), Some((6, 6)), "after its end");
    }

    #[test]
    fn another_version_other_files_and_other_actions_are_refused() {
        let refused = |manifest: Manifest| Playback::new(&manifest, &tables()).map(drop).unwrap_err().to_string();
        let ours = manifest();
        let (older, missing) =
            (Manifest { env_version: 0, ..ours.clone() }, Manifest { env: "lake".to_owned(), ..ours.clone() });
        assert!(refused(older).contains("recorded with version 0 of frozenlake"));
        assert!(refused(missing).contains("lake"));
        let files = Manifest { assets: [("a.bin".to_owned(), "md5 1".to_owned())].into(), ..ours.clone() };
        assert!(refused(files).contains("recorded with a.bin of md5 1, and here is none"));
        assert!(refused(Manifest { discrete: vec![5], ..ours }).contains("other actions than frozenlake has"));
    }
}
