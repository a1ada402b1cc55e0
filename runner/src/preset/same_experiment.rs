//! Whether runs are seeds of one experiment: alike in all that decides what is learned and how it is judged.

use toml::{Table, Value};

/// Keys of `[train]` that decide only what a run leaves behind.
const KEPT: [&str; 3] = ["eval_every", "checkpoint_every", "keep_checkpoints"];

/// Settings without the keys that change neither what is learned nor how it is judged.
pub(crate) fn learning(settings: &Table) -> Table {
    let mut settings = settings.clone();
    if let Some(Value::Table(train)) = settings.get_mut("train") {
        train.retain(|key, _| !KEPT.contains(&key));
    }
    settings
}

/// As [`learning`], without the length of the run.
pub(crate) fn but_for_length(settings: &Table) -> Table {
    let mut settings = learning(settings);
    if let Some(Value::Table(train)) = settings.get_mut("train") {
        train.remove("frames");
    }
    settings
}

/// The first key in which two tables of settings differ, with both values, as `agent.lr (0.001, 0.0003)`.
pub(crate) fn difference(one: &Table, other: &Table) -> Option<String> {
    let keys = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
    keys.filter(|key| one.get(*key) != other.get(*key)).find_map(|key| match (one.get(key), other.get(key)) {
        (Some(Value::Table(one)), Some(Value::Table(other))) => {
            difference(one, other).map(|difference| format!("{key}.{difference}"))
        }
        (one, other) => {
            let said = |value: Option<&Value>| value.map_or_else(|| "not there".to_owned(), Value::to_string);
            Some(format!("{key} ({}, {})", said(one), said(other)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_keeps_makes_no_other_experiment() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let one = table("[agent]\nlr = 0.5\n[agent.memory]\nkind = 'none'\n[train]\nframes = 3\neval_every = 0");
        let kept = table("[agent]\nlr = 0.5\n[agent.memory]\nkind = 'none'\n[train]\nframes = 3\neval_every = 7");
        assert_eq!(learning(&one), learning(&kept));
        assert_eq!(difference(&learning(&one), &learning(&kept)), None);
        assert_eq!(difference(&one, &kept).unwrap(), "train.eval_every (0, 7)");
        let longer = table("[agent]\nlr = 0.5\n[agent.memory]\nkind = 'none'\n[train]\nframes = 4\neval_every = 0");
        assert_eq!(difference(&learning(&one), &learning(&longer)).unwrap(), "train.frames (3, 4)");
        assert_eq!(but_for_length(&one), but_for_length(&longer));
        let gru =
            table("[agent]\nlr = 0.5\n[agent.memory]\nkind = 'gru'\nunits = 4\n[train]\nframes = 3\neval_every = 0");
        assert_eq!(difference(&one, &gru).unwrap(), "agent.memory.kind (\"none\", \"gru\")");
        assert_eq!(
            difference(&one, &table("[agent]\nlr = 0.5")).unwrap(),
            "agent.memory ({ kind = \"none\" }, not there)"
        );
    }
}
