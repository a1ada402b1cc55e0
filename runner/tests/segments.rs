//! A replay of frames on disk: every segment is written once, shared by the checkpoints that need it, and removed with the
//! last of them.
#![cfg(feature = "atari")]
#![forbid(unsafe_code)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use candle_core::Device;
use common::{json, names, output, refusal, rl_run, until};
use rl_runner::{Registry, Trainer};
use serde_json::Value;

/// The ring goes round more than twice; its eleven segments are as small as segments get.
const RUN: &str = "--env kungfu --agent dqn --frames 16000 --seed 5 --quiet --json --set agent.replay_capacity=1600 --set agent.learning_starts=100 --set agent.batch=4 --set agent.update_period=40 --set agent.hidden=[16] --set train.envs=2 --set train.checkpoint_every=2500 --set train.keep_checkpoints=2 --set agent.priorities={kind=\"proportional\",alpha={start=0.6,end=0.6,steps=0},beta={start=1.0,end=1.0,steps=0},eps=1e-6}";

fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let all = names(&run.join("checkpoints"));
    all.iter().filter(|name| name.as_str() != "segments").map(|name| run.join("checkpoints").join(name)).collect()
}

/// The segments that the manifest of a checkpoint names, as they are called on disk.
fn segments(checkpoint: &Path) -> BTreeSet<String> {
    let manifest: Value = serde_json::from_slice(&fs::read(checkpoint.join("manifest.json")).unwrap()).unwrap();
    let parts = manifest["parts"].as_array().unwrap();
    let replay = parts.iter().find(|part| part["file"] == "learner.replay").unwrap();
    let numbers = replay["segments"].as_array().unwrap().iter().map(|segment| segment["number"].as_u64().unwrap());
    numbers.map(|number| format!("learner.replay.{number:012}")).collect()
}

#[test]
fn checkpoints_share_segments_that_are_written_once_and_removed_with_the_last_that_needs_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let whole = json(at, &format!("{RUN} --run whole"));
    let run = at.join("whole");
    let kept = checkpoints(&run);
    let [before, last] = &kept[..] else { panic!("{kept:?}") };
    let (old, new) = (segments(before), segments(last));
    assert!(new.len() >= 10 && old.intersection(&new).count() >= 5 && !old.is_subset(&new), "{old:?} {new:?}");
    let on_disk: BTreeSet<String> = names(&run.join("checkpoints/segments")).into_iter().collect();
    assert_eq!(on_disk, old.union(&new).cloned().collect());
    let size = |path: PathBuf| fs::metadata(path).unwrap().len();
    let ring: u64 = new.iter().map(|name| size(run.join("checkpoints/segments").join(name))).sum();
    assert!(size(last.join("learner.replay")) < ring / 5, "the rest is small");

    // From either checkpoint it ends in the same bits, and what a killed process left is taken away.
    let frames = before.file_name().unwrap().to_str().unwrap().trim_start_matches('0').to_owned();
    let stray = run.join("checkpoints/segments/learner.replay.000000009999");
    for from in [frames.as_str(), "last"] {
        fs::write(&stray, b"torn").unwrap();
        fs::write(stray.with_extension("tmp"), b"torn").unwrap();
        let resumed = json(at, &format!("resume whole --checkpoint {from} --quiet --json"));
        assert_eq!(resumed["parameters_sha256"], whole["parameters_sha256"]);
        let now: BTreeSet<String> = names(&run.join("checkpoints/segments")).into_iter().collect();
        assert_eq!(now, on_disk, "from {from}");
        assert_eq!(checkpoints(&run), kept);
    }
    for from in ["start", frames.as_str()] {
        assert_eq!(json(at, &format!("verify whole --from {from} --quiet --json"))["equal"], true);
    }
}

/// Whoever clears up in the directory of a run that trains takes nothing that its memory has not.
#[test]
fn segments_that_are_removed_while_a_run_trains_are_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let whole = json(at, &format!("{RUN} --run whole"));
    let line = format!("{} --run r", RUN.replace(" --quiet", ""));
    let mut child = rl_run(at, &line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let run = at.join("r");
    until(&mut child, || run.join("checkpoints").exists() && checkpoints(&run).len() == 2);
    fs::remove_dir_all(run.join("checkpoints/segments")).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && said.contains("segments was removed while the run used it, and is"), "{said}");
    let last = checkpoints(&run).pop().unwrap();
    let on_disk: BTreeSet<String> = names(&run.join("checkpoints/segments")).into_iter().collect();
    assert!(segments(&last).is_subset(&on_disk), "{on_disk:?}");
    let again = json(at, "resume r --quiet --json");
    assert_eq!(again["parameters_sha256"], whole["parameters_sha256"]);
    assert_eq!(json(at, "verify r --quiet --json")["equal"], true);
}

