//! Cost of an agent: choosing actions for `n` seats, and learning from one block.
//! Excludes stepping the environment. Learning includes appending to the replay, gathering, and every update that the
//! preset asks for per agent step; its replay is smaller and its start earlier than the preset says, so that it begins.

use std::time::Instant;

use candle_core::Device;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rl_agents::{AGENTS, Context, Learner, Mode};
use rl_benches::{Actions, envs, fill, seats};
use rl_core::{Solo, Spec};
use rl_nn::Precision;
use rl_replays::Rollout;
use toml::Table;

/// Agent steps before learning, and room for them.
const START: i64 = 1_000;
const CAPACITY: i64 = 20_000;

fn dqn(name: &str, spec: &Spec, n: usize) -> Box<dyn Learner> {
    let agent = AGENTS.iter().find(|agent| agent.id == "dqn").expect("there is a dqn");
    let keys = if name == "kungfu" { ["atari/kung_fu_master", "atari/"] } else { [name, name] };
    let of = |key: &str| agent.presets.iter().find(|(known, _)| *known == key).map(|&(_, text)| text);
    let text = of(keys[0]).or_else(|| of(keys[1])).expect("dqn has a preset for it");
    let mut config = text.parse::<Table>().expect("presets are TOML")["agent"].as_table().expect("a table").clone();
    config.insert("learning_starts".to_owned(), START.into());
    config.insert("replay_capacity".to_owned(), CAPACITY.into());
    let context =
        Context { spec, config: &config, seats: n as u32, seed: 1, device: &Device::Cpu, precision: Precision::F32 };
    (agent.build)(&context).unwrap_or_else(|e| panic!("dqn on {name}: {e}"))
}

fn act(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("act");
    for name in envs() {
        for n in [1, 8] {
            let mut env = seats(name, n);
            let learner = dqn(name, env.spec(), n);
            let mut block = Rollout::new(env.spec(), 1, n, learner.plan().extra);
            env.reset(block.first()).expect("the environment resets");
            let mut policy = learner.policy(0..n as u32).expect("a policy");
            let mode = Mode::Evaluate { epsilon: 0.0, greedy: true };
            group.throughput(Throughput::Elements(n as u64));
            group.bench_function(BenchmarkId::new(name, n), |bencher| {
                bencher.iter(|| policy.act(std::slice::from_mut(&mut block), 0, mode).expect("the policy acts"));
            });
        }
    }
    group.finish();
}

fn learn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("learn");
    group.sample_size(20);
    for name in envs() {
        let n = 8;
        let mut env = seats(name, n);
        let mut learner = dqn(name, env.spec(), n);
        let plan = learner.plan();
        let mut block = Rollout::new(env.spec(), plan.horizon, n, plan.extra);
        let mut actions = Actions::new(env.spec(), n);
        let mut log = rl_agents::Log::default();
        env.reset(block.first()).expect("the environment resets");
        // A learner takes each block once: the next one begins with the row that this one ends with.
        let mut round = || {
            fill(env.as_mut(), &mut block, &mut actions);
            let begin = Instant::now();
            learner.learn(std::slice::from_ref(&block), &mut Solo, &mut log).expect("the learner learns");
            let took = begin.elapsed();
            block.carry();
            (took, learner.updates())
        };
        while round().1 == 0 {}
        group.throughput(Throughput::Elements((plan.horizon * n) as u64));
        group.bench_function(BenchmarkId::new(name, n), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| round().0).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, act, learn);
criterion_main!(benches);
