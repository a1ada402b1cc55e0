//! Times one Nature training step: `nature_step BATCH STEPS`. Random frames and targets, no environment or replay.
#![allow(clippy::print_stdout)] // its only product is a line

use std::time::Instant;

use candle_core::{Device, Tensor};
use rl_core::{Rng, Spec, Stream};
use rl_nn::{Activation, Adam, AdamConfig, Linear, Params, Precision, huber};
use rl_perception::{EncoderConfig, ObsBatch, Trunk, encoder_for};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let (batch, steps) = (args.next().unwrap_or(Ok(32))?, args.next().unwrap_or(Ok(50))?);
    let (symbols, discrete, continuous) = ([].into(), [6].into(), [].into());
    let spec = Spec { frame: [84, 84, 1], stack: 4, vector: 0, symbols, mask: false, discrete, continuous };
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    let encoder = encoder_for(
        &spec,
        &EncoderConfig {
            trunk: Trunk::Nature,
            hidden: vec![512],
            activation: Activation::Relu,
            layer_norm: false,
            precision: Precision::F32,
        },
        &mut params.layer("encoder"),
    )?;
    let head = Linear::new(&mut params.layer("q"), 512, 6, Activation::None)?;
    let mut adam = Adam::new(&params, AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1.5e-4, clip: 0.0 })?;
    let mut rng = Rng::new(1, Stream::Tool(0));
    let frames: Vec<u8> = (0..batch * 84 * 84 * 4).map(|_| rng.below(256) as u8).collect();
    let seen = ObsBatch { rows: batch, frames: &frames, vector: &[], symbols: &[] };
    let target = Tensor::zeros((batch, 6), candle_core::DType::F32, &Device::Cpu)?;
    let mut grad = Vec::new();
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..steps {
        let start = Instant::now();
        let q = head.forward(&encoder.forward(&seen)?)?;
        let forward = start.elapsed();
        let loss = huber(&q, &target)?.mean_all()?;
        params.backward(&loss, &mut grad)?;
        let backward = start.elapsed();
        adam.step(&params, &grad, 1e-4)?;
        let end = start.elapsed();
        for (list, time) in times.iter_mut().zip([forward, backward - forward, end - backward]) {
            list.push(time.as_secs_f64() * 1e3);
        }
    }
    let median = times.map(|mut list| {
        list.sort_by(f64::total_cmp);
        list[list.len() / 2]
    });
    let [forward, backward, adam] = median;
    let (isa, total) = (rl_nn::isa(), forward + backward + adam);
    println!("{isa} batch {batch}: forward {forward:.2} backward {backward:.2} adam {adam:.2} total {total:.2} ms");
    Ok(())
}
