//! `rl-run verify FILE`: plays a recording again, and certifies its scores or names the first step that differs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use rl_core::{Canvas, End};
use rl_replays::recording::{Outcome, Projector, RecordedEpisode, Replayed, Told};
use serde::Serialize;

use crate::console::number;
use crate::console::number::counted;
use crate::console::output;
use crate::console::waiting::Waiting;
use crate::games::playback::{self, Playback};
use crate::games::score::Score;
use crate::tables::Tables;
use crate::training::verbosity::Verbosity;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Verdict {
    #[serde(serialize_with = "crate::file::text")]
    file: PathBuf,
    env: String,
    /// Whether every game plays again as recorded, pictures too, and the file is whole.
    equal: bool,
    whole: bool,
    /// Games that were played again and are equal; `steps` counts theirs.
    episodes: usize,
    steps: usize,
    /// Returns of the equal games.
    returns: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_difference: Option<Difference>,
    /// The first game whose steps are equal but whose outcome is not the recorded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_other_outcome: Option<Claim>,
    /// Recorded pictures of the equal games that match what is drawn here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pictures: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_other_picture: Option<Place>,
}

/// Where a game first differs from the recording.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Difference {
    episode: usize,
    /// Step at which the difference is seen, from 1.
    step: usize,
    /// Step from which the game may differ unseen, from 1.
    since: usize,
}

/// A game whose outcome is not the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Claim {
    /// Number of the game, from 1.
    episode: usize,
    came_to: Came,
    recorded: Came,
}

/// An outcome, with the field names of the JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Came {
    #[serde(rename = "return")]
    ret: f64,
    frames: u64,
    end: &'static str,
}

impl Came {
    fn of(&Outcome { ret, frames, end }: &Outcome) -> Self {
        Self { ret, frames, end: end.name() }
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} frames, {}", self.ret, self.frames, self.end)
    }
}

/// A picture of a recorded game.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Place {
    /// Number of the game, from 1.
    episode: usize,
    /// Steps of the game before the picture.
    steps: usize,
}

/// What playing one game again has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Found {
    /// The step at which the game is seen to differ and the one since when it may, both from 1.
    differs: Option<(usize, usize)>,
    /// Outcome of the game's steps, if it is not the recorded one.
    came_to: Option<Outcome>,
    /// Recorded pictures that match what is drawn here.
    pictures: usize,
    /// Steps before the first picture that does not match, or whose recorded reward, frames or end do not.
    other: Option<usize>,
}

/// Plays the games of a recording again and reports whether they are as recorded.
///
/// # Errors
/// If the file is not a recording, or its environment cannot be made here as it was recorded.
pub(crate) fn run(path: &Path, verbosity: Verbosity, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(verbosity.quiet || verbosity.json, "no score is certified")?;
    let recording = playback::read(path)?;
    let name = path.display();
    let pictured = recording.manifest.pictures.is_some();
    let mut playback = Playback::new(&recording.manifest, tables).with_context(|| match pictured {
        true => format!("{name}: its pictures can be watched and exported, but no score is certified by them"),
        false => name.to_string(),
    })?;
    if recording.manifest.pictures.as_ref().is_some_and(|pictures| pictures.watched) && !playback.watch() {
        bail!("{name}: its pictures are in colours that cannot be drawn on this machine: verify it on x86-64");
    }
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
        first_other_outcome: None,
        pictures: pictured.then_some(0),
        first_other_picture: None,
    };
    let bar = waiting.bar(recording.episodes.len(), "games");
    for played in &recording.episodes {
        bar.reach(verdict.episodes);
        // Of one that is cut short there is no score.
        let Some(outcome) = &played.outcome else { break };
        let episode = verdict.episodes + 1;
        let found = again(&mut playback, played, outcome, pictured, &waiting).with_context(|| name.to_string())?;
        if let Some((step, since)) = found.differs {
            verdict.first_difference = Some(Difference { episode, step, since });
            break;
        }
        if let Some(came_to) = found.came_to {
            verdict.first_other_outcome =
                Some(Claim { episode, came_to: Came::of(&came_to), recorded: Came::of(outcome) });
            break;
        }
        let other = found.other.map(|steps| Place { episode, steps });
        verdict.first_other_picture = verdict.first_other_picture.or(other);
        verdict.pictures = verdict.pictures.map(|pictures| pictures + found.pictures);
        verdict.episodes = episode;
        verdict.steps += played.steps();
        verdict.returns.push(outcome.ret);
    }
    drop(bar);
    let plays_again = verdict.first_difference.is_none() && verdict.first_other_outcome.is_none();
    let certified = verdict.whole && plays_again;
    verdict.equal = certified && verdict.first_other_picture.is_none();
    let score = Score { returns: verdict.returns.clone(), frames: 0, ..Score::default() };
    verdict.mean = (!score.returns.is_empty()).then(|| score.mean());
    if verbosity.json {
        output::line(serde_json::to_string(&verdict)?);
    } else if certified {
        let by = playback::player(&recording.manifest);
        let Verdict { env, episodes, steps, .. } = &verdict;
        let pictures = verdict.pictures.filter(|_| verdict.equal);
        let pictures = pictures
            .map(|pictures| format!(", and all {} pictures match", number::count(pictures as u64)))
            .unwrap_or_default();
        let (games, steps) = (counted(*episodes, "game"), counted(*steps, "step"));
        output::line(format!(
            "{name}: {games} of {env} by {by} {} again as recorded, {steps}{pictures}",
            play(*episodes)
        ));
        if let Some(mean) = verdict.mean {
            let (mean, median) = (number::mean_with_error(mean, score.stderr()), number::score(score.median()));
            output::line(format!("mean {mean}, median {median}"));
        }
    }
    if let Some(Difference { episode, step, since }) = verdict.first_difference {
        output::note(format!(
            "error: {name}: game {episode} does not match the recording: step {step} differs{}",
            if since < step { format!(" (or an earlier one, from step {since} on)") } else { String::new() }
        ));
    } else if let Some(Claim { episode, came_to, recorded }) = verdict.first_other_outcome {
        output::note(format!(
            "error: {name}: game {episode} plays again step by step and comes to {came_to}; the recording says {recorded}"
        ));
    } else if !verdict.whole {
        output::note(format!(
            "error: {name} is cut short or damaged; {} before that {} again as recorded",
            counted(verdict.episodes, "game"),
            play(verdict.episodes)
        ));
    }
    if let Some(Place { episode, steps }) = verdict.first_other_picture {
        output::note(format!(
            "error: {name}: after step {steps} of game {episode} the recorded picture, reward or end differs from what is seen \
             here: the pictures do not belong to these games"
        ));
    }
    Ok(if verdict.equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The verb for as many games.
fn play(games: usize) -> &'static str {
    if games == 1 { "plays" } else { "play" }
}

