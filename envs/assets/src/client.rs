//! Running the package clients.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Asset, Client, Error, Result};

/// Lines of a failed client's output that go into the error.
const LAST_LINES: usize = 3;

/// Brings the file of `asset` into `dir` and returns its path.
pub(crate) fn download(asset: &Asset, dir: &Path, status: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    match asset.client {
        Client::PipSource { needs } => pip_source(asset, needs, dir, status),
        Client::PipWheel { python, platform } => pip_wheel(asset, python, platform, dir, status),
    }
}

/// What pip is told with every command.
const QUIET: [&str; 3] = ["--quiet", "--disable-pip-version-check", "--no-input"];
/// The mend where the network may be at fault.
const REACHABLE: &str = "is the package index reachable?";

fn pip_wheel(asset: &Asset, python: &str, platform: &str, dir: &Path, status: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let venv = venv(asset, dir, status)?;
    let wanted = wanted(asset, status);
    let mut command = Command::new(venv.join("bin/pip"));
    command
        .arg("download")
        .args(QUIET)
        .args(["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", python])
        .args(["--platform", platform, wanted.as_str(), "--dest"])
        .arg(dir);
    run(asset, &mut command, REACHABLE)?;
    left(asset, dir)
}

fn pip_source(asset: &Asset, needs: &[&str], dir: &Path, status: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let venv = venv(asset, dir, status)?;
    let pip = venv.join("bin/pip");
    status(&format!("installing {} into it", needs.join(" and ")));
    run(asset, Command::new(&pip).arg("install").args(QUIET).args(needs), REACHABLE)?;

    // By its hash, which pip looks at before it asks the package's own program for its metadata.
    let list = dir.join("wanted.txt");
    let line = format!("{} --hash=sha256:{}\n", wanted(asset, status), asset.sha256);
    let io = |cause| Error::Io { name: asset.name.to_owned(), path: list.clone(), cause };
    fs::write(&list, line).map_err(io)?;
    let mut command = Command::new(&pip);
    command
        .arg("download")
        .args(QUIET)
        .args(["--no-deps", "--no-build-isolation", "--no-binary", asset.package, "--require-hashes", "--requirement"])
        .arg(&list)
        .arg("--dest")
        .arg(dir)
        .env("PATH", path_with(&venv.join("bin")));
    run(asset, &mut command, REACHABLE)?;
    left(asset, dir)
}

fn venv(asset: &Asset, dir: &Path, status: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let venv = dir.join("venv");
    status("making a throw-away Python environment");
    run(asset, Command::new("python3").args(["-m", "venv"]).arg(&venv), "on Debian: apt install python3-venv")?;
    Ok(venv)
}

/// The package as pip is asked for it.
fn wanted(asset: &Asset, status: &mut dyn FnMut(&str)) -> String {
    let wanted = format!("{}=={}", asset.package, asset.version);
    status(&format!("downloading {wanted} ({} MB)", asset.bytes / 1_000_000));
    wanted
}

/// The file that pip should have left.
fn left(asset: &Asset, dir: &Path) -> Result<PathBuf> {
    let file = dir.join(asset.file);
    if file.is_file() {
        return Ok(file);
    }
    let message = format!("pip left no {} for {}=={}", asset.file, asset.package, asset.version);
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
