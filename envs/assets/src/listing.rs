//! What an asset was made of: a hash per file, written when it is unpacked, against which it can be checked later.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write as _};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::unpack::hex;
use crate::{Asset, Error, Result};

/// Name of the list in an asset's directory. Its lines are those of `sha256sum`.
const LISTING: &str = ".sha256sums";

/// Writes the hashes of all files below `dir` into it.
pub(crate) fn write(asset: &Asset, dir: &Path) -> Result<()> {
    let mut files = Vec::new();
    walk(asset, dir, dir, &mut files)?;
    files.sort();
    let mut text = String::new();
    for file in files {
        let hash = hash(&dir.join(&file)).map_err(io(asset, &file))?;
        text.push_str(&format!("{hash}  {}\n", file.display()));
    }
    let path = dir.join(LISTING);
    let written =
        File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(io(asset, &path))
}

/// Hashes the files of an asset again. False if it was unpacked before there were lists; files beside those of the list
/// are not looked at.
pub(crate) fn check(asset: &Asset, dir: &Path) -> Result<bool> {
    let path = dir.join(LISTING);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(io(asset, &path)(e)),
    };
    let changed = |file: &Path| Error::Changed { name: asset.name.to_owned(), path: file.to_owned() };
    if !text.ends_with('\n') {
        return Err(changed(&path)); // empty, or cut short
    }
    for line in text.lines() {
        let (expected, file) = line.split_once("  ").ok_or_else(|| changed(&path))?;
        if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(changed(&path)); // what lies elsewhere is no file of ours
        }
        let file = dir.join(file);
        match hash(&file) {
            Ok(found) if found == expected => {}
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(io(asset, &file)(e)),
            _ => return Err(changed(&file)),
        }
    }
    Ok(true)
}

fn walk(asset: &Asset, root: &Path, dir: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(io(asset, dir))? {
        let path = entry.map_err(io(asset, dir))?.path();
        if path.is_dir() {
            walk(asset, root, &path, out)?;
        } else {
            out.push(path.strip_prefix(root).expect("a walk stays below its root").to_owned());
        }
    }
    Ok(())
}

/// Returns the SHA-256 of a file, which may be larger than memory, as lowercase hexadecimal digits.
///
/// # Errors
/// If it cannot be read, or is no regular file: a device or a pipe may have no end.
pub fn hash(file: &Path) -> std::io::Result<String> {
    if !fs::metadata(file)?.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let (mut file, mut hash, mut buffer) = (File::open(file)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn io(asset: &Asset, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let (name, path) = (asset.name.to_owned(), path.to_owned());
    move |cause| Error::Io { name, path, cause }
}
