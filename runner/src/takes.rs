//! Games that are noted down while they are played, and what becomes a recording of them.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use rl_core::{Canvas, End, Episode, VecEnv};
use rl_replays::Rollout;
use rl_replays::recording::{Group, Kept, Manifest, Outcome, Pictures, Player, Recorder, Reel, Told, VERSION, seen};
use serde::{Deserialize, Serialize};

use crate::collect::Seats;
use crate::file;
use crate::games::Games;
use crate::preset::Resolved;

/// A game that is being played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Take {
    seed: u64,
    /// By step, then by value.
    discrete: Vec<u32>,
    continuous: Vec<f32>,
    seen: Vec<u32>,
    /// What the policy thought before every N-th step, where that was asked for.
    outputs: Vec<f32>,
    pub(crate) outcome: Outcome,
    /// What it looked like, where that was asked for: never of one that outlives this process.
    #[serde(skip)]
    shots: Option<Shots>,
}

/// The pictures of a game so far.
#[derive(Clone, Debug)]
struct Shots {
    groups: Vec<Group>,
    reel: Reel,
    picture: Canvas,
}

impl Take {
    /// The game of that seed, of which nothing was played.
    pub(crate) fn begin(seed: u64) -> Self {
        let outcome = Outcome { ret: 0.0, frames: 0, end: End::No };
        let (discrete, continuous, seen, outputs) = Default::default();
        Self { seed, discrete, continuous, seen, outputs, outcome, shots: None }
    }

    /// The same, that was this episode. Its return holds nothing of what a shaping pays a learner besides.
    pub(crate) fn of(mut self, episode: &Episode) -> Self {
        (self.seed, self.outcome.ret) = (episode.seed, episode.ret);
        self
    }

    /// Whether it is of as many actions as steps, each of the environment of `manifest`, and of the outputs that it keeps.
    pub(crate) fn fits(&self, manifest: &Manifest) -> bool {
        let (steps, values) = (self.steps(), manifest.discrete.len());
        let exists = self.discrete.iter().zip(manifest.discrete.iter().cycle()).all(|(action, count)| action < count);
        let rows = manifest.outputs.map_or(0, |kept| steps.div_ceil(kept.every as usize));
        self.discrete.len() == steps * values
            && self.continuous.len() == steps * manifest.continuous
            && self.outputs.len() == rows * (1 + actions(manifest))
            && exists
    }

    /// Steps that were played.
    pub(crate) fn steps(&self) -> usize {
        self.seen.len()
    }

    /// Takes what the action of row `t` of seat `e` led to in the row after it; of outputs, one before `every` so many steps.
    pub(crate) fn push(&mut self, block: &Rollout, t: usize, e: usize, every: Option<u32>) {
        if every.is_some_and(|every| self.steps().is_multiple_of(every as usize)) {
            self.outputs.extend_from_slice(block.outputs.at(t, e));
        }
        self.discrete.extend_from_slice(block.discrete.at(t, e));
        self.continuous.extend_from_slice(block.continuous.at(t, e));
        self.seen.push(seen(block, t + 1, e));
        self.outcome.ret += f64::from(block.reward[(t + 1, e)]);
        self.outcome.frames += u64::from(block.frames[(t + 1, e)]);
        self.outcome.end = block.end[(t + 1, e)];
    }

    /// Takes the step that the only seat of `env` just made in a block of one step, or begins anew where that lost its engine, and
    /// the game with it.
    ///
    /// # Errors
    /// If a picture is too large.
    pub(crate) fn follow(&mut self, env: &dyn VecEnv, block: &Rollout) -> anyhow::Result<()> {
        if block.age[(1, 0)] == 0 {
            *self = Self::of_seat(env, 0, self.shots.is_some())?;
            return Ok(());
        }
        self.push(block, 0, 0, None);
        self.look(env, 0, Told::of(block, 1, 0))
    }

    /// The game that begins in seat `n` of `env`; if `filmed`, with its picture, and that after each step that is
    /// [looked at](Self::look).
    ///
    /// # Errors
    /// If the picture is too large.
    pub(crate) fn of_seat(env: &dyn VecEnv, n: usize, filmed: bool) -> anyhow::Result<Self> {
        let mut take = Self::begin(env.episode_seed(n));
        take.shots = filmed.then(|| Shots { groups: Vec::new(), reel: Reel::default(), picture: Canvas::new(0, 0) });
        take.look(env, n, Told::default())?;
        Ok(take)
    }

