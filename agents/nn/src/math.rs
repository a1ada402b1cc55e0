//! exp, logistic, tanh and erf as polynomials in plain Rust, which the compiler turns into vectors of any width.
//!
//! Each is a fixed order of IEEE operations, so that its bits do not depend on the instruction set; called inside
//! `kernel::vectorised`, a loop over one of them runs in SIMD. NaN passes through.
//! Source: exp after Cephes `expf`; tanh and erf the rational approximations of Eigen.

/// Argument below which e^x leaves the normal numbers.
const LOWEST: f32 = -87.336_54;
/// Argument above which e^x, as computed here, would overflow.
const HIGHEST: f32 = 88.02;

/// Exponential function within 2 units in the last place; 0 below -87.34, constant above 88.02.
#[inline(always)]
#[allow(clippy::excessive_precision)] // constants of the source, as it prints them
pub(crate) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 · 2²³: a sum with it rounds to whole numbers
    let clamped = if x < LOWEST { LOWEST } else { x };
    let clamped = if clamped > HIGHEST { HIGHEST } else { clamped };
    let sum = clamped.mul_add(std::f32::consts::LOG2_E, MAGIC);
    let n = sum - MAGIC;
    let r = n.mul_add(-0.693_359_375, clamped); // ln 2 in two parts
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4_f32;
    for c in [1.398_199_95e-3, 8.333_451_9e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, c);
    }
    let p = p.mul_add(r * r, r) + 1.0;
    // The whole number stands in the low bits of the sum.
    let power = f32::from_bits((sum.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < LOWEST { 0.0 } else { p * power }
}

/// `base` to a whole power, by the same multiplications on every machine, which std does not promise of `powi`.
pub(crate) fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut result = 1.0;
    loop {
        if exponent & 1 == 1 {
            result *= base;
        }
        exponent >>= 1;
        if exponent == 0 {
            return result;
        }
        base *= base;
    }
}

/// Logistic function, `1 / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent within a relative error of 4e-7.
#[inline(always)]
#[allow(clippy::excessive_precision)] // as above
pub(crate) fn tanh(x: f32) -> f32 {
    const BOUND: f32 = 7.998_811_7; // from here on it is 1, as these fused steps round; it is NaN of NaN
    let x = if x < -BOUND { -BOUND } else { x };
    let x = if x > BOUND { BOUND } else { x };
    let s = x * x;
    let mut p = -2.760_768_477_423_55e-16_f32;
    for c in [
        2.000_187_904_824_77e-13,
        -8.604_671_522_137_35e-11,
        5.122_297_090_371_14e-08,
        1.485_722_357_179_79e-05,
        6.372_619_288_754_36e-04,
        4.893_524_558_917_86e-03,
    ] {
        p = p.mul_add(s, c);
    }
    let mut q = 1.198_258_394_667_02e-06_f32;
    for c in [1.185_347_056_866_54e-04, 2.268_434_632_439_00e-03, 4.893_525_185_543_85e-03] {
        q = q.mul_add(s, c);
    }
    x * p / q
}

/// Error function within 4e-7.
#[inline(always)]
#[allow(clippy::excessive_precision)] // as above
pub(crate) fn erf(x: f32) -> f32 {
    const BOUND: f32 = 4.0;
    let x = if x < -BOUND { -BOUND } else { x };
    let x = if x > BOUND { BOUND } else { x };
    let s = x * x;
    let mut p = -2.726_142_258_013_06e-10_f32;
    for c in [
        2.770_681_424_959_02e-08,
        -2.101_024_020_825_08e-06,
        -5.692_506_394_623_46e-05,
        -7.349_906_303_268_55e-04,
        -2.954_599_808_540_25e-03,
        -1.609_603_333_624_15e-02,
    ] {
        p = p.mul_add(s, c);
    }
    let mut q = -1.456_607_184_649_96e-05_f32;
    for c in
        [-2.133_740_552_789_05e-04, -1.682_826_974_382_03e-03, -7.373_329_167_204_68e-03, -1.426_473_905_141_89e-02]
    {
        q = q.mul_add(s, c);
    }
    x * p / q
}

/// Partial sums in the sum of a row; their number is part of the result's definition, as it decides the rounding.
const LANES: usize = 32;

