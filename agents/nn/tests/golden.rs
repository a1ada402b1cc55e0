//! Every layer against PyTorch: values, gradients of inputs and of parameters, running statistics, optimiser steps.
//! The numbers come from `tests/golden/layers/make.py`.

use candle_core::{Device, Tensor, Var};
use rl_core::{Rng, Stream};
use rl_nn::{
    Adam, AdamConfig, Attention, BatchNorm, EncoderLayer, EncoderLayerConfig, EpsPlace, FeedForwardActivation, Gru,
    LayerNorm, Lstm, LstmState, Mask, NormPlace, Params, RmsProp, RmsPropConfig, Scope, Statistics, Window, avg_pool,
    gelu, log_softmax, max_pool, softmax, upsample_bilinear, upsample_nearest,
};
use serde_json::Value;

fn case(name: &str) -> Value {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../../tests/golden/layers/golden.json")).unwrap();
    all.into_iter().find(|case| case["name"] == name).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn tensor(value: &Value, dims: &Value) -> Tensor {
    let dims: Vec<usize> = dims.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
    Tensor::from_vec(floats(value), dims, &Device::Cpu).unwrap()
}

fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn close(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let worst =
        got.iter().zip(expected).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).max_by(f32::total_cmp).unwrap_or(0.0);
    assert!(worst <= 1e-5, "{what}: off by {worst}"); // also if NaN
}

#[test]
#[should_panic(expected = "off by NaN")]
fn what_is_not_a_number_is_not_close() {
    close(&[f32::NAN, 2.0], &[1.0, 2.0], "a result");
}

/// Makes a layer, gives it PyTorch's parameters, and compares what it computes.
fn check<L>(
    name: &str,
    make: impl FnOnce(&mut Scope<'_>) -> candle_core::Result<L>,
    run: impl FnOnce(&L, &Tensor) -> candle_core::Result<Tensor>,
) -> L {
    let case = case(name);
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    let layer = make(&mut params.root()).unwrap();
    params.write(&floats(&case["params"])).unwrap();
    let x = Var::from_tensor(&tensor(&case["x"], &case["dims"])).unwrap();
    let y = run(&layer, &x).unwrap();
    close(&flat(&y), &floats(&case["y"]), &format!("{name}: value"));
    let loss = (&y * tensor(&case["g"], &case["y_dims"])).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    close(&flat(store.get(&x).unwrap()), &floats(&case["dx"]), &format!("{name}: gradient of the input"));
    let mut grad = Vec::new();
    params.backward(&loss, &mut grad).unwrap();
    close(&grad, &floats(&case["dparams"]), &format!("{name}: gradient of the parameters"));
    layer
}

/// The same of a function.
fn check_function(name: &str, f: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>) {
    check(name, |_| Ok(()), |(), x| f(x));
}

fn state(case: &Value, key: &str) -> Tensor {
    Tensor::from_vec(floats(&case[key]), (2, 4), &Device::Cpu).unwrap()
}

#[test]
fn recurrent_layers_equal_pytorch() {
    let golden = case("lstm");
    let first = LstmState { h: state(&golden, "h"), c: state(&golden, "c") };
    let run = |lstm: &Lstm, x: &Tensor| {
        let (y, last) = lstm.forward(x, None, &first)?;
        close(&flat(&last.c), &floats(&golden["last_c"]), "lstm: last memory");
        Ok(y)
    };
    check("lstm", |scope| Lstm::new(scope, 3, 4), run);
    let first = state(&case("gru"), "h");
    check("gru", |scope| Gru::new(scope, 3, 4), |gru, x| Ok(gru.forward(x, None, &first)?.0));
}

#[test]
fn norms_equal_pytorch() {
    check("layer_norm", |scope| LayerNorm::new(scope, 5, 1e-5), |norm, x| norm.forward(x));
    let make = |scope: &mut Scope<'_>| BatchNorm::new(scope, 3, 0.1, 1e-5);
    check("batch_norm_train", make, |norm, x| norm.forward(x, Statistics::Batch));
    let golden = case("batch_norm_train");
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    let norm = make(&mut params.root()).unwrap();
    norm.forward(&tensor(&golden["x"], &golden["dims"]), Statistics::Batch).unwrap();
    let running: Vec<f32> = params.buffers().flat_map(|(_, var)| flat(var)).collect();
    close(&running, &floats(&golden["running"]), "running statistics");
    let moved = |scope: &mut Scope<'_>| {
        let norm = make(scope)?;
        norm.forward(&tensor(&golden["x"], &golden["dims"]), Statistics::Batch)?;
        Ok(norm)
    };
    check("batch_norm_eval", moved, |norm, x| norm.forward(x, Statistics::Running));
}

