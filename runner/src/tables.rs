//! The environments and agents that this binary knows, and how their names are found.

use anyhow::bail;
use rl_agents::AgentEntry;
use rl_core::EnvEntry;

use crate::console::nearest::hint;
use crate::console::usage::usage;

/// Agents of other libraries for continuous actions; none of them exists here.
const CONTINUOUS: [&str; 5] = ["sac", "td3", "ddpg", "trpo", "tqc"];

/// Games of Atari for two players, which ALE has no rewards for.
const FOR_TWO: [&str; 4] = ["combat", "joust", "maze_craze", "warlords"];

/// All environments and agents of this program.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    /// Entries of environments, in the order in which they were given.
    pub(crate) envs: Vec<&'static EnvEntry>,
    /// Entries of agents, in the order in which they were given.
    pub(crate) agents: Vec<&'static AgentEntry>,
}

impl Tables {
    /// Joins several tables into one.
    pub(crate) fn new(envs: &[&'static [EnvEntry]], agents: &[&'static [AgentEntry]]) -> Self {
        let (envs, agents) = (envs.iter().copied().flatten(), agents.iter().copied().flatten());
        Self { envs: envs.collect(), agents: agents.collect() }
    }

    /// Checks that no two entries have the same name, since the first would hide the other.
    ///
    /// # Errors
    /// If two have; the message names them.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let twice = |mut names: Vec<String>| {
            names.sort();
            names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
        };
        let agents = self.agents.iter().map(|entry| entry.id.to_owned()).collect();
        match (twice(self.env_names()), twice(agents)) {
            (Some(name), _) => bail!("two environments of this program are called `{name}`: one must take another id"),
            (_, Some(name)) => bail!("two agents of this program are called `{name}`: one must take another id"),
            _ => Ok(()),
        }
    }

    /// Finds the environment called `name`, which may be an alias or a member of a family; returns its full name and
    /// entry.
    ///
    /// # Errors
    /// If there is none; the message suggests the nearest name.
    pub(crate) fn env(&self, name: &str) -> anyhow::Result<(String, &'static EnvEntry)> {
        for &entry in &self.envs {
            let full = entry.aliases.iter().find(|(alias, _)| *alias == name).map_or(name, |&(_, full)| full);
            let known = match full.strip_prefix(entry.id) {
                Some("") => !is_family(entry),
                Some(member) if is_family(entry) => (entry.members)().iter().any(|known| known == member),
                _ => false,
            };
            if known {
                return Ok((full.to_owned(), entry));
            }
        }
        let names = self.env_names();
        let absent = match (cfg!(feature = "atari"), cfg!(feature = "doom")) {
            (true, true) => "",
            (false, true) => "; this binary was built without the feature `atari`",
            (true, false) => "; this binary was built without the feature `doom`",
            (false, false) => "; this binary was built without the features `atari` and `doom`",
        };
        let last = name.rsplit('/').next().filter(|last| names.iter().any(|known| known == last));
        let hint = match gymnasiums(name, &names).or(last) {
            Some(ours) => format!("; did you mean `{ours}`?"),
            None => for_two(name).unwrap_or_else(|| hint(name, names.iter().map(String::as_str))),
        };
        Err(usage(format!("no environment is called `{name}`{hint} (`rl-run list envs` shows all{absent})")))
    }

    /// All names that [`env`](Tables::env) understands.
    pub(crate) fn env_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entry in &self.envs {
            names.extend(entry.aliases.iter().map(|&(alias, _)| alias.to_owned()));
            if is_family(entry) {
                names.extend((entry.members)().into_iter().map(|member| format!("{}{member}", entry.id)));
            } else {
                names.push(entry.id.to_owned());
            }
        }
        names
    }

    /// Finds the agent called `name`.
    ///
    /// # Errors
    /// If there is none; the message suggests the nearest name.
    pub(crate) fn agent(&self, name: &str) -> anyhow::Result<&'static AgentEntry> {
        self.agents.iter().copied().find(|entry| entry.id == name).ok_or_else(|| {
            let hint = match CONTINUOUS.contains(&name) {
                true => "; ppo, a2c and impala act in continuous spaces".to_owned(),
                false => hint(name, self.agents.iter().map(|entry| entry.id)),
            };
            usage(format!("no agent is called `{name}`{hint} (`rl-run list agents` shows all)"))
        })
    }
}

