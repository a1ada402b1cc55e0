//! The formats that `export` writes, and which flags apply to each.

use std::path::Path;

use anyhow::bail;

use super::ExportArgs;
use crate::console::usage::usage;

/// Slowest speed of a film, 1 being the speed at which people play: a picture stands for minutes.
const SLOWEST: f64 = 0.001;

/// A format of file, told by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pictures(Kind),
    /// A line per game, or with `--by-step` per step of one.
    Csv,
    /// A recording with its pictures.
    Rec,
}

/// A format of pictures of one game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gif,
    Apng,
    /// A row of pictures.
    Png,
}

impl Format {
    /// Reads the format from the extension of `path`.
    ///
    /// # Errors
    /// If no format has that extension.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase().as_str() {
            "gif" => Ok(Self::Pictures(Kind::Gif)),
            "apng" => Ok(Self::Pictures(Kind::Apng)),
            "png" => Ok(Self::Pictures(Kind::Png)),
            "csv" => Ok(Self::Csv),
            "rec" => Ok(Self::Rec),
            _ => bail!(usage(format!(
                "--out {}: give the name of a .gif, .apng, .png, .csv or .rec file",
                path.display()
            ))),
        }
    }
}

impl ExportArgs {
    /// Refuses flags that do not apply to a file of that format.
    ///
    /// # Errors
    /// If there is such a flag, or `--speed` is out of range; the message names it.
    pub(super) fn check(&self, format: Format) -> anyhow::Result<()> {
        if let Some(speed) = self.speed.filter(|speed| !(*speed >= SLOWEST && speed.is_finite())) {
            bail!(usage(format!("--speed {speed}: must be a number from {SLOWEST}")));
        }
        let shown = matches!(format, Format::Pictures(_));
        let row = format == Format::Pictures(Kind::Png);
        let of_a_game = shown || (format == Format::Csv && self.by_step);
        let flags = [
            ("--episode", self.episode.is_some(), of_a_game),
            ("--from", self.from.is_some(), of_a_game),
            ("--steps", self.steps.is_some(), of_a_game),
            ("--every", self.every.is_some(), shown),
            ("--scale", self.scale.is_some(), shown),
            ("--speed", self.speed.is_some(), shown && !row),
            ("--pictures", self.pictures.is_some(), row),
        ];
        if let Some((flag, ..)) = flags.into_iter().find(|(_, given, says)| *given && !says) {
            bail!(usage(format!("{flag} has no effect on {}", self.what(format, flag))));
        }
        if self.by_step && format != Format::Csv {
            bail!(usage("--by-step: steps are lines of a .csv file"));
        }
        if self.saliency && !shown {
            let ending = if format == Format::Csv { "csv" } else { "rec" };
            bail!(usage(format!("--saliency: applies to films and .png, not to a .{ending}")));
        }
        Ok(())
    }

    /// What a file of that format is, on which `flag` has no effect, and what gives it one.
    fn what(&self, format: Format, flag: &str) -> &'static str {
        match format {
            Format::Csv if self.by_step => "a .csv of steps",
            Format::Csv if ["--episode", "--from", "--steps"].contains(&flag) => {
                "a .csv of games (--by-step makes one of steps)"
            }
            Format::Csv => "a .csv of games",
            Format::Rec => "a recording, which holds all games",
            Format::Pictures(Kind::Png) => "a row of pictures",
            Format::Pictures(Kind::Gif | Kind::Apng) => "a film",
        }
    }
}
