//! `rl-run bench nn`: measures one network or layer on inputs that do not change.
//!
//! A pass `train` of a whole network is a training step: forward, Huber loss on given targets, backward, Adam. Of a
//! single layer it is forward and backward, the gradient of its input included. `gflops` counts the multiplications and
//! additions of matrix products and convolutions that such a pass must do, over the median.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, Var};
use rl_core::{Rng, Spec, Stream};
use rl_nn::{
    Activation, Adam, AdamConfig, BatchNorm, Conv2d, EncoderLayer, EncoderLayerConfig, FeedForwardActivation,
    HostForward, Linear, Lstm, Mask, NormPlace, Params, Precision, Scope, Statistics, Window, huber,
};
use rl_perception::{EncoderConfig, ObsBatch, Trunk, encoder_for};
use serde::Serialize;

use crate::console::nearest::hint;
use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::{self, usage};
use crate::machine::Cpu;

/// What can be measured: its name, whether its products may be in bf16, and the function that builds it for a batch.
const MODELS: &[(&str, bool, Build)] = &[
    ("nature", true, nature),
    ("mlp", true, mlp),
    ("linear", true, linear),
    ("lstm", false, lstm),
    ("encoder", false, encoder),
    ("conv3x3", true, conv3x3),
    ("batchnorm", false, batchnorm),
];

/// Calls before the clock is started.
const WARM_UP: usize = 3;
/// Least time of a group of calls that is timed together.
const LEAST: Duration = Duration::from_millis(1);
/// Least number of groups that are timed.
const GROUPS: usize = 5;

/// Measures a network or layer.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run bench nn --model nature --batch 32 --threads 1 --pass train
          # what a policy of CartPole costs
          rl-run bench nn --model mlp --batch 1 --threads 1 --pass forward")]
