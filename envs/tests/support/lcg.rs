//! The generator of `tests/golden/atari/make.py`.

/// x -> 6364136223846793005 x + 1442695040888963407 mod 2^64, upper 31 bits. Source: Knuth, MMIX.
pub(crate) struct Lcg(pub(crate) u64);

impl Lcg {
    /// The next number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }
}
