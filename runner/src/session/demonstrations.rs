//! `agent.demonstrations`: plays recordings again and shows the agent what was seen and done in them.
//!
//! Agents know neither files nor environments: they are shown blocks. Each seat of a block plays one game after the
//! other, with a row for each reset as in training, and rests when no game is left. The last block leads to the first
//! row of training, so that an agent that appends blocks to a replay sees them follow one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rl_agents::DemonstrationSpec;
use rl_core::{End, Spec};
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, RecordedEpisode, Recording, Replayed};
use toml::{Table, Value};

use crate::console::output;
use crate::console::stop::Stop;
use crate::console::usage::usage;
use crate::console::waiting::Waiting;
use crate::games::playback::{self, Playback};
use crate::preset::{self, Resolved, Train};
use crate::run_dir::About;
use crate::run_dir::shown::Shown;
use crate::session::Session;

/// Key of the recordings in `[agent]`.
const KEY: &str = "demonstrations";

/// Keys of `[env]` in which a recording may differ from the run: they only say when a game is cut, and games are played
/// as they were recorded.
const FREE: [&str; 2] = ["max_frames", "max_steps"];

/// Makes the path in `agent.demonstrations` absolute, so that the run can be repeated from another directory.
///
/// # Errors
/// If there is no such file or directory, or its name is not UTF-8.
pub(crate) fn settle(resolved: &mut Resolved) -> anyhow::Result<()> {
    let Some(path) = path(resolved) else { return Ok(()) };
    let whole = path.canonicalize().map_err(|e| usage(format!("agent.{KEY}: {}: {e}", path.display())))?;
    let whole = whole.to_str().ok_or_else(|| usage(format!("agent.{KEY}: {}: not UTF-8", whole.display())))?;
    resolved.set(&format!("agent.{KEY}"), whole)
}

/// The text of a `run.toml` with the last part of the path in `agent.demonstrations` alone, for those who have another
/// machine.
///
/// # Errors
/// If it is no TOML; the message names `origin` and the line.
pub(crate) fn without_directories(settings: &str, origin: &str) -> anyhow::Result<String> {
    let mut tables = preset::parse(settings, origin)?;
    let path = tables.get_mut("agent").and_then(Value::as_table_mut).and_then(|agent| agent.get_mut(KEY));
    let name = path.as_deref().and_then(Value::as_str).and_then(|path| Path::new(path).file_name());
    let name = name.map(|name| name.to_string_lossy().into_owned());
    let (Some(path), Some(name)) = (path, name) else { return Ok(settings.to_owned()) };
    *path = Value::String(name);
    let head = settings.lines().take_while(|line| line.starts_with('#')).flat_map(|line| [line, "\n"]);
    Ok(head.collect::<String>() + &toml::to_string(&tables)?)
}

/// Checks that the directory `run`, which is about to be cleared, does not hold the recordings of the new run.
///
/// # Errors
/// If it does.
pub(crate) fn spare(resolved: &Resolved, run: &Path) -> anyhow::Result<()> {
    let (Some(shown), Ok(run)) = (path(resolved), run.canonicalize()) else { return Ok(()) };
    if !shown.starts_with(&run) {
        return Ok(());
    }
    let (shown, run) = (shown.display(), run.display());
    Err(usage(format!(
        "agent.{KEY}: {shown}: --force clears {run}: train in another directory, or move the recordings"
    )))
}

