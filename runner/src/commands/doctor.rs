//! `rl-run doctor`: checks what is installed, found and missing, and says how to mend it.
//!
//! Whatever can be tried is tried: the environment of the main job is opened, with its ROM.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rl_core::Seating;
use rl_nn::Precision;
use rustix::fs::{Access, access};
use serde::Serialize;

use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::line;
use crate::machine::identity;
use crate::needs::ram;
use crate::needs::{existing, free_disk, human};
use crate::preset::{self, Ask};
use crate::tables::Tables;
use crate::viewer::displays;

/// Bytes of memory below which presets of pixel games may not fit: a million frames of 84 x 84, and room for the rest.
const MEMORY: u64 = 8_000_000_000;
/// Bytes of free disk below which a run with checkpoints may not fit.
const DISK: u64 = 16_000_000_000;
/// What to do where the cache has no place, or one that takes no files.
const PLACE: &str = "set RL_ASSETS to a directory that you may write to";

/// Says what is installed, found and missing, and how to fix it; exits with 1 if training on Kung Fu Master cannot run.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: rl-run doctor --json")]
pub(crate) struct DoctorArgs {
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// All is well.
    Ok,
    /// Something is missing that only some commands need.
    Warning,
    /// Something is missing that training needs.
    Missing,
}

#[derive(Clone, Debug, Serialize)]
struct Check {
    name: String,
    state: State,
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

/// `rl-run doctor`.
pub(crate) fn run(args: &DoctorArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let mut checks = vec![program(), processor(), memory(), disk(Path::new("."), "disk for runs")];
    checks.push(cache());
    checks.extend(rl_assets::ASSETS.iter().map(asset));
    checks.push(main_job(tables));
    checks.extend([fetching(), rust(), compiler(), cuda(), window(), gamepad(), sound()]);
    let report = Report { ok: checks.iter().all(|check| check.state != State::Missing), checks };
    if args.json {
        output::line(serde_json::to_string(&report)?);
    } else {
        for check in &report.checks {
            let state = match check.state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Missing => "MISSING",
            };
            output::line(format!("{state:8} {:16} {}", check.name, check.found));
            if let Some(mend) = &check.mend {
                output::line(format!("{:25} -> {mend}", ""));
            }
        }
    }
    Ok(ExitCode::from(u8::from(!report.ok)))
}

impl Check {
    fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Ok, found: found.into(), mend: None }
    }

    fn not(state: State, name: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state, found: found.into(), mend: Some(mend.into()) }
    }
}

fn program() -> Check {
    let features = identity::features();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let (version, revision) = (env!("CARGO_PKG_VERSION"), env!("RL_REVISION"));
    let found = format!("{version}, revision {revision}, features: {features}");
    if cfg!(feature = "atari") {
        return Check::ok("rl-run", found);
    }
    let mend = "no Atari games: build with `make install`, or cargo's `--features atari` (GPL-2.0)";
    Check::not(State::Warning, "rl-run", found, mend)
}

fn processor() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let isa = identity::isa(Precision::Bf16);
    let found = format!("{}, {}, instruction set {isa}", identity::cpu(), counted(cores, "core"));
    if isa == "portable" {
        let mend = "training works, but slowly: this CPU has neither AVX2 with FMA nor NEON";
        return Check::not(State::Warning, "processor", found, mend);
    }
    Check::ok("processor", found)
}

fn memory() -> Check {
    let (Some(free), Some(all)) = (ram::free(), ram::all()) else {
        return Check::not(State::Warning, "memory", "unknown (no /proc/meminfo)", "watch it yourself on this system");
    };
    let found = format!("{} free of {}", human(free), human(all));
    if free < MEMORY {
        let mend = "a replay of a million frames needs 7.3 GB: lower agent.replay_capacity with --set if training refuses to start";
        return Check::not(State::Warning, "memory", found, mend);
    }
    Check::ok("memory", found)
}

fn disk(path: &Path, name: &str) -> Check {
    let found = free_disk(path).and_then(|free| Ok(access(path, Access::WRITE_OK).map(|()| free)?));
    match found {
        Ok(free) if free < DISK => {
            let mend = "checkpoints hold the replay: lower train.keep_checkpoints with --set, or put --run elsewhere";
            Check::not(State::Warning, name, format!("{} free", human(free)), mend)
        }
        Ok(free) => Check::ok(name, format!("{} free", human(free))),
        Err(e) => Check::not(State::Warning, name, line(&e), "put --run elsewhere"),
    }
}

fn cache() -> Check {
    match rl_assets::cache() {
        Err(e) => Check::not(State::Warning, "assets", line(&e.into()), PLACE),
        Ok(path) => {
            let there = existing(&path);
            match access(there, Access::WRITE_OK) {
                Ok(()) => Check::ok("assets", path.display().to_string()),
                Err(e) => {
                    let found = line(&anyhow::Error::from(e).context(path.display().to_string()));
                    Check::not(State::Warning, "assets", found, PLACE)
                }
            }
        }
    }
}

