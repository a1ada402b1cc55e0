//! The example's own environments and agents are trained and evaluated by the binary that it builds.

use std::process::Command;

fn run(args: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_rl-extend-example")).args(args).output().expect("the binary starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    serde_json::from_str(stdout.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {stdout}"))
}

#[test]
fn the_environments_keep_what_all_promise() {
    for env in ["corridor", "tag"] {
        let report = run(&["check", "--env", env, "--json"]);
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
    // What one seat of a field wins the other loses.
    let games = |args: &[&str]| {
        let eval = run(&[&["eval", &dir, "--episodes", "200", "--json"], args].concat());
        assert_eq!(eval["mean"], 0.0, "{eval}");
        eval
    };
    let (learned, random) = (games(&[]), games(&["--set", "eval.epsilon=1"]));
    let frames = |eval: &serde_json::Value| eval["frames"].as_u64().expect("a count");
    assert!(frames(&learned) < frames(&random), "who chases catches no sooner: {learned} {random}");
}
