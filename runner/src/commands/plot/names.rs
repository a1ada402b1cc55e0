//! Names of curves: as much as tells the runs of one from those of all others, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::console::number::counted;

/// Most settings that a name tells; what differs in more is named by its directory.
const TOLD: usize = 2;
/// Most letters of a setting's value, and of all that is told of settings.
const LETTERS: usize = 16;
const ROOM: usize = 36;

/// Runs of one curve, as far as its name is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) env: &'a str,
    pub(super) agent: &'a str,
    pub(super) runs: &'a [PathBuf],
    pub(super) seeds: &'a [u64],
    /// What decides what is learned; `None` if that is not known.
    pub(super) settings: Option<&'a Table>,
}

/// Names groups by their agents where that suffices; else by environments too, by one or two settings in which they
/// differ, or by as much of the end of their directories as tells them apart.
pub(super) fn names(groups: &[Named<'_>]) -> Vec<String> {
    let named = |group: &Named<'_>| {
        let of_agent = || groups.iter().filter(|other| other.agent == group.agent);
        let elsewhere = of_agent().any(|other| other.env != group.env);
        let place = if elsewhere { format!(" on {}", group.env) } else { String::new() };
        let alike: Vec<&Named<'_>> = of_agent().filter(|other| other.env == group.env).collect();
        let own = alike.iter().position(|other| std::ptr::eq(*other, group)).expect("it is like itself");
        let which = match alike.len() {
            1 => String::new(),
            _ => settings(&alike).map_or_else(
                || format!(" ({})", directory(group, &alike).display()),
                |mut names| names.swap_remove(own),
            ),
        };
        let count = match group.runs.len() {
            1 => String::new(),
            runs if group.seeds.iter().collect::<BTreeSet<_>>().len() == runs => format!(", {}", counted(runs, "seed")),
            runs => format!(", {}", counted(runs, "run")),
        };
        format!("{}{place}{which}{count}", group.agent)
    };
    groups.iter().map(named).collect()
}

/// What each of the groups `alike` has of the settings in which they differ, as `, lr 0.001`; `None` if that tells them
/// not apart, or is too much for a name.
fn settings(alike: &[&Named<'_>]) -> Option<Vec<String>> {
    let all: Vec<BTreeMap<String, String>> = alike.iter().map(|one| one.settings.map(leaves)).collect::<Option<_>>()?;
    let keys: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let differ = |key: &&String| all.iter().any(|one| one.get(*key) != all[0].get(*key));
    let keys: Vec<&String> = keys.into_iter().filter(differ).collect();
    // A kind is one of what it stands in.
    let last = |key: &str| {
        let parts: Vec<&str> = key.split('.').collect();
        parts[parts.len().saturating_sub(if key.ends_with(".kind") { 2 } else { 1 })..].join(".")
    };
    let told = |key: &&String, own: &BTreeMap<String, String>| {
        let value = own.get(*key).filter(|value| value.chars().count() <= LETTERS)?;
        let twice = keys.iter().filter(|other| last(other) == last(key)).count() > 1;
        Some(format!(", {} {value}", if twice { (*key).clone() } else { last(key) }))
    };
    let of = |own: &BTreeMap<String, String>| keys.iter().map(|key| told(key, own)).collect::<Option<String>>();
    let names: Vec<String> = all.iter().map(of).collect::<Option<_>>()?;
    // Weights to begin with may be all that differs.
    let apart = names.iter().collect::<BTreeSet<_>>().len() == names.len();
    let fit = keys.len() <= TOLD && names.iter().all(|name| name.chars().count() <= ROOM);
    (apart && fit).then_some(names)
}

/// Values by their full keys.
fn leaves(table: &Table) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                found.extend(leaves(inner).into_iter().map(|(below, value)| (format!("{key}.{below}"), value)));
            }
            Value::String(text) => {
                found.insert(key.clone(), text.clone());
            }
            other => {
                found.insert(key.clone(), other.to_string());
            }
        }
    }
    found
}

