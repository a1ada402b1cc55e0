//! Value rescaling: the network learns h of returns, so that games of any score need no reward clipping.
//!
//! A target applies the inverse of h to the bootstrap value, adds the reward and applies h to the sum.
//! Source: Pohlen et al. 2018, "Observe and look further", section 3.2, as Kapturowski et al. 2019 use it:
//! h(x) = sign(x) (√(|x| + 1) - 1) + ε x with ε = 10⁻³.

/// ε of h: keeps the slope of the inverse bounded.
const EPS: f64 = 1e-3;

/// Value rescaling by h, where the flag is set; else the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rescale(pub(crate) bool);

impl Rescale {
    /// Rescaled value h(x) of the return `x`.
    pub(crate) fn apply(self, x: f64) -> f64 {
        if self.0 { x.signum() * ((x.abs() + 1.0).sqrt() - 1.0) + EPS * x } else { x }
    }

    /// Return h⁻¹(y) of the rescaled value `y`.
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
