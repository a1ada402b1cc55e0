//! The bar of recordings: a thousand of every family of environments, made by chance and by agents that learned for a moment,
//! play again in another process than the one that made them, and of each a byte that is flipped anywhere is noticed.
#![cfg(all(feature = "atari", feature = "doom"))]
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use common::{json, names, output};
use rl_core::{Rng, Stream};

const RECORDINGS: usize = 1000;

/// Twenty games, of all kinds.
const GAMES: [&str; 20] = [
    "kung_fu_master",
    "pong",
    "breakout",
    "montezuma_revenge",
    "space_invaders",
    "ms_pacman",
    "seaquest",
    "qbert",
    "enduro",
    "freeway",
    "private_eye",
    "pitfall",
    "skiing",
    "tennis",
    "double_dunk",
    "video_chess",
    "boxing",
    "asteroids",
    "tetris",
    "frostbite",
];

/// Ten scenarios, and whether their episodes want an engine each: see `docs/doom.md`.
const SCENARIOS: [(&str, bool); 10] = [
    ("basic", false),
    ("deadly_corridor", true),
    ("deathmatch", false),
    ("defend_the_center", false),
    ("defend_the_line", false),
    ("freedoom1", true),
    ("health_gathering", false),
    ("my_way_home", false),
    ("predict_position", false),
    ("take_cover", false),
];

/// An environment, and what makes its episodes short and its agents quick.
struct Cell {
    env: String,
    family: &'static str,
    sets: Vec<String>,
    /// Agents that learn in it, and what they need to do so in a moment.
    agents: Vec<(String, String)>,
}

/// What a family's recordings came to.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    recordings: usize,
    with_outputs: usize,
    of_agents: usize,
    games: u64,
    steps: u64,
    bytes: u64,
    verified: usize,
    /// Flips that were refused, and those that changed nothing.
    noticed: usize,
    harmless: usize,
}

fn set(pairs: &[&str]) -> Vec<String> {
    pairs.iter().map(|pair| format!("--set {pair}")).collect()
}

/// What an agent of the tables needs to learn once in a moment.
fn briefly(agent: &str) -> &'static str {
    match agent {
        "dqn" | "rainbow" | "c51" | "qrdqn" | "iqn" => "--set agent.learning_starts=64 --set agent.hidden=[8]",
        "r2d2" => "--set agent.hidden=[8]",
        "alphazero" => "--set agent.eval_simulations=4 --set agent.channels=2",
        "impala" => "--actors 0",
        "bc" => "--set agent.demonstrations=shown.rec --set agent.hidden=[8]",
        _ => "",
    }
}

fn cells(at: &Path) -> Vec<Cell> {
    let list = |what: &str| json(at, &format!("list {what} --json")).as_array().expect("a list").clone();
    let presets = list("presets");
    let envs = list("envs");
    let names = envs.iter().map(|env| env["name"].as_str().expect("a name"));
    let native = names.filter(|name| !name.contains('/')).map(|name| {
        let of = presets.iter().filter(|preset| preset["env"] == name && preset["preset"].is_null());
        let agents = of.map(|preset| preset["agent"].as_str().expect("an agent").to_owned());
        let agents = agents.map(|agent| (agent.clone(), briefly(&agent).to_owned())).collect();
        let sets = if name == "cliffwalking-slippery" { set(&["env.max_steps=300"]) } else { Vec::new() };
        Cell { env: name.to_owned(), family: "native", sets, agents }
    });
    let pixels = "--set agent.trunk=small --set agent.hidden=[32]";
    let values = "--set agent.learning_starts=64 --set agent.replay_capacity=2000";
    let rounds = "--set train.envs=2 --set agent.horizon=32 --set agent.minibatches=2";
    let atari = GAMES.iter().map(|rom| Cell {
        env: format!("atari/{rom}"),
        family: "atari",
        sets: set(&["env.max_frames=600", "eval.max_frames=600"]),
        agents: vec![
            ("ppo".to_owned(), format!("{pixels} {rounds}")),
            ("dqn".to_owned(), format!("{pixels} {values}")),
            ("qrdqn".to_owned(), format!("{pixels} {values}")),
        ],
    });
    let doom = SCENARIOS.iter().map(|(scenario, exact)| Cell {
        env: format!("doom/{scenario}"),
        family: "doom",
        sets: set(&["env.max_tics=160", if *exact { "env.exact=true" } else { "env.exact=false" }]),
        agents: vec![("ppo".to_owned(), format!("{pixels} {rounds}"))],
    });
    native.chain(atari).chain(doom).collect()
}

/// Makes so many recordings of an environment, `0.rec` and on: those that agents made while they learned, and then in turn
/// those of chance, of a policy, of a policy with what it thought, and of its most probable actions with that.
fn record(at: &Path, cell: &Cell, count: usize, tally: &mut Tally) -> Vec<serde_json::Value> {
    let (env, sets) = (&cell.env, cell.sets.join(" "));
    let (mut told, mut taped) = (Vec::new(), Vec::new());
    if cell.agents.iter().any(|(agent, _)| agent == "bc") {
        json(at, &format!("record --env {env} --random --episodes 2 --seed 4 --out shown.rec --json {sets}"));
    }
    for (agent, brief) in &cell.agents {
        let frames = if cell.family == "native" { 300 } else { 1200 };
        let line = format!("--env {env} --agent {agent} --frames {frames} --seed 4 --quiet --json --run {agent}");
        json(at, &format!("{line} --record last:2 --outputs every:3 --threads 1 {brief} {sets}"));
        let dir = at.join(agent).join("recordings");
        taped.extend(names(&dir).into_iter().filter(|name| name.ends_with(".rec")).map(|name| dir.join(name)));
    }
    for number in 0..count {
        let out = format!("{number}.rec");
        if let Some(path) = taped.pop().filter(|_| number < count / 3) {
            fs::copy(path, at.join(&out)).unwrap();
            told.push(serde_json::Value::Null);
            (tally.of_agents, tally.with_outputs) = (tally.of_agents + 1, tally.with_outputs + 1);
            continue;
        }
        let way = number % 4;
        let agent = cell.agents.get(number / 4 % cell.agents.len().max(1)).filter(|_| way > 0);
        let who = match agent {
            None => format!("--env {env} --random {sets}"),
            Some((agent, _)) => agent.clone(),
        };
        let outputs =
            if way >= 2 && agent.is_some() { format!("--outputs every:{}", 1 + number % 5) } else { String::new() };
        let greedy = if way == 3 && agent.is_some() { "--greedy" } else { "" };
        let episodes = 1 + number % 3;
        let line = format!("record {who} --episodes {episodes} --seed {number} --out {out} --json --threads 1");
        told.push(json(at, &format!("{line} {outputs} {greedy}")));
        tally.of_agents += usize::from(agent.is_some());
        tally.with_outputs += usize::from(!outputs.is_empty());
    }
    told
}

