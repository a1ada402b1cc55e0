//! Assets that an environment plays from, brought when it is first asked for.

use rl_core::EnvEntry;

use crate::output;

/// Fetches what `entry` needs and is not there, and says so.
///
/// # Errors
/// If an asset cannot be had; the message names the command to try again.
pub(crate) fn bring(entry: &EnvEntry) -> anyhow::Result<()> {
    for name in entry.assets {
        rl_assets::fetch(name, &mut |status| output::note(format!("{name}: {status}")))?;
    }
    Ok(())
}
