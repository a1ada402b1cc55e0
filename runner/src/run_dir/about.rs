//! What `run.json` says of a run: binary, machine, environment, agent and seed, and by what else its bits may differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::machine::identity::with_isa;
use crate::run_dir::origin::Origin;
use crate::run_dir::shown::Shown;
use crate::run_dir::tape::Which;

/// `run.json`: binary, machine, environment, agent and seed of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    /// Version of rl-run.
    pub(crate) version: String,
    /// Git revision that it was built from.
    pub(crate) revision: String,
    /// Cargo features that the binary was built with.
    pub(crate) features: Vec<String>,
    /// Instruction set: `avx512`, `avx2`, `neon` or `portable`; after a comma what multiplied bf16, if a run used it.
    pub(crate) isa: String,
    /// Model of the processor.
    pub(crate) cpu: String,
    /// Threads of tensor operations.
    pub(crate) threads: usize,
    /// Device of tensors: `cpu` or `cuda`; the last one, if several have trained the run.
    pub(crate) device: String,
    /// The devices that trained it before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) earlier_devices: BTreeSet<String>,
    /// Full name of the environment.
    pub(crate) env: String,
    /// Version of the environment's dynamics.
    pub(crate) env_version: u32,
    /// Id of the agent.
    pub(crate) agent: String,
    /// Seed of every random stream.
    pub(crate) seed: u64,
    /// SHA-256 of `run.toml`; empty in runs that are older than this key.
    #[serde(default)]
    pub(crate) config_sha256: String,
    /// Name and hash of each file that the environment plays from; empty in runs that are older than this key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) assets: BTreeMap<String, String>,
    /// Which episodes are recorded during training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<Which>,
    /// The recordings that were shown to the agent before it learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) demonstrations: Option<Shown>,
    /// Where the weights came from that it began with, if not from its seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weights: Option<Origin>,
    /// Steps from one recorded output of the policy to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record_outputs: Option<u32>,
    /// Frames from which on the run went on with settings that somebody had written into `run.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) edited: Vec<u64>,
}

impl About {
    /// Notes that the run goes on from a state of so many frames, or begins again: on the device `on` with the
    /// instruction set `isa`, by the settings with the hash `sha256`, which somebody has `edited` or not.
    pub(crate) fn goes_on(&mut self, from: Option<u64>, (on, isa): (&str, &str), sha256: String, edited: bool) {
        if edited {
            self.edited.push(from.unwrap_or(0));
        }
        match from {
            Some(_) => {
                self.isa = with_isa(&self.isa, isa);
                self.earlier_devices.insert(std::mem::replace(&mut self.device, on.to_owned()));
                self.earlier_devices.remove(on);
            }
            None => {
                (self.isa, self.device) = (isa.to_owned(), on.to_owned());
                self.earlier_devices.clear();
            }
        }
        self.config_sha256 = sha256;
    }

    /// The devices that trained the run, other than `device`, whose bits may differ.
    pub(crate) fn other_devices(&self, device: &str) -> Vec<&str> {
        let all = self.earlier_devices.iter().chain([&self.device]);
        all.map(String::as_str).filter(|one| *one != device).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_devices_and_edits_of_a_run_are_noted() {
        let text = "{\"version\":\"\",\"revision\":\"\",\"features\":[],\"isa\":\"avx2\",\"cpu\":\"\",\"threads\":1,\
            \"device\":\"cpu\",\"env\":\"\",\"env_version\":1,\"agent\":\"\",\"seed\":1}";
        let mut about: About = serde_json::from_str(text).unwrap();
        assert!(about.other_devices("cpu").is_empty());
        about.goes_on(Some(7), ("cuda", "avx2"), "a".to_owned(), false);
        assert_eq!((about.other_devices("cuda"), about.other_devices("cpu")), (vec!["cpu"], vec!["cuda"]));
        about.goes_on(Some(9), ("cpu", "avx2, amx-bf16"), "b".to_owned(), true);
        assert_eq!((about.other_devices("cpu"), about.device.as_str()), (vec!["cuda"], "cpu"));
        assert_eq!((about.isa.as_str(), &about.edited[..]), ("avx2 and avx2, amx-bf16", &[9][..]));
        about.goes_on(None, ("cpu", "avx512"), "c".to_owned(), false);
        assert!(about.other_devices("cpu").is_empty() && about.isa == "avx512" && about.config_sha256 == "c");
    }
}
