//! Games that are recorded, played again, certified and shown, by the program that a person runs.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::Path;

use common::{json, output, refusal, with_manifest};

fn train(at: &Path) {
    json(at, "--env cartpole --agent dqn --frames 3000 --seed 3 --quiet --json --run r");
}

#[test]
fn recorded_games_are_those_of_an_evaluation_and_play_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    train(at);
    let score = json(at, "eval r --episodes 20 --seed 5 --json");
    let told = json(at, "record r --episodes 20 --seed 5 --out games.rec --json");
    assert_eq!((&told["mean"], &told["episodes"]), (&score["mean"], &score["episodes"]));
    for threads in ["1", "2"] {
        json(
            at,
            &format!("record r --episodes 20 --seed 5 --out again.rec --json --threads {threads} --workers {threads}"),
        );
        assert!(fs::read(at.join("again.rec")).unwrap() == fs::read(at.join("games.rec")).unwrap());
    }
    let verdict = json(at, "verify games.rec --json");
    assert_eq!(
        (&verdict["equal"], &verdict["mean"], &verdict["steps"]),
        (&true.into(), &score["mean"], &told["steps"])
    );
    let said = String::from_utf8(output(at, "verify games.rec").stdout).unwrap();
    assert!(said.contains("20 games of cartpole by dqn after 3,00"), "{said}");

    let done = output(at, "export games.rec --out returns.csv");
    assert!(done.status.success());
    let table = fs::read_to_string(at.join("returns.csv")).unwrap();
    let returns: Vec<f64> =
        table.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(returns.iter().sum::<f64>() / 20.0, score["mean"].as_f64().unwrap());
}

#[test]
fn games_by_other_values_than_the_run_s_are_recorded_and_play_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    train(at);
    let set = "--episodes 3 --set env.max_steps=5";
    let score = json(at, &format!("eval r {set} --json"));
    let told = json(at, &format!("record r {set} --out short.rec --json"));
    assert_eq!((&told["mean"], told["steps"].as_u64()), (&score["mean"], Some(15)));
    assert_eq!(json(at, "verify short.rec --json")["equal"], true);
    let (code, said) = refusal(at, "record r --set agent.lr=1.0 --out a.rec");
    assert!(code == 2 && said.contains("the agent plays as it was trained"), "{said}");
}

