//! The settings of an Atari game, and the checks of their values.

use rl_core::{Error, Result};
use serde::Deserialize;

use super::PROTOCOLS;
use crate::settings::check_stack;

/// Configuration of [`Atari`](super::Atari): its `[env]` table, and the game from the environment's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtariConfig {
    /// Name of the ROM in snake case, such as `ms_pacman`.
    pub game: String,
    /// Name of the protocol that these values follow, for reports.
    pub protocol: String,
    /// Number of emulator frames per agent step (frame skip), in which the action is held.
    pub frame_skip: u32,
    /// Probability per frame that the console repeats the previous action (sticky actions), in
    /// `[0, 1)`; drawn inside ALE.
    pub sticky: f32,
    /// Largest number of no-op frames that an episode begins with, drawn uniformly from 1 on; 0 for none.
    pub noops: u32,
    /// Whether FIRE is pressed for one agent step after a reset and after a lost life, in games whose action set has
    /// FIRE. After a lost life FIRE replaces the action of the agent, while a learner still stores the action that was
    /// chosen.
    pub fire_reset: bool,
    /// Action set of the environment.
    pub actions: Actions,
    /// Number of emulator frames after which an episode is truncated, as ALE counts them: including no-ops, FIRE and
    /// the frames in which a reset selects the game mode.
    pub max_frames: u32,
    /// Colour format of an observation.
    pub format: Format,
    /// Width of an observation in pixels, at most that of the screen (160).
    pub width: usize,
    /// Height of an observation in pixels, at most that of the screen (210 or 250).
    pub height: usize,
    /// Number of consecutive observations that a policy sees (frame stack).
    pub stack: usize,
    /// Game mode.
    pub mode: Mode,
    /// Setting of the console's difficulty switches.
    pub difficulty: Mode,
}

/// Action set of an Atari environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actions {
    /// ALE's minimal action set: actions that have an effect in the game.
    Minimal,
    /// ALE's legal action set: all 18 actions of the joystick in nearly every game.
    Full,
}

/// Colour format of an Atari observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One channel: luminance as ALE computes it.
    Gray,
    /// Three channels: red, green and blue.
    Rgb,
}

/// Game mode or difficulty of an Atari game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"default\" or a number among the game's modes or difficulties")]
pub enum Mode {
    /// Number of a mode or difficulty of the game.
    Number(u32),
    /// The one that ALE starts the game with, which is not always 0 (Backgammon has difficulty 3 alone).
    Named(DefaultMode),
}

/// The word `default` as the value of a [`Mode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DefaultMode {
    /// The word `default`.
    #[serde(rename = "default")]
    Default,
}

/// Most frames of an agent step.
const MOST_SKIP: u32 = 3600;

/// Refuses values that are out of range in every game.
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
    if config.frame_skip > MOST_SKIP {
        return Err(refuse("env.frame_skip", format!("{} is more than {MOST_SKIP}, a minute", config.frame_skip)));
    }
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

/// Refuses a `max_frames` that is reached before the agent acts; `begun` is the number of frames that ALE counts in a
/// reset.
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
