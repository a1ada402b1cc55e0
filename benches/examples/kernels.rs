//! Times every layer and pass of the Nature network: `kernels [bf16] [BATCH …]`, at 1 and 2 threads, each the best of
//! many. Excludes candle: no tensors, no graph, no loss. The peak of a core is 32 floating-point operations a cycle
//! with AVX2.
#![allow(clippy::print_stdout)] // its product is a table

use std::time::Instant;

use candle_core::Device;
use rl_core::{Rng, Stream};
use rl_nn::Window;
use rl_nn::kernel::bf16::{self, Unit};
use rl_nn::kernel::{Patches, Pixel, Write, forward, write_input_gradient, write_weight_gradient};
use rl_nn::{Adam, AdamConfig, Init, Params};

/// Seconds that a pass is repeated for.
const SECONDS: f64 = 0.6;

fn best(mut pass: impl FnMut()) -> f64 {
    let (start, mut best) = (Instant::now(), f64::MAX);
    while start.elapsed().as_secs_f64() < SECONDS {
        let start = Instant::now();
        pass();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut args = std::env::args().skip(1).peekable();
    let unit = if args.next_if_eq("bf16").is_some() { Some(Unit::best().ok_or("no bf16 here")?) } else { None };
    let batches: Vec<usize> = args.map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    for batch in if batches.is_empty() { vec![32, 256] } else { batches } {
        for threads in [1, 2] {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(|| table(unit, batch, threads))?;
        }
    }
    Ok(())
}

/// Operands of one layer, and the unit for products of bf16 (`None` for `f32`).
struct Layer<'a, P> {
    unit: Option<Unit>,
    patches: &'a Patches,
    x: &'a [P],
    w: &'a [f32],
    bias: &'a [f32],
    g: &'a [f32],
}

impl<P: Pixel> Layer<'_, P> {
    fn forward(&self, out: &mut [f32]) {
        match self.unit {
            None => forward(self.patches, self.x, self.w, self.bias, true, out),
            Some(unit) => bf16::forward(unit, self.patches, self.x, self.w, self.bias, true, out),
        }
    }

    fn weight_gradient(&self, dw: &mut [f32]) {
        let (patches, n) = (self.patches, self.bias.len());
        match self.unit {
            None => write_weight_gradient(patches, self.x, self.g, n, dw, Write::Replace),
            Some(unit) => bf16::write_weight_gradient(unit, patches, self.x, self.g, n, dw, Write::Replace),
        }
    }

    fn input_gradient(&self, dx: &mut [f32]) {
        let n = self.bias.len();
        match self.unit {
            None => write_input_gradient(self.patches, self.w, self.g, n, None, dx),
            Some(unit) => bf16::write_input_gradient(unit, self.patches, self.w, self.g, n, None, dx),
        }
    }
}

fn table(unit: Option<Unit>, batch: usize, threads: usize) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let isa = unit.map_or(rl_nn::isa().name(), Unit::name);
    println!("{isa} batch {batch} threads {threads}: ms (GFLOP/s)");
    println!("{:6} {:>16} {:>16} {:>16}", "layer", "forward", "weight gradient", "input gradient");
    let window = |kernel, stride| Window { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 2] };
    let layers = [
        ("conv1", Patches::window([84, 84, 4], window(8, 4)), 84 * 84 * 4, 32),
        ("conv2", Patches::window([20, 20, 32], window(4, 2)), 20 * 20 * 32, 64),
        ("conv3", Patches::window([9, 9, 64], window(3, 1)), 9 * 9 * 64, 64),
        ("dense", Patches::rows(3136), 3136, 512),
        ("head", Patches::rows(512), 512, 6),
    ];
    let mut rng = Rng::new(1, Stream::Tool(0));
    let mut draws = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.uniform(-0.1, 0.1) as f32).collect() };
    let mut total = 0.0;
    for (name, patches, input, n) in layers {
        let rows = batch * patches.pixels();
        let flop = 2.0 * (rows * patches.depth() * n) as f64;
        let bytes = vec![127u8; batch * input];
        let (x, w, bias, g) = (draws(batch * input), draws(patches.depth() * n), draws(n), draws(rows * n));
        let (mut out, mut dw, mut dx) = (vec![0.0; rows * n], vec![0.0; w.len()], vec![0.0; x.len()]);
        let unit = unit.filter(|_| bf16::serves(&patches, n));
        let layer = Layer { unit, patches: &patches, x: &x, w: &w, bias: &bias, g: &g };
        let times = if name == "conv1" {
            let Layer { unit, patches, w, bias, g, .. } = layer;
            let layer = Layer { unit, patches, x: &bytes, w, bias, g };
            // Frames need no gradient.
            [best(|| layer.forward(&mut out)), best(|| layer.weight_gradient(&mut dw)), 0.0]
        } else {
            [
                best(|| layer.forward(&mut out)),
                best(|| layer.weight_gradient(&mut dw)),
                best(|| layer.input_gradient(&mut dx)),
            ]
        };
        total += times.iter().sum::<f64>();
        let cell = |time: f64| {
            if time > 0.0 { format!("{:.3} ({:.1})", time * 1e3, flop / time / 1e9) } else { "-".to_owned() }
        };
        println!("{name:6} {:>16} {:>16} {:>16}", cell(times[0]), cell(times[1]), cell(times[2]));
    }
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    params.root().var("dense", &[1_687_206], Init::torch(100))?; // as many as the network has with 6 actions
    let mut adam = Adam::new(&params, AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1.5e-4, clip: 10.0 })?;
    let grad = draws(params.len());
    let step = best(|| drop(adam.step(&params, &grad, 1e-4)));
    println!("{:6} {:>16.3}", "adam", step * 1e3);
    println!("{:6} {:>16.3}", "sum", (total + step) * 1e3);
    Ok(())
}