/// Plays one game again and compares steps, outcome and, if `pictured`, pictures with the recorded ones.
fn again(
    playback: &mut Playback,
    played: &RecordedEpisode,
    outcome: &Outcome,
    pictured: bool,
    waiting: &Waiting,
) -> anyhow::Result<Found> {
    playback.begin(played)?;
    let mut replayed = Replayed::begin(played);
    let (mut found, mut look) = (Found::default(), pictured.then(Look::new));
    let mut now = Outcome { ret: 0.0, frames: 0, end: End::No };
    if let Some(look) = &mut look {
        look.compare(playback, played, None, &mut found)?;
    }
    for step in 0..played.steps() {
        waiting.go_on()?;
        let shown = playback.step(played, step)?;
        if let Err(differs) = replayed.step(shown.seen) {
            return Ok(Found { differs: Some((differs.seen + 1, differs.from + 1)), ..found });
        }
        if let Some(look) = &mut look {
            look.compare(playback, played, Some((step, shown.told)), &mut found)?;
        }
        now.ret = shown.ret.unwrap_or(now.ret + f64::from(shown.told.reward));
        now.frames += u64::from(shown.told.frames);
        now.end = shown.told.end;
        if now.end.over() && step + 1 < played.steps() {
            // Recorded steps that others follow end nothing. Before it four bits of each were compared, and those of an
            // end are none.
            return Ok(Found { differs: Some((step + 1, replayed.equal() + 1)), ..found });
        }
    }
    let same = now.ret.to_bits() == outcome.ret.to_bits() && (now.frames, now.end) == (outcome.frames, outcome.end);
    Ok(Found { came_to: (!same).then_some(now), ..found })
}

/// Compares the pictures of a game.
struct Look {
    projector: Projector,
    drawn: Canvas,
}

impl Look {
    fn new() -> Self {
        Self { projector: Projector::default(), drawn: Canvas::new(0, 0) }
    }

    /// Compares the picture after `step`, given with what the step came to; `None` is the picture before the first
    /// step.
    fn compare(
        &mut self,
        playback: &Playback,
        played: &RecordedEpisode,
        step: Option<(usize, Told)>,
        found: &mut Found,
    ) -> anyhow::Result<()> {
        let steps = step.map_or(0, |(step, _)| step + 1);
        playback.draw(&mut self.drawn);
        let bits = |told: Told| (told.reward.to_bits(), told.frames, told.end);
        let same_told = step.is_none_or(|(step, told)| played.told(step).map(bits) == Some(bits(told)));
        if same_told && *self.projector.show(played, steps)? == self.drawn {
            found.pictures += 1;
        } else {
            found.other = found.other.or(Some(steps));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rl_core::Seating;
    use rl_replays::recording::{Manifest, Pictures, Player, Recorder, Recording, Reel, VERSION};

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
            seats: 1,
            discrete: env.spec().discrete.to_vec(),
            continuous: 0,
            player: Player::Human {},
            outputs: None,
            pictures: None,
            made_by: "a test".to_owned(),
        }
    }

