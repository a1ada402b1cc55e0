//! No act allocates once its buffers have grown: neither gathering, nor the network, nor the choice.

#[path = "../../envs/tests/support/counting.rs"]
mod counting;
#[path = "../src/alphazero/tests/nim.rs"]
mod nim;

use candle_core::Device;
use counting::allocations;
use rl_agents::{AGENTS, Context, Mode};
use rl_core::{Game as _, Rng, Spec, Stream};
use rl_nn::Precision;
use rl_replays::Rollout;

const TRUNKS: &[&str] = &["nature", "padded", "small", "impala"];

fn spec(frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]) -> Spec {
    let (symbols, discrete, continuous) = (symbols.into(), [4].into(), [].into());
    Spec { frame, stack, vector, symbols, mask: false, discrete, continuous }
}

#[test]
fn no_act_allocates_after_the_first() {
    let cases = [
        ("cartpole", spec([0; 3], 1, 4, &[])),
        ("cartpole-positions", spec([0; 3], 1, 2, &[])),
        ("frozenlake", spec([0; 3], 1, 0, &[16])),
        ("atari/", spec([84, 84, 1], 4, 0, &[])),
    ];
    // Trunks differ on frames alone; one agent is enough.
    let trunks = |agent: &str, preset: &str| if (agent, preset) == ("ppo", "atari/") { TRUNKS } else { &TRUNKS[..1] };
    // The kernels cut large batches for the pool: the list of parts and the pool's queue are memory. Here they stay in
    // this thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
    let mut tried = Vec::new();
    let pairs = AGENTS.iter().flat_map(|agent| cases.iter().map(move |case| (agent, case)));
    for (agent, (preset, spec), trunk) in
        pairs.flat_map(|(agent, case)| trunks(agent.id, case.0).iter().map(move |trunk| (agent, case, *trunk)))
    {
        let what = format!("{} on {preset}, {trunk}", agent.id);
        let Some((_, text)) = agent.presets.iter().find(|(name, _)| name == preset) else { continue };
        if (agent.refuses)(spec).is_some() {
            continue;
        }
        tried.push(agent.id);
        let mut config = text.parse::<toml::Table>().unwrap()["agent"].as_table().unwrap().clone();
        if let Some(capacity) = config.get_mut("replay_capacity") {
            *capacity = 100.into();
        }
        if let Some(minibatches) = config.get_mut("minibatches") {
            *minibatches = 1.into(); // one seat may have no more sequences
        }
        if let Some(key) = config.get_mut("trunk") {
            *key = trunk.into();
        }
        for (seats, precision) in [(1, Precision::F32), (3, Precision::F32), (16, Precision::F32), (3, Precision::Bf16)]
        {
            let context = Context { spec, config: &config, seats, seed: 1, device: &Device::Cpu, precision };
            let learner = (agent.build)(&context).unwrap();
            let mut policy = learner.policy(0..seats).unwrap();
            let mut block = Rollout::new(spec, 1, seats as usize, learner.plan().extra);
            let mut rng = Rng::new(3, Stream::Tool(0));
            block.vector.row_mut(0).iter_mut().for_each(|x| *x = rng.normal() as f32);
            let mut act = |mode| {
                let before = allocations();
                policy.act(std::slice::from_mut(&mut block), 0, mode).unwrap();
                allocations() - before
            };
            let evaluate = |epsilon, greedy| Mode::Evaluate { epsilon, greedy };
            let modes = [evaluate(0.0, false), evaluate(0.5, false), evaluate(0.0, true), Mode::Explore];
            pool.install(|| {
                // A table has nothing to make.
                let first = act(evaluate(0.0, false));
                assert!(first > 0 || agent.id == "tabular", "{what}: the first act of {seats} seats makes the buffers");
                act(Mode::Explore); // may have more to keep
                let later: u64 = (0..20).map(|i| act(modes[i % modes.len()])).sum();
                assert_eq!(later, 0, "{what}, {seats} seats");
            });
        }
    }
    assert_eq!(tried.len(), 34 + TRUNKS.len(), "pairs of an agent and a case, one of them with every trunk: {tried:?}");
    let left_out = AGENTS.iter().find(|agent| !tried.contains(&agent.id)).map(|agent| agent.id);
    assert_eq!(left_out, None, "an agent that none of the cases has a preset for");
}

#[test]
fn no_search_allocates_after_the_first() {
    let agent = rl_agents::alphazero::<nim::Nim>("nim", &[]);
    let spec = Spec { vector: 2 * (nim::MOST + 1), mask: true, discrete: [3].into(), ..Spec::none() };
    let text = include_str!("../../presets/alphazero/connectfour.toml");
    let config = text.parse::<toml::Table>().unwrap()["agent"].as_table().unwrap().clone();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
    for precision in [Precision::F32, Precision::Bf16] {
        let context = Context { spec: &spec, config: &config, seats: 4, seed: 1, device: &Device::Cpu, precision };
        let learner = (agent.build)(&context).unwrap();
        let mut policy = learner.policy(0..4).unwrap();
        let mut block = Rollout::new(&spec, 1, 4, learner.plan().extra);
        (0..4).for_each(|e| nim::Nim { left: 11 - e, plies: 0 }.observe(block.vector.at_mut(0, e)));
        let mut act = |mode| {
            let before = allocations();
            policy.act(std::slice::from_mut(&mut block), 0, mode).unwrap();
            allocations() - before
        };
        let modes = [Mode::Explore, Mode::Evaluate { epsilon: 0.0, greedy: true }];
        pool.install(|| {
            assert!(modes.iter().all(|&mode| act(mode) > 0), "the first search of each kind makes the buffers");
            assert_eq!((0..6).map(|i| act(modes[i % 2])).sum::<u64>(), 0);
        });
    }
}
