//! `rl-run plot` and `rl-run report`: curves are what runs measured, pictures are pictures, and a page needs nothing else.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::Path;

use common::{json, output, refusal};
use serde_json::{Value, json};

#[test]
fn curves_are_what_runs_measured_and_a_page_holds_everything() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let done = output(
        at,
        "--env cartpole --agent dqn --seeds 1..3 --frames 3000 --quiet --run d --record best --eval-every 1500 --eval-episodes 3",
    );
    assert!(done.status.success());
    json(at, "--env cartpole --agent ppo --frames 3000 --quiet --json --run p<&b");
    let told = json(at, "plot d p<&b --smooth 1 --json");
    let groups = told.as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!((&groups[0]["name"], &groups[0]["seeds"]), (&"dqn, 3 seeds".into(), &serde_json::json!([1, 2, 3])));
    let last = |key: &str, group: usize| groups[group][key].as_array().unwrap().last().unwrap().as_f64().unwrap();
    let rows = |run: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(at.join(run).join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let measured = rows("p<&b").last().unwrap().clone();
    assert_eq!(Some(last("mean", 1)), measured["return_100"].as_f64());
    assert_eq!(Some(last("x", 1)), measured["frames"].as_f64());
    assert!(last("low", 0) <= last("mean", 0) && last("mean", 0) <= last("high", 0));

    for (out, magic) in [("a.svg", &b"<svg"[..]), ("a.png", &b"\x89PNG\r\n"[..])] {
        let done = output(at, &format!("plot d p<&b --out {out} --x minutes"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(fs::read(at.join(out)).unwrap().starts_with(magic), "{out}");
    }
    let svg = fs::read_to_string(at.join("a.svg")).unwrap();
    assert!(svg.contains("fill-opacity") && svg.contains(">dqn, 3 seeds<"), "{svg}");

    // What --json wrote takes the place of the runs, and ends where those beside it do.
    let shorter = json(at, "--env cartpole --agent ppo --frames 1500 --quiet --json --run short")["frames"].clone();
    fs::write(at.join("kept.json"), serde_json::to_vec(&told).unwrap()).unwrap();
    assert_eq!(json(at, "plot --beside kept.json --json"), told);
    let beside = json(at, "plot short --beside kept.json --json");
    assert_eq!((&beside[1]["name"], beside.as_array().unwrap().len()), (&told[0]["name"], 3));
    for curve in beside.as_array().unwrap() {
        assert_eq!(curve["x"].as_array().unwrap().last().unwrap().as_f64(), shorter.as_f64(), "{curve}");
    }
    let done = output(at, "plot short --beside kept.json --out c.svg");
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 run in 1 curve, 2 of files"), "{done:?}");
    let svg = fs::read_to_string(at.join("c.svg")).unwrap();
    assert!(svg.contains(">dqn, 3 seeds<") && svg.contains("stroke-dasharray"), "{svg}");
    fs::write(at.join("none.json"), "[]").unwrap();
    fs::write(at.join("torn.json"), "[{\"name\":\"a\",\"x\":[1,").unwrap();

    let done = output(at, "report d p<&b --out a.html");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let page = fs::read_to_string(at.join("a.html")).unwrap();
    assert!(page.contains("data:image/gif;base64,R0lGODlh"), "a film of what was recorded");
    assert_eq!(page.matches("<svg").count(), 2, "and a chart of those that were evaluated");
    let links = page.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !links.contains("http") && !links.contains("<script") && !links.contains("<link"),
        "nothing from elsewhere"
    );
    output(at, "report d --out d.html");
    assert_eq!(fs::read_to_string(at.join("d.html")).unwrap().matches("<svg").count(), 2);
    output(at, "report p<&b --out p.html");
    assert_eq!(fs::read_to_string(at.join("p.html")).unwrap().matches("<svg").count(), 1, "it was not evaluated");

    fs::create_dir_all(at.join("all/nested")).unwrap();
    for (from, to) in [("d/s1", "all/nested/s1"), ("d/s2", "all/s2")] {
        fs::rename(at.join(from), at.join(to)).unwrap();
    }
    let done = output(at, "plot all --json");
    let note = "left out: all/nested holds runs of its own: name all/nested too\n";
    assert_eq!((String::from_utf8_lossy(&done.stderr).as_ref(), done.status.code()), (note, Some(0)));
    fs::rename(at.join("all/s2"), at.join("d/s2")).unwrap();

    for (line, said) in [
        ("plot all --json", "all holds no run; all/nested holds some: name that"),
        ("plot d --y los --json", "no row has `los`; did you mean `loss`?"),
        ("plot d --out a.pdf", ".svg or .png"),
        ("plot d --y nothing --json", "no row has `nothing`"),
        ("plot nowhere --json", "nowhere"),
        ("plot --json", "<RUNS>"),
        ("plot --beside nowhere.json --json", "nowhere.json"),
        ("plot --beside none.json --json", "holds no curve"),
        ("plot --beside torn.json --json", "[0].x"),
        ("plot --beside kept.json --x minutes --json", "along frames, and not along minutes"),
        ("report d --out a.txt", ".html"),
    ] {
        let (code, text) = refusal(at, line);
        assert!(code == 2 && text.contains(said), "{line}: {text}");
    }
}

/// Replaces what a run measured by these rows.
fn measured(run: &Path, rows: &[Value]) {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(run.join("metrics.jsonl"), lines).unwrap();
}

/// Rows of ten thousand frames, each frame of `seconds`, with a return that climbs to 10.
fn climb(seconds: f64) -> Vec<Value> {
    let row = |i: u32| {
        let (frames, ret) = (1000 * i, f64::from(i));
        json!({ "frames": frames, "agent_steps": frames, "seconds": f64::from(frames) * seconds, "return_100": ret })
    };
    (1..=10).map(row).collect()
}

/// What a successful command says on stderr.
fn notes(at: &Path, line: &str) -> String {
    let done = output(at, line);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{line}: {said}");
    said
}

#[test]
fn seeds_of_other_speeds_reach_their_last_score_along_minutes() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    assert!(output(at, "--env cartpole --agent dqn --seeds 1..2 --frames 200 --quiet --run d").status.success());
    measured(&at.join("d/s1"), &climb(0.000_2));
    measured(&at.join("d/s2"), &climb(0.001));
    let curves = json(at, "plot d --x minutes --smooth 1 --json");
    let last = |key: &str| curves[0][key].as_array().unwrap().last().unwrap().as_f64().unwrap();
    assert_eq!(last("mean"), 10.0, "both end with it");
    assert!((last("x") - 0.1).abs() < 1e-12, "the mean of 2 and 10 seconds: {}", last("x"));
    assert_eq!(notes(at, "plot d --x minutes --out d.svg"), "");
    measured(&at.join("d/s1"), &climb(0.000_2)[..5]);
    let said = "`return_100` is drawn to 5,000 frames, where d/s1 ends; d/s2 goes on to 10,000 frames: ";
    assert!(notes(at, "plot d --x minutes --out d.svg").starts_with(said));
    assert_eq!(notes(at, "report d --x minutes --out d.html").matches(said).count(), 1);
    let page = fs::read_to_string(at.join("d.html")).unwrap();
    assert!(page.contains("<td>0.092</td>"), "minutes of 1 and of 10 seconds: {page}");
}

