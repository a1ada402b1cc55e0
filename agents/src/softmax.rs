//! Softmax on the host, in double precision and with `libm`: the bits depend neither on the system nor on the batch
//! around a row. The greatest logit is subtracted from all first, so that no exponential overflows.
//!
//! Sums go from the first to the last: another order would change the bits of runs. Softmaxes inside of networks are
//! `f32`, and in rl-nn.

/// Replaces logits by their probabilities, and returns the log-sum-exp of the logits, as [`log_sum`] does.
///
/// A logit of -∞ gets probability 0; if all are -∞ or one is NaN, all become NaN.
pub(crate) fn softmax(logits: &mut [f64]) -> f64 {
    let most = greatest(logits.iter().copied());
    logits.iter_mut().for_each(|x| *x = libm::exp(*x - most));
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|p| *p /= sum);
    most + libm::log(sum)
}

/// Log-sum-exp of the logits, ln Σ exp: a logit minus this is a log-probability.
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
