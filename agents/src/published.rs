//! Weights on their way from a learner to the actors that follow it.
//!
//! The learner copies them to a place that nobody sees and then swaps one pointer; an actor takes the pointer and copies from
//! what it points to. The lock guards the pointer alone and is held for as long as that takes: nobody copies under it, and
//! nobody waits for a copy. What was replaced is written over by the next copy once no actor reads it any more.

use std::sync::{Arc, Mutex, PoisonError};

use rl_core::Result;
use rl_nn::{Params, tensor};

use crate::Policy;

/// A policy with weights of its own, for a thread that acts while its learner learns.
pub struct Actor {
    /// What acts.
    pub policy: Box<dyn Policy>,
    /// What it acts by.
    pub weights: Follower,
    /// How many rounds of updates old the weights of a block may be when it is learned from.
    pub max_lag: usize,
}

/// All weights of one moment.
struct Snapshot {
    version: u64,
    /// Parameters, then buffers.
    values: Vec<f32>,
}

/// Where the newest snapshot is, once there is one.
type Newest = Arc<Mutex<Option<Arc<Snapshot>>>>;

/// The learner's side.
#[derive(Default)]
pub(crate) struct Published {
    newest: Newest,
    /// What was replaced last.
    spare: Option<Arc<Snapshot>>,
}

impl Published {
    /// Replaces what is published by `params` as they are now; without followers nothing is done.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) fn publish(&mut self, params: &Params, version: u64) -> Result<()> {
        if Arc::strong_count(&self.newest) == 1 {
            return Ok(());
        }
        let spare = self.spare.take().and_then(Arc::into_inner); // none while an actor still reads it
        let mut values = spare.map_or_else(Vec::new, |snapshot| snapshot.values);
        params.copy_to(&mut values).map_err(tensor)?;
        let snapshot = Arc::new(Snapshot { version, values });
        self.spare = lock(&self.newest).replace(snapshot);
        Ok(())
    }

    /// Lets `params`, which have the names and shapes of those that are published, follow them.
    pub(crate) fn follow(&self, params: Params) -> Follower {
        Follower { newest: self.newest.clone(), params, version: None }
    }
}

/// The actor's side.
pub struct Follower {
    newest: Newest,
    params: Params,
    version: Option<u64>,
}

impl Follower {
    /// Takes over the weights that were published last and returns their version, the learner's updates; 0 before the first.
    ///
    /// # Errors
    /// If the device fails.
    pub fn pull(&mut self) -> Result<u64> {
        let newest = lock(&self.newest).clone();
        if let Some(newest) = newest.filter(|newest| self.version != Some(newest.version)) {
            self.params.copy_from_slice(&newest.values).map_err(tensor)?;
            self.version = Some(newest.version);
        }
        Ok(self.version.unwrap_or(0))
    }
}

/// Nothing that can panic is done under the lock.
fn lock(newest: &Newest) -> std::sync::MutexGuard<'_, Option<Arc<Snapshot>>> {
    newest.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rl_core::{Rng, Stream};
    use rl_nn::Init;

    use super::*;

    /// Two parameters and a buffer, all of `value`.
    fn params(value: f32) -> Params {
        let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        let init = Init::Constant { value: f64::from(value) };
        params.layer("a").var("weight", &[300, 7], init).unwrap();
        params.layer("a").var("bias", &[7], init).unwrap();
        params.layer("b").buffer("mean", &[3], value).unwrap();
        params
    }

    fn values(params: &Params) -> Vec<f32> {
        let mut values = Vec::new();
        params.copy_to(&mut values).unwrap();
        values
    }

    #[test]
    fn a_follower_has_what_was_published_last_and_its_version() {
        let mut published = Published::default();
        published.publish(&params(9.0), 9).unwrap(); // nobody follows
        let mut follower = published.follow(params(1.0));
        assert_eq!((follower.pull().unwrap(), values(&follower.params)[0]), (0, 1.0));
        for version in [3, 4, 8] {
            published.publish(&params(version as f32), version).unwrap();
        }
        assert_eq!(follower.pull().unwrap(), 8);
        assert!(values(&follower.params) == vec![8.0; 2110], "buffers too");
        assert_eq!(published.follow(params(0.0)).pull().unwrap(), 8, "who comes late begins with the newest");
    }

    #[test]
    fn no_follower_ever_sees_half_of_a_copy_and_memory_is_used_again() {
        let mut published = Published::default();
        let followers: Vec<_> = (0..3).map(|_| published.follow(params(0.0))).collect();
        std::thread::scope(|scope| {
            for mut follower in followers {
                scope.spawn(move || {
                    let mut last = 0;
                    while last < 400 {
                        let version = follower.pull().unwrap();
                        assert!(version >= last, "{version} after {last}");
                        let values = values(&follower.params);
                        assert!(values.iter().all(|&value| value == version as f32), "half of {version}");
                        last = version;
                    }
                });
            }
            for version in 1..=400 {
                published.publish(&params(version as f32), version).unwrap();
            }
        });
        let _still = published.follow(params(0.0));
        let memory = |published: &Published| published.spare.as_ref().unwrap().values.as_ptr();
        let before = memory(&published);
        published.publish(&params(1.0), 401).unwrap();
        assert_eq!(lock(&published.newest).as_ref().unwrap().values.as_ptr(), before);
    }
}