fn has_segments(checkpoint: &Path) -> bool {
    let manifest: Value = serde_json::from_slice(&fs::read(checkpoint.join("manifest.json")).unwrap()).unwrap();
    manifest["parts"].as_array().unwrap().iter().any(|part| part.get("segments").is_some())
}

/// A state is the same whether its replay is in one file or in segments: a program whose run somebody moved writes one.
#[test]
fn a_replay_that_was_saved_whole_is_verified_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let whole = json(at, &format!("{RUN} --run whole"));
    let registry = Registry::new(&[rl_envs::ENVS], &[rl_agents::AGENTS]).unwrap();
    json(at, &format!("{} --run first", RUN.replace("--frames 16000", "--frames 12000")));
    let mut trainer = Trainer::open(&registry, &at.join("first"), &Device::Cpu).unwrap();
    let run = at.join("r");
    fs::rename(at.join("first"), &run).unwrap();
    assert!(has_segments(&checkpoints(&run).pop().unwrap()));
    trainer.save(&run).unwrap();
    assert!(!has_segments(&checkpoints(&run).pop().unwrap()));
    assert_eq!(json(at, "verify r --quiet --json")["equal"], true);
    let again = json(at, "resume r --frames 16000 --quiet --json");
    assert_eq!(again["parameters_sha256"], whole["parameters_sha256"]);
    assert_eq!(json(at, "verify r --quiet --json")["equal"], true);
}

#[test]
fn a_program_that_saves_its_run_writes_each_segment_once_and_again_what_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let whole = json(at, &format!("{RUN} --run whole"));
    let registry = Registry::new(&[rl_envs::ENVS], &[rl_agents::AGENTS]).unwrap();
    json(at, &format!("{} --run r", RUN.replace("--frames 16000", "--frames 4000")));
    let run = at.join("r");
    let last = || checkpoints(&run).pop().unwrap();
    let files = || -> BTreeMap<String, u64> {
        let of = |name: &String| fs::metadata(run.join("checkpoints/segments").join(name)).unwrap().ino();
        segments(&last()).into_iter().map(|name| (name.clone(), of(&name))).collect()
    };
    let mut trainer = Trainer::open(&registry, &run, &Device::Cpu).unwrap();
    let mut train_to = |frames: u64| {
        while trainer.frames() < frames {
            trainer.advance().unwrap();
        }
        trainer.save(&run).unwrap();
    };
    let first = files();
    train_to(6_000);
    let second = files();
    assert!(first.len() >= 3 && second.len() > first.len(), "{first:?} {second:?}");
    assert!(first.iter().all(|file| second.get(file.0) == Some(file.1)), "{first:?} {second:?}");
    let (removed, _) = second.iter().next_back().unwrap();
    fs::remove_file(run.join("checkpoints/segments").join(removed)).unwrap();
    for frames in [8_000, 10_000, 12_000] {
        train_to(frames); // the ring goes round
        assert!(has_segments(&last()));
    }
    assert_eq!(json(at, "verify r --quiet --json")["equal"], true);
    let again = json(at, "resume r --frames 16000 --quiet --json");
    assert_eq!(again["parameters_sha256"], whole["parameters_sha256"]);
    assert_eq!(json(at, "verify r --quiet --json")["equal"], true, "as if the program had saved it all");
}

#[test]
fn a_damaged_segment_is_named_and_a_checkpoint_without_it_offered() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{RUN} --run r"));
    let run = at.join("r");
    let kept = checkpoints(&run);
    let [before, last] = &kept[..] else { panic!("{kept:?}") };
    let (old, new) = (segments(before), segments(last));
    let of = |name: &String| run.join("checkpoints/segments").join(name);
    type Change = (&'static str, fn(&mut Vec<u8>));
    let changes: [Change; 3] = [
        ("damaged", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("truncated", |bytes| bytes.truncate(bytes.len() - 1)),
        ("too long", |bytes| bytes.push(0)),
    ];
    let frames = before.file_name().unwrap().to_str().unwrap().trim_start_matches('0').to_owned();
    let own = new.difference(&old).last().unwrap();
    let whole = fs::read(of(own)).unwrap();
    for (what, change) in changes {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(of(own), bytes).unwrap();
        let (code, said) = refusal(at, "resume r --quiet");
        assert!(code == 1 && said.contains(own) && said.contains(what), "{said}");
        assert!(said.contains(&format!("--checkpoint {frames}")), "{said}");
    }
    fs::remove_file(of(own)).unwrap();
    assert!(refusal(at, "resume r --quiet").1.contains(own));
    // The offer holds.
    let done = output(at, &format!("resume r --checkpoint {frames} --quiet --json"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(fs::read(of(own)).unwrap() == whole, "it is written again");
    // One that both need leaves nothing to offer.
    let shared = old.intersection(&new).next().unwrap();
    fs::write(of(shared), b"").unwrap();
    let (_, said) = refusal(at, "resume r --quiet");
    assert!(said.contains(shared) && !said.contains("--checkpoint"), "{said}");
}