/// Verifies a recording as it is, then with a byte flipped.
fn judge(at: &Path, name: &str, told: &serde_json::Value, rng: &mut Rng, tally: &mut Tally) {
    let verify = |file: &str| output(at, &format!("verify {file} --json --threads 1"));
    let done = verify(name);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {said}", at.join(name).display());
    let verdict: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(verdict["equal"] == true && verdict["episodes"].as_u64() > Some(0), "{verdict}");
    if !told.is_null() {
        assert_eq!((&verdict["mean"], &verdict["steps"]), (&told["mean"], &told["steps"]), "{name}");
    }
    let mut bytes = fs::read(at.join(name)).unwrap();
    tally.verified += 1;
    tally.games += verdict["episodes"].as_u64().unwrap_or(0);
    tally.steps += verdict["steps"].as_u64().unwrap_or(0);
    tally.bytes += bytes.len() as u64;
    let place = rng.below(bytes.len() as u32) as usize;
    bytes[place] ^= (1 + rng.below(255)) as u8;
    fs::write(at.join("flipped.rec"), bytes).unwrap();
    let flipped = verify("flipped.rec");
    let said = String::from_utf8_lossy(&flipped.stderr);
    match flipped.status.code() {
        Some(0) => {
            let mut now: serde_json::Value = serde_json::from_slice(&flipped.stdout).unwrap();
            now["file"] = verdict["file"].clone();
            assert_eq!(now, verdict, "byte {place} of {}", at.join(name).display());
            tally.harmless += 1;
        }
        Some(1 | 2) => {
            assert!(said.starts_with("error: flipped.rec"), "{said}");
            tally.noticed += 1;
        }
        _ => panic!("byte {place} of {}: {said}", at.join(name).display()),
    }
}

#[test]
#[ignore = "slow"]
fn a_thousand_recordings_play_again_and_none_hides_a_flipped_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (begun, cells) = (Instant::now(), cells(dir.path()));
    let (next, tallies) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<&str, (usize, Tally)>::new()));
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = cells.get(place) else { return };
            let at = dir.path().join(place.to_string());
            fs::create_dir(&at).unwrap();
            let count = RECORDINGS / cells.len() + usize::from(place < RECORDINGS % cells.len());
            let (mut rng, mut tally) =
                (Rng::new(place as u64, Stream::Act(0)), Tally { recordings: count, ..Tally::default() });
            let told = record(&at, cell, count, &mut tally);
            for (number, told) in told.iter().enumerate() {
                judge(&at, &format!("{number}.rec"), told, &mut rng, &mut tally);
            }
            fs::remove_dir_all(&at).unwrap();
            writeln!(std::io::stderr(), "{}: {tally:?}", cell.env).unwrap();
            let mut tallies = tallies.lock().unwrap();
            let (envs, all) = tallies.entry(cell.family).or_default();
            *envs += 1;
            all.recordings += tally.recordings;
            all.with_outputs += tally.with_outputs;
            all.of_agents += tally.of_agents;
            all.games += tally.games;
            all.steps += tally.steps;
            all.bytes += tally.bytes;
            all.verified += tally.verified;
            all.noticed += tally.noticed;
            all.harmless += tally.harmless;
        }
    };
    // Engines of Doom and short processes wait more than they work.
    let threads = 2 * thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let tallies = tallies.into_inner().unwrap();
    for (family, (envs, tally)) in &tallies {
        writeln!(std::io::stderr(), "{family}, {envs} environments: {tally:?}").unwrap();
    }
    writeln!(std::io::stderr(), "{:.0} s", begun.elapsed().as_secs_f64()).unwrap();
    let sum = |of: fn(&Tally) -> usize| tallies.values().map(|(_, tally)| of(tally)).sum::<usize>();
    assert_eq!((sum(|tally| tally.recordings), sum(|tally| tally.verified)), (RECORDINGS, RECORDINGS));
    assert_eq!(sum(|tally| tally.noticed + tally.harmless), RECORDINGS);
    assert_eq!(tallies.keys().copied().collect::<Vec<_>>(), ["atari", "doom", "native"]);
    for (family, (_, tally)) in &tallies {
        let Tally { recordings, with_outputs, of_agents, games, steps, noticed, .. } = *tally;
        // In turns of four one is of chance and two have what the player thought, besides those that agents made as they learned.
        assert!(2 * of_agents >= recordings && 3 * with_outputs >= recordings, "{family}: {tally:?}");
        assert!(games >= recordings as u64 && steps >= 10 * games, "{family}: {tally:?}");
        assert!(10 * noticed >= 9 * recordings, "{family}: {tally:?}");
    }
}