/// As much of the end of the directory of `group` as none of the others has.
fn directory(group: &Named<'_>, alike: &[&Named<'_>]) -> PathBuf {
    let dir_of = |group: &Named<'_>| {
        let dir = group.runs[0].as_path();
        let above = dir.parent().filter(|above| group.runs.len() > 1 && above.file_name().is_some());
        above.unwrap_or(dir).to_owned()
    };
    let tail =
        |dir: &Path, parts: usize| dir.iter().skip(dir.iter().count().saturating_sub(parts)).collect::<PathBuf>();
    let dir = dir_of(group);
    // Of a seed its directory alone says nothing.
    let least = if dir.file_name().is_some_and(|own| *own == *format!("s{}", group.seeds[0])) { 2 } else { 1 };
    let others = || alike.iter().filter(|other| other.runs != group.runs);
    let clashes = |parts: usize| others().any(|other| tail(&dir_of(other), parts) == tail(&dir, parts));
    let parts = (least..=dir.iter().count()).find(|&parts| !clashes(parts));
    parts.map_or(dir.clone(), |parts| tail(&dir, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of groups of the given agents, environments, directories of runs, and settings.
    fn named(groups: &[(&str, &str, &[&str], &str)]) -> Vec<String> {
        let held: Vec<(Vec<PathBuf>, Vec<u64>, Option<Table>)> = groups
            .iter()
            .map(|(.., runs, settings)| {
                let seeds = (1..=runs.len() as u64).collect();
                (runs.iter().map(PathBuf::from).collect(), seeds, settings.parse().ok())
            })
            .collect();
        let groups: Vec<Named<'_>> = groups
            .iter()
            .zip(&held)
            .map(|(&(agent, env, ..), (runs, seeds, settings))| Named {
                env,
                agent,
                runs,
                seeds,
                settings: settings.as_ref(),
            })
            .collect();
        names(&groups)
    }

    #[test]
    fn an_agent_s_name_suffices_where_no_other_curve_is_of_it() {
        let lake = ("dqn", "frozenlake", &["runs/b/s1", "runs/b/s2"][..], "");
        assert_eq!(named(&[("ppo", "cartpole", &["runs/a"], ""), lake]), ["ppo", "dqn, 2 seeds"]);
        assert_eq!(
            named(&[("ppo", "cartpole", &["a"], ""), ("ppo", "frozenlake", &["b"], "")]),
            ["ppo on cartpole", "ppo on frozenlake"]
        );
    }

    #[test]
    fn one_or_two_settings_tell_curves_apart() {
        let of = |settings: [&'static str; 2]| {
            [("ppo", "cartpole", &["runs/a"][..], settings[0]), ("ppo", "cartpole", &["runs/b"][..], settings[1])]
        };
        let lr = of(["agent.lr = 0.5\ntrain.frames = 9", "agent.lr = 1e-3\ntrain.frames = 9"]);
        assert_eq!(named(&lr), ["ppo, lr 0.5", "ppo, lr 0.001"]);
        let both = of(["agent.lr = 0.5\nagent.trunk = 'small'", "agent.lr = 0.25\nagent.trunk = 'nature'"]);
        assert_eq!(named(&both), ["ppo, lr 0.5, trunk small", "ppo, lr 0.25, trunk nature"]);
        let kinds = of(["agent.a.kind = 1\nagent.b.kind = 1", "agent.a.kind = 2\nagent.b.kind = 2"]);
        assert_eq!(named(&kinds)[0], "ppo, a.kind 1, b.kind 1");
        let twice = of(["agent.a.end = 1\nagent.b.end = 1", "agent.a.end = 2\nagent.b.end = 2"]);
        assert_eq!(named(&twice)[1], "ppo, agent.a.end 2, agent.b.end 2");
        // Directories where more differs, a key is not everywhere, a value is long, or nothing differs.
        for settings in [
            ["a = 1\nb = 1\nc = 1", "a = 2\nb = 2\nc = 2"],
            ["a = 1", ""],
            ["a = [1, 2, 3, 4, 5, 6, 7, 8]", "a = 2"],
            ["a = 1", "a = 1"],
            ["a_key_of_many_letters = 0.125\nanother_one = 1", "a_key_of_many_letters = 2\nanother_one = 3"],
            ["no TOML", "a = 1"],
        ] {
            assert_eq!(named(&of(settings)), ["ppo (a)", "ppo (b)"], "{settings:?}");
        }
    }

    #[test]
    fn directories_are_told_as_far_as_they_differ() {
        let of = |dirs: &'static [&'static str]| ("ppo", "cartpole", dirs, "");
        assert_eq!(named(&[of(&["x/a"]), of(&["x/b/s1", "x/b/s2"])]), ["ppo (a)", "ppo (b), 2 seeds"]);
        assert_eq!(named(&[of(&["x/s1"]), of(&["y/s1"])]), ["ppo (x/s1)", "ppo (y/s1)"]);
        assert_eq!(named(&[of(&["x/a/r"]), of(&["x/b/r"])]), ["ppo (a/r)", "ppo (b/r)"]);
    }
}