/// Every kind of policy: asked or not, it plays the same, and what it says is what it did.
#[test]
fn what_an_agent_thought_is_recorded_and_changes_no_game() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let small = "--set agent.hidden=[8] --set agent.learning_starts=64";
    let runs = [
        ("tabular", "frozenlake", "", "q", 4),
        ("dqn", "cartpole", small, "q", 2),
        ("iqn", "frozenlake", small, "q", 4),
        ("r2d2", "cartpole-positions", "--set agent.hidden=[8]", "q", 2),
        ("pqn", "cartpole", "", "q", 2),
        ("ppo", "cartpole", "", "p", 2),
        ("ppo", "cartpole-positions", "", "p", 2),
        ("ppo", "pendulum", "", "p", 0),
        ("alphazero", "connectfour", "--set agent.eval_simulations=4 --set agent.channels=2", "p", 7),
    ];
    for (agent, env, sets, what, actions) in runs {
        json(at, &format!("--env {env} --agent {agent} --frames 300 --quiet --json --run r --force {sets}"));
        let games = "record r --episodes 3 --seed 5 --json";
        let plain = json(at, &format!("{games} --out plain.rec"));
        let told = json(at, &format!("{games} --out told.rec --outputs every:3 --threads 2"));
        assert_eq!((&plain["mean"], &plain["steps"]), (&told["mean"], &told["steps"]), "{agent} on {env}");
        assert_eq!(json(at, "verify told.rec --json")["equal"], true);
        let lines = |file: &str| -> Vec<Vec<String>> {
            let done = output(at, &format!("export {file} --out steps.csv --by-step --episode 2"));
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let text = fs::read_to_string(at.join("steps.csv")).unwrap();
            text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
        };
        let (plain, told) = (lines("plain.rec"), lines("told.rec"));
        let columns = plain[0].len();
        assert_eq!(told[0].len(), columns + 1 + actions, "{:?}", told[0]);
        assert!(actions == 0 || told[0][columns + 1] == format!("{what}_0"), "{:?}", told[0]);
        assert_eq!(plain.len(), told.len());
        for (step, (plain, told)) in plain.iter().zip(&told).skip(1).enumerate() {
            assert_eq!(plain[..], told[..columns], "{agent} on {env}, step {step}");
            let numbers: Vec<f64> = told[columns..].iter().filter_map(|x| x.parse().ok()).collect();
            if step % 3 > 0 {
                assert!(numbers.is_empty(), "{told:?}");
                continue;
            }
            let (value, numbers) = numbers.split_first().expect("a value");
            let highest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            match what {
                "q" => assert_eq!((numbers.len(), *value), (actions, highest), "{told:?}"),
                _ if actions > 0 => assert!((numbers.iter().sum::<f64>() - 1.0).abs() < 0.01, "{told:?}"),
                _ => {}
            }
        }
    }
    for (line, said) in [
        ("record r --out a.rec --outputs 4", "every:N"),
        ("record r --out a.rec --outputs every:0", "every:N"),
        ("record --env cartpole --random --out a.rec --outputs every:4", "--outputs"),
        ("export told.rec --out a.gif --by-step", "--by-step"),
    ] {
        let (code, text) = refusal(at, line);
        assert!(code == 2 && text.contains(said), "{line}: {text}");
    }
}

#[test]
fn what_a_learner_thought_is_recorded_too_and_leaves_every_bit_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let small = "--set agent.hidden=[8] --set agent.learning_starts=64";
    let runs = [
        ("dqn", "cartpole", small),
        ("iqn", "frozenlake", small),
        ("r2d2", "cartpole-positions", "--set agent.hidden=[8]"),
        ("ppo", "cartpole-positions", "--set agent.memory={kind=\"gru\",units=4,steps=8}"),
        ("tabular", "blackjack", ""),
        ("alphazero", "connectfour", "--set agent.simulations=4 --set agent.channels=2"),
        ("impala", "cartpole", "--actors 2"),
    ];
    for (agent, env, sets) in runs {
        let line = format!("--env {env} --agent {agent} --frames 900 --quiet --json --force {sets}");
        let plain = json(at, &format!("{line} --run plain"));
        let told = json(at, &format!("{line} --run told --record last:1 --outputs every:2"));
        if agent != "impala" {
            assert_eq!(told["parameters_sha256"], plain["parameters_sha256"], "{agent} on {env}");
        }
        let file = format!("told/recordings/{}", taped(&at.join("told")).pop().expect("an episode").0);
        assert_eq!(json(at, &format!("verify {file} --json"))["equal"], true);
        assert!(output(at, &format!("export {file} --out steps.csv --by-step")).status.success());
        let text = fs::read_to_string(at.join("steps.csv")).unwrap();
        let value = text.lines().next().unwrap().split(',').position(|name| name == "value").expect("a column");
        for (step, line) in text.lines().skip(1).enumerate() {
            assert_eq!(line.split(',').nth(value).unwrap().is_empty(), step % 2 == 1, "{agent} on {env}: {line}");
        }
    }
    let (code, text) = refusal(at, "--env cartpole --agent dqn --outputs every:4");
    assert!(code == 2 && text.contains("--record"), "{text}");
}

/// Names and bytes of the recordings of a run.
fn taped(run: &Path) -> Vec<(String, Vec<u8>)> {
    let names = common::names(&run.join("recordings")).into_iter().filter(|name| name.ends_with(".rec"));
    names.map(|name| (name.clone(), fs::read(run.join("recordings").join(name)).unwrap())).collect()
}

