//! Losses of the DQN family, and their gradients by the network's outputs `[B, W, A]`, in closed form.
//!
//! Computed on the host and in double precision, as in `agents/src/loss.rs` for actor-critics. The loss is the mean
//! over the batch, with each row weighted by its importance-sampling weight, of:
//! - values: the Huber loss with κ = 1 of the error (Mnih et al. 2015: the clipped error), or its square;
//! - atoms: the cross-entropy of the target's masses; the error is the divergence, which is 0 where they are equal
//!   (Bellemare et al. 2017; Hessel et al. 2018);
//! - quantiles: the quantile Huber loss with κ = 1, summed over the online quantiles and averaged over the target's
//!   (Dabney et al. 2018, both eq. 10 of QR-DQN and eq. 3 of IQN).

use serde::{Deserialize, Serialize};

use super::distribution::ReturnDistribution;
use crate::softmax::softmax;

/// Loss of the error of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ErrorLoss {
    /// The Huber loss with κ = 1, whose derivative is the error clipped to ±1. Source: Mnih et al. 2015.
    #[default]
    Huber,
    /// The square of the error, without a half, as in PyTorch's `mse_loss`, CleanRL and Dopamine.
    Square,
}

/// Losses of the last minibatch with their gradient; the buffers are reused from minibatch to minibatch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses {
    /// Gradient of the loss by the network's outputs, `[B, W, A]`.
    pub(crate) by_outputs: Vec<f32>,
    /// Error of each row, `[B]`: the absolute TD error, the KL divergence from the target, or the loss of quantiles.
    pub(crate) errors: Vec<f64>,
    /// Loss of each row without its importance-sampling weight, `[B]`.
    pub(crate) losses: Vec<f64>,
    value_loss: ErrorLoss,
    probs: Vec<f64>,
}

/// Loss and metrics, means over a minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    /// Weighted loss that is minimised.
    pub(crate) loss: f64,
    /// Expected return of the action taken, by the online network.
    pub(crate) q: f64,
}

/// Actions, targets and weights to which the outputs of a minibatch are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Against<'a> {
    /// Number of actions, A.
    pub(crate) actions: usize,
    /// Actions taken, `[B]`.
    pub(crate) chosen: &'a [u32],
    /// Targets of the actions taken, `[B, W']`.
    pub(crate) targets: &'a [f32],
    /// Probabilities τ of the quantiles that the outputs are, `[B, W]`; empty for midpoints of equal probabilities.
    pub(crate) taus: &'a [f32],
    /// Importance-sampling weights, `[B]`.
    pub(crate) importance: &'a [f64],
}

impl ErrorLoss {
    /// Loss of `error` and its derivative.
    fn of(self, error: f64) -> (f64, f64) {
        match self {
            Self::Huber => (huber(error), error.clamp(-1.0, 1.0)),
            Self::Square => (error * error, 2.0 * error),
        }
    }
}

impl Losses {
    /// Losses whose errors of values count as `value_loss`.
    pub(crate) fn new(value_loss: ErrorLoss) -> Self {
        Self { value_loss, ..Self::default() }
    }