pub(crate) struct NnArgs {
    /// nature (Mnih et al. 2015, 14 actions) | mlp (4-128-128-2) | linear (512-512) | lstm (512-512, 20 steps) |
    /// encoder (a transformer encoder layer: width 256, 8 heads, 64 tokens, feed-forward 1024) | conv3x3 (64-64 on 32 x 32, padded) |
    /// batchnorm (64 channels of 32 x 32)
    #[arg(long)]
    model: String,
    /// Batch size, at most 65,536
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    #[command(flatten)]
    pub(crate) cpu: Cpu,
    /// Precision of matrix products: f32 | bf16 (linear and convolutional layers, where the CPU has instructions for it)
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
    /// What is timed
    #[arg(long, value_enum, default_value_t = Pass::Train)]
    pass: Pass,
    /// How long to measure
    #[arg(long, default_value_t = 2.0, allow_negative_numbers = true, value_parser = usage::time)]
    seconds: f64,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Pass {
    /// Without a graph, as a policy acts
    Forward,
    /// Forward and backward
    Train,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    model: &'a str,
    batch: u32,
    threads: usize,
    precision: Precision,
    pass: Pass,
    isa: &'static str,
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
    gflops: f64,
    calls: usize,
}

/// Builds a model for a batch size and a precision.
type Build = fn(usize, Precision) -> Result<Work>;

/// One call of a pass.
type Call = Box<dyn FnMut() -> Result<()>>;

/// Calls of both passes, and the operations that each must do.
struct Work {
    forward: Call,
    train: Call,
    flop: [f64; 2],
}

/// `rl-run bench nn`.
pub(crate) fn run(args: &NnArgs) -> anyhow::Result<ExitCode> {
    let names = || MODELS.iter().map(|&(name, ..)| name);
    let Some(&(model, rounds, build)) = MODELS.iter().find(|(name, ..)| *name == args.model) else {
        let known = names().collect::<Vec<_>>().join(", ");
        bail!(usage(format!("--model {}: expected one of {known}{}", args.model, hint(&args.model, names()))));
    };
    let bf16 = args.precision == Precision::Bf16;
    if bf16 && !rounds {
        bail!(usage(format!("--precision bf16: {model} multiplies f32 only")));
    }
    if bf16 && args.precision.unit().is_none() {
        bail!(usage("--precision bf16: this CPU has no instructions for it"));
    }
    let Work { mut forward, mut train, flop } = build(args.batch as usize, args.precision)?;
    let (call, flop) = match args.pass {
        Pass::Forward => (&mut forward, flop[0]),
        Pass::Train => (&mut train, flop[1]),
    };
    let (mut times, calls) = time(call, args.seconds)?;
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let report = Report {
        model,
        batch: args.batch,
        threads: args.cpu.threads(),
        precision: args.precision,
        pass: args.pass,
        isa: args.precision.unit().unwrap_or(rl_nn::isa().name()),
        median_ms: 1e3 * median,
        min_ms: 1e3 * times[0],
        max_ms: 1e3 * times[times.len() - 1],
        gflops: 1e-9 * flop / median,
        calls,
    };
    output::line(if args.json { serde_json::to_string(&report)? } else { plain(&report) });
    Ok(ExitCode::SUCCESS)
}

fn plain(report: &Report<'_>) -> String {
    let Report { model, batch, threads, median_ms, min_ms, max_ms, gflops, isa, .. } = report;
    let threads = counted(*threads, "thread");
    let pass = if report.pass == Pass::Forward { "forward" } else { "train" };
    format!(
        "{model}, batch {batch}, {pass}, {threads}, {isa}: median {median_ms:.4} ms \
         ({min_ms:.4} to {max_ms:.4}), {gflops:.1} GF/s"
    )
}

/// Times calls in groups: returns the seconds per call of each group, and the number of all calls.
fn time(call: &mut Call, seconds: f64) -> anyhow::Result<(Vec<f64>, usize)> {
    (0..WARM_UP).try_for_each(|_| call())?;
    let mut size = 1;
    let mut group = |size: usize| -> Result<Duration> {
        let begin = Instant::now();
        (0..size).try_for_each(|_| call())?;
        Ok(begin.elapsed())
    };
    while group(size)? < LEAST {
        size *= 2;
    }
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < GROUPS || begin.elapsed().as_secs_f64() < seconds {
        times.push(group(size)?.as_secs_f64() / size as f64);
    }
    let calls = times.len() * size;
    Ok((times, calls))
}

/// Multiply-adds of the layers per row; no gradient of the frames is computed.
fn nature(batch: usize, precision: Precision) -> Result<Work> {
    let spec = Spec { frame: [84, 84, 1], stack: 4, vector: 0, ..shape(14) };
    let layers = [400 * 8 * 8 * 4 * 32, 81 * 4 * 4 * 32 * 64, 49 * 3 * 3 * 64 * 64, 3136 * 512, 512 * 14];
    values(&spec, &[512], batch, precision, &layers)
}

/// The network of `presets/dqn/cartpole.toml`.
fn mlp(batch: usize, precision: Precision) -> Result<Work> {
    let spec = Spec { vector: 4, ..shape(2) };
    values(&spec, &[128, 128], batch, precision, &[4 * 128, 128 * 128, 128 * 2])
}

/// One dense layer.
fn linear(batch: usize, precision: Precision) -> Result<Work> {
    layer(&[batch, 512], precision, batch * 512 * 512, |scope| {
        let layer = Linear::new(scope, 512, 512, Activation::None)?;
        Ok(move |x: &Tensor| layer.forward(x))
    })
}

/// 20 steps from a state of zeros.
fn lstm(batch: usize, precision: Precision) -> Result<Work> {
    layer(&[20, batch, 512], precision, 20 * batch * (512 + 512) * 4 * 512, |scope| {
        let lstm = Lstm::new(scope, 512, 512)?;
        let state = lstm.state(batch)?;
        Ok(move |x: &Tensor| Ok(lstm.forward(x, None, &state)?.0))
    })
}

/// A layer of a transformer's encoder, on 64 tokens: four projections, two products of attention, two dense layers.
fn encoder(batch: usize, precision: Precision) -> Result<Work> {
    let per_token = 4 * 256 * 256 + 2 * 64 * 256 + 2 * 256 * 1024;
    layer(&[batch, 64, 256], precision, batch * 64 * per_token, |scope| {
        let (bend, norm) = (FeedForwardActivation::Relu, NormPlace::After);
        let config = EncoderLayerConfig { width: 256, heads: 8, hidden: 1024, bend, norm, eps: 1e-5 };
        let layer = EncoderLayer::new(scope, config)?;
        Ok(move |x: &Tensor| layer.forward(x, &Mask::none()))
    })
}

/// A convolution that keeps the size of its images.
fn conv3x3(batch: usize, precision: Precision) -> Result<Work> {
    layer(&[batch, 32, 32, 64], precision, batch * 32 * 32 * 9 * 64 * 64, |scope| {
        let window = Window { kernel: [3; 2], stride: [1; 2], padding: [1; 2] };
        let layer = Conv2d::with_window(scope, [32, 32, 64], 64, window, Activation::None)?;
        Ok(move |x: &Tensor| layer.forward(x))
    })
}

/// With the statistics of the batch; it multiplies no matrices, so that it counts no operations.
fn batchnorm(batch: usize, precision: Precision) -> Result<Work> {
    layer(&[batch, 32, 32, 64], precision, 0, |scope| {
        let layer = BatchNorm::new(scope, 64, 0.1, 1e-5)?;
        Ok(move |x: &Tensor| layer.forward(x, Statistics::Batch))
    })
}

/// One layer on an input of `shape` whose gradient is asked for too, given that of its output.
fn layer<F: Fn(&Tensor) -> Result<Tensor> + 'static>(
    shape: &[usize],
    precision: Precision,
    multiply_adds: usize,
    build: impl FnOnce(&mut Scope<'_>) -> Result<F>,
) -> Result<Work> {
    let mut rng = Rng::new(1, Stream::Tool(0));
    let mut draws = |shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
    };
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    let layer = std::rc::Rc::new(build(&mut params.layer("layer").with_precision(precision))?);
    let x = Var::from_tensor(&draws(shape)?)?;
    let gradient = draws(layer(&x)?.dims())?;
    let (forward, input, mut grad) = (std::rc::Rc::clone(&layer), x.as_detached_tensor(), Vec::new());
    let train = move || {
        let loss = layer(&x)?.apply_op1(Given(gradient.clone()))?;
        std::hint::black_box(params.backward_to(&loss, &mut grad, &[&x])?);
        Ok(())
    };
    let forward = move || {
        std::hint::black_box(forward(&input)?);
        Ok(())
    };
    let flop = 2.0 * multiply_adds as f64;
    Ok(Work { forward: Box::new(forward), train: Box::new(train), flop: [flop, 3.0 * flop] })
}

