//! Games that are recorded, played again, certified and shown, by the program that a person runs.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::Path;

use common::{json, output, refusal};

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
    assert!(said.contains("20 games of cartpole by dqn after 300"), "{said}");

    let done = output(at, "export games.rec --out returns.csv");
    assert!(done.status.success());
    let table = fs::read_to_string(at.join("returns.csv")).unwrap();
    let returns: Vec<f64> =
        table.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(returns.iter().sum::<f64>() / 20.0, score["mean"].as_f64().unwrap());
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
    }
    for name in names {
        let set = if name.contains("kungfu") || name.contains("atari") { "--set env.max_frames=2000" } else { "" };
        let line = format!("record --env {name} --random --episodes 2 --seed 1 --out a.rec --json {set}");
        let told = json(at, &line);
        let verdict = json(at, "verify a.rec --json");
        assert_eq!((&verdict["equal"], &verdict["mean"]), (&true.into(), &told["mean"]), "{name}");
        let done = output(at, "export a.rec --out a.png --pictures 3");
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    }
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
    assert!(code == 1 && said.contains("cut short; the 2 games before that play again"), "{said}");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    fs::write(at.join("flipped.rec"), flipped).unwrap();
    let (code, said) = refusal(at, "verify flipped.rec");
    assert!(code == 1 && said.contains("flipped.rec is damaged at byte"), "{said}");
    fs::write(at.join("text.rec"), "nothing").unwrap();
    assert!(refusal(at, "verify text.rec").1.contains("text.rec is not a recording"));
    let (code, said) = refusal(at, "export missing.rec --out a.gif");
    assert!(code == 2 && said.contains("missing.rec"), "{said}");
}

/// The one line of a command that fails and may have said something before.
fn failing(at: &Path, line: &str) -> (i32, String) {
    let done = output(at, line);
    (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
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
    let wrong = [
        ("export a.rec --out a.mp4", ".gif, .apng, .png or .csv"),
        ("export a.rec --out a.gif --episode 5", "has 4 games"),
        ("export a.rec --out a.gif --episode 0", "has 4 games"),
        ("export a.rec --out a.gif --from 100000", "steps"),
        ("export a.rec --out a.gif --speed 0", "--speed 0"),
        ("record --env frozenlake --out a.rec", "--random"),
        ("record --env frozenlake --random --greedy --out a.rec", "--greedy"),
        ("record --env frozenlake --random --episodes 0 --out a.rec", "at least 1"),
        ("record nowhere --out a.rec", "not the directory of a run"),
        ("verify a.rec --from 100", "from its start"),
    ];
    for (line, said) in wrong {
        let (code, text) = refusal(at, line);
        assert!(code == 2 && text.contains(said), "{line}: {text}");
    }
}
