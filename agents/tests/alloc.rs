//! No act allocates once its buffers have grown: neither gathering, nor the network, nor the choice.

#[path = "../../envs/tests/support/counting.rs"]
mod counting;

use candle_core::Device;
use counting::allocations;
use rl_agents::{AGENTS, Context, Mode};
use rl_core::{Rng, Spec, Stream};
use rl_replays::Rollout;

fn spec(frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]) -> Spec {
    let (symbols, discrete, continuous) = (symbols.into(), [4].into(), [].into());
    Spec { frame, stack, vector, symbols, mask: false, discrete, continuous }
}

#[test]
fn no_act_of_dqn_allocates_after_the_first() {
    let dqn = AGENTS.iter().find(|agent| agent.id == "dqn").unwrap();
    let cases = [
        ("cartpole", spec([0; 3], 1, 4, &[])),
        ("frozenlake", spec([0; 3], 1, 0, &[16])),
        ("atari/", spec([84, 84, 1], 4, 0, &[])),
    ];
    // The kernels hand large batches to the pool, whose queue grows now and then: here they stay in this thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
    for (preset, spec) in cases {
        let text = dqn.presets.iter().find(|(name, _)| *name == preset).unwrap().1;
        let mut config = text.parse::<toml::Table>().unwrap()["agent"].as_table().unwrap().clone();
        config.insert("replay_capacity".to_owned(), 100.into());
        for seats in [1, 3, 16] {
            let context = Context { spec: &spec, config: &config, seats, seed: 1, device: &Device::Cpu };
            let learner = (dqn.build)(&context).unwrap();
            let mut policy = learner.policy(0..seats).unwrap();
            let mut block = Rollout::new(&spec, 1, seats as usize, 0);
            let mut rng = Rng::new(3, Stream::Tool(0));
            block.vector.row_mut(0).iter_mut().for_each(|x| *x = rng.normal() as f32);
            let mut act = |epsilon| {
                let mode = Mode::Evaluate { epsilon, greedy: false };
                let before = allocations();
                policy.act(std::slice::from_mut(&mut block), 0, mode).unwrap();
                allocations() - before
            };
            pool.install(|| {
                assert_ne!(act(0.0), 0, "{preset}: the first act of {seats} seats makes the buffers");
                let later: u64 = (0..20).map(|i| act(f32::from(i as u8 % 2) * 0.5)).sum();
                assert_eq!(later, 0, "{preset}, {seats} seats");
            });
        }
    }
}
