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
    let read = |cause| Error::Io { name: asset.name.to_owned(), path: file.to_owned(), cause };
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

/// Returns the SHA-256 hash of `content` in lower-case hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many times its size an archive unpacks to at most; the sources of ALE do to twice.
pub(crate) const SWELLS: u64 = 8;
/// And so much more: headers and padding of a few small files nearly vanish when they are packed.
pub(crate) const PADDING: u64 = 1 << 16;

/// Unpacks the regular files and directories below `asset.top` to `into`: a wheel is a zip, all else a gzipped tarball.
pub(crate) fn unpack(asset: &Asset, file: &Path, into: &Path) -> Result<()> {
    fs::create_dir(into).map_err(write(asset, into))?;
    if asset.file.ends_with(".whl") {
        return unpack_zip(asset, file, into);
    }
    let archive = File::open(file).map_err(write(asset, file))?;
    let most = asset.bytes.saturating_mul(SWELLS).saturating_add(PADDING);
    let mut archive = tar::Archive::new(GzDecoder::new(archive).take(most));
    let done = unpack_entries(asset, &mut archive, into);
    match archive.into_inner().limit() {
        0 => Err(refuse(asset, format!("unpacks to more than {most} bytes"))), // where it was cut it may look whole, or torn
        _ => done,
    }
}

fn unpack_entries(asset: &Asset, archive: &mut tar::Archive<impl Read>, into: &Path) -> Result<()> {
    let refuse = |message: String| refuse(asset, message);
    let broken = |e: std::io::Error| refuse(e.to_string());
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let inside =
            below(asset.top, &path).ok_or_else(|| refuse(format!("{} leaves {}", path.display(), asset.top)))?;
        let to = into.join(inside);
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&to).map_err(write(asset, &to))?,
            tar::EntryType::Regular => {
                let dir = to.parent().expect("a joined path has a parent");
                fs::create_dir_all(dir).map_err(write(asset, dir))?;
                // The archive's time, so that a build script that fetched its sources does not see them change under it.
                let seconds = Duration::from_secs(entry.header().mtime().map_err(broken)?);
                let modified = SystemTime::UNIX_EPOCH.checked_add(seconds);
                let modified = modified.ok_or_else(|| refuse(format!("{} has no time", path.display())))?;
                let mut content = File::create(&to).map_err(write(asset, &to))?;
                std::io::copy(&mut entry, &mut content).map_err(|e| refuse(format!("{}: {e}", path.display())))?;
                content.set_modified(modified).map_err(write(asset, &to))?;
            }
            tar::EntryType::XGlobalHeader => {}
            other => return Err(refuse(format!("{} is a {other:?}, expected a file or directory", path.display()))),
        }
    }
    Ok(())
}

fn unpack_zip(asset: &Asset, file: &Path, into: &Path) -> Result<()> {
    let refuse = |message: String| refuse(asset, message);
    let archive = File::open(file).map_err(write(asset, file))?;
    let mut archive = zip::ZipArchive::new(archive).map_err(|e| refuse(e.to_string()))?;
    let mut most = asset.bytes.saturating_mul(SWELLS).saturating_add(PADDING);
    for n in 0..archive.len() {
        let mut entry = archive.by_index(n).map_err(|e| refuse(e.to_string()))?;
        let name = entry.name().map_err(|e| refuse(e.to_string()))?.into_owned();
        let path = PathBuf::from(&name);
        let inside = below(asset.top, &path).ok_or_else(|| refuse(format!("{} leaves the archive", path.display())))?;
        if entry.is_dir() || asset.leaves_out.iter().any(|left| name.starts_with(left)) {
            continue;
        }
        if !entry.is_file() {
            return Err(refuse(format!("{} is no file", path.display())));
        }
        let to = into.join(inside);
        let dir = to.parent().expect("a joined path has a parent");
        fs::create_dir_all(dir).map_err(write(asset, dir))?;
        let mut content = File::create(&to).map_err(write(asset, &to))?;
        let copied = std::io::copy(&mut entry.by_ref().take(most), &mut content);
        most -= copied.map_err(|e| refuse(format!("{}: {e}", path.display())))?;
        if most == 0 {
            return Err(refuse(format!("unpacks to more than {SWELLS} times its size")));
        }
        // Zip's permissions are advice; what matters is whether a file is a program.
        if entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0) {
            let program = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&to, program).map_err(write(asset, &to))?;
        }
    }
    Ok(())
}

