//! Training driven by a program of one's own: the rounds of `rl-run`, one call at a time, to the same bits.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use anyhow::{Context as _, bail};
use candle_core::Device;
use rl_agents::{Learner, Log, Mode};

use crate::checkpoint::manifest::Owner;
use crate::checkpoint::segment_store::SegmentStore;
use crate::checkpoint::snapshot::{Extent, Handed, Snapshot};
use crate::checkpoint::writer::Known;
use crate::checkpoint::{self, Checkpoint};
use crate::collect::Workers;
use crate::console::stop::Stop;
use crate::console::usage::usage;
use crate::console::waiting::Waiting;
use crate::games::play::{Games, SEATS, play};
use crate::preset::Resolved;
use crate::registry::{Registry, TrainerConfig};
use crate::run_dir::digests::{Digest, Digests};
use crate::run_dir::episode_log::EpisodeLog;
use crate::run_dir::metrics::Metrics;
use crate::run_dir::origin::{self, Origin};
use crate::run_dir::shown::Shown;
use crate::run_dir::{self, About, RunDir};
use crate::run_dir::{episode_log, metrics};
use crate::session::Session;
use crate::session::demonstrations;
use crate::session::learner::build;
use crate::trained::initial::Initial;
use crate::trained::recorded::Recorded;
use crate::training::order::{Order, about};
use crate::training::train_loop::due;

/// Where a run was opened.
struct Opened {
    /// Its directory, as a canonical path.
    run: PathBuf,
    /// The frames of the state.
    frames: u64,
    /// What `run.json` says there, since the last save.
    about: About,
    /// Whether somebody had changed the settings in `run.toml`, and `about` does not say so yet.
    edited: bool,
}

impl Opened {
    fn is_in(&self, run: &Path) -> bool {
        fs::canonicalize(run).is_ok_and(|run| run == self.run)
    }
}

/// A run in memory. It ends in the bits of `rl-run` with the same settings and seed, unless actors lag behind the
/// learner.
/// Tensor operations have the threads of the current rayon pool, and are fastest where the calling thread is one of
/// them (`ThreadPoolBuilder::use_current_thread` before anything else uses the global pool).
///
/// ```
/// use rl_runner::{Registry, Trainer, TrainerConfig};
///
/// let registry = Registry::new(&[rl_envs::ENVS], &[rl_agents::AGENTS])?;
/// let sets = ["train.frames=2000"];
/// let device = candle_core::Device::Cpu;
/// let config = TrainerConfig { env: "cartpole", agent: "ppo", preset: None, sets: &sets, seed: 1, device };
/// let mut trainer = Trainer::new(&registry, &config)?;
/// while !trainer.is_done() {
///     trainer.advance()?; // one round: every seat acts for a horizon, then the agent learns
///     if let Some(mean) = trainer.mean_return() {
///         println!("{} frames: {mean}", trainer.frames());
///     }
/// }
/// let returns = trainer.evaluate(10, 0)?; // of ten full games
/// assert_eq!(returns.len(), 10);
/// # anyhow::Ok(())
/// ```
pub struct Trainer {
    order: Order,
    seed: u64,
    shown: Option<Shown>,
    /// The weights that the run began with, if not from its seed, and the directory that has them.
    first: Option<(Origin, PathBuf)>,
    session: Session,
    /// Where it was opened, if it was not begun.
    opened: Option<Opened>,
    /// Segments of the run that are in the directory it was opened from or saved to last.
    store: Option<SegmentStore>,
    log: Log,
    /// Whether a round failed, so that environments and learner are of different steps.
    failed: bool,
}

