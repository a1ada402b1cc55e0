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
    self, Group, Manifest, Outcome, OutputSampling, Pictures, Player, Recorder, Recording, Reel, Told, VERSION, memory,
    seen,
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

/// A game that is being noted down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Take {
    seed: u64,
    /// Discrete actions, `[steps, values]`; `continuous` and `seen` are by step too.
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
        Self { seed, discrete, continuous, seen, outputs, outcome, pictures, reel: None }
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
        self.discrete.extend_from_slice(block.discrete.at(t, e));
        self.continuous.extend_from_slice(block.continuous.at(t, e));
        self.seen.push(seen(block, t + 1, e));
        self.outcome.ret += f64::from(block.reward[(t + 1, e)]);
        self.outcome.frames += u64::from(block.frames[(t + 1, e)]);
        self.outcome.end = block.end[(t + 1, e)];
    }

    /// Adds the step that the only seat of `env` just made in a block of one step. If the engine was lost there, begins
    /// a new game instead. Draws pictures on `canvas`.
    ///
    /// # Errors
    /// If a picture is too large.
    pub(crate) fn follow(&mut self, env: &dyn VecEnv, block: &Rollout, canvas: &mut Canvas) -> anyhow::Result<()> {
        if block.age[(1, 0)] == 0 {
            *self = Self::of_seat(env, 0, self.reel.is_some().then_some(canvas))?;
            return Ok(());
        }
        self.push(block, 0, 0, None);
        self.look(env, 0, Told::of(block, 1, 0), canvas)
    }

    /// Begins the game that seat `n` of `env` is at the beginning of. If a canvas to draw on is given, its first
    /// picture is kept, and those after each [`look`](Self::look).
    ///
    /// # Errors
    /// If the picture is too large.
    pub(crate) fn of_seat(env: &dyn VecEnv, n: usize, filmed: Option<&mut Canvas>) -> anyhow::Result<Self> {
        let mut take = Self::begin(env.episode_seed(n));
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
        recorder.episode(self.seed)?;
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
    /// Begins to note down `games`.
    pub(crate) fn new(games: Games, every: Option<u32>, filmed: bool) -> Self {
        let (over, running) = Default::default();
        Self { games, over, running, every, filmed: filmed.then(|| Canvas::new(0, 0)), room: Room::new() }
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
            *running = (over.len() < share).then(|| Take::of_seat(env, e, self.filmed.as_mut())).transpose()?;
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
    if file::parent(out).join(score::FILE).is_file() {
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

/// Manifest of a recording of `env`, which was built from the table `config`.
///
/// # Errors
/// If the table cannot be written as TOML, or has control characters.
pub(crate) fn manifest(
    resolved: &Resolved,
    config: &toml::Table,
    env: &dyn VecEnv,
    player: Player,
    outputs: Option<OutputSampling>,
) -> anyhow::Result<Manifest> {
    let manifest = Manifest {
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
    };
    playback::config(&manifest)?; // or nobody could read it
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rl_agents::{Clock, Mode, Plan, Policy, UpdateRatio};
    use rl_core::{Act, Result, Rng, Rows, Seating, Spec, State, Stream};

    use super::*;
    use crate::collect::Workers;
    use crate::preset::{Ask, resolve};
    use crate::tables::Tables;

    /// An environment that counts how often it is drawn.
    struct Drawn(Box<dyn VecEnv>, Arc<AtomicUsize>);

    impl VecEnv for Drawn {
        fn spec(&self) -> &Spec {
            self.0.spec()
        }

        fn seats(&self) -> usize {
            self.0.seats()
        }

        fn reset(&mut self, rows: Rows<'_>) -> Result<()> {
            self.0.reset(rows)
        }

        fn episode_seed(&self, n: usize) -> u64 {
            self.0.episode_seed(n)
        }

        fn begin(&mut self, seeds: &[u64], rows: Rows<'_>) -> Result<()> {
            self.0.begin(seeds, rows)
        }

        fn step(&mut self, act: Act<'_>, rows: Rows<'_>) -> Result<()> {
            self.0.step(act, rows)
        }

        fn frame_rate(&self) -> f64 {
            self.0.frame_rate()
        }

        fn lives(&self, n: usize) -> Option<u32> {
            self.0.lives(n)
        }

        fn draw(&self, n: usize, canvas: &mut Canvas) {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.draw(n, canvas);
        }

        fn serving(&self) -> u32 {
            self.0.serving()
        }

        fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
            self.0.save(n, out)
        }

        fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
            self.0.load(n, bytes)
        }
    }

    struct Chance(Rng);

    impl Policy for Chance {
        fn act(&mut self, blocks: &mut [Rollout], t: usize, _mode: Mode) -> Result<()> {
            for block in blocks {
                for e in 0..block.seats() {
                    block.discrete[(t, e)] = self.0.below(2);
                }
            }
            Ok(())
        }

        fn is_recurrent(&self) -> bool {
            false
        }

        fn state(&mut self) -> State<'_> {
            Vec::new()
        }
    }

    #[test]
    fn a_person_s_games_are_not_replaced_and_replace_nothing() {
        let tables = Tables::new(&[rl_envs::ENVS], &[]);
        let resolved = resolve(&tables, &Ask { env: "cartpole", ..Ask::default() }).unwrap();
        let env = resolved.seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
        let manifest = manifest(&resolved, resolved.table("env"), env.as_ref(), Player::Human {}, None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        ready(&at("mine.rec")).unwrap();
        std::fs::write(at("mine.rec"), "of somebody else").unwrap(); // meanwhile
        for name in ["mine-2.rec", "mine-3.rec", "mine-4.rec"] {
            assert_eq!(write_new(&at("mine.rec"), &manifest, &[]).unwrap(), at(name));
            let refused = ready(&at(name)).unwrap_err().to_string();
            assert!(refused.contains(name) && refused.contains("holds a person's games"), "{refused}");
        }
        assert_eq!(std::fs::read(at("mine.rec")).unwrap(), b"of somebody else");
        ready(&at("mine.rec")).unwrap();
        let mut damaged = std::fs::read(at("mine-2.rec")).unwrap();
        *damaged.last_mut().unwrap() ^= 1;
        std::fs::write(at("mine-2.rec"), damaged).unwrap();
        let refused = ready(&at("mine-2.rec")).unwrap_err().to_string();
        assert!(refused.contains("is damaged") && refused.contains("may hold a person's games"), "{refused}");
        assert_eq!(write_new(&at("other.rec"), &manifest, &[]).unwrap(), at("other.rec"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 5, "no drafts");
        let mut odd = resolved.table("env").clone();
        odd.insert("a\tb".to_owned(), 1.into());
        let refused = super::manifest(&resolved, &odd, env.as_ref(), Player::Human {}, None).unwrap_err().to_string();
        assert!(refused.contains("control characters"), "{refused}");
    }

    #[test]
    fn a_seat_that_has_its_share_is_drawn_no_more_and_games_that_are_over_hold_no_canvas() {
        let tables = Tables::new(&[rl_envs::ENVS], &[]);
        let resolved = resolve(&tables, &Ask { env: "cartpole", ..Ask::default() }).unwrap();
        let drawn = Arc::new(AtomicUsize::new(0));
        let env = Drawn(resolved.seat_eval(&Seating { seed: 1, seats: 0..16 }).unwrap(), Arc::clone(&drawn));
        let (workers, mode) = (Workers::UpTo(1), Mode::Explore);
        let plan = Plan { horizon: 1, extra: 0, pace: Some(UpdateRatio { updates: 1, steps: 1 }) };
        let games = Games { seed: 1, first: 0, episodes: 20, mode, workers, outputs: false, filmed: false };
        let (mut seats, mut takes) =
            (Seats::new(vec![Box::new(env)], plan, workers).unwrap(), Takes::new(games, None, true));
        let (mut policy, mut clock) = (Chance(Rng::new(1, Stream::Act(0))), Clock::default());
        seats.reset().unwrap();
        takes.watch(&seats).unwrap();
        for _ in 0..300 {
            seats.collect(&mut policy, mode, &mut clock).unwrap();
            takes.watch(&seats).unwrap();
            seats.carry();
        }
        let takes = takes.into_games();
        assert_eq!(takes.len(), 20);
        assert!(takes.iter().all(|take| take.reel.is_none() && !take.pictures.is_empty()));
        let pictures: usize = takes.iter().map(|take| take.steps() + 1).sum();
        assert_eq!(drawn.load(Ordering::Relaxed), pictures, "of each game its beginning and every step");
    }
}