    /// A recording of one game, in which `moves` are said to have shown what `shown` says.
    fn recorded(moves: &[u32], seen: &[u32], outcome: &Outcome) -> RecordedEpisode {
        let mut bytes = Vec::new();
        let mut recorder = Recorder::begin(&mut bytes, &manifest()).unwrap();
        recorder.episode(7, 0).unwrap();
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
        assert_eq!(shown.last().unwrap().told.end, End::Terminated, "the hole");
        let seen: Vec<u32> = shown.iter().map(|shown| shown.seen).collect();
        let fair = Outcome { ret: 0.0, frames: 5, end: End::Terminated };
        let mut of = |moves: &[u32], seen: &[u32], outcome| {
            again(&mut playback, &recorded(moves, seen, &outcome), &outcome, false, &Waiting::default()).unwrap()
        };
        assert_eq!(of(&MOVES, &seen, fair), Found::default());
        let claims = Found { came_to: Some(fair), ..Found::default() };
        assert_eq!(of(&MOVES, &seen, Outcome { ret: 1.0, ..fair }), claims, "a better score");
        assert_eq!(of(&MOVES, &seen, Outcome { frames: 4, ..fair }), claims);
        assert_eq!(of(&MOVES, &seen, Outcome { end: End::Truncated, ..fair }), claims);
        assert_eq!(of(&[0, 0, 2, 2, 1], &seen, fair).differs, Some((3, 1)), "another way");
        let longer = of(&[&MOVES[..], &[0]].concat(), &[&seen[..], &[0]].concat(), fair);
        assert_eq!(longer.differs, Some((5, 1)), "its end, which steps follow");
    }

    /// The pictures of a recording of that game, changed at one of them.
    fn pictured(playback: &mut Playback, change: impl Fn(usize, &mut Canvas, &mut Told)) -> Found {
        let outcome = Outcome { ret: 0.0, frames: 5, end: End::Terminated };
        let unseen = recorded(&MOVES, &[0; 5], &outcome);
        let pictures = Some(Pictures { frame_rate: 4.0, action_names: Vec::new(), watched: false });
        let mut bytes = Vec::new();
        let mut recorder = Recorder::begin(&mut bytes, &Manifest { pictures, ..manifest() }).unwrap();
        recorder.episode(7, 0).unwrap();
        playback.begin(&unseen).unwrap();
        let (mut reel, mut drawn, mut seen) = (Reel::default(), Canvas::new(0, 0), Vec::new());
        for step in 0..=MOVES.len() {
            let mut told = Told::default();
            if let Some(step) = step.checked_sub(1) {
                let shown = playback.step(&unseen, step).unwrap();
                (told, _) = (shown.told, seen.push(shown.seen));
            }
            playback.draw(&mut drawn);
            change(step, &mut drawn, &mut told);
            assert!(reel.push(&drawn, told).unwrap().is_none());
        }
        recorder.pictures(&reel.cut().unwrap()).unwrap();
        MOVES.iter().zip(&seen).for_each(|(&action, &seen)| recorder.step(&[action], &[], seen).unwrap());
        recorder.end(&outcome).unwrap();
        recorder.close().unwrap();
        let played = Recording::read(&bytes[..]).unwrap().episodes.remove(0);
        again(playback, &played, &outcome, true, &Waiting::default()).unwrap()
    }

    #[test]
    fn pictures_of_another_game_are_found_and_its_score_stands() {
        let mut playback = Playback::new(&manifest(), &tables()).unwrap();
        let found = pictured(&mut playback, |_, _, _| {});
        assert_eq!(found, Found { pictures: 6, other: None, ..Found::default() });
        for at in 0..=MOVES.len() {
            let found = pictured(&mut playback, |step, drawn, _| {
                if step >= at {
                    drawn.pixels_mut()[100] ^= 1;
                }
            });
            assert_eq!(found, Found { pictures: at, other: Some(at), ..Found::default() }, "a dot");
        }
        let found = pictured(&mut playback, |step, drawn, _| {
            if step == 2 {
                drawn.resize(10, 10);
            }
        });
        assert_eq!(found, Found { pictures: 5, other: Some(2), ..Found::default() }, "another size");
        let found = pictured(&mut playback, |step, _, told| told.reward += if step == 3 { 1.0 } else { 0.0 });
        assert_eq!(found, Found { pictures: 5, other: Some(3), ..Found::default() }, "a reward that was not paid");
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