impl fmt::Debug for Trainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order, seed, session, .. } = self;
        f.debug_struct("Trainer")
            .field("env", &order.resolved.env_name)
            .field("agent", &order.resolved.agent.map(|agent| agent.id))
            .field("seed", seed)
            .field("counts", &session.counts)
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// Begins a run: resets its environments and builds its agent.
    ///
    /// # Errors
    /// If a name, key or value is refused, a file that the environment needs can neither be found nor fetched, the pair
    /// cannot work, or the agent needs more memory than this machine has; the message names the mend.
    pub fn new(registry: &Registry, config: &TrainerConfig<'_>) -> anyhow::Result<Self> {
        let mut resolved = config.resolve(registry)?;
        demonstrations::settle(&mut resolved)?;
        let order = order(resolved, &config.device)?;
        let mut session = Session::build(&order.resolved, &order.train, config.seed, &order.device, order.workers)?;
        let shown = demonstrations::begin(&order.resolved, &mut session, &order.train, &order.stop)?;
        session.notes.extend(order.resolved.told.iter().cloned().chain(order.told()));
        let (seed, log) = (config.seed, Log::default());
        Ok(Self { order, seed, shown, first: None, session, opened: None, store: None, log, failed: false })
    }

    /// Goes on with the run in the directory `run`, of [`save`](Self::save) or of `rl-run`, from its last checkpoint.
    ///
    /// # Errors
    /// If there is none, or it is damaged or of other settings.
    pub fn open(registry: &Registry, run: &Path, device: &Device) -> anyhow::Result<Self> {
        let recorded = Recorded::read(run, &registry.0)?;
        let order = order(recorded.resolved.clone(), device)?;
        let owner = Owner::of(&order.resolved, &order.train);
        let checkpoint = Checkpoint::open(&checkpoint::find(run, "last")?, &owner)?;
        let mut session = recorded.session(&order.device, order.workers)?;
        checkpoint.load(&mut session)?;
        session.notes.extend(order.resolved.told.iter().cloned());
        let inexact = recorded.inexact(checkpoint.isa(), (&owner, &order.on), &mut session);
        session.notes.extend(inexact);
        let Recorded { about, edited, .. } = recorded;
        let (seed, shown, frames) = (about.seed, about.demonstrations.clone(), session.counts.frames);
        let first = about.weights.clone().map(|origin| (origin, run.to_owned()));
        let opened = Some(Opened {
            run: fs::canonicalize(run).with_context(|| run.display().to_string())?,
            frames,
            about,
            edited,
        });
        let store = Some(SegmentStore::new(run, checkpoint.segments())?);
        Ok(Self { order, seed, shown, first, session, opened, store, log: Log::default(), failed: false })
    }

    /// Makes one round: every seat acts for a horizon, then the agent learns from what came of it.
    ///
    /// # Errors
    /// If the environment, the policy or the learner fails. The run cannot go on then: each later round and
    /// [`save`](Self::save) is an error too, and [`open`](Self::open) goes on from what was saved before.
    pub fn advance(&mut self) -> anyhow::Result<()> {
        self.whole()?;
        self.failed = true;
        self.session.advance(&mut self.log)?;
        self.failed = false;
        Ok(())
    }

    fn whole(&self) -> anyhow::Result<()> {
        match self.failed {
            true => bail!("a round of this run failed: go on with what was saved before it, by Trainer::open"),
            false => Ok(()),
        }
    }

    /// Whether the run has had `train.frames` frames, and an update.
    pub fn is_done(&self) -> bool {
        self.frames() >= self.order.train.frames && self.updates() > 0
    }

    /// Emulator frames so far, of all seats.
    pub fn frames(&self) -> u64 {
        self.session.counts.frames
    }

    /// Agent steps so far, of all seats.
    pub fn agent_steps(&self) -> u64 {
        self.session.counts.agent_steps
    }

    /// Episodes that have ended so far, in all seats.
    pub fn episodes(&self) -> u64 {
        self.session.counts.episodes
    }

    /// Optimiser steps so far.
    pub fn updates(&self) -> u64 {
        self.session.learner.updates()
    }

    /// Mean raw return of the last 100 episodes of training, or of as many as have ended; `None` before the first.
    pub fn mean_return(&self) -> Option<f64> {
        self.session.window.mean_return()
    }

    /// Means since the last call of what the learner measures, such as `loss`, by their names.
    pub fn metrics(&mut self) -> Vec<(&'static str, f64)> {
        self.log.drain()
    }

    /// What a person should know and was not told since the last call: at first of settings, such as a schedule that does
    /// not fit or bits that will be others than before; later of an engine that was lost and replaced.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.session.notes)
    }

    /// The learner, whose weights can be saved as safetensors, and whose policies act with them as they are now:
    ///
    /// ```
    /// use rl_agents::Mode;
    /// use rl_core::Seating;
    /// use rl_replays::Rollout;
    /// use rl_runner::{Registry, Trainer, TrainerConfig};
    ///
    /// let registry = Registry::new(&[rl_envs::ENVS], &[rl_agents::AGENTS])?;
    /// let device = rl_runner::candle_core::Device::Cpu;
    /// let config = TrainerConfig { env: "cartpole", agent: "ppo", preset: None, sets: &[], seed: 1, device };
    /// let mut trainer = Trainer::new(&registry, &config)?; // or Trainer::open(&registry, run, &device)
    /// let mut env = registry.seat("cartpole", &[], &Seating { seed: 7, seats: 0..1 })?;
    /// let learner = trainer.learner();
    /// let mut policy = learner.policy(0..1)?;
    /// let mut block = Rollout::new(env.spec(), 1, 1, learner.plan().extra); // rows before and after a step
    /// env.reset(block.first())?;
    /// while block.episodes.is_empty() {
    ///     policy.act(std::slice::from_mut(&mut block), 0, Mode::Evaluate { epsilon: 0.0, greedy: true })?;
    ///     let (act, rows) = block.step(0);
    ///     env.step(act, rows)?;
    ///     if block.episodes.is_empty() {
    ///         block.carry(); // the row after becomes the row before
    ///     }
    /// }
    /// assert!(block.episodes[0].ret > 0.0);
    /// # anyhow::Ok(())
    /// ```
    pub fn learner(&mut self) -> &mut dyn Learner {
        self.session.learner.as_mut()
    }

    /// Raw returns of `episodes` full games, of one seat each, by the weights as they are now, on seats that training
    /// never sees: those of `rl-run eval --seed SEED --episodes EPISODES`. Nothing of the run changes.
    ///
    /// # Errors
    /// If the environment or the policy fails, or `episodes` is 0.
    pub fn evaluate(&mut self, episodes: u32, seed: u64) -> anyhow::Result<Vec<f64>> {
        if episodes == 0 {
            bail!(usage("an evaluation has at least 1 episode"));
        }
        // A learner of that seed, whose policies draw by it.
        let mut player = build(&self.order.resolved, self.session.seats.spec(), seed, &self.order.device)?;
        let mut weights = Vec::new();
        self.session.learner.weights().save(&mut weights)?;
        player.weights().load(&mut &weights[..])?;
        let mode = Mode::Evaluate { epsilon: self.order.eval.epsilon, greedy: false };
        let games =
            Games { seed, first: SEATS, episodes, mode, workers: self.order.workers, outputs: false, filmed: false };
        let score = play(&self.order.resolved, player.as_ref(), games, &Waiting::default())?;
        self.session.notes.extend(score.crashes);
        Ok(score.returns)
    }

    /// Writes the whole state as a checkpoint into the directory `run`, which becomes that of a run: `rl-run eval`,
    /// `record` and `resume` take it, and [`open`](Self::open) goes on from there to the same bits. Checkpoints
    /// and rows of later frames are removed, and of earlier checkpoints all but the newest `train.keep_checkpoints`.
    /// There are no rows of metrics and no episodes of rounds that were made here, so that `rl-run plot` has none to draw.
    /// Of a large replay, what the directory has of the last save is neither copied nor written again. Where
    /// `train.eval_every` is not 0, `rl-run verify` finds `counts` to differ, as a program plays no evaluations unasked.
    ///
    /// # Errors
    /// If the directory holds something else than this run, or cannot be written, or a round failed.
    pub fn save(&mut self, run: &Path) -> anyhow::Result<()> {
        self.whole()?;
        self.failed = true; // to rest, actors and learner end rounds that were begun
        self.session.rest(&mut self.log)?;
        self.failed = false;
        let Order { resolved, train, .. } = &self.order;
        let (demonstrations, assets) = (self.shown.clone(), self.session.assets());
        let weights = self.first.as_ref().map(|(origin, _)| origin.clone());
        let mut about = About { demonstrations, assets, weights, ..about(&self.order, self.seed) };
        let (by, hash) = ((about.device.clone(), about.isa.clone()), about.config_sha256.clone());
        let goes_on = |there: &mut About, from: u64, edited: bool| {
            there.goes_on(Some(from), (&by.0, &by.1), hash.clone(), edited);
        };
        let dir = if run_dir::is_run(run) {
            let mut there = run_dir::about(run)?;
            // Settings of an older build or changed by hand have another hash than what they were resolved to.
            let known = |opened: &&mut Opened| opened.about.config_sha256 == there.config_sha256;
            let opened = self.opened.as_mut().filter(|opened| opened.is_in(run)).filter(known);
            if there.seed != about.seed || (opened.is_none() && there.config_sha256 != about.config_sha256) {
                bail!(usage(format!("{} is a run of other settings or another seed", run.display())));
            }
            if !origin::alike(there.weights.as_ref(), about.weights.as_ref()) {
                bail!(usage(format!("{} is a run that began with other weights", run.display())));
            }
            let dir = RunDir::open(run)?;
            metrics::check(run)?;
            episode_log::check(run)?;
            if there.assets.is_empty() {
                there.assets = about.assets; // of a run that is older than this key
            }
            let frames = self.session.counts.frames;
            let (from, edited) = opened.as_ref().map_or((frames, false), |opened| (opened.frames, opened.edited));
            goes_on(&mut there, from, edited);
            dir.describe(&there, &resolved.text())?;
            if let Some(opened) = opened {
                (opened.about, opened.edited) = (there, false);
            }
            dir
        } else {
            let owner = Owner::of(resolved, train);
            let first = |dir: &Path| match &self.first {
                Some((origin, of)) => {
                    Initial::of_run(of, Some(origin))?.map_or(Ok(()), |initial| initial.write(dir, &owner))
                }
                None => Ok(()),
            };
            if let Some(opened) = &self.opened {
                // With what trained it before.
                let (assets, record, record_outputs) = (about.assets, None, None); // its recordings are not here
                about = About { assets, record, record_outputs, ..opened.about.clone() };
                goes_on(&mut about, opened.frames, opened.edited);
            }
            let dir = RunDir::create((Some(run), ""), false, &about, &resolved.text(), &first)?;
            self.store = Some(SegmentStore::new(run, Known::new())?);
            dir
        };
        // As `rl-run` counts it, which goes on from here.
        self.session.counts.next_checkpoint = due(self.session.counts.frames, train.checkpoint_every);
        let (checkpoints, owner) = (dir.checkpoints(), Owner::of(resolved, train));
        // Segments that are there of another past, as of a run with actors, are not those of this one.
        self.store = self.store.take().filter(|store| store.is_in(run));
        let (snapshot, manifest) = match &mut self.store {
            Some(store) => store.write(&checkpoints, &mut self.session, &owner)?,
            None => {
                let snapshot = Snapshot::take(&mut self.session, Extent::Whole, &Handed::default())?;
                let manifest = checkpoint::write(&checkpoints, &snapshot, &owner, &Known::new())?;
                (snapshot, manifest)
            }
        };
        // What came later belongs to another future.
        checkpoint::forget_after(&checkpoints, snapshot.frames)?;
        checkpoint::forget_after(&dir.best(), snapshot.frames)?;
        Metrics::reopen(dir.path(), snapshot.frames, true)?;
        EpisodeLog::open(dir.path(), snapshot.frames)?;
        let parts = manifest.digests();
        Digests::reopen(dir.path(), snapshot.frames)?.renew(&Digest { frames: snapshot.frames, parts })?;
        let pruned = checkpoint::prune(&checkpoints, train.keep_checkpoints);
        let none = Known::new();
        let known = self.store.as_ref().map_or(&none, SegmentStore::known);
        if let Err(why) = pruned.and(checkpoint::sweep(&checkpoints, known)) {
            self.session.notes.push(format!("what is of no more use stays for now: {why:#}"));
        }
        Ok(())
    }

    /// Everything that decides the future of the run.
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// An order of one run, in memory.
fn order(resolved: Resolved, device: &Device) -> anyhow::Result<Order> {
    let (train, eval, threads) = (resolved.train()?, resolved.eval()?, rayon::current_num_threads());
    let on = if device.is_cpu() { "cpu" } else { "cuda" }.to_owned();
    let (device, workers, stop) = (device.clone(), Workers::UpTo(threads), Stop::default());
    Ok(Order { resolved, train, eval, device, on, threads, workers, record: None, outputs: None, initial: None, stop })
}
