//! `rl-run plot` and `rl-run report`: curves are what runs measured, pictures are pictures, and a page needs nothing else.
#![forbid(unsafe_code)]

mod common;

use std::fs;

use common::{json, output, refusal};

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
