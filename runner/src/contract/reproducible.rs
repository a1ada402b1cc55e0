//! Promises about bits: runs that are to be the same are trained, and compared part by part.

use rayon::ThreadPoolBuilder;

use super::{Found, Lacking, Subject, Trained, same};
use crate::collect::Workers;

/// Most groups that seats are divided into.
const GROUPS: u32 = 3;

pub(super) fn seed(subject: &Subject) -> Found {
    compare(subject, Workers::Exactly(1), "in a second run of the same seed")
}

pub(super) fn groups(subject: &Subject) -> Found {
    let worlds = subject.train.envs / subject.resolved.seats_per_world();
    if worlds < 2 {
        return Err(Lacking("all seats are of one world").into());
    }
    let groups = worlds.min(GROUPS);
    compare(subject, Workers::Exactly(groups as usize), &format!("where seats are in {groups} groups instead of one"))
}

pub(super) fn threads(subject: &Subject) -> Found {
    subject.trained()?; // on the threads that are there
    let own = rayon::current_num_threads();
    let other = if own == 1 { 3 } else { 1 };
    let pool = ThreadPoolBuilder::new().num_threads(other).build()?;
    let what =
        if own == 1 { format!("on {other} threads instead of 1") } else { format!("on 1 thread instead of {own}") };
    pool.install(|| compare(subject, Workers::Exactly(1), &what))
}

/// Trains again from the beginning.
fn compare(subject: &Subject, workers: Workers, what: &str) -> Found {
    let Trained { rounds, end, coverage, .. } = subject.trained()?;
    let mut again = subject.begin(workers)?;
    subject.advance(&mut again, rounds.iter().sum())?;
    same(end, &again.digests()?, what)?;
    Ok(*coverage)
}

pub(super) fn state(subject: &Subject) -> Found {
    let Trained { rounds, half, end, coverage } = subject.trained()?;
    let mut session = subject.load_half()?;
    let saved: Vec<_> = half.iter().map(|part| (part.name.clone(), rl_assets::sha256(&part.bytes))).collect();
    same(&saved, &session.digests()?, "as soon as it was loaded")?;
    subject.advance(&mut session, rounds[1])?;
    same(end, &session.digests()?, "in a run that was loaded and went on")?;
    Ok(*coverage)
}
