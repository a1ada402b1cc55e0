//! `episodes.csv`: a line for each episode of training, for programs that read tables.
//!
//! Nothing of it is part of a checkpoint. A run that goes on from frame F keeps the lines up to F: an episode stands with
//! the frame at which it ended, so that none is there twice or missing. So write lines, then a checkpoint.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rl_core::Episode;
use rl_replays::Rollout;

use crate::collect::finished;
use crate::file::appended::{Appended, read};

/// Name of the file in the directory of a run.
pub(crate) const FILE: &str = "episodes.csv";

/// Names of the columns. Frames are emulator frames of the run and of the episode, a return is raw.
const HEAD: &str = "frames,seat,return,length,end\n";

/// Bytes that wait at most, and how long they do while episodes end.
const WAIT: (usize, Duration) = (1 << 16, Duration::from_secs(1));

/// The open file of a run, and the lines that are not in it yet.
#[derive(Debug)]
pub(crate) struct EpisodeLog {
    file: Appended,
    lines: String,
    written: Instant,
}

impl EpisodeLog {
    /// Opens the file of a run that is at `frames`, and removes the lines after it; makes it if it is missing.
    ///
    /// # Errors
    /// As [`check`], or if it cannot be cut.
    pub(crate) fn open(run: &Path, frames: u64) -> anyhow::Result<Self> {
        let path = run.join(FILE);
        let kept = until(&read(&path)?, &path, frames)?;
        let mut file = Appended::cut(path, kept as u64)?;
        if kept == 0 {
            file.append(HEAD.as_bytes())?;
        }
        Ok(Self { file, lines: String::new(), written: Instant::now() })
    }

    /// Adds the episodes that ended in filled blocks, before which the run was at `frames`.
    ///
    /// # Errors
    /// If they cannot be written, as when the disk is full.
    pub(crate) fn add(&mut self, blocks: &[Rollout], mut frames: u64) -> anyhow::Result<()> {
        if blocks.iter().all(|block| block.episodes.is_empty()) {
            return Ok(());
        }
        let mut counted = 0;
        for (t, episode) in finished(blocks) {
            let rows = blocks.iter().flat_map(|block| (counted + 1..=t).flat_map(move |t| block.frames.row(t)));
            frames += rows.map(|&frames| u64::from(frames)).sum::<u64>();
            counted = t;
            let Episode { seat, ret, frames: length, end, .. } = episode;
            let _ = writeln!(self.lines, "{frames},{seat},{ret},{length},{}", end.name());
        }
        let (most, long) = WAIT;
        if self.lines.len() >= most || self.written.elapsed() >= long { self.flush() } else { Ok(()) }
    }

    /// Writes the lines that wait.
    ///
    /// # Errors
    /// If they cannot be written, as when the disk is full.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.file.append(self.lines.as_bytes())?;
        self.lines.clear();
        self.written = Instant::now();
        Ok(())
    }
}

/// A game of training that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Game {
    /// Emulator frames of the run when it ended.
    pub(crate) frames: f64,
    /// Raw return.
    pub(crate) ret: f64,
    /// Emulator frames that it took.
    pub(crate) length: f64,
}

impl Game {
    fn of(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end().split(',').collect();
        let [frames, _, ret, length, _] = fields[..] else { return None };
        let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
        Some(Self { frames: number(frames)?, ret: number(ret)?, length: number(length)? })
    }
}

/// The games of a run in the order in which they ended; none if it has no such file.
///
/// # Errors
/// As [`check`].
pub(crate) fn games(run: &Path) -> anyhow::Result<Vec<Game>> {
    let path = run.join(FILE);
    let bytes = read(&path)?;
    let kept = until(&bytes, &path, u64::MAX)?;
    let text = str::from_utf8(&bytes[..kept]).with_context(|| format!("{}: damaged", path.display()))?;
    let lines = (1..).zip(text.lines()).filter(|&(_, line)| line != HEAD.trim_end());
    let games = lines.map(|(number, line)| {
        let mend = "damaged: not a game: remove that line, and the others are read";
        Game::of(line).with_context(|| format!("{}, line {number}: {mend}", path.display()))
    });
    games.collect()
}