#[test]
fn episodes_are_recorded_while_an_agent_learns_and_leave_every_bit_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (agent, env, frames) in [("dqn", "cartpole", 2000), ("impala", "cartpole", 6000)] {
        let frames = |part: u64| format!("--frames {}", frames * part / 2);
        let line =
            format!("--env {env} --agent {agent} --seed 2 --quiet --json --force --set train.checkpoint_every=700");
        let line = if agent == "impala" { format!("{line} --actors 0") } else { line };
        let plain = json(at, &format!("{line} --run plain {}", frames(2)));
        for which in ["best", "every:3 --outputs every:2", "last:4"] {
            let told = json(at, &format!("{line} --run whole --record {which} {}", frames(2)));
            assert_eq!(told["parameters_sha256"], plain["parameters_sha256"], "{agent}, {which}");
            let whole = taped(&at.join("whole"));
            let most = if which == "best" { 1 } else { 4 };
            assert!(whole.len() == most || (which.starts_with("every:3") && whole.len() > 2), "{}", whole.len());
            for (name, _) in &whole {
                let verdict = json(at, &format!("verify whole/recordings/{name} --json"));
                assert_eq!((&verdict["equal"], &verdict["episodes"]), (&true.into(), &1.into()), "{name}");
            }
            let held = |dir: &str| {
                common::names(&at.join(dir))
                    .into_iter()
                    .map(|name| name.trim_start_matches(['0', '.']).replace("state-", ""))
            };
            let states: Vec<String> = held("whole/recordings").filter(|name| name.parse::<u64>().is_ok()).collect();
            for checkpoint in held("whole/checkpoints") {
                assert!(states.contains(&checkpoint), "{which}: of {checkpoint} there is a state in {states:?}");
            }
            // Half of it, then the other half.
            json(at, &format!("{line} --run half --record {which} {}", frames(1)));
            fs::write(at.join("half/recordings/000099999999-00000001.rec"), "of a later time").unwrap();
            let told = json(at, &format!("resume half --quiet --json {}", frames(2)));
            assert_eq!(told["parameters_sha256"], plain["parameters_sha256"], "{agent}, {which}, resumed");
            assert!(taped(&at.join("half")) == whole, "{agent}, {which}: a resumed run records the same");
        }
    }
    // Without what was held, or with something else, the next episode is the first that is recorded.
    let line = "--env cartpole --agent dqn --seed 2 --quiet --json --force --run half --record every:1";
    json(at, &format!("{line} --frames 1000"));
    let state =
        common::names(&at.join("half/recordings")).into_iter().find(|name| name.starts_with(".state-")).unwrap();
    let file = at.join("half/recordings").join(state);
    let held = fs::read(&file).unwrap();
    for damaged in [&held[..held.len() / 2], &[&held[..3], &[0xff; 40][..], &held[3..]].concat()[..], b""] {
        json(at, &format!("{line} --frames 1000"));
        fs::write(&file, damaged).unwrap();
        json(at, "resume half --quiet --json --frames 1500");
        for (name, _) in taped(&at.join("half")) {
            assert_eq!(json(at, &format!("verify half/recordings/{name} --json"))["equal"], true, "{name}");
        }
    }
    // What was best is told by the recording itself, and a directory that was removed is made again.
    let line = "--env cartpole --agent dqn --seed 2 --quiet --json --force --run half --record best --frames";
    json(at, &format!("{line} 1000"));
    let best = taped(&at.join("half"));
    let mean = |name: &str| json(at, &format!("verify half/recordings/{name} --json"))["mean"].as_f64().unwrap();
    let before = mean(&best[0].0);
    let all = common::names(&at.join("half/recordings"));
    for state in all.iter().filter(|name| name.starts_with(".state-")) {
        fs::remove_file(at.join("half/recordings").join(state)).unwrap();
    }
    json(at, "resume half --quiet --json --frames 1100");
    let now = taped(&at.join("half"));
    assert!(now == best || mean(&now[0].0) > before, "{} after {}", now[0].0, best[0].0);
    fs::remove_dir_all(at.join("half/recordings")).unwrap();
    json(at, "resume half --quiet --json --frames 2000");
    assert!(!taped(&at.join("half")).is_empty());
    let idle = output(at, "--env cartpole --agent dqn --frames 500 --run idle --record every:1000");
    let said = String::from_utf8(idle.stderr).unwrap();
    assert!(
        said.contains("--record every:1000 recorded nothing: it counts the episodes of the first seat, and "),
        "{said}"
    );
    let (code, text) = refusal(at, "--env cartpole --agent dqn --record every:0");
    assert!(code == 2 && text.contains("best, every:N or last:N"), "{text}");
}

