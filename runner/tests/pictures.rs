//! Games that were recorded with `--frames`, where they can be played again and where they cannot, by the program that a
//! person runs.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::Path;

use common::{json, of_another_version, output, refusal};

/// Records two games with `--frames` as a.rec, and writes b.rec, which is of an environment that nobody has.
fn recorded(at: &Path, line: &str) -> serde_json::Value {
    let told = json(at, &format!("record {line} --episodes 2 --seed 1 --frames --out a.rec --json"));
    fs::write(at.join("b.rec"), of_another_version(&fs::read(at.join("a.rec")).unwrap())).unwrap();
    told
}

/// The file that an export makes, and the line that says how.
fn exported(at: &Path, file: &str, words: &str, ending: &str) -> (Vec<u8>, String) {
    let done = output(at, &format!("export {file} --out x.{ending} {words}"));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{file}: {said}");
    (fs::read(at.join(format!("x.{ending}"))).unwrap(), said)
}

#[test]
fn pictures_show_where_nobody_can_play_what_playing_again_shows() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let mut envs = vec![
        ("cartpole", "", 1500),
        ("blackjack", "", 12_000),
        ("pendulum", "--set env.max_steps=30", 1500),
        ("connectfour", "", 1500),
        ("taxi", "--set env.max_steps=30", 1500),
    ];
    if cfg!(feature = "atari") {
        envs.push(("kungfu", "--set eval.max_frames=2000", 400));
    }
    if cfg!(feature = "doom") {
        envs.push(("doom/basic", "", 20_000));
    }
    for (env, set, bytes_per_step) in envs {
        let line = format!("--env {env} --random {set}");
        let told = recorded(at, &line);
        let (steps, bytes) = (told["steps"].as_u64().unwrap(), told["bytes"].as_u64().unwrap());
        assert!(bytes < 4000 + bytes_per_step * steps, "{env}: {bytes} bytes for {steps} steps");
        let plain = json(at, &format!("record {line} --episodes 2 --seed 1 --out plain.rec --json"));
        assert_eq!((&plain["mean"], &plain["steps"]), (&told["mean"], &told["steps"]), "{env}");

        let verdict = json(at, "verify a.rec --json");
        assert_eq!((&verdict["equal"], &verdict["mean"]), (&true.into(), &told["mean"]), "{env}");
        assert_eq!(verdict["pictures"], steps + 2, "{env}: one of each beginning");
        let (code, said) = refusal(at, "verify b.rec");
        assert!(code == 1 && said.contains("no score is certified by them: was recorded with version"), "{said}");

        let kept = exported(at, "plain.rec", "", "rec").0;
        assert!(kept == fs::read(at.join("a.rec")).unwrap(), "{env}: pictures that are taken afterwards");
        let ways = [("csv", "--by-step"), ("gif", "--steps 40"), ("apng", "--every 3"), ("png", "--pictures 3")];
        for (ending, words) in ways.into_iter().take(if env == "cartpole" { 4 } else { 2 }) {
            let words = format!("{words} --episode 2");
            let [again, kept] = ["a.rec", "b.rec"].map(|file| exported(at, file, &words, ending));
            assert!(again.0 == kept.0, "{env}: the same .{ending}");
            assert!(again.0 == exported(at, "plain.rec", &words, ending).0, "{env}: .{ending} of before");
            assert!(again.1.contains("a.rec is played again; its pictures are not needed"), "{}", again.1);
            assert!(kept.1.contains("b.rec is shown from its pictures, since"), "{}", kept.1);
        }
    }
    fs::write(at.join("c.rec"), of_another_version(&fs::read(at.join("plain.rec")).unwrap())).unwrap();
    let (code, said) = refusal(at, "export c.rec --out x.gif");
    assert!(code == 1 && said.contains("c.rec: was recorded with version"), "nothing to show: {said}");
}

#[test]
fn games_of_an_agent_are_filmed_by_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env blackjack --agent tabular --frames 3000 --seed 3 --quiet --json --run r");
    json(at, "record r --episodes 5 --seed 5 --out plain.rec --json");
    let told = json(at, "record r --episodes 5 --seed 5 --frames --outputs every:2 --out a.rec --json");
    for threads in [1, 2] {
        let line = "record r --episodes 5 --seed 5 --frames --outputs every:2 --out again.rec --json";
        json(at, &format!("{line} --threads {threads} --workers {threads}"));
        assert!(fs::read(at.join("again.rec")).unwrap() == fs::read(at.join("a.rec")).unwrap());
    }
    json(at, "record r --episodes 5 --seed 5 --outputs every:2 --out told.rec --json");
    assert!(exported(at, "told.rec", "", "rec").0 == fs::read(at.join("a.rec")).unwrap(), "what it thought is copied");
    let verdict = json(at, "verify a.rec --json");
    assert_eq!((&verdict["equal"], &verdict["episodes"]), (&true.into(), &5.into()));
    assert_eq!(verdict["pictures"], told["steps"].as_u64().unwrap() + 5);
    assert!(json(at, "verify plain.rec --json").get("pictures").is_none());
    let said = String::from_utf8(output(at, "verify a.rec").stdout).unwrap();
    assert!(said.contains(&format!("and all {} pictures match", verdict["pictures"])), "{said}");
    let csv = |file: &str, words: &str| exported(at, file, words, "csv").0;
    assert!(csv("a.rec", "") == csv("plain.rec", ""));
}

