//! Sessions that stop and go on, part by part, and agents that play in them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::Device;
use rl_core::{Postcard, Result, State, read_postcard, write_postcard};

use super::parts::Row;
use super::*;
use crate::checkpoint::manifest::{Manifest, Owner};
use crate::checkpoint::snapshot::{Extent, Handed, Snapshot};
use crate::checkpoint::{self, Checkpoint};
use crate::collect::Workers;
use crate::games::play::{Games, SEATS};
use crate::planners::PLANNERS;
use crate::preset::{Ask, Resolved, resolve};
use crate::tables::Tables;
use crate::toy;

/// A pair with settings that make it small.
pub(crate) fn resolved(env: &str, agent: &str) -> Resolved {
    let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, PLANNERS, &[toy::ENTRY]]);
    // DQN begins to learn, to forget and to choose before the checkpoint.
    let epsilon = "epsilon={start=0.1,end=0.05,steps=10000}";
    let early = ["learning_starts=200", "target_period=100", "replay_capacity=400", epsilon];
    let mut sets = early.map(|set| format!("agent.{set}")).to_vec();
    if env.starts_with("atari/") {
        sets.extend(["agent.batch=4", "agent.update_period=20", "agent.hidden=[16]"].map(str::to_owned));
    }
    // Rounds and episodes short enough that there are some before and after it, on few seats; every scale is on.
    let short = ["agent.horizon=5", "agent.hidden=[16]", "train.envs=4", "agent.reward_scale=std"];
    let short = [&short[..], &["agent.normalise_observations=true", "env.max_steps=40"]].concat();
    let short: Vec<String> = short.into_iter().map(str::to_owned).collect();
    // So many seats that some are over, and small updates. Values that have learned little choose the same everywhere.
    let many = ["train.envs=16", "agent.batch=8", "agent.hidden=[16,16]"].map(str::to_owned);
    let sets = match agent {
        "dqn" if env == "cartpole" => {
            &[&sets[..], &["agent.normalise_observations=true", "agent.reward_scale=std"].map(str::to_owned)].concat()
        }
        "dqn" => &sets[..],
        "tabular" => &["agent.horizon=5", "train.envs=4"].map(str::to_owned),
        // Games end before the checkpoint and after it, and the ring overflows; seven moves a side at least.
        "alphazero" => &[
            "train.envs=4",
            "agent.horizon=5",
            "agent.learning_starts=40",
            "agent.replay_capacity=120",
            "agent.batch=16",
            "agent.updates=2",
            "agent.simulations=4",
            "agent.eval_simulations=3",
            "agent.channels=4",
            "agent.blocks=1",
            "agent.hidden=8",
        ]
        .map(str::to_owned),
        "rainbow" | "c51" | "qrdqn" | "iqn" => &[&sets[..], &many[..]].concat(),
        "drq" => &[&sets[..], &["train.envs=4".to_owned(), "agent.n_step=3".to_owned()]].concat(),
        "r2d2" => {
            let memory = "agent.memory={kind=\"lstm\", units=8, burn_in=2, steps=4, period=3, eta=0.9}".to_owned();
            let one = "{start=0.6, end=0.6, steps=0}";
            let priorities = format!("agent.priorities={{kind=\"proportional\", eps=1e-6, alpha={one}, beta={one}}}");
            // So many updates that each copy of the target network is learned from.
            &[&sets[..], &many[..], &[memory, priorities, "agent.update_period=4".to_owned()]].concat()
        }
        "impala" => &[&short[..], &["train.actors=0".to_owned()]].concat(),
        "pqn" if env == "cartpole" => {
            &[&short[..], &["agent.epochs=1", "agent.minibatches=2"].map(str::to_owned)[..]].concat()
        }
        "pqn" => &[&short[..4], &["agent.epochs=1", "agent.minibatches=2"].map(str::to_owned)[..]].concat(),
        "ppo" | "a2c" if env == "frozenlake" || env.starts_with("atari/") => &short[..4], // no features
        "ppo" | "a2c" if env == "cartpole-positions" => {
            &[&short[..], &["agent.memory={kind=\"lstm\", units=8, steps=5}".to_owned()]].concat()
        }
        "ppo" | "a2c" => &short[..],
        _ => &[],
    };
    resolve(&tables, &Ask { env, agent: Some(agent), sets, ..Ask::default() }).unwrap()
}

