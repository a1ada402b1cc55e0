//! The loss of behaviour cloning, -ln π(a | s), with its slopes in closed form.

use rl_core::Spec;
use rl_replays::Steps;

use crate::distribution::{Actions, Distribution};

/// Loss and metrics, means over the steps of a minibatch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Negative log-likelihood -ln π(a | s), in nats.
    pub(crate) loss: f64,
    /// Share of steps whose discrete actions are the most probable ones; `None` where there are no discrete actions.
    pub(crate) accuracy: Option<f64>,
}

/// The loss with its gradient; the memory serves minibatch after minibatch.
pub(crate) struct Likelihood {
    dist: Distribution,
    /// `[B, W]`.
    by_outputs: Vec<f32>,
    /// Actions of one step: as a policy would have chosen the continuous ones, and the most probable.
    chosen: Vec<f32>,
    best: (Vec<u32>, Vec<f32>),
}

impl Likelihood {
    /// For the actions of `spec`.
    pub(crate) fn new(spec: &Spec) -> Self {
        let (discrete, continuous) = (spec.discrete.len(), spec.continuous.len());
        let best = (vec![0; discrete], vec![0.0; continuous]);
        Self { dist: Distribution::new(spec), by_outputs: Vec::new(), chosen: vec![0.0; continuous], best }
    }

    /// Computes the terms of the first `rows` of `steps`, and leaves the gradient of the loss.
    ///
    /// # Panics
    /// If `outputs` are not `[rows, W]`.
    pub(crate) fn of(&mut self, outputs: &[f32], steps: &Steps, rows: usize) -> Terms {
        let Self { dist, by_outputs, chosen, best: (best, mean) } = self;
        let width = dist.width();
        assert_eq!(outputs.len(), rows * width, "outputs of {rows} steps");
        by_outputs.resize(outputs.len(), 0.0);
        let share = 1.0 / rows.max(1) as f64;
        let (mut loss, mut right) = (0.0, 0);
        let each = outputs.chunks_exact(width).zip(by_outputs.chunks_exact_mut(width)).enumerate();
        for (row, (outputs, by_outputs)) in each {
            dist.set(outputs, steps.obs.legal.row(row));
            dist.undo(steps.continuous.row(row), chosen);
            let actions = Actions { discrete: steps.discrete.row(row), continuous: chosen };
            loss -= f64::from(dist.log_prob(actions));
            dist.slopes(actions, -share, 0.0, by_outputs);
            dist.mode(best, mean);
            right += usize::from(best == actions.discrete);
        }
        let accuracy = (!best.is_empty()).then_some(right as f64 * share);
        Terms { loss: loss * share, accuracy }
    }

    /// The gradient of the last loss by the outputs, `[B, W]`.
    pub(crate) fn by_outputs(&self) -> &[f32] {
        &self.by_outputs
    }
}