fn asset(asset: &rl_assets::Asset) -> Check {
    let name = format!("asset {}", asset.name);
    match rl_assets::locate(asset.name) {
        Ok(path) => match rl_assets::check(asset.name) {
            Ok(_) => Check::ok(&name, format!("{}: {}", asset.version, path.display())),
            Err(e) => Check::not(State::Missing, &name, line(&e.into()), fetch(asset.name, true)),
        },
        Err(_) => {
            let found = format!("{} not fetched ({})", asset.version, asset.summary);
            Check::not(State::Warning, &name, found, fetch(asset.name, false))
        }
    }
}

/// What brings an asset that is missing, or one whose files are not as they were `again`.
fn fetch(asset: &str, again: bool) -> String {
    match rl_assets::cache() {
        Err(_) => PLACE.to_owned(), // there is nowhere to bring it to
        Ok(_) if again => format!("rl-run fetch {asset} --force"),
        Ok(_) => format!("rl-run fetch {asset}"),
    }
}

/// Opens the environment that the README trains on, or the first in the tables where this binary has no Atari.
fn main_job(tables: &Tables) -> Check {
    let name = match tables.env("kungfu") {
        Ok(_) => "kungfu".to_owned(),
        Err(_) => tables.env_names().into_iter().next().unwrap_or_default(),
    };
    let resolved = preset::resolve(tables, &Ask { env: &name, ..Ask::default() });
    let opened =
        resolved.and_then(|resolved| resolved.seat(&Seating { seed: 0, seats: 0..resolved.seats_per_world() }));
    let check = format!("open {name}");
    match opened {
        Ok(_) => Check::ok(&check, "opens"),
        Err(e) => {
            let fetch = fetch("ale", rl_assets::check("ale").is_err());
            Check::not(State::Missing, &check, line(&e), format!("{fetch}, then rl-run doctor again"))
        }
    }
}

fn fetching() -> Check {
    let mend = "needed only to fetch assets: on Debian, apt install python3-venv";
    match (said("python3", &["--version"]), said("python3", &["-c", "import ensurepip, venv; print('venv')"])) {
        (Some(version), Some(_)) => Check::ok("python for fetch", format!("{version} with venv and pip")),
        (Some(version), None) => {
            Check::not(State::Warning, "python for fetch", format!("{version} without venv"), mend)
        }
        _ => Check::not(State::Warning, "python for fetch", "no python3", mend),
    }
}

fn rust() -> Check {
    match said("rustc", &["--version"]) {
        Some(version) => Check::ok("rust", version),
        None => Check::not(State::Warning, "rust", "no rustc", "only building again needs it: install rustup"),
    }
}

fn compiler() -> Check {
    match said("c++", &["--version"]) {
        Some(version) => Check::ok("c++", version),
        None => {
            let mend = "needed only to build the emulator: on Debian, apt install g++";
            Check::not(State::Warning, "c++", "no c++", mend)
        }
    }
}

fn cuda() -> Check {
    let card = said("nvidia-smi", &["--query-gpu=name", "--format=csv,noheader"]);
    match (cfg!(feature = "cuda"), card) {
        (true, Some(card)) => Check::ok("cuda", card),
        (true, None) => Check::not(State::Warning, "cuda", "compiled in, no device found", "train with --device cpu"),
        (false, Some(card)) => Check::ok("cuda", format!("not compiled in ({card} is here)")),
        (false, None) => Check::ok("cuda", "not compiled in, no device found"),
    }
}

fn window() -> Check {
    if !cfg!(feature = "viewer") {
        let mend = "watch and play open windows: build without --no-default-features, or with `--features viewer`";
        return Check::not(State::Warning, "window", "not compiled in", mend);
    }
    match &displays()[..] {
        named @ [_, ..] => Check::ok("window", named.join(" and ")),
        [] => {
            let mend =
                "only watch and play need one: `rl-run export` makes films without, and `ssh -X` brings one along";
            Check::not(State::Warning, "window", "no display: neither WAYLAND_DISPLAY nor DISPLAY is set", mend)
        }
    }
}

fn gamepad() -> Check {
    let found = match cfg!(feature = "gamepad") {
        true => "compiled in, for play".to_owned(),
        false => unbuilt("gamepad", "libudev-dev"),
    };
    Check::ok("gamepad", found)
}

fn sound() -> Check {
    #[cfg(feature = "sound")]
    return match crate::viewer::speaker::device() {
        Ok((device, config)) => {
            Check::ok("sound", format!("compiled in, for play of Atari: {device}, {} Hz", config.sample_rate()))
        }
        Err(e) => Check::ok("sound", format!("compiled in, and games are silent: {}", line(&e))),
    };
    #[cfg(not(feature = "sound"))]
    Check::ok("sound", unbuilt("sound", "libasound2-dev"))
}

/// What is said of a feature that was not built in and needs headers, given the Debian package that has them.
fn unbuilt(feature: &str, headers: &str) -> String {
    format!(
        "not compiled in: `cargo build --release -p rl-runner --features {feature}` has it in play; on Debian, apt install \
         {headers} before"
    )
}

/// First line that a program prints, if it is there and succeeds.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned();
    output.status.success().then_some(line)
}
