//! Lays tables of settings over one another key by key. No key is added, and no value changes its type.

use rl_core::EnvEntry;
use toml::{Table, Value};

use super::synonyms;
use crate::console::nearest::{hint, slips};
use crate::console::usage::usage;
use crate::preset::claim::{self, Claim};

/// Keys that tables of older builds lack, and the values that they had without saying so.
const LATER: [(&str, &str); 6] = [
    ("env.pin", "false"),
    ("agent.init", "torch"),
    ("agent.values.loss", "huber"),
    ("agent.epsilon.delay", "0"),
    ("agent.priorities.alpha.delay", "0"),
    ("agent.priorities.beta.delay", "0"),
];

/// Parses the text of a preset.
///
/// # Errors
/// If it is not TOML; the message names `origin` and the line.
pub(crate) fn parse(text: &str, origin: &str) -> anyhow::Result<Table> {
    text.parse::<Table>().map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        usage(format!("{origin}, line {line}: {}", e.message()))
    })
}

/// Replaces whole tables of `merged` by those in `text`, and returns the claim in it.
pub(super) fn replace(merged: &mut Table, text: &str, origin: &str) -> anyhow::Result<Option<Claim>> {
    let mut tables = parse(text, origin)?;
    complete(merged, &mut tables);
    let claim = claim::take(&mut tables, origin)?;
    for (name, value) in tables {
        if !["env", "eval", "agent", "train"].contains(&name.as_str()) || !value.is_table() {
            let hint = hint(&name, ["env", "eval", "agent", "train"]);
            return Err(usage(format!("{origin}: `{name}` is not a table of a preset{hint}")));
        }
        if let Some(builtin) = merged.get(&name) {
            same_shape(builtin, &value, &name, origin)?;
        }
        merged.insert(name, value);
    }
    Ok(claim)
}

/// Adds the keys of [`LATER`] to `tables` where `builtin` has them and the table that they belong to is there.
fn complete(builtin: &mut Table, tables: &mut Table) {
    for (path, value) in LATER {
        let (table, key) = path.rsplit_once('.').expect("a path names a table");
        let (Some(old), Some(new)) = (find(builtin, table), find(tables, table)) else { continue };
        if let (Some(old), Some(new)) = (old.as_table(), new.as_table_mut())
            && old.contains_key(key)
            && old.get("kind") == new.get("kind")
        {
            new.entry(key).or_insert_with(|| literal(value));
        }
    }
}

/// Checks that `new` has exactly the keys of `old`, with values of the same types.
fn same_shape(old: &Value, new: &Value, path: &str, origin: &str) -> anyhow::Result<()> {
    let (Value::Table(old), Value::Table(new)) = (old, new) else { return fits(old, new, path, origin) };
    if old.get("kind").is_some() && old.get("kind") != new.get("kind") {
        return Ok(()); // another variant has other keys, and its reader checks them
    }
    for (key, value) in new {
        let path = format!("{path}.{key}");
        match old.get(key) {
            Some(old) => same_shape(old, value, &path, origin)?,
            None => {
                let other = match path.split_once('.') {
                    Some(("env", _)) => "; or is it a preset of another environment?",
                    Some(("agent", _)) => "; or is it a preset of another agent?",
                    _ => "",
                };
                let hint = hint(key, old.keys().map(String::as_str));
                return Err(usage(format!("{origin}: unknown key `{path}`{hint}{other}")));
            }
        }
    }
    match old.keys().find(|key| !new.contains_key(*key)) {
        Some(key) => Err(usage(format!(
            "{origin}: `{path}.{key}` is missing: tables of a preset are complete, as `rl-run list settings --env … --agent …` prints them; \
             one value is changed by --set"
        ))),
        None => Ok(()),
    }
}

