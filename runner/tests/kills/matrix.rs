//! The table: which runs are killed, how often, and when.

use crate::moment::Kind::{self, Between, Resume, Start, Write};

/// One row.
pub(crate) struct Case {
    pub(crate) agent: &'static str,
    pub(crate) env: &'static str,
    /// Words of the command line.
    words: [&'static str; 2],
    pub(crate) moments: &'static [Kind],
    /// Kills of a run; what is left of `moments` is for the next ones.
    pub(crate) kills: usize,
    /// Which episodes are recorded.
    pub(crate) record: &'static str,
}

impl Case {
    /// The command line but for the directory and the threads.
    pub(crate) fn line(&self) -> String {
        let [agent, env] = self.words;
        let record = self.record;
        format!("{agent} {env} --seed 3 --quiet --json --set train.keep_checkpoints=3 --record {record}")
    }

    const fn recording(self, record: &'static str) -> Self {
        Self { record, ..self }
    }
}

const DQN: &str = "--agent dqn --set agent.priorities={kind=\"proportional\",eps=1e-6,\
    alpha={start=0.6,end=0.6,steps=1},beta={start=0.4,end=1.0,steps=9000}}";
const PPO: &str = "--agent ppo";
const A2C: &str = "--agent a2c";
const RECURRENT: &str = "--agent ppo --set agent.memory={kind=\"gru\",units=16,steps=16}";

/// Every fifth episode; the other two remove what they kept before.
pub(crate) const EVERY: &str = "every:5";

/// Four runs of five kills.
const TWENTY: &[Kind] = &[
    Start, Between, Between, Between, Between, // a run
    Between, Between, Write, Between, Between, // a run
    Between, Resume, Between, Between, Between, // a run
    Between, Between, Between, Between, Between,
];

/// Two runs of five kills.
const TEN: &[Kind] = &[Between, Between, Between, Between, Between, Between, Between, Write, Between, Between];

/// One run.
const FEW: &[Kind] = &[Between, Write, Resume];

const fn of(agent: &'static str, env: &'static str, words: [&'static str; 2], moments: &'static [Kind]) -> Case {
    let kills = if moments.len() < 5 { moments.len() } else { 5 };
    Case { agent, env, words, moments, kills, record: EVERY }
}

/// Sticky actions, and a network that a core trains while one waits.
macro_rules! kungfu {
    ($rest:literal) => {
        concat!(
            "--env kungfu --set env.protocol=machado18 --set train.envs=4 --set agent.trunk=small --set agent.hidden=[64] ",
            $rest
        )
    };
}

/// The whole matrix, by agent.
pub(crate) const LONG: [[Case; 3]; 4] = [
    [
        of(
            "dqn with priorities",
            "frozenlake",
            [
                DQN,
                "--env frozenlake --frames 24000 --set train.checkpoint_every=800 --set agent.batch=64 --eval-every 3000 --eval-episodes 5",
            ],
            TWENTY,
        ),
        of(
            "dqn with priorities",
            "cartpole",
            [
                DQN,
                "--env cartpole --frames 16000 --set train.checkpoint_every=500 --set agent.batch=32 --eval-every 3000 --eval-episodes 5",
            ],
            TWENTY,
        ),
        of(
            "dqn with priorities",
            "kungfu",
            [
                DQN,
                kungfu!(
                    "--frames 9600 --set train.checkpoint_every=400 --set agent.learning_starts=200 --set agent.batch=8 --set agent.replay_capacity=1000"
                ),
            ],
            TEN,
        ),
    ],
    [
        of(
            "ppo",
            "frozenlake",
            [
                PPO,
                "--env frozenlake --frames 60000 --set train.envs=8 --set train.checkpoint_every=2000 --eval-every 9000 --eval-episodes 5",
            ],
            TWENTY,
        ),
        of(
            "ppo",
            "cartpole",
            [
                PPO,
                "--env cartpole --frames 40000 --set train.envs=4 --set train.checkpoint_every=1300 --eval-every 9000 --eval-episodes 5",
            ],
            TWENTY,
        ),
        of(
            "ppo",
            "kungfu",
            [
                PPO,
                kungfu!(
                    "--frames 14000 --set train.checkpoint_every=550 --set agent.horizon=32 --set agent.minibatches=2"
                ),
            ],
            TEN,
        ),
    ],
    [
        of(
            "a2c",
            "frozenlake",
            [
                A2C,
                "--env frozenlake --frames 90000 --set train.checkpoint_every=3000 --eval-every 9000 --eval-episodes 5",
            ],
            TWENTY,
        ),
        of(
            "a2c",
            "cartpole",
            [
                A2C,
                "--env cartpole --frames 60000 --set train.checkpoint_every=2000 --eval-every 9000 --eval-episodes 5",
            ],
            TWENTY,
        ),
        of("a2c", "kungfu", [A2C, kungfu!("--frames 14000 --set train.checkpoint_every=550")], TEN),
    ],
    [
        of(
            "recurrent ppo",
            "frozenlake",
            [
                RECURRENT,
                "--env frozenlake --frames 40000 --set train.envs=8 --set train.checkpoint_every=1300 --eval-every 9000 --eval-episodes 5",
            ],
            TWENTY,
        ),
        of(
            "recurrent ppo",
            "cartpole",
            [
                RECURRENT,
                "--env cartpole --frames 30000 --set train.envs=4 --set train.checkpoint_every=1000 --eval-every 9000 --eval-episodes 5",
            ],
            TWENTY,
        ),
        of(
            "recurrent ppo",
            "kungfu",
            [
                RECURRENT,
                kungfu!(
                    "--frames 14000 --set train.checkpoint_every=550 --set agent.horizon=32 --set agent.minibatches=2"
                ),
            ],
            TEN,
        ),
    ],
];

/// What every test run does.
pub(crate) const SHORT: [Case; 4] = [
    of(
        "dqn with priorities",
        "frozenlake",
        [
            DQN,
            "--env frozenlake --frames 6000 --set train.checkpoint_every=300 --set agent.batch=16 --eval-every 1500 --eval-episodes 5",
        ],
        FEW,
    ),
    of(
        "ppo",
        "frozenlake",
        [
            PPO,
            "--env frozenlake --frames 12000 --set train.envs=8 --set agent.horizon=32 --set train.checkpoint_every=600",
        ],
        FEW,
    ),
    of("a2c", "frozenlake", [A2C, "--env frozenlake --frames 12000 --set train.checkpoint_every=600"], FEW)
        .recording("last:3"),
    of(
        "recurrent ppo",
        "frozenlake",
        [
            RECURRENT,
            "--env frozenlake --frames 9000 --set train.envs=8 --set agent.horizon=32 --set train.checkpoint_every=450",
        ],
        FEW,
    )
    .recording("best"),
];
