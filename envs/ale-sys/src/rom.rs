//! Which games there are, and where the ROM of one is found.

use std::ffi::{CStr, OsString, c_char};
use std::path::{Path, PathBuf};

use crate::bindings;
use crate::{Error, Result};

/// Names, in snake case, of all games that ALE supports for one player and whose ROM its source distribution holds.
///
/// Four more ROMs lie there (combat, joust, maze_craze, warlords): games for two, which ALE has no rewards for.
pub const GAMES: [&str; 104] = [
    "adventure",
    "air_raid",
    "alien",
    "amidar",
    "assault",
    "asterix",
    "asteroids",
    "atlantis",
    "atlantis2",
    "backgammon",
    "bank_heist",
    "basic_math",
    "battle_zone",
    "beam_rider",
    "berzerk",
    "blackjack",
    "bowling",
    "boxing",
    "breakout",
    "carnival",
    "casino",
    "centipede",
    "chopper_command",
    "crazy_climber",
    "crossbow",
    "darkchambers",
    "defender",
    "demon_attack",
    "donkey_kong",
    "double_dunk",
    "earthworld",
    "elevator_action",
    "enduro",
    "entombed",
    "et",
    "fishing_derby",
    "flag_capture",
    "freeway",
    "frogger",
    "frostbite",
    "galaxian",
    "gopher",
    "gravitar",
    "hangman",
    "haunted_house",
    "hero",
    "human_cannonball",
    "ice_hockey",
    "jamesbond",
    "journey_escape",
    "kaboom",
    "kangaroo",
    "keystone_kapers",
    "king_kong",
    "klax",
    "koolaid",
    "krull",
    "kung_fu_master",
    "laser_gates",
    "lost_luggage",
    "mario_bros",
    "miniature_golf",
    "montezuma_revenge",
    "mr_do",
    "ms_pacman",
    "name_this_game",
    "othello",
    "pacman",
    "phoenix",
    "pitfall",
    "pitfall2",
    "pong",
    "pooyan",
    "private_eye",
    "qbert",
    "riverraid",
    "road_runner",
    "robotank",
    "seaquest",
    "sir_lancelot",
    "skiing",
    "solaris",
    "space_invaders",
    "space_war",
    "star_gunner",
    "superman",
    "surround",
    "tennis",
    "tetris",
    "tic_tac_toe_3d",
    "time_pilot",
    "trondead",
    "turmoil",
    "tutankham",
    "up_n_down",
    "venture",
    "video_checkers",
    "video_chess",
    "video_cube",
    "video_pinball",
    "wizard_of_wor",
    "word_zapper",
    "yars_revenge",
    "zaxxon",
];

/// A ROM file that was identified by its hash as that of a game of [`GAMES`].
#[derive(Clone, Debug)]
pub struct Rom {
    game: &'static str,
    path: PathBuf,
    md5: [u8; 32],
    mend: &'static str,
}

/// Advice for a missing or wrong file in the assets cache; those below are for other places.
const IN_CACHE: &str = "`rl-run fetch ale --force` restores it";
const IN_ROM_DIR: &str = "put it into the directory that ALE_ROM_DIR names, or unset that";
const ELSEWHERE: &str = "`rl-run fetch ale` brings it";
/// Advice beside fetching where the assets cache has no ROMs.
const NO_CACHE: &str = "or set ALE_ROM_DIR to a directory of ROMs";

impl Rom {
    /// Finds the ROM of `game`, as `<game>.bin` in the directory that the environment variable `ALE_ROM_DIR` names, or
    /// else in the assets cache.
    ///
    /// # Errors
    /// If the game is not one of [`GAMES`], the file is missing, or its hash is not that of the game.
    pub fn find(game: &str) -> Result<Self> {
        let Some(&game) = GAMES.iter().find(|&&known| known == game) else {
            return Err(Error::UnknownGame { game: game.to_owned() });
        };
        let (path, mend) = place(game, std::env::var_os("ALE_ROM_DIR"))?;
        Self::read(game, &path, mend)
    }

    /// Reads the ROM of `game` from the file `path` and checks its hash.
    ///
    /// # Errors
    /// If the file cannot be read, or its hash is not the one that ALE knows for `game`.
    pub fn open(game: &str, path: &Path) -> Result<Self> {
        Self::read(game, path, ELSEWHERE)
    }

    fn read(game: &str, path: &Path, mend: &'static str) -> Result<Self> {
        let missing = |e: std::io::Error| Error::Missing { path: path.to_owned(), cause: e.to_string(), mend };
        let content = std::fs::read(path).map_err(missing)?;
        let (md5, found) = identify(&content);
        let listed = GAMES.iter().find(|&&known| known == game);
        if let (Some(&game), Some(found)) = (listed, &found)
            && game == found
        {
            return Ok(Self { game, path: path.to_owned(), md5, mend });
        }
        Err(Error::Unsupported {
            path: path.to_owned(),
            md5: String::from_utf8_lossy(&md5).into_owned(),
            found: found.map_or("no ROM that ALE supports".to_owned(), |found| format!("the ROM of {found}")),
            game: game.to_owned(),
            mend,
        })
    }