fn fits(old: &Value, new: &Value, path: &str, origin: &str) -> anyhow::Result<()> {
    // A string may become a list (the name of a map, or its rows), and some are words in the place of a number (a mode
    // of a game, a seed): their reader knows which it takes.
    let word = new.is_integer() && (path.ends_with("_seed") || old.as_str() == Some("default"));
    let wider = (old.is_float() && new.is_integer()) || (old.is_str() && (new.is_array() || word));
    if old.same_type(new) || wider {
        return Ok(());
    }
    let digits = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = new.as_str().filter(digits).filter(|_| old.is_integer()) {
        return Err(usage(format!("{path}: {number} is too large a number ({origin})")));
    }
    if let Some(text) = new.as_str().filter(|text| (old.is_table() || old.is_array()) && text.starts_with(['{', '['])) {
        return Err(usage(format!(
            "{path}: {text} cannot be read: words in a table or a list want quotes, as in {old} ({origin})"
        )));
    }
    // A 0 often turns a thing off, and who writes another type wants it on.
    let example = if matches!(old, Value::Float(0.0)) { "0.5".to_owned() } else { old.to_string() };
    let got = new.as_str().map_or_else(|| new.to_string(), |text| format!("{text:?}")); // on one line
    Err(usage(format!("{path}: expected {} like {example}, got {} {got} ({origin})", old.type_str(), new.type_str())))
}

/// Lays the tables of a protocol over `merged`. Its values for agents apply only where the agent has the key.
pub(super) fn overlay(merged: &mut Table, env: &EnvEntry, protocol: &str) -> anyhow::Result<()> {
    let names = || env.protocols.iter().map(|&(name, _)| name);
    let Some(&(_, text)) = env.protocols.iter().find(|(name, _)| *name == protocol) else {
        let known = names().collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
        let hint = hint(protocol, names());
        let env = env.id.trim_end_matches('/');
        return Err(usage(format!("env.protocol: {env} has no protocol `{protocol}`{hint} ({known})")));
    };
    let origin = format!("protocol {protocol}");
    for (table, value) in parse(text, &origin)? {
        for (key, value) in value.as_table().into_iter().flatten() {
            let path = format!("{table}.{key}");
            if table == "agent" && find(merged, &path).is_none() {
                continue;
            }
            assign(merged, &path, value.clone(), &origin)?;
        }
    }
    if find(merged, "env.protocol").is_some() {
        assign(merged, "env.protocol", Value::String(protocol.to_owned()), &origin)?;
    }
    Ok(())
}

/// Values of `[env]` and `[eval]` that differ from those of the protocol, as `key = value`: scores by the protocol do
/// not compare with them. The number of games does not count.
pub(super) fn deviations(tables: &Table, env: &EnvEntry, protocol: &str) -> Vec<String> {
    let text = env.protocols.iter().find(|(name, _)| *name == protocol).map_or("", |&(_, text)| text);
    let laid = parse(text, protocol).unwrap_or_default();
    let laid = laid.iter().filter(|(table, _)| *table != "agent");
    let keys = laid.flat_map(|(table, values)| {
        values.as_table().into_iter().flatten().map(move |(key, value)| (format!("{table}.{key}"), value))
    });
    let mut tables = tables.clone();
    // A cap of `[eval]` takes the place of the environment's.
    let capped = find(&mut tables, "eval.max_frames").is_some();
    keys.filter(|(path, _)| path != "eval.episodes" && !(capped && path == "env.max_frames"))
        .filter_map(|(path, value)| {
            let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
            let found = find(&mut tables, &path)?;
            let same = found == value || number(found).is_some() && number(found) == number(value);
            (!same).then(|| format!("{path} = {found}"))
        })
        .collect()
}

/// Values of `[env]` and `[eval]` that `now` has in place of those in `own`, by their keys.
pub(super) fn changes(own: &Table, now: &Table) -> Table {
    let (mut own, mut now, mut keys) = (own.clone(), now.clone(), Vec::new());
    paths(&now, "", &mut keys);
    keys.retain(|key| key.starts_with("env.") || key.starts_with("eval."));
    keys.retain(|key| find(&mut own, key) != find(&mut now, key));
    keys.into_iter().filter_map(|key| find(&mut now, &key).cloned().map(|value| (key, value))).collect()
}

