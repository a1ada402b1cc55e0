//! `--record`: records whole episodes of the first training seat in the run's directory while it trains.
//!
//! A tape reads filled blocks and changes nothing of training. What it holds of the episode under way is written beside
//! every checkpoint, so that a resumed run records what an uninterrupted one would; if that is missing, the recordings
//! tell what was best, and recording goes on with the next episode.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use rl_core::{VecEnv, load_postcard, save_postcard};
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, OutputSampling, Player};
use serde::{Deserialize, Serialize};

use crate::file;
use crate::file::made;
use crate::games::playback;
use crate::games::takes::{self, Take};
use crate::preset::Resolved;

/// Name of the directory of recordings in that of a run.
pub(crate) const DIR: &str = "recordings";

/// Prefix of the name of a saved state; the frames of its checkpoint follow.
const STATE: &str = ".state-";

/// Most steps of an episode that is recorded.
const LONGEST: usize = 1 << 22;

/// Which episodes of the first seat are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Which {
    /// The one with the highest return so far.
    Best,
    /// One of this many.
    Every(u64),
    /// This many of the newest.
    Last(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|&number| number > 0);
        let which = match text.split_once(':') {
            None if text == "best" => Some(Self::Best),
            Some(("every", n)) => number(n).map(Self::Every),
            Some(("last", n)) => number(n).map(Self::Last),
            _ => None,
        };
        which.ok_or_else(|| "expected best, every:N or last:N, N a number of episodes".to_owned())
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Best => f.write_str("best"),
            Self::Every(n) => write!(f, "every:{n}"),
            Self::Last(n) => write!(f, "last:{n}"),
        }
    }
}

impl TryFrom<String> for Which {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Which> for String {
    fn from(which: Which) -> Self {
        which.to_string()
    }
}

/// Records the first training seat of a run.
#[derive(Debug)]
pub(crate) struct Tape {
    which: Which,
    run: PathBuf,
    /// Steps from one recorded output of the policy to the next.
    every: Option<u32>,
    /// Manifest of the next recording.
    manifest: Manifest,
    state: State,
    /// Recordings that may not be on the disk yet.
    fresh: Vec<PathBuf>,
}

/// What decides the next recording besides the run's own state.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Finished episodes of the seat.
    episodes: u64,
    /// Highest return that was recorded, where the best are wanted.
    best: Option<f64>,
    /// The episode under way, if it was seen from its first step.
    take: Option<Take>,
}

impl State {
    /// What the recordings up to `frames` tell of it; the best return only if `which` hangs on it.
    fn of_recordings(which: Which, run: &Path, frames: u64) -> anyhow::Result<Self> {
        let mut state = Self::default();
        for path in list(run)? {
            let Some((at, number)) = name_of(&path).as_deref().and_then(named) else { continue };
            if at > frames {
                break;
            }
            state.episodes = number;
            // One that is damaged tells nothing.
            if which == Which::Best
                && let Ok(recording) = playback::read(&path)
            {
                let returns = recording.episodes.iter().filter_map(|episode| Some(episode.outcome?.ret));
                state.best = returns.chain(state.best).max_by(f64::total_cmp);
            }
        }
        Ok(state)
    }
}

impl Tape {
    /// Makes a tape for the run in `run`, which is at `frames` frames on seats of `env`. Removes recordings of later
    /// episodes, which will be played again. `kept` says which outputs are recorded.
    ///
    /// # Errors
    /// If a file cannot be read or removed.
    pub(crate) fn open(
        which: Which,
        kept: Option<OutputSampling>,
        run: &Path,
        resolved: &Resolved,
        seed: u64,
        (env, frames): (&dyn VecEnv, u64),
    ) -> anyhow::Result<Self> {
        let agent = resolved.agent.map_or_else(String::new, |agent| agent.id.to_owned());
        let player = Player::Learner { agent, frames, seed };
        let manifest = takes::manifest(resolved, resolved.table("env"), env, player, kept)?;
        let dir = run.join(DIR);
        let held = match fs::read(made(&dir)?.join(format!("{STATE}{frames}"))) {
            Ok(bytes) => load_postcard("recording", &bytes).ok(),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(e).with_context(|| dir.display().to_string()),
        };
        let mut state: State = held.map_or_else(|| State::of_recordings(which, run, frames), Ok)?;
        // Whose file it may be: one that does not fit is no better than none.
        state.take = state.take.filter(|take| take.fits(&manifest));
        let every = kept.map(|kept| kept.every);
        let mut tape = Self { which, run: run.to_owned(), every, manifest, state, fresh: Vec::new() };
        tape.remove(|name| name.starts_with(".tmp") || ended_at(name).or(held_at(name)).is_some_and(|at| at > frames))?;
        if list(run)?.is_empty() {
            tape.state.best = None; // a later one had taken its place, and may not come again where bits differ
        }
        Ok(tape)
    }

    /// Directory of the run.
    pub(crate) fn run(&self) -> &Path {
        &self.run
    }

