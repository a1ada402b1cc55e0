//! Agents that break one promise each are found out, and those of rl-run keep all.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rl_agents::{AgentEntry, Context, Learner, Mode, Plan, Policy};
use rl_core::{Error, Reduce, Result, Saved, State};
use rl_replays::{Outputs, Rollout};

use super::*;
use crate::games::play::SEATS;
use crate::preset::{Ask, resolve};
use crate::session::tests::resolved;
use crate::tables::Tables;
use crate::toy;

/// The toy, but for the flaw that breaks the promise of this name.
struct Flawed {
    flaw: &'static str,
    seed: u64,
    toy: Box<dyn Learner>,
    counter: Counter,
    /// Rounds of learning since it was built: what the flaw `state` forgets.
    rounds: u64,
}

/// A number that is saved, and loaded with care or without.
struct Counter {
    value: Arc<AtomicU64>,
    careless: bool,
}

impl Counter {
    fn set(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl Saved for Counter {
    fn save(&self, out: &mut dyn std::io::Write) -> Result<()> {
        Ok(out.write_all(&self.get().to_le_bytes())?)
    }

    fn load(&mut self, from: &mut dyn std::io::Read) -> Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        if self.careless {
            bytes.resize(8, 0);
        }
        let wrong = |_| Error::State { part: "counter".to_owned(), message: "is no number".to_owned() };
        self.set(u64::from_le_bytes(bytes.try_into().map_err(wrong)?));
        Ok(())
    }
}

/// Counts learners, as chance that no seed decides.
static BUILT: AtomicU64 = AtomicU64::new(0);

fn flawed<const PROMISE: usize>(context: &Context<'_>) -> Result<Box<dyn Learner>> {
    let flaw = PROMISES[PROMISE].name;
    // The toy takes what it does not know.
    if flaw != "settings" && context.config.contains_key("no_such_key") {
        return Err(Error::Config { key: "agent.no_such_key".to_owned(), message: "is unknown".to_owned() });
    }
    let (toy, seed) = ((toy::ENTRY.build)(context)?, context.seed);
    let counter = Counter { value: Arc::default(), careless: flaw == "damage" };
    if flaw == "seed" {
        counter.set(BUILT.fetch_add(1, Ordering::Relaxed));
    }
    Ok(Box::new(Flawed { flaw, seed, toy, counter, rounds: 0 }))
}

const fn entry<const PROMISE: usize>() -> [AgentEntry; 1] {
    [AgentEntry { id: "flawed", build: flawed::<PROMISE>, ..toy::ENTRY }]
}

static FLAWED: [[AgentEntry; 1]; 12] = [
    entry::<0>(),
    entry::<1>(),
    entry::<2>(),
    entry::<3>(),
    entry::<4>(),
    entry::<5>(),
    entry::<6>(),
    entry::<7>(),
    entry::<8>(),
    entry::<9>(),
    entry::<10>(),
    entry::<11>(),
];

impl Learner for Flawed {
    fn plan(&self) -> Plan {
        self.toy.plan()
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        if self.flaw == "trials" && seats.start >= SEATS {
            self.counter.set(self.counter.get() + 1);
        }
        let (flaw, seed, updates) = (self.flaw, self.seed, self.updates());
        Ok(Box::new(Wrong { flaw, seed, updates, rows: 0, toy: self.toy.policy(seats)? }))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        self.rounds += 1;
        match self.flaw {
            "groups" => self.counter.set(blocks.len() as u64),
            "threads" => self.counter.set(rayon::current_num_threads() as u64),
            "state" => self.counter.set(self.rounds),
            _ => {}
        }
        self.toy.learn(blocks, reduce, log)
    }

    fn updates(&self) -> u64 {
        self.toy.updates()
    }

    fn weights(&mut self) -> &mut dyn Saved {
        self.toy.weights()
    }

