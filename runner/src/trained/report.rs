//! The report of an evaluation: who played, how, and what came of it.

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::console::number::{self, count, fixed};
use crate::console::output;
use crate::games::interval::{self, Iqm};
use crate::games::score::Score;
use crate::trained::{Asked, Trained};

/// The report of an evaluation: what `--json` prints and `score.json` of a model holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) env: String,
    pub(crate) agent: String,
    pub(crate) protocol: Option<String>,
    /// Values of `[env]` and `[eval]` that were played by in place of the run's, by their keys.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub(crate) changed: Table,
    /// Emulator frames that the weights were trained for.
    pub(crate) checkpoint: u64,
    /// How the policy chooses, in words.
    pub(crate) policy: String,
    /// Seed of the games.
    pub(crate) seed: u64,
    /// Seed that the weights were trained with; `None` in models that are older than this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) training_seed: Option<u64>,
    pub(crate) exact: bool,
    pub(crate) episodes: u32,
    pub(crate) mean: f64,
    pub(crate) median: Option<f64>,
    /// Standard error of the mean; `None` for a single game.
    pub(crate) stderr: Option<f64>,
    pub(crate) human_normalised: Option<f64>,
    /// Interquartile mean of the games; `None` of fewer than four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iqm: Option<Iqm>,
    /// Emulator frames of the games that were played.
    pub(crate) frames: u64,
    /// Raw returns of the games, seat by seat; empty in models that are older than this key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) returns: Vec<f64>,
    /// SHA-256 of the weights that played.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) parameters_sha256: String,
    /// Git revision of the rl-run that played.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) revision: String,
}

impl Report {
    /// Report of the games that `trained` played.
    ///
    /// # Errors
    /// If `[eval]` is out of range.
    pub(crate) fn of(trained: &Trained, asked: &Asked, score: &Score) -> anyhow::Result<Self> {
        let report = Self {
            exact: false,
            episodes: score.returns.len() as u32,
            median: Some(score.median()),
            stderr: score.stderr(),
            iqm: interval::iqm(&score.returns),
            frames: score.frames,
            returns: score.returns.clone(),
            ..Self::expected(trained, asked, score.mean())?
        };
        Ok(report)
    }

    /// Report of an exact evaluation, in which `trained` is expected to earn `mean`.
    ///
    /// # Errors
    /// If `[eval]` is out of range.
    pub(crate) fn expected(trained: &Trained, asked: &Asked, mean: f64) -> anyhow::Result<Self> {
        let resolved = &trained.resolved;
        let reference = (resolved.env.reference)(&resolved.env_name);
        Ok(Self {
            env: resolved.env_name.clone(),
            agent: trained.about.agent.clone(),
            protocol: resolved.protocol_told(),
            changed: trained.changed.clone(),
            checkpoint: trained.checkpoint.frames(),
            policy: trained.policy(resolved.eval()?.epsilon, asked.greedy),
            seed: asked.seed,
            training_seed: Some(trained.about.seed),
            exact: true,
            episodes: 0,
            mean,
            median: None,
            stderr: Some(0.0),
            human_normalised: reference.map(|reference| human_normalised(mean, reference)),
            iqm: None,
            frames: 0,
            returns: Vec::new(),
            parameters_sha256: trained.parameters_sha256.clone(),
            revision: env!("RL_REVISION").to_owned(),
        })
    }

    /// The values in place of the run's, as `env.sticky = 0.0, env.noops = 30`; `None` if there are none.
    pub(crate) fn changed_told(&self) -> Option<String> {
        let told: Vec<String> = self.changed.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// Prints the report for a person.
    pub(crate) fn show(&self) {
        let protocol = self.protocol.as_ref().map(|p| format!(", protocol {p}")).unwrap_or_default();
        output::line(format!("{} on {}{protocol}, checkpoint {}", self.agent, self.env, self.checkpoint));
        if let Some(changed) = self.changed_told() {
            output::line(format!("not as trained    {changed}"));
        }
        output::line(format!("policy            {}", self.policy));
        match self.median {
            Some(median) => {
                let (games, frames) = (count(self.episodes.into()), count(self.frames));
                output::line(format!("games             {games} in {frames} frames, seed {}", self.seed));
                output::line(format!("mean              {}", number::mean_with_error(self.mean, self.stderr)));
                output::line(format!("median            {}", number::score(median)));
                if let Some(Iqm { mean, low, high }) = self.iqm {
                    let [mean, low, high] = number::interval([mean, low, high]);
                    output::line(format!("interquartile     {mean}, 95 % bootstrap interval {low} to {high}"));
                }
            }
            None => output::line(format!("expected return   {} (exact, by dynamic programming)", fixed(self.mean, 6))),
        }
        if let Some(score) = self.human_normalised {
            output::line(format!("human-normalised  {score:.4}"));
        }
    }
}

/// A score on a scale on which chance is 0 and a person is 1. Source: Mnih et al. 2015.
fn human_normalised(mean: f64, (random, human): (f64, f64)) -> f64 {
    (mean - random) / (human - random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_nothing_and_a_person_is_one() {
        let reference = (258.5, 22_736.3); // Kung Fu Master
        assert_eq!([258.5, 22_736.3].map(|score| human_normalised(score, reference)), [0.0, 1.0]);
        assert!((human_normalised(39_039.0, reference) - 1.725).abs() < 5e-4, "that of models/kungfu");
    }
}
