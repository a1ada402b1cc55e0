//! Every layer against its definition on rounded operands, by every unit of this CPU.

use proptest::prelude::*;
use rl_core::{Rng, Stream};

use super::*;
use crate::Window;
use crate::kernel::Write;
use crate::kernel::case::{Case, SQUARE};
use crate::kernel::patches::Patches;

fn units() -> impl Iterator<Item = Unit> {
    [Unit::Plain, Unit::Avx512, Unit::Amx].into_iter().filter(|unit| unit.is_there())
}

fn rounded(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(f32::from_bits(u32::from(value.half()) << 16))).collect()
}

fn value(case: &Case, unit: Unit, relu: bool) -> Vec<f32> {
    let mut out = vec![f32::NAN; case.g.len()];
    forward(unit, &case.patches, &case.x, &case.w, &case.bias, relu, &mut out);
    out
}

fn gradients(case: &Case, unit: Unit) -> [Vec<f32>; 2] {
    let (mut dw, mut dx) = (vec![f32::NAN; case.w.len()], vec![f32::NAN; case.x.len()]);
    write_weight_gradient(unit, &case.patches, &case.x, &case.g, case.n, &mut dw, Write::Replace);
    write_input_gradient(unit, &case.patches, &case.w, &case.g, case.n, None, &mut dx);
    [dw, dx]
}

fn near(got: &[f32], expected: &[f64], what: &str) {
    let worst = got.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).max_by(f64::total_cmp);
    assert!(got.len() == expected.len() && worst.is_none_or(|worst| worst < 3e-4), "{what} is off by {worst:?}");
}

fn check(case: &Case) {
    let (n, depth) = (case.n, case.patches.depth());
    let [x, w, g] = [&case.x, &case.w, &case.g].map(|values| rounded(values));
    let mut y = Vec::new();
    let (mut dw, mut dx) = (vec![0.0; w.len()], vec![0.0; x.len()]);
    for row in 0..case.rows() {
        for c in 0..n {
            let mut sum = f64::from(case.bias[c]);
            for k in 0..depth {
                let Some(at) = case.place(row, k) else { continue };
                sum += x[at] * w[k * n + c];
                dw[k * n + c] += g[row * n + c] * x[at];
                dx[at] += g[row * n + c] * w[k * n + c];
            }
            y.push(sum);
        }
    }
    let clipped: Vec<f64> = y.iter().map(|y| y.max(0.0)).collect();
    for unit in units() {
        near(&value(case, unit, false), &y, unit.name());
        near(&value(case, unit, true), &clipped, unit.name());
        let [got_w, got_x] = gradients(case, unit);
        near(&got_w, &dw, unit.name());
        near(&got_x, &dx, unit.name());
        let mut added = vec![1.0; case.w.len()];
        write_weight_gradient(unit, &case.patches, &case.x, &case.g, n, &mut added, Write::Add);
        near(&added, &dw.iter().map(|dw| dw + 1.0).collect::<Vec<_>>(), "an added gradient");
        let mut masked = vec![f32::NAN; case.x.len()];
        write_input_gradient(unit, &case.patches, &case.w, &case.g, n, Some(&case.x), &mut masked);
        let expected = got_x.iter().zip(&case.x).map(|(d, x)| if *x > 0.0 { *d } else { 0.0 });
        assert!(masked.iter().copied().eq(expected), "the ReLU before the input");
    }
}

#[test]
fn known_layers_equal_their_definition() {
    for (depth, n) in [(32, 16), (37, 18), (300, 65), (64, 33)] {
        for images in [0, 1, 2, 13, 33, 64] {
            check(&Case::new([1, 1, depth], SQUARE(1, 1), n, images));
        }
    }
    // Several blocks of inputs and of columns, packed and in place.
    check(&Case::new([1, 1, 1100], SQUARE(1, 1), 300, 40));
    check(&Case::new([1, 1, 1120], SQUARE(1, 1), 300, 40));
    check(&Case::new([20, 20, 32], SQUARE(4, 2), 64, 15)); // gradients of weights summed in parts of the images
    for (shape, window, n) in [
        ([9, 7, 4], SQUARE(3, 1), 17),
        ([12, 12, 4], SQUARE(8, 4), 32),
        ([10, 10, 8], SQUARE(4, 2), 64),
        ([9, 9, 16], Window { padding: [1, 1], ..SQUARE(3, 1) }, 24),
        ([9, 9, 32], Window { padding: [1, 1], ..SQUARE(3, 1) }, 24),
        ([20, 20, 32], SQUARE(4, 2), 40),
    ] {
        for images in [1, 3] {
            check(&Case::new(shape, window, n, images));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_layer_equals_its_definition(
        sides in prop::array::uniform2(1usize..11), channels in prop::sample::select(&[1usize, 3, 8, 10, 16, 32][..]),
        kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3,
        n in 1usize..40, images in 0usize..4,
    ) {
        let window = Window { padding: [padding, 0], ..SQUARE(kernel, stride) };
        prop_assume!(window.output(sides).is_some());
        check(&Case::new([sides[0], sides[1], channels], window, n, images));
    }
}

#[test]
fn bits_depend_neither_on_the_batch_nor_on_threads() {
    for case in [
        Case::new([1, 1, 700], SQUARE(1, 1), 90, 70),
        Case::new([1, 1, 1120], SQUARE(1, 1), 300, 70),
        Case::new([20, 20, 32], SQUARE(4, 2), 64, 24),
        Case::new([9, 9, 64], Window { padding: [1, 1], ..SQUARE(3, 1) }, 64, 9),
    ] {
        let image = case.patches.pixels() * case.n;
        for unit in units() {
            let whole = value(&case, unit, true);
            let mut alone = vec![0.0; image];
            for i in [0, case.images - 1] {
                let x = &case.x[i * case.patches.input..][..case.patches.input];
                forward(unit, &case.patches, x, &case.w, &case.bias, true, &mut alone);
                assert!(whole[i * image..][..image] == alone, "{}", unit.name());
            }
            let all = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| (value(&case, unit, true), gradients(&case, unit)))
            };
            let one = all(1);
            assert!(one == all(2) && one == all(4), "{}", unit.name());
        }
    }
}

#[test]
fn bytes_are_the_numbers_from_0_to_1() {
    let mut rng = Rng::new(0, Stream::Tool(0));
    for case in [
        Case::new([12, 12, 4], SQUARE(8, 4), 32, 3),
        Case::new([12, 12, 4], SQUARE(3, 1), 32, 3),
        Case::new([1, 1, 64], SQUARE(1, 1), 32, 3),
        Case::new([1, 1, 37], SQUARE(1, 1), 32, 3),
    ] {
        let bytes: Vec<u8> = (0..case.x.len()).map(|_| rng.below(256) as u8).collect();
        let x: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        for unit in units() {
            let (mut a, mut b) = (vec![0.0; case.g.len()], vec![0.0; case.g.len()]);
            forward(unit, &case.patches, &bytes, &case.w, &case.bias, false, &mut a);
            forward(unit, &case.patches, &x, &case.w, &case.bias, false, &mut b);
            assert!(a == b, "{} of {:?}", unit.name(), case.shape);
        }
    }
}

#[test]
fn small_layers_stay_in_f32() {
    for (inputs, n, served) in [(31, 64, false), (32, 16, true), (512, 14, false)] {
        assert_eq!(serves(&Patches::rows(inputs), n), served);
    }
}
