//! Notes down games while they are played, and writes them as recordings.

mod room;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
#[cfg(any(feature = "viewer", test))]
use std::path::PathBuf;

use anyhow::Context as _;
use rl_core::{Canvas, End, Episode, VecEnv};
use rl_replays::Rollout;
use rl_replays::recording::{
    self, Group, Manifest, Outcome, OutputSampling, Pictures, Player, Recorder, Recording, Reel, Told, WIDTH, memory,
    seen, version,
};
use serde::{Deserialize, Serialize};

use crate::collect::Seats;
use crate::console::usage::usage;
use crate::file;
use crate::games::play::Games;
use crate::games::playback;
use crate::games::score;
use crate::preset::Resolved;

pub(crate) use room::Room;

/// Which of the seats of a world a game is of.
#[derive(Clone, Copy, Debug)]
struct Place {
    seat: u32,
    seats: u32,
}

impl Default for Place {
    /// The only one.
    fn default() -> Self {
        Self { seat: 0, seats: 1 }
    }
}

/// A game that is being noted down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Take {
    seed: u64,
    /// Whose game it is; a run that trains saves games of worlds of one seat alone.
    #[serde(skip)]
    place: Place,
    /// Discrete actions of all seats, `[steps, values]`; `continuous` and `seen` are by step too.
    discrete: Vec<u32>,
    continuous: Vec<f32>,
    seen: Vec<u32>,
    /// The policy's outputs before every N-th step, if they are recorded.
    outputs: Vec<f32>,
    pub(crate) outcome: Outcome,
    /// Pictures after each step, if they are recorded; they are not saved with a run.
    #[serde(skip)]
    pictures: Vec<Group>,
    /// Packs pictures until the game is over; it takes much memory.
    #[serde(skip)]
    reel: Option<Reel>,
}

impl Take {
    /// Begins a game with this episode seed.
    pub(crate) fn begin(seed: u64) -> Self {
        let outcome = Outcome { ret: 0.0, frames: 0, end: End::No };
        let (discrete, continuous, seen, outputs, pictures) = Default::default();
        Self { seed, place: Place::default(), discrete, continuous, seen, outputs, outcome, pictures, reel: None }
    }

    /// Sets seed and return to those of the finished `episode`, whose return holds no shaping.
    pub(crate) fn of(mut self, episode: &Episode) -> Self {
        (self.seed, self.outcome.ret) = (episode.seed, episode.ret);
        self
    }

    /// Whether the game could be of the environment of `manifest`: it has as many actions and outputs as its steps
    /// need, all in range.
    pub(crate) fn fits(&self, manifest: &Manifest) -> bool {
        let (steps, values) = (self.steps(), manifest.discrete.len());
        let exists = self.discrete.iter().zip(manifest.discrete.iter().cycle()).all(|(action, count)| action < count);
        let rows = manifest.outputs.map_or(0, |kept| steps.div_ceil(kept.every as usize));
        self.discrete.len() == steps * values
            && self.continuous.len() == steps * manifest.continuous
            && self.outputs.len() == rows * (1 + manifest.actions())
            && exists
    }

    /// Steps that were played so far.
    pub(crate) fn steps(&self) -> usize {
        self.seen.len()
    }

    /// Memory, in bytes, that a reader of a recording needs for it.
    fn memory(&self) -> usize {
        let numbers = self.discrete.len() + self.continuous.len() + self.outputs.len();
        memory(self.steps(), numbers, self.pictures.iter().map(|group| group.count).sum())
    }

    /// Adds the step of seat `e` from row `t` to the next; the policy's outputs before it only if the number of steps
    /// so far is a multiple of `every`.
    pub(crate) fn push(&mut self, block: &Rollout, t: usize, e: usize, every: Option<u32>) {
        if every.is_some_and(|every| self.steps().is_multiple_of(every as usize)) {
            self.outputs.extend_from_slice(block.outputs.at(t, e));
        }
        let first = e - self.place.seat as usize;
        let world = first..first + self.place.seats as usize;
        self.discrete.extend_from_slice(block.discrete.seats(t, world.clone()));
        self.continuous.extend_from_slice(block.continuous.seats(t, world));
        self.seen.push(seen(block, t + 1, e));
        self.outcome.ret += f64::from(block.reward[(t + 1, e)]);
        self.outcome.frames += u64::from(block.frames[(t + 1, e)]);
        self.outcome.end = block.end[(t + 1, e)];
    }

    /// Adds the step that the game's seat of the only world in `env` just made in a block of one step. If the engine was
    /// lost there, begins a new game instead. Draws pictures on `canvas`.
    ///
    /// # Errors
    /// If a picture is too large.
    pub(crate) fn follow(&mut self, env: &dyn VecEnv, block: &Rollout, canvas: &mut Canvas) -> anyhow::Result<()> {
        let Place { seat, seats } = self.place;
        let e = seat as usize;
        if block.age[(1, e)] == 0 {
            *self = Self::of_seat(env, e, seats, self.reel.is_some().then_some(canvas))?;
            return Ok(());
        }
        self.push(block, 0, e, None);
        self.look(env, e, Told::of(block, 1, e), canvas)
    }

