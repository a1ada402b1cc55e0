//! Probabilities of logits on the host, in double precision and with `libm`: their bits vary neither with the system nor with
//! the batch around a row. The greatest logit is taken from all of them first, so that no exponential overflows.
//!
//! Sums go from the first to the last: another order would change the bits of runs. Those inside of networks are `f32`, and
//! in rl-nn.

/// Replaces logits by their probabilities, and returns what [`log_sum`] does of them. What is -∞ becomes 0; where all are, or
/// one is not a number, all become NaN.
pub(crate) fn softmax(logits: &mut [f64]) -> f64 {
    let most = greatest(logits.iter().copied());
    logits.iter_mut().for_each(|x| *x = libm::exp(*x - most));
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|p| *p /= sum);
    most + libm::log(sum)
}

/// ln Σ exp of the logits: what makes logarithms of probabilities of them when it is subtracted.
pub(crate) fn log_sum(logits: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = greatest(logits.clone());
    most + libm::log(logits.map(|x| libm::exp(x - most)).sum())
}

fn greatest(logits: impl Iterator<Item = f64>) -> f64 {
    logits.fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_shares_of_exponentials_and_what_is_ruled_out_has_none() {
        let logits = [0.3, -1.2, f64::NEG_INFINITY, 2.0];
        let all: f64 = logits.iter().map(|x| x.exp()).sum();
        let mut probs = logits;
        let log = softmax(&mut probs);
        assert!(probs.iter().zip(logits).all(|(p, x)| (p - x.exp() / all).abs() < 1e-15), "{probs:?}");
        assert_eq!((probs[2], log), (0.0, log_sum(logits.into_iter())), "the bits of one are those of the other");
        assert!((log - all.ln()).abs() < 1e-15);
    }

    #[test]
    fn logits_far_apart_stay_finite_and_what_is_not_a_number_is_seen() {
        let mut probs = [-1e300, 0.0, 1e300];
        assert_eq!((softmax(&mut probs), probs), (1e300, [0.0, 0.0, 1.0]));
        for bad in [[f64::NEG_INFINITY; 2], [f64::NAN, 1.0]] {
            let mut probs = bad;
            assert!(softmax(&mut probs).is_nan() && probs.iter().all(|p| p.is_nan()), "{bad:?}");
        }
    }
}
