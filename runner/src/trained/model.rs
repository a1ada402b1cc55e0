//! Finds trained models: directories that `rl-run publish` makes of runs, with weights, a score, games and a card.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::console::nearest::hint;
use crate::console::output;
use crate::console::usage::{line, usage};
use crate::games::score;
use crate::trained::report::Report;

/// Name of the directory of models in a checkout.
const MODELS: &str = "models";
/// Name of the recording of a model's game with the highest return.
pub(crate) const BEST: &str = "best.rec";

/// Whose policy it is: a run's or a model's.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Source {
    /// Directory of the run
    run: Option<PathBuf>,
    /// Name of a trained model in place of a run: `rl-run list models`
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

impl Source {
    /// Directory of the run or of the model.
    ///
    /// # Errors
    /// If there is no such model.
    pub(crate) fn path(&self) -> anyhow::Result<PathBuf> {
        match (&self.run, &self.model) {
            (Some(run), _) => Ok(run.clone()),
            (None, Some(name)) => find(name),
            (None, None) => Err(usage("name a run, or a --model")),
        }
    }
}

/// A model, as `rl-run list models` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Model {
    pub(crate) name: String,
    #[serde(serialize_with = "crate::file::text")]
    pub(crate) path: PathBuf,
    pub(crate) score: Report,
}

/// Finds the directory of the model called `name`.
///
/// # Errors
/// If there is none of that name; the message says where models were looked for.
pub(crate) fn find(name: &str) -> anyhow::Result<PathBuf> {
    let all = names(&shelves());
    let found = all.iter().find(|(known, _)| known == name);
    found.map(|(_, path)| path.clone()).ok_or_else(|| {
        if Path::new(name).is_dir() {
            return usage(format!("--model {name}: a path is given without --model: {name}"));
        }
        let near = hint(name, all.iter().map(|(known, _)| known.as_str()));
        let places: Vec<String> = shelves().iter().map(|shelf| shelf.display().to_string()).collect();
        usage(format!("--model {name}: no such model in {}{near} (`rl-run list models`)", places.join(", ")))
    })
}

/// Lists all models. One whose score cannot be read is reported and left out.
pub(crate) fn all() -> Vec<Model> {
    let of = |(name, path): (String, PathBuf)| {
        let file = path.join(score::FILE);
        let told = || file.display().to_string();
        let score = serde_json::from_slice(&std::fs::read(&file).with_context(told)?).with_context(told)?;
        anyhow::Ok(Model { name, path, score })
    };
    let read = names(&shelves()).into_iter().map(of);
    read.filter_map(|model| model.map_err(|why| output::note(format!("left out: {}", line(&why)))).ok()).collect()
}

/// Directories of models: in the working directory, above it, and in the checkout that this program was built from.
fn shelves() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let mut shelves: Vec<PathBuf> =
        here.ancestors().chain(checkout).map(|dir| dir.join(MODELS)).filter(|shelf| shelf.is_dir()).collect();
    shelves.dedup();
    if shelves.is_empty() {
        shelves.push(here.join(MODELS));
    }
    shelves
}

/// Names and directories of models, sorted by name; of two with one name the nearer.
fn names(shelves: &[PathBuf]) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for entry in shelves.iter().flat_map(|shelf| std::fs::read_dir(shelf).into_iter().flatten().flatten()) {
        let (path, Ok(name)) = (entry.path(), entry.file_name().into_string()) else { continue };
        if path.join(score::FILE).is_file() && found.iter().all(|(known, _)| *known != name) {
            found.push((name, path));
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_name_the_nearer_is_taken_and_what_has_no_score_is_no_model() {
        let dir = tempfile::tempdir().unwrap();
        let [near, far] = ["near", "far"].map(|name| dir.path().join(name));
        for (shelf, name) in [(&far, "kungfu"), (&near, "kungfu"), (&far, "basic")] {
            std::fs::create_dir_all(shelf.join(name)).unwrap();
            std::fs::write(shelf.join(name).join(score::FILE), "{}").unwrap();
        }
        std::fs::create_dir(near.join("empty")).unwrap();
        let found = names(&[near.clone(), far.clone()]);
        assert_eq!(found, [("basic".to_owned(), far.join("basic")), ("kungfu".to_owned(), near.join("kungfu"))]);
        let missing = find("kungfoo").unwrap_err().to_string();
        assert!(missing.starts_with("--model kungfoo: no such model in "), "{missing}");
    }
}
