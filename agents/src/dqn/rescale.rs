//! Values of large returns made small, so that a loss bears games of any score without clipping their rewards.
//!
//! The network then says h of a return; a target undoes h of what follows, adds the reward and applies h to the sum.
//! Source: Pohlen et al. 2018, "Observe and look further", section 3.2, as Kapturowski et al. 2019 use it:
//! h(x) = sign(x) (√(|x| + 1) - 1) + ε x with ε = 10⁻³.

/// ε: keeps the inverse from growing without bounds.
const EPS: f64 = 1e-3;

/// Whether values are rescaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rescale(pub(crate) bool);

impl Rescale {
    /// What a network should say of the return `x`.
    pub(crate) fn apply(self, x: f64) -> f64 {
        if self.0 { x.signum() * ((x.abs() + 1.0).sqrt() - 1.0) + EPS * x } else { x }
    }

    /// The return of which it says `y`.
    pub(crate) fn undo(self, y: f64) -> f64 {
        if !self.0 {
            return y;
        }
        let root = ((1.0 + 4.0 * EPS * (y.abs() + 1.0 + EPS)).sqrt() - 1.0) / (2.0 * EPS);
        y.signum() * (root * root - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_can_be_undone() {
        let scale = Rescale(true);
        for x in [0.0, -0.0, 1e-9, 0.3, -1.0, 7.5, -300.0, 1e5, -1e7] {
            let back = scale.undo(scale.apply(x));
            assert!((back - x).abs() <= 1e-9 * (1.0 + x.abs()), "{x}: {back}");
        }
        // √(3 + 1) - 1 + 3 ε
        assert_eq!((scale.apply(3.0), scale.apply(-3.0)), (1.003, -1.003));
        assert!(scale.apply(1e4) < 110.0);
        assert_eq!((Rescale(false).apply(1e4), Rescale(false).undo(1e4)), (1e4, 1e4));
    }
}