    /// Begins the game that seat `n` of `env`, whose worlds have `seats` seats each, is at the beginning of. If a canvas to
    /// draw on is given, its first picture is kept, and those after each [`look`](Self::look).
    ///
    /// # Errors
    /// If the picture is too large.
    pub(crate) fn of_seat(env: &dyn VecEnv, n: usize, seats: u32, filmed: Option<&mut Canvas>) -> anyhow::Result<Self> {
        let place = Place { seat: n as u32 % seats, seats };
        let mut take = Self { place, ..Self::begin(env.episode_seed(n)) };
        if let Some(canvas) = filmed {
            take.reel = Some(Reel::default());
            take.look(env, n, Told::default(), canvas)?;
        }
        Ok(take)
    }

    /// Keeps the picture of seat `n` after a step that led to `told`, if pictures are recorded.
    ///
    /// # Errors
    /// If the picture is too large.
    pub(crate) fn look(&mut self, env: &dyn VecEnv, n: usize, told: Told, canvas: &mut Canvas) -> anyhow::Result<()> {
        let Some(reel) = &mut self.reel else { return Ok(()) };
        env.draw(n, canvas);
        self.pictures.extend(reel.push(canvas, told).context("--frames")?);
        if told.end.over() {
            self.pictures.extend(reel.cut());
            self.reel = None;
        }
        Ok(())
    }

    fn write(&self, manifest: &Manifest, recorder: &mut Recorder<impl Write>) -> std::io::Result<()> {
        let (discrete, continuous) = (manifest.discrete.len(), manifest.continuous);
        let every = manifest.outputs.map_or(usize::MAX, |kept| kept.every as usize);
        let mut outputs = self.outputs.chunks_exact(1 + manifest.actions());
        recorder.episode(self.seed, self.place.seat)?;
        self.pictures.iter().try_for_each(|group| recorder.pictures(group))?;
        for (step, &seen) in self.seen.iter().enumerate() {
            if step.is_multiple_of(every)
                && let Some(output) = outputs.next()
            {
                recorder.output(output);
            }
            let discrete = &self.discrete[step * discrete..][..discrete];
            recorder.step(discrete, &self.continuous[step * continuous..][..continuous], seen)?;
        }
        recorder.end(&self.outcome)
    }
}

/// The games of several seats that play at once, each its share.
#[derive(Debug)]
pub(crate) struct Takes {
    games: Games,
    /// Number of seats that share a world.
    seats_per_world: u32,
    over: Vec<Vec<Take>>,
    /// Game of each seat; `None` between two games, and once the seat has its share and only plays on beside the
    /// others.
    running: Vec<Option<Take>>,
    /// Steps from one recorded output of the policy to the next.
    every: Option<u32>,
    /// Canvas to draw on, if pictures are recorded.
    filmed: Option<Canvas>,
    room: Room,
}

impl Takes {
    /// Begins to note down `games`, in worlds of `seats_per_world` seats each.
    pub(crate) fn new(games: Games, seats_per_world: u32, every: Option<u32>, filmed: bool) -> Self {
        let (over, running) = Default::default();
        Self {
            games,
            seats_per_world,
            over,
            running,
            every,
            filmed: filmed.then(|| Canvas::new(0, 0)),
            room: Room::new(),
        }
    }

    /// Adds the step that all seats just made in blocks of one step; at the first call, the beginning of their games.
    ///
    /// # Errors
    /// If a picture is too large, or the games are too many for one recording.
    pub(crate) fn watch(&mut self, seats: &Seats) -> anyhow::Result<()> {
        let first = self.running.is_empty();
        let all = seats.blocks().iter().map(Rollout::seats).sum::<usize>() as u32;
        let mut seat = 0;
        for (env, block) in seats.envs().zip(seats.blocks()) {
            for e in 0..block.seats() {
                if first {
                    self.over.push(Vec::new());
                    self.running.push(None);
                }
                let begins = first || block.age[(1, e)] == 0;
                let share = self.games.share(seat as u32, all) as usize;
                self.watch_seat(seat, env, block, e, begins.then_some(share))?;
                seat += 1;
            }
        }
        Ok(())
    }

    /// Adds the step of one seat, number `e` of `env` and `block`; `begins` is its share of games where one begins.
    fn watch_seat(
        &mut self,
        seat: usize,
        env: &dyn VecEnv,
        block: &Rollout,
        e: usize,
        begins: Option<usize>,
    ) -> anyhow::Result<()> {
        let (over, running) = (&mut self.over[seat], &mut self.running[seat]);
        if let Some(share) = begins {
            // A game whose engine was lost has no end, and is none.
            let begin = || Take::of_seat(env, e, self.seats_per_world, self.filmed.as_mut());
            *running = (over.len() < share).then(begin).transpose()?;
        } else if let Some(take) = running {
            take.push(block, 0, e, self.every);
            if let Some(canvas) = &mut self.filmed {
                take.look(env, e, Told::of(block, 1, e), canvas)?;
            }
            if let Some(game) = running.take_if(|take| take.outcome.end.over()) {
                self.room.take(&game)?;
                over.push(game);
            }
        }
        Ok(())
    }

