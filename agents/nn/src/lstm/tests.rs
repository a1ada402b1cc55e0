//! The layer against differences, stock operations, PyTorch's order of gates, threads and resets.

use super::*;
use crate::Params;
use crate::check::{any_threads, differences, draws, flat, params, parity, variable};

fn lstm(inputs: usize, units: usize) -> (Params, Lstm) {
    let mut params = params();
    let lstm = Lstm::new(&mut params.layer("lstm"), inputs, units).unwrap();
    (params, lstm)
}

fn outputs((y, state): (Tensor, LstmState)) -> Vec<Tensor> {
    vec![y, state.h, state.c]
}

/// An episode starts in the first row, in a middle one, and nowhere.
fn starts() -> Tensor {
    let rows = [[1f32, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]];
    Tensor::new(&rows, &candle_core::Device::Cpu).unwrap()
}

#[test]
fn gradients_are_differences() {
    let (params, lstm) = lstm(3, 5);
    let (x, h, c) = (variable(&[4, 3, 3], 1), variable(&[3, 5], 2), variable(&[3, 5], 3));
    for starts in [None, Some(starts())] {
        differences(&params, &[&x, &h, &c], 1.0, &|| {
            let state = LstmState { h: h.as_tensor().clone(), c: c.as_tensor().clone() };
            outputs(lstm.forward(&x, starts.as_ref(), &state).unwrap())
        });
    }
}

#[test]
fn the_memory_alone_passes_a_gradient() {
    let (params, lstm) = lstm(2, 3);
    let x = variable(&[2, 2, 2], 1);
    differences(&params, &[&x], 1.0, &|| vec![lstm.forward(&x, None, &lstm.state(2).unwrap()).unwrap().1.c]);
}

#[test]
fn cpu_operation_equals_stock_ones() {
    let (params, lstm) = lstm(7, 9);
    let (x, h, c) = (variable(&[4, 3, 7], 1), variable(&[3, 9], 2), variable(&[3, 9], 3));
    for starts in [None, Some(starts())] {
        let state = || LstmState { h: h.as_tensor().clone(), c: c.as_tensor().clone() };
        parity(
            &params,
            &[&x, &h, &c],
            1e-5,
            &|| outputs(lstm.forward(&x, starts.as_ref(), &state()).unwrap()),
            &|| outputs(lstm.stock(&x, starts.as_ref(), &state()).unwrap()),
        );
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (params, lstm) = lstm(40, 300);
    let x = variable(&[3, 33, 40], 1);
    any_threads(&params, &[&x], &|| outputs(lstm.forward(&x, None, &lstm.state(33).unwrap()).unwrap()));
}

#[test]
fn a_row_does_not_depend_on_the_batch_around_it() {
    let (_params, lstm) = lstm(5, 17);
    let x = draws(&[3, 20, 5], 1);
    let (h, c) = (draws(&[20, 17], 2), draws(&[20, 17], 3));
    let run = |from: usize, batch: usize| {
        let rows = |x: &Tensor| x.narrow(0, from, batch).unwrap();
        let state = LstmState { h: rows(&h), c: rows(&c) };
        outputs(lstm.forward(&x.narrow(1, from, batch).unwrap(), None, &state).unwrap())
    };
    let all = run(0, 20);
    for (from, batch) in [(0, 1), (3, 2), (7, 7), (1, 19)] {
        for ((part, all), dim) in run(from, batch).iter().zip(&all).zip([1, 0, 0]) {
            assert_eq!(flat(part), flat(&all.narrow(dim, from, batch).unwrap()), "{batch} from {from}");
        }
    }
}

#[test]
fn a_sequence_in_two_stretches_ends_in_the_same_bits() {
    let (_params, lstm) = lstm(3, 4);
    let x = draws(&[4, 3, 3], 1);
    let starts = starts();
    let whole = outputs(lstm.forward(&x, Some(&starts), &lstm.state(3).unwrap()).unwrap());
    let stretch = |x: &Tensor, from| x.narrow(0, from, 2).unwrap();
    let (first, state) = lstm.forward(&stretch(&x, 0), Some(&stretch(&starts, 0)), &lstm.state(3).unwrap()).unwrap();
    let (second, state) = lstm.forward(&stretch(&x, 2), Some(&stretch(&starts, 2)), &state.detach()).unwrap();
    let y = Tensor::cat(&[first, second], 0).unwrap();
    for (a, b) in whole.iter().zip([y, state.h, state.c]) {
        assert_eq!(flat(a), flat(&b));
    }
}

#[test]
fn empty_sequences_and_batches_pass() {
    let (params, lstm) = lstm(3, 4);
    let state = lstm.state(2).unwrap();
    let (y, after) = lstm.forward(&draws(&[0, 2, 3], 1), None, &state).unwrap();
    assert_eq!((y.dims(), flat(&after.c)), ([0, 2, 4].as_slice(), vec![0.0; 8]));
    let (y, _) = lstm.forward(&draws(&[5, 0, 3], 1), None, &lstm.state(0).unwrap()).unwrap();
    assert_eq!(y.dims(), [5, 0, 4]);
    let mut grad = Vec::new();
    params.backward(&y.sum_all().unwrap(), &mut grad).unwrap();
    assert!(grad.iter().all(|g| *g == 0.0));
}

#[test]
fn wrong_shapes_are_named() {
    let (_params, lstm) = lstm(3, 4);
    let state = lstm.state(2).unwrap();
    let error = |x: &[usize], starts: Option<&[usize]>, state: &LstmState| {
        let starts = starts.map(|dims| draws(dims, 1));
        lstm.forward(&draws(x, 1), starts.as_ref(), state).unwrap_err().to_string()
    };
    assert!(error(&[2, 3], None, &state).contains("an LSTM of 3 inputs expects [T, B, 3], got [2, 3]"));
    assert!(error(&[5, 2, 4], None, &state).contains("an LSTM of 3 inputs expects [T, B, 3], got [5, 2, 4]"));
    assert!(error(&[5, 1, 3], None, &state).contains("an LSTM expects a state [1, 4]"));
    assert!(error(&[5, 2, 3], Some(&[2, 5]), &state).contains("an LSTM expects starts [5, 2]"));
    assert!(Lstm::new(&mut params().root(), 3, 0).is_err());
}

#[test]
fn the_forget_gate_has_a_bias_of_its_own() {
    let mut params = params();
    let init = LstmInit { bias: Init::Zeros, forget: Init::Constant { value: 1.5 }, ..LstmInit::torch(2) };
    Lstm::with_init(&mut params.root(), 3, 2, init).unwrap();
    let bias = flat(params.iter().last().unwrap().1);
    assert_eq!(bias, [0.0, 0.0, 1.5, 1.5, 0.0, 0.0, 0.0, 0.0]);
}