/// Parses a TOML value; text that is not one is taken as a string without quotes, and so is a date, which no setting is.
pub(super) fn literal(text: &str) -> Value {
    match text.parse() {
        Ok(Value::Datetime(_)) | Err(_) => Value::String(text.to_owned()),
        Ok(value) => value,
    }
}

fn find<'a>(tables: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    let mut keys = path.split('.');
    let mut value = tables.get_mut(keys.next()?)?;
    for key in keys {
        value = value.as_table_mut()?.get_mut(key)?;
    }
    Some(value)
}

pub(super) fn assign(tables: &mut Table, path: &str, new: Value, origin: &str) -> anyhow::Result<()> {
    let Some(old) = find(tables, path) else {
        let mut known = Vec::new();
        paths(tables, "", &mut known);
        return Err(usage(format!("unknown key `{path}`{} ({origin})", meant(path, &known))));
    };
    fits(old, &new, path, origin)?;
    let float = old.is_float();
    *old = match new {
        Value::Integer(n) if float => Value::Float(n as f64),
        new => new,
    };
    Ok(())
}

/// Hint on what an unknown key may have meant: the same setting by its name here, one spelt like it, one that has its
/// words, or all keys of its table.
fn meant(path: &str, known: &[String]) -> String {
    let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
    let said = |theirs: &str| {
        let told = |ours| format!("`{ours}`{}", synonyms::how(theirs, ours));
        synonyms::of(theirs, known).map(told).collect::<Vec<_>>()
    };
    let ours = said(key);
    if !ours.is_empty() {
        return format!("; here that is {}", ours.join(" and "));
    }
    let own = slips(path, known.iter().map(String::as_str)).map_or(usize::MAX, |(slips, _)| slips);
    let slip = |&(slips, _): &(usize, &str)| slips < own && slips <= key.len() / 3;
    let begins_one = known.iter().any(|path| path.rsplit('.').next().is_some_and(|own| own.starts_with(key)));
    if !begins_one
        && !synonyms::is_one(key)
        && let Some((_, theirs)) = slips(key, synonyms::names(known)).filter(slip)
    {
        return format!("; did you mean `{theirs}`? here that is {}", said(theirs).join(" and "));
    }
    let near = hint(path, known.iter().map(String::as_str));
    if !near.is_empty() {
        return near;
    }
    let has_words = |other: &&String| {
        let (above, other) = other.rsplit_once('.').unwrap_or(("", other));
        (table.is_empty() || above.starts_with(table))
            && key.split('_').all(|word| other.split('_').any(|of| of == word))
    };
    let longer: Vec<String> = known.iter().filter(has_words).map(|other| format!("`{other}`")).collect();
    if !longer.is_empty() {
        return format!("; did you mean {}?", longer.join(" or "));
    }
    if table.is_empty() {
        return "; keys are of the tables env, eval, agent and train: `rl-run list settings` shows all".to_owned();
    }
    let of_table: Vec<&str> = known.iter().filter_map(|other| other.strip_prefix(table)?.strip_prefix('.')).collect();
    if of_table.is_empty() { String::new() } else { format!("; [{table}] has {}", of_table.join(", ")) }
}

