//! Compiles ALE 0.12.1 and the shim from the sources in `ALE_SRC`, the assets cache, or a fetch into that cache.
//!
//! Four translation units instead of 160: headers of the standard library dominate, and one unit takes a tenth of the
//! time. Optimisation is fixed, so that debug builds and tests run the emulator at full speed. No LTO: slim objects do
//! not link under rustc's linker.
// A build script talks to cargo on its standard output.
#![allow(clippy::print_stdout)]

mod faster;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const VERSION: &str = "0.12.1";
/// Directories whose `CMakeLists.txt` names the sources of the emulator proper.
const EMULATOR: [&str; 3] = ["emucore", "environment", "common"];
const GAMES: [&str; 2] = ["games", "games/supported"];
/// Its header closes the include guard before its namespaces: it compiles only by itself.
const ALONE: &str = "NullDev.cxx";
/// It allocates what a length in a file says; `src/deserializer.inc` takes its place.
const TRUSTING: &str = "Deserializer.cxx";

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=faster.rs");
    faster::files().for_each(|file| println!("cargo:rerun-if-changed={file}"));
    for file in ["checked.hpp", "deserializer.inc", "shim.cpp", "shim.h"] {
        println!("cargo:rerun-if-changed=src/{file}");
    }
    println!("cargo:rerun-if-env-changed=ALE_SRC");
    println!("cargo:rerun-if-env-changed=RL_ASSETS");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo:error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let root = sources()?;
    println!("cargo:rerun-if-changed={}", root.join("src/ale/emucore/CMakeLists.txt").display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?);

    let mut emulator = include_all(&root, &EMULATOR)?;
    emulator.push_str("#include \"ale/ale_interface.cpp\"\n#include \"deserializer.inc\"\n");
    write(&out, "emulator.cpp", &faster::write(&root, &out, &emulator)?)?;
    write(&out, "games.cpp", &include_all(&root, &GAMES)?)?;
    write(&out, "alone.cpp", &format!("#include \"ale/emucore/{ALONE}\"\n"))?;
    write(
        &out,
        "version.hpp",
        &format!(
            "#pragma once\n#define ALE_VERSION \"{VERSION}\"\n#define ALE_VERSION_GIT_SHA \"sdist\"\n\
             #define STELLA_VERSION \"2.4.2\"\n"
        ),
    )?;

    // The order is that of linking: the shim uses ALE, ALE uses zlib.
    compiler(&root, &out).file("src/shim.cpp").flag("-fno-access-control").compile("ale_shim");
    compiler(&root, &out)
        .files(["emulator.cpp", "games.cpp", "alone.cpp"].map(|file| out.join(file)))
        .flag("-fno-access-control")
        .compile("ale");
    Ok(())
}

fn compiler(root: &Path, out: &Path) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(2)
        .debug(false)
        .warnings(false)
        .define("NDEBUG", None)
        .include("src")
        .include(root.join("src"))
        .include(out);
    // What rustc checks by a sanitizer links its runtime, which serves the emulator as well.
    if std::env::var("CARGO_CFG_SANITIZE").is_ok_and(|checks| checks.split(',').any(|check| check == "address")) {
        build.flag("-fsanitize=address").flag("-fno-omit-frame-pointer");
    }
    if let Some(zlib) = std::env::var_os("DEP_Z_INCLUDE") {
        build.include(zlib);
    }
    build
}

fn sources() -> Result<PathBuf, String> {
    let root = match std::env::var_os("ALE_SRC") {
        Some(path) => PathBuf::from(path),
        None => match rl_assets::locate("ale") {
            Ok(path) => path,
            Err(_) => rl_assets::fetch("ale", &mut |status| println!("cargo:warning=ale: {status}"))
                .map_err(|e| format!("{e}\nor set ALE_SRC to an unpacked source distribution of ale-py {VERSION}"))?,
        },
    };
    let version = fs::read_to_string(root.join("version.txt")).unwrap_or_default();
    if version.trim() == VERSION && root.join("src/ale/ale_interface.cpp").is_file() {
        return Ok(root);
    }
    let (root, version) = (root.display(), version.trim());
    Err(format!(
        "{root} is no unpacked ale-py {VERSION} (its version.txt says {version:?}): ALE_SRC must name one, or be unset"
    ))
}

fn write(out: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = out.join(name);
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Includes of every source that the `CMakeLists.txt` of `directories` names.
fn include_all(root: &Path, directories: &[&str]) -> Result<String, String> {
    let mut text = String::new();
    for directory in directories {
        let list = root.join("src/ale").join(directory).join("CMakeLists.txt");
        let cmake = fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
        let sources = cmake.split_whitespace().filter(|word| word.ends_with(".cxx") || word.ends_with(".cpp"));
        for source in sources.filter(|source| ![ALONE, TRUSTING].contains(source)) {
            text.push_str(&format!("#include \"ale/{directory}/{source}\"\n"));
        }
    }
    Ok(text)
}
