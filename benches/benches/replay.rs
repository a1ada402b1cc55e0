//! Cost of the replay buffer, uniform and prioritised: appending a block, and gathering a batch of 32 with its stacked
//! frames and three-step returns.
//! Excludes stepping the environment and everything that a network does.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rl_benches::{Actions, envs, fill, seats};
use rl_core::{LifeLoss, Rng, Stream};
use rl_replays::{NStepReturns, Replay, RewardTransform, Rollout, Sample};

const SEATS: usize = 8;
const HORIZON: usize = 32;
/// 70 MB of frames of a game: larger than caches, and filled in seconds.
const CAPACITY: usize = 10_000;
const BATCH: usize = 32;

fn replay(criterion: &mut Criterion) {
    let targets = NStepReturns { n_step: 3, gamma: 0.99, life_loss: LifeLoss::Ignore };
    for name in envs() {
        let mut env = seats(name, SEATS);
        let spec = env.spec().clone();
        let mut block = Rollout::new(&spec, HORIZON, SEATS, 0);
        let mut actions = Actions::new(&spec, SEATS);
        let mut replay = Replay::new(&spec, SEATS, CAPACITY, targets);
        let mut prioritised = Replay::new(&spec, SEATS, CAPACITY, targets).prioritised();
        env.reset(block.first()).expect("the environment resets");
        for _ in 0..CAPACITY / (HORIZON * SEATS) + 1 {
            fill(env.as_mut(), &mut block, &mut actions);
            for ring in [&mut replay, &mut prioritised] {
                ring.append(std::slice::from_ref(&block)).expect("the block begins with the newest row");
            }
            block.carry();
        }

        let mut group = criterion.benchmark_group("gather");
        let (mut rng, mut sample) = (Rng::new(1, Stream::Learn), Sample::new(&spec, BATCH));
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(BenchmarkId::new(name, BATCH), |bencher| {
            bencher.iter(|| replay.sample(&mut rng, RewardTransform::Sign, &mut sample).expect("the replay is full"));
        });
        let weights: Vec<f64> = (1..=BATCH).map(|i| i as f64).collect();
        group.bench_function(BenchmarkId::new(format!("{name}, prioritised"), BATCH), |bencher| {
            bencher.iter(|| {
                prioritised.sample(&mut rng, RewardTransform::Sign, &mut sample).expect("the replay is full");
                prioritised.set_priorities(&sample.places, &weights);
            });
        });
        group.finish();

        let mut group = criterion.benchmark_group("append");
        group.throughput(Throughput::Elements((HORIZON * SEATS) as u64));
        group.bench_function(BenchmarkId::new(name, SEATS), |bencher| {
            bencher.iter(|| replay.append(std::slice::from_ref(&block)).expect("it begins as it ends"));
        });
        group.bench_function(BenchmarkId::new(format!("{name}, prioritised"), SEATS), |bencher| {
            bencher.iter(|| prioritised.append(std::slice::from_ref(&block)).expect("it begins as it ends"));
        });
        group.finish();
    }
}

criterion_group!(benches, replay);
criterion_main!(benches);