/// Sum of `f(a, b)` over two rows of equal length, in [`LANES`] partial sums that are then added in halves, with equal
/// bits on every machine.
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (heads, tail) = a.as_chunks::<LANES>();
    let (others, last) = b.as_chunks::<LANES>();
    for (a, b) in heads.iter().zip(others) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i]);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(tail.iter().zip(last)) {
        *lane += f(*a, *b);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Sum of a row, in the order of [`sum2`].
#[inline(always)]
pub(crate) fn sum(a: &[f32]) -> f32 {
    sum2(a, a, |a, _| a)
}

/// Largest value of a row; NaN is skipped, and a row without numbers gives -∞.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (heads, tail) = a.as_chunks::<LANES>();
    for a in heads {
        for i in 0..LANES {
            lanes[i] = larger(a[i], lanes[i]);
        }
    }
    lanes.iter_mut().zip(tail).for_each(|(lane, a)| *lane = larger(*a, *lane));
    lanes.into_iter().fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::vectorised;

    /// Largest |f - exact| / max(|exact|, floor) over a fine grid.
    fn worst(f: fn(f32) -> f32, exact: fn(f64) -> f64, from: f32, to: f32, floor: f64) -> f64 {
        let steps = 200_000;
        let at = |i: usize| from + (to - from) * i as f32 / steps as f32;
        let error = |x: f32| {
            let exact = exact(f64::from(x));
            (f64::from(f(x)) - exact).abs() / exact.abs().max(floor)
        };
        (0..=steps).map(|i| error(at(i))).max_by(f64::total_cmp).expect("a grid has points")
    }

    #[test]
    fn functions_are_close_to_double_precision() {
        let checks = [
            ("exp", worst(exp, f64::exp, -87.3, 88.0, 1e-300), 2e-7),
            ("sigmoid", worst(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), -80.0, 80.0, 1e-300), 3e-7),
            ("tanh", worst(tanh, f64::tanh, -12.0, 12.0, 1e-300), 4e-7),
            ("tanh near 0", worst(tanh, f64::tanh, -1e-3, 1e-3, 1e-300), 4e-7),
            ("erf", worst(erf, libm::erf, -6.0, 6.0, 1.0), 4e-7),
            ("erf near 0", worst(erf, libm::erf, -1e-2, 1e-2, 1e-300), 4e-7),
        ];
        for (name, worst, allowed) in checks {
            assert!(worst < allowed, "{name} is off by {worst:e}, allowed {allowed:e}");
        }
    }

    #[test]
    fn limits_and_nan_pass() {
        let inf = f32::INFINITY;
        assert_eq!((exp(-inf), exp(-88.0), exp(0.0)), (0.0, 0.0, 1.0));
        assert!(exp(inf) > 1e38 && exp(inf).is_finite());
        assert_eq!((sigmoid(inf), sigmoid(0.0)), (1.0, 0.5));
        assert!(sigmoid(-inf) < 1e-37);
        // No gradient, 1 - y², comes from where it is flat.
        assert_eq!((tanh(inf), tanh(8.0), tanh(-8.0), tanh(-inf), tanh(0.0)), (1.0, 1.0, -1.0, -1.0, 0.0));
        assert!((erf(inf) - 1.0).abs() < 4e-7 && erf(0.0) == 0.0);
        assert!([exp, sigmoid, tanh, erf].into_iter().all(|f| f(f32::NAN).is_nan()));
    }

    #[test]
    fn a_power_is_that_of_repeated_squares() {
        assert_eq!([power(0.5, 0), power(0.5, 1), power(0.5, 10)], [1.0, 0.5, 2f64.powi(-10)]);
        assert!((power(0.999, 12_345) / 0.999f64.powf(12_345.0) - 1.0).abs() < 1e-11);
        assert_eq!(power(0.999, u64::MAX), 0.0);
    }

    #[test]
    fn sums_and_maxima_are_those_of_any_length() {
        for len in [0, 1, 31, 32, 33, 100] {
            let a: Vec<f32> = (0..len).map(|i| ((i * 37) % 19) as f32 - 9.0).collect();
            assert_eq!(sum(&a), a.iter().sum::<f32>(), "{len}");
            assert_eq!(sum2(&a, &a, |a, b| a * b), a.iter().map(|a| a * a).sum::<f32>(), "{len}");
            assert_eq!(max(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max), "{len}");
        }
    }

    #[test]
    fn vectors_have_the_bits_of_scalars() {
        let x: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.0311).collect();
        let mut y = vec![[0f32; 4]; x.len()];
        vectorised(
            #[inline(always)]
            || {
                for (y, x) in y.iter_mut().zip(&x) {
                    *y = [exp(*x), sigmoid(*x), tanh(*x), erf(*x)];
                }
            },
        );
        let same = x.iter().zip(&y).all(|(x, y)| *y == [exp(*x), sigmoid(*x), tanh(*x), erf(*x)]);
        assert!(same);
    }
}