    /// Computes the loss of `outputs [B, W, A]`, and stores its gradient, the losses and the errors in `self`.
    pub(crate) fn of(&mut self, distribution: ReturnDistribution, outputs: &[f32], against: Against<'_>) -> Terms {
        let Against { actions, chosen, targets, taus, importance } = against;
        let rows = chosen.len();
        let (each, width) = (outputs.len() / rows, targets.len() / rows);
        let numbers = each / actions; // W
        self.by_outputs.clear();
        self.by_outputs.resize(outputs.len(), 0.0);
        self.errors.clear();
        self.losses.clear();
        let mut terms = Terms::default();
        for row in 0..rows {
            let action = chosen[row] as usize;
            let z = (0..numbers).map(|w| outputs[row * each + w * actions + action]);
            let targets = &targets[row * width..][..width];
            let share = importance[row] / rows as f64;
            let by = self.by_outputs[row * each + action..].iter_mut().step_by(actions).take(numbers);
            let by = by.map(|by| move |slope: f64| *by = (share * slope) as f32);
            terms.q += distribution.mean(z.clone()) / rows as f64;
            let (loss, error) = match distribution {
                ReturnDistribution::Expected => value_loss(self.value_loss, z, targets, by),
                ReturnDistribution::Categorical(_) => cross_entropy(z, targets, by, &mut self.probs),
                ReturnDistribution::Quantiles => {
                    let middle = |w: usize| (w as f64 + 0.5) / numbers as f64;
                    let drawn = taus.get(row * numbers..(row + 1) * numbers);
                    let tau = |w: usize| drawn.map_or_else(|| middle(w), |taus| f64::from(taus[w]));
                    let loss = z.zip(by).enumerate().map(|(w, (z, by))| quantile_loss(z, targets, tau(w), by)).sum();
                    (loss, loss)
                }
            };
            terms.loss += share * loss;
            self.errors.push(error);
            self.losses.push(loss);
        }
        terms
    }
}

/// The Huber loss of a number with κ = 1; its derivative is the number clipped to ±1.
fn huber(x: f64) -> f64 {
    let near = x.abs().min(1.0);
    0.5 * near * near + (x.abs() - near)
}

/// Loss and absolute error of a value.
fn value_loss(
    of: ErrorLoss,
    z: impl Iterator<Item = f32>,
    targets: &[f32],
    by: impl Iterator<Item = impl FnOnce(f64)>,
) -> (f64, f64) {
    z.zip(by).zip(targets).fold((0.0, 0.0), |(all, size), ((z, by), target)| {
        let error = f64::from(z - target);
        let (loss, slope) = of.of(error);
        by(slope);
        (all + loss, size + error.abs())
    })
}

/// Cross-entropy of the masses `targets` and the probabilities of the logits `z`, and the divergence of the two.
fn cross_entropy(
    z: impl Iterator<Item = f32> + Clone,
    targets: &[f32],
    by: impl Iterator<Item = impl FnOnce(f64)>,
    probs: &mut Vec<f64>,
) -> (f64, f64) {
    probs.clear();
    probs.extend(z.clone().map(f64::from));
    let log_sum = softmax(probs);
    let masses = targets.iter().map(|&mass| f64::from(mass));
    let all: f64 = masses.clone().sum();
    let (mut loss, mut entropy) = (0.0, 0.0);
    for (((z, p), mass), by) in z.zip(&*probs).zip(masses).zip(by) {
        by(all * p - mass);
        loss += mass * (log_sum - f64::from(z));
        entropy -= if mass > 0.0 { mass * libm::log(mass) } else { 0.0 };
    }
    (loss, (loss - entropy).max(0.0)) // rounding apart it is not below 0
}

/// Mean over the targets of |τ - 1{u < 0}| times the Huber loss of u, the target less the quantile `z`.
fn quantile_loss(z: f32, targets: &[f32], tau: f64, by: impl FnOnce(f64)) -> f64 {
    let (mut loss, mut slope) = (0.0, 0.0);
    for target in targets {
        let u = f64::from(target - z);
        let weight = if u < 0.0 { 1.0 - tau } else { tau };
        loss += weight * huber(u);
        slope -= weight * u.clamp(-1.0, 1.0);
    }
    let count = targets.len() as f64;
    by(slope / count);
    loss / count
}

#[cfg(test)]
mod tests {
    use super::super::distribution::Support;
    use super::*;

    const ACTIONS: usize = 3;

    fn against<'a>(chosen: &'a [u32], targets: &'a [f32], taus: &'a [f32], importance: &'a [f64]) -> Against<'a> {
        Against { actions: ACTIONS, chosen, targets, taus, importance }
    }

