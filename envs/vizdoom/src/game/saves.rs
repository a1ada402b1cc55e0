//! Saved games: files of the engine, written and read whole or not at all.
//!
//! The engine says nothing of a game that it does not save or load. It adds `.zds` to a name without an ending, and where
//! it saves nothing, the file of an earlier save is still there. So it writes and reads a file of its own, which is then
//! moved to the path that was asked for, or was copied from there.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Game;
use super::episode::quoted;
use crate::args::missing;
use crate::engine::Ask;
use crate::error::doing;
use crate::layout::game;
use crate::{Error, Result, leftovers};

/// How a whole file ends: it is a PNG, and this its last chunk but for the length.
const END: &[u8] = b"IEND\xae\x42\x60\x82";

impl Game {
    /// Saves the game to a save file of the engine at `path`, which takes two tics. The file is whole or not there; one
    /// that was there before stays where nothing is saved.
    ///
    /// # Errors
    /// If the engine dies or saves nothing, as it does while the player is dead, or the file cannot be written.
    pub fn save(&mut self, path: &Path) -> Result<()> {
        let (_dir, file) = own_file()?;
        self.engine.command(&format!("save {}", quoted(&file)?))?;
        for _ in 0..2 {
            self.last_tic = self.tic() + 1;
            self.engine.ask(Ask::Tic)?;
        }
        if !is_whole(&file) {
            let message = "it saved nothing: it does while its player lives, and in no demo".to_owned();
            return Err(Error::Engine { message });
        }
        put(&file, path).map_err(doing(format!("writing {}", path.display())))
    }

    /// Loads a game that [`save`](Self::save) wrote, which takes one tic.
    ///
    /// # Errors
    /// If the engine dies or loads nothing, or there is no such file, or it is no saved game.
    pub fn load(&mut self, path: &Path) -> Result<()> {
        if !path.is_file() {
            return Err(missing("the saved game", path));
        }
        let refuse = |why: &str| Error::Engine { message: format!("it cannot load {}: {why}", path.display()) };
        let (_dir, file) = own_file()?;
        fs::copy(path, &file).map_err(doing(format!("reading {}", path.display())))?;
        if !is_whole(&file) {
            return Err(refuse("it is no saved game, or was cut short"));
        }
        let begun = self.engine.memory().get(game::MAP_START_TIC);
        self.engine.command(&format!("load {}", quoted(&file)?))?;
        self.last_tic = self.tic() + 1;
        self.ask(Ask::TicAndUpdate)?;
        self.count();
        // Whatever is loaded begins its map anew by the engine's own count of tics, which never goes back.
        if self.engine.memory().get(game::MAP_START_TIC) == begun {
            return Err(refuse("it was saved by another engine or from other files, or this game has several players"));
        }
        Ok(())
    }
}

/// A place for a file that the engine and nobody else knows, with a name that it leaves as it is.
fn own_file() -> Result<(TempDir, PathBuf)> {
    let dir = tempfile::Builder::new().prefix(&leftovers::prefix()).tempdir();
    let dir = dir.map_err(doing("making a directory for a saved game"))?;
    let file = dir.path().join("game.zds");
    Ok((dir, file))
}

/// Whether there is such a file, and its end is there too.
fn is_whole(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.ends_with(END))
}

/// Copies a file to `path`, where all of it appears at once.
fn put(file: &Path, path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut whole = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(dir)?;
    io::copy(&mut File::open(file)?, &mut whole)?;
    whole.persist(&path)?;
    Ok(())
}
