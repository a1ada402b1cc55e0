//! Saved states that nobody saved: what could not be stepped from is refused, and what can be is stepped without a panic.
#![forbid(unsafe_code)]

#[path = "support/seated.rs"]
mod seated;

use rl_core::{Act, End, Env, Obs, Result, Rng, save_postcard};
use rl_envs::board::connect_four::ConnectFour;
use rl_envs::cards::blackjack::Blackjack;
use rl_envs::classic::acrobot::Acrobot;
use rl_envs::classic::cartpole::CartPole;
use rl_envs::classic::mountain_car::MountainCar;
use rl_envs::classic::pendulum::Pendulum;
use rl_envs::grid::cliff_walking::CliffWalking;
use seated::{preset, with};
use serde::Serialize;

/// Loads `state`, whose fields are those of the environment's own state in their order.
fn load<E: Env>(state: impl Serialize) -> Result<E> {
    let entry = rl_envs::ENVS.iter().find(|entry| entry.id == E::ID).unwrap();
    let mut env = E::new(&preset(entry, E::ID).try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    save_postcard(&state, &mut bytes).unwrap();
    env.load(&bytes).map(|()| env)
}

fn refused<E: Env>(state: impl Serialize) {
    let error = load::<E>(state).err().unwrap_or_else(|| panic!("{} took it", E::ID)).to_string();
    assert!(error.starts_with(&format!("saved state of {}", E::ID)), "{error}");
}

#[test]
fn values_that_no_episode_reaches_are_refused() {
    for far in [1e300, f64::NAN, f64::INFINITY] {
        refused::<CartPole>((far, 0.0, 0.0, 0.0, 3u32));
        refused::<MountainCar>((far, 0.0, 3u32));
        refused::<MountainCar>((-0.5, far, 3u32));
        refused::<Pendulum>((far, 0.0, 0f32, 3u32));
        refused::<Pendulum>((0.0, far, 0f32, 3u32));
        // An angle that moves so fast never comes back between -π and π.
        refused::<Acrobot>(([0.0, 0.0, far, 0.0], 3u32, Rng::episode(0)));
    }
}

#[test]
fn noise_beyond_which_an_angle_would_not_come_back_is_refused_by_its_key() {
    let error = with("acrobot", "torque_noise = 1e300").err().unwrap().to_string();
    assert!(error.contains("env.torque_noise") && error.contains("from 0 to 1000"), "{error}");
}

#[test]
fn steps_without_a_limit_leave_room_to_count_on() {
    let endless: toml::Table = "slippery = false\nmax_steps = 0".parse().unwrap();
    let mut env = CliffWalking::new(&endless.try_into().unwrap()).unwrap();
    for (steps, fits) in [(5, true), (u32::MAX, false)] {
        let mut bytes = Vec::new();
        save_postcard(&(36u32, steps, None::<u8>, Rng::episode(0)), &mut bytes).unwrap();
        assert_eq!(env.load(&bytes).is_ok(), fits, "{steps}");
    }
}

#[test]
fn stones_that_hang_in_the_air_are_refused() {
    refused::<ConnectFour>((0u64, 2u64, Rng::episode(0)));
    refused::<ConnectFour>((u64::MAX, u64::MAX, Rng::episode(0)));
}

/// The longest hand and one that is bust, each in an episode that is said to go on.
#[test]
fn nobody_draws_to_a_hand_that_is_bust() {
    let hand = |cards: &[u8]| {
        let mut all = [0u8; 22];
        all[..cards.len()].copy_from_slice(cards);
        (all, cards.len() as u8)
    };
    let dealer = hand(&[10, 7]);
    refused::<Blackjack>((hand(&[10; 22]), dealer, false, Rng::episode(0)));
    refused::<Blackjack>((hand(&[10]), dealer, false, Rng::episode(0)));
    for cards in [&[1; 22][..], &[10, 10, 10]] {
        let mut env = load::<Blackjack>((hand(cards), dealer, false, Rng::episode(0))).unwrap();
        let mut symbols = [0; 3];
        let obs = Obs { frame: &mut [], vector: &mut [], symbols: &mut symbols, legal: &mut [] };
        let step = env.step(Act { discrete: &[1], continuous: &[] }, obs).unwrap();
        assert_eq!((step.reward, step.end), (-1.0, End::Terminated));
        assert!(symbols[0] < 32, "{symbols:?}");
    }
}
