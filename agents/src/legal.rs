//! Action masks of one discrete action: empty where every value is legal, else with at least one flag set, which
//! environments promise ([`Env`](rl_core::Env)).

use rl_core::Rng;

const PROMISED: &str = "an environment promises an action that is legal";

/// Checks that a mask is empty or allows an action.
///
/// # Panics
/// If the mask is not empty and allows no action.
pub(crate) fn check(legal: &[u8]) {
    assert!(legal.is_empty() || legal.iter().any(|&flag| flag != 0), "{PROMISED}");
}

/// Whether the mask allows `action`.
pub fn allows(legal: &[u8], action: usize) -> bool {
    legal.get(action).is_none_or(|&flag| flag != 0)
}

/// Whether masks of actions with `counts` values, one after the other, allow each of the actions `chosen`.
pub fn all(counts: &[u32], chosen: &[u32], legal: &[u8]) -> bool {
    let mut at = 0;
    counts.iter().zip(chosen).all(|(&count, &action)| {
        let allowed = allows(legal, at + action as usize);
        at += count as usize;
        allowed
    })
}

/// Draws an action uniformly among the legal ones of `count`.
///
/// # Panics
/// If the mask is not empty and allows no action.
pub fn random(count: u32, legal: &[u8], rng: &mut Rng) -> u32 {
    if legal.is_empty() {
        return rng.below(count);
    }
    check(legal);
    let mut allowed = (0..count).filter(|&action| allows(legal, action as usize));
    let number = allowed.clone().count() as u32;
    allowed.nth(rng.below(number) as usize).expect("fewer than there are")
}

/// The legal action with the greatest value, the first of equal ones.
///
/// # Panics
/// If no action is legal.
pub fn argmax(values: &[f32], legal: &[u8]) -> usize {
    let better = |best: usize, next: usize| if values[next] > values[best] { next } else { best };
    (0..values.len()).filter(|&action| allows(legal, action)).reduce(better).expect(PROMISED)
}

/// Writes the values of legal actions to `out`, and NaN for illegal ones.
pub(crate) fn keep(values: &[f32], legal: &[u8], out: &mut [f32]) {
    for (action, (out, &value)) in out.iter_mut().zip(values).enumerate() {
        *out = if allows(legal, action) { value } else { f32::NAN };
    }
}

#[cfg(test)]
mod tests {
    use rl_core::Stream;

    use super::*;

    #[test]
    fn the_first_of_the_greatest_legal_values_is_taken() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0], &[]), 1);
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0], &[1, 0, 1, 1]), 2);
        assert_eq!(argmax(&[9.0, -3.0], &[0, 1]), 1);
    }

    #[test]
    fn draws_are_of_legal_ones_and_of_all_of_them() {
        let mut rng = Rng::new(1, Stream::Learn);
        for (legal, expected) in [(&[][..], [true; 4]), (&[0, 1, 0, 1], [false, true, false, true])] {
            let mut seen = [false; 4];
            (0..100).for_each(|_| seen[random(4, legal, &mut rng) as usize] = true);
            assert_eq!(seen, expected);
        }
    }

    #[test]
    #[should_panic(expected = "promises an action that is legal")]
    fn an_environment_that_breaks_its_promise_is_told() {
        argmax(&[1.0, 2.0], &[0, 0]);
    }
}