/// A loss with a given gradient, which costs nothing.
struct Given(Tensor);

impl CustomOp1 for Given {
    fn name(&self) -> &'static str {
        "given"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

fn shape(actions: u32) -> Spec {
    let (symbols, discrete, continuous) = ([].into(), [actions].into(), [].into());
    Spec { frame: [0; 3], stack: 1, vector: 0, symbols, mask: false, discrete, continuous }
}

/// An encoder with a linear head of action values, on inputs and targets that stand still.
fn values(spec: &Spec, hidden: &[usize], batch: usize, precision: Precision, layers: &[usize]) -> Result<Work> {
    let device = Device::Cpu;
    let mut params = Params::new(&device, Rng::new(1, Stream::Init));
    let (trunk, hidden) = (Trunk::Nature, hidden.to_vec());
    let config = EncoderConfig { trunk, hidden, activation: Activation::Relu, layer_norm: false, precision };
    let encoder = encoder_for(spec, &config, &mut params.layer("encoder"))?;
    let actions = spec.discrete[0] as usize;
    let head = Linear::new(&mut params.layer("q"), encoder.width(), actions, Activation::None)?;
    let mut adam = Adam::new(&params, AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, clip: 0.0 })?;

    let mut rng = Rng::new(1, Stream::Tool(0));
    let frames: Vec<u8> = (0..batch * spec.frame_len() * spec.stack).map(|_| rng.below(256) as u8).collect();
    let vector: Vec<f32> = (0..batch * spec.vector).map(|_| rng.normal() as f32).collect();
    let action: Vec<u32> = (0..batch).map(|_| rng.below(actions as u32)).collect();
    let targets: Vec<f32> = (0..batch).map(|_| rng.normal() as f32).collect();
    let action = Tensor::from_vec(action, (batch, 1), &device)?;
    let targets = Tensor::from_vec(targets, batch, &device)?;

    let network = std::rc::Rc::new((encoder, head, frames, vector));
    let acting = std::rc::Rc::clone(&network);
    let mut flow = HostForward::default();
    let forward = move || {
        let (encoder, head, frames, vector) = &*acting;
        encoder.run(&ObsBatch { rows: batch, frames, vector, symbols: &[] }, &mut flow)?;
        flow.linear(head)?;
        std::hint::black_box(flow.values());
        Ok(())
    };
    let mut grad = Vec::new();
    let train = move || {
        let (encoder, head, frames, vector) = &*network;
        let q = head.forward(&encoder.forward(&ObsBatch { rows: batch, frames, vector, symbols: &[] })?)?; // [B, A]
        let q = q.gather(&action, 1)?.squeeze(1)?; // [B]
        params.backward(&huber(&q, &targets)?.mean_all()?, &mut grad)?;
        let _ = adam.step(&params, &grad, 1e-4)?; // what it comes to is not asked
        Ok(())
    };
    let forward_flop = 2.0 * (batch * layers.iter().sum::<usize>()) as f64;
    let flop = [forward_flop, 3.0 * forward_flop - 2.0 * (batch * layers[0]) as f64];
    Ok(Work { forward: Box::new(forward), train: Box::new(train), flop })
}
