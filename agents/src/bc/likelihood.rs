//! The loss of behaviour cloning, -ln π(a | s), with its slopes in closed form.

use rl_core::Spec;
use rl_replays::Steps;

use crate::distribution::{ActionDistribution, Actions};

/// Loss and metrics, means over the steps of a minibatch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Negative log-likelihood -ln π(a | s), in nats.
    pub(crate) loss: f64,
    /// Share of steps whose discrete actions are the most probable ones; `None` where there are no discrete actions.
    pub(crate) accuracy: Option<f64>,
}

/// Loss of a minibatch with its gradient; the buffers are reused from minibatch to minibatch.
pub(crate) struct Likelihood {
    dist: ActionDistribution,
    /// Gradient of the loss by the network's outputs, `[B, W]`.
    by_outputs: Vec<f32>,
    /// Continuous actions of one step, in units of their intervals.
    chosen: Vec<f32>,
    /// Most probable discrete and continuous actions of one step.
    best: (Vec<u32>, Vec<f32>),
}

impl Likelihood {
    /// Creates a loss for the actions of `spec`.
    pub(crate) fn new(spec: &Spec) -> Self {
        let (discrete, continuous) = (spec.discrete.len(), spec.continuous.len());
        let best = (vec![0; discrete], vec![0.0; continuous]);
        Self { dist: ActionDistribution::new(spec), by_outputs: Vec::new(), chosen: vec![0.0; continuous], best }
    }

    /// Computes loss and accuracy of the first `rows` steps from the network's `outputs`, and stores the gradient.
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

    /// Gradient of the last loss by the network's outputs, `[B, W]`.
    pub(crate) fn by_outputs(&self) -> &[f32] {
        &self.by_outputs
    }
}
