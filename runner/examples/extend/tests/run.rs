//! The example's own environments and agents are trained and evaluated by the binary that it builds.

use std::process::{Command, Output};

fn started(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rl-extend-example")).args(args).output().expect("the binary starts")
}

fn done(args: &[&str]) -> Output {
    let output = started(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn run(args: &[&str]) -> serde_json::Value {
    let output = done(args);
    let stdout = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    serde_json::from_str(stdout.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {stdout}"))
}

#[test]
fn the_environments_keep_what_all_promise() {
    for (env, set) in [("corridor", "env.length=8"), ("tag", "env.rival=oneself"), ("tag", "env.rival=random")] {
        let report = run(&["check", "--env", env, "--set", set, "--json"]);
        assert_eq!((&report["env"], &report["ok"]), (&env.into(), &true.into()), "{report}");
    }
}

#[test]
fn the_agents_keep_what_all_promise() {
    let pairs = [
        ("corridor", "qtable"),
        ("frozenlake", "qtable"),
        ("corridor", "reinforce"),
        ("cartpole", "reinforce"),
        ("tag", "ppo"),
    ];
    for (env, agent) in pairs {
        let report = run(&["check", "--env", env, "--agent", agent, "--json"]);
        assert_eq!((&report["agent"], &report["ok"]), (&agent.into(), &true.into()), "{report}");
    }
}

#[test]
fn a_foreign_agent_learns_a_foreign_environment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("run").display().to_string();
    let trained = run(&["--env", "corridor", "--agent", "qtable", "--run", &dir, "--seed", "1", "--json"]);
    assert!(trained["frames"].as_u64().is_some_and(|frames| frames >= 5000), "{trained}");
    let eval = run(&["eval", &dir, "--episodes", "10", "--json"]);
    assert_eq!(eval["mean"], 1.0, "{eval}");
}

#[test]
fn a_network_of_ones_own_learns_and_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = |name: &str| folder.path().join(name).display().to_string();
    let line = |name: &str, frames| {
        let dir = dir(name);
        let words = ["--env", "corridor", "--agent", "reinforce", "--seed", "1", "--json"].map(str::to_owned);
        words.into_iter().chain(["--run".to_owned(), dir, "--frames".to_owned(), frames]).collect::<Vec<String>>()
    };
    let train = |name: &str, frames: &str| {
        let line = line(name, frames.to_owned());
        run(&line.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let whole = train("whole", "60000");
    let eval = run(&["eval", &dir("whole"), "--episodes", "20", "--json"]);
    assert_eq!(eval["mean"], 1.0, "{eval}");
    train("half", "30000");
    let resumed = run(&["resume", &dir("half"), "--frames", "60000", "--json"]);
    assert_eq!(resumed["parameters_sha256"], whole["parameters_sha256"]);
}

#[test]
fn an_agent_of_rl_run_learns_a_foreign_environment_by_the_preset_that_came_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("run").display().to_string();
    let trained = run(&["--env", "corridor", "--agent", "ppo", "--run", &dir, "--seed", "1", "--json"]);
    assert!(trained["frames"].as_u64().is_some_and(|frames| frames >= 40_000), "{trained}");
    let eval = run(&["eval", &dir, "--episodes", "10", "--json"]);
    assert_eq!(eval["mean"], 1.0, "{eval}");
}

#[test]
fn an_agent_of_rl_run_learns_a_game_for_two_against_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("run").display().to_string();
    run(&["--env", "tag", "--agent", "ppo", "--run", &dir, "--seed", "1", "--json"]);
    let games = |args: &[&str]| run(&[&["eval", &dir, "--episodes", "200", "--json"], args].concat())["mean"].clone();
    assert_eq!(games(&[]), 0.0, "what one seat of a field wins the other loses");
    let chases = |args: &[&str]| games(&[&["--set", "env.rival=random"], args].concat()).as_f64().expect("a mean");
    let (learned, random) = (chases(&[]), chases(&["--set", "eval.epsilon=1"]));
    assert!(learned > random + 0.5, "after somebody who moves at random {learned}, at random itself {random}");

    let file = |name: &str| folder.path().join(name).display().to_string();
    let (games, film, table) = (file("games.rec"), file("game.gif"), file("game.csv"));
    let recorded = run(&["record", &dir, "--episodes", "5", "--out", &games, "--json"]);
    assert_eq!(
        (&recorded["episodes"], &recorded["mean"]),
        (&5.into(), &run(&["eval", &dir, "--episodes", "5", "--json"])["mean"])
    );
    let certified = run(&["verify", &games, "--json"]);
    assert_eq!((&certified["equal"], &certified["episodes"]), (&true.into(), &5.into()), "{certified}");
    let seen = file("seen.rec");
    done(&["export", &games, "--out", &seen]);
    let certified = run(&["verify", &seen, "--json"]);
    assert_eq!((&certified["equal"], certified["pictures"].is_null()), (&true.into(), false), "{certified}");
    done(&["export", &games, "--episode", "2", "--out", &film]);
    assert!(std::fs::metadata(film).is_ok_and(|film| film.len() > 1000));
    done(&["export", &games, "--episode", "1", "--by-step", "--out", &table]);
    let table = std::fs::read_to_string(table).expect("a table");
    assert!(table.starts_with("step,action_0,action_1,reward,return,frames,end\n"), "{table}");
    done(&["export", &games, "--out", &file("games.csv")]);
    let rows = std::fs::read_to_string(file("games.csv")).expect("a table");
    let seats: Vec<&str> = rows.lines().skip(1).filter_map(|row| row.split(',').nth(2)).collect();
    assert_eq!(
        (rows.lines().next(), &seats[..]),
        (Some("episode,seed,seat,return,steps,frames,end"), &["0", "0", "1", "0", "1"][..])
    );
    let random = file("random.rec");
    run(&["record", "--env", "tag", "--random", "--episodes", "3", "--out", &random, "--json"]);
    let certified = run(&["verify", &random, "--json"]);
    let returns: Vec<f64> =
        certified["returns"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
    assert!(returns.len() == 3 && returns[0] == -returns[1], "two sides of one game, and one of another: {certified}");
}

#[test]
fn what_worlds_of_two_cannot_do_is_refused_by_what_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (dir, games) = (file("run"), file("games.rec"));
    run(&["--env", "tag", "--agent", "ppo", "--frames", "2000", "--run", &dir, "--json"]);
    let train = ["--env", "tag", "--agent", "ppo", "--run"];
    for (args, said) in [
        (&[&train[..], &[&file("odd"), "--set", "train.envs=15"]].concat()[..], "15 seats make no whole worlds of 2"),
        (
            &[&train[..], &[&file("one"), "--set", "train.envs=1"]].concat(),
            "one seat cannot be played alone: 2 share a world",
        ),
        (&[&train[..], &[&file("taped"), "--record", "best"]].concat(), "--record follows a world of one seat"),
        (
            &["record", &dir, "--outputs", "every:1", "--out", &games],
            "--outputs is for worlds of one seat, and those of tag have 2",
        ),
        (&["rollout", "--env", "tag", "--actions", "/dev/null"], "one seat cannot be played alone"),
    ] {
        let output = started(args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{args:?}: {told}");
        assert!(told.contains(said), "{args:?}: {told}");
    }
}
