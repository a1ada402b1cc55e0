//! Encoders of frames against PyTorch (`tests/golden/encoders/make.py`).

use candle_core::{Device, Tensor};
use rl_core::{Rng, Spec, Stream};
use rl_nn::{Activation, Params, Precision};
use rl_perception::{EncoderConfig, ObsBatch, Trunk, encoder_for};
use serde_json::Value;

const ROWS: usize = 3;
const WIDTH: usize = 12;

/// Uniform in [0, 1): the hash of `tests/golden/inputs.py`.
fn draws(count: usize, salt: u32) -> Vec<f64> {
    let draw = |index: u32| {
        let mut x = index.wrapping_add(salt.wrapping_mul(0x9E37_79B9));
        for (shift, factor) in [(16, 0x7FEB_352D), (15, 0x846C_A68B)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        f64::from(x ^ (x >> 16)) / 2f64.powi(32)
    };
    (0..count as u32).map(draw).collect()
}

/// The weights of `inputs.py`, layer by layer.
fn fill(params: &Params) {
    let mut flat = Vec::new();
    for (index, (name, var)) in params.iter().enumerate() {
        let fan_in: usize = var.dims()[..var.dims().len() - 1].iter().product();
        let bound = if name.ends_with("weight") { (6.0 / fan_in as f64).sqrt() } else { 0.1 };
        flat.extend(draws(var.elem_count(), 1 + index as u32).iter().map(|v| ((v * 2.0 - 1.0) * bound) as f32));
    }
    params.write(&flat).unwrap();
}

/// Within 1e-5 of the largest value.
fn close(what: &str, got: &[f32], expected: &Value) {
    let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3f64, |m, e| m.max(e.abs()));
    let worst = got.iter().zip(&expected).map(|(g, e)| (f64::from(*g) - e).abs()).max_by(f64::total_cmp).unwrap_or(0.0);
    assert!(worst <= 1e-5 * scale, "{what}: off by {worst}, of at most {scale}"); // also if NaN
}

#[test]
#[should_panic(expected = "off by NaN")]
fn what_is_not_a_number_is_not_close() {
    close("a result", &[f32::NAN, 2.0], &serde_json::json!([1.0, 2.0]));
}

#[test]
fn features_and_gradients_equal_pytorch() {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden/encoders/golden.json")).unwrap();
    let every = golden["every"].as_u64().unwrap() as usize;
    for case in golden["cases"].as_array().unwrap() {
        let trunk: Trunk = serde_json::from_value(case["trunk"].clone()).unwrap();
        let frame: [usize; 3] = serde_json::from_value(case["frame"].clone()).unwrap();
        let spec = Spec { frame, stack: 1, discrete: [2].into(), ..Spec::none() };
        let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        let hidden = vec![WIDTH];
        let config =
            EncoderConfig { trunk, hidden, activation: Activation::Relu, layer_norm: false, precision: Precision::F32 };
        let encoder = encoder_for(&spec, &config, &mut params.root()).unwrap();
        fill(&params);
        let frames: Vec<u8> = draws(ROWS * spec.frame_len(), 101).iter().map(|d| (d * 256.0) as u8).collect();
        let y = encoder.forward(&ObsBatch { rows: ROWS, frames: &frames, vector: &[], symbols: &[] }).unwrap();
        close(&format!("features of {trunk:?}"), &y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), &case["y"]);
        let by: Vec<f32> = draws(ROWS * WIDTH, 102).iter().map(|d| *d as f32).collect();
        let loss = (y * Tensor::from_vec(by, (ROWS, WIDTH), &Device::Cpu).unwrap()).unwrap().sum_all().unwrap();
        let mut grad = Vec::new();
        params.backward(&loss, &mut grad).unwrap();
        let kept: Vec<f32> = grad.iter().step_by(every).copied().collect();
        close(&format!("gradient of {trunk:?}"), &kept, &case["grad"]);
    }
}
