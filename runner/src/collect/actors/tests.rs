//! Actors against their promises: nothing is lost, nothing is left behind, and the first failure is told.

use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use candle_core::Device;
use rl_agents::{AGENTS, Context, Log, Plan};
use rl_core::{Act, Batch, Canvas, End, Env, Error, Obs, Reduce, Saved, Spec, State, Step};

use super::*;
use crate::checkpoint::manifest::Owner;
use crate::checkpoint::{self, Checkpoint};
use crate::collect::{self, Workers};
use crate::preset::{Ask, resolve};
use crate::session::hash;
use crate::session::{Acting, Counts, Session, WEIGHTS, Window};
use crate::tables::Tables;

/// What goes wrong with environments once their fuse is burnt down.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    Fails,
    Panics,
    FailsForever,
    Loses,
}

/// Counts its steps, and those of all others on one fuse.
struct Line {
    at: f32,
    fuse: Arc<AtomicI64>,
    trouble: Trouble,
}

fn spec() -> Spec {
    Spec { vector: 1, discrete: [2].into(), ..Spec::none() }
}

impl Env for Line {
    const ID: &'static str = "line";
    const VERSION: u32 = 1;
    type Config = ();

    fn new(_config: &()) -> rl_core::Result<Self> {
        Ok(Self { at: 0.0, fuse: Arc::default(), trouble: Trouble::None })
    }

    fn spec(&self) -> Spec {
        spec()
    }

    fn reset(&mut self, _seed: u64, obs: Obs<'_>) -> rl_core::Result<()> {
        (self.at, obs.vector[0]) = (0.0, 0.0);
        Ok(())
    }

    fn step(&mut self, _act: Act<'_>, obs: Obs<'_>) -> rl_core::Result<Step> {
        self.at += 1.0;
        obs.vector[0] = self.at;
        let left = self.fuse.fetch_sub(1, Ordering::Relaxed);
        match self.trouble {
            Trouble::Panics if left == 1 => panic!("the line broke"),
            Trouble::Fails if left == 1 => Err(broken()),
            Trouble::Loses if left == 1 => {
                Err(Error::Lost { env: Self::ID.to_owned(), message: "the engine died".to_owned() })
            }
            Trouble::FailsForever if left <= 1 => Err(broken()),
            _ => Ok(Step { reward: 1.0, end: End::of(false, self.at >= 7.0), frames: 1 }),
        }
    }

    fn save(&self, out: &mut Vec<u8>) -> rl_core::Result<()> {
        out.extend(self.at.to_le_bytes());
        Ok(())
    }

    fn load(&mut self, bytes: &[u8]) -> rl_core::Result<()> {
        self.at = f32::from_le_bytes(bytes.try_into().expect("four bytes"));
        Ok(())
    }

    fn draw(&self, _canvas: &mut Canvas) {}
}

fn broken() -> Error {
    Error::Engine { env: "line".to_owned(), message: "broke".to_owned() }
}

/// What a learner saw, block by block.
#[derive(Default)]
struct Record {
    lags: Vec<u64>,
    /// Rows at which a block does not begin where the one before it ended.
    gaps: usize,
    /// What each seat saw last.
    last: Vec<Vec<f32>>,
    /// Seeds of environments that were built.
    seeds: Vec<u64>,
}

/// IMPALA with its eyes open, which takes its time or blows up at an update.
struct Watched {
    inner: Box<dyn Learner>,
    record: Arc<Mutex<Record>>,
    pause: Duration,
    blows: Option<(u64, bool)>,
}

impl Learner for Watched {
    fn plan(&self) -> Plan {
        self.inner.plan()
    }

    fn policy(&self, seats: Range<u32>) -> rl_core::Result<Box<dyn Policy>> {
        self.inner.policy(seats)
    }

    fn actor(&self, seats: Range<u32>) -> rl_core::Result<Option<Actor>> {
        self.inner.actor(seats)
    }

