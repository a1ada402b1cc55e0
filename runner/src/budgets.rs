//! Presets for a given time, beside the usual one of a pair: `--preset 60min`. `rl-run plan` makes one for another machine.

use std::io::ErrorKind;
use std::path::Path;

/// A preset that is named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// The agent.
    pub(crate) agent: &'static str,
    /// Full name of the environment.
    pub(crate) env: &'static str,
    /// What `--preset` calls it.
    pub(crate) name: &'static str,
    /// TOML with the tables `[agent]` and `[train]`.
    pub(crate) text: &'static str,
}

/// All of them. Their numbers of frames are fixed: a run does not depend on how fast it is.
pub(crate) const BUDGETS: &[Budget] = &[
    kung_fu_master("10min", include_str!("../../presets/ppo/kung_fu_master-10min.toml")),
    kung_fu_master("60min", include_str!("../../presets/ppo/kung_fu_master-60min.toml")),
    kung_fu_master("480min", include_str!("../../presets/ppo/kung_fu_master-480min.toml")),
];

const fn kung_fu_master(name: &'static str, text: &'static str) -> Budget {
    Budget { agent: "ppo", env: "atari/kung_fu_master", name, text }
}

/// Those of a pair.
pub(crate) fn of(agent: &str, env: &str) -> impl Iterator<Item = &'static Budget> {
    BUDGETS.iter().filter(move |budget| budget.agent == agent && budget.env == env)
}

/// The tables of `--preset`: those of the file, or of the preset of the pair that is called so.
///
/// # Errors
/// If there is neither.
pub(crate) fn read(path: &Path, agent: &str, env: &str) -> Result<String, String> {
    std::fs::read_to_string(path).or_else(|error| {
        let named = of(agent, env).find(|budget| Path::new(budget.name) == path);
        named.map(|budget| budget.text.to_owned()).ok_or_else(|| {
            let names: Vec<&str> = of(agent, env).map(|budget| budget.name).collect();
            if names.is_empty() || error.kind() != ErrorKind::NotFound {
                return format!("{}: {error}", path.display());
            }
            format!("{} is neither a file nor built in (built in: {})", path.display(), names.join(", "))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_before_a_name_and_neither_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (there, pair) = (dir.path().join("60min"), ["ppo", "atari/kung_fu_master"]);
        std::fs::write(&there, "mine").unwrap();
        let read = |path: &Path, [agent, env]: [&str; 2]| read(path, agent, env);
        assert_eq!(read(&there, pair), Ok("mine".to_owned()));
        assert!(read(Path::new("60min"), pair).unwrap().contains("frames = 22000000"));
        assert!(read(Path::new("61min"), pair).unwrap_err().ends_with("(built in: 10min, 60min, 480min)"));
        assert!(!read(Path::new("60min"), ["ppo", "cartpole"]).unwrap_err().contains("built in"));
    }

    #[test]
    fn learning_rates_end_with_the_frames() {
        for budget in BUDGETS {
            let preset: toml::Table = budget.text.parse().unwrap();
            let of = |table: &str, key: &str| preset[table][key].as_integer().unwrap();
            assert_eq!(of("train", "frames"), 4 * of("agent", "lr_steps"), "{}: frames of four to a step", budget.name);
        }
    }
}
