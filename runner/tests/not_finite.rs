//! A number that is none ends a run by name, leaves the batch that it came of, and costs nothing that was kept before.
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{json, names, refusal};
use safetensors::SafeTensors;

/// Names and shapes of what a file holds.
fn columns(path: &Path) -> BTreeMap<String, Vec<usize>> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect()
}

/// Trains by `line` until it breaks, and checks all that must hold then: what the message names, what the batch holds, and
/// that the run goes on from the checkpoint before, to where it breaks again.
fn breaks(line: &str, told: &[&str], holds: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = format!("{line} --seed 5 --quiet --set train.keep_checkpoints=50 --run r");
    let (code, said) = refusal(at, &line);
    let (words, rest) = said.split_once("; its batch is in ").unwrap_or_else(|| panic!("{line}: {said}"));
    assert!(code == 1 && words.starts_with("error: update "), "{line}: {said}");
    assert!(told.iter().any(|told| words.contains(told)), "{line}: {said}");
    let (file, _) = rest.split_once(", no checkpoint is of it").unwrap();
    let update: u64 = words["error: update ".len()..].split(':').next().unwrap().parse().unwrap();
    assert_eq!(file, format!("r/not-finite-update-{update}.safetensors"));
    let columns = columns(&at.join(file));
    for name in holds {
        let shape = columns.get(*name).unwrap_or_else(|| panic!("{line}: no {name} in {columns:?}"));
        assert!(shape[0] > 0, "{line}: {name} {shape:?}");
    }

    let kept = names(&at.join("r/checkpoints"));
    assert!(!kept.is_empty() && kept.iter().all(|name| name.bytes().all(|b| b.is_ascii_digit())), "{line}: {kept:?}");
    for name in &kept {
        json(at, &format!("eval r --checkpoint {} --episodes 1 --json", name.trim_start_matches('0')));
        let weights = std::fs::read(at.join("r/checkpoints").join(name).join("model.safetensors")).unwrap();
        let weights = SafeTensors::deserialize(&weights).unwrap();
        let finite = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap()).is_finite();
        assert!(weights.iter().all(|(_, view)| view.data().chunks_exact(4).all(finite)), "{line}: {name}");
    }
    let batch = std::fs::read(at.join(file)).unwrap();
    std::fs::remove_file(at.join(file)).unwrap();
    assert_eq!(refusal(at, "resume r --quiet"), (1, said.clone()), "the same bits break at the same update");
    assert!(std::fs::read(at.join(file)).unwrap() == batch && names(&at.join("r/checkpoints")) == kept, "{line}");
    // From the first checkpoint it comes to the last again, where that can be an end: a run makes one update at least.
    let manifest = std::fs::read(at.join("r/checkpoints").join(kept.last().unwrap()).join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    if manifest["updates"].as_u64() > Some(0) {
        let [first, last] = [kept.first(), kept.last()].map(|name| name.unwrap().trim_start_matches('0'));
        let done = json(at, &format!("resume r --checkpoint {first} --frames {last} --quiet --json"));
        assert_eq!(done["frames"].to_string(), last, "{line}");
    }
}

/// What a learning rate becomes: nothing at first, so that there is a checkpoint to keep, then far too much.
const RIGGED: &str = "--set agent.lr=0 --set agent.lr_end=1e38 --set agent.lr_steps=20000";

#[test]
fn a_batch_of_an_actor_critic_is_kept() {
    let holds = ["observation.vector", "action.discrete", "reward", "log_prob", "value", "advantage", "target"];
    let told = ["the loss is", "the gradient of", "its step makes the parameter"];
    for agent in ["ppo", "a2c", "impala --actors 0", "impala --actors 2 --set agent.max_lag=0"] {
        let line = format!("--env cartpole --agent {agent} --frames 60000 --set train.checkpoint_every=1 {RIGGED}");
        breaks(&line, &told, &holds);
    }
    let memory = "--agent ppo --set agent.memory={kind=\"gru\",units=8,steps=16} --set agent.horizon=32";
    let line = format!("--env cartpole {memory} --frames 60000 --set train.checkpoint_every=1 {RIGGED}");
    breaks(&line, &told, &[&holds[..], &["sequence.starts", "sequence.states", "sequence.wanted"]].concat());
    let continuous = ["observation.vector", "action.continuous", "target"];
    breaks(
        &format!("--env pendulum --agent ppo --frames 60000 --set train.checkpoint_every=1 {RIGGED}"),
        &told,
        &continuous,
    );
}

#[test]
fn a_batch_of_the_family_of_dqn_is_kept() {
    let told = ["the loss is", "the gradient of", "its step makes the parameter"];
    let holds = ["observation.vector", "action", "reward", "discount", "priority", "target", "importance"];
    for agent in ["dqn", "c51", "qrdqn", "iqn", "rainbow", "r2d2"] {
        let line = format!(
            "--env cartpole --agent {agent} --frames 6000 --set train.checkpoint_every=300 --set agent.learning_starts=500 \
             --set agent.batch=8 {RIGGED}"
        );
        let more = if agent == "r2d2" { "sequence.states" } else { "next.vector" };
        breaks(&line, &told, &[&holds[..], &[more]].concat());
    }
}

#[test]
fn a_batch_of_pqn_is_kept() {
    let told = ["the loss is", "the gradient of", "its step makes the parameter"];
    let line = format!("--env frozenlake --agent pqn --frames 60000 --set train.checkpoint_every=300 {RIGGED}");
    breaks(&line, &told, &["observation.symbols", "action", "reward", "target"]);
}

#[test]
fn a_batch_of_alphazero_is_kept() {
    let told = ["the loss is", "the gradient of", "its step makes the parameter"];
    let line = "--env connectfour --agent alphazero --precision f32 --frames 20000 --set train.envs=8 --set train.checkpoint_every=1 \
         --set agent.updates=4 --set agent.learning_starts=100 --set agent.batch=8 --set agent.simulations=2 --set agent.channels=4 \
         --set agent.blocks=1 --set agent.lr=1e20 --set agent.lr_end=1e20";
    breaks(line, &told, &["observation", "policy", "legal", "target"]);
}

/// A rate beyond all numbers makes the very step infinite, after which a checkpoint is due.
#[test]
fn a_parameter_that_becomes_infinite_is_named_before_a_checkpoint_is_made_of_it() {
    let line = "--env cartpole --agent a2c --frames 60000 --set train.checkpoint_every=1 --set agent.lr=0 --set agent.lr_end=1e300 \
                --set agent.lr_steps=1000";
    breaks(line, &["its step makes the parameter"], &["observation.vector", "advantage"]);
}
