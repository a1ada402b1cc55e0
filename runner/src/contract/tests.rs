//! Agents that break one promise each are found out, and those of rl-run keep all.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rl_agents::{Actor, AgentEntry, Context, Learner, Mode, Plan, Policy, Published};
use rl_core::{Error, Reduce, Result, Rng, Saved, State, Stream};
use rl_nn::Params;
use rl_replays::{Outputs, Rollout};

use super::*;
use crate::games::play::SEATS;
use crate::planners::PLANNERS;
use crate::preset::{Ask, resolve};
use crate::session::tests::resolved;
use crate::tables::Tables;
use crate::toy;

/// The toy, but for the flaw that breaks the promise of this name.
struct Flawed {
    flaw: &'static str,
    toy: Box<dyn Learner>,
    counter: Counter,
    /// How often its weights were lent, to be saved or loaded, for policies to see.
    lent: Arc<AtomicU64>,
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
    let toy = (toy::ENTRY.build)(context)?;
    let counter = Counter { value: Arc::default(), careless: flaw == "damage" };
    if flaw == "seed" {
        counter.set(BUILT.fetch_add(1, Ordering::Relaxed));
    }
    Ok(Box::new(Flawed { flaw, toy, counter, lent: Arc::default(), rounds: 0 }))
}

const fn entry<const PROMISE: usize>() -> [AgentEntry; 1] {
    [AgentEntry { id: "flawed", build: flawed::<PROMISE>, ..toy::ENTRY }]
}

static FLAWED: [[AgentEntry; 1]; 16] = [
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
    entry::<12>(),
    entry::<13>(),
    entry::<14>(),
    entry::<15>(),
];

impl Flawed {
    fn wrong(&self, flaw: &'static str, seats: Range<u32>) -> Result<Wrong> {
        let (updates, lent) = (self.updates(), self.lent.clone());
        let made = lent.load(Ordering::Relaxed);
        let rng = Rng::new(1, Stream::Init);
        Ok(Wrong { flaw, updates, lent, made, rows: 0, sampled: false, rng, toy: self.toy.policy(seats)? })
    }
}

impl Learner for Flawed {
    fn plan(&self) -> Plan {
        self.toy.plan()
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        if self.flaw == "evaluation" && seats.start >= SEATS {
            self.counter.set(self.counter.get() + 1);
        }
        Ok(Box::new(self.wrong(self.flaw, seats)?))
    }

    fn actor(&self, seats: Range<u32>) -> Result<Option<Actor>> {
        if self.flaw != "actors" {
            return Ok(None);
        }
        let weights = Published::default().follow(Params::new(&Device::Cpu, Rng::new(1, Stream::Init)));
        Ok(Some(Actor { policy: Box::new(self.wrong("an actor", seats)?), weights, max_lag: 0 }))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        self.rounds += 1;
        match self.flaw {
            "groups" => self.counter.set(blocks.len() as u64),
            "threads" => self.counter.set(rayon::current_num_threads() as u64),
            "state" => self.counter.set(self.rounds),
            _ => {}
        }
        if self.flaw == "learning" {
            return Err(Error::NotFinite { update: 1, what: "the loss is NaN".to_owned(), batch: Vec::new() });
        }
        self.toy.learn(blocks, reduce, log)
    }

    fn updates(&self) -> u64 {
        self.toy.updates()
    }