/// Appends the paths of all keys in a table and in the tables in it.
pub(super) fn paths(table: &Table, prefix: &str, out: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => paths(inner, &format!("{prefix}{key}."), out),
            _ => out.push(format!("{prefix}{key}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(set: &str) -> String {
        let mut table: Table =
            "[agent]\nlr = 1.0\nname = \"x\"\nnet_seed = \"run\"\n[agent.net]\nwidth = 3\n[eval]\nshare = 0.0"
                .parse()
                .unwrap();
        let (key, value) = set.split_once('=').unwrap();
        match assign(&mut table, key, literal(value), "preset p") {
            Ok(()) => find(&mut table, key).unwrap().to_string(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn set_keeps_types_and_suggests_keys() {
        assert_eq!(check("agent.lr=2"), "2.0");
        assert_eq!(check("agent.name=word"), "\"word\"");
        assert_eq!(check("agent.name=7"), "agent.name: expected string like \"x\", got integer 7 (preset p)");
        assert_eq!(check("agent.net_seed=7"), "7");
        assert_eq!(check("agent.name=2026-12-01"), "\"2026-12-01\"", "runs may be named by their day");
        assert_eq!(check("agent.net.width=4"), "4");
        assert_eq!(
            check("agent.net.widht=4"),
            "unknown key `agent.net.widht`; did you mean `agent.net.width`? (preset p)"
        );
        assert_eq!(check("lr=4"), "unknown key `lr`; did you mean `agent.lr`? (preset p)");
        assert_eq!(
            check("agent.learning_rate=4"),
            "unknown key `agent.learning_rate`; here that is `agent.lr` (preset p)"
        );
        assert_eq!(
            check("agent.learnin_rate=4"),
            "unknown key `agent.learnin_rate`; did you mean `learning_rate`? here that is `agent.lr` (preset p)"
        );
        assert_eq!(check("agent.seed=4"), "unknown key `agent.seed`; did you mean `agent.net_seed`? (preset p)");
        assert_eq!(
            check("agent.temperature=4"),
            "unknown key `agent.temperature`; [agent] has lr, name, net.width, net_seed (preset p)"
        );
        assert_eq!(check("planet.temperature=4"), "unknown key `planet.temperature` (preset p)");
        assert_eq!(check("agent.lr=fast"), "agent.lr: expected float like 1.0, got string \"fast\" (preset p)");
        let two = "agent.lr: expected float like 1.0, got string \"2\\nagent.name = 3\" (preset p)";
        assert_eq!(check("agent.lr=2\nagent.name = 3"), two);
        assert_eq!(check("eval.share=true"), "eval.share: expected float like 0.5, got boolean true (preset p)");
    }

    #[test]
    fn tables_of_older_builds_mean_what_they_meant() {
        let base: Table =
            "[agent]\nlr = 1.0\nepsilon = { end = 0.1, delay = 7 }\nvalues = { kind = \"expected\", loss = \"square\" }"
                .parse()
                .unwrap();
        let replaced = |text: &str| {
            let mut merged = base.clone();
            replace(&mut merged, text, "run.toml").map(|_| merged["agent"].to_string()).map_err(|e| e.to_string())
        };
        assert_eq!(
            replaced("[agent]\nlr = 2.0\nepsilon = { end = 0.2 }\nvalues = { kind = \"expected\" }").unwrap(),
            "{ epsilon = { delay = 0, end = 0.2 }, lr = 2.0, values = { kind = \"expected\", loss = \"huber\" } }"
        );
        // Another kind of values has no such key.
        let other =
            replaced("[agent]\nlr = 2.0\nepsilon = { end = 0.2 }\nvalues = { kind = \"quantiles\", count = 9 }");
        assert!(!other.as_ref().unwrap().contains("loss"), "{other:?}");
        assert!(
            replaced("[agent]\nlr = 2.0\nvalues = { kind = \"expected\" }").unwrap_err().contains("`agent.epsilon` is")
        );
    }

    #[test]
    fn a_preset_file_is_complete_and_has_no_key_of_its_own() {
        let base = || -> Table { "[train]\nframes = 1\nenvs = 2".parse().unwrap() };
        let check = |text: &str| replace(&mut base(), text, "f.toml").map_err(|e| e.to_string());
        assert_eq!(check("[train]\nframes = 5\nenvs = 1"), Ok(None));
        assert_eq!(
            check("[train]\nframes = 5"),
            Err(concat!(
                "f.toml: `train.envs` is missing: tables of a preset are complete, as `rl-run list settings --env … --agent …` ",
                "prints them; one value is changed by --set"
            )
            .into())
        );
        let typo = check("[train]\nframse = 5\nenvs = 1").unwrap_err();
        assert_eq!(typo, "f.toml: unknown key `train.framse`; did you mean `frames`?");
        assert!(check("[trian]\nenvs = 1").unwrap_err().contains("did you mean `train`?"));
        assert_eq!(check("[train]\n\nframes = ").unwrap_err().split(':').next().unwrap(), "f.toml, line 3");
    }
}