#[test]
fn runs_that_were_only_evaluated_have_their_evaluations() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    assert!(output(at, "--env cartpole --agent dqn --frames 200 --quiet --run d").status.success());
    let row = |frames: u32, key: &str| json!({ "frames": frames, "agent_steps": frames, "seconds": 1, key: 7.5 });
    measured(&at.join("d"), &[row(100, "eval_return"), row(200, "eval_return")]);
    let (code, text) = refusal(at, "plot d --json");
    assert!(code == 2 && text.ends_with("; `rl-run plot --y eval_return` draws its evaluations"), "{text}");
    assert_eq!(json(at, "plot d --y eval_return --json")[0]["mean"][0], json!(7.5));
    assert_eq!(notes(at, "report d --out d.html"), "");
    let page = fs::read_to_string(at.join("d.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 1);
    assert!(page.contains("mean return of an evaluation") && page.contains("<td>–</td><td>7.5000</td>"), "{page}");
    // Before the first episode has ended there is no curve, and all else.
    measured(&at.join("d"), &[row(100, "loss")]);
    assert_eq!(notes(at, "report d --out d.html"), "");
    let page = fs::read_to_string(at.join("d.html")).unwrap();
    assert!(page.contains("<td>–</td><td>–</td></tr>") && page.contains("<summary>") && !page.contains("<svg"));
    let (code, text) = refusal(at, "plot d --json");
    assert!(
        code == 2 && text.ends_with("as no episode of training has ended; `rl-run plot --y loss` draws its loss"),
        "{text}"
    );
}

#[test]
fn each_environment_has_a_panel_and_letters_that_the_font_lacks_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let other = "--set agent.lr=0.5 --set agent.gamma=0.5 --set agent.batch=16"; // more than a name tells
    for (env, run, set) in [("cartpole", "日本", ""), ("cartpole", "b", other), ("frozenlake", "lake", "")] {
        let done = output(at, &format!("--env {env} --agent dqn --frames 200 --quiet --run {run} {set}"));
        assert!(done.status.success(), "{done:?}");
        measured(&at.join(run), &climb(0.001));
    }
    assert_eq!(notes(at, "plot 日本 b lake --out a.svg"), "");
    let svg = fs::read_to_string(at.join("a.svg")).unwrap();
    assert!(svg.contains("<title>cartpole, frozenlake</title>") && svg.contains("viewBox=\"0 0 800 900\""), "{svg}");
    assert!(svg.contains(">cartpole</text>") && svg.contains(">frozenlake</text>"), "{svg}");
    assert!(svg.contains(">dqn on cartpole (日本)<") && svg.contains(">dqn on frozenlake<"), "{svg}");
    let said = notes(at, "plot 日本 b lake --out a.png");
    assert_eq!(said, "a.png: the font of .png files has no 日本 and shows ?: name a .svg file\n");
    assert_eq!(notes(at, "plot lake --out a.png"), "");
}

