//! Classic control against whole episodes of Gymnasium from given states, and the states that our episodes start in.

#[path = "support/seated.rs"]
mod seated;

use rl_core::{Act, Env, Obs};
use rl_envs::classic::acrobot::Acrobot;
use rl_envs::classic::mountain_car::MountainCar;
use rl_envs::classic::mountain_car_continuous::MountainCarContinuous;
use rl_envs::classic::pendulum::Pendulum;
use seated::with;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Golden {
    gymnasium: String,
    episodes: Vec<Episode>,
}

#[derive(Deserialize)]
struct Episode {
    config: serde_json::Value,
    policy: String,
    end: String,
    start: Vec<f64>,
    actions: Vec<f32>,
    rewards: Vec<f32>,
    shown: Vec<Vec<f32>>,
}

fn obs(vector: &mut [f32]) -> Obs<'_> {
    Obs { frame: &mut [], vector, symbols: &mut [], legal: &mut [] }
}

/// Plays the episodes of a golden file and compares every bit of what is shown; every step goes on from the saved state
/// of the one before, in an environment that has seen nothing else. Sines and cosines of `libm` are another
/// implementation than NumPy's, but on these episodes they never differ by enough to be seen.
fn compare<E: Env<Config: DeserializeOwned>, const S: usize>(
    text: &str,
    episodes: usize,
    start_from: fn(&mut E, [f64; S]),
) {
    let golden: Golden = serde_json::from_str(text).unwrap();
    assert_eq!((golden.gymnasium.as_str(), golden.episodes.len()), ("1.4.0", episodes));
    for Episode { config, policy, end, start, actions, rewards, shown } in &golden.episodes {
        let new = || E::new(&serde_json::from_value(config.clone()).unwrap()).unwrap();
        let mut env = new();
        start_from(&mut env, start.as_slice().try_into().unwrap());
        let spec = env.spec();
        let mut seen = vec![0.0; spec.vector];
        for (t, &action) in actions.iter().enumerate() {
            let (discrete, continuous) = ([action as u32], [action]);
            let discrete = &discrete[..spec.discrete.len()];
            let act = Act { discrete, continuous: &continuous[..spec.continuous.len()] };
            let step = env.step(act, obs(&mut seen)).unwrap();
            let place = format!("{} {config}, {policy}, step {t}", E::ID);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&seen), bits(&shown[t]), "{place}: {seen:?}, expected {:?}", shown[t]);
            assert_eq!(step.reward, rewards[t], "{place}");
            let expected = if t + 1 == actions.len() { end } else { "no" };
            assert_eq!(step.end.name(), expected, "{place}");
            let mut saved = Vec::new();
            env.save(&mut saved).unwrap();
            env = new();
            env.load(&saved).unwrap_or_else(|refused| panic!("{place}: {refused}"));
        }
    }
}

#[test]
fn mountain_car_equals_gymnasiums() {
    let text = include_str!("../../tests/golden/classic/mountaincar.json");
    compare(text, 9, MountainCar::start_from);
}

#[test]
fn continuous_mountain_car_equals_gymnasiums() {
    let text = include_str!("../../tests/golden/classic/mountaincar-continuous.json");
    compare(text, 8, MountainCarContinuous::start_from);
}

#[test]
fn acrobot_equals_gymnasiums() {
    compare(include_str!("../../tests/golden/classic/acrobot.json"), 5, Acrobot::start_from);
}

#[test]
fn pendulum_equals_gymnasiums() {
    compare(include_str!("../../tests/golden/classic/pendulum.json"), 6, Pendulum::start_from);
}

/// The smallest and the greatest of each value over the starts of many episodes.
fn starts(id: &str) -> Vec<(f32, f32)> {
    let mut env = with(id, "").unwrap();
    let mut buffer = seated::RowsBuf::new(&env.spec().clone(), 1);
    let mut range = vec![(f32::INFINITY, f32::NEG_INFINITY); env.spec().vector];
    for _ in 0..4_000 {
        env.reset(buffer.rows()).unwrap();
        for ((low, high), &value) in range.iter_mut().zip(&buffer.vector) {
            (*low, *high) = (low.min(value), high.max(value));
        }
    }
    range
}

#[track_caller]
fn assert_fills((low, high): (f32, f32), from: f32, to: f32) {
    let slack = (to - from) / 200.0;
    assert!(low >= from && low < from + slack && high <= to && high > to - slack, "{low} to {high}");
}

#[test]
fn episodes_start_in_the_whole_range_of_gymnasiums() {
    for id in ["mountaincar", "mountaincar-continuous"] {
        let range = starts(id);
        assert_fills(range[0], -0.6, -0.4);
        assert_eq!(range[1], (0.0, 0.0), "{id}");
    }
    let acrobot = starts("acrobot");
    for (sine, speed) in [(1, 4), (3, 5)] {
        assert_fills(acrobot[sine], -0.1, 0.1); // an angle of at most 0.1
        assert_fills(acrobot[speed], -0.1, 0.1);
    }
    let pendulum = starts("pendulum");
    pendulum.iter().for_each(|&range| assert_fills(range, -1.0, 1.0));
}

#[test]
fn noise_changes_the_swing_and_comes_from_the_episodes_seed() {
    let swing = |noise: f64| {
        let mut env = with("acrobot", &format!("torque_noise = {noise:?}")).unwrap();
        seated::play(&mut *env, 40, 1, 0x55)
    };
    assert!(swing(0.5) == swing(0.5), "one seed, one swing");
    assert!(swing(0.5) != swing(0.0), "noise is felt");
    // Noise as small as this moves no bit that is shown within few steps: it is centred on no noise, and in proportion.
    assert!(swing(1e-12)[..20] == swing(0.0)[..20]);
}

#[test]
fn bad_values_are_refused() {
    let check = |id: &str, change: &str, expected: &str| {
        let error = with(id, change).err().unwrap_or_else(|| panic!("{change} was taken")).to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{change}: {error}");
    };
    for id in ["mountaincar", "mountaincar-continuous", "acrobot", "pendulum"] {
        check(id, "max_steps = 0", "env.max_steps: must be at least 1");
    }
    check("mountaincar", "goal_velocity = 0.08", "env.goal_velocity: 0.08 is faster than the car can be, 0.07");
    check("mountaincar", "goal_velocity = nan", "env.goal_velocity: NaN is not finite");
    check("mountaincar-continuous", "goal_velocity = inf", "env.goal_velocity: inf is not finite");
    check("acrobot", "torque_noise = -0.5", "env.torque_noise: -0.5 is not a torque from 0 to 1000");
    check("acrobot", "torque_noise = nan", "env.torque_noise: NaN is not");
    check("pendulum", "g = inf", "env.g: inf is not finite");
}
