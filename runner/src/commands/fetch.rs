//! `rl-run fetch`: fetches assets into the cache by hand. The emulator's build script fetches what it needs itself.

use std::process::ExitCode;

use rl_assets::Found;
use serde::Serialize;

use crate::console::output;
use crate::console::usage::usage;
use crate::tables::Tables;

/// Fetches an asset (an emulator with its ROMs, an engine) into the cache, or checks the one that is there.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: rl-run fetch ale\n\nThe cache is $RL_ASSETS, else rl-run in your cache directory.")]
pub(crate) struct FetchArgs {
    /// Names from --list
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    names: Vec<String>,
    /// Show every asset and whether it is there
    #[arg(long)]
    list: bool,
    /// Fetch again what is there, and replace it once the new one is whole
    #[arg(long, conflicts_with = "list")]
    force: bool,
    /// One JSON array on stdout
    #[arg(long)]
    json: bool,
}

/// What `--json` prints of one asset.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    version: &'static str,
    bytes: u64,
    sha256: &'static str,
    summary: &'static str,
    /// Where the asset is, as [`file::text`](crate::file::text) has it; `null` if it has not been fetched.
    path: Option<String>,
}

/// `rl-run fetch …`.
pub(crate) fn run(args: &FetchArgs, _tables: &Tables) -> anyhow::Result<ExitCode> {
    let mut wanted = Vec::new();
    for name in &args.names {
        wanted.push(rl_assets::find(name).map_err(|e| usage(e.to_string()))?);
    }
    for asset in &wanted {
        let note = |status: &str| output::note(format!("{}: {status}", asset.name));
        if args.force {
            rl_assets::replace(asset.name, &mut |status| note(status))?;
            continue;
        }
        match rl_assets::check(asset.name)? {
            Found::Nothing => drop(rl_assets::fetch(asset.name, &mut |status| note(status))?),
            Found::Whole => note("already there, with its files as they were unpacked"),
            Found::Unlisted => note("it is there without hashes to check it by: --force fetches it again"),
        }
    }
    let shown = if args.list { rl_assets::ASSETS.iter().collect() } else { wanted };
    let rows: Vec<Row> = shown.into_iter().map(row).collect();
    if args.json {
        output::line(serde_json::to_string(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    for Row { name, version, bytes, summary, path, .. } in rows {
        match path {
            Some(path) => output::line(format!("{name} {version}: {path}")),
            None => output::line(format!("{name} {version}: not fetched ({} MB; {summary})", bytes / 1_000_000)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(asset: &rl_assets::Asset) -> Row {
    Row {
        name: asset.name,
        version: asset.version,
        bytes: asset.bytes,
        sha256: asset.sha256,
        summary: asset.summary,
        path: rl_assets::locate(asset.name).ok().map(|path| path.to_string_lossy().into_owned()),
    }
}
