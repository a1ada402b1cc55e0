//! Times forward and backward of one layer: `layer_step LAYER REPEATS THREADS` prints the least and the median time in ms.
//! Layers and sizes are those that are compared with PyTorch: `lstm`, `gru`, `encoder`, `batch_norm`.
#![allow(clippy::print_stdout)] // its only product is a line

use std::time::Instant;

use candle_core::{Device, Result, Tensor, Var};
use rl_core::{Rng, Stream};
use rl_nn::{
    BatchNorm, EncoderLayer, EncoderLayerConfig, FeedForwardActivation, Gru, Lstm, Mask, NormPlace, Params, Statistics,
};

/// Forward of a layer at its size.
type Run = Box<dyn Fn(&Tensor) -> Result<Tensor>>;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().ok_or("which layer?")?;
    let repeats: usize = args.next().ok_or("how many repeats?")?.parse()?;
    let threads: usize = args.next().ok_or("how many threads?")?.parse()?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    let mut root = params.root();
    let shape: &[usize] = match name.as_str() {
        "encoder" => &[32, 64, 256],
        "batch_norm" => &[32, 32, 32, 64],
        _ => &[20, 32, 512],
    };
    let run: Run = match name.as_str() {
        "lstm" => {
            let lstm = Lstm::new(&mut root, 512, 512)?;
            Box::new(move |x| Ok(lstm.forward(x, None, &lstm.state(32)?)?.0))
        }
        "gru" => {
            let gru = Gru::new(&mut root, 512, 512)?;
            Box::new(move |x| Ok(gru.forward(x, None, &gru.state(32)?)?.0))
        }
        "encoder" => {
            let (bend, norm) = (FeedForwardActivation::Gelu, NormPlace::After);
            let config = EncoderLayerConfig { width: 256, heads: 8, hidden: 1024, bend, norm, eps: 1e-5 };
            let layer = EncoderLayer::new(&mut root, config)?;
            Box::new(move |x| layer.forward(x, &Mask::none()))
        }
        "batch_norm" => {
            let norm = BatchNorm::new(&mut root, 64, 0.1, 1e-5)?;
            Box::new(move |x| norm.forward(x, Statistics::Batch))
        }
        _ => return Err(format!("no layer {name}").into()),
    };
    let mut rng = Rng::new(1, Stream::Tool(0));
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() as f32).collect();
    let x = Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)?;
    let mut grad = Vec::new();
    let mut times = Vec::new();
    for _ in 0..repeats + 2 {
        let start = Instant::now();
        let y = run(&x)?;
        let forward = start.elapsed().as_secs_f64() * 1e3;
        params.backward(&y, &mut grad)?; // candle starts from ones
        times.push((start.elapsed().as_secs_f64() * 1e3, forward));
    }
    times.drain(..2); // the first fill the allocator and the caches
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (least, forward) = times[0];
    let median = times[times.len() / 2].0;
    println!("{name} {threads} threads: least {least:.2} ms (forward {forward:.2}), median {median:.2} ms");
    Ok(())
}