#[test]
fn what_pictures_cannot_do_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    recorded(at, "--env frozenlake --random");
    json(at, "--env frozenlake --agent dqn --frames 200 --quiet --json --run r");
    let (code, said) = refusal(at, "export b.rec --out x.gif --saliency --run r");
    assert!(code == 2 && said.contains("--saliency: b.rec: its pictures are not what the agent saw"), "{said}");
    let done = output(at, "export a.rec --out x.gif --saliency --model nobody");
    let said = String::from_utf8(done.stderr).unwrap();
    let told = "--saliency: frozenlake shows no frames: leave it out";
    assert!(done.status.code() == Some(2) && said.contains(told), "{said}");
    let (code, said) = refusal(at, "export b.rec --out x.rec");
    assert!(code == 1 && said.contains("b.rec: was recorded with version"), "{said}");
    let (code, said) = refusal(at, "play --env cartpole --frames");
    assert!(code == 2 && said.contains("--out"), "{said}");
    // A flipped byte, or an end that is missing.
    let bytes = fs::read(at.join("a.rec")).unwrap();
    for place in 1..40 {
        let mut flipped = bytes.clone();
        flipped[place * (bytes.len() - 1) / 40] ^= 4;
        fs::write(at.join("flipped.rec"), flipped).unwrap();
        let done = output(at, "verify flipped.rec");
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(1) && said.contains("flipped.rec"), "{said}");
    }
    fs::write(at.join("b.rec"), of_another_version(&bytes[..bytes.len() - 12])).unwrap();
    assert!(exported(at, "b.rec", "--episode 2", "gif").0.starts_with(b"GIF89a"), "as far as it goes");
}

/// Pixels of a .png, by their bytes.
#[cfg(feature = "atari")]
fn pixels(bytes: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

#[cfg(feature = "atari")]
#[test]
fn what_moves_an_agent_is_laid_over_the_pictures_of_its_game() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let small = "--set agent.trunk=small --set agent.hidden=[16] --set train.envs=2 --set agent.horizon=32 --set agent.minibatches=2";
    let brief = "--set env.max_frames=400 --set eval.max_frames=400";
    for (run, seed) in [("r", 1), ("other", 2)] {
        let line = format!("--env kungfu --agent ppo --frames 600 --seed {seed} --quiet --json --run {run}");
        json(at, &format!("{line} {small} {brief}"));
    }
    json(at, "record r --episodes 1 --seed 5 --out r/a.rec --json");
    let told = |file: &str, words: &str| {
        let (bytes, said) = exported(at, file, &format!("--pictures 2 --scale 1 {words}"), "png");
        (pixels(&bytes), said)
    };
    let shot = |words: &str| told("r/a.rec", words).0;
    let (plain, (laid_over, said)) = (shot(""), told("r/a.rec", "--saliency"));
    assert!(!said.contains("weights"), "they are those that played: {said}");
    assert_eq!(plain.len(), laid_over.len());
    let tinted = plain.iter().zip(&laid_over).filter(|(a, b)| a != b).count();
    assert!((1..plain.len()).contains(&tinted), "{tinted} of {} bytes", plain.len());
    assert!(shot("--saliency") == laid_over, "it draws nothing by chance");
    assert!(shot("--saliency --run r") == laid_over, "it lies in the directory of its run");
    let (others, said) = told("r/a.rec", "--saliency --run other");
    assert!(others != laid_over, "other weights are moved by other places");
    assert!(said.contains("--saliency by other: weights after ") && said.contains("not those that played"), "{said}");
    fs::copy(at.join("r/a.rec"), at.join("a.rec")).unwrap();
    json(at, "publish r --episodes 1 --out models/m --json");
    let (models, said) = told("a.rec", "--saliency --model m");
    assert!(models == laid_over && !said.contains("weights"), "a model is found by its name: {said}");
    let (code, said) = refusal(at, "export a.rec --out x.png --saliency");
    assert!(code == 2 && said.contains("--saliency: whose weights? --run RUN or --model NAME names them"), "{said}");
}

/// As recordings of before are, which have pictures of what agents saw.
#[cfg(all(feature = "doom", target_arch = "x86_64"))]
#[test]
fn pictures_that_are_not_said_to_be_in_colours_are_compared_with_grey_ones() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env doom/basic --random --episodes 1 --frames --out a.rec --json");
    assert_eq!(json(at, "verify a.rec --json")["equal"], true);
    let coloured = fs::read(at.join("a.rec")).unwrap();
    let unsaid = common::with_manifest(&coloured, |text| text.replace(",\"watched\":true", ""));
    fs::write(at.join("b.rec"), unsaid).unwrap();
    let done = output(at, "verify b.rec"); // which certifies the game
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(1) && said.contains("after step 0 of game 1 the recorded picture"), "{said}");
}

/// The same file on the same machine, before and after its scenario went.
#[cfg(feature = "doom")]
#[test]
fn a_scenario_of_ones_own_that_is_gone_can_still_be_seen() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let scenarios = rl_assets::fetch("vizdoom", &mut |_| ()).unwrap().join("vizdoom/scenarios");
    for ending in ["cfg", "wad"] {
        fs::copy(scenarios.join(format!("basic.{ending}")), at.join(format!("basic.{ending}"))).unwrap();
    }
    let line = "--env doom/basic --random --set env.config=basic.cfg";
    json(at, &format!("record {line} --episodes 1 --seed 1 --frames --out a.rec --json"));
    let before = exported(at, "a.rec", "", "gif");
    fs::remove_file(at.join("basic.cfg")).unwrap();
    let after = exported(at, "a.rec", "", "gif");
    assert!(before.0 == after.0 && before.1.contains("is played again"), "{}", before.1);
    assert!(after.1.contains("is shown from its pictures") && after.1.contains("basic.cfg"), "{}", after.1);
    assert!(refusal(at, "verify a.rec").1.contains("no score is certified"));
}