    #[test]
    fn gradients_are_differences_and_of_the_action_taken_alone() {
        let support = Support { atoms: 4, low: -1.0, high: 2.0 };
        let taus = [0.1, 0.6, 0.2, 0.9, 0.5, 0.3, 0.7, 0.8];
        let masses = [0.0, 0.5, 0.25, 0.25, 1.0, 0.0, 0.0, 0.0];
        let quantiles = [0.3, -0.9, 2.5, 0.1, 0.2, -3.0];
        let cases: [(ReturnDistribution, usize, &[f32], &[f32]); 4] = [
            (ReturnDistribution::Expected, 1, &[0.3, -2.0], &[]),
            (ReturnDistribution::Categorical(support), 4, &masses, &[]),
            (ReturnDistribution::Quantiles, 4, &quantiles, &[]),
            (ReturnDistribution::Quantiles, 4, &quantiles, &taus),
        ];
        let both = [ErrorLoss::Huber, ErrorLoss::Square];
        for (value_loss, (distribution, width, targets, taus)) in
            both.map(|loss| cases.map(|case| (loss, case))).into_iter().flatten()
        {
            let (chosen, importance) = ([2, 0], [1.0, 0.25]);
            let mut outputs: Vec<f32> = (0..2 * width * ACTIONS).map(|i| (i as f32 * 0.7).sin()).collect();
            let mut losses = Losses::new(value_loss);
            let mut loss = |outputs: &[f32]| {
                let loss = losses.of(distribution, outputs, against(&chosen, targets, taus, &importance)).loss;
                (loss, losses.by_outputs.clone())
            };
            let slopes = loss(&outputs).1;
            for (i, &slope) in slopes.iter().enumerate() {
                let (middle, step) = (outputs[i], 1e-3);
                let mut at = |x| {
                    outputs[i] = x;
                    loss(&outputs).0
                };
                let difference = (at(middle + step) - at(middle - step)) / (2.0 * f64::from(step));
                outputs[i] = middle;
                assert!((difference - f64::from(slope)).abs() < 2e-4, "{distribution:?}, {i}: {slope} {difference}");
                let taken = i % ACTIONS == chosen[i / (width * ACTIONS)] as usize;
                assert!(taken || slope == 0.0, "{distribution:?}, {i}");
            }
            assert!(slopes.iter().filter(|slope| **slope != 0.0).count() >= 2 * width - 1, "{distribution:?}");
        }
    }

    #[test]
    fn errors_are_sizes_divergences_and_losses_of_quantiles() {
        let mut losses = Losses::default();
        let outputs = [0.0, 3.0, 0.0];
        losses.of(ReturnDistribution::Expected, &outputs, against(&[1], &[-1.5], &[], &[0.5]));
        assert_eq!((losses.errors[0], losses.losses[0]), (4.5, 4.0), "whatever it counts");
        let mut squares = Losses::new(ErrorLoss::Square);
        squares.of(ReturnDistribution::Expected, &outputs, against(&[1], &[-1.5], &[], &[0.5]));
        assert_eq!((squares.errors[0], squares.losses[0], squares.by_outputs[1]), (4.5, 20.25, 4.5));
        // Equal distributions have no divergence, though their cross-entropy is ln 2.
        let support = ReturnDistribution::Categorical(Support { atoms: 2, low: 0.0, high: 1.0 });
        let terms = losses.of(support, &[0.0; 6], against(&[1], &[0.5, 0.5], &[], &[1.0]));
        assert!(losses.errors[0] < 1e-12 && (terms.loss - 2f64.ln()).abs() < 1e-12);
        assert_eq!(losses.losses, [terms.loss]);
        let terms = losses.of(ReturnDistribution::Quantiles, &[0.0; 6], against(&[1], &[2.0], &[], &[1.0]));
        assert_eq!((losses.errors[0], terms.loss), (1.5, 1.5)); // (1/4 + 3/4) · (2 - 1/2)
    }
}