/// Finds our name for an environment by its name in Gymnasium, ale-py or ViZDoom's wrapper, such as `CartPole-v1`,
/// `ALE/Pong-v5`, `PongNoFrameskip-v4` or `VizdoomBasic-v1`.
fn gymnasiums<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let (own, version) = name.rsplit_once("-v")?;
    version.parse::<u32>().ok()?;
    let own = plain(own.strip_prefix("ALE/").unwrap_or(own).trim_end_matches("NoFrameskip"));
    let own = own.strip_prefix("vizdoom").unwrap_or(&own);
    let find = |wanted: &str| {
        let last = |name: &'a String| plain(name.rsplit('/').next().unwrap_or(name));
        names.iter().find(|name| last(name) == wanted).map(String::as_str)
    };
    find(&plain(name)).or_else(|| find(own))
}

/// What is said of a game of Atari that is none here, since it is for two, by its name here or in Gymnasium.
fn for_two(name: &str) -> Option<String> {
    let last = name.strip_prefix("atari/").or_else(|| name.strip_prefix("ALE/")).unwrap_or(name);
    let own = last.rsplit_once("-v").filter(|(_, version)| version.parse::<u32>().is_ok());
    let own = own.map_or(last, |(own, _)| own.trim_end_matches("NoFrameskip"));
    let game = FOR_TWO.into_iter().find(|game| plain(game) == plain(own))?;
    Some(format!("; {game} wants two players, and games of Atari are for one here"))
}

/// The letters and digits of a name, in lower case.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "")
}

/// Whether the entry stands for its members and not for an environment of its own.
pub(crate) fn is_family(entry: &EnvEntry) -> bool {
    entry.id.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_have_is_refused() {
        assert!(Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, crate::PLANNERS]).check().is_ok());
        let envs = Tables::new(&[rl_envs::ENVS, &rl_envs::ENVS[..1]], &[]).check().unwrap_err().to_string();
        let agents = Tables::new(&[], &[crate::PLANNERS, crate::PLANNERS]).check().unwrap_err().to_string();
        assert!(
            envs.contains("two environments") && agents.contains("two agents of this program are called `alphazero`"),
            "{envs} {agents}"
        );
    }

    #[test]
    fn a_game_for_two_is_told_from_a_name_that_nobody_has() {
        let tables = Tables::new(&[rl_envs::ENVS], &[]);
        for (name, game) in [
            ("atari/joust", "joust"),
            ("warlords", "warlords"),
            ("ALE/Combat-v5", "combat"),
            ("MazeCrazeNoFrameskip-v4", "maze_craze"),
        ] {
            let said = tables.env(name).unwrap_err().to_string();
            assert!(said.contains(&format!("`{name}`; {game} wants two players, and ")), "{said}");
        }
        for name in ["atari/jousts", "doom/combat", "combat-very"] {
            assert!(!tables.env(name).unwrap_err().to_string().contains("two players"), "{name}");
        }
    }

    #[test]
    fn names_of_gymnasium_lead_to_ours() {
        let tables = Tables::new(&[rl_envs::ENVS], &[]);
        for (theirs, ours) in [
            ("CartPole-v1", "`cartpole`"),
            ("CartPole-v0", "`cartpole-v0`"),
            ("FrozenLake8x8-v1", "`frozenlake8x8`"),
            ("MountainCarContinuous-v0", "`mountaincar-continuous`"),
            ("Taxi-v3", "`taxi`"),
            #[cfg(feature = "atari")]
            ("ALE/MsPacman-v5", "`atari/ms_pacman`"),
            #[cfg(feature = "atari")]
            ("PongNoFrameskip-v4", "`atari/pong`"),
            #[cfg(feature = "doom")]
            ("VizdoomBasic-v1", "`doom/basic`"),
            ("cartpol", "`cartpole`"),
            ("gym/cartpole", "`cartpole`"),
            #[cfg(feature = "atari")]
            ("atari/kungfu", "`kungfu`"),
        ] {
            let said = tables.env(theirs).unwrap_err().to_string();
            assert!(said.contains(&format!("did you mean {ours}?")), "{said}");
        }
    }
}
