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

/// Writes `values` to `out`, and not a number where an action is illegal; `legal` is empty where everything is legal.
pub(crate) fn keep(values: &[f32], legal: &[u8], out: &mut [f32]) {
    for (action, (out, &value)) in out.iter_mut().zip(values).enumerate() {
        *out = if legal.get(action).is_none_or(|&flag| flag != 0) { value } else { f32::NAN };
    }
}
