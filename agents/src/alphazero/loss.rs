//! Loss of AlphaZero: the cross-entropy of the policy and half the squared error of the value.
//! Source: Silver et al. 2017, eq. 1, without weight decay; their loss has a `value_coef` of 2.

use crate::softmax::log_sum;

/// Loss and its parts, means over a minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    /// Loss that is minimised: cross-entropy of the policy plus weighted value loss.
    pub(crate) loss: f64,
    /// KL divergence of the policy from its target, in nats: 0 where they are equal.
    pub(crate) policy_loss: f64,
    /// Half the squared error of the value.
    pub(crate) value_loss: f64,
    /// Entropy of the target policy, in nats.
    pub(crate) entropy: f64,
}

/// Targets of a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// Policy of the search, `[A]`; 0 where a move is not legal.
    pub(crate) policy: &'a [f32],
    /// Value for the side to move.
    pub(crate) value: f32,
}

/// Computes the loss of logits `[B, A]` and values `[B]`, and writes its gradients by both.
///
/// `legal(row, action)` tells the legal moves; illegal ones have probability 0.
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
