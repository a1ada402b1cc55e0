//! Checks what a run needs before it starts: memory and disk.

pub(crate) mod ram;

use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::Context as _;
use anyhow::bail;
use rl_agents::{AgentEntry, Context};

use crate::preset::Train;

/// Bytes of memory of a session beside its experience, a generous bound.
const REST: u64 = 256 << 20;
/// Bytes of a checkpoint beside experience, learner and engines, such as counters; [`ENGINE`] are those of a seat's
/// engine.
const SMALL: u64 = 1 << 20;
const ENGINE: u64 = 64 << 10;
/// Most numbers that are kept and saved for each weight: itself, its target's, two moments.
const COPIES: u64 = 4;
/// Most best weights at once beside one for each kept checkpoint: the next is written before the last is removed.
const BEST: u64 = 2;

/// Checks that the memory of this machine, or of its control group, can hold what the learner allocates, before an
/// allocation could abort the program.
///
/// # Errors
/// If it cannot; the message holds both figures and the key to lower.
pub(crate) fn allocation(agent: &AgentEntry, context: &Context<'_>) -> anyhow::Result<()> {
    let (most, key) = (agent.allocation)(context)?;
    match ram::all() {
        Some(total) if most > total => {
            bail!(
                "agent `{}` allocates {} and this machine, or its control group, has {}: lower {key}",
                agent.id,
                human(most),
                human(total)
            )
        }
        _ => Ok(()),
    }
}

/// How many runs share memory and disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    /// All runs, whose checkpoints stay on disk.
    pub(crate) all: usize,
    /// Runs that train at the same time, in memory.
    pub(crate) at_once: usize,
}

/// Checks that free memory and disk suffice for `runs`, each with `weights` bytes of weights; an agent step is
/// `frames_a_step` frames.
///
/// # Errors
/// If either is too small; the message holds both figures and the key to lower.
pub(crate) fn check(
    agent: &AgentEntry,
    context: &Context<'_>,
    train: &Train,
    run: &Path,
    (weights, frames_a_step): (u64, u64),
    runs: Runs,
) -> anyhow::Result<()> {
    let Runs { all, at_once } = runs;
    let (spec, (most, key)) = (context.spec, (agent.allocation)(context)?);
    // No experience is larger than that of the whole run: a short one may be tried on a small machine.
    let row = (spec.frame_len() + 4 * (spec.vector + spec.symbols.len()) + 64) as u64;
    let rows_of = |frames: u64| frames.div_ceil(frames_a_step).saturating_mul(row);
    let experience = most.min(rows_of(train.frames));
    let numbers = weights.saturating_mul(COPIES);
    let memory = REST.saturating_add(experience).saturating_add(numbers).saturating_mul(at_once as u64);
    if let Some(free) = ram::free()
        && memory > free
    {
        let who = if at_once == 1 { "this run".to_owned() } else { format!("{at_once} runs at once") };
        bail!("{who} may need {} of memory and {} are free: lower {key} or --frames", human(memory), human(free));
    }
    // Checkpoints share what they can: each more costs what was added since the one before.
    let added = rows_of(train.checkpoint_every).min(experience);
    let seat = ENGINE + (spec.frame_len() * (spec.stack + 1)) as u64;
    let rest = SMALL + u64::from(train.envs) * seat + numbers;
    // One more than are kept: it is written before the oldest goes.
    let each = added.saturating_add(rest).saturating_mul(train.keep_checkpoints as u64 + 1);
    let copies = BEST + train.keep_checkpoints as u64;
    let best = if train.eval_every > 0 { weights.saturating_mul(copies) } else { 0 };
    let disk = experience.saturating_add(each).saturating_add(best).saturating_mul(all as u64);
    let free = free_disk(run)?;
    if disk > free {
        writable(run)?;
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

/// Free bytes of the disk that `path` is on, or would be.
///
/// # Errors
/// If the system does not say; the message names the place.
pub(crate) fn free_disk(path: &Path) -> anyhow::Result<u64> {
    let exists = existing(path);
    let stat = rustix::fs::statvfs(exists).with_context(|| exists.display().to_string())?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Checks that files can be made where `path` is, or would be: a place without a disk has no free bytes either.
///
/// # Errors
/// If they cannot for another reason than want of space.
fn writable(path: &Path) -> anyhow::Result<()> {
    let exists = existing(path);
    match tempfile::tempfile_in(exists) {
        Err(why) if why.kind() != ErrorKind::StorageFull => {
            let why = io::Error::from(why.kind()); // without its name, which nobody knows
            Err(why).with_context(|| format!("{}: no file can be made in {}", path.display(), exists.display()))
        }
        _ => Ok(()),
    }
}

/// The directory `path`, or the nearest above it that exists.
pub(crate) fn existing(path: &Path) -> &Path {
    path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("."))
}

/// Writes a number of bytes in kB, MB or GB.
pub(crate) fn human(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