fn refuse(asset: &Asset, message: String) -> Error {
    Error::Archive { name: asset.name.to_owned(), file: asset.file.to_owned(), message }
}

fn write(asset: &Asset, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let (name, path) = (asset.name.to_owned(), path.to_owned());
    move |cause| Error::Io { name, path, cause }
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
    fn an_archive_that_swells_or_has_no_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |name: &str, bytes: &[u8], size: u64| {
            let file = dir.path().join(name);
            fs::write(&file, bytes).unwrap();
            let asset = Asset { top: "toy-1", bytes: size, ..crate::ASSETS[0] };
            unpack(&asset, &file, &dir.path().join(format!("{name}-out"))).unwrap_err().to_string()
        };
        let zeros = archive(&[("toy-1/a", &[0; 1 << 20])]);
        assert!(zeros.len() < 1 << 14, "a megabyte of zeros has {} bytes", zeros.len());
        let error = refused("zeros", &zeros, zeros.len() as u64);
        assert!(error.contains(&format!("unpacks to more than {} bytes", 8 * zeros.len() + (1 << 16))), "{error}");
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_path("toy-1/late").unwrap();
        header.set_mtime(u64::MAX); // the second before the beginning, to who counts in 64 bits
        header.set_size(0);
        header.set_cksum();
        tar.append(&header, &[][..]).unwrap();
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        let error = refused("late", &bytes, 1 << 20);
        assert!(error.contains("toy-1/late has no time"), "{error}");
    }

    /// A wheel with these files, the first of them a program.
    fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (n, (name, content)) in files.iter().enumerate() {
            let mode = if n == 0 { 0o755 } else { 0o644 };
            let options = zip::write::SimpleFileOptions::default().unix_permissions(mode);
            zip.start_file(*name, options).unwrap();
            std::io::Write::write_all(&mut zip, content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn a_wheel_keeps_its_programs_and_leaves_out_what_it_is_told_to() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("toy.whl");
        let bytes = wheel(&[("toy/run", b"program"), ("toy/data", b"data"), ("toy/python.so", b"x")]);
        fs::write(&file, &bytes).unwrap();
        let toy =
            |size| Asset { top: "", file: "toy.whl", bytes: size, leaves_out: &["toy/python"], ..crate::ASSETS[0] };
        let out = dir.path().join("out");
        unpack(&toy(bytes.len() as u64), &file, &out).unwrap();
        let mode = |name: &str| out.join(name).metadata().unwrap().permissions().mode() & 0o111;
        assert!(mode("toy/run") == 0o111 && mode("toy/data") == 0 && !out.join("toy/python.so").exists());
        assert_eq!(fs::read(out.join("toy/data")).unwrap(), b"data");
    }

    #[test]
    fn a_wheel_that_escapes_swells_or_is_cut_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |name: &str, bytes: &[u8]| {
            let file = dir.path().join(name);
            fs::write(&file, bytes).unwrap();
            let asset = Asset { top: "", file: "toy.whl", bytes: bytes.len() as u64, ..crate::ASSETS[0] };
            unpack(&asset, &file, &dir.path().join(format!("{name}-out"))).unwrap_err().to_string()
        };
        assert!(refused("evil", &wheel(&[("../evil", b"x")])).contains("leaves the archive"));
        assert!(refused("zeros", &wheel(&[("zeros", &[0; 1 << 20])])).contains("more than 8 times"));
        let whole = wheel(&[("a", &[7; 4000])]);
        assert!(refused("cut", &whole[..whole.len() / 2]).contains("nothing was kept"));
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
