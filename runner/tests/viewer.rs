//! What the windows say where there are none.
#![cfg(feature = "viewer")]
#![forbid(unsafe_code)]

mod common;

use std::path::Path;

use common::{json, of_another_version, rl_run};

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
        assert!(code == 1 && said.contains("set DISPLAY or WAYLAND_DISPLAY"), "{line}: {said}");
        assert!(said.contains("`rl-run export FILE"), "{line}: {said}");
    }
    let mut silent = rl_run(at, "watch a.rec");
    silent.env("DISPLAY", ":9999").env_remove("WAYLAND_DISPLAY").env_remove("XDG_RUNTIME_DIR");
    let silent = silent.output().unwrap();
    let said = String::from_utf8(silent.stderr).unwrap();
    assert!(silent.status.code() == Some(1) && said.contains("nobody answers at DISPLAY=:9999, or "), "{said}");
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
    json(at, "--env taxi --agent tabular --frames 1 --run r --quiet --json");
    for (line, expected) in [
        ("watch a.rec --run nope", "error: --run: nope is not the directory of a run"),
        ("watch a.rec --run r", "error: --run: r is a run of taxi, and the recording is of frozenlake"),
    ] {
        let (code, said) = refused(at, line);
        assert!(code == 2 && said.contains(expected), "{line}: {said}");
    }
    std::fs::remove_file(at.join("a.rec")).unwrap();
    assert!(refused(at, "watch .").1.contains("`rl-run record RUN --out ./games.rec` makes one"));
}

/// A recording whose pictures are cut short, each chunk of them sealed anew: kind, number, length, content and checksum.
fn with_pictures_cut(recording: &[u8]) -> Vec<u8> {
    const PICTURES: u8 = 6;
    let (magic, mut rest) = recording.split_at(8);
    let mut cut = magic.to_vec();
    while let Some((head, behind)) = rest.split_at_checked(9) {
        let (content, behind) = behind.split_at(u32::from_le_bytes(head[5..].try_into().unwrap()) as usize);
        let content = &content[..content.len() - if head[0] == PICTURES { 8 } else { 0 }];
        let chunk = [&head[..5], &(content.len() as u32).to_le_bytes(), content].concat();
        cut.extend([&chunk[..], &crc32fast::hash(&chunk).to_le_bytes()].concat());
        rest = &behind[4..];
    }
    cut
}

#[test]
fn what_is_wrong_with_the_pictures_of_a_recording_is_told_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env taxi --random --episodes 1 --frames --set env.max_steps=40 --out a.rec --json");
    let bytes = of_another_version(&std::fs::read(at.join("a.rec")).unwrap());
    std::fs::write(at.join("b.rec"), with_pictures_cut(&bytes)).unwrap();
    let (code, said) = refused(at, "watch b.rec");
    assert!(code == 1 && said.contains("error: b.rec: is damaged at byte"), "{said}");
}

#[test]
fn a_file_that_is_no_recording_is_left_out_where_another_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env frozenlake --random --episodes 2 --out a.rec --json");
    std::fs::write(at.join("zz.rec"), "nothing").unwrap();
    let (code, said) = refused(at, "watch .");
    assert!(code == 1 && said.contains("`rl-run export FILE"), "{said}");
    std::fs::remove_file(at.join("a.rec")).unwrap();
    let (code, said) = refused(at, "watch .");
    assert!(code == 1 && said.contains("zz.rec is not a recording"), "{said}");
}