fn begin(resolved: &Resolved) -> Session {
    begin_with(resolved, 1)
}

fn begin_with(resolved: &Resolved, workers: usize) -> Session {
    Session::build(resolved, &resolved.train().unwrap(), 3, &Device::Cpu, Workers::Exactly(workers)).unwrap()
}

fn play(session: &mut Session, blocks: usize) -> anyhow::Result<()> {
    (0..blocks).try_for_each(|_| session.advance(&mut Log::default()))
}

/// Blocks of so many steps of all seats.
fn blocks(session: &Session, steps: usize) -> usize {
    session.seats.blocks().iter().map(|block| steps.div_ceil(block.horizon() * 4)).max().unwrap()
}

#[test]
fn a_resumed_session_is_the_uninterrupted_one_and_no_part_can_be_spared() {
    let agents = ["toy", "dqn", "ppo", "a2c"];
    let cases = agents.into_iter().flat_map(|agent| [("frozenlake", agent, 600), ("cartpole", agent, 600)]);
    let family = ["rainbow", "c51", "qrdqn", "iqn"].map(|agent| ("cartpole", agent, 160)); // per 4 of their seats
    let continuous = [("pendulum", "ppo", 600), ("mountaincar-continuous", "a2c", 600)];
    let more = [("frozenlake", "tabular", 600), ("cartpole", "pqn", 600), ("cartpole", "impala", 600)];
    let planned = [("connectfour", "alphazero", 300)];
    let remembering = [("cartpole-positions", "ppo", 600), ("cartpole-positions", "r2d2", 160)];
    for (env, agent, steps) in cases.chain(family).chain(continuous).chain(more).chain(remembering).chain(planned) {
        let resolved = resolved(env, agent);
        let owner = Owner::of(&resolved, &resolved.train().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let mut whole = begin(&resolved);
        whole.seats.reset().unwrap();
        let blocks = blocks(&whole, steps);
        play(&mut whole, blocks).unwrap();
        let path = checkpoint::written(dir.path(), &mut whole, &owner);
        play(&mut whole, blocks).unwrap();
        let whole = Some(whole.digests().unwrap());

        let saved = Checkpoint::open(&path, &owner).unwrap();
        let go_on_without = |dropped: Option<&str>| {
            let mut session = begin(&resolved);
            let mut load = |name: &str, part: &mut dyn Saved| match dropped {
                Some(dropped) if dropped == name => Ok(()),
                _ => saved.load_part(name, part),
            };
            session.visit(&mut load).unwrap();
            // An empty replay cannot even go on, nor one that its block does not follow.
            catch_unwind(AssertUnwindSafe(|| play(&mut session, blocks).ok())).ok().flatten()?;
            session.digests().ok()
        };
        assert_eq!(go_on_without(None), whole, "{agent} on {env}");
        for (name, _) in whole.iter().flatten() {
            assert_ne!(go_on_without(Some(name)), whole, "{agent} on {env}: {name} decides nothing");
        }
    }
}

#[test]
fn every_part_is_the_same_for_any_number_of_workers_and_across_a_change_of_it() {
    let cases = [
        ("frozenlake", "toy", 400),
        ("cartpole", "toy", 400),
        ("frozenlake", "dqn", 600),
        ("cartpole", "dqn", 600),
        ("cartpole", "rainbow", 600),
        ("frozenlake", "iqn", 600),
        ("frozenlake", "a2c", 400),
        ("frozenlake", "tabular", 400),
        ("frozenlake", "pqn", 400),
        ("cartpole", "impala", 400),
        ("cartpole", "ppo", 400),
        ("cartpole-positions", "ppo", 400),
        ("cartpole-positions", "r2d2", 600),
        ("pendulum", "a2c", 400),
        ("mountaincar-continuous", "ppo", 400),
        ("connectfour", "alphazero", 200),
    ];
    #[cfg(feature = "atari")]
    let cases =
        [&cases[..], &[("atari/breakout", "dqn", 240), ("atari/breakout", "drq", 240), ("atari/breakout", "ppo", 80)]]
            .concat();
    for (env, agent, steps) in cases {
        let mut resolved = resolved(env, agent);
        resolved.set("train.envs", 5).unwrap();
        let owner = Owner::of(&resolved, &resolved.train().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let mut saved = None;
        let mut ends = Vec::new();
        for workers in [1, 2, 3, 4] {
            let mut session = begin_with(&resolved, workers);
            session.seats.reset().unwrap();
            let blocks = blocks(&session, steps);
            play(&mut session, blocks).unwrap();
            if workers == 3 {
                let path = checkpoint::written(dir.path(), &mut session, &owner);
                saved = Some(Checkpoint::open(&path, &owner).unwrap());
            }
            play(&mut session, blocks / 2).unwrap();
            assert!(session.learner.updates() > 0, "{agent} on {env} learns");
            ends.push((workers, session.digests().unwrap()));
        }
        for workers in [1, 2, 4] {
            let mut session = begin_with(&resolved, workers);
            saved.as_ref().unwrap().load(&mut session).unwrap();
            let blocks = blocks(&session, steps);
            play(&mut session, blocks / 2).unwrap();
            ends.push((workers, session.digests().unwrap()));
        }
        for (workers, end) in &ends[1..] {
            assert_eq!(end, &ends[0].1, "{agent} on {env} with {workers} workers");
        }
    }
}

/// A run that is stopped in an evaluation writes a state in which that is still due; the one after it has the same
/// frames.
#[test]
fn a_checkpoint_of_another_state_of_the_same_frames_is_replaced_and_the_same_left_alone() {
    let resolved = resolved("cartpole", "toy");
    let owner = Owner::of(&resolved, &resolved.train().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut session = begin(&resolved);
    let mut write = |next_eval| {
        session.counts.next_eval = next_eval;
        checkpoint::written(dir.path(), &mut session, &owner)
    };
    let loaded = |path: &std::path::Path| {
        let mut session = begin(&resolved);
        Checkpoint::open(path, &owner).unwrap().load(&mut session).unwrap();
        session.counts.next_eval
    };
    let path = write(1000);
    // File systems stamp all that is written within one tick alike, so what is there already is made to look ancient.
    let manifest = || std::fs::File::options().write(true).open(path.join("manifest.json")).unwrap();
    let ancient = || manifest().metadata().unwrap().modified().unwrap() == std::time::UNIX_EPOCH;
    manifest().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!((write(1000), ancient(), loaded(&path)), (path.clone(), true, 1000));
    assert_eq!((write(2000), ancient(), loaded(&path)), (path.clone(), false, 2000));
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [path], "no draft is left");
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused_by_name() {
    let resolved = resolved("cartpole", "toy");
    let owner = Owner::of(&resolved, &resolved.train().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut session = begin(&resolved);
    let path = checkpoint::written(dir.path(), &mut session, &owner);
    let open = |owner| Checkpoint::open(&path, owner).map(|_| ()).map_err(|e| format!("{e:#}"));
    let refused = |file: &str, bytes: Option<&[u8]>, why: &str| {
        let file = path.join(file);
        let before = std::fs::read(&file).unwrap();
        match bytes {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let error = open(&owner).unwrap_err();
        assert!(error.contains(file.to_str().unwrap()) && error.contains(why), "{error}");
        std::fs::write(&file, before).unwrap();
    };
    assert_eq!(open(&owner), Ok(()));
    for part in [WEIGHTS, "env", "learner.rng", "counts"] {
        let bytes = std::fs::read(path.join(part)).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        refused(part, Some(&flipped), "damaged");
        refused(part, Some(&bytes[..bytes.len() - 1]), "truncated");
        refused(part, None, "No such file");
    }
    let manifest = std::fs::read_to_string(path.join("manifest.json")).unwrap();
    refused("manifest.json", Some(manifest.replace("\"version\": 4", "\"version\": 9").as_bytes()), "version 9");
    refused("manifest.json", Some(manifest.replace("\"frames\": 0", "\"frames\": 1").as_bytes()), "damaged");
    let elsewhere = manifest.replace("\"file\": \"env\"", "\"file\": \"../env\"");
    let elsewhere = Manifest::forged(elsewhere.as_bytes()).unwrap();
    refused("manifest.json", Some(&elsewhere), "`../env` is not the name of a part");
    refused("manifest.json", Some(b"{}"), "not the manifest");
    refused("manifest.json", Some(&manifest.as_bytes()[..40]), "damaged");
    let stranger = Owner { agent: "dqn".to_owned(), ..owner.clone() };
    assert!(open(&stranger).unwrap_err().contains("belongs to toy on cartpole, not to dqn on cartpole"));
    let newer = Owner { env_version: 99, ..owner.clone() };
    assert!(open(&newer).unwrap_err().contains("version 99"));
}

/// A policy whose parts have one name.
struct Twins([Postcard<u64>; 2]);

impl Policy for Twins {
    fn act(&mut self, _blocks: &mut [Rollout], _t: usize, _mode: Mode) -> Result<()> {
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        self.0.iter_mut().map(|part| ("twin".to_owned(), part as &mut dyn Saved)).collect()
    }
}

#[test]
fn two_parts_of_one_name_are_refused() {
    let mut session = begin(&resolved("frozenlake", "toy"));
    session.acting = Acting::InTurn(Box::new(Twins([Postcard(1), Postcard(2)])));
    let error = Snapshot::take(&mut session, Extent::Whole, &Handed::default()).unwrap_err().to_string();
    assert!(error.starts_with("two parts of this session are called `policy.twin`"), "{error}");
}

#[test]
fn evaluation_changes_no_bit_of_the_session() {
    let resolved = resolved("frozenlake", "toy");
    let mut session = begin(&resolved);
    session.seats.reset().unwrap();
    play(&mut session, 5).unwrap();
    let before = session.digests().unwrap();
    let mode = Mode::Evaluate { epsilon: 0.1, greedy: false };
    let waiting = crate::console::waiting::Waiting::default();
    let score = |workers| {
        let games = Games { seed: 3, first: SEATS, episodes: 21, mode, workers, outputs: false, filmed: false };
        crate::games::play::play(&resolved, session.learner.as_ref(), games, &waiting).unwrap()
    };
    let (first, second) = (score(Workers::UpTo(2)), score(Workers::Exactly(3)));
    assert_eq!(first, second);
    assert_eq!(first.returns.len(), 21);
    assert_eq!(session.digests().unwrap(), before);
}

/// Symbols that the environment does not have and rows that forbid every action would be looked up later.
#[test]
fn a_row_that_the_environment_cannot_have_shown_is_refused() {
    for (env, agent) in [("frozenlake", "toy"), ("connectfour", "alphazero")] {
        let mut session = begin(&resolved(env, agent));
        session.seats.reset().unwrap();
        let mut bytes = Vec::new();
        Carried(&mut session.seats).save(&mut bytes).unwrap();
        Carried(&mut session.seats).load(&mut bytes.as_slice()).unwrap();
        let mut row: Row = read_postcard("block", &mut bytes.as_slice()).unwrap();
        row.symbols.first_mut().into_iter().for_each(|symbol| *symbol = 99);
        row.legal.fill(0);
        bytes.clear();
        write_postcard(&row, &mut bytes).unwrap();
        let error = Carried(&mut session.seats).load(&mut bytes.as_slice()).unwrap_err().to_string();
        assert!(error.contains("is not a row"), "{error}");
    }
}

#[cfg(feature = "doom")]
#[test]
fn of_an_environment_without_states_a_run_is_told_before_it_begins() {
    let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS]);
    let sets = &["env.engine_seed=7", "train.envs=1", "agent.hidden=[16]"].map(str::to_owned);
    let resolved = resolve(&tables, &Ask { env: "doom/basic", agent: Some("ppo"), sets, ..Ask::default() }).unwrap();
    let mut session = begin(&resolved);
    session.begin(&resolved.train().unwrap()).unwrap();
    let error = session.check_saves().unwrap_err().to_string();
    assert!(error.starts_with("env.engine_seed: its episodes depend on those before"), "{error}");
}
