//! What holds of the sources themselves: who may use whom, licences, heads, and documents that name what exists.
//!
//! `deny.toml` is the one list of licences and bans; this test reads it, so that no other tool is needed to hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package};
use spdx::{Expression, ParseMode};

/// Each crate of the workspace, and the crates of the workspace that it may use. A new crate needs a line here.
const ARROWS: &[(&str, &[&str])] = &[
    ("rl-core", &[]),
    ("rl-assets", &[]),
    ("ale-sys", &["rl-assets"]),
    ("vizdoom", &[]),
    ("rl-envs", &["rl-core", "rl-assets", "ale-sys", "vizdoom"]),
    ("rl-replays", &["rl-core"]),
    ("rl-nn", &["rl-core"]),
    ("rl-perception", &["rl-core", "rl-nn"]),
    ("rl-agents", &["rl-core", "rl-replays", "rl-nn", "rl-perception"]),
    ("rl-runner", &["rl-core", "rl-assets", "rl-envs", "rl-replays", "rl-nn", "rl-perception", "rl-agents"]),
    ("rl-extend-example", &["rl-core", "rl-nn", "rl-replays", "rl-agents", "rl-envs", "rl-runner"]),
    ("rl-benches", &["rl-core", "rl-envs", "rl-replays", "rl-nn", "rl-perception", "rl-agents", "rl-runner"]),
    ("rl-tests", &["rl-core", "rl-envs", "rl-replays", "rl-nn", "rl-perception", "rl-agents", "rl-runner"]),
];

/// The modules of the runner's crate, each of which uses only those before it.
const RUNNER: &[&str] = &[
    "console",
    "file",
    "assets",
    "tables",
    "planners",
    "collect",
    "machine",
    "preset",
    "needs",
    "games",
    "run_dir",
    "session",
    "checkpoint",
    "trained",
    "training",
    "contract",
    "saliency",
    "registry",
    "trainer",
    "viewer",
    "commands",
    "cli",
    "fuzzing",
];

/// What only these crates may use: an invariant of ARCHITECTURE.md in terms of dependencies.
const RESERVED: &[(&str, &[&str])] = &[
    // Environments and replays know no tensor.
    ("candle-core", &["rl-nn", "rl-perception", "rl-agents", "rl-runner", "rl-benches", "rl-tests"]),
    // Only the runner speaks to a terminal.
    ("clap", &["rl-runner"]),
    ("indicatif", &["rl-runner"]),
    ("ratatui", &["rl-runner"]),
];

/// Registries are named by the clients that a user configures, never by an address of ours.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("docs", ".rs"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("deb.debian", ".org"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// Packages of this platform with the default features, `atari` among them, which are what `make` builds, and with those
/// that need headers of the system.
fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    command.features(CargoOpt::SomeFeatures(["gamepad", "sound"].map(|name| format!("rl-runner/{name}")).to_vec()));
    command.other_options(["--locked", "--filter-platform", &host()].map(str::to_owned));
    command.exec().expect("cargo metadata runs")
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc writes UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// Every file of ours with one of these endings; all files for none.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("our directories can be read") {
            let path = entry.expect("our directories can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let foreign = ["target", "shared", "runs", ".git", "node_modules", "__pycache__"].contains(&name);
            match path.is_dir() {
                true if !foreign && !path.is_symlink() => walk(&path, out),
                false if name != "Cargo.lock" => out.push(path),
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    walk(root(), &mut out);
    out.retain(|path| {
        endings.is_empty() || endings.iter().any(|ending| path.extension().is_some_and(|e| e == *ending))
    });
    out.sort();
    out
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).expect("the file is ours").display().to_string()
}

fn workspace(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id))
}

fn none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