/// Begins a session: resets its seats and shows the agent the recordings that `agent.demonstrations` names; `None` if
/// nothing is shown.
///
/// # Errors
/// If an environment fails, or a recording is missing, damaged, or none of this environment; the message names the
/// file. [`Stopped`](crate::console::waiting::Stopped) if someone asked to stop while it was shown.
pub(crate) fn begin(
    resolved: &Resolved,
    session: &mut Session,
    train: &Train,
    stop: &Stop,
) -> anyhow::Result<Option<Shown>> {
    session.begin(train)?;
    let Some(audience) = session.learner.demonstrations() else { return Ok(None) };
    let Some(path) = path(resolved) else {
        let agent = resolved.agent.map_or("", |agent| agent.id);
        match audience.needs {
            true => {
                bail!(usage(format!("agent `{agent}` learns from recordings: --set agent.{KEY}=FILE (or DIRECTORY)")))
            }
            false => return Ok(None),
        }
    };
    let files = files(&path)?;
    let recordings: Vec<(PathBuf, Recording)> = files
        .keys()
        .map(|path| {
            let recording = playback::read(path)?;
            fits(&recording.manifest, resolved, session.seats.spec()).with_context(|| path.display().to_string())?;
            Ok((path.clone(), recording))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut games = Vec::new();
    for (path, recording) in &recordings {
        let whole = recording.episodes.iter().enumerate().filter(|(_, played)| played.outcome.is_some());
        let before = games.len();
        games.extend(whole.map(|(at, played)| Game { path, manifest: &recording.manifest, number: at + 1, played }));
        if games.len() == before {
            bail!(usage(format!("{}: holds no game that was played to its end", path.display())));
        }
    }
    play(&games, audience, resolved, session, &Waiting::unseen(stop))?;
    let earned: f64 = games.iter().filter_map(|game| game.played.outcome).map(|outcome| outcome.ret).sum();
    let mean_return = earned / games.len() as f64;
    let steps = games.iter().map(|game| game.played.steps()).sum();
    Ok(Some(Shown { files, games: games.len(), steps, mean_return }))
}

/// Begins a session as a run that was begun before, and checks that the recordings are those in `about`.
///
/// # Errors
/// As [`begin`], or if the recordings have changed.
pub(crate) fn begin_again(
    about: &About,
    resolved: &Resolved,
    session: &mut Session,
    train: &Train,
    stop: &Stop,
) -> anyhow::Result<()> {
    let (then, now) = (&about.demonstrations, begin(resolved, session, train, stop)?);
    if then.as_ref().map(|then| &then.files) == now.as_ref().map(|now| &now.files) {
        return Ok(());
    }
    let now = now.map_or_else(|| "none".to_owned(), |now| now.to_string());
    bail!("agent.{KEY}: this run began with other recordings than there are now: {now}")
}

/// Path in `agent.demonstrations`; `None` if it is missing or empty.
fn path(resolved: &Resolved) -> Option<PathBuf> {
    let path = resolved.agent.and_then(|_| resolved.table("agent").get(KEY)).and_then(Value::as_str)?;
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// Lists the recording `path`, or the recordings in the directory `path`, each with its SHA-256.
fn files(path: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let name = path.display();
    let missing = |e: std::io::Error| usage(format!("agent.{KEY}: {name}: {e}"));
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        let entries =
            std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(missing)?;
        paths = entries.into_iter().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "rec"));
        if paths.is_empty() {
            let out = output::word(&path.join("games.rec"));
            bail!(usage(format!(
                "agent.{KEY}: {name}: holds no recording (*.rec): `rl-run record RUN --out {out}` makes one"
            )));
        }
    }
    let hashed = paths.into_iter().map(|path| {
        let bytes = std::fs::read(&path).map_err(missing)?;
        Ok((path, rl_assets::sha256(&bytes)))
    });
    hashed.collect()
}

/// Checks that the games of a recording could be games of this run.
///
/// # Errors
/// If environment, settings or actions differ.
fn fits(manifest: &Manifest, resolved: &Resolved, spec: &Spec) -> anyhow::Result<()> {
    let here = &resolved.env_name;
    if manifest.env != *here {
        bail!(usage(format!("was recorded of {}, and this run is of {here}", manifest.env)));
    }
    let (theirs, ours): (Table, &Table) = (playback::config(manifest)?, resolved.table("env"));
    let differs = |key: &&String| !FREE.contains(&key.as_str()) && theirs.get(*key) != ours.get(*key);
    if let Some(key) = theirs.keys().chain(ours.keys()).find(differs) {
        let told = |table: &Table| table.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
        let (theirs, ours) = (told(&theirs), told(ours));
        bail!(usage(format!(
            "was recorded with env.{key} = {theirs}, and this run has {ours}: --set env.{key}={theirs} trains on what was recorded"
        )));
    }
    if !manifest.is_of(spec) {
        bail!(usage(format!("holds other actions than {here} has")));
    }
    Ok(())
}

/// A recorded game and the recording that it is from.
#[derive(Clone, Copy)]
struct Game<'a> {
    path: &'a Path,
    manifest: &'a Manifest,
    /// Number of the game in its recording, from 1.
    number: usize,
    played: &'a RecordedEpisode,
}

impl Game<'_> {
    /// Makes the environment that plays the game again.
    fn playback(&self, resolved: &Resolved) -> anyhow::Result<Playback> {
        let playback = Playback::of(self.manifest, &resolved.env_name, resolved.env);
        playback.with_context(|| self.path.display().to_string())
    }

    fn named(&self) -> String {
        format!("{}, game {}", self.path.display(), self.number)
    }
}

