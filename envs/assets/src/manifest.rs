//! What can be fetched, from which client, and which bytes it must be.

use crate::{Error, Result};

/// The package client that brings an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The source distribution of a Python package, by `pip download` in a throw-away virtual environment that holds
    /// what the package needs to tell its metadata.
    PipSource {
        /// Packages installed first.
        needs: &'static [&'static str],
    },
    /// The wheel of a Python package for x86-64 Linux, by `pip download` in a throw-away virtual environment.
    PipWheel {
        /// Version of Python that the wheel is for; none is run.
        python: &'static str,
        /// Platform that it is for.
        platform: &'static str,
    },
}

/// One line of the manifest.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Name for `rl-run fetch`.
    pub name: &'static str,
    /// How it is brought.
    pub client: Client,
    /// Its name at the registry.
    pub package: &'static str,
    /// The one version that the manifest pins.
    pub version: &'static str,
    /// Name of the file that the client leaves.
    pub file: &'static str,
    /// Hash of that file, in lower-case hexadecimal digits.
    pub sha256: &'static str,
    /// Size of that file.
    pub bytes: u64,
    /// Directory at the top of the archive, which is dropped on unpacking; empty where there is none.
    pub top: &'static str,
    /// Beginnings of the names that are not unpacked: what nobody reads.
    pub leaves_out: &'static [&'static str],
    /// Directory in the cache.
    pub place: &'static str,
    /// What it is, for people.
    pub summary: &'static str,
}

/// Every asset that some crate of the workspace uses.
pub const ASSETS: &[Asset] = &[ALE, VIZDOOM];

const ALE: Asset = Asset {
    name: "ale",
    // pip reads the metadata of the source distribution by its build backend, which wants a cmake on the PATH.
    client: Client::PipSource { needs: &["scikit-build-core", "cmake"] },
    package: "ale-py",
    version: "0.12.1",
    file: "ale_py-0.12.1.tar.gz",
    sha256: "c503d574c5983e1063b451201ccb779d935919c0f6bf116fb0f4f8aa4c86d249",
    bytes: 11_460_017,
    top: "ale_py-0.12.1",
    leaves_out: &[],
    place: "ale-0.12.1",
    summary: "Arcade Learning Environment: sources (GPL-2.0) and the ROMs of 108 Atari games",
};

const VIZDOOM: Asset = Asset {
    name: "vizdoom",
    client: Client::PipWheel { python: "3.11", platform: "manylinux_2_28_x86_64" },
    package: "vizdoom",
    version: "1.3.2",
    file: "vizdoom-1.3.2-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256: "4376e0957d4e82b857870fc0e7462acc23cb821446c647d3975ce84a5e59032f",
    bytes: 38_985_182,
    top: "",
    // Python's side of it, and libraries that the engine is not linked with.
    leaves_out: &[
        "vizdoom/vizdoom.cpython",
        "vizdoom/gymnasium_wrapper",
        "vizdoom.libs/libicu",
        "vizdoom.libs/liblzma",
    ],
    place: "vizdoom-1.3.2",
    summary: "ViZDoom: the engine (GPL and others, run as a process), its scenarios (MIT) and Freedoom (BSD)",
};

/// The asset called `name`.
///
/// # Errors
/// If the manifest has none of that name.
pub fn find(name: &str) -> Result<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name).ok_or_else(|| {
        let known = ASSETS.iter().map(|asset| asset.name).collect::<Vec<_>>().join(", ");
        Error::Unknown { name: name.to_owned(), known }
    })
}
