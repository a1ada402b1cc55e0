//! Each switch learns: to walk along a corridor, by the whole loop of policy, replay and updates.
//!
//! Five cells; 1 goes ahead and beyond the last one ends the episode with a reward of 1, 0 goes back. After twelve steps
//! the episode is cut, which is no end: who took it for one would find the cells behind worth less than they are.

use rl_replays::Rollout;

use super::*;

const CELLS: usize = 5;
const CUT: u32 = 12;
const GAMMA: f64 = 0.8;

fn corridor() -> Spec {
    let (symbols, discrete, continuous) = ([CELLS as u32].into(), [2].into(), [].into());
    Spec { frame: [0; 3], stack: 1, vector: 0, symbols, mask: false, discrete, continuous }
}

/// Answers the actions of row `t` in row `t + 1`.
fn step(block: &mut Rollout, t: usize) {
    for e in 0..block.seats() {
        let over = block.end[(t, e)].over();
        let (cell, age) = (block.symbols.row(t)[e] as usize, block.age[(t, e)]);
        let ahead = block.discrete.row(t)[e] == 1;
        let won = !over && ahead && cell + 1 == CELLS;
        let next = if over {
            0
        } else if ahead {
            (cell + 1).min(CELLS - 1)
        } else {
            cell.saturating_sub(1)
        };
        block.symbols.row_mut(t + 1)[e] = next as u32;
        block.age[(t + 1, e)] = if over { 0 } else { age + 1 };
        block.reward[(t + 1, e)] = if won { 1.0 } else { 0.0 };
        let cut = !over && age + 1 == CUT;
        block.end[(t + 1, e)] = if won {
            End::Terminated
        } else if cut {
            End::Truncated
        } else {
            End::No
        };
    }
}

/// Values of both actions in every cell, after `steps` agent steps.
fn learn(config: &Config, steps: usize) -> Vec<[f32; 2]> {
    let (spec, seats) = (corridor(), 4);
    let mut dqn = learner(&spec, config, seats).unwrap();
    let mut policy = dqn.policy(0..seats).unwrap();
    let horizon = dqn.plan().horizon;
    let mut block = [Rollout::new(&spec, horizon, seats as usize, dqn.plan().extra)];
    for _ in 0..steps / (horizon * seats as usize) {
        for t in 0..horizon {
            policy.act(&mut block, t, Mode::Explore).unwrap();
            step(&mut block[0], t);
        }
        dqn.learn(&block, &mut Solo, &mut Log::default()).unwrap();
        block[0].carry();
    }
    let symbols: Vec<u32> = (0..CELLS as u32).collect();
    let obs = rl_perception::ObsBatch { rows: CELLS, frames: &[], vector: &[], symbols: &symbols };
    let mut draws = crate::q_net::Draws::default();
    let taus = if config.values.taus().act > 0 { 32 } else { 0 };
    draws.taus.extend((0..CELLS * taus).map(|i| ((i % taus) as f32 + 0.5) / taus as f32));
    let mut pass = crate::q_net::Pass::default();
    // One after the other, as a seat that goes ahead sees them.
    let (mut starts, states) = ([0.0; CELLS], vec![0.0; dqn.net.state_width()]);
    starts[0] = 1.0;
    let outputs = dqn.net.unroll(&obs, &starts, &states, &draws, &mut pass).unwrap();
    let width = outputs.len() / (2 * CELLS);
    let means = dqn.config.values.distribution().means(outputs, [width, 2], 0..width, &mut Vec::new()).to_vec();
    let worth = |value: f32| rescale::Rescale(config.rescale).undo(f64::from(value)) as f32;
    means.chunks_exact(2).map(|pair| [worth(pair[0]), worth(pair[1])]).collect()
}

#[test]
fn every_switch_learns_what_each_cell_is_worth() {
    let base = Config {
        lr: 3e-3,
        gamma: GAMMA,
        batch: 32,
        replay_capacity: 2000,
        learning_starts: 200,
        update_period: 4,
        target_period: 40,
        epsilon: Schedule { start: 1.0, end: 0.2, steps: 1000, delay: 0 },
        trunk: Trunk::Nature,
        hidden: vec![24, 24],
        init: InitScheme::Torch,
        ..config()
    };
    let alone = Schedule { start: 0.0, end: 0.0, steps: 0, delay: 0 };
    let noise = ("noise instead of random actions", Config { noisy: 0.5, epsilon: alone, ..base.clone() });
    for (name, config) in family::compositions(&base).into_iter().chain([noise]) {
        let values = learn(&config, 6000);
        let soft = matches!(config.bootstrap, Bootstrap::Munchausen { .. });
        for (cell, [back, ahead]) in values.iter().copied().enumerate() {
            assert!(ahead > back, "{name}: in cell {cell} {values:?}");
            let worth = GAMMA.powi((CELLS - 1 - cell) as i32);
            // Munchausen values are those of another problem, with the same best actions.
            assert!(soft || (f64::from(ahead) - worth).abs() < 0.1, "{name}: cell {cell} is worth {worth}: {values:?}");
        }
    }
}
