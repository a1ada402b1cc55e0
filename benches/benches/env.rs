//! Cost of stepping an environment, all seats in one thread, resets included. Excludes choosing actions (drawn before)
//! and whatever reads the rows.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rl_benches::{Actions, envs, seats, step};
use rl_replays::Rollout;

/// Rows of the block that is written to, as in training.
const HORIZON: usize = 32;

fn env(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("env");
    for name in envs() {
        for n in [1, 8] {
            let mut env = seats(name, n);
            let mut block = Rollout::new(env.spec(), HORIZON, n, 0);
            let mut actions = Actions::new(env.spec(), n);
            env.reset(block.first()).expect("the environment resets");
            let mut t = 0;
            group.throughput(Throughput::Elements(n as u64));
            group.bench_function(BenchmarkId::new(name, n), |bencher| {
                bencher.iter(|| {
                    if t == HORIZON {
                        block.carry();
                        t = 0;
                    }
                    step(env.as_mut(), &mut block, t, &mut actions);
                    t += 1;
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, env);
criterion_main!(benches);
