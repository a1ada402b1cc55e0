//! Checking an archive against the manifest, and unpacking it without letting it out of its directory.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::{Asset, Error, Result};

/// Refuses a file that is not the one that `asset` pins.
pub(crate) fn verify(asset: &Asset, file: &Path) -> Result<()> {
    let read = |source| Error::Io { name: asset.name.to_owned(), path: file.to_owned(), source };
    let content = fs::read(file).map_err(read)?;
    let (bytes, sha256) = (content.len() as u64, sha256(&content));
    if bytes == asset.bytes && sha256 == asset.sha256 {
        return Ok(());
    }
    Err(Error::Hash {
        name: asset.name.to_owned(),
        file: asset.file.to_owned(),
        sha256,
        bytes,
        expected: asset.sha256.to_owned(),
        expected_bytes: asset.bytes,
    })
}

/// The hash in lower-case hexadecimal digits.
pub(crate) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Unpacks the regular files and directories below `asset.top` to `into`.
pub(crate) fn unpack(asset: &Asset, file: &Path, into: &Path) -> Result<()> {
    let refuse = |message: String| Error::Archive { name: asset.name.to_owned(), file: asset.file.to_owned(), message };
    let broken = |e: std::io::Error| refuse(e.to_string());
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { name: asset.name.to_owned(), path, source }
    };

    fs::create_dir(into).map_err(write(into))?;
    let archive = File::open(file).map_err(write(file))?;
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let inside =
            below(asset.top, &path).ok_or_else(|| refuse(format!("{} leaves {}", path.display(), asset.top)))?;
        let to = into.join(inside);
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&to).map_err(write(&to))?,
            tar::EntryType::Regular => {
                let dir = to.parent().expect("a joined path has a parent");
                fs::create_dir_all(dir).map_err(write(dir))?;
                let mut content = Vec::new();
                entry.read_to_end(&mut content).map_err(broken)?;
                fs::write(&to, content).map_err(write(&to))?;
                // The archive's time, so that a build script that fetched its sources does not see them change under it.
                let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.header().mtime().map_err(broken)?);
                File::options().write(true).open(&to).and_then(|f| f.set_modified(modified)).map_err(write(&to))?;
            }
            tar::EntryType::XGlobalHeader => {}
            other => return Err(refuse(format!("{} is a {other:?}, expected a file or directory", path.display()))),
        }
    }
    Ok(())
}

/// `path` without the leading `top`; `None` if it does not lie below it.
fn below(top: &str, path: &Path) -> Option<PathBuf> {
    let inside = path.strip_prefix(top).ok()?;
    inside.components().all(|part| matches!(part, Component::Normal(_))).then(|| inside.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A gzipped tarball; names are written as they are, `..` included.
    pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(1_000_000_000);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn paths_that_escape_are_refused() {
        for name in ["toy-1/../../evil", "/etc/evil", "other/file"] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("toy.tar.gz");
            fs::write(&file, archive(&[(name, b"x")])).unwrap();
            let asset = Asset { top: "toy-1", ..crate::ASSETS[0] };
            let error = unpack(&asset, &file, &dir.path().join("out")).unwrap_err().to_string();
            assert!(error.contains("leaves toy-1"), "{name}: {error}");
        }
    }

    #[test]
    fn files_keep_the_time_of_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("toy.tar.gz");
        fs::write(&file, archive(&[("toy-1/a", b"x")])).unwrap();
        unpack(&Asset { top: "toy-1", ..crate::ASSETS[0] }, &file, &dir.path().join("out")).unwrap();
        let modified = dir.path().join("out/a").metadata().unwrap().modified().unwrap();
        assert_eq!(modified.duration_since(SystemTime::UNIX_EPOCH).unwrap(), Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn a_truncated_archive_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("toy.tar.gz");
        let bytes = archive(&[("toy-1/a", &[7; 4000])]);
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        let asset = Asset { top: "toy-1", ..crate::ASSETS[0] };
        assert!(unpack(&asset, &file, &dir.path().join("out")).is_err());
    }
}
