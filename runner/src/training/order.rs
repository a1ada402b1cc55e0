//! What to train and where; the same for a single run and for each of several seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;
use candle_core::Device;
use rl_nn::Precision;
use rl_replays::recording::OutputSampling;

use crate::checkpoint::manifest::Owner;
use crate::collect::Workers;
use crate::console::stop::Stop;
use crate::console::usage::usage;
use crate::machine::identity;
use crate::needs;
use crate::needs::Runs;
use crate::preset::schedules;
use crate::preset::{Eval, Resolved, Train};
use crate::run_dir::shown::Shown;
use crate::run_dir::tape::Which;
use crate::run_dir::{self, About};
use crate::session::Session;
use crate::session::demonstrations;
use crate::session::learner::context;
use crate::trained::initial::Initial;
use crate::training::group;

/// What to train, and with what, whatever the seed.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) resolved: Resolved,
    pub(crate) train: Train,
    pub(crate) eval: Eval,
    pub(crate) device: Device,
    /// Name of the device: `cpu` or `cuda`.
    pub(crate) on: String,
    /// Threads that a run may use.
    pub(crate) threads: usize,
    pub(crate) workers: Workers,
    pub(crate) record: Option<Which>,
    pub(crate) outputs: Option<u32>,
    /// Weights to begin with, in place of random ones.
    pub(crate) initial: Option<Initial>,
    pub(crate) stop: Stop,
}

/// A run that has begun, and has no directory yet.
pub(crate) struct Begun {
    pub(crate) session: Session,
    /// Outputs of the policy that are recorded.
    pub(crate) kept: Option<OutputSampling>,
    /// Recordings that were shown to the agent.
    pub(crate) shown: Option<Shown>,
}

/// Where the directories of runs are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Directory that `--run` names.
    pub(crate) run: Option<&'a Path>,
    /// Whether that directory is to hold one directory per seed.
    pub(crate) many: bool,
    /// Whether a run that is there is replaced.
    pub(crate) force: bool,
}

impl Place<'_> {
    /// Checks that every seed can have its directory, before any run begins.
    ///
    /// # Errors
    /// If one is taken and may not be replaced.
    pub(crate) fn check(&self, seeds: &[u64]) -> anyhow::Result<()> {
        if let Some(run) = self.run.filter(|_| self.many)
            && run_dir::is_run(run)
        {
            bail!(usage(format!("{} is the directory of one run: name another --run for several", run.display())));
        }
        seeds.iter().filter_map(|&seed| self.of(seed)).try_for_each(|dir| run_dir::may_be(&dir, self.force).map(drop))
    }

    /// Directory of the run of `seed`, if `--run` decides it.
    pub(crate) fn of(&self, seed: u64) -> Option<PathBuf> {
        self.run.map(|run| if self.many { group::below(run, seed) } else { run.to_owned() })
    }
}

impl Order {
    /// Messages for the person who starts the run: where its weights come from, precision that is not as asked for, and
    /// schedules that do not fit its length.
    pub(crate) fn told(&self) -> Vec<String> {
        let begins = self.initial.as_ref().map(|initial| format!("begins with {}", initial.origin()));
        let instead = self.instead().map(str::to_owned);
        let early = schedules::learning_rate(&self.resolved);
        begins.into_iter().chain(instead).chain(early).chain(schedules::cut_short(&self.resolved)).collect()
    }

    /// Message if the run cannot use the precision that was asked for.
    fn instead(&self) -> Option<&'static str> {
        match self.train.precision {
            Precision::Bf16 if !self.device.is_cpu() => Some("bf16 is supported on the CPU only: the GPU uses f32"),
            Precision::Bf16 if self.train.precision.unit().is_none() => {
                Some("this CPU has no bf16 instructions: using f32")
            }
            _ => None,
        }
    }

    /// Builds a session for `seed`, not yet reset, and checks that memory and disk suffice for `runs` of its kind.
    pub(crate) fn session(&self, seed: u64, runs: Runs, place: &Place<'_>) -> anyhow::Result<Session> {
        let Self { resolved, train, device, workers, .. } = self;
        let mut session = Session::build(resolved, train, seed, device, self.workers_of(*workers))?;
        self.initial.as_ref().map_or(Ok(()), |initial| initial.load(&mut session))?;
        let (agent, context) = context(resolved, session.seats.spec(), seed, device)?;
        let mut weights = Vec::new();
        session.learner.weights().save(&mut weights)?;
        let at = place.run.unwrap_or(Path::new("runs"));
        let sizes = (weights.len() as u64, schedules::frames_a_step(resolved));
        needs::check(agent, &context, train, at, sizes, runs)?;
        Ok(session)
    }

    /// Begins a run, before it has a directory: what cannot be shown, recorded or saved leaves none.
    ///
    /// # Errors
    /// If a recording is refused, an environment fails or its state cannot be saved.
    pub(crate) fn begin(&self, mut session: Session) -> anyhow::Result<Begun> {
        let kept = session.outputs(self.outputs, &self.resolved)?;
        let shown = demonstrations::begin(&self.resolved, &mut session, &self.train, &self.stop)?;
        session.check_saves()?;
        Ok(Begun { session, kept, shown })
    }

    /// Checks that a run of `seed` can begin; of several runs only the first needs to be checked.
    ///
    /// # Errors
    /// As those of [`fresh`](crate::training::fresh::fresh) before there is a directory.
    pub(crate) fn check(&self, seed: u64, runs: Runs, place: &Place<'_>) -> anyhow::Result<()> {
        self.begin(self.session(seed, runs, place)?).map(drop)
    }

    /// Checks that runs which have begun can go on, by what all of them share: settings, memory and disk.
    ///
    /// # Errors
    /// If the pair cannot work, a value is refused, or memory or disk is short.
    pub(crate) fn fits(&self, seed: u64, runs: Runs, place: &Place<'_>) -> anyhow::Result<()> {
        self.session(seed, runs, place).map(drop)
    }

    /// The order for each of the runs that train `at_once`: with its share of the threads.
    pub(crate) fn share(&self, at_once: usize) -> Self {
        Self { threads: (self.threads / at_once).max(1), ..self.clone() }
    }

    /// Limits the threads that step environments to the threads of a run.
    pub(crate) fn workers_of(&self, workers: Workers) -> Workers {
        match workers {
            Workers::UpTo(most) => Workers::UpTo(most.min(self.threads)),
            Workers::Exactly(workers) => Workers::Exactly(workers.min(self.threads)),
        }
    }
}

/// Contents of `run.json` for a run of `seed`; without demonstrations and assets, which are known later.
pub(crate) fn about(order: &Order, seed: u64) -> About {
    let owner = Owner::of(&order.resolved, &order.train);
    About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: env!("RL_REVISION").to_owned(),
        features: identity::features(),
        isa: owner.isa,
        cpu: identity::cpu(),
        threads: order.threads,
        device: order.on.clone(),
        earlier_devices: BTreeSet::new(),
        env: owner.env,
        env_version: owner.env_version,
        agent: owner.agent,
        seed,
        config_sha256: order.resolved.sha256(),
        assets: BTreeMap::new(),
        record: order.record,
        demonstrations: None,
        weights: order.initial.as_ref().map(|initial| initial.origin().clone()),
        record_outputs: order.outputs,
        edited: Vec::new(),
    }
}
