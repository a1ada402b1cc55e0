//! Random actions among the legal ones.

use rl_core::Rng;

/// Uniform among the legal values of one discrete action of `count`; `legal` is empty where everything is.
pub(crate) fn random(count: u32, legal: &[u8], rng: &mut Rng) -> u32 {
    if legal.is_empty() {
        return rng.below(count);
    }
    let allowed = legal.iter().filter(|&&flag| flag != 0).count() as u32;
    if allowed == 0 {
        return 0;
    }
    let chosen = rng.below(allowed) as usize;
    (0..count).filter(|&action| legal[action as usize] != 0).nth(chosen).expect("fewer than there are")
}
