//! What a run needs before it starts: an agent that can play the environment, memory and disk.

use std::path::Path;

use anyhow::Context as _;
use anyhow::bail;
use rl_agents::{AgentEntry, Context};
use rl_core::Spec;

use crate::preset::Train;
use crate::usage::usage;

/// Weights, moments and the rest of a session in memory beside its experience, generously.
const REST: u64 = 256 << 20;
/// What a checkpoint holds beside experience and learner: the state of an engine for each seat, counters.
const SMALL: u64 = 1 << 20;
const ENGINE: u64 = 64 << 10;
/// Numbers that are saved of each weight, at most: itself, its target's, two moments.
const COPIES: u64 = 4;
/// Copies of the best weights: the next is written before the last goes.
const BEST: u64 = 2;

/// Why an agent cannot play an environment of these shapes, if so.
pub(crate) fn refusal(agent: &AgentEntry, env: &str, spec: &Spec) -> Option<anyhow::Error> {
    let why = (agent.refuses)(spec)?;
    Some(usage(format!("agent `{}` cannot play `{env}`: {why}", agent.id)))
}

/// Compares what the learner will allocate with the memory of this machine, before an allocation could abort the program.
///
/// # Errors
/// If it does not fit; the message holds both figures and the key to lower.
pub(crate) fn allocation(agent: &AgentEntry, context: &Context<'_>) -> anyhow::Result<()> {
    let (most, key) = (agent.memory)(context)?;
    match all_memory() {
        Some(total) if most > total => {
            bail!("agent `{}` allocates {} and this machine has {}: lower {key}", agent.id, human(most), human(total))
        }
        _ => Ok(()),
    }
}

/// How many runs there will be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    /// All of them, whose checkpoints stay.
    pub(crate) all: usize,
    /// Those that are under way at the same time.
    pub(crate) at_once: usize,
}

/// Compares the needs of `runs`, whose weights take so many bytes, with what is free.
///
/// # Errors
/// If either is too small; the message holds both figures and the key to lower.
pub(crate) fn check(
    agent: &AgentEntry,
    context: &Context<'_>,
    train: &Train,
    run: &Path,
    weights: u64,
    runs: Runs,
) -> anyhow::Result<()> {
    let Runs { all, at_once } = runs;
    let (spec, (most, key)) = (context.spec, (agent.memory)(context)?);
    // No experience is larger than that of the whole run: a short one may be tried on a small machine.
    let row = (spec.frame_len() + 4 * (spec.vector + spec.symbols.len()) + 64) as u64;
    let experience = most.min(train.frames.saturating_mul(row));
    let memory = REST.saturating_add(experience).saturating_mul(at_once as u64);
    if let Some(free) = free_memory()
        && memory > free
    {
        let who = if at_once == 1 { "this run".to_owned() } else { format!("{at_once} runs at once") };
        bail!("{who} may need {} of memory and {} are free: lower {key} or --frames", human(memory), human(free));
    }
    // Checkpoints share what they can: each more costs what was added since the one before.
    let added = train.checkpoint_every.saturating_mul(row).min(experience);
    let seat = ENGINE + (spec.frame_len() * (spec.stack + 1)) as u64;
    let rest = SMALL + u64::from(train.envs) * seat + weights.saturating_mul(COPIES);
    // One more than are kept: it is written before the oldest goes.
    let each = added.saturating_add(rest).saturating_mul(train.keep_checkpoints as u64 + 1);
    let best = if train.eval_every > 0 { weights.saturating_mul(BEST) } else { 0 };
    let disk = experience.saturating_add(each).saturating_add(best).saturating_mul(all as u64);
    let free = free_disk(run)?;
    if disk > free {
        let (whose, fewer) = match all {
            1 => ("checkpoints".to_owned(), ""),
            _ => (format!("checkpoints of {all} runs"), ", or name fewer --seeds"),
        };
        bail!(
            "{whose} may need {} of disk and {} are free at {}: lower train.keep_checkpoints or {key}{fewer}",
            human(disk),
            human(free),
            run.display()
        );
    }
    Ok(())
}

/// Bytes of memory that are free, where the system tells.
pub(crate) fn free_memory() -> Option<u64> {
    meminfo("MemAvailable:")
}

/// Bytes of memory that this machine has, where the system tells.
pub(crate) fn all_memory() -> Option<u64> {
    meminfo("MemTotal:")
}

/// Bytes that the system tells of under `key`, where it tells.
fn meminfo(key: &str) -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Free bytes of the disk that `path` is on, or will be.
///
/// # Errors
/// If the system does not tell; the message names the place.
pub(crate) fn free_disk(path: &Path) -> anyhow::Result<u64> {
    let exists = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("."));
    let stat = rustix::fs::statvfs(exists).with_context(|| exists.display().to_string())?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes for a person.
pub(crate) fn human(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
