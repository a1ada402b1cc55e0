//! `rl-run publish` makes models that others can play with and check; those of this repository are such.
#![forbid(unsafe_code)]

mod common;

use std::fs;

use common::{json, names, output, refusal};

#[test]
fn a_published_run_plays_the_same_games_and_cannot_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent ppo --frames 4000 --seed 3 --run r --quiet --json");
    let score = json(at, "publish r --out models/pole --episodes 5 --seed 9 --json");
    assert_eq!(json(at, "eval r --episodes 5 --seed 9 --json"), score);
    assert_eq!(json(at, "eval --model pole --episodes 5 --seed 9 --json"), score);
    let files = [
        "README.md",
        "best.rec",
        "checkpoints",
        "games.rec",
        "median.rec",
        "run.json",
        "run.toml",
        "score.json",
        "worst.rec",
    ];
    assert_eq!(names(&at.join("models/pole")), files);
    assert_eq!(json(at, "list models --json").as_array().unwrap().iter().filter(|m| m["name"] == "pole").count(), 1);

    let returns = ["best", "median", "worst"].map(|game| {
        let verdict = json(at, &format!("verify models/pole/{game}.rec --json"));
        assert_eq!((verdict["equal"].as_bool(), verdict["episodes"].as_u64()), (Some(true), Some(1)));
        verdict["returns"][0].as_f64().unwrap()
    });
    assert!(returns.is_sorted_by(|a, b| a >= b), "{returns:?}");
    assert_eq!(score["median"].as_f64(), Some(returns[1]));
    let all = json(at, "verify models/pole/games.rec --json");
    assert_eq!((all["equal"].as_bool(), &all["mean"], all["episodes"].as_u64()), (Some(true), &score["mean"], Some(5)));
    let card = fs::read_to_string(at.join("models/pole/README.md")).unwrap();
    assert!(
        card.starts_with("# ppo on cartpole\n") && card.contains(&format!("`best.rec` | {} |", returns[0])),
        "{card}"
    );
    assert!(output(at, "record --model pole --episodes 1 --out g.rec").status.success());
    let resumed = String::from_utf8(output(at, "resume models/pole --frames 9000 --quiet").stderr).unwrap();
    assert!(resumed.contains("models/pole is a published model"), "{resumed}");
}

#[test]
fn wrong_names_and_places_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env frozenlake --agent tabular --frames 500 --run r --quiet --json");
    json(at, "publish r --out models/lake --episodes 2 --json");
    for (line, says) in [
        ("eval --model laek", "did you mean `lake`?"),
        ("watch --model lakes", "no such model in "),
        ("publish r --out models/lake", "models/lake exists"),
        ("publish x --out y", "is not the directory of a run"),
        ("resume models/lake", "models/lake is a published model"),
        ("verify models/lake", "`rl-run verify models/lake/games.rec` certifies its score"),
        ("eval", "<RUN|--model <NAME>>"),
        ("eval r --model lake", "cannot be used with"),
    ] {
        let (code, said) = refusal(at, line);
        assert!(code == 2 && said.contains(says), "{line}: {said}");
    }
    assert_eq!(names(&at.join("models")), ["lake"], "no drafts");
}

#[cfg(feature = "atari")]
#[test]
fn the_models_of_this_repository_keep_what_their_cards_promise() {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let known = json(&models, "list models --json");
    let known: Vec<&str> = known.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(known, names(&models));
    assert!(known.contains(&"kungfu"));
    for name in known.iter().filter(|name| cfg!(feature = "doom") || !name.starts_with("doom")) {
        let at = models.join(name);
        let card = fs::read_to_string(at.join("README.md")).unwrap();
        for game in ["best", "median", "worst"] {
            let verdict = json(&at, &format!("verify {game}.rec --json"));
            assert_eq!(verdict["equal"].as_bool(), Some(true), "{name}: {verdict}");
            assert!(card.contains(&format!("`{game}.rec` | {} |", verdict["returns"][0].as_f64().unwrap())), "{card}");
        }
        let score = json(&at, &format!("eval --model {name} --episodes 1 --json"));
        assert_eq!(score["episodes"].as_u64(), Some(1), "{name}: its weights load");
        let weights =
            fs::read_dir(at.join("checkpoints")).unwrap().next().unwrap().unwrap().path().join("model.safetensors");
        assert!(fs::metadata(&weights).unwrap().len() <= 8_000_000, "{name}: a model of the repository is small");
    }
}

#[cfg(feature = "atari")]
#[test]
#[ignore = "minutes: all games of all models are played again"]
fn the_scores_of_the_models_of_this_repository_are_those_of_their_games() {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for name in names(&models) {
        let at = models.join(&name);
        let verdict = json(&at, "verify games.rec --json");
        let score: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(at.join("score.json")).unwrap()).unwrap();
        let found = (verdict["equal"].as_bool(), &verdict["mean"], &verdict["episodes"]);
        assert_eq!(found, (Some(true), &score["mean"], &score["episodes"]), "{name}");
    }
}

#[cfg(feature = "doom")]
#[test]
#[ignore = "minutes: 100 games of each of Doom's scores are played again"]
fn the_games_of_published_scores_play_again() {
    let scores = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scores");
    for name in names(&scores) {
        let verdict = json(&scores, &format!("verify {name} --json"));
        assert_eq!((verdict["equal"].as_bool(), verdict["episodes"].as_u64()), (Some(true), Some(100)), "{name}");
    }
}
