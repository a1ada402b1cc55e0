//! `group.json` and `group.toml`: the seeds and settings that a group was asked for, so that a stopped group can go on
//! with all runs, those not yet begun too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::below;
use crate::checkpoint::manifest::Owner;
use crate::console::output;
use crate::console::usage::usage;
use crate::preset::same_experiment::{but_for_length, difference};
use crate::preset::{self, Ask, Resolved};
use crate::run_dir::many;
use crate::run_dir::origin::{self, Origin};
use crate::run_dir::tape::Which;
use crate::tables::Tables;
use crate::trained::initial::Initial;
use crate::training::order::Order;
use crate::{file, run_dir};

/// `group.json`: what a group was asked for. Its settings are in `group.toml`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Roster {
    /// Full name of the environment.
    env: String,
    agent: String,
    /// Seeds, in the order in which they were named.
    pub(crate) seeds: Vec<u64>,
    /// Device of the runs: `cpu` or `cuda`.
    pub(crate) device: String,
    /// Which episodes are recorded during training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<Which>,
    /// Steps from one recorded output of the policy to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record_outputs: Option<u32>,
    /// Where the weights came from that all runs begin with, if not from their seeds; the directory holds a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weights: Option<Origin>,
    /// Emulator frames in all that `resume DIR --frames` has asked of these seeds, some of which may not have come to
    /// them yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) lengthened: BTreeMap<u64, u64>,
}

/// Seeds of a group that have no run.
#[derive(Debug)]
pub(crate) struct Absent {
    /// Directories that hold something, and no longer a run: `resume` begins none there.
    pub(crate) lost: Vec<PathBuf>,
    /// How many seeds were not begun, or killed while their directory was made: `resume` begins them.
    pub(crate) not_begun: usize,
}

impl Roster {
    /// Writes both files for the runs that `order` asks for in `dir`. Seeds that were asked for earlier stay if their
    /// settings, device and recordings were the same or their runs have begun; others are reported and left out.
    ///
    /// # Errors
    /// If seeds that are not asked for again are of another experiment, what is there cannot be read, or a file cannot
    /// be written.
    pub(crate) fn write(dir: &Path, order: &Order, seeds: &[u64]) -> anyhow::Result<()> {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        // Of two commands that name seeds at once neither is to lose those of the other.
        let _alone = file::locked(&dir.join(".group.lock"), true)?;
        let (settings, text) = (settings(dir), order.resolved.text());
        let weights = order.initial.as_ref().map(Initial::origin);
        let (mut all, lengthened) = match Self::read(dir)? {
            Some(before) => {
                if before.seeds.iter().any(|seed| !seeds.contains(seed)) {
                    before.is_alike(dir, order)?;
                }
                let same = fs::read_to_string(&settings).is_ok_and(|before| before == text)
                    && (&before.device, before.record, before.record_outputs)
                        == (&order.on, order.record, order.outputs)
                    && origin::alike(before.weights.as_ref(), weights);
                let (stay, go): (Vec<u64>, Vec<u64>) =
                    before.seeds.into_iter().partition(|&seed| same || has_begun(dir, seed));
                let go = go.iter().filter(|seed| !seeds.contains(seed)).map(u64::to_string).collect::<Vec<_>>();
                if !go.is_empty() {
                    output::note(format!(
                        "left out, for they were asked for otherwise and not begun: seeds {}",
                        go.join(", ")
                    ));
                }
                let mut lengthened = before.lengthened;
                lengthened.retain(|seed, _| stay.contains(seed) && !seeds.contains(seed));
                (stay, lengthened)
            }
            None => Default::default(),
        };
        let known: BTreeSet<u64> = all.iter().copied().collect();
        all.extend(seeds.iter().filter(|seed| !known.contains(seed)));
        let roster = Self {
            env: order.resolved.env_name.clone(),
            agent: order.resolved.agent.map_or_else(String::new, |agent| agent.id.to_owned()),
            seeds: all,
            device: order.on.clone(),
            record: order.record,
            record_outputs: order.outputs,
            weights: weights.cloned(),
            lengthened,
        };
        if let Some(initial) = &order.initial {
            initial.write(dir, &Owner::of(&order.resolved, &order.train))?;
        }
        // What makes the directory that of a group comes last.
        file::write(&settings, text.as_bytes())?;
        roster.save(dir)
    }

    fn save(&self, dir: &Path) -> anyhow::Result<()> {
        let json = format!("{}\n", serde_json::to_string_pretty(self)?);
        file::write(&list(dir), json.as_bytes())
    }

