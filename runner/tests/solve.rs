//! Small environments are solved without an agent, and policies are drawn on their maps.
#![forbid(unsafe_code)]

mod common;

use std::io::BufReader;
use std::path::Path;

use common::{json, output};

/// Width and height of a PNG file, and whether it shows more than one colour.
fn looked_at(path: &Path) -> (u32, u32, bool) {
    let decoder = png::Decoder::new(BufReader::new(std::fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels.chunks_exact(3).any(|pixel| pixel != &pixels[..3]))
}

#[test]
fn value_iteration_reaches_what_is_known_of_small_worlds() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    // Expected returns of the optimal policies under the step limits; see presets/tabular.
    for (env, gamma, reached, best) in [
        ("frozenlake", 0.99, 0.7402, 0.7442),
        ("frozenlake8x8", 0.995, 0.8936, 0.9132),
        ("cliffwalking", 1.0, -13.0, -13.0),
        ("taxi", 1.0, 7.93, 7.93),
    ] {
        let solved = json(at, &format!("solve --env {env} --gamma {gamma} --json"));
        for (key, known) in [("expected_return", reached), ("optimum", best)] {
            let found = solved[key].as_f64().unwrap();
            assert!((found - known).abs() <= 5e-5, "{env}: {key} {found}");
        }
        assert_eq!(solved["policy"].as_array().unwrap().len(), solved["values"].as_array().unwrap().len());
    }
    for (env, gamma, told) in [("frozenlake8x8", 1.0, true), ("frozenlake8x8", 0.995, false), ("taxi", 1.0, false)] {
        let said = String::from_utf8(output(at, &format!("solve --env {env} --gamma {gamma}")).stderr).unwrap();
        assert_eq!(said.contains("ones that lead nowhere"), told, "{env} {gamma}: {said}");
    }
    let said = String::from_utf8(output(at, "solve --env frozenlake8x8 --gamma 0.1").stderr).unwrap();
    assert!(said.contains("a reward 3 steps ahead counts a thousandth"), "{said}");
}

#[test]
fn policies_are_drawn_solved_or_learned() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let said = output(at, "solve --env frozenlake --picture best.png");
    assert!(said.status.success() && String::from_utf8_lossy(&said.stdout).contains("0.740"), "{said:?}");
    assert_eq!(looked_at(&at.join("best.png")), (384, 384, true));
    json(at, "--env cliffwalking --agent tabular --frames 2000 --run r --quiet --json");
    json(at, "eval r --exact --picture learned.png --json");
    assert_eq!(looked_at(&at.join("learned.png")), (768, 256, true));
}
