//! Weights on their way from a learner to the actors that follow it.
//!
//! The learner copies them to a place that nobody sees and then swaps one pointer; an actor takes the pointer and copies from
//! what it points to. Nobody copies under a lock, and nobody waits for a copy. What was replaced is written over by the next
//! copy once no actor reads it any more.

mod exchange;

use std::sync::{Arc, Mutex, MutexGuard};

use rl_core::Result;
use rl_nn::{Params, tensor};

use crate::Policy;
use exchange::{Exchange, Place};

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

/// The learner's side: it [publishes](Self::publish) what its actors [follow](Self::follow).
#[derive(Default)]
pub struct Published(Exchange<Snapshot>);

impl Published {
    /// Replaces what is published by `params` as they are now, whose `version` is the learner's updates; without followers nothing is
    /// done.
    ///
    /// # Errors
    /// If the device fails.
    pub fn publish(&mut self, params: &Params, version: u64) -> Result<()> {
        if !self.0.is_followed() {
            return Ok(());
        }
        let mut values = self.0.spare().map_or_else(Vec::new, |snapshot| snapshot.values);
        params.copy_to(&mut values).map_err(tensor)?;
        self.0.replace(Snapshot { version, values });
        Ok(())
    }

    /// Lets `params`, which have the names and shapes of those that are published, follow them.
    pub fn follow(&self, params: Params) -> Follower {
        Follower { newest: self.0.place(), params, version: None }
    }
}

/// The actor's side.
pub struct Follower {
    newest: Place<Snapshot>,
    params: Params,
    version: Option<u64>,
}

impl Follower {
    /// Takes over the weights that were published last and returns their version, the learner's updates; 0 before the first.
    ///
    /// # Errors
    /// If the device fails.
    pub fn pull(&mut self) -> Result<u64> {
        if let Some(newest) = self.newest.newest().filter(|newest| self.version != Some(newest.version)) {
            self.params.copy_from_slice(&newest.values).map_err(tensor)?;
            self.version = Some(newest.version);
        }
        Ok(self.version.unwrap_or(0))
    }
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
        let memory = |snapshot: Option<&Snapshot>| snapshot.map(|snapshot| snapshot.values.as_ptr());
        let spare = published.0.spare();
        let before = memory(spare.as_ref());
        spare.into_iter().for_each(|spare| published.0.replace(spare));
        published.publish(&params(1.0), 401).unwrap();
        published.publish(&params(1.0), 402).unwrap();
        assert!(before.is_some());
        assert_eq!(memory(published.0.place().newest().as_deref()), before);
    }
}