#[test]
fn every_environment_of_ours_plays_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let mut envs = json(at, "list envs --json").as_array().unwrap().clone();
    envs.retain(|env| !env["name"].as_str().unwrap().starts_with("atari/"));
    assert!(envs.len() >= 12, "{envs:?}");
    let mut names: Vec<&str> = envs.iter().map(|env| env["name"].as_str().unwrap()).collect();
    if cfg!(feature = "atari") {
        names.extend(["kungfu", "atari/pong"]);
        let (code, said) = refusal(at, "record --env kungfu --random --out a.rec --set env.max_frames=400");
        assert!(code == 2 && said.contains("eval.max_frames stands in its place"), "{said}");
    }
    for name in names {
        let set = match name {
            "kungfu" | "atari/pong" => "--set eval.max_frames=2000",
            // Of self-play, whose two seats are two games of one match.
            "doom/cig" | "doom/multi" | "doom/multi_duel" => "--set env.max_tics=350",
            _ => "",
        };
        let line = format!("record --env {name} --random --episodes 2 --seed 1 --out a.rec --json {set}");
        let told = json(at, &line);
        let verdict = json(at, "verify a.rec --json");
        assert_eq!((&verdict["equal"], &verdict["mean"]), (&true.into(), &told["mean"]), "{name}");
        let done = output(at, "export a.rec --out a.png --pictures 3");
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[cfg(feature = "doom")]
#[test]
fn matches_of_three_and_of_four_play_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (name, players) in [("multi_duel", 3), ("multi_duel", 4), ("cig", 3)] {
        let sets =
            format!("--protocol random --set env.players={players} --set env.max_tics=140 --set env.buttons=all");
        let line = format!("record --env doom/{name} --random --episodes 2 --seed 1 --out a.rec --json {sets}");
        let told = json(at, &line);
        let verdict = json(at, "verify a.rec --json");
        assert_eq!((&verdict["equal"], &verdict["mean"]), (&true.into(), &told["mean"]), "{name} of {players}");
    }
}

