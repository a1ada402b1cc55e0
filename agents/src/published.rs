//! Publishing of weights from a learner to its actors.
//!
//! The learner copies its weights to a private buffer and then swaps one pointer; an actor takes the pointer and copies
//! from the buffer. Nobody copies under a lock, and nobody waits for a copy. The replaced buffer is reused for the next
//! copy once no actor reads it any more.

mod exchange;

use std::sync::{Arc, Mutex, MutexGuard};

use rl_core::Result;
use rl_nn::{Params, tensor};

use crate::Policy;
use exchange::{Exchange, Place};

/// A policy with its own copy of the weights, for a thread that acts while its learner learns.
pub struct Actor {
    /// Policy that chooses the actions.
    pub policy: Box<dyn Policy>,
    /// Weights of the policy, which follow those of the learner.
    pub weights: Follower,
    /// Largest age of the weights that acted, in rounds of updates, when their block is learned from.
    pub max_lag: usize,
}

/// All published weights of one version.
struct Snapshot {
    version: u64,
    /// Parameters, then buffers.
    values: Vec<f32>,
}

/// Learner's side of the exchange: [publishes](Self::publish) weights that actors [follow](Self::follow).
#[derive(Default)]
pub struct Published(Exchange<Snapshot>);

impl Published {
    /// Publishes a copy of `params`; `version` counts the learner's optimiser steps. Does nothing without followers.
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

    /// Lets an actor's `params`, which must have the same names and shapes, follow the published ones.
    pub fn follow(&self, params: Params) -> Follower {
        Follower { newest: self.0.place(), params, version: None }
    }
}

/// Actor's side of the exchange: parameters that [pull](Self::pull) the weights published last.
pub struct Follower {
    newest: Place<Snapshot>,
    params: Params,
    version: Option<u64>,
}

impl Follower {
    /// Copies the weights published last to the actor's parameters, if they are new, and returns their version: the
    /// learner's optimiser steps, 0 before anything was published.
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
