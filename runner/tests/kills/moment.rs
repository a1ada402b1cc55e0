//! When a run is killed, counted in what it has done.

use rl_core::Rng;

/// What a kill is meant to hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The time before the first checkpoint.
    Start,
    /// Training, with a checkpoint before it and one to come.
    Between,
    /// The writing of a checkpoint.
    Write,
    /// The reading of one, before training goes on.
    Resume,
}

/// A moment of a sitting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) kind: Kind,
    /// Checkpoints that appear in this sitting before it.
    pub(crate) checkpoints: u32,
    /// How much of what is hit has passed, 0 to 1.
    pub(crate) share: f64,
}

impl Moment {
    /// Draws one of `kind` for a run that makes `states` checkpoints and is killed `kills` times.
    pub(crate) fn draw(kind: Kind, rng: &mut Rng, states: usize, kills: usize) -> Self {
        // All together leave some checkpoints for the last sitting.
        let most = (states.saturating_sub(4) / kills).max(1) as u32;
        let checkpoints = match kind {
            Kind::Start | Kind::Resume => 0,
            Kind::Between | Kind::Write => 1 + rng.below(most),
        };
        Self { kind, checkpoints, share: rng.f64() }
    }
}
