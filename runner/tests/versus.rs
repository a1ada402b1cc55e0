//! `rl-run match`: a player that learned a little beats chance, and the same seed plays the same games.
#![forbid(unsafe_code)]

mod common;

use common::{json, output, refusal};

/// A small network that searches little: a third of a minute where this test runs with others. The preset multiplies bf16,
/// with which other players come of it on other CPUs.
const SMALL: &str = "--env connectfour --agent alphazero --seed 1 --quiet --json --frames 12000 --set train.envs=64 \
                     --set agent.channels=8 --set agent.blocks=1 --set agent.hidden=16 --set agent.simulations=16 \
                     --set agent.eval_simulations=16 --set agent.learning_starts=2000 --set agent.batch=256 --set agent.lr_steps=12000 \
                     --set train.precision=f32";

#[test]
fn a_few_games_against_itself_beat_chance_and_a_match_is_a_function_of_its_seed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{SMALL} --run r"));
    let line = "match r --against random,untrained --games 100 --positions 20 --json";
    let report = json(at, line);
    assert_eq!(json(at, line), report);
    assert_ne!(json(at, &format!("{line} --seed 1")), report);
    let [random, untrained] = [0, 1].map(|i| report["matches"][i].clone());
    assert_eq!((random["against"].as_str(), random["games"].as_u64()), (Some("random"), Some(100)));
    assert!(random["score"].as_f64() > Some(0.9), "{random}");
    assert!(untrained["score"].as_f64() > Some(0.5), "{untrained}");
    assert_eq!(report["solver"]["positions"].as_u64(), Some(20));
    assert!(report["solver"]["share"].as_f64() > Some(0.5), "{report}");
    let said = String::from_utf8(output(at, "match r --against alphabeta:1 --games 20 --positions 0").stdout).unwrap();
    assert!(said.contains("alphabeta:1") && said.contains("of 20 games") && !said.contains("solver"), "{said}");

    // The environment's own protocols play the same players, from sides that are drawn.
    let eval = json(at, "eval r --protocol random --episodes 100 --json");
    assert!(eval["mean"].as_f64() > Some(0.8) && eval["protocol"] == "random", "{eval}");

    for (line, said) in [
        ("match r --games 3", "--games 3: must be even"),
        ("match r --against random,random", "--against: random is named twice"),
        ("match r --against stockfish", "--against stockfish: expected `random`"),
        ("match r --against alphabeta:99", "a number from 1 to 10"),
    ] {
        let (code, line) = refusal(at, line);
        assert!(code == 2 && line.contains(said), "{line}");
    }
}

#[test]
fn only_games_of_two_have_matches_and_only_games_that_it_knows_have_planners() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent ppo --frames 1 --run c --quiet --json");
    let (code, line) = refusal(at, "match c");
    assert!(code == 2 && line.contains("`cartpole` is not a two-player board game"), "{line}");
    let preset = concat!("--preset ", env!("CARGO_MANIFEST_DIR"), "/../presets/alphazero/connectfour.toml");
    let (code, line) = refusal(at, &format!("--env cartpole --agent alphazero {preset}"));
    assert!(code == 2 && line.contains("it plays the board game alone whose rules it is built with"), "{line}");
}
