//! Registry entries of the DQN family: one learner, each entry with its own presets.

use super::allocation::allocation;
use super::{Dqn, refuses};
use crate::AgentEntry;

/// The presets of an agent, by the environments that all of the family serve.
macro_rules! presets {
    ($agent:literal) => {
        &[
            ("cartpole", include_str!(concat!("../../../presets/", $agent, "/cartpole.toml"))),
            ("cartpole-v0", include_str!(concat!("../../../presets/", $agent, "/cartpole.toml"))),
            ("frozenlake", include_str!(concat!("../../../presets/", $agent, "/frozenlake.toml"))),
            ("atari/kung_fu_master", include_str!(concat!("../../../presets/", $agent, "/kung_fu_master.toml"))),
            ("atari/", include_str!(concat!("../../../presets/", $agent, "/atari.toml"))),
        ]
    };
}

/// Deep Q-network (DQN). Source: Mnih et al. 2015.
pub(crate) const DQN: AgentEntry = AgentEntry {
    id: "dqn",
    summary: "Deep Q-network with replay and target network; the rest of the family by switch",
    refuses: |spec| refuses("dqn", spec),
    presets: &[
        ("cartpole", include_str!("../../../presets/dqn/cartpole.toml")),
        ("cartpole-v0", include_str!("../../../presets/dqn/cartpole.toml")),
        ("frozenlake", include_str!("../../../presets/dqn/frozenlake.toml")),
        ("frozenlake8x8", include_str!("../../../presets/dqn/frozenlake8x8.toml")),
        ("acrobot", include_str!("../../../presets/dqn/acrobot.toml")),
        ("cliffwalking", include_str!("../../../presets/dqn/cliffwalking.toml")),
        ("mountaincar", include_str!("../../../presets/dqn/mountaincar.toml")),
        ("taxi", include_str!("../../../presets/dqn/taxi.toml")),
        ("blackjack", include_str!("../../../presets/dqn/blackjack.toml")),
        ("atari/kung_fu_master", include_str!("../../../presets/dqn/kung_fu_master.toml")),
        ("atari/", include_str!("../../../presets/dqn/atari.toml")),
        ("doom/", include_str!("../../../presets/dqn/doom.toml")),
    ],
    stochastic: false,
    allocation,
    build: |context| Ok(Box::new(Dqn::new("dqn", context)?)),
};

/// Rainbow. Source: Hessel et al. 2018.
pub(crate) const RAINBOW: AgentEntry = AgentEntry {
    id: "rainbow",
    summary: "DQN with six improvements: double, dueling, n-step, priorities, noisy weights, a categorical distribution",
    refuses: |spec| refuses("rainbow", spec),
    presets: presets!("rainbow"),
    build: |context| Ok(Box::new(Dqn::new("rainbow", context)?)),
    ..DQN
};

/// Categorical DQN (C51). Source: Bellemare et al. 2017.
pub(crate) const C51: AgentEntry = AgentEntry {
    id: "c51",
    summary: "DQN that learns the distribution of returns on 51 atoms",
    refuses: |spec| refuses("c51", spec),
    presets: presets!("c51"),
    build: |context| Ok(Box::new(Dqn::new("c51", context)?)),
    ..DQN
};

/// Quantile DQN (QR-DQN). Source: Dabney et al. 2018, "Distributional reinforcement learning with quantile regression".
pub(crate) const QRDQN: AgentEntry = AgentEntry {
    id: "qrdqn",
    summary: "DQN that learns quantiles of the return",
    refuses: |spec| refuses("qrdqn", spec),
    presets: presets!("qrdqn"),
    build: |context| Ok(Box::new(Dqn::new("qrdqn", context)?)),
    ..DQN
};

/// Implicit quantile networks (IQN). Source: Dabney et al. 2018, "Implicit quantile networks".
pub(crate) const IQN: AgentEntry = AgentEntry {
    id: "iqn",
    summary: "DQN that learns any quantile of the return that is asked for",
    refuses: |spec| refuses("iqn", spec),
    presets: presets!("iqn"),
    build: |context| Ok(Box::new(Dqn::new("iqn", context)?)),
    ..DQN
};

/// Recurrent replay (R2D2). Source: Kapturowski et al. 2019.
pub(crate) const R2D2: AgentEntry = AgentEntry {
    id: "r2d2",
    summary: "DQN with a memory, which learns from sequences of its replay",
    refuses: |spec| refuses("r2d2", spec),
    presets: &[
        ("cartpole", include_str!("../../../presets/r2d2/cartpole.toml")),
        ("cartpole-v0", include_str!("../../../presets/r2d2/cartpole.toml")),
        ("cartpole-positions", include_str!("../../../presets/r2d2/cartpole-positions.toml")),
        ("atari/kung_fu_master", include_str!("../../../presets/r2d2/kung_fu_master.toml")),
        ("atari/", include_str!("../../../presets/r2d2/atari.toml")),
    ],
    build: |context| Ok(Box::new(Dqn::new("r2d2", context)?)),
    ..DQN
};

/// Data-regularised Q-learning (DrQ) with Rainbow as learner. Source: Yarats et al. 2021.
pub(crate) const DRQ: AgentEntry = AgentEntry {
    id: "drq",
    summary: "Rainbow with many updates on augmented frames (shift, intensity): for 100,000 steps of a game",
    refuses: |spec| {
        let sees = || (spec.frame_len() == 0).then(|| "drq needs frames; this environment shows none".to_owned());
        refuses("drq", spec).or_else(sees)
    },
    presets: &[("atari/", include_str!("../../../presets/drq/atari.toml"))],
    build: |context| Ok(Box::new(Dqn::new("drq", context)?)),
    ..DQN
};
