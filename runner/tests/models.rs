//! `rl-run publish` makes models that others can play with and check; those of this repository are such.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{in_terminal, json, names, output, refusal, rl_run};
use rl_replays::recording::{Manifest, Outcome, Player, Recording};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// What a recording says of its games, without playing them.
fn told(path: &Path) -> (Manifest, Vec<Outcome>) {
    let recording = Recording::read(&fs::read(path).unwrap()[..]).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(recording.whole, "{}", path.display());
    (recording.manifest, recording.episodes.iter().map(|played| played.outcome.unwrap()).collect())
}

/// What the command on a model's card that evaluates it again prints with `--json`.
fn evaluated_again(at: &Path, model: &str) -> Value {
    let card = fs::read_to_string(at.join(model).join("README.md")).unwrap();
    let words = card.lines().find_map(|line| line.strip_prefix("rl-run eval DIR")).unwrap();
    json(at, &format!("eval {model}{} --json", words.split('#').next().unwrap()))
}

#[test]
fn a_published_run_plays_the_same_games_and_cannot_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent ppo --frames 4000 --seed 3 --run r --quiet --json");
    let score = json(at, "publish r --out models/pole --episodes 5 --seed 9 --json");
    assert_eq!(json(at, "eval r --episodes 5 --seed 9 --json"), score);
    assert_eq!(json(at, "eval --model pole --episodes 5 --seed 9 --json"), score);
    assert_eq!(evaluated_again(at, "models/pole"), score);
    let greedy = json(at, "publish r --out models/greedy --episodes 2 --seed 9 --greedy --json");
    assert_eq!(evaluated_again(at, "models/greedy"), greedy);
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
fn the_card_of_a_score_by_another_protocol_than_the_run_s_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let small = "--set agent.channels=2 --set agent.simulations=4 --set agent.eval_simulations=4";
    json(at, &format!("--env connectfour --agent alphazero --frames 100 --seed 3 --run r --quiet --json {small}"));
    let other = json(at, "publish r --out other --episodes 2 --protocol random --json");
    assert_eq!((&other["protocol"], &other["changed"]["env.protocol"]), (&"random".into(), &"random".into()));
    let own = json(at, "publish r --out own --episodes 2 --protocol self-play --json");
    for (model, score) in [("other", other), ("own", own)] {
        assert_eq!(evaluated_again(at, model), score, "{model}");
        let card = fs::read_to_string(at.join(model).join("README.md")).unwrap();
        assert_eq!(card.contains("--protocol"), model == "other", "{card}");
    }
}

#[test]
fn a_model_has_the_permissions_of_the_umask_and_one_that_fails_names_its_own_place() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent ppo --frames 1 --run r --quiet --json");
    let publish = |first: &str, out: &str| {
        let line = format!("{first}; exec \"$0\" publish r --episodes 1 --json --out {out}");
        let done = Command::new("sh").args(["-c", &line, env!("CARGO_BIN_EXE_rl-run")]).current_dir(at).output();
        let done = done.unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    for (umask, mode) in [("027", 0o750), ("002", 0o775)] {
        assert_eq!(publish(&format!("umask {umask}"), umask).0, Some(0));
        assert_eq!(fs::metadata(at.join(umask)).unwrap().permissions().mode() & 0o777, mode, "{umask}");
    }
    let (code, said) = publish("umask 022", "/proc/rl-run-was-here");
    assert!(code == Some(1) && said.starts_with("error: /proc/rl-run-was-here: "), "{said}");
    assert!(!said.contains(".publish"), "{said}");
    // A limit on the size of files stands for the end of a disk.
    let (code, said) = publish("ulimit -f 1", "full");
    assert!(code == Some(1) && said.starts_with("error: full: writing checkpoint full/checkpoints/0"), "{said}");
    assert!(said.contains("File too large") && !said.contains(".publish"), "{said}");
    assert_eq!(names(at), ["002", "027", "r"], "no drafts");
}

