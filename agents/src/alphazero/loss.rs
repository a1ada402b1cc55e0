//! What a network is off from the search that used it: the cross-entropy of policies and the squared error of values.
//! Source: Silver et al. 2017, eq. 1, without the term on the weights; half of the squared error, so that a weight of 2 is theirs.

use crate::softmax::log_sum;

/// Means over a minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    /// What is minimised.
    pub(crate) loss: f64,
    /// Cross-entropy less the entropy of the target: 0 where the policies are equal.
    pub(crate) policy_loss: f64,
    /// Half the squared error.
    pub(crate) value_loss: f64,
    /// Of the target policy, in nats.
    pub(crate) entropy: f64,
}

/// What the network should have said of a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// Policy of the search, `[A]`; 0 where a move is not legal.
    pub(crate) policy: &'a [f32],
    pub(crate) value: f32,
}

/// Computes the terms, and the gradients of the loss by logits, `[B, A]`, and values, `[B]`. A move that the target rules
/// out altogether gets no gradient where `legal` says that the rules do.
pub(crate) fn loss<'a>(
    (logits, values): (&[f32], &[f32]),
    targets: impl Iterator<Item = Target<'a>>,
    legal: impl Fn(usize, usize) -> bool,
    value_coef: f64,
    (by_logits, by_values): (&mut Vec<f32>, &mut Vec<f32>),
) -> Terms {
    let (rows, width) = (values.len(), logits.len() / values.len().max(1));
    by_logits.clear();
    by_values.clear();
    let share = 1.0 / rows.max(1) as f64;
    let mut sums = Terms::default();
    for (row, ((logits, &value), target)) in logits.chunks_exact(width).zip(values).zip(targets).enumerate() {
        let masked = |action: usize| if legal(row, action) { f64::from(logits[action]) } else { f64::NEG_INFINITY };
        let log_sum = log_sum((0..width).map(masked));
        for (action, &wanted) in target.policy.iter().enumerate() {
            let (wanted, log) = (f64::from(wanted), masked(action) - log_sum);
            by_logits.push(((libm::exp(log) - wanted) * share) as f32);
            if wanted > 0.0 {
                sums.policy_loss += wanted * (libm::log(wanted) - log);
                sums.entropy -= wanted * libm::log(wanted);
            }
        }
        let error = f64::from(value) - f64::from(target.value);
        sums.value_loss += 0.5 * error * error;
        by_values.push((value_coef * error * share) as f32);
    }
    let Terms { policy_loss, value_loss, entropy, .. } = sums;
    Terms {
        loss: (policy_loss + entropy + value_coef * value_loss) * share,
        policy_loss: policy_loss * share,
        value_loss: value_loss * share,
        entropy: entropy * share,
    }
}