    fn publish(&mut self) -> rl_core::Result<()> {
        self.inner.publish()
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> rl_core::Result<()> {
        let mut record = self.record.lock().unwrap();
        record.last.resize(blocks.len(), Vec::new());
        for (number, block) in blocks.iter().enumerate() {
            record.lags.push(self.updates() - block.weights_version);
            let begins = !record.last[number].is_empty() && record.last[number] != block.vector.row(0);
            record.gaps += usize::from(begins);
            record.last[number] = block.vector.row(block.horizon()).to_vec();
        }
        drop(record);
        std::thread::sleep(self.pause);
        match self.blows {
            Some((at, true)) if at == self.updates() => panic!("the learner blew"),
            Some((at, false)) if at == self.updates() => return Err(Error::Tensor("the learner failed".into())),
            _ => {}
        }
        self.inner.learn(blocks, reduce, log)
    }

    fn updates(&self) -> u64 {
        self.inner.updates()
    }

    fn weights(&mut self) -> &mut dyn Saved {
        self.inner.weights()
    }

    fn state(&mut self) -> State<'_> {
        self.inner.state()
    }
}

const SEATS: u32 = 6;
const HORIZON: i64 = 5;

/// A session on lines, and what shows when nothing of it is left.
struct Case {
    session: Session,
    record: Arc<Mutex<Record>>,
    rebuild: Rebuild,
}

fn case(trouble: Trouble, max_lag: i64, pause: u64, blows: Option<(u64, bool)>) -> Case {
    let impala = AGENTS.iter().find(|agent| agent.id == "impala").unwrap();
    let text = impala.presets.iter().find(|(name, _)| *name == "cartpole").unwrap().1;
    let mut config = text.parse::<toml::Table>().unwrap()["agent"].as_table().unwrap().clone();
    config.insert("max_lag".to_owned(), max_lag.into());
    config.insert("horizon".to_owned(), HORIZON.into());
    let (spec, precision) = (spec(), Default::default());
    let context = Context { spec: &spec, config: &config, seats: SEATS, seed: 1, device: &Device::Cpu, precision };
    let (inner, record) = ((impala.build)(&context).unwrap(), Arc::<Mutex<Record>>::default());
    let learner = Watched { inner, record: record.clone(), pause: Duration::from_millis(pause), blows };
    let fuse = Arc::new(AtomicI64::new(100));
    let built = record.clone();
    let rebuild: Rebuild = Arc::new(move |seating: &Seating| {
        built.lock().unwrap().seeds.push(seating.seed);
        let line = |_| Line { at: 0.0, fuse: fuse.clone(), trouble };
        Ok(Box::new(Batch::new(seating.seats.clone().map(line).collect(), seating)))
    });
    let seating = Seating { seed: 1, seats: 0..SEATS };
    let envs = collect::groups(&|seating| rebuild(seating), &seating, Workers::Exactly(3), 1).unwrap();
    let mut seats = Seats::new(envs, learner.plan(), Workers::UpTo(1)).unwrap();
    seats.reset().unwrap();
    let actors = Actors::new(&learner, &seats, 1, rebuild.clone()).unwrap().unwrap();
    let (counts, window) = (Counts::default(), Window::default());
    let acting = Acting::Apart(actors);
    let session = Session {
        seats,
        learner: Box::new(learner),
        acting,
        counts,
        window,
        notes: Vec::new(),
        tape: None,
        episode_log: None,
    };
    Case { session, record, rebuild }
}

impl Case {
    fn actors(&mut self) -> &mut Actors {
        match &mut self.session.acting {
            Acting::Apart(actors) => actors,
            Acting::InTurn(_) => panic!("they act apart"),
        }
    }

    fn rounds(&mut self, count: u32) -> anyhow::Result<()> {
        (0..count).try_for_each(|_| self.session.advance(&mut Log::default()))
    }

    fn rest(&mut self) {
        self.session.rest(&mut Log::default()).unwrap();
    }

    /// Every block is in its place again.
    fn check_blocks(&mut self, max_lag: usize) {
        assert_eq!((self.session.seats.blocks().len(), self.session.seats.envs().count()), (3, 3));
        assert!(self.actors().crews.iter().all(|crew| crew.spares.len() == max_lag));
    }