#[test]
fn of_several_models_that_want_one_place_the_first_has_it_and_the_others_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent ppo --frames 1 --run r --quiet --json");
    let begin = |seed: u64| {
        let mut command = rl_run(at, &format!("publish r --episodes 20 --seed {seed} --out model --json"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> =
        (0..4).map(begin).collect::<Vec<_>>().into_iter().map(|it| it.wait_with_output().unwrap()).collect();
    let (first, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|done| done.status.success());
    assert_eq!(first.len(), 1);
    let said: Value = serde_json::from_slice(&first[0].stdout).unwrap();
    let kept: Value = serde_json::from_slice(&fs::read(at.join("model/score.json")).unwrap()).unwrap();
    assert_eq!(said["returns"], kept["returns"]);
    for done in others {
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(2) && said.contains("model exists: name another --out"), "{said}");
    }
    assert_eq!(names(at), ["model", "r"], "no drafts");
}

#[test]
fn what_is_published_is_what_played_though_a_newer_checkpoint_comes_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --seed 3 --quiet --json --set train.keep_checkpoints=1";
    json(at, &format!("{line} --frames 1 --run r"));
    json(at, &format!("{line} --frames 4000 --run later"));
    let [before, later] = ["r", "later"].map(|run| names(&at.join(run).join("checkpoints")).pop().unwrap());
    assert_ne!(before, later);
    let [from, to] = ["later", "r"].map(|run| at.join(run).join("checkpoints").join(&later));
    // Once the games have begun.
    let comes = || {
        let begun = fs::read_to_string(at.join("typescript")).is_ok_and(|said| said.contains("/20,000 games"));
        if begun {
            fs::rename(&from, &to).unwrap();
        }
        begun
    };
    let (said, code) = in_terminal(at, "publish r --out model --episodes 20000", &[], comes);
    assert!(code == 0 && to.exists(), "{said}");
    assert_eq!(names(&at.join("model/checkpoints")), [&*before]);
    let score: Value = serde_json::from_str(&fs::read_to_string(at.join("model/score.json")).unwrap()).unwrap();
    assert_eq!(score["checkpoint"], before.parse::<u64>().unwrap());
    let card = fs::read_to_string(at.join("model/README.md")).unwrap();
    let weights = fs::read(at.join("model/checkpoints").join(&before).join("model.safetensors")).unwrap();
    let sha256: String = Sha256::digest(&weights).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(card.contains(&format!("SHA-256 `{sha256}`")) && score["parameters_sha256"] == *sha256, "{card}");
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
        ("verify models", "`rl-run verify models/lake/games.rec` certifies its score"),
        ("eval", "<RUN|--model <NAME>>"),
        ("eval r --model lake", "cannot be used with"),
    ] {
        let (code, said) = refusal(at, line);
        assert!(code == 2 && said.contains(says), "{line}: {said}");
    }
    assert_eq!(names(&at.join("models")), ["lake"], "no drafts");
    // Beside runs they are left out.
    fs::rename(at.join("models/lake"), at.join("lake")).unwrap();
    let done = output(at, "verify . --quiet --json");
    let (said, rows) = (String::from_utf8(done.stderr).unwrap(), String::from_utf8(done.stdout).unwrap());
    let all: Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
    assert_eq!((done.status.code(), &all["runs"], &all["failed"]), (Some(0), &1.into(), &0.into()), "{said}");
    assert!(said.starts_with("left out: ./lake is a published model: ") && said.lines().count() == 1, "{said}");
    // So is one whose score cannot be read, in our words.
    fs::create_dir(at.join("models/torn")).unwrap();
    fs::write(at.join("models/torn/score.json"), "").unwrap();
    let said = String::from_utf8(output(at, "list models").stderr).unwrap();
    assert!(said.contains("models/torn/score.json: it is empty\n"), "{said}");
}

#[cfg(feature = "atari")]
#[test]
fn the_models_of_this_repository_keep_what_their_cards_promise() {
    let models = models();
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
            let told = format!("`{game}.rec` | {} |", verdict["returns"][0].as_f64().unwrap());
            assert!(card.replace(',', "").contains(&told), "{card}");
        }
        let score = json(&at, &format!("eval --model {name} --episodes 1 --json"));
        assert_eq!(score["episodes"].as_u64(), Some(1), "{name}: its weights load");
        let weights =
            fs::read_dir(at.join("checkpoints")).unwrap().next().unwrap().unwrap().path().join("model.safetensors");
        assert!(fs::metadata(&weights).unwrap().len() <= 8_000_000, "{name}: a model of the repository is small");
    }
}