#[test]
fn arrows_run_from_what_is_used_to_what_uses_it() {
    let metadata = metadata();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in workspace(&metadata) {
        let user = package.name.as_str();
        let Some(may) = arrows.get(user) else {
            wrong.push(format!("{user} has no line in ARROWS"));
            continue;
        };
        for dependency in &package.dependencies {
            let used = dependency.name.as_str();
            if arrows.contains_key(used) && !may.contains(&used) && dependency.kind != DependencyKind::Development {
                wrong.push(format!("{user} may not use {used}"));
            }
            let reserved = RESERVED.iter().find(|(name, _)| *name == used);
            if reserved.is_some_and(|(_, users)| !users.contains(&user)) && user != "rl-extend-example" {
                wrong.push(format!("{user} may not use {used}"));
            }
        }
    }
    none("arrows that ARCHITECTURE.md does not have", &wrong);
}

#[test]
fn licences_are_those_of_deny_toml() {
    let (metadata, deny) = (metadata(), deny());
    let words = |value: &toml::Value| -> BTreeSet<String> {
        value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let allowed = words(&deny["licenses"]["allow"]);
    let mut excepted = BTreeMap::new();
    for line in deny["licenses"]["exceptions"].as_array().expect("exceptions are a list") {
        excepted.insert(line["crate"].as_str().expect("a crate has a name").to_owned(), words(&line["allow"]));
    }
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let own = excepted.remove(package.name.as_str()).unwrap_or_default();
        let Some(licence) = &package.license else {
            wrong.push(format!("{} states no licence", package.name));
            continue;
        };
        let fits = |expression: Expression| {
            expression.evaluate(|term| allowed.contains(&term.to_string()) || own.contains(&term.to_string()))
        };
        if !Expression::parse_mode(licence, ParseMode::LAX).is_ok_and(fits) {
            wrong.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    wrong.extend(excepted.keys().map(|name| format!("the exception for {name} is not used")));
    none("licences that deny.toml does not allow", &wrong);
}

#[test]
fn no_crate_is_banned_or_comes_from_elsewhere() {
    let (metadata, deny) = (metadata(), deny());
    let bans = deny["bans"]["deny"].as_array().expect("bans are a list");
    let mut wrong = Vec::new();
    for ban in bans {
        let (banned, reason) = (ban["crate"].as_str().expect("a name"), ban["reason"].as_str().expect("a reason"));
        if metadata.packages.iter().any(|package| package.name.as_str() == banned) {
            wrong.push(format!("{banned} is banned: {reason}"));
        }
    }
    for package in &metadata.packages {
        if package.source.as_ref().is_some_and(|source| !source.repr.starts_with("registry+")) {
            wrong.push(format!("{} comes from {:?}", package.name, package.source));
        }
    }
    none("crates that may not be here", &wrong);
}

fn deny() -> toml::Table {
    let text = fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
    text.parse().expect("deny.toml is TOML")
}

#[test]
fn every_source_file_begins_with_what_it_is() {
    let begins = |path: &PathBuf| fs::read_to_string(path).expect("sources are UTF-8").starts_with("//! ");
    let wrong: Vec<String> = files(&["rs"]).iter().filter(|path| !begins(path)).map(|path| name(path)).collect();
    none("files without a `//! ` head in their first line", &wrong);
}

#[test]
fn a_folder_of_the_runner_uses_only_those_before_it() {
    let place = |module: &str| RUNNER.iter().position(|known| *known == module);
    let (mut wrong, mut uses) = (Vec::new(), 0);
    for path in files(&["rs"]) {
        let Some(own) = name(&path).strip_prefix("runner/src/").map(str::to_owned) else { continue };
        let module = own.split(['/', '.']).next().unwrap_or_default();
        if ["lib", "main", "toy"].contains(&module) || own.contains("/tests") {
            continue;
        }
        let Some(at) = place(module) else {
            wrong.push(format!("{own} has no place in RUNNER"));
            continue;
        };
        let text = fs::read_to_string(&path).expect("sources are UTF-8");
        let (code, _tests) = text.split_once("#[cfg(test)]\nmod tests").unwrap_or((&text, ""));
        let after = code.split("crate::").skip(1);
        let named = after.flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        });
        for used in named.map(|path| path.trim().split(|c: char| !(c.is_alphanumeric() || c == '_')).next()) {
            let used = used.unwrap_or_default();
            uses += 1;
            wrong.extend(place(used).filter(|&place| place > at).map(|_| format!("{own} uses {used}")));
        }
    }
    assert!(uses > 500, "files of the runner use each other {uses} times");
    none("arrows of the runner that run upwards", &wrong);
}