#[test]
fn runs_that_are_evaluated_and_saved_at_other_times_are_one_curve() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (run, flags) in [
        ("a", "--seed 1"),
        ("b", "--seed 2 --eval-every 150 --eval-episodes 1 --record best"),
        ("c", "--seed 3 --set train.checkpoint_every=100 --set train.keep_checkpoints=1"),
        ("d", "--seed 1 --set agent.lr=0.5"),
    ] {
        let line = format!("--env cartpole --agent dqn --frames 200 --quiet --run {run} {flags}");
        assert!(output(at, &line).status.success(), "{line}");
        let mut rows = climb(0.001);
        if run == "b" {
            rows[9]["eval_return"] = 9.5.into();
        }
        measured(&at.join(run), &rows);
    }
    let usual = json(at, "list settings --env cartpole --agent dqn --json")["agent"]["lr"].clone();
    let curves = json(at, "plot a b c d --json");
    let of = |curve: usize| (&curves[curve]["name"], &curves[curve]["seeds"]);
    assert_eq!(curves.as_array().unwrap().len(), 2, "{curves}");
    assert_eq!(of(0), (&format!("dqn, lr {usual}, 3 seeds").into(), &json!([1, 2, 3])));
    assert_eq!(of(1), (&"dqn, lr 0.5".into(), &json!([1])));
    let said = notes(at, "report a b c --out a.html");
    let page = fs::read_to_string(at.join("a.html")).unwrap();
    assert_eq!(page.matches("<summary>").count(), 1);
    assert!(said.contains("no row has eval_return: a, c") && page.contains("<br>1 of 3 runs</td>"), "{said}");
}

#[test]
fn a_damaged_run_is_left_out_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    assert!(output(at, "--env cartpole --agent dqn --seeds 1..2 --frames 200 --quiet --run d").status.success());
    measured(&at.join("d/s1"), &climb(0.001));
    fs::write(at.join("d/s2/run.json"), "").unwrap();
    assert_eq!(
        notes(at, "plot d --out d.svg"),
        "left out: d/s2/run.json: damaged: put a copy of the file back, or begin the run again: it is empty\n"
    );
    fs::remove_file(at.join("d/s2/run.json")).unwrap();
    let lost =
        "left out: d/s2: it has lost its run.json: remove it, and `rl-run resume` of the group begins it again\n";
    assert_eq!(notes(at, "plot d --out d.svg"), lost);
    // What is gone of a run that is drawn leaves the rest of the page.
    fs::remove_file(at.join("d/s1/run.toml")).unwrap();
    let gone = format!("{lost}no settings of dqn: d/s1/run.toml: there is no such file or directory\n");
    assert_eq!(notes(at, "report d --out d.html"), gone);
    let page = fs::read_to_string(at.join("d.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("<h2>Settings</h2>"), "{page}");
}
