//! Fetches the assets that an environment plays from when it is first asked for.

use rl_core::EnvEntry;

use crate::output;

/// Fetches the assets of `entry` that are missing, and reports progress.
///
/// # Errors
/// If an asset cannot be fetched; the message names the command to try again.
pub(crate) fn ensure_assets(entry: &EnvEntry) -> anyhow::Result<()> {
    for name in entry.assets {
        rl_assets::fetch(name, &mut |status| output::note(format!("{name}: {status}")))?;
    }
    Ok(())
}