    /// Adds the steps of the first seat in `blocks`, after which the run is at `frames` frames, and writes recordings
    /// of finished episodes.
    ///
    /// # Errors
    /// If a recording cannot be written.
    pub(crate) fn watch(&mut self, blocks: &[Rollout], frames: u64) -> anyhow::Result<()> {
        let block = &blocks[0];
        let mut over = Vec::new();
        let mut ended = block.episodes.iter().filter(|episode| episode.seat == 0);
        let age = block.age[(0, 0)] as usize;
        // One that was not seen from its beginning cannot be played again.
        self.state.take = match self.state.take.take() {
            Some(take) if take.steps() == age => Some(take),
            _ => (age == 0).then(|| Take::begin(0)),
        };
        for t in 0..block.horizon() {
            if block.age[(t + 1, 0)] == 0 {
                self.state.take = Some(Take::begin(0));
                continue;
            }
            if let Some(take) = &mut self.state.take {
                take.push(block, t, 0, self.every);
            }
            if block.end[(t + 1, 0)].over() {
                self.state.episodes = self.state.episodes.saturating_add(1);
                let episode = ended.next().expect("an end is told of");
                if let Some(take) = self.state.take.take() {
                    over.push((self.state.episodes, take.of(episode)));
                }
            } else if self.state.take.as_ref().is_some_and(|take| take.steps() > LONGEST) {
                self.state.take = None;
            }
        }
        self.keep(over, frames)
    }

    /// Writes recordings of those finished episodes, given with their numbers, that are wanted, and removes those that
    /// are too many.
    fn keep(&mut self, mut over: Vec<(u64, Take)>, frames: u64) -> anyhow::Result<()> {
        over.retain(|(number, take)| match self.which {
            Which::Best if self.state.best.is_some_and(|best| take.outcome.ret <= best) => false,
            Which::Best => {
                self.state.best = Some(take.outcome.ret);
                true
            }
            Which::Every(n) => number.is_multiple_of(n),
            Which::Last(_) => true,
        });
        let most = match self.which {
            Which::Best => Some(1),
            Which::Every(_) => None,
            Which::Last(most) => Some(most as usize),
        };
        let replaced = most.map_or(0, |most| over.len().saturating_sub(most));
        over.drain(..replaced); // later ones of the same block take their places
        if over.is_empty() {
            return Ok(());
        }
        if let Player::Learner { frames: so_far, .. } = &mut self.manifest.player {
            *so_far = frames;
        }
        let dir = self.run.join(DIR);
        for (number, take) in over {
            let path = made(&dir)?.join(format!("{frames:012}-{number:08}.rec"));
            // The disk is waited for before the checkpoint, not after each of many short episodes.
            file::unsynced(&path, |file| takes::write_to(file, &self.manifest, &[take]))?;
            self.fresh.push(path);
        }
        let Some(most) = most else { return Ok(()) };
        let all: Vec<String> = list(&self.run)?.into_iter().filter_map(|path| name_of(&path)).collect();
        let old = &all[..all.len().saturating_sub(most)];
        self.fresh.retain(|path| name_of(path).is_none_or(|name| !old.contains(&name)));
        self.remove(|name| old.iter().any(|old| old == name))
    }

    /// Message if `--record every:N` has recorded nothing.
    pub(crate) fn idle(&self) -> Option<String> {
        let Which::Every(_) = self.which else { return None };
        let nothing = list(&self.run).is_ok_and(|all| all.is_empty());
        let (which, ended) = (self.which, self.state.episodes);
        let why = "it counts the episodes of the first seat";
        nothing.then(|| format!("--record {which} recorded nothing: {why}, and {ended} of them ended"))
    }

    /// Writes the state that belongs to the checkpoint at `frames`, and removes those of checkpoints before the `oldest`.
    ///
    /// # Errors
    /// If a file cannot be written or removed.
    pub(crate) fn hold(&mut self, frames: u64, oldest: u64) -> anyhow::Result<()> {
        self.fresh.drain(..).try_for_each(|path| file::synced(&path))?;
        let mut bytes = Vec::new();
        save_postcard(&self.state, &mut bytes)?;
        file::write(&made(&self.run.join(DIR))?.join(format!("{STATE}{frames}")), &bytes)?;
        // A checkpoint after the oldest may be on its way to the disk: what belongs to it is wanted as soon as it is
        // there.
        self.remove(|name| held_at(name).is_some_and(|frames| frames < oldest))
    }

    /// Removes the files in the directory of recordings whose names `goes` accepts.
    fn remove(&self, goes: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let dir = self.run.join(DIR);
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if name_of(&path).is_some_and(|name| goes(&name)) {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}

/// Lists the recordings in the directory of a run, oldest first; none if there is no such directory.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn list(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = run.join(DIR);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| dir.display().to_string()),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<PathBuf> =
        paths.into_iter().filter(|path| name_of(path).is_some_and(|name| ended_at(&name).is_some())).collect();
    found.sort();
    Ok(found)
}

/// Removes what tapes wrote from a directory of recordings, and the directory if nothing else is in it.
///
/// # Errors
/// If a file cannot be removed.
pub(crate) fn clear(dir: &Path) -> io::Result<()> {
    let mut others = false;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let ours = name_of(&path)
            .is_some_and(|name| ended_at(&name).is_some() || held_at(&name).is_some() || name.starts_with(".tmp"));
        if ours { fs::remove_file(path)? } else { others = true }
    }
    if others { Ok(()) } else { fs::remove_dir(dir) }
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

/// Frames in the name of a saved state; `None` for other names.
fn held_at(name: &str) -> Option<u64> {
    name.strip_prefix(STATE)?.parse().ok()
}

/// Frames in the name of a recording; `None` for other names.
fn ended_at(name: &str) -> Option<u64> {
    named(name).map(|(frames, _)| frames)
}

/// Frames and number of the episode in the name of a recording; `None` for other names.
fn named(name: &str) -> Option<(u64, u64)> {
    let (frames, number) = name.strip_suffix(".rec")?.split_once('-')?;
    Some((frames.parse().ok()?, number.parse().ok()?))
}
