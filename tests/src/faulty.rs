//! `rl-run` with an environment that fails when `RL_FAULT` says so: `what number after`, such as `panic 3 200`; and with an agent
//! whose checkpoints nobody could write.
//!
//! `what` is `step`, `panic` (in a step), `reset`, `reset-panic`, `save` or `load`; `number` is of environments in the order in
//! which a process builds them, which for those of training is their seat, or `3..` for that and all later ones; it fails once it
//! has made `after` steps.
#![forbid(unsafe_code)]

mod twins;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rl_core::{Act, Canvas, End, Env, EnvEntry, Error, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard};
use serde::Deserialize;

const ENTRY: EnvEntry = EnvEntry {
    agents: &[
        ("ppo", include_str!("../../presets/ppo/cartpole.toml")),
        ("impala", include_str!("../../presets/impala/cartpole.toml")),
    ],
    ..EnvEntry::single::<Faulty>("For tests: fails on purpose", "[env]\n\n[eval]\nepisodes = 1\nepsilon = 0.0\n")
};

/// Environments built so far.
static BUILT: AtomicU32 = AtomicU32::new(0);

/// What goes wrong, with which environments, after how many steps.
struct Fault {
    what: String,
    first: u32,
    last: u32,
    after: u32,
}

fn fault() -> Option<&'static Fault> {
    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
    let read = || {
        let text = std::env::var("RL_FAULT").ok()?;
        let mut words = text.split(' ');
        let (what, number, after) = (words.next()?.to_owned(), words.next()?, words.next()?.parse().ok()?);
        let (first, last) = match number.strip_suffix("..") {
            Some(first) => (first.parse().ok()?, u32::MAX),
            None => (number.parse().ok()?, number.parse().ok()?),
        };
        Some(Fault { what, first, last, after })
    };
    FAULT.get_or_init(read).as_ref()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

/// Shows the last action and its age; actions that alternate earn rewards, for 20 steps.
struct Faulty {
    number: u32,
    made: u32,
    age: u32,
    last: u32,
}

impl Faulty {
    fn fails(&self, what: &str) -> bool {
        fault().is_some_and(|fault| {
            fault.what == what && (fault.first..=fault.last).contains(&self.number) && self.made >= fault.after
        })
    }

    fn error(&self, message: &str) -> Error {
        Error::Engine { env: Self::ID.to_owned(), message: message.to_owned() }
    }

    fn show(&self, vector: &mut [f32]) {
        vector.copy_from_slice(&[self.last as f32, self.age as f32 / 20.0]);
    }
}

impl Env for Faulty {
    const ID: &'static str = "faulty";
    const VERSION: u32 = 1;
    type Config = Config;

    fn new(_config: &Config) -> Result<Self> {
        Ok(Self { number: BUILT.fetch_add(1, Ordering::Relaxed), made: 0, age: 0, last: 0 })
    }

    fn spec(&self) -> Spec {
        Spec { vector: 2, discrete: [2].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, obs: Obs<'_>) -> Result<()> {
        if self.fails("reset") {
            return Err(self.error("its engine broke"));
        }
        assert!(!self.fails("reset-panic"), "its author erred");
        (self.age, self.last) = (0, Rng::episode(seed).below(2));
        self.show(obs.vector);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step> {
        self.made += 1;
        if self.fails("step") {
            return Err(self.error("its engine broke"));
        }
        assert!(!self.fails("panic"), "its author erred");
        let reward = f32::from(u8::from(act.discrete[0] != self.last));
        (self.age, self.last) = (self.age + 1, act.discrete[0]);
        self.show(obs.vector);
        Ok(Step { reward, end: End::of(false, self.age == 20), frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        if self.fails("save") {
            return Err(self.error("its engine gives no state"));
        }
        save_postcard(&(self.age, self.last), out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        if self.fails("load") {
            return Err(self.error("its engine takes no state"));
        }
        (self.age, self.last) = load_postcard(Self::ID, bytes)?;
        Ok(())
    }

    fn draw(&self, _canvas: &mut Canvas) {}
}

fn main() -> ExitCode {
    rl_runner::main(&[rl_envs::ENVS, &[ENTRY]], &[rl_agents::AGENTS, rl_runner::PLANNERS, &[twins::ENTRY]])
}
