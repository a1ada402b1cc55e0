//! A network whose products are of bf16 learns as one whose are of f32; where the CPU has no bf16 both are the same.

use candle_core::{Device, Tensor};
use rl_core::{Rng, Spec, Stream};
use rl_nn::{Activation, Adam, AdamConfig, Linear, Params, Precision, huber};
use rl_perception::{EncoderConfig, ObsBatch, Trunk, encoder_for};

const BATCH: usize = 16;
const SIDE: usize = 84;
const STEPS: usize = 60;

/// Frames with a bright square each, and the quarter of the picture that it lies in.
fn pictures(rng: &mut Rng) -> (Vec<u8>, Vec<u32>) {
    let (mut frames, mut quarters) = (vec![0; BATCH * SIDE * SIDE], Vec::new());
    for frame in frames.chunks_exact_mut(SIDE * SIDE) {
        frame.iter_mut().for_each(|pixel| *pixel = rng.below(60) as u8);
        let [top, left] = [rng.below(76), rng.below(76)].map(|at| at as usize);
        for y in top..top + 8 {
            frame[y * SIDE + left..][..8].fill(255);
        }
        quarters.push(2 * u32::from(top >= 38) + u32::from(left >= 38));
    }
    (frames, quarters)
}

/// The part of unseen pictures whose quarter is found after a short training by regression on the quarter's value.
fn accuracy(trunk: Trunk, precision: Precision) -> f64 {
    let (symbols, discrete, continuous) = ([].into(), [4].into(), [].into());
    let spec = Spec { frame: [SIDE, SIDE, 1], stack: 1, vector: 0, symbols, mask: false, discrete, continuous };
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    let hidden = vec![128];
    let config = EncoderConfig { trunk, hidden, activation: Activation::Relu, layer_norm: false, precision };
    let encoder = encoder_for(&spec, &config, &mut params.layer("encoder")).unwrap();
    let head = Linear::new(&mut params.layer("head"), encoder.width(), 4, Activation::None).unwrap();
    let mut adam = Adam::new(&params, AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, clip: 0.0 }).unwrap();
    let values = |frames: &[u8]| {
        let seen = ObsBatch { rows: BATCH, frames, vector: &[], symbols: &[] };
        head.forward(&encoder.forward(&seen).unwrap()).unwrap()
    };
    let (mut rng, mut grad) = (Rng::new(2, Stream::Tool(0)), Vec::new());
    for _ in 0..STEPS {
        let (frames, quarters) = pictures(&mut rng);
        let targets: Vec<f32> =
            quarters.iter().flat_map(|q| (0..4).map(move |i| f32::from(u8::from(i == *q)))).collect();
        let targets = Tensor::from_vec(targets, BATCH * 4, &Device::Cpu).unwrap();
        let loss = huber(&values(&frames).flatten_all().unwrap(), &targets).unwrap().mean_all().unwrap();
        params.backward(&loss, &mut grad).unwrap();
        adam.step(&params, &grad, 5e-4).unwrap().made(1).unwrap();
    }
    let mut right = 0;
    for _ in 0..8 {
        let (frames, quarters) = pictures(&mut rng);
        let found = values(&frames).argmax(1).unwrap().to_vec1::<u32>().unwrap();
        right += found.iter().zip(&quarters).filter(|(found, quarter)| found == quarter).count();
    }
    right as f64 / (8 * BATCH) as f64
}

#[test]
fn pictures_are_learned_in_either_precision() {
    for (trunk, precision) in
        [(Trunk::Nature, Precision::F32), (Trunk::Nature, Precision::Bf16), (Trunk::Impala, Precision::Bf16)]
    {
        let accuracy = accuracy(trunk, precision);
        assert!(accuracy >= 0.9, "{trunk:?} in {precision}: {accuracy}; chance is 0.25");
    }
}