    /// How it failed, once nothing of it is left.
    fn fail(mut self) -> String {
        let failed = catch_unwind(AssertUnwindSafe(|| self.rounds(1000)));
        let rebuild = self.rebuild.clone();
        drop(self);
        assert_eq!(Arc::strong_count(&rebuild), 1, "no thread is left");
        match failed {
            Ok(done) => format!("{:#}", done.unwrap_err()),
            Err(panic) => format!("panic: {}", panic.downcast_ref::<&str>().unwrap()),
        }
    }
}

fn parts(session: &mut Session) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let mut hash = |name: &str, part: &mut dyn Saved| {
        parts.push((name.to_owned(), hash::sha256(part)?));
        Ok(())
    };
    session.visit(&mut hash).unwrap();
    parts
}

/// IMPALA on CartPole.
fn cartpole(actors: usize, max_lag: usize) -> Session {
    let tables = Tables::new(&[rl_envs::ENVS], &[AGENTS]);
    let sets = [
        format!("agent.max_lag={max_lag}"),
        "agent.hidden=[16]".to_owned(),
        "agent.normalise_observations=true".to_owned(),
        "agent.reward_scale=std".to_owned(),
        format!("train.actors={actors}"),
        "train.envs=5".to_owned(),
        "env.max_steps=40".to_owned(),
    ];
    let ask = Ask { env: "cartpole", agent: Some("impala"), sets: &sets, ..Ask::default() };
    let resolved = resolve(&tables, &ask).unwrap();
    let mut session =
        Session::build(&resolved, &resolved.train().unwrap(), 3, &Device::Cpu, Workers::Exactly(1)).unwrap();
    session.seats.reset().unwrap();
    session
}

#[test]
fn without_a_lag_the_bits_are_those_of_turns_also_across_a_rest() {
    let run = |actors, rests: bool| {
        let mut session = cartpole(actors, 0);
        assert!(session.is_exact());
        for round in 0..40 {
            session.advance(&mut Log::default()).unwrap();
            if rests && round % 7 == 3 {
                session.rest(&mut Log::default()).unwrap();
            }
        }
        session.rest(&mut Log::default()).unwrap();
        assert!(session.counts.episodes > 10 && session.learner.updates() == 40);
        let mut all = parts(&mut session);
        all.retain(|(name, _)| !name.starts_with("policy") && name != "restarts"); // by actor, or of all
        all
    };
    let turns = run(0, false);
    assert!(turns.iter().any(|(name, _)| name == WEIGHTS));
    for (actors, rests) in [(1, false), (2, false), (5, true)] {
        assert_eq!(run(actors, rests), turns, "{actors} actors");
    }
}

#[test]
fn weights_lag_by_no_more_than_they_may_and_no_step_and_no_block_is_lost() {
    for max_lag in [0, 1, 3] {
        let mut case = case(Trouble::None, max_lag as i64, 2, None);
        assert_eq!(case.session.is_exact(), max_lag == 0);
        for _ in 0..3 {
            case.rounds(25).unwrap();
            case.rest();
            case.check_blocks(max_lag);
        }
        let learned = case.session.learner.updates();
        assert_eq!(learned, 75 + 3 * max_lag as u64, "what was under way at a rest is learned from");
        let record = case.record.lock().unwrap();
        assert_eq!((record.lags.len() as u64, record.gaps), (3 * learned, 0));
        let most = *record.lags.iter().max().unwrap();
        assert!(most <= max_lag as u64 && (most > 0) == (max_lag > 0), "{most} of {max_lag}");
        // Each seat plays 7 steps and is reset by the next.
        let rows = learned * HORIZON as u64;
        assert_eq!(case.session.counts.agent_steps, (rows - rows / 8) * u64::from(SEATS));
    }
}

