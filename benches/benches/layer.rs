//! Cost of the layers of rl-nn, forward and backward with the gradients of inputs and parameters: those that
//! `benches/peers` compares with PyTorch, at its sizes, GRU and max pooling. Excludes optimiser and loss: the gradient
//! of the output is one.

use candle_core::{Device, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use rl_core::{Rng, Stream};
use rl_nn::{
    Activation, BatchNorm, Conv2d, EncoderLayer, EncoderLayerConfig, FeedForwardActivation, Gru, Lstm, Mask, NormPlace,
    Params, Statistics, Window, max_pool,
};

fn input(shape: &[usize]) -> Var {
    let mut rng = Rng::new(1, Stream::Tool(0));
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() as f32).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")).expect("a variable")
}

/// Times forward and backward of `run`, which makes its layer in fresh parameters.
fn step<L>(
    criterion: &mut Criterion,
    name: &str,
    shape: &[usize],
    make: impl FnOnce(&mut Params) -> candle_core::Result<L>,
    run: impl Fn(&L, &Tensor) -> candle_core::Result<Tensor>,
) {
    let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
    let layer = make(&mut params).expect("the layer can be made");
    let x = input(shape);
    let mut grad = Vec::new();
    let mut group = criterion.benchmark_group("layer");
    group.sample_size(20);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let y = run(&layer, &x).expect("the layer runs");
            params.backward(&y, &mut grad).expect("it has a backward pass"); // candle starts from ones
        });
    });
    group.finish();
}

fn layers(criterion: &mut Criterion) {
    let sequence = [20, 32, 512];
    let lstm = |lstm: &Lstm, x: &Tensor| Ok(lstm.forward(x, None, &lstm.state(32)?)?.0);
    step(criterion, "lstm/512x20x32", &sequence, |params| Lstm::new(&mut params.root(), 512, 512), lstm);
    let gru = |gru: &Gru, x: &Tensor| Ok(gru.forward(x, None, &gru.state(32)?)?.0);
    step(criterion, "gru/512x20x32", &sequence, |params| Gru::new(&mut params.root(), 512, 512), gru);
    let (bend, norm) = (FeedForwardActivation::Relu, NormPlace::After);
    let config = EncoderLayerConfig { width: 256, heads: 8, hidden: 1024, bend, norm, eps: 1e-5 };
    let make = |params: &mut Params| EncoderLayer::new(&mut params.root(), config);
    step(criterion, "encoder/256x64x32", &[32, 64, 256], make, |layer, x| layer.forward(x, &Mask::none()));
    let images = [32, 32, 32, 64];
    let window = Window { kernel: [3; 2], stride: [1; 2], padding: [1; 2] };
    let make =
        |params: &mut Params| Conv2d::with_window(&mut params.root(), [32, 32, 64], 64, window, Activation::None);
    step(criterion, "conv3x3/64x32x32x32", &images, make, |layer, x| layer.forward(x));
    let make = |params: &mut Params| BatchNorm::new(&mut params.root(), 64, 0.1, 1e-5);
    step(criterion, "batch_norm/64x32x32x32", &images, make, |norm, x| norm.forward(x, Statistics::Batch));
    step(criterion, "max_pool/64x32x32x32", &images, |_| Ok(()), |(), x| max_pool(x, Window::square(2)));
}

criterion_group!(benches, layers);
criterion_main!(benches);
