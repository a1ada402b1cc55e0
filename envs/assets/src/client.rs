//! Running the package clients.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Asset, Client, Error, Result};

/// Lines of a failed client's output that go into the error.
const LAST_LINES: usize = 3;

/// Brings the file of `asset` into `dir` and returns its path.
pub(crate) fn download(asset: &Asset, dir: &Path, status: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    match asset.client {
        Client::PipSource { needs } => pip_source(asset, needs, dir, status),
    }
}

fn pip_source(asset: &Asset, needs: &[&str], dir: &Path, status: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let venv = dir.join("venv");
    status("making a throw-away Python environment");
    run(asset, Command::new("python3").args(["-m", "venv"]).arg(&venv), "on Debian: apt install python3-venv")?;

    let pip = venv.join("bin/pip");
    let quiet = ["--quiet", "--disable-pip-version-check", "--no-input"];
    status(&format!("installing {} into it", needs.join(" and ")));
    run(asset, Command::new(&pip).arg("install").args(quiet).args(needs), "is the package index reachable?")?;

    let wanted = format!("{}=={}", asset.package, asset.version);
    status(&format!("downloading {wanted} ({} MB)", asset.bytes / 1_000_000));
    let mut command = Command::new(&pip);
    command
        .arg("download")
        .args(quiet)
        .args(["--no-deps", "--no-build-isolation", "--no-binary", asset.package])
        .arg(&wanted)
        .arg("--dest")
        .arg(dir)
        .env("PATH", path_with(&venv.join("bin")));
    run(asset, &mut command, "is the package index reachable?")?;

    let file = dir.join(asset.file);
    if file.is_file() {
        return Ok(file);
    }
    let message = format!("pip left no {} for {wanted}", asset.file);
    Err(Error::Client { name: asset.name.to_owned(), message })
}

/// The search path with `first` in front.
fn path_with(first: &Path) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

/// Runs `command` in silence; a failure becomes an error with the command, the end of its output and `hint`.
fn run(asset: &Asset, command: &mut Command, hint: &str) -> Result<()> {
    let fail = |command: &Command, what: &str| {
        let line: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        let line = line.join(" ".as_ref()).to_string_lossy().into_owned();
        Error::Client { name: asset.name.to_owned(), message: format!("`{line}`: {what} ({hint})") }
    };
    let output = command.stdin(Stdio::null()).output().map_err(|e| fail(command, &e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    Err(fail(command, &format!("{}\n{last}\n", output.status)))
}
