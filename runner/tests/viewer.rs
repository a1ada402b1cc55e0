//! What the windows say where there are none.
#![cfg(feature = "viewer")]
#![forbid(unsafe_code)]

mod common;

use std::path::Path;

use common::{json, rl_run};

/// The one line of a command without a display, after its exit code.
fn refused(at: &Path, line: &str) -> (i32, String) {
    let mut command = rl_run(at, line);
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    let done = command.output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{line}: {said}");
    (done.status.code().unwrap(), said)
}

#[test]
fn without_a_display_the_way_around_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env frozenlake --random --episodes 2 --out a.rec --json");
    for line in ["watch a.rec", "watch .", "play --env cartpole"] {
        let (code, said) = refused(at, line);
        assert!(code == 2 && said.contains("`rl-run export FILE"), "{line}: {said}");
    }
    let wrong = [
        ("watch a.rec --speed 3", "0.25, 0.5, 1, 2, 4, 8 or 16"),
        ("watch a.rec --episode 3", "a game from 1 to 2"),
        ("watch b.rec", "b.rec"),
        ("play --env cartpole --out a.rec", "is there already"),
        ("play --env cartpole --out nowhere/a.rec", "nowhere/a.rec: there is no directory nowhere"),
        ("play --env cartpol", "cartpole"),
    ];
    for (line, expected) in wrong {
        let (code, said) = refused(at, line);
        assert!(code == 2 && said.contains(expected), "{line}: {said}");
    }
    std::fs::remove_file(at.join("a.rec")).unwrap();
    assert!(refused(at, "watch .").1.contains("`rl-run record RUN --out ./games.rec` makes one"));
}
