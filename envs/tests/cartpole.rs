//! CartPole against whole episodes of Gymnasium from given states.

#[path = "support/seated.rs"]
mod seated;

use rl_core::{Act, Env, Obs, Rng, Stream};
use rl_envs::Observe;
use rl_envs::classic::cartpole::{CartPole, Config};
use seated::with;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    gymnasium: String,
    episodes: Vec<Episode>,
}

#[derive(Deserialize)]
struct Episode {
    max_steps: u32,
    sutton_barto_reward: bool,
    policy: String,
    end: String,
    actions: Vec<u32>,
    rewards: Vec<f32>,
    states: Vec<[f64; 4]>,
}

fn obs(vector: &mut [f32]) -> Obs<'_> {
    Obs { frame: &mut [], vector, symbols: &mut [], legal: &mut [] }
}

#[test]
fn whole_episodes_equal_gymnasiums_to_the_bit_of_what_is_shown() {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/cartpole/episodes.json")).unwrap();
    assert_eq!((golden.gymnasium.as_str(), golden.episodes.len()), ("1.4.0", 10));
    for Episode { max_steps, sutton_barto_reward, policy, end, actions, rewards, states } in &golden.episodes {
        let config = |observe| Config { max_steps: *max_steps, sutton_barto_reward: *sutton_barto_reward, observe };
        let mut env = CartPole::new(&config(Observe::All)).unwrap();
        let mut blind = CartPole::new(&config(Observe::Positions)).unwrap();
        env.start_from(states[0]);
        blind.start_from(states[0]);
        let mut seen = [0.0f32; 4];
        for (t, &action) in actions.iter().enumerate() {
            let step = env.step(Act { discrete: &[action], continuous: &[] }, obs(&mut seen)).unwrap();
            let place = format!("{policy} within {max_steps}, step {t}");
            let theirs = states[t + 1].map(|value| value as f32); // as Gymnasium shows it
            assert_eq!(seen.map(f32::to_bits), theirs.map(f32::to_bits), "{place}: {seen:?}, expected {theirs:?}");
            assert_eq!(step.reward, rewards[t], "{place}");
            let expected = if t + 1 == actions.len() { end } else { "no" };
            assert_eq!(step.end.name(), expected, "{place}");
            let mut positions = [0.0f32; 2];
            let same = blind.step(Act { discrete: &[action], continuous: &[] }, obs(&mut positions)).unwrap();
            assert_eq!((same, positions), (step, [seen[0], seen[2]]), "{place}, positions alone");
        }
    }
}

#[test]
fn starts_are_uniform_in_a_twentieth_and_fixed_by_the_seed() {
    let mut env = CartPole::new(&Config { max_steps: 500, sutton_barto_reward: false, observe: Observe::All }).unwrap();
    let mut rng = Rng::new(0, Stream::Env(0));
    let (mut low, mut high, mut sum) = ([0.0f32; 4], [0.0f32; 4], [0.0f32; 4]);
    for _ in 0..2_000 {
        let mut seen = [0.0; 4];
        env.reset(rng.u64(), obs(&mut seen)).unwrap();
        for (i, value) in seen.into_iter().enumerate() {
            (low[i], high[i], sum[i]) = (low[i].min(value), high[i].max(value), sum[i] + value);
        }
    }
    for i in 0..4 {
        assert!((-0.05..-0.0495).contains(&low[i]) && (0.0495..0.05).contains(&high[i]), "{low:?} {high:?}");
        assert!((sum[i] / 2_000.0).abs() < 0.002, "{sum:?}");
    }
}

#[test]
fn v0_is_v1_with_fewer_steps() {
    let [v0, v1] = ["cartpole-v0", "cartpole"].map(|id| {
        let mut env = with(id, "").unwrap();
        seated::play(&mut *env, 150, 1, 0x55)
    });
    assert!(v0 == v1, "random episodes are shorter than either limit");
}

#[test]
fn bad_values_are_refused() {
    let check = |change: &str, expected: &str| {
        let error = with("cartpole", change).err().unwrap_or_else(|| panic!("{change} was taken")).to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{change}: {error}");
    };
    check("max_steps = 0", "env.max_steps: must be at least 1");
    check("max_steps = 1.5", "1.5");
    check("sutton_barto_reward = 1", "boolean");
    check("gravity = 9.8", "gravity");
    check("observe = 'angles'", "unknown variant `angles`, expected `all` or `positions`");
}
