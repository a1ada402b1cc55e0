//! One core for a thread and the engine that it plays with.
//!
//! They take turns: while one works the other waits. On two cores each wakes up an idle one some twenty thousand times a
//! second; on one, the kernel passes from this to that. So every thread that asks is given a core among those that it may
//! use, the one with the fewest threads, and keeps it until it ends.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::doing;
use crate::{Error, Result};

/// Number of threads that have taken each core.
static THREADS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Core that a thread has taken for itself and its engine.
struct Place {
    core: usize,
    /// Set of this core alone; `wide` is the set of all cores that the thread may use.
    narrow: CpuSet,
    wide: CpuSet,
}

impl Place {
    fn take() -> Result<Self> {
        let wide = sched_getaffinity(None).map_err(doing("asking for this thread's cores"))?;
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        threads.resize(CpuSet::MAX_CPU, 0);
        let core = (0..CpuSet::MAX_CPU).filter(|&core| wide.is_set(core)).min_by_key(|&core| threads[core]);
        let core = core.expect("a thread that runs may use a core");
        threads[core] += 1;
        let mut narrow = CpuSet::new();
        narrow.set(core);
        Ok(Self { core, narrow, wide })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        THREADS.lock().unwrap_or_else(PoisonError::into_inner)[self.core] -= 1;
    }
}

/// Runs `work` with this thread pinned to its core, whose number `work` receives, and unpins the thread afterwards.
pub(crate) fn pinned<T>(work: impl FnOnce(usize) -> Result<T>) -> Result<T> {
    let core = PLACE.with_borrow_mut(|place| {
        let place = match place {
            Some(place) => place,
            None => place.insert(Place::take()?),
        };
        confine(&place.narrow)?;
        Ok::<_, Error>(place.core)
    })?;
    let panics = Widens;
    let done = work(core);
    std::mem::forget(panics); // it did not, and a failure can be told
    widen()?;
    done
}

/// Lets this thread onto all of its cores again.
fn widen() -> Result<()> {
    PLACE.with_borrow(|place| place.as_ref().map_or(Ok(()), |place| confine(&place.wide)))
}

/// Does so after a panic.
struct Widens;

impl Drop for Widens {
    fn drop(&mut self) {
        let _ = widen(); // the panic is told
    }
}

fn confine(cores: &CpuSet) -> Result<()> {
    sched_setaffinity(None, cores).map_err(doing("keeping this thread on a core"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores() -> usize {
        sched_getaffinity(None).unwrap().count() as usize
    }

    #[test]
    fn a_thread_is_on_one_core_while_it_works_and_free_afterwards() {
        let before = cores();
        let first = pinned(|core| Ok((core, cores()))).unwrap();
        assert_eq!((first.1, cores()), (1, before));
        assert_eq!(pinned(|core| Ok((core, cores()))).unwrap(), first, "it keeps its core");
    }

    #[test]
    fn threads_spread_over_the_cores() {
        let all = cores();
        let place = || PLACE.with_borrow_mut(|place| place.insert(Place::take().unwrap()).core);
        let barrier = std::sync::Barrier::new(2 * all);
        let mut taken: Vec<usize> = std::thread::scope(|scope| {
            let take = || {
                let core = place();
                barrier.wait(); // all are here before the first leaves
                core
            };
            let threads: Vec<_> = (0..2 * all).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), all, "none is left out while there are more threads than cores");
    }
}
