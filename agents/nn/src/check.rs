//! What the tests of every layer ask: right gradients by differences, none missing, equal bits for any threads.

use candle_core::{Device, Tensor, Var};
use rl_core::{Rng, Stream};

use crate::Params;

/// Parameters on the CPU.
pub(crate) fn params() -> Params {
    Params::new(&Device::Cpu, Rng::new(5, Stream::Init))
}

/// Tensor of draws from the standard normal distribution.
pub(crate) fn draws(shape: &[usize], seed: u32) -> Tensor {
    let mut rng = Rng::new(0, Stream::Tool(seed));
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Variable of draws from the standard normal distribution.
pub(crate) fn variable(shape: &[usize], seed: u32) -> Var {
    Var::from_tensor(&draws(shape, seed)).unwrap()
}

/// All values of a tensor.
pub(crate) fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

/// Σ y · c over all outputs, whose gradient by each `y` is its `c`.
pub(crate) fn probe(outputs: &[Tensor]) -> Tensor {
    let sum = |(k, y): (usize, &Tensor)| (y * draws(y.dims(), 1000 + k as u32)).unwrap().sum_all().unwrap();
    outputs.iter().enumerate().map(sum).reduce(|a, b| (a + b).unwrap()).unwrap()
}

/// Sum that [`probe`] forms, in double precision.
fn probe_exact(outputs: &[Tensor]) -> f64 {
    let sum = |(k, y): (usize, &Tensor)| {
        let c = flat(&draws(y.dims(), 1000 + k as u32));
        flat(y).iter().zip(&c).map(|(y, c)| f64::from(*y) * f64::from(*c)).sum::<f64>()
    };
    outputs.iter().enumerate().map(sum).sum()
}

/// Gradients of the probed outputs by every parameter and every input, as candle's store has them.
pub(crate) fn gradients(params: &Params, inputs: &[&Var], run: &dyn Fn() -> Vec<Tensor>) -> Vec<Vec<f32>> {
    let store = probe(&run()).backward().unwrap();
    let vars = params.iter().map(|(_, var)| var).chain(inputs.iter().copied());
    vars.map(|var| store.get(var).map_or(vec![0.0; var.elem_count()], flat)).collect()
}

/// Compares gradients by every parameter and input with central differences; at least `share` of each tensor's must be
/// close, for corners of ReLUs and maxima. None of them may be zero altogether, and those that
/// [`Params::backward_to`] gathers must be the same.
pub(crate) fn differences(params: &Params, inputs: &[&Var], share: f64, run: &dyn Fn() -> Vec<Tensor>) {
    let got = gradients(params, inputs, run);
    let mut sunk = Vec::new();
    let given = params.backward_to(&probe(&run()), &mut sunk, inputs).unwrap();
    sunk.extend(given.iter().flat_map(flat));
    let stored = got.concat();
    let worst = largest(stored.iter().zip(&sunk).map(|(a, b)| (a - b).abs()));
    assert!(stored.len() == sunk.len() && worst < 1e-5, "sink and store differ by {worst}");

    let step = 5e-3;
    let names = params.iter().map(|(name, _)| name.to_owned());
    let names: Vec<String> = names.chain((0..inputs.len()).map(|i| format!("input {i}"))).collect();
    let vars = params.iter().map(|(_, var)| var).chain(inputs.iter().copied());
    for ((name, var), got) in names.iter().zip(vars).zip(&got) {
        let mut values = flat(var);
        assert!(values.is_empty() || got.iter().any(|g| *g != 0.0), "{name} gets no gradient");
        let at = |values: &[f32]| {
            var.set(&Tensor::from_slice(values, var.dims(), var.device()).unwrap()).unwrap();
            probe_exact(&run())
        };
        let mut close = 0;
        let mut far = (0.0, 0.0, 0.0);
        for i in 0..values.len() {
            let middle = values[i];
            values[i] = middle + step;
            let (above, up) = (at(&values), values[i]);
            values[i] = middle - step;
            let (below, down) = (at(&values), values[i]);
            values[i] = middle;
            let expected = (above - below) / f64::from(up - down);
            let error = (expected - f64::from(got[i])).abs() / expected.abs().max(1.0);
            close += usize::from(error < 2e-3);
            if error.is_nan() || error > far.0 {
                far = (error, expected, f64::from(got[i]));
            }
        }
        at(&values);
        let least = (share * values.len() as f64).ceil() as usize;
        let (error, expected, got) = far;
        assert!(close >= least, "{name}: {close} of {} close; {got} for {expected}, off by {error}", values.len());
    }
}

/// The largest of some numbers from 0 on, NaN above all; 0 of none.
pub(crate) fn largest(numbers: impl Iterator<Item = f32>) -> f32 {
    numbers.max_by(f32::total_cmp).unwrap_or(0.0)
}

/// Asserts that two results are within `allowed`, relative to values above 1.
pub(crate) fn close(a: &[f32], b: &[f32], allowed: f32, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let worst = largest(a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)));
    assert!(worst <= allowed, "{what}: off by {worst}"); // also if NaN
}

#[test]
#[should_panic(expected = "off by NaN")]
fn what_is_not_a_number_is_not_close() {
    close(&[1.0, f32::NAN, 2.0], &[1.0, 1.5, 2.0], 0.1, "a result");
}

/// Asserts that values and gradients have equal bits on 1, 2, 3 and 7 threads.
pub(crate) fn any_threads(params: &Params, inputs: &[&Var], run: &(dyn Fn() -> Vec<Tensor> + Sync)) {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| (run().iter().map(flat).collect::<Vec<_>>(), gradients(params, inputs, run)))
    };
    let one = on(1);
    for threads in [2, 3, 7] {
        assert!(on(threads) == one, "{threads} threads give other bits");
    }
}

/// Asserts that the CPU operation equals stock ones in every value and gradient.
pub(crate) fn parity(
    params: &Params,
    inputs: &[&Var],
    allowed: f32,
    ours: &dyn Fn() -> Vec<Tensor>,
    stock: &dyn Fn() -> Vec<Tensor>,
) {
    for (k, (a, b)) in ours().iter().zip(&stock()).enumerate() {
        assert_eq!(a.dims(), b.dims(), "output {k}");
        close(&flat(a), &flat(b), allowed, &format!("output {k}"));
    }
    let (a, b) = (gradients(params, inputs, ours), gradients(params, inputs, stock));
    let names = params.iter().map(|(name, _)| name.to_owned());
    for (name, (a, b)) in names.chain((0..inputs.len()).map(|i| format!("input {i}"))).zip(a.iter().zip(&b)) {
        close(a, b, allowed, &format!("gradient of {name}"));
    }
}