    /// Checks that a seed of `order` would be one more of the group in `dir`: of the same agent in the same environment,
    /// with the same settings but for the length of the run and what it keeps.
    ///
    /// # Errors
    /// If it would not; the message names the first difference.
    fn is_alike(&self, dir: &Path, order: &Order) -> anyhow::Result<()> {
        let pair = |agent: &str, env: &str| format!("{agent} on {env}");
        let agent = order.resolved.agent.map_or("", |agent| agent.id);
        let (there, asked) = (pair(&self.agent, &self.env), pair(agent, &order.resolved.env_name));
        let file = settings(dir);
        let differs = if there == asked {
            let name = file.display().to_string();
            let before: Table = preset::parse(&fs::read_to_string(&file).with_context(|| name.clone())?, &name)?;
            let other = || {
                let weights = order.initial.as_ref().map(Initial::origin);
                (!origin::alike(self.weights.as_ref(), weights)).then(|| "that begin with other weights".to_owned())
            };
            difference(&but_for_length(&before), &but_for_length(&order.resolved.tables))
                .map(|key| format!("with another {key}"))
                .or_else(other)
        } else {
            Some(format!("of {there}"))
        };
        let Some(differs) = differs else { return Ok(()) };
        Err(usage(format!("{} holds seeds {differs}: name another --run for these", dir.display())))
    }

    /// Writes down that the runs of `seeds` in `dir` are to have as many frames as `order` says, those too that are not
    /// begun.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub(crate) fn lengthen(dir: &Path, order: &Order, seeds: &[u64]) -> anyhow::Result<()> {
        let _alone = file::locked(&dir.join(".group.lock"), true)?;
        if let Some(mut roster) = Self::read(dir)? {
            roster.lengthened.extend(seeds.iter().map(|&seed| (seed, order.train.frames)));
            roster.save(dir)?;
        }
        file::write(&settings(dir), order.resolved.text().as_bytes())
    }

    /// Whether there is a group in `dir`, which `rl-run resume` goes on with.
    pub(crate) fn is_in(dir: &Path) -> bool {
        Self::read(dir).is_ok_and(|roster| roster.is_some())
    }

    /// Reads what the group in `dir` was asked for; `None` if there is no group.
    ///
    /// # Errors
    /// If it is damaged.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        let file = list(dir);
        match fs::read(&file) {
            Ok(bytes) => {
                let damaged = || format!("{}: damaged; without it runs of the group go on one by one", file.display());
                serde_json::from_slice(&bytes).with_context(damaged).map(Some)
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(e).with_context(|| file.display().to_string()),
        }
    }

    /// The seeds in `group.json` of `dir` that none of its `runs` has, whatever its directory is called.
    ///
    /// # Errors
    /// If `group.json` is damaged.
    pub(crate) fn absent(dir: &Path, runs: &[PathBuf]) -> anyhow::Result<Absent> {
        let seeds = Self::read(dir)?.map(|roster| roster.seeds).unwrap_or_default();
        let known: BTreeSet<u64> = runs.iter().filter_map(|run| Some(run_dir::about(run).ok()?.seed)).collect();
        let absent = seeds.into_iter().filter(|seed| !known.contains(seed)).map(|seed| below(dir, seed));
        // A run that is damaged is there, and so is one that has begun since `runs` were listed.
        let absent = absent.filter(|place| !runs.contains(place) && !run_dir::is_run(place));
        let (not_begun, lost): (Vec<_>, Vec<_>) = absent.partition(|place| run_dir::may_be(place, false).is_ok());
        Ok(Absent { lost, not_begun: not_begun.len() })
    }

    /// All seeds of the group in `dir`: those in `group.json`, then those of other runs in the directory.
    pub(crate) fn all(&self, dir: &Path) -> Vec<u64> {
        let runs = many::below(dir);
        let seed = |run: &PathBuf| run.file_name()?.to_str()?.strip_prefix('s')?.parse().ok();
        let found = runs.iter().filter_map(|run| seed(run).filter(|&seed| below(dir, seed) == *run));
        let known: BTreeSet<u64> = self.seeds.iter().copied().collect();
        self.seeds.iter().copied().chain(found.filter(|seed| !known.contains(seed))).collect()
    }

    /// Reads the settings in `group.toml`, which are those of the seeds named last.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn settings(&self, dir: &Path, tables: &Tables) -> anyhow::Result<Resolved> {
        let (file, agent) = (settings(dir), Some(self.agent.as_str()));
        preset::resolve(tables, &Ask { env: &self.env, agent, preset: Some(&file), ..Ask::default() })
    }
}

/// Whether the run with this seed in `dir` has begun, so that it can be resumed.
pub(crate) fn has_begun(dir: &Path, seed: u64) -> bool {
    run_dir::is_run(&below(dir, seed))
}

fn list(dir: &Path) -> PathBuf {
    dir.join("group.json")
}

fn settings(dir: &Path) -> PathBuf {
    dir.join("group.toml")
}
