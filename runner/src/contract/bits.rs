//! Promises about bits: runs that are to be the same are trained, and compared part by part.

use anyhow::bail;
use rayon::ThreadPoolBuilder;

use super::{Found, Subject, Trained, same};
use crate::collect::Workers;
use crate::session::WEIGHTS;

/// Most groups that seats are divided into.
const GROUPS: u32 = 3;

pub(super) fn seed(subject: &Subject) -> Found {
    compare(subject, Workers::Exactly(1), "in a second run of the same seed")
}

pub(super) fn groups(subject: &Subject) -> Found {
    let worlds = subject.train.envs / subject.resolved.seats_per_world();
    if worlds < 2 {
        return Ok(None);
    }
    let groups = worlds.min(GROUPS);
    compare(subject, Workers::Exactly(groups as usize), &format!("where seats are in {groups} groups instead of one"))
}

pub(super) fn threads(subject: &Subject) -> Found {
    subject.trained()?;
    let own = rayon::current_num_threads();
    let other = if own == 1 { 3 } else { 1 };
    let pool = ThreadPoolBuilder::new().num_threads(other).build()?;
    pool.install(|| compare(subject, Workers::Exactly(1), &format!("on {other} of the threads instead of {own}")))
}

/// Trains again from the beginning.
fn compare(subject: &Subject, workers: Workers, what: &str) -> Found {
    let Trained { rounds, end, coverage, .. } = subject.trained()?;
    let mut again = subject.begin(workers)?;
    subject.advance(&mut again, 2 * rounds)?;
    same(end, &again.digests()?, what)?;
    Ok(Some(*coverage))
}

pub(super) fn state(subject: &Subject) -> Found {
    let Trained { rounds, half, end, coverage } = subject.trained()?;
    let mut session = subject.half_trained()?;
    let saved: Vec<_> = half.iter().map(|part| (part.name.clone(), rl_assets::sha256(&part.bytes))).collect();
    same(&saved, &session.digests()?, "as soon as it was loaded")?;
    subject.advance(&mut session, *rounds)?;
    same(end, &session.digests()?, "in a run that was loaded and went on")?;
    Ok(Some(*coverage))
}

pub(super) fn damage(subject: &Subject) -> Found {
    let half = &subject.trained()?.half;
    let mut session = subject.build(Workers::Exactly(1))?;
    session.visit(&mut |name, part| {
        let of_agent = name == WEIGHTS || ["learner.", "policy."].iter().any(|whose| name.starts_with(whose));
        let saved = half.iter().find(|saved| of_agent && saved.name == name && !saved.bytes.is_empty());
        let Some(saved) = saved else { return Ok(()) };
        for cut in [saved.bytes.len() - 1, saved.bytes.len() / 2] {
            if part.load(&mut &saved.bytes[..cut]).is_ok() {
                bail!("`{name}` is loaded from {cut} of its {} bytes", saved.bytes.len());
            }
        }
        Ok(())
    })?;
    Ok(Some(super::Coverage::default()))
}