    /// Reads the file again and checks its hash, before ALE reads it.
    ///
    /// # Errors
    /// If the file is missing or has changed.
    pub(crate) fn check(&self) -> Result<()> {
        Self::read(self.game, &self.path, self.mend).map(|_| ())
    }

    /// Returns the name of the game in snake case.
    pub fn game(&self) -> &'static str {
        self.game
    }

    /// Returns the path of the ROM file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the MD5 hash of the ROM file, in hexadecimal digits.
    pub fn md5(&self) -> &[u8; 32] {
        &self.md5
    }
}

/// Returns the path where the ROM of `game` should be and the advice for a wrong file there; `dir` is the value of
/// `ALE_ROM_DIR`.
fn place(game: &str, dir: Option<OsString>) -> Result<(PathBuf, &'static str)> {
    let file = format!("{game}.bin");
    match dir.filter(|dir| !dir.is_empty()) {
        Some(dir) => Ok((Path::new(&dir).join(file), IN_ROM_DIR)),
        None => match rl_assets::locate("ale") {
            Ok(dir) => Ok((dir.join("src/ale/python/roms").join(file), IN_CACHE)),
            Err(e) => Err(Error::Missing { path: file.into(), cause: e.to_string(), mend: NO_CACHE }),
        },
    }
}

/// Returns the MD5 hash of `content` and the name of the game whose ROM ALE takes it for, if any.
fn identify(content: &[u8]) -> ([u8; 32], Option<String>) {
    let mut md5 = [0; 33];
    // SAFETY: `content` is readable for its length, and `md5` has the 33 bytes that the shim writes at most.
    let name =
        unsafe { bindings::ale_shim_identify(content.as_ptr(), content.len(), md5.as_mut_ptr().cast::<c_char>()) };
    // SAFETY: the shim returns null or a string literal of ALE's, which lives as long as the process.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
    (std::array::from_fn(|i| md5[i]), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_game_has_its_rom() {
        for game in GAMES {
            let rom = Rom::find(game).unwrap();
            assert_eq!(rom.game(), game);
        }
    }

    #[test]
    fn the_md5_is_that_of_the_file() {
        let rom = Rom::find("kung_fu_master").unwrap();
        assert_eq!(rom.md5(), b"5b92a93b23523ff16e2789b820e2a4c5");
    }

    #[test]
    fn another_file_is_refused_with_its_md5() {
        let dir = std::env::temp_dir().join(format!("ale-rom-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("pong.bin");
        std::fs::write(&path, b"not a ROM").unwrap();
        let error = Rom::open("pong", &path).unwrap_err().to_string();
        assert!(error.contains("57fb687f50b7dd4ae6d25fb8b1ce90da"), "{error}");
        assert!(error.contains("rl-run fetch ale"), "{error}");

        let pong = Rom::find("pong").unwrap();
        let error = Rom::open("breakout", pong.path()).unwrap_err().to_string();
        assert!(error.contains("the ROM of pong"), "{error}");
        let error = Rom::open("pong", &dir.join("none.bin")).unwrap_err().to_string();
        assert!(error.contains("none.bin") && error.contains("rl-run fetch ale"), "{error}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn an_error_names_the_mend_of_the_place_that_was_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mend) = place("pong", Some(dir.path().into())).unwrap();
        assert_eq!(path, dir.path().join("pong.bin"));
        let error = || Rom::read("pong", &path, mend).unwrap_err().to_string();
        for found in ["no ROM", "is no ROM that ALE supports"] {
            let error = error();
            assert!(error.contains(found) && error.contains("ALE_ROM_DIR") && !error.contains("fetch"), "{error}");
            std::fs::write(&path, b"not a ROM").unwrap();
        }
        for empty in [None, Some("".into())] {
            let (path, mend) = place("pong", empty).unwrap();
            assert!(path.is_file() && mend.contains("rl-run fetch ale --force"), "{path:?}: {mend}");
        }
    }

    /// ALE would end the process, or play another game.
    #[test]
    fn a_file_that_is_gone_or_another_by_now_is_no_console() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pong.bin");
        std::fs::copy(Rom::find("pong").unwrap().path(), &path).unwrap();
        let rom = Rom::open("pong", &path).unwrap();
        crate::Ale::new(&rom, 0.0, 1).unwrap();
        std::fs::copy(Rom::find("breakout").unwrap().path(), &path).unwrap();
        let error = crate::Ale::new(&rom, 0.0, 1).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { found, .. } if found == "the ROM of breakout"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = crate::Ale::new(&rom, 0.0, 1).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
    }
}
