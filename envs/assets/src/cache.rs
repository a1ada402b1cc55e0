//! Where assets rest, and the steps that bring one there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::client::download;
use crate::unpack::{unpack, verify};
use crate::{Asset, Error, Result, find, listing};

/// Prefix of the directories in which assets are made.
const MAKING: &str = ".making-";

/// The cache: `$RL_ASSETS`, else `rl-run` in the user's cache directory.
///
/// # Errors
/// If no environment variable names a place.
pub fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("RL_ASSETS")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("rl-run")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/rl-run")))
        .ok_or(Error::NoCache)
}

/// The directory of an asset that has been fetched.
///
/// # Errors
/// If it has not been, naming the command that fetches it.
pub fn locate(name: &str) -> Result<PathBuf> {
    let asset = find(name)?;
    let path = cache()?.join(asset.place);
    if path.is_dir() { Ok(path) } else { Err(Error::Missing { name: name.to_owned(), path }) }
}

/// The directory of an asset, fetched first where it is missing; `status` hears what is being done.
///
/// Two processes may fetch at once: the first to finish wins, the other drops its copy.
///
/// # Errors
/// If the client fails, or what it brings is not what the manifest pins. Nothing is left behind then.
pub fn fetch(name: &str, status: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let (asset, cache) = (find(name)?, cache()?);
    match cache.join(asset.place) {
        place if place.is_dir() => Ok(place),
        _ => obtain(asset, &cache, Taken::Keep, status, download),
    }
}

/// Fetches an asset whether it is there or not. What is there stays until the new one is whole.
///
/// # Errors
/// As [`fetch`].
pub fn replace(name: &str, status: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    obtain(find(name)?, &cache()?, Taken::Replace, status, download)
}

/// What [`check`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The asset is not in the cache.
    Nothing,
    /// It is there, and every file is as it was unpacked.
    Whole,
    /// It is there, but no list of its files' hashes is.
    Unlisted,
}

/// Hashes the files of an asset in the cache again.
///
/// # Errors
/// If a file was changed or cannot be read, with the command that mends it.
pub fn check(name: &str) -> Result<Found> {
    let asset = find(name)?;
    match cache()?.join(asset.place) {
        place if !place.is_dir() => Ok(Found::Nothing),
        place => Ok(if listing::check(asset, &place)? { Found::Whole } else { Found::Unlisted }),
    }
}

/// What to do where the place of a finished asset is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Another process was faster: somebody may be reading its files.
    Keep,
    Replace,
}

/// Makes an asset in `cache` and puts it into its place.
fn obtain(
    asset: &Asset,
    cache: &Path,
    taken: Taken,
    status: &mut dyn FnMut(&str),
    download: impl FnOnce(&Asset, &Path, &mut dyn FnMut(&str)) -> Result<PathBuf>,
) -> Result<PathBuf> {
    let place = cache.join(asset.place);
    let io = |path: &Path| {
        let (name, path) = (asset.name.to_owned(), path.to_owned());
        move |cause| Error::Io { name, path, cause }
    };
    fs::create_dir_all(cache).map_err(io(cache))?;
    sweep(cache);
    let making = tempfile::Builder::new().prefix(MAKING).tempdir_in(cache).map_err(io(cache))?;
    // Held while this process lives, so that another can tell our directory from one that a killed process left.
    let (unlocked, alive) = (making.path().join("unlocked"), making.path().join("alive"));
    let lock = File::create(&unlocked).map_err(io(&unlocked))?;
    lock.lock().map_err(io(&unlocked))?;
    fs::rename(&unlocked, &alive).map_err(io(&alive))?;

    let file = download(asset, making.path(), status)?;
    status(&format!("checking {}", asset.file));
    verify(asset, &file)?;
    status(&format!("unpacking to {}", place.display()));
    let unpacked = making.path().join("unpacked");
    unpack(asset, &file, &unpacked)?;
    listing::write(asset, &unpacked)?;
    if taken == Taken::Replace && place.is_dir() {
        fs::rename(&place, making.path().join("before")).map_err(io(&place))?; // goes with the rest of the work
    }
    match fs::rename(&unpacked, &place) {
        Ok(()) => Ok(place),
        Err(_) if place.is_dir() => Ok(place),
        Err(source) => Err(io(&place)(source)),
    }
}