    /// The finished games, in the order of their returns in a score.
    pub(crate) fn into_games(self) -> Vec<Take> {
        self.over.into_iter().flatten().collect()
    }
}

/// Checks, before games are played, that a recording can be written to the file `out`.
///
/// # Errors
/// If it cannot, its name does not end in `.rec`, or it holds games that stay: a person's, or a published model's.
pub(crate) fn ready(out: &Path) -> anyhow::Result<()> {
    if out.extension().is_none_or(|end| end != "rec") {
        let out = out.display();
        return Err(usage(format!("--out {out}: a recording ends in .rec, and `rl-run export` makes films of it")));
    }
    spare(out)?;
    file::ready(out)
}

/// Checks that the file `out`, which is about to be replaced, is no recording of a person's games, none of a published
/// model's, and none of which nobody can say.
///
/// # Errors
/// If it is one of these, or cannot be opened.
pub(crate) fn spare(out: &Path) -> anyhow::Result<()> {
    let there = || File::open(out).is_ok_and(|mut file| !recording::begins(&mut file));
    if !out.is_file() || there() {
        return Ok(());
    }
    let told = out.display();
    let place = out.canonicalize().unwrap_or_else(|_| out.to_owned()); // of a link what it names is replaced
    if file::parent(&place).join(score::FILE).is_file() {
        return Err(usage(format!("--out {told}: belongs to a published model: give another name")));
    }
    match playback::read(out) {
        Ok(Recording { manifest: Manifest { player: Player::Human {}, .. }, .. }) => Err(usage(format!(
            "--out {told}: holds a person's games, which nobody could make again: give another name"
        ))),
        Ok(_) => Ok(()),
        Err(why) => Err(usage(format!("--out {why:#}: it may hold a person's games: give another name, or remove it"))),
    }
}

/// Writes a recording of finished games.
///
/// # Errors
/// If the file cannot be written; the message names it.
pub(crate) fn write(path: &Path, manifest: &Manifest, takes: &[Take]) -> anyhow::Result<()> {
    file::whole(path, |file| write_to(file, manifest, takes))
}

/// Writes a recording of finished games to a file that is not there, and returns its path: `path`, or if a file has
/// come to be there, the first free one of `NAME-2.rec`, `NAME-3.rec`, …
///
/// # Errors
/// As [`write`].
#[cfg(any(feature = "viewer", test))]
pub(crate) fn write_new(path: &Path, manifest: &Manifest, takes: &[Take]) -> anyhow::Result<PathBuf> {
    let (mut place, mut number) = (path.to_owned(), 1);
    while !file::unless_there(&place, |file| write_to(file, manifest, takes))? {
        number += 1;
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{number}.rec"));
        place.set_file_name(name);
    }
    Ok(place)
}

/// Writes a recording to an open file.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_to(file: &File, manifest: &Manifest, takes: &[Take]) -> anyhow::Result<()> {
    let mut recorder = Recorder::begin(BufWriter::new(file), manifest)?;
    takes.iter().try_for_each(|take| take.write(manifest, &mut recorder))?;
    recorder.close()?;
    Ok(())
}

/// How pictures of `env` are to be shown, for a manifest. From now on it is [watched](VecEnv::watch).
pub(crate) fn pictures(env: &mut dyn VecEnv) -> Pictures {
    Pictures { watched: env.watch(0), frame_rate: env.frame_rate(), action_names: env.action_names() }
}

/// Manifest of a recording of `env`, some seats of `resolved` that were built from the table `config`.
///
/// # Errors
/// If the table cannot be written as TOML, or has control characters, or a step takes more values than a recording keeps.
pub(crate) fn manifest(
    resolved: &Resolved,
    config: &toml::Table,
    env: &dyn VecEnv,
    player: Player,
    outputs: Option<OutputSampling>,
) -> anyhow::Result<Manifest> {
    let (seats, spec) = ((resolved.env.seats_per_world)(config).max(1), env.spec());
    let values = (spec.discrete.len() + spec.continuous.len()) * seats as usize;
    if values > WIDTH {
        let name = &resolved.env_name;
        return Err(usage(format!(
            "{name}: its {seats} seats take {values} values a step, and a recording keeps {WIDTH}"
        )));
    }
    let manifest = Manifest {
        version: version(seats),
        env: resolved.env_name.clone(),
        env_version: resolved.env.version,
        config: toml::to_string(config)?,
        assets: env.assets().into_iter().collect(),
        seats,
        discrete: spec.discrete.repeat(seats as usize),
        continuous: spec.continuous.len() * seats as usize,
        player,
        outputs,
        pictures: None,
        made_by: format!("rl-run {} ({})", env!("CARGO_PKG_VERSION"), env!("RL_REVISION")),
    };
    playback::config(&manifest)?; // or nobody could read it
    Ok(manifest)
}

#[cfg(test)]
mod tests;