    fn state(&mut self) -> State<'_> {
        let own = ("counter".to_owned(), &mut self.counter as &mut dyn Saved);
        self.toy.state().into_iter().chain([own]).collect()
    }
}

/// The policy of a [`Flawed`] learner.
struct Wrong {
    flaw: &'static str,
    seed: u64,
    /// Updates of the learner when the policy was made.
    updates: u64,
    /// Rows that it has acted in.
    rows: u64,
    toy: Box<dyn Policy>,
}

impl Policy for Wrong {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        self.toy.act(blocks, t, mode)?;
        self.rows += 1;
        let evaluated = mode != Mode::Explore;
        let shift = match self.flaw {
            "actions" => 100,
            "weights" if evaluated => u64::from(self.updates > 0),
            "greedy" if evaluated => self.seed,
            "memory" if evaluated => self.rows,
            "outputs" if evaluated => u64::from(blocks[0].records_outputs()),
            _ => return Ok(()),
        };
        for block in blocks {
            let count = block.spec().discrete[0];
            for action in block.discrete.row_mut(t) {
                *action += shift as u32;
                if self.flaw != "actions" {
                    *action %= count;
                }
            }
        }
        Ok(())
    }

    fn outputs(&self) -> Option<Outputs> {
        (self.flaw == "outputs").then_some(Outputs::Q)
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        self.toy.state()
    }
}

fn subject(resolved: Resolved, steps: u64) -> Subject {
    Subject::new(resolved, 1, Device::Cpu, steps, Stop::default()).unwrap()
}

#[test]
fn an_agent_that_breaks_a_promise_is_told_which() {
    assert_eq!(FLAWED.len(), PROMISES.len(), "a flaw for each promise");
    for (flawed, promise) in FLAWED.iter().zip(PROMISES) {
        let tables = Tables::new(&[rl_envs::ENVS], &[flawed]);
        let ask = Ask { env: "frozenlake", agent: Some("flawed"), ..Ask::default() };
        let subject = subject(resolve(&tables, &ask).unwrap(), 200);
        let how = check(&subject).expect_err(promise.name).to_string();
        assert!(how.starts_with(&format!("{}: ", promise.name)), "{}: {how}", promise.name);
        // All others are kept, or do not apply; but nothing is compared with a run that cannot be repeated.
        let all = if promise.name == "seed" { &["seed", "groups", "threads"][..] } else { &[promise.name] };
        if promise.name != "actions" {
            let broken: Vec<&str> =
                PROMISES.iter().filter(|other| other.check(&subject).is_err()).map(|other| other.name).collect();
            assert_eq!(broken, all, "{how}");
        }
    }
}

#[test]
fn every_agent_keeps_what_all_promise() {
    let cases = [
        ("cartpole", "dqn", 300),
        ("frozenlake", "rainbow", 300),
        ("cartpole", "c51", 300),
        ("cartpole", "qrdqn", 300),
        ("cartpole", "iqn", 300),
        ("cartpole-positions", "r2d2", 300),
        ("cartpole", "ppo", 300),
        ("cartpole-positions", "ppo", 300),
        ("pendulum", "ppo", 300),
        ("mountaincar-continuous", "a2c", 300),
        ("frozenlake", "a2c", 300),
        ("cartpole", "pqn", 300),
        ("cartpole", "impala", 300),
        ("frozenlake", "tabular", 300),
        ("connectfour", "alphazero", 100),
    ];
    #[cfg(feature = "atari")]
    let cases = [&cases[..], &[("atari/breakout", "drq", 60)]].concat();
    for (env, agent, steps) in cases {
        let subject = subject(resolved(env, agent), steps);
        for promise in PROMISES {
            let found = promise.check(&subject);
            assert!(found.is_ok(), "{agent} on {env}: {}: {}", promise.name, found.unwrap_err());
        }
        assert!(subject.trained().unwrap().coverage.updates > 0, "{agent} on {env} learns");
    }
}