    /// Keeps the picture after a step that came to what is `told`, if pictures are kept.
    ///
    /// # Errors
    /// If it is too large.
    pub(crate) fn look(&mut self, env: &dyn VecEnv, n: usize, told: Told) -> anyhow::Result<()> {
        let Some(Shots { groups, reel, picture }) = &mut self.shots else { return Ok(()) };
        env.draw(n, picture);
        groups.extend(reel.push(picture, told).context("--frames")?);
        if told.end.over() {
            groups.extend(reel.cut());
        }
        Ok(())
    }

    fn write(&self, manifest: &Manifest, recorder: &mut Recorder<impl Write>) -> std::io::Result<()> {
        let (discrete, continuous) = (manifest.discrete.len(), manifest.continuous);
        let every = manifest.outputs.map_or(usize::MAX, |kept| kept.every as usize);
        let mut outputs = self.outputs.chunks_exact(1 + actions(manifest));
        recorder.episode(self.seed)?;
        self.shots.iter().flat_map(|shots| &shots.groups).try_for_each(|group| recorder.pictures(group))?;
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

fn actions(manifest: &Manifest) -> usize {
    manifest.discrete.iter().map(|&count| count as usize).sum()
}

/// Of each seat, the games that are over, and the one that is not.
#[derive(Debug, Default)]
pub(crate) struct Takes {
    over: Vec<Vec<Take>>,
    running: Vec<Take>,
    /// Steps between two outputs that are kept.
    every: Option<u32>,
    /// Whether pictures are kept.
    frames: bool,
}

impl Takes {
    /// Of no game yet.
    pub(crate) fn new(every: Option<u32>, frames: bool) -> Self {
        Self { every, frames, ..Self::default() }
    }

    /// Takes the step that all seats just made, in blocks of one step; the first time, where they begin.
    ///
    /// # Errors
    /// If a picture is too large.
    pub(crate) fn watch(&mut self, seats: &Seats) -> anyhow::Result<()> {
        let first = self.running.is_empty();
        let mut seat = 0;
        for (env, block) in seats.envs().zip(seats.blocks()) {
            for e in 0..block.envs() {
                if first {
                    self.running.push(Take::of_seat(env, e, self.frames)?);
                    self.over.push(Vec::new());
                } else if block.age[(1, e)] == 0 {
                    let next = Take::of_seat(env, e, self.frames)?;
                    let before = std::mem::replace(&mut self.running[seat], next);
                    // A game whose engine was lost has no end, and is none.
                    self.over[seat].extend(Some(before).filter(|game| game.outcome.end.over()));
                } else {
                    self.running[seat].push(block, 0, e, self.every);
                    self.running[seat].look(env, e, Told::of(block, 1, e))?;
                }
                seat += 1;
            }
        }
        Ok(())
    }

    /// The games that count, in the order of their returns in a score.
    pub(crate) fn of(self, games: &Games) -> impl Iterator<Item = Take> {
        let seats = self.over.into_iter().zip(self.running).enumerate();
        let all = seats.map(|(seat, (over, last))| (games.share(seat as u32) as usize, over.into_iter().chain([last])));
        all.flat_map(|(share, takes)| takes.take(share).collect::<Vec<_>>())
    }
}

/// Writes a recording of these games.
///
/// # Errors
/// If the file cannot be written; the message names it.
pub(crate) fn write(path: &Path, manifest: &Manifest, takes: &[Take]) -> anyhow::Result<()> {
    file::whole(path, |file| {
        let mut recorder = Recorder::begin(BufWriter::new(file), manifest)?;
        takes.iter().try_for_each(|take| take.write(manifest, &mut recorder))?;
        recorder.close()?;
        Ok(())
    })
}

/// How to watch pictures of `env`.
pub(crate) fn pictures(env: &dyn VecEnv) -> Pictures {
    Pictures { frame_rate: env.frame_rate(), action_names: env.action_names() }
}

/// Where episodes of `env`, which was built from its table `config`, can be played again.
///
/// # Errors
/// If the table cannot be written as TOML.
pub(crate) fn manifest(
    resolved: &Resolved,
    config: &toml::Table,
    env: &dyn VecEnv,
    player: Player,
    outputs: Option<Kept>,
) -> anyhow::Result<Manifest> {
    Ok(Manifest {
        version: VERSION,
        env: resolved.env_name.clone(),
        env_version: resolved.env.version,
        config: toml::to_string(config)?,
        assets: env.assets().into_iter().collect(),
        discrete: env.spec().discrete.to_vec(),
        continuous: env.spec().continuous.len(),
        player,
        outputs,
        pictures: None,
        made_by: format!("rl-run {} ({})", env!("CARGO_PKG_VERSION"), env!("RL_REVISION")),
    })
}
