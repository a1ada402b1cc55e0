//! The files that an environment plays from: they are fetched when they are first needed, and noted by name and hash, as
//! what a run or a recording was made with must be here to go on with it or to repeat it.

use std::collections::BTreeMap;

use anyhow::bail;
use rl_core::{EnvEntry, VecEnv};

use crate::console::output;

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

/// Checks that `env` plays from the files in `noted`, as it was when something `was` done, such as `recorded`.
///
/// # Errors
/// If a file is another one here, or is not there.
pub(crate) fn check(noted: &BTreeMap<String, String>, env: &dyn VecEnv, was: &str) -> anyhow::Result<()> {
    let here = env.assets();
    for (asset, hash) in noted {
        let found = here.iter().find(|(known, _)| known == asset).map_or("none", |(_, hash)| hash.as_str());
        if found != hash {
            bail!("was {was} with {asset} of {hash}, and here is {found}: put that file back");
        }
    }
    Ok(())
}