#[cfg(feature = "doom")]
#[test]
fn a_score_holds_nothing_of_what_a_learner_is_paid_besides() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for who in ["record --random --episodes 2", "play"].iter().take(if cfg!(feature = "viewer") { 2 } else { 1 }) {
        let line = format!("{who} --env doom/defend_the_line --out a.rec --set env.shaping=combat");
        let (code, said) = refusal(at, &line);
        assert!(code == 2 && said.contains("env.shaping: it decides nothing of a score"), "{said}");
    }
    let (code, said) = refusal(at, "record --env doom/basic --random --set env.engine_seed=5 --out a.rec");
    assert!(code == 2 && said.contains("env.engine_seed: its episodes depend on those before"), "{said}");
    // A kill is paid with 5 there.
    let sets = "--set env.shaping=combat --set env.max_tics=240 --set train.envs=1 --set agent.horizon=200";
    let line = format!("--env doom/defend_the_line --agent ppo --frames 1600 {sets} --record every:1 --quiet --json");
    let told = json(at, &format!("{line} --run r"));
    let rows = fs::read_to_string(at.join("r/metrics.jsonl")).unwrap();
    let paid = taped(&at.join("r")).into_iter().map(|(name, _)| {
        let verdict = json(at, &format!("verify r/recordings/{name} --json"));
        assert_eq!(verdict["equal"], true, "{name}");
        verdict["mean"].as_f64().unwrap()
    });
    let returns: Vec<f64> = paid.collect();
    let mean = returns.iter().sum::<f64>() / returns.len() as f64;
    assert!(returns.len() > 3 && told["mean_return_100"].as_f64() == Some(mean), "{returns:?}, {told}, {rows}");
    // Nor do evaluations of that run, which are those of one that was paid nothing besides.
    let score = || json(at, "eval r --episodes 2 --seed 1 --set env.max_tics=2100 --json")["returns"].clone();
    let shaped = score();
    let path = at.join("r/run.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("shaping = \"combat\""), "{text}");
    fs::write(&path, text.replace("shaping = \"combat\"", "shaping = \"none\"")).unwrap();
    assert_eq!(score(), shaped);
    assert!(shaped.as_array().unwrap().iter().any(|game| game.as_f64() > Some(0.0)), "{shaped}");
}

#[test]
fn what_differs_is_named_and_what_is_damaged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let told = json(at, "record --env cartpole --random --episodes 3 --out a.rec --json");
    assert!(told["bytes"].as_u64().unwrap() < 2000, "{told}");
    let bytes = fs::read(at.join("a.rec")).unwrap();

    fs::write(at.join("cut.rec"), &bytes[..bytes.len() - 20]).unwrap();
    let (code, said) = failing(at, "verify cut.rec");
    assert!(code == 1 && said.contains("cut short or damaged; 2 games before that play again"), "{said}");
    json(at, "record --env cartpole --random --episodes 1 --out one.rec --json");
    let said = String::from_utf8(output(at, "verify one.rec").stdout).unwrap();
    assert!(said.contains("1 game of cartpole by random actions plays again as recorded"), "{said}");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    fs::write(at.join("flipped.rec"), flipped).unwrap();
    let (code, said) = refusal(at, "verify flipped.rec");
    assert!(code == 1 && said.contains("flipped.rec is damaged at byte"), "{said}");
    fs::write(at.join("text.rec"), "nothing").unwrap();
    assert!(refusal(at, "verify text.rec").1.contains("text.rec is not a recording"));
    let (code, said) = refusal(at, "export missing.rec --out a.gif");
    assert!(code == 2 && said.contains("missing.rec"), "{said}");
    assert_eq!(
        refusal(at, "verify missing.rec"),
        (2, "error: missing.rec: there is no such file or directory".to_owned())
    );
}

/// A recording of which content of the first chunk of a kind was changed, with the checksum that belongs to it.
fn forged(bytes: &[u8], kind: u8, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let (mut forged, mut at) = (bytes.to_vec(), 8);
    loop {
        let end = at + 9 + u32::from_le_bytes(bytes[at + 5..at + 9].try_into().unwrap()) as usize;
        if bytes[at] == kind {
            change(&mut forged[at + 9..end]);
            let crc = crc32fast::hash(&forged[at..end]);
            forged[end..end + 4].copy_from_slice(&crc.to_le_bytes());
            return forged;
        }
        at = end + 4;
    }
}