#[test]
fn attention_equals_pytorch() {
    let padding = Tensor::new(&[[0f32, 0.0, 0.0, 1.0], [0.0; 4]], &Device::Cpu).unwrap();
    let masks =
        [("none", Mask::none()), ("causal", Mask::causal()), ("both", Mask { causal: true, padding: Some(padding) })];
    for (name, mask) in masks {
        let name = format!("attention_{name}");
        check(&name, |scope| Attention::new(scope, 4, 2), |layer, x| layer.forward(x, &mask));
    }
    for (place, norm) in [("before", NormPlace::Before), ("after", NormPlace::After)] {
        for (kind, bend) in [("relu", FeedForwardActivation::Relu), ("gelu", FeedForwardActivation::Gelu)] {
            let config = EncoderLayerConfig { width: 4, heads: 2, hidden: 6, bend, norm, eps: 1e-5 };
            let name = format!("encoder_{place}_{kind}");
            check(&name, |scope| EncoderLayer::new(scope, config), |layer, x| layer.forward(x, &Mask::none()));
        }
    }
}

#[test]
fn functions_equal_pytorch() {
    check_function("softmax", softmax);
    check_function("log_softmax", log_softmax);
    check_function("gelu", gelu);
    let window = Window { kernel: [3, 2], stride: [2, 1], padding: [1, 1] };
    check_function("max_pool", |x| max_pool(x, window));
    check_function("avg_pool", |x| avg_pool(x, window));
    check_function("nearest", |x| upsample_nearest(x, [8, 5]));
    check_function("bilinear", |x| upsample_bilinear(x, [8, 5]));
}

/// The six parameters that PyTorch's optimiser began with.
fn six(golden: &Value) -> Params {
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    params.root().var("p", &[6], rl_nn::Init::Zeros).unwrap();
    params.write(&floats(&golden["params"])).unwrap();
    params
}

fn values(params: &Params) -> Vec<f32> {
    let mut values = vec![0.0; params.len()];
    params.read(&mut values).unwrap();
    values
}

#[test]
fn rms_prop_equals_pytorch() {
    for (name, centred) in [("rms_prop_plain", false), ("rms_prop_centred", true)] {
        let golden = case(name);
        let params = six(&golden);
        let eps_place = EpsPlace::OutsideRoot;
        let config = RmsPropConfig { decay: 0.9, eps: 1e-3, eps_place, first_square: 0.0, centred, clip: 0.0 };
        let mut rms = RmsProp::new(&params, config).unwrap();
        for grad in golden["grads"].as_array().unwrap() {
            rms.step(&params, &floats(grad), 0.01).unwrap().made(1).unwrap();
        }
        close(&values(&params), &floats(&golden["y"]), name);
    }
}

#[test]
fn adam_and_rectified_adam_equal_pytorch_after_each_clipped_step() {
    let config = AdamConfig { beta1: 0.8, beta2: 0.999, eps: 1e-3, clip: 1.0 };
    for (name, make) in [("adam", Adam::new as fn(&Params, AdamConfig) -> _), ("radam", Adam::rectified)] {
        let golden = case(name);
        let params = six(&golden);
        let mut adam = make(&params, config).unwrap();
        let (grads, path) = (golden["grads"].as_array().unwrap(), golden["path"].as_array().unwrap());
        assert_eq!((grads.len(), path.len()), (8, 8));
        for (step, (grad, expected)) in grads.iter().zip(path).enumerate() {
            adam.step(&params, &floats(grad), 0.05).unwrap().made(1).unwrap();
            close(&values(&params), &floats(expected), &format!("{name}, step {}", step + 1));
        }
    }
}