#[test]
fn no_file_names_a_registry() {
    let mut wrong = Vec::new();
    for path in files(&[]) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        wrong.extend(HOSTS.iter().filter(|host| text.contains(**host)).map(|host| format!("{}: {host}", name(&path))));
    }
    none("files that name a registry's host", &wrong);
}

#[test]
fn architecture_is_short_and_names_only_what_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    assert!(text.lines().count() <= 150, "ARCHITECTURE.md has {} lines, at most 150", text.lines().count());
    let is_path = |word: &&str| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
        let ends = [".rs", ".toml", ".md", ".cpp", ".py"].iter().any(|ending| word.ends_with(ending));
        plain && !word.starts_with('-') && (ends || word.contains('/'))
    };
    // What stands between single backticks; a fence of three leaves nothing that looks like a path.
    let words: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_path).collect();
    assert!(words.len() > 10, "ARCHITECTURE.md names its paths between backticks");
    let wrong: Vec<String> =
        words.iter().filter(|word| !root().join(word).exists()).map(|word| (*word).to_owned()).collect();
    none("paths in ARCHITECTURE.md that do not exist", &wrong);
}

#[test]
fn links_of_documents_lead_somewhere() {
    // What GitHub makes of a heading.
    let anchor = |heading: &str| -> String {
        let kept = heading.trim().to_lowercase().replace(|c: char| !(c.is_alphanumeric() || " -_".contains(c)), "");
        kept.replace(' ', "-")
    };
    let mut wrong = Vec::new();
    let mut links = 0;
    for path in files(&["md"]) {
        let text = fs::read_to_string(&path).expect("documents are UTF-8");
        let marked = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let html = text.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for link in marked.chain(html).filter(|link| !link.contains("://")) {
            links += 1;
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().expect("a file").join(file) };
            let headed = || {
                let there = fs::read_to_string(&target).unwrap_or_default();
                there.lines().any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == part)
            };
            if !target.exists() || !part.is_empty() && !headed() {
                wrong.push(format!("{}: {link}", name(&path)));
            }
        }
    }
    assert!(links > 30, "documents link {links} times");
    none("links that lead nowhere", &wrong);
}

#[test]
fn unsafe_occurs_only_where_architecture_says() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let section = text.split("\n## ").find(|section| section.starts_with("Unsafe")).expect("it has a section Unsafe");
    let named: BTreeSet<&str> = section.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs")).collect();
    let forms = ["{", "fn", "impl", "extern", "trait"].map(|what| format!("unsafe {what}"));
    let found: BTreeSet<String> = files(&["rs"])
        .iter()
        .filter(|path| !path.ends_with("tests/tests/tidy.rs"))
        .filter(|path| {
            let text = fs::read_to_string(path).expect("sources are UTF-8");
            let mut code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
            code.any(|line| forms.iter().any(|form| line.contains(form.as_str())))
        })
        .map(|path| name(path))
        .collect();
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, named, "files with `unsafe`, and those that ARCHITECTURE.md names");
}

#[test]
fn sources_are_formatted() {
    let mut command = Command::new("cargo");
    command.args(["fmt", "--all", "--check", "--", "--files-with-diff"]).current_dir(root());
    let output = command.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "run `make fmt` (if rustfmt is missing: rustup component add rustfmt):\n{said}");
}
