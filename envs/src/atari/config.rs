//! The settings of an Atari game, and which of them can be played by.

use rl_core::{Error, Result};
use serde::Deserialize;

use super::PROTOCOLS;
use crate::settings::check_stack;

/// The `[env]` table, and the game from the environment's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtariConfig {
    /// The ROM's name in snake case.
    pub game: String,
    /// The protocol that these values follow; every report names it.
    pub protocol: String,
    /// Emulator frames that an action is held for.
    pub frame_skip: u32,
    /// Probability that the console repeats the previous action in a frame, drawn inside ALE.
    pub sticky: f32,
    /// An episode begins with 1 to this many frames without action; 0 is none.
    pub noops: u32,
    /// Whether FIRE is pressed for one step after a reset and after a lost life, in games whose actions hold FIRE. After a lost
    /// life it takes the place of the action that was chosen, which is what a learner keeps of that step.
    pub fire_reset: bool,
    /// The action set.
    pub actions: Actions,
    /// Frames after which an episode is truncated, as ALE counts them: with no-ops, FIRE and the way to a mode.
    pub max_frames: u32,
    /// Colours of an observation.
    pub format: Format,
    /// Width of an observation in pixels.
    pub width: usize,
    /// Height of an observation in pixels.
    pub height: usize,
    /// How many observations a policy sees.
    pub stack: usize,
    /// The game's mode.
    pub mode: Mode,
    /// The console's difficulty switches.
    pub difficulty: Mode,
}

/// Which actions an index chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actions {
    /// Those that do something in the game.
    Minimal,
    /// All that the console knows, 18 in nearly every game.
    Full,
}

/// Colours of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Luminance as ALE computes it.
    Gray,
    /// Red, green and blue.
    Rgb,
}

/// A game's mode or difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"default\" or a number among the game's modes or difficulties")]
pub enum Mode {
    /// One of those that the game has.
    Number(u32),
    /// What ALE starts the game with, not always 0 (Backgammon has difficulty 3 alone).
    Named(DefaultMode),
}

/// The word `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DefaultMode {
    /// The only one.
    #[serde(rename = "default")]
    Default,
}

/// Refuses values that no game can be played by.
pub(super) fn check(config: &AtariConfig) -> Result<()> {
    let positive = [
        ("env.frame_skip", u64::from(config.frame_skip)),
        ("env.width", config.width as u64),
        ("env.height", config.height as u64),
        ("env.stack", config.stack as u64),
    ];
    if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
        return Err(refuse(key, "must be at least 1".to_owned()));
    }
    check_stack(config.stack)?;
    if !(0.0..1.0).contains(&config.sticky) {
        return Err(refuse(
            "env.sticky",
            format!("{} is no probability from 0 up to, not including, 1", config.sticky),
        ));
    }
    if !PROTOCOLS.iter().any(|(name, _)| *name == config.protocol) {
        let known = PROTOCOLS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        return Err(refuse("env.protocol", format!("{} is not one of {known}", config.protocol)));
    }
    Ok(())
}

/// Refuses a cap that is reached before the agent acts; `begun` are the frames of the reset that count.
pub(super) fn leaves_steps(config: &AtariConfig, begun: u32) -> Result<()> {
    let fire = if config.fire_reset { config.frame_skip } else { 0 };
    let opening = begun.saturating_add(config.noops).saturating_add(fire);
    if config.max_frames > opening {
        return Ok(());
    }
    let message = format!("must exceed the {opening} frames that the mode, no-ops and FIRE may take after a reset");
    Err(refuse("env.max_frames", message))
}

pub(super) fn one_of(key: &str, value: u32, known: &[u32]) -> Result<()> {
    if known.contains(&value) {
        return Ok(());
    }
    let known = known.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    Err(refuse(key, format!("{value} is not one of this game's: {known}")))
}

pub(super) fn refuse(key: &str, message: String) -> Error {
    Error::Config { key: key.to_owned(), message }
}
