//! What a preset claims to reach. It is listed beside the preset, and `tests/tests/learning.rs` tests it.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::console::number::{count, exact};
use crate::console::usage::usage;
use crate::preset::parse;

/// The table `[claim]` of an agent's preset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    /// Full name of the environment that the claim is about; others may share the preset.
    pub(crate) env: String,
    /// Least mean return of the last weights, as the median over the seeds.
    pub(crate) score: f64,
    /// How the weights are judged.
    pub(crate) protocol: Protocol,
    /// Protocol of the environment that the weights are judged by, if it differs from the one that they are trained by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rules: Option<String>,
    /// Games whose mean is a seed's score; 0 if the score is exact.
    pub(crate) episodes: u32,
    /// Emulator frames that a seed trains for; `train.frames` of the preset.
    pub(crate) frames: u64,
    /// Number of seeds, which are counted from 1.
    pub(crate) seeds: u32,
    /// Most minutes that a seed trains for, on the cores that the preset names beside it: 2 in most.
    pub(crate) minutes: f64,
}

/// How weights are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// By games in which actions are drawn from the policy.
    Sampled,
    /// By games in which the most probable or most valuable action is taken.
    Greedy,
    /// By dynamic programming on the greedy policy, without games.
    Exact,
}

/// Reads the claim in the text of a preset, if it is about the environment called `env`.
///
/// # Errors
/// If the text or the claim is wrong; the message names `origin`.
pub(crate) fn on(env: &str, text: &str, origin: &str) -> anyhow::Result<Option<Claim>> {
    Ok(take(&mut parse(text, origin)?, origin)?.filter(|claim| claim.env == env))
}

/// Removes the claim from the tables of a preset and returns it, if there is one. No run depends on it.
///
/// # Errors
/// If a key is missing, unknown or out of range, or the claim is about another run than the preset makes.
pub(crate) fn take(tables: &mut Table, origin: &str) -> anyhow::Result<Option<Claim>> {
    let Some(value) = tables.remove("claim") else { return Ok(None) };
    let wrong = |key: &str, why: String| usage(format!("{origin}: claim{key}: {why}"));
    let claim: Claim = value.try_into().map_err(|e: toml::de::Error| wrong("", e.message().to_owned()))?;
    if !claim.score.is_finite() {
        return Err(wrong(".score", format!("{} is no score", claim.score)));
    }
    if (claim.protocol == Protocol::Exact) != (claim.episodes == 0) {
        let why = format!("{} games do not go with protocol {}", claim.episodes, claim.protocol);
        return Err(wrong(".episodes", why + ": 0 where it is exact, else at least 1"));
    }
    if claim.seeds == 0 {
        return Err(wrong(".seeds", "must be at least 1".to_owned()));
    }
    if !(claim.minutes > 0.0 && claim.minutes.is_finite()) {
        return Err(wrong(".minutes", format!("{} is not a number above 0", claim.minutes)));
    }
    let trained = tables.get("train").and_then(|train| train.get("frames")).and_then(Value::as_integer);
    if trained != i64::try_from(claim.frames).ok() {
        let frames = trained.map_or_else(|| "not there".to_owned(), |frames| frames.to_string());
        return Err(wrong(".frames", format!("{} is claimed, and train.frames is {frames}", claim.frames)));
    }
    Ok(Some(claim))
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Sampled => "sampled",
            Protocol::Greedy => "greedy",
            Protocol::Exact => "exact",
        })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { score, protocol, rules, episodes, frames, seeds, minutes, .. } = self;
        write!(f, "{} after {} frames, {minutes} min: ", exact(*score), count(*frames))?;
        match seeds {
            1 => write!(f, "seed 1, "),
            _ => write!(f, "median of {seeds} seeds, "),
        }?;
        match protocol {
            Protocol::Exact => write!(f, "exact"),
            _ => write!(f, "{episodes} {protocol} games"),
        }?;
        rules.as_ref().map_or(Ok(()), |rules| write!(f, " by protocol {rules}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRESET: &str = "[train]\nframes = 100\n[claim]\nenv = \"cartpole\"\nscore = 475\nprotocol = \"greedy\"\nepisodes = 100\n\
                          frames = 100\nseeds = 5\nminutes = 0.1";

    fn of(text: &str) -> Result<(Option<Claim>, Table), String> {
        let mut tables = text.parse().unwrap();
        take(&mut tables, "p.toml").map(|claim| (claim, tables)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_claim_is_taken_out_and_says_all_in_a_line() {
        let (claim, rest) = of(PRESET).unwrap();
        assert_eq!(claim.unwrap().to_string(), "475 after 100 frames, 0.1 min: median of 5 seeds, 100 greedy games");
        assert_eq!(rest, "[train]\nframes = 100".parse().unwrap());
        let by_rules = of(&format!("{PRESET}\nrules = \"random\"")).unwrap().0.unwrap().to_string();
        assert!(by_rules.ends_with("100 greedy games by protocol random"), "{by_rules}");
        let alone = of(&PRESET.replace("seeds = 5", "seeds = 1")).unwrap().0.unwrap().to_string();
        assert!(alone.ends_with("0.1 min: seed 1, 100 greedy games"), "{alone}");
        let exact = PRESET.replace("greedy", "exact").replace("episodes = 100", "episodes = 0");
        assert!(of(&exact).unwrap().0.unwrap().to_string().ends_with("median of 5 seeds, exact"));
        assert_eq!(of("[train]\nframes = 100").unwrap().0, None);
    }

    #[test]
    fn a_claim_that_cannot_be_checked_is_refused_by_its_key() {
        for (from, to, said) in [
            ("[train]\nframes = 100", "[train]\nframes = 99", "claim.frames: 100 is claimed, and train.frames is 99"),
            ("seeds = 5", "seeds = 0", "claim.seeds: must be at least 1"),
            ("minutes = 0.1", "minutes = 0.0", "claim.minutes: 0 is not a number above 0"),
            ("score = 475", "score = nan", "claim.score: NaN is no score"),
            ("episodes = 100", "episodes = 0", "claim.episodes: 0 games do not go with protocol greedy"),
            ("greedy", "exact", "claim.episodes: 100 games do not go with protocol exact"),
            ("greedy", "lucky", "unknown variant `lucky`"),
            ("seeds = 5", "sedes = 5", "unknown field `sedes`"),
            ("score = 475\n", "", "missing field `score`"),
        ] {
            let error = of(&PRESET.replace(from, to)).unwrap_err();
            assert!(error.starts_with("p.toml: claim") && error.contains(said), "{error}");
        }
    }
}
