//! What a run will need of memory and disk, against what is free before it starts.

use std::path::Path;

use anyhow::{Context as _, bail};
use rl_agents::Learner;
use rl_core::Spec;

use crate::preset::Train;

/// Weights, moments and the rest of a session beside its experience, generously.
const REST: u64 = 256 << 20;

/// Compares needs with what is free.
///
/// # Errors
/// If either is too small; the message holds both figures and the key to lower.
pub(crate) fn check(learner: &dyn Learner, spec: &Spec, train: &Train, run: &Path) -> anyhow::Result<()> {
    let (most, key) = learner.memory();
    // No experience is larger than that of the whole run: a short one may be tried on a small machine.
    let row = (spec.frame_len() + 4 * (spec.vector + spec.symbols.len()) + 64) as u64;
    let memory = most.min(REST.saturating_add(train.frames.saturating_mul(row)));
    if let Some(free) = free_memory()
        && memory > free
    {
        bail!("this run may need {} of memory and {} are free: lower {key} or --frames", human(memory), human(free));
    }
    let disk = memory.saturating_mul(train.keep_checkpoints as u64 + 1);
    let free = free_disk(run)?;
    if disk > free {
        bail!(
            "checkpoints may need {} of disk and {} are free at {}: lower train.keep_checkpoints or {key}",
            human(disk),
            human(free),
            run.display()
        );
    }
    Ok(())
}

/// Memory that programs can still take, where the system says so.
fn free_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Free bytes of the disk that `path` is on, or will be.
fn free_disk(path: &Path) -> anyhow::Result<u64> {
    let exists = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("."));
    let stat = rustix::fs::statvfs(exists).with_context(|| exists.display().to_string())?;
    Ok(stat.f_bavail * stat.f_frsize)
}

fn human(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
