//! The files that an environment plays from, by name and hash: what a run or a recording was made with must be here to
//! go on with it or to repeat it.

use std::collections::BTreeMap;

use anyhow::bail;
use rl_core::VecEnv;

use crate::session::Session;

/// Name and hash of each file that the environments of a session play from.
pub(crate) fn of(session: &Session) -> BTreeMap<String, String> {
    session.seats.envs().next().map_or_else(BTreeMap::new, |env| env.assets().into_iter().collect())
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

/// [`check`] of a session that goes on with a run, or repeats it.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_run(noted: &BTreeMap<String, String>, session: &Session) -> anyhow::Result<()> {
    session.seats.envs().next().map_or(Ok(()), |env| check(noted, env, "trained"))
}