#[test]
fn another_game_and_a_score_that_its_steps_do_not_come_to_are_told_apart() {
    const BEGIN: u8 = 2;
    const END: u8 = 4;
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env cartpole --random --episodes 2 --out a.rec --json");
    let bytes = fs::read(at.join("a.rec")).unwrap();
    let mean = json(at, "verify a.rec --json")["returns"][0].as_f64().unwrap();

    fs::write(at.join("seed.rec"), forged(&bytes, BEGIN, |seed| seed[0] ^= 1)).unwrap();
    let (code, said) = failing(at, "verify seed.rec");
    assert!(code == 1 && said.contains("game 1 does not match the recording: step 1 differs"), "{said}");
    for out in ["a.gif --episode 1", "a.csv --by-step --episode 1", "b.rec"] {
        let (code, said) = failing(at, &format!("export seed.rec --out {out}"));
        assert!(code == 1 && said.contains("does not match the recording: step 1 differs"), "{out}: {said}");
    }
    assert!(!at.join("a.gif").exists() && !at.join("a.csv").exists() && !at.join("b.rec").exists());

    fs::write(at.join("score.rec"), forged(&bytes, END, |end| end[..8].copy_from_slice(&500f64.to_le_bytes())))
        .unwrap();
    let (code, said) = failing(at, "verify score.rec");
    let expected = format!(
        "game 1 plays again step by step and comes to {mean} in {mean} frames, terminated; the recording says 500 in"
    );
    assert!(code == 1 && said.contains(&expected), "{said}");
    let verdict: serde_json::Value = serde_json::from_slice(&output(at, "verify score.rec --json").stdout).unwrap();
    let told = &verdict["first_other_outcome"];
    assert_eq!(
        (&told["episode"], &told["came_to"]["return"], &told["recorded"]["return"]),
        (&1.into(), &mean.into(), &500.0.into())
    );
    assert_eq!(verdict["equal"], false);
    assert!(output(at, "export score.rec --out s.csv --by-step --episode 1").status.success());
    let last = fs::read_to_string(at.join("s.csv")).unwrap();
    assert!(last.lines().last().unwrap().contains(&format!(",{mean},")), "the return is that of the steps: {last}");
}