#[test]
fn environments_that_fail_are_built_anew_and_counted_until_that_is_in_vain() {
    rl_core::hush_caught_panics();
    for trouble in [Trouble::Fails, Trouble::Panics] {
        let mut case = case(trouble, 1, 0, None);
        case.rounds(60).unwrap();
        case.rest();
        case.check_blocks(1);
        assert_eq!(case.actors().restarts(), 1);
        assert_eq!(case.session.notes.len(), 1, "{:?}", case.session.notes);
        let note = &case.session.notes[0];
        assert!(note.starts_with("seat ") && note.contains("broke") && note.contains("new episodes"), "{note}");
        assert_eq!(case.record.lock().unwrap().gaps, 1, "new episodes begin in the block that failed");
        case.rounds(5).unwrap();
    }
    let case = case(Trouble::FailsForever, 1, 0, None);
    let record = case.record.clone();
    let error = case.fail();
    let told = error.starts_with("actor ") && error.contains("after 3 restarts without a whole block: seat ");
    assert!(told && error.ends_with("environment line: broke"), "{error}");
    let seeds = &record.lock().unwrap().seeds;
    let new: BTreeSet<u64> = seeds[3..].iter().copied().collect();
    assert!(seeds[..3] == [1; 3] && new.len() >= 3 && new.len() == seeds.len() - 3, "each time others: {seeds:?}");
}

#[test]
fn an_engine_that_is_lost_is_told_and_nothing_is_built_anew() {
    let mut case = case(Trouble::Loses, 1, 0, None);
    case.rounds(60).unwrap();
    case.rest();
    case.check_blocks(1);
    assert_eq!(case.actors().restarts(), 0);
    assert_eq!(case.session.notes.len(), 1, "{:?}", case.session.notes);
    let note = &case.session.notes[0];
    let told = note.starts_with("seat ") && note.contains("the engine died");
    assert!(told && note.ends_with(": its episode is given up, another begins"), "{note}");
}

/// A policy that cannot go on.
struct Bomb;

impl Policy for Bomb {
    fn act(&mut self, _blocks: &mut [Rollout], _t: usize, _mode: Mode) -> rl_core::Result<()> {
        panic!("the policy blew");
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        Vec::new()
    }
}

#[test]
fn whoever_fails_is_named_and_no_thread_outlives_it() {
    rl_core::hush_caught_panics();
    let mut actor = case(Trouble::None, 2, 0, None);
    actor.actors().crews[1].actor.policy = Box::new(Bomb);
    let error = actor.fail();
    assert!(error.starts_with("actor 1: it panicked: the policy blew (runner/src/collect/actors/tests.rs:"), "{error}");
    let error = case(Trouble::None, 2, 1, Some((5, false))).fail();
    assert!(error.ends_with("the learner failed"), "{error}");
    assert_eq!(case(Trouble::None, 2, 1, Some((5, true))).fail(), "panic: the learner blew");
    // A session that is simply dropped leaves nothing either.
    let mut dropped = case(Trouble::None, 1, 0, None);
    dropped.rounds(3).unwrap();
    let rebuild = dropped.rebuild.clone();
    drop(dropped);
    assert_eq!(Arc::strong_count(&rebuild), 1);
}

#[test]
fn a_session_at_rest_is_saved_whole_and_another_goes_on_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let owner = Owner { env: "cartpole".to_owned(), env_version: 1, agent: "impala".to_owned(), isa: String::new() };
    let mut first = cartpole(2, 2);
    (0..30).for_each(|_| first.advance(&mut Log::default()).unwrap());
    first.rest(&mut Log::default()).unwrap();
    let path = checkpoint::written(dir.path(), &mut first, &owner);
    let mut second = cartpole(2, 2);
    Checkpoint::open(&path, &owner).unwrap().load(&mut second).unwrap();
    assert_eq!(parts(&mut first), parts(&mut second));
    let names: Vec<String> = parts(&mut second).into_iter().map(|(name, _)| name).collect();
    for name in ["policy.0.act", "policy.1.act", "restarts", "env", "block"] {
        assert!(names.iter().any(|known| known == name), "{name} of {names:?}");
    }
    let (steps, updates) = (second.counts.agent_steps, second.learner.updates());
    (0..10).for_each(|_| second.advance(&mut Log::default()).unwrap());
    second.rest(&mut Log::default()).unwrap();
    assert_eq!(second.learner.updates(), updates + 12);
    assert!(second.counts.agent_steps > steps);
    // Another number of actors has other policies.
    let error = format!("{:#}", Checkpoint::open(&path, &owner).unwrap().load(&mut cartpole(3, 2)).unwrap_err());
    assert!(error.ends_with("policy.0.act: saved state of policy: holds 2 seats, expected 1"), "{error}");
}
