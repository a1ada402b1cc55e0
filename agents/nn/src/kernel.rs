//! Matrix products of every linear and convolutional layer on the CPU, in safe portable SIMD.
//!
//! Each element of an output is one chain of fused multiply-adds, and each of an input's gradient a sum of such chains,
//! one for each output that the input was read for, in an order that the shape of the layer decides: neither the batch
//! around a row, nor threads, nor the instruction set change a bit of it. Each of a parameter's gradient is a sum over
//! the batch, in blocks that the shape of the batch decides too.

pub mod bf16;
#[cfg(test)]
mod case;
mod forward;
mod input_gradient;
mod isa;
mod panels;
mod parts;
mod patches;
mod prefetch;
mod prepared;
mod row_gradient;
mod tile;
mod weight_gradient;
mod workspace;

pub(crate) use forward::{Linear, linear};
pub use forward::{forward, mask};
pub(crate) use input_gradient::transpose;
pub use input_gradient::{input_gradient, write_input_gradient};
pub(crate) use isa::vectorised;
pub use isa::{Isa, choose_isa, isa};
pub use patches::{Patches, Pixel};
pub(crate) use prepared::Prepared;
pub use weight_gradient::{Write, bias_gradient, weight_gradient, write_bias_gradient, write_weight_gradient};
pub(crate) use workspace::Workspace;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::case::{Case, SQUARE};
    use super::*;
    use crate::Window;

    impl Case {
        fn forward(&self) -> Vec<f32> {
            let mut out = vec![0.0; self.g.len()];
            forward(&self.patches, &self.x, &self.w, &self.bias, true, &mut out);
            out
        }

        fn gradients(&self) -> [Vec<f32>; 3] {
            let (mut dw, mut db) = (vec![1.0; self.w.len()], vec![1.0; self.n]);
            weight_gradient(&self.patches, &self.x, &self.g, self.n, &mut dw);
            bias_gradient(&self.g, &mut db);
            [dw, db, input_gradient(&self.patches, &self.w, &self.g, self.n)]
        }

        /// The definition, element by element: the value to the bit, gradients nearly.
        fn check(&self) {
            let (n, depth) = (self.n, self.patches.depth());
            let mut value = Vec::new();
            let (mut ew, mut eb, mut ex) = (vec![1.0f64; self.w.len()], vec![1.0f64; n], vec![0.0f64; self.x.len()]);
            for row in 0..self.rows() {
                for c in 0..n {
                    let (g, mut sum) = (f64::from(self.g[row * n + c]), self.bias[c]);
                    eb[c] += g;
                    for k in 0..depth {
                        let Some(at) = self.place(row, k) else { continue };
                        sum = self.x[at].mul_add(self.w[k * n + c], sum);
                        ew[k * n + c] += g * f64::from(self.x[at]);
                        ex[at] += g * f64::from(self.w[k * n + c]);
                    }
                    value.push(sum.max(0.0));
                }
            }
            assert!(self.forward() == value, "the value is not its definition");
            self.check_written();
            for (name, got, expected) in ["dw", "db", "dx"].iter().zip(self.gradients()).zip([ew, eb, ex]).map(flat) {
                let worst = got.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).max_by(f64::total_cmp);
                assert!(worst.is_none_or(|worst| worst < 3e-4), "{name} is off by {worst:?}");
            }
        }
    }

    impl Case {
        /// Gradients that replace what was there are those that are added to zeros, and a ReLU before the input masks.
        fn check_written(&self) {
            let (mut added, mut replaced) = (vec![0.0; self.w.len()], vec![f32::NAN; self.w.len()]);
            weight_gradient(&self.patches, &self.x, &self.g, self.n, &mut added);
            write_weight_gradient(&self.patches, &self.x, &self.g, self.n, &mut replaced, Write::Replace);
            assert!(added == replaced, "a gradient depends on what it replaces");
            let mut masked = vec![f32::NAN; self.x.len()];
            write_input_gradient(&self.patches, &self.w, &self.g, self.n, Some(&self.x), &mut masked);
            let plain = input_gradient(&self.patches, &self.w, &self.g, self.n);
            let expected = plain.iter().zip(&self.x).map(|(d, x)| if *x > 0.0 { *d } else { 0.0 });
            assert!(masked.iter().copied().eq(expected), "the ReLU before the input");
        }
    }

    fn flat<A, B, C>(((a, b), c): ((A, B), C)) -> (A, B, C) {
        (a, b, c)
    }

    #[test]
    fn known_layers_equal_their_definition() {
        for (depth, n) in [(1, 1), (4, 2), (4, 128), (37, 18), (300, 65), (16, 33), (140, 300)] {
            for images in [0, 1, 2, 5, 13, 49, 64] {
                Case::new([1, 1, depth], SQUARE(1, 1), n, images).check();
            }
        }
        for (shape, window, n) in [
            ([9, 7, 3], SQUARE(3, 1), 5),
            ([12, 12, 4], SQUARE(8, 4), 32),
            ([10, 10, 8], SQUARE(4, 2), 64),
            ([9, 9, 16], Window { padding: [1, 1], ..SQUARE(3, 1) }, 24),
            ([16, 16, 8], Window { padding: [1, 1], ..SQUARE(3, 1) }, 12), // inputs' gradients from groups of outputs
        ] {
            for images in [1, 3] {
                Case::new(shape, window, n, images).check();
            }
        }
        // So large that gradients of weights are summed in parts: of rows, of groups of blocks of them, of images.
        for (shape, window, n, images) in [
            ([1, 1, 20], SQUARE(1, 1), 12, 300),
            ([1, 1, 5], SQUARE(1, 1), 600, 700),
            ([20, 20, 32], SQUARE(4, 2), 64, 15),
        ] {
            Case::new(shape, window, n, images).check();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn any_layer_equals_its_definition(
            shape in [1..9usize, 1..9usize, 1..20usize],
            kernel in [1..5usize, 1..5usize],
            stride in [1..4usize, 1..4usize],
            padding in [0..3usize, 0..3usize],
            n in 1..40usize,
            images in 1..6usize,
        ) {
            let window = Window { kernel, stride, padding };
            prop_assume!(window.output([shape[0], shape[1]]).is_some());
            Case::new(shape, window, n, images).check();
        }
    }

    #[test]
    fn any_number_of_threads_ends_in_equal_bits() {
        let padded = Window { padding: [1, 1], ..SQUARE(3, 1) };
        for (shape, window, n, images) in [
            ([20, 20, 32], SQUARE(4, 2), 64, 9),
            ([16, 16, 24], padded, 40, 7),
            ([1, 1, 700], SQUARE(1, 1), 600, 40),
            ([1, 1, 700], SQUARE(1, 1), 600, 37), // whose weights are packed
            ([1, 1, 700], SQUARE(1, 1), 600, 36), // whose weights are read as they lie in memory
            ([1, 1, 700], SQUARE(1, 1), 600, 8),
            ([1, 1, 2000], SQUARE(1, 1), 512, 3),
        ] {
            let case = Case::new(shape, window, n, images);
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| (case.forward(), case.gradients()))
            };
            let one = run(1);
            assert!([2, 3, 7].into_iter().all(|threads| run(threads) == one), "{shape:?}");
        }
    }

    #[test]
    fn every_instruction_set_ends_in_equal_bits() {
        let known = Isa::available();
        assert!(known.len() > 1, "this CPU has {known:?} alone, and nothing to compare it with");
        let padded = Window { padding: [1, 1], ..SQUARE(3, 1) };
        for (shape, window, n, images) in [
            ([12, 12, 4], SQUARE(8, 4), 32, 3),
            ([10, 10, 8], SQUARE(4, 2), 64, 3),
            ([9, 7, 3], padded, 5, 2),
            ([9, 9, 16], padded, 24, 7),
            ([1, 1, 1], SQUARE(1, 1), 1, 1),
            ([1, 1, 37], SQUARE(1, 1), 18, 13), // no multiple of any vector
            ([1, 1, 300], SQUARE(1, 1), 65, 64),
            ([1, 1, 700], SQUARE(1, 1), 600, 40),
        ] {
            let case = Case::new(shape, window, n, images);
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let run = |isa: Isa, threads: usize| {
                super::isa::on(isa, threads, || {
                    assert_eq!(super::isa(), isa);
                    let mut masked = vec![f32::NAN; case.x.len()];
                    write_input_gradient(&case.patches, &case.w, &case.g, n, Some(&case.x), &mut masked);
                    let [dw, db, dx] = case.gradients();
                    [case.forward(), dw, db, dx, masked].map(bits)
                })
            };
            let best = run(known[0], 1);
            for (isa, threads) in known.iter().flat_map(|&isa| [(isa, 1), (isa, 3)]) {
                let found = run(isa, threads);
                let what = ["y", "dw", "db", "dx", "masked dx"].into_iter().zip(best.iter().zip(&found));
                let differ: Vec<_> = what.filter(|(_, (one, other))| one != other).map(|(what, _)| what).collect();
                assert!(differ.is_empty(), "{shape:?}: {differ:?} of {isa} on {threads} threads, against {}", known[0]);
            }
        }
    }

    #[test]
    fn a_transpose_moves_every_element() {
        let w: Vec<f32> = (0..37 * 19).map(|i| i as f32).collect();
        let [mut turned, mut back] = [(); 2].map(|()| vec![0.0; w.len()]);
        transpose(&w, 19, &mut turned);
        assert!((0..37).all(|r| (0..19).all(|c| turned[c * 37 + r] == w[r * 19 + c])));
        transpose(&turned, 37, &mut back);
        assert_eq!(back, w);
    }

    #[test]
    fn the_gradient_of_a_row_does_not_depend_on_how_many_there_are() {
        let case = Case::new([1, 1, 70], SQUARE(1, 1), 40, 700);
        let all = input_gradient(&case.patches, &case.w, &case.g, case.n);
        let parts = case.g.chunks(100 * case.n).map(|g| input_gradient(&case.patches, &case.w, g, case.n));
        assert!(all == parts.flatten().collect::<Vec<_>>());
        let mut masked = vec![f32::NAN; case.x.len()];
        write_input_gradient(&case.patches, &case.w, &case.g, case.n, Some(&case.x), &mut masked);
        let expected = all.iter().zip(&case.x).map(|(d, x)| if *x > 0.0 { *d } else { 0.0 });
        assert!(masked.into_iter().eq(expected), "the ReLU before the input");
    }

    #[test]
    fn bytes_are_the_numbers_from_0_to_1() {
        let case = Case::new([12, 12, 4], SQUARE(8, 4), 32, 3);
        let bytes: Vec<u8> = (0..case.x.len()).map(|i| (i * 7 % 256) as u8).collect();
        let x: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let (mut a, mut b) = (vec![0.0; case.g.len()], vec![0.0; case.g.len()]);
        forward(&case.patches, &bytes, &case.w, &case.bias, false, &mut a);
        forward(&case.patches, &x, &case.w, &case.bias, false, &mut b);
        assert!(a == b);
        let (mut a, mut b) = (vec![0.0; case.w.len()], vec![0.0; case.w.len()]);
        weight_gradient(&case.patches, &bytes, &case.g, case.n, &mut a);
        weight_gradient(&case.patches, &x, &case.g, case.n, &mut b);
        assert!(a == b);
    }

    #[test]
    fn an_instruction_set_that_is_missing_is_refused_in_a_line() {
        let missing: Vec<_> =
            ["avx512", "avx2", "neon", "portable", "mmx"].map(|name| (name, name.parse::<Isa>())).into();
        for (name, isa) in missing {
            match isa {
                Ok(isa) if Isa::available().contains(&isa) => {}
                Ok(isa) => assert!(choose_isa(isa).unwrap_err().contains(&format!("no {name}: it has"))),
                Err(reason) => assert!(reason.contains("no instruction set mmx: this CPU has")),
            }
        }
    }
}