/// Removes directories of processes that were killed while they made an asset. What cannot be removed is left.
fn sweep(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(MAKING)) {
        // Without the file, another process may be between making the directory and taking the lock.
        let Ok(lock) = File::open(entry.path().join("alive")) else { continue };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;
    use crate::unpack::tests::archive;

    fn asset(bytes: &[u8]) -> Asset {
        Asset {
            name: "toy",
            client: Client::PipSource { needs: &[] },
            package: "toy",
            version: "1",
            file: "toy.tar.gz",
            sha256: Box::leak(crate::unpack::sha256(bytes).into_boxed_str()),
            bytes: bytes.len() as u64,
            top: "toy-1",
            leaves_out: &[],
            place: "toy-1",
            summary: "",
        }
    }

    fn put(bytes: &[u8], asset: &Asset, dir: &Path) -> Result<PathBuf> {
        let path = dir.join(asset.file);
        fs::write(&path, bytes).expect("the directory is writable");
        Ok(path)
    }

    fn content(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_right_archive_is_unpacked_and_stays() {
        let cache = tempfile::tempdir().unwrap();
        let bytes = archive(&[("toy-1/a/b.txt", b"hello")]);
        let asset = asset(&bytes);
        let place =
            obtain(&asset, cache.path(), Taken::Keep, &mut |_| (), |asset, dir, _| put(&bytes, asset, dir)).unwrap();
        assert_eq!(fs::read(place.join("a/b.txt")).unwrap(), b"hello");
        assert_eq!(content(cache.path()), ["toy-1"]);
    }

    #[test]
    fn a_changed_file_is_named_and_mended_by_another_fetch() {
        let cache = tempfile::tempdir().unwrap();
        let bytes = archive(&[("toy-1/a/b.txt", b"hello"), ("toy-1/c", b"")]);
        let asset = asset(&bytes);
        let make = || {
            obtain(&asset, cache.path(), Taken::Replace, &mut |_| (), |asset, dir, _| put(&bytes, asset, dir)).unwrap()
        };
        let place = make();
        assert!(listing::check(&asset, &place).unwrap());
        for damage in [|file: &Path| fs::write(file, "hellO").unwrap(), |file: &Path| fs::remove_file(file).unwrap()] {
            damage(&place.join("a/b.txt"));
            let error = listing::check(&asset, &place).unwrap_err().to_string();
            assert!(error.contains("a/b.txt") && error.contains("rl-run fetch toy --force"), "{error}");
            make();
            assert!(listing::check(&asset, &place).unwrap());
            assert_eq!(content(cache.path()), ["toy-1"]);
        }
        let list = place.join(".sha256sums");
        let whole = fs::read(&list).unwrap();
        for cut in [0, whole.len() - 1] {
            fs::write(&list, &whole[..cut]).unwrap();
            let error = listing::check(&asset, &place).unwrap_err().to_string();
            assert!(error.contains(".sha256sums") && error.contains("rl-run fetch toy --force"), "{error}");
        }
        fs::remove_file(list).unwrap();
        assert!(!listing::check(&asset, &place).unwrap());
    }

    #[test]
    fn a_failed_replacement_keeps_what_is_there() {
        let cache = tempfile::tempdir().unwrap();
        let bytes = archive(&[("toy-1/a", b"hello")]);
        let asset = asset(&bytes);
        let place =
            obtain(&asset, cache.path(), Taken::Keep, &mut |_| (), |asset, dir, _| put(&bytes, asset, dir)).unwrap();
        let wrong = |asset: &Asset, dir: &Path, _: &mut dyn FnMut(&str)| put(b"other", asset, dir);
        obtain(&asset, cache.path(), Taken::Replace, &mut |_| (), wrong).unwrap_err();
        assert!(listing::check(&asset, &place).unwrap());
        assert_eq!(content(cache.path()), ["toy-1"]);
    }

    #[test]
    fn a_wrong_hash_leaves_nothing_and_names_the_command() {
        let cache = tempfile::tempdir().unwrap();
        let mut bytes = archive(&[("toy-1/a.txt", b"hello")]);
        let asset = asset(&bytes);
        bytes[20] ^= 1;
        let error = obtain(&asset, cache.path(), Taken::Keep, &mut |_| (), |asset, dir, _| put(&bytes, asset, dir))
            .unwrap_err()
            .to_string();
        assert!(error.contains("rl-run fetch toy") && error.contains(asset.sha256), "{error}");
        assert!(content(cache.path()).is_empty());
    }

    #[test]
    fn a_failed_client_leaves_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let asset = asset(b"");
        let fail = |asset: &Asset, dir: &Path, _: &mut dyn FnMut(&str)| {
            fs::write(dir.join("half"), "half").unwrap();
            Err(Error::Client { name: asset.name.to_owned(), message: "no network".to_owned() })
        };
        let error = obtain(&asset, cache.path(), Taken::Keep, &mut |_| (), fail).unwrap_err().to_string();
        assert!(error.contains("rl-run fetch toy"), "{error}");
        assert!(content(cache.path()).is_empty());
    }

    #[test]
    fn many_at_once_end_in_one_asset() {
        let cache = tempfile::tempdir().unwrap();
        let bytes = archive(&[("toy-1/a.txt", b"hello")]);
        let asset = asset(&bytes);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    obtain(&asset, cache.path(), Taken::Keep, &mut |_| (), |asset, dir, _| put(&bytes, asset, dir))
                        .unwrap()
                });
            }
        });
        assert_eq!(content(cache.path()), ["toy-1"]);
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let cache = tempfile::tempdir().unwrap();
        let left = cache.path().join(format!("{MAKING}left"));
        fs::create_dir(&left).unwrap();
        File::create(left.join("alive")).unwrap();
        let bytes = archive(&[("toy-1/a.txt", b"hello")]);
        obtain(&asset(&bytes), cache.path(), Taken::Keep, &mut |_| (), |asset, dir, _| put(&bytes, asset, dir))
            .unwrap();
        assert_eq!(content(cache.path()), ["toy-1"]);
    }
}