/// Plays all games, divided between the seats of the blocks that the agent asks for, and shows them to it.
fn play(
    games: &[Game<'_>],
    audience: DemonstrationSpec,
    resolved: &Resolved,
    session: &mut Session,
    waiting: &Waiting,
) -> anyhow::Result<()> {
    let mut queues: Vec<(usize, Vec<Game<'_>>)> = vec![(0, Vec::new()); audience.seats];
    for game in games {
        // The first of those with the fewest steps, so that none rests for long.
        let (steps, queue) = queues.iter_mut().min_by_key(|(steps, _)| *steps).expect("an audience has seats");
        *steps += game.played.steps() + 1;
        queue.push(*game);
    }
    let mut seats: Vec<Seat<'_>> = queues.into_iter().map(|(_, queue)| Seat::new(queue)).collect();
    let extra = session.learner.plan().extra;
    let mut block = [Rollout::new(session.seats.spec(), 1, audience.seats, extra)];
    for (e, seat) in seats.iter_mut().enumerate() {
        seat.advance(resolved, &mut block[0], 0, e)?;
    }
    while seats.iter().any(|seat| seat.now.is_some()) {
        waiting.go_on()?;
        for (e, seat) in seats.iter_mut().enumerate() {
            seat.advance(resolved, &mut block[0], 1, e)?;
        }
        session.learner.add_demonstrations(&block)?;
        block[0].carry();
    }
    if audience.seats == session.seats.blocks().iter().map(Rollout::seats).sum::<usize>() {
        let rows = session.seats.blocks().iter().flat_map(|from| (0..from.seats()).map(move |e| (from, e)));
        rows.enumerate().for_each(|(e, (from, at))| block[0].copy_row((1, e), from, (0, at)));
    } else {
        (0..audience.seats).for_each(|e| rest(&mut block[0], 1, e));
    }
    Ok(session.learner.add_demonstrations(&block)?)
}

/// A seat that plays some games one after the other.
struct Seat<'a> {
    /// Games that are still to be played, the next one last.
    left: Vec<Game<'a>>,
    now: Option<(Game<'a>, Replayed<'a>, usize)>,
    /// The environment of the recording that is being played.
    playback: Option<(&'a Manifest, Playback)>,
}

impl<'a> Seat<'a> {
    fn new(mut queue: Vec<Game<'a>>) -> Self {
        queue.reverse();
        Self { left: queue, now: None, playback: None }
    }

    /// Writes the next row of this seat, seat `e` of the block, to `row`, and the action that led to it to row 0.
    fn advance(&mut self, resolved: &Resolved, block: &mut Rollout, row: usize, e: usize) -> anyhow::Result<()> {
        if let (Some((game, replayed, step)), Some((_, playback))) = (&mut self.now, &mut self.playback)
            && *step < game.played.steps()
        {
            let (discrete, continuous) = game.played.own_action(*step);
            block.discrete.at_mut(0, e).copy_from_slice(discrete);
            block.continuous.at_mut(0, e).copy_from_slice(continuous);
            let shown = playback.step(game.played, *step).with_context(|| game.named())?;
            if replayed.step(shown.seen).is_err() {
                let file = output::word(game.path);
                bail!("{}: does not play again as it was recorded: `rl-run verify {file}` says where", game.named());
            }
            *step += 1;
            block.copy_row((row, e), playback.block(), (0, 0));
            return Ok(());
        }
        self.now = None;
        let Some(game) = self.left.pop() else {
            rest(block, row, e);
            return Ok(());
        };
        let same = self.playback.take_if(|(manifest, _)| std::ptr::eq(*manifest, game.manifest));
        let (_, playback) = self.playback.insert(match same {
            Some(same) => same,
            None => (game.manifest, game.playback(resolved)?),
        });
        playback.begin(game.played).with_context(|| game.named())?;
        block.copy_row((row, e), playback.block(), (0, 0));
        self.now = Some((game, Replayed::begin(game.played), 0));
        Ok(())
    }
}

/// Writes a row in which nothing is played.
fn rest(block: &mut Rollout, row: usize, e: usize) {
    block.legal.at_mut(row, e).fill(1);
    block.age[(row, e)] = 0;
    block.reward[(row, e)] = 0.0;
    block.end[(row, e)] = End::Terminated;
    block.frames[(row, e)] = 0;
}
