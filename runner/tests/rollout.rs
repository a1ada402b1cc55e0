//! `rl-run rollout`: every line of a walk over ice that does not slip, and of two environments' random steps.
#![forbid(unsafe_code)]

mod common;

use std::path::Path;

use common::{output, refusal};
use serde_json::{Value, json};

const LAKE: &str = "rollout --env frozenlake --set env.slippery=false --set env.max_steps=7";

fn lines(at: &Path, line: &str) -> Vec<Value> {
    let output = output(at, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_walk_over_the_lake_is_answered_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    // Left, down, right, up are 0 to 3. To the goal; a reset, whose action counts for nothing; around until the time is
    // over; a reset; into the first hole; a reset; one step more.
    let actions = [2, 2, 1, 1, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 1, 1];
    let file: String = actions.iter().map(|action| format!("{action}\n")).collect();
    std::fs::write(dir.path().join("walk"), file).unwrap();
    let step = |cell: u32, reward: f64, end: &str| (cell, reward, end.to_owned(), false);
    let ice = |cell: u32| step(cell, 0.0, "no");
    let reset = || (0, 0.0, "no".to_owned(), true);
    let mut expected = vec![ice(1), ice(2), ice(6), ice(10), ice(14), step(15, 1.0, "terminated"), reset()];
    expected.extend([ice(0), ice(0), ice(0), ice(0), ice(0), ice(0), step(0, 0.0, "truncated"), reset()]);
    expected.extend([ice(1), step(5, 0.0, "terminated"), reset(), ice(4)]);

    let found = lines(dir.path(), &format!("{LAKE} --actions walk --json"));
    assert_eq!(found.len(), actions.len());
    for (number, (line, ((cell, reward, end, reset), action))) in
        found.iter().zip(expected.iter().zip(actions)).enumerate()
    {
        let mut whole = json!({ "action": action, "reward": reward, "end": end, "frame_crc32": null, "vector": [], "symbols": [cell] });
        if *reset {
            whole["reset"] = true.into();
        }
        assert_eq!(line, &whole, "line {}", number + 1);
    }
    // Fewer lines than actions, where asked; the same for people.
    assert_eq!(lines(dir.path(), &format!("{LAKE} --actions walk --steps 7 --json")), found[..7]);
    let plain = String::from_utf8(output(dir.path(), &format!("{LAKE} --actions walk --steps 7")).stdout).unwrap();
    let plain: Vec<&str> = plain.lines().collect();
    assert_eq!(plain[5..], ["6: action 2, reward 1, terminated, symbols [15]", "7: reset, symbols [0]"]);
}

#[test]
fn random_steps_depend_on_the_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let walk =
        |seed: u32| lines(dir.path(), &format!("rollout --env cartpole --seed {seed} --random --steps 200 --json"));
    let first = walk(3);
    assert_eq!((first.len(), walk(3) == first, walk(4) == first), (200, true, false));
    let ends = first.iter().filter(|line| line["end"] == "terminated").count();
    let resets = first.iter().filter(|line| line["reset"] == true).count();
    assert!(ends > 3 && (resets == ends || resets + 1 == ends), "{ends} ends, {resets} resets");
    // The actions that were drawn lead to the same states when they come from a file.
    let file: String = first.iter().map(|line| format!("{}\n", line["action"])).collect();
    std::fs::write(dir.path().join("drawn"), file).unwrap();
    assert_eq!(lines(dir.path(), "rollout --env cartpole --seed 3 --actions drawn --json"), first);
}

#[test]
fn continuous_actions_are_numbers_within_their_bounds() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("torques"), "0.5\n-2\n").unwrap();
    let lines = lines(dir.path(), "rollout --env pendulum --actions torques --json");
    let actions: Vec<f64> = lines.iter().map(|line| line["action"].as_f64().unwrap()).collect();
    assert_eq!(actions, [0.5, -2.0]);
    assert!(
        lines.iter().all(|line| line["vector"].as_array().unwrap().len() == 3 && line["reward"].as_f64() < Some(0.0))
    );
    std::fs::write(dir.path().join("torques"), "0.5\n2.5\n").unwrap();
    let (code, said) = refusal(dir.path(), "rollout --env pendulum --actions torques");
    assert!(code == 2 && said.contains("torques:2: expected an action from -2 to 2, got `2.5`"), "{said}");
}

#[test]
fn wrong_actions_are_refused_before_the_first_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("walk"), "1\n4\n").unwrap();
    for (line, why) in [
        ("--actions walk", "walk:2: expected an action from 0 to 3, got `4`"),
        ("--actions absent", "absent: there is no such file"),
        ("--random", "--steps"),
        ("", "--actions"),
    ] {
        let (code, said) = refusal(dir.path(), &format!("rollout --env frozenlake {line}"));
        assert!(code == 2 && said.contains(why), "{said}");
    }
}

/// The engine works in a directory of its own, where it would not find a `.wad` and play another map.
#[cfg(feature = "doom")]
#[test]
fn a_scenario_of_ones_own_is_the_same_by_a_relative_path_and_by_an_absolute_one() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let scenarios = rl_assets::fetch("vizdoom", &mut |_| ()).unwrap().join("vizdoom/scenarios");
    for ending in ["cfg", "wad"] {
        std::fs::copy(scenarios.join(format!("basic.{ending}")), at.join(format!("mine.{ending}"))).unwrap();
    }
    let cfg = std::fs::read_to_string(at.join("mine.cfg")).unwrap();
    std::fs::write(at.join("mine.cfg"), cfg.replace("basic.wad", "mine.wad")).unwrap();
    let walk =
        |words: &str| lines(at, &format!("rollout --env doom/basic --seed 3 --random --steps 40 --json {words}"));
    let relative = walk("--set env.config=mine.cfg");
    assert!(relative == walk(&format!("--set env.config={}", at.join("mine.cfg").display())));
    assert!(relative == walk(""), "it is a copy of the package's");
}