/// Of the files alone: whether the games go as they are recorded is for the slow test below.
#[test]
fn the_scores_of_the_models_of_this_repository_are_what_their_recordings_say() {
    for name in names(&models()) {
        let at = models().join(&name);
        let text = |file: &str| fs::read_to_string(at.join(file)).unwrap();
        let (score, card) = (serde_json::from_str::<Value>(&text("score.json")).unwrap(), text("README.md"));
        let (manifest, games) = told(&at.join("games.rec"));
        let mut returns: Vec<f64> = games.iter().map(|game| game.ret).collect();
        if let Some(kept) = score.get("returns") {
            assert_eq!(kept, &Value::from(returns.clone()), "{name}");
        }
        returns.sort_by(f64::total_cmp);
        let n = returns.len();
        let mean = returns.iter().sum::<f64>() / n as f64;
        let squares: f64 = returns.iter().map(|ret| (ret - mean).powi(2)).sum();
        let stderr = (squares / (n as f64 - 1.0) / n as f64).sqrt();
        let median = 0.5 * (returns[(n - 1) / 2] + returns[n / 2]);
        for (key, found) in [("mean", mean), ("median", median), ("stderr", stderr)] {
            let said = score[key].as_f64().unwrap();
            assert!((said - found).abs() <= 1e-12 * found.abs(), "{name}: {key} is {said}, and its games say {found}");
        }
        assert!(
            card.replace(',', "").contains(&format!("| mean | {mean:.1} ± {stderr:.1} (standard error) |")),
            "{card}"
        );
        let frames: u64 = games.iter().map(|game| game.frames).sum();
        assert_eq!((&score["episodes"], &score["frames"]), (&n.into(), &frames.into()), "{name}");

        for (game, ret) in [("best", returns[n - 1]), ("median", returns[(n - 1) / 2]), ("worst", returns[0])] {
            let (player, alone) = told(&at.join(format!("{game}.rec")));
            assert!(player == manifest && alone.len() == 1 && games.contains(&alone[0]), "{name}: {game}.rec");
            assert_eq!(alone[0].ret, ret, "{name}: {game}.rec");
        }
        let checkpoint = names(&at.join("checkpoints")).remove(0);
        let weights = fs::read(at.join("checkpoints").join(checkpoint).join("model.safetensors")).unwrap();
        let player = Player::Agent {
            agent: score["agent"].as_str().unwrap().to_owned(),
            frames: score["checkpoint"].as_u64().unwrap(),
            weights_sha256: Sha256::digest(&weights).iter().map(|byte| format!("{byte:02x}")).collect(),
            policy: score["policy"].as_str().unwrap().to_owned(),
            seed: score["seed"].as_u64().unwrap(),
        };
        assert_eq!((manifest.player, Some(&*manifest.env)), (player, score["env"].as_str()), "{name}");
    }
}

#[cfg(feature = "atari")]
#[test]
#[ignore = "minutes: all games of all models are played again"]
fn the_scores_of_the_models_of_this_repository_are_those_of_their_games() {
    for name in names(&models()) {
        let at = models().join(&name);
        let verdict = json(&at, "verify games.rec --json");
        let score: Value = serde_json::from_str(&fs::read_to_string(at.join("score.json")).unwrap()).unwrap();
        let found = (verdict["equal"].as_bool(), &verdict["mean"], &verdict["episodes"]);
        assert_eq!(found, (Some(true), &score["mean"], &score["episodes"]), "{name}");
    }
}

#[cfg(all(feature = "atari", feature = "doom"))]
#[test]
#[ignore = "minutes: 100 games of each score are played again"]
fn the_games_of_published_scores_play_again() {
    let scores = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scores");
    for name in names(&scores) {
        let verdict = json(&scores, &format!("verify {name} --json"));
        assert_eq!((verdict["equal"].as_bool(), verdict["episodes"].as_u64()), (Some(true), Some(100)), "{name}");
    }
}