/// Checks that [`EpisodeLog::open`] can read the file of a run.
///
/// # Errors
/// If it cannot be read, or a line before the last is damaged; the message names it.
pub(crate) fn check(run: &Path) -> anyhow::Result<()> {
    let path = run.join(FILE);
    until(&read(&path)?, &path, u64::MAX).map(drop)
}

/// How many `bytes` of the file `path` go up to the last line that is not after `frames`; 0 if there are no lines. A last
/// line that a crash tore is left out.
fn until(bytes: &[u8], path: &Path, frames: u64) -> anyhow::Result<usize> {
    let mut lines = (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')).peekable();
    let mut kept = 0;
    while let Some((number, line)) = lines.next() {
        let at: Option<u64> =
            line.split(|&byte| byte == b',').next().and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        match at {
            Some(at) if at > frames => break,
            Some(_) if line.ends_with(b"\n") => {}
            None if number == 1 && line == HEAD.as_bytes() => {}
            _ if lines.peek().is_none() => break,
            _ if number == 1 => bail!("{}, line 1: damaged: it should be {}", path.display(), HEAD.trim_end()),
            _ => bail!("{}, line {number}: damaged: remove that line, and the others are kept", path.display()),
        }
        kept += line.len();
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn going_on_from_a_frame_keeps_the_episodes_up_to_it_and_no_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let lines = ["10,0,1.5,10,terminated\n", "10,1,0,4,truncated\n", "25,0,-2,15,terminated\n"];
        for (there, frames, kept) in [
            (String::new(), 9, String::new()),
            (format!("{HEAD}{}", lines.concat()), 25, lines.concat()),
            (format!("{HEAD}{}", lines.concat()), 24, lines[..2].concat()),
            (format!("{HEAD}{}2", lines.concat()), 99, lines.concat()),
            (format!("{HEAD}{}\0\0", lines[0]), 99, lines[0].to_owned()),
            (HEAD[..5].to_owned(), 99, String::new()),
        ] {
            fs::write(&path, &there).unwrap();
            EpisodeLog::open(dir.path(), frames).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{HEAD}{kept}"), "{there} from {frames}");
        }
        fs::remove_file(&path).unwrap();
        EpisodeLog::open(dir.path(), 7).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), HEAD, "one that is missing begins anew");
    }

    #[test]
    fn games_are_read_up_to_a_torn_line_and_one_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(games(dir.path()).unwrap(), []);
        fs::write(&path, format!("{HEAD}10,0,-1.5,10,terminated\n25,1,2,15,truncated\n30,0")).unwrap();
        let game = |frames, ret, length| Game { frames, ret, length };
        assert_eq!(games(dir.path()).unwrap(), [game(10.0, -1.5, 10.0), game(25.0, 2.0, 15.0)]);
        fs::write(&path, format!("{HEAD}10,0,-1.5,10,terminated\n25,1\n")).unwrap();
        let said = games(dir.path()).unwrap_err().to_string();
        assert!(said.contains("episodes.csv, line 3: damaged: not a game: remove that line"), "{said}");
    }

    #[test]
    fn a_damaged_line_is_named_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        for (text, line, mend) in [
            ("nothing\n1,0,1,1,terminated\n", 1, "it should be frames,seat,return,length,end"),
            ("1,0,1,1,terminated\nx,0\n2,0,1,1,truncated\n", 2, "remove that line"),
        ] {
            fs::write(&path, text).unwrap();
            let said = EpisodeLog::open(dir.path(), 9).unwrap_err().to_string();
            assert!(said.contains(&format!("episodes.csv, line {line}: damaged: {mend}")), "{said}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