    fn weights(&mut self) -> &mut dyn Saved {
        self.lent.fetch_add(1, Ordering::Relaxed);
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
    /// Updates of the learner when the policy was made.
    updates: u64,
    /// How often the learner's weights were lent by now, and when it was made.
    lent: Arc<AtomicU64>,
    made: u64,
    /// Rows since the first seat's episode began, as far as the policy saw it.
    rows: u64,
    /// Whether it has ever chosen by chance.
    sampled: bool,
    /// One stream for all seats.
    rng: Rng,
    toy: Box<dyn Policy>,
}

impl Policy for Wrong {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        self.toy.act(blocks, t, mode)?;
        self.rows = if blocks[0].age[(t, 0)] == 0 { 0 } else { self.rows + 1 };
        let (evaluated, greedy) = (mode != Mode::Explore, matches!(mode, Mode::Evaluate { greedy: true, .. }));
        let shift = match self.flaw {
            "actions" => 100,
            "an actor" => 1,
            "newest" if greedy => u64::from(self.lent.load(Ordering::Relaxed) > self.made),
            "weights" if evaluated => u64::from(self.updates > 0),
            "greedy" if greedy => u64::from(self.sampled),
            "memory" if greedy => self.rows,
            "outputs" if evaluated => u64::from(blocks[0].records_outputs()),
            _ => 0,
        };
        self.sampled |= !greedy;
        for block in blocks {
            let count = block.spec().discrete[0];
            for action in block.discrete.row_mut(t) {
                *action += shift as u32;
                if self.flaw == "seats" && evaluated && !greedy {
                    *action += self.rng.below(count);
                }
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

/// The agent that breaks the promise of this number.
pub(crate) fn breaker(promise: usize) -> Subject {
    let tables = Tables::new(&[rl_envs::ENVS], &[&FLAWED[promise]]);
    let ask = Ask { env: "frozenlake", agent: Some("flawed"), ..Ask::default() };
    subject(resolve(&tables, &ask).unwrap(), 200)
}

#[test]
fn an_agent_that_breaks_a_promise_is_told_which() {
    assert_eq!(FLAWED.len(), PROMISES.len(), "a flaw for each promise");
    for (number, promise) in PROMISES.iter().enumerate() {
        let subject = breaker(number);
        let how = check(&subject).expect_err(promise.name).to_string();
        assert!(how.starts_with(&format!("{}: ", promise.name)), "{}: {how}", promise.name);
        // No other is broken; but a run that cannot be repeated is none to compare with.
        let all = if promise.name == "seed" { &["seed", "groups", "threads"][..] } else { &[promise.name] };
        let is_broken = |other: &&Promise| matches!(other.check(&subject), Verdict::Broken(_));
        let broken: Vec<&str> = PROMISES.iter().filter(is_broken).map(|other| other.name).collect();
        assert_eq!(broken, all, "{how}");
    }
}

#[test]
fn every_agent_keeps_what_all_promise() {
    let cases = [
        ("cartpole", "dqn", 300, &["actors"][..]),
        ("frozenlake", "rainbow", 300, &["actors"]),
        ("cartpole", "c51", 300, &["actors"]),
        ("cartpole", "qrdqn", 300, &["actors"]),
        ("cartpole", "iqn", 300, &["actors"]),
        ("cartpole-positions", "r2d2", 300, &["memory", "actors"]),
        ("cartpole", "ppo", 300, &["actors"]),
        ("cartpole-positions", "ppo", 300, &["memory", "actors"]),
        ("pendulum", "ppo", 300, &["actors"]),
        ("mountaincar-continuous", "a2c", 300, &["actors"]),
        ("frozenlake", "a2c", 300, &["actors"]),
        ("cartpole", "pqn", 300, &["actors"]),
        ("cartpole", "impala", 300, &[]),
        ("frozenlake", "tabular", 300, &["actors"]),
        ("connectfour", "alphazero", 100, &["actors"]),
    ];
    #[cfg(feature = "atari")]
    let cases = [&cases[..], &[("atari/breakout", "drq", 60, &["actors"][..])]].concat();
    // Of those that learn from recordings the tests of demonstrations show it.
    let all: BTreeSet<&str> = rl_agents::AGENTS.iter().chain(PLANNERS).map(|agent| agent.id).collect();
    let mut checked: BTreeSet<&str> = cases.iter().map(|case| case.1).collect();
    checked.extend(["bc", "drq"]); // drq wants frames: it is among them where there are games of Atari
    assert_eq!(checked, all);
    for (env, agent, steps, idle) in cases {
        let subject = subject(resolved(env, agent), steps);
        let mut lacking = Vec::new();
        for promise in PROMISES {
            match promise.check(&subject) {
                Verdict::Kept(_) => {}
                Verdict::Lacking(_) => lacking.push(promise.name),
                Verdict::Broken(how) | Verdict::Unchecked(how) => panic!("{agent} on {env}: {}: {how}", promise.name),
            }
        }
        assert_eq!(lacking, idle, "{agent} on {env}");
    }
}
