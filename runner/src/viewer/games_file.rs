//! The file that a person's games are written to, one after the other, as each is over.

use std::path::{Path, PathBuf};

use rl_replays::recording::Manifest;

use crate::console::output;
use crate::console::usage::line;
use crate::games::takes::{self, Take};

/// A file of games that nobody could play again: one that cannot be written is tried again, and not lost.
pub(super) struct GamesFile {
    /// Name that was asked for.
    out: PathBuf,
    manifest: Manifest,
    /// Where the games are, once the first is written.
    place: Option<PathBuf>,
    /// Games that were over at the last try.
    tried: usize,
    /// Whether that try failed.
    failed: bool,
}

impl GamesFile {
    /// A file `out` that is not there yet.
    pub(super) fn new(out: &Path, manifest: Manifest) -> Self {
        Self { out: out.to_owned(), manifest, place: None, tried: 0, failed: false }
    }

    /// Where the games are, if any is written.
    pub(super) fn place(&self) -> Option<&Path> {
        self.place.as_deref()
    }

    /// Writes all `games` if one more is over since the last try, and tells if that fails.
    pub(super) fn keep(&mut self, games: &[Take]) {
        if games.len() <= self.tried {
            return;
        }
        self.tried = games.len();
        let written = self.write(games);
        self.failed = written.is_err();
        if let Err(why) = written {
            output::note(format!("{}: it is tried again after the next game, and at the end", line(&why)));
        }
    }

    /// Tries for the last time, if the last try failed.
    ///
    /// # Errors
    /// If the file cannot be written still.
    pub(super) fn close(&mut self, games: &[Take]) -> anyhow::Result<()> {
        if self.failed { self.write(games) } else { Ok(()) }
    }

    fn write(&mut self, games: &[Take]) -> anyhow::Result<()> {
        if let Some(place) = &self.place {
            return takes::write(place, &self.manifest, games);
        }
        let there = takes::write_new(&self.out, &self.manifest, games)?;
        if there != self.out {
            output::note(format!("{}: is there by now: see {}", self.out.display(), there.display()));
        }
        self.place = Some(there);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{End, Seating};
    use rl_replays::recording::Player;

    use super::*;
    use crate::games::playback;
    use crate::preset::{Ask, resolve};
    use crate::tables::Tables;

    #[test]
    fn a_game_that_could_not_be_written_is_written_with_the_next_or_at_the_end() {
        let tables = Tables::new(&[rl_envs::ENVS], &[]);
        let resolved = resolve(&tables, &Ask { env: "cartpole", ..Ask::default() }).unwrap();
        let env = resolved.seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
        let table = resolved.eval_table().unwrap();
        let manifest = takes::manifest(&resolved, &table, env.as_ref(), Player::Human {}, None).unwrap();
        let game = |seed| {
            let mut game = Take::begin(seed);
            game.outcome.end = End::Terminated;
            game
        };
        let dir = tempfile::tempdir().unwrap();
        let (below, out) = (dir.path().join("gone"), dir.path().join("gone/mine.rec"));
        let seeds = || -> Vec<u64> { playback::read(&out).unwrap().episodes.iter().map(|game| game.seed).collect() };
        let mut file = GamesFile::new(&out, manifest);
        let mut games = vec![game(1)];
        file.keep(&games);
        assert!(file.place().is_none() && file.close(&games).is_err());
        std::fs::create_dir(&below).unwrap();
        file.keep(&games);
        assert!(!out.exists(), "no picture waits for a disk that was full a moment ago");
        games.push(game(2));
        file.keep(&games);
        assert_eq!((file.place(), seeds()), (Some(out.as_path()), vec![1, 2]));
        std::fs::remove_dir_all(&below).unwrap();
        games.push(game(3));
        file.keep(&games);
        std::fs::create_dir(&below).unwrap();
        file.close(&games).unwrap();
        assert_eq!(seeds(), [1, 2, 3]);
    }
}
