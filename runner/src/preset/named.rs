//! Presets that have a name, beside the usual one of a pair: `--preset 60min`, `--preset dopamine`. Those named after
//! minutes have a fixed number of frames; `rl-run plan` makes one for another machine.

use std::io::ErrorKind;
use std::path::Path;

use crate::console::nearest::hint;

/// A preset that has a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// Id of the agent.
    pub(crate) agent: &'static str,
    /// Full name of the environment, or the prefix of a family's names with its `/`.
    env: &'static str,
    /// Name that `--preset` takes.
    pub(crate) name: &'static str,
    /// TOML with the tables `[agent]` and `[train]`.
    pub(crate) text: &'static str,
}

/// All presets that have a name.
const NAMED: &[Named] = &[
    minutes("10min", include_str!("../../../presets/ppo/kung_fu_master-10min.toml")),
    minutes("60min", include_str!("../../../presets/ppo/kung_fu_master-60min.toml")),
    minutes("480min", include_str!("../../../presets/ppo/kung_fu_master-480min.toml")),
    dopamine("dqn", include_str!("../../../presets/dqn/atari-dopamine.toml")),
    dopamine("rainbow", include_str!("../../../presets/rainbow/atari-dopamine.toml")),
    dopamine("c51", include_str!("../../../presets/c51/atari-dopamine.toml")),
    dopamine("qrdqn", include_str!("../../../presets/qrdqn/atari-dopamine.toml")),
    dopamine("iqn", include_str!("../../../presets/iqn/atari-dopamine.toml")),
];

/// A preset named after minutes; its head says of which cores.
const fn minutes(name: &'static str, text: &'static str) -> Named {
    Named { agent: "ppo", env: "atari/kung_fu_master", name, text }
}

/// A preset with the settings behind Dopamine's published curves.
const fn dopamine(agent: &'static str, text: &'static str) -> Named {
    Named { agent, env: "atari/", name: "dopamine", text }
}

/// The named presets of an agent on an environment.
pub(crate) fn of(agent: &str, env: &str) -> impl Iterator<Item = &'static Named> {
    NAMED.iter().filter(move |named| {
        named.agent == agent && (named.env == env || named.env.ends_with('/') && env.starts_with(named.env))
    })
}

/// Reads the text of `--preset`: of the file `path`, or of the named preset of this pair.
///
/// # Errors
/// If there is neither; the message lists the named presets of the pair.
pub(crate) fn read(path: &Path, agent: &str, env: &str) -> Result<String, String> {
    std::fs::read_to_string(path).or_else(|error| {
        let found = of(agent, env).find(|named| Path::new(named.name) == path);
        found.map(|named| named.text.to_owned()).ok_or_else(|| {
            let names: Vec<&str> = of(agent, env).map(|named| named.name).collect();
            let is_name = path.extension().is_none() && path.components().count() == 1;
            match names[..] {
                _ if error.kind() != ErrorKind::NotFound => format!("{}: {error}", path.display()),
                [] if is_name && agent.is_empty() => format!(
                    "{} is not a file, and named presets are of an agent, which this command has none of",
                    path.display()
                ),
                [] if is_name => format!(
                    "{} is not a file, and this pair has no named presets (`rl-run list presets`)",
                    path.display()
                ),
                [] => format!("{}: {error}", path.display()),
                _ => {
                    let hint = hint(&path.to_string_lossy(), names.iter().copied());
                    format!("{} is neither a file nor built in{hint} (built in: {})", path.display(), names.join(", "))
                }
            }
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
        assert!(read(Path::new("60min"), pair).unwrap().contains("frames = 27000000"));
        assert!(read(Path::new("61min"), pair).unwrap_err().ends_with("(built in: 10min, 60min, 480min)"));
        let strange = read(Path::new("60min"), ["ppo", "cartpole"]).unwrap_err();
        assert!(!strange.contains("built in") && strange.contains("`rl-run list presets`"), "{strange}");
    }

    #[test]
    fn a_preset_of_a_family_serves_all_of_it_and_nothing_else() {
        let names = |agent, env| of(agent, env).map(|named| named.name).collect::<Vec<_>>();
        assert_eq!(names("rainbow", "atari/pong"), ["dopamine"]);
        assert!(names("rainbow", "cartpole").is_empty() && names("ppo", "atari/pong").is_empty());
    }

    #[test]
    fn learning_rates_end_with_the_frames() {
        for named in NAMED.iter().filter(|named| named.name.ends_with("min")) {
            let preset: toml::Table = named.text.parse().unwrap();
            let of = |table: &str, key: &str| preset[table][key].as_integer().unwrap();
            assert_eq!(of("train", "frames"), 4 * of("agent", "lr_steps"), "{}: frames of four to a step", named.name);
        }
    }
}