/// The one line of a command that fails and may have said something before.
fn failing(at: &Path, line: &str) -> (i32, String) {
    let done = output(at, line);
    (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
}

/// Number of pictures in a .gif.
fn pictures(path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    let mut film = gif::DecodeOptions::new().read_info(&bytes[..]).unwrap();
    let mut count = 0;
    while film.read_next_frame().unwrap().is_some() {
        count += 1;
    }
    count
}

#[test]
fn films_are_films_and_wrong_words_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env frozenlake --random --episodes 4 --seed 2 --out a.rec --json");
    for (out, magic) in [("a.gif", &b"GIF89a"[..]), ("a.apng", &b"\x89PNG\r\n"[..]), ("a.png", &b"\x89PNG\r\n"[..])] {
        let done = output(at, &format!("export a.rec --episode 1 --out {out} --scale 2"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(fs::read(at.join(out)).unwrap().starts_with(magic), "{out}");
    }
    let animated = fs::read(at.join("a.apng")).unwrap();
    assert!(animated.windows(4).any(|four| four == b"acTL"), "a film has several pictures");
    // Most of a fast one would be shown for less than a hundredth of a second, which a GIF cannot say.
    let told = |out: &str, words: &str| -> usize {
        let done = output(at, &format!("export a.rec --episode 1 --out {out} {words}"));
        String::from_utf8(done.stdout).unwrap().split(' ').nth(1).unwrap().parse().unwrap()
    };
    let [fast, all] = [("fast.gif", "--speed 1000"), ("slow.gif", "")].map(|(out, words)| {
        let told = told(out, &format!("--every 1 {words}"));
        assert_eq!(told, pictures(&at.join(out)), "{out}");
        told
    });
    assert!(fast < all, "{fast} of {all}");
    let written = told("b.apng", "--every 1");
    let animated = fs::read(at.join("b.apng")).unwrap();
    let head = animated.windows(8).find(|eight| eight.starts_with(b"acTL")).unwrap();
    assert_eq!(head[4..], (written as u32).to_be_bytes());
    assert_eq!(told("b.png", "--pictures 3"), 3);
    let bytes = fs::read(at.join("a.rec")).unwrap();
    let mine = with_manifest(&bytes, |text| text.replace("\"random\",\"seed\":2", "\"human\""));
    fs::write(at.join("mine.rec"), &mine).unwrap();
    fs::create_dir(at.join("model")).unwrap();
    fs::write(at.join("model/score.json"), "{}").unwrap();
    fs::write(at.join("model/games.rec"), &bytes).unwrap();
    std::os::unix::fs::symlink("model/games.rec", at.join("link.rec")).unwrap();
    let wrong = [
        ("record --env frozenlake --random --out model/games.rec", "model/games.rec: belongs to a published model"),
        ("record --env frozenlake --random --out link.rec", "link.rec: belongs to a published model"),
        ("export a.rec --out a.mp4", ".gif, .apng, .png, .csv or .rec"),
        ("export a.rec --out a.gif --episode 5", "a game from 1 to 4"),
        ("export a.rec --out a.gif --episode 0", "a game from 1 to 4"),
        ("export a.rec --out a.gif --from 100000", "steps"),
        ("export a.rec --out a.gif --speed 0", "--speed 0"),
        ("export a.rec --out a.gif --speed -1", "--speed -1: must be a number from 0.001"),
        ("record --env frozenlake --out a.rec", "--random"),
        ("record --env frozenlake --random --greedy --out a.rec", "--greedy"),
        ("record --env frozenlake --random --episodes 0 --out a.rec", "at least 1"),
        ("record nowhere --out a.rec", "not the directory of a run (there is no such file or directory)"),
        ("record --env frozenlake --random --out nowhere/a.rec", "nowhere/a.rec: there is no directory nowhere"),
        ("export a.rec --out nowhere/a.gif", "nowhere/a.gif: there is no directory nowhere"),
        ("export . --out a.gif", ". is a directory"),
        ("export a.rec --out ./a.rec", "--out ./a.rec: that is the recording itself"),
        ("export a.rec --out a.csv --episode 2", "--episode has no effect on a .csv of games (--by-step makes one"),
        ("export a.rec --out a.png --saliency", "--saliency: frozenlake shows no frames: leave it out"),
        ("export a.rec --out a.csv --by-step --scale 2", "--scale has no effect on a .csv of steps"),
        ("export a.rec --out b.rec --from 3", "--from has no effect on a recording"),
        ("export a.rec --out a.gif --pictures 3", "--pictures has no effect on a film"),
        ("export a.rec --out a.png --speed 2", "--speed has no effect on a row of pictures"),
        ("verify a.rec --from 100", "from its start"),
        ("record --env frozenlake --random --out mine.rec", "--out mine.rec: holds a person's games"),
        ("export a.rec --out mine.rec", "--out mine.rec: holds a person's games"),
    ];
    for (line, said) in wrong {
        let (code, text) = refusal(at, line);
        assert!(code == 2 && text.contains(said), "{line}: {text}");
    }
    let (code, said) = refusal(at, "export a.rec --out a.csv --pictures 3");
    assert_eq!((code, said.as_str()), (2, "error: --pictures has no effect on a .csv of games"), "nor on one of steps");
    assert!(fs::read(at.join("mine.rec")).unwrap() == mine, "a person's games are as they were");
    fs::write(at.join("cut.rec"), &bytes[..bytes.len() - 40]).unwrap();
    let done = output(at, "export cut.rec --out cut.csv");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{said}");
    assert_eq!(said, "cut.rec is cut short or damaged: 3 whole games, and what there is of the next\n");
    let done = output(at, "export cut.rec --out whole.rec");
    let said = String::from_utf8(done.stderr).unwrap();
    let expected = "cut.rec is cut short or damaged: 3 whole games, and what there is of the next, which is left out\n";
    assert!(said.contains(expected) && done.stdout.starts_with(b"whole.rec: 3 games with pictures, "), "{said}");
    fs::write(at.join("open.rec"), &bytes[..bytes.len() - 15]).unwrap(); // only its close is cut
    let done = output(at, "export open.rec --out open.csv");
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "open.rec is cut short or damaged: 4 whole games\n");
}
