//! Random streams that never depend on each other: one seed, one named stream per use.
//!
//! ChaCha8 is value-stable across versions and platforms, unlike `StdRng`; the draws below are our own arithmetic, so
//! that no release of a library changes a trajectory. Golden first draws are tested.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use serde::{Deserialize, Serialize};

/// Purpose of a random stream. Streams of one seed are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Episode seeds of the seat with this global number.
    Env(u32),
    /// Exploration and action sampling of the seat with this global number.
    Act(u32),
    /// Initial weights of networks.
    Init,
    /// Replay sampling and minibatch order.
    Learn,
    /// Draws of a test or a tool, by a number of its choice.
    Tool(u32),
    /// Seeds of environments that are built anew after a failure, by the global number of their first seat.
    Restart(u32),
}

impl Stream {
    fn number(self) -> u64 {
        let (kind, index) = match self {
            Stream::Env(seat) => (1, seat),
            Stream::Act(seat) => (2, seat),
            Stream::Init => (3, 0),
            Stream::Learn => (4, 0),
            Stream::Tool(index) => (5, index),
            Stream::Restart(seat) => (6, seat),
        };
        kind << 32 | u64::from(index)
    }
}

/// Seeded random generator (ChaCha8) with the same draws on every platform, whose state is saved and restored by serde.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// Makes the generator of the stream `stream` of the run seed `seed`.
    pub fn new(seed: u64, stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream.number());
        Self(rng)
    }

    /// Makes the generator of one episode from the episode seed alone, whichever seat plays it.
    pub fn episode(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Draws 64 uniform bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws 32 uniform bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Draws a uniform number in `[0, 1)` with 53 bits.
    pub fn f64(&mut self) -> f64 {
        (self.u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Draws a uniform number in `[0, 1)` with 24 bits.
    pub fn f32(&mut self) -> f32 {
        (self.u32() >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Draws a uniform number from `low` up to `high`, which rounding may reach.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.f64()
    }

    /// Draws a uniform integer in `0..n`, without bias. Source: Lemire 2019, "Fast random integer generation in an
    /// interval".
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "below(0) has no value to draw");
        let mut product = u64::from(self.u32()) * u64::from(n);
        if (product as u32) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u32) < threshold {
                product = u64::from(self.u32()) * u64::from(n);
            }
        }
        (product >> 32) as u32
    }

    /// Draws a standard normal number (Box and Muller), with `libm` so that it does not vary with the system.
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.f64()));
        radius * libm::cos(TAU * self.f64())
    }

    /// Shuffles `items` uniformly (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u32 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn first_draws_are_golden() {
        let mut rng = Rng::new(7, Stream::Env(3));
        let draws: Vec<u64> = (0..3).map(|_| rng.u64()).collect();
        assert_eq!(
            draws,
            [5_693_560_982_930_056_147, 16_483_964_268_905_863_812, 15_084_778_069_508_907_524],
            "a change of these draws changes every trajectory ever recorded"
        );
    }

    #[test]
    fn first_draws_of_every_stream_and_kind_are_golden() {
        let first = [Stream::Act(3), Stream::Init, Stream::Learn, Stream::Restart(3), Stream::Tool(3)]
            .map(|stream| Rng::new(7, stream).u64());
        assert_eq!(
            first,
            [
                14_072_020_595_516_913_089,
                855_393_345_211_833_670,
                8_749_385_252_780_197_717,
                6_592_396_263_051_627_206,
                6_830_172_804_540_005_405
            ]
        );
        let rng = || Rng::new(7, Stream::Init);
        assert_eq!([rng().f32().to_bits(), rng().below(1000)], [1_041_389_172, 142]);
        assert_eq!(rng().normal().to_bits(), 4_597_161_979_291_270_637);
        let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
        rng().shuffle(&mut order);
        assert_eq!(order, [7, 6, 2, 5, 4, 3, 0, 1]);
    }

    #[test]
    fn streams_differ_and_a_clone_continues() {
        let mut a = Rng::new(1, Stream::Env(0));
        let mut b = Rng::new(1, Stream::Act(0));
        assert_ne!(a.u64(), b.u64());
        let mut c = a.clone();
        assert_eq!(a.u64(), c.u64());
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut rng = Rng::new(0, Stream::Tool(0));
        let mut counts = [0u32; 3];
        for _ in 0..30_000 {
            counts[rng.below(3) as usize] += 1;
        }
        assert!(counts.iter().all(|&c| (9_600..10_400).contains(&c)), "{counts:?}");
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut rng = Rng::new(0, Stream::Tool(1));
        let draws: Vec<f64> = (0..20_000).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "mean {mean}, variance {variance}");
    }

    #[test]
    fn no_two_streams_of_a_seed_are_one() {
        let mut streams = vec![Stream::Init, Stream::Learn];
        for index in [0, 1, u32::MAX] {
            let of_index = [Stream::Env(index), Stream::Act(index), Stream::Tool(index), Stream::Restart(index)];
            streams.extend(of_index);
        }
        let first: BTreeSet<u64> = streams.iter().map(|&stream| Rng::new(1, stream).u64()).collect();
        assert_eq!(first.len(), streams.len());
    }

    /// Of 2³² numbers two would fall on each value that 3 divides, and one on each other value.
    #[test]
    fn below_draws_again_what_would_come_too_often() {
        let mut rng = Rng::new(0, Stream::Tool(2));
        let count = (0..30_000).filter(|_| rng.below(3 << 30).is_multiple_of(3)).count();
        assert!((9_600..10_400).contains(&count), "{count}, not 15,000");
    }

    #[test]
    fn every_order_is_as_probable_as_it_was() {
        let mut rng = Rng::new(0, Stream::Tool(3));
        let mut counts = BTreeMap::new();
        for _ in 0..12_000 {
            let mut order = [0, 1, 2];
            rng.shuffle(&mut order);
            *counts.entry(order).or_insert(0u32) += 1;
        }
        assert!(counts.len() == 6 && counts.values().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn numbers_fill_their_interval_and_stay_in_it() {
        let mut rng = Rng::new(0, Stream::Tool(4));
        let mut check = |what: &str, low: f64, high: f64, draw: fn(&mut Rng) -> f64| {
            let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut rng)).collect();
            assert!(draws.iter().all(|x| (low..high).contains(x)), "{what}");
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let near = 0.01 * (high - low);
            assert!((mean - 0.5 * (low + high)).abs() < near, "{what}: a mean of {mean}");
            assert!(draws.iter().any(|x| *x < low + near) && draws.iter().any(|x| *x > high - near), "{what}");
        };
        check("f32", 0.0, 1.0, |rng| f64::from(rng.f32()));
        check("f64", 0.0, 1.0, Rng::f64);
        check("uniform", 2.0, 5.0, |rng| rng.uniform(2.0, 5.0));
    }
}
