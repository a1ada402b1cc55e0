//! The table of a `.cfg` file's keys: what each takes, and where it goes.
//!
//! Source: ViZDoom 1.3.2, `ViZDoomConfigLoader.cpp`.

use std::path::{Path, PathBuf};

use crate::names::{hint, plain};
use crate::{AutomapMode, Button, Config, MapName, Mode, SamplingRate, ScreenFormat, ScreenResolution};

use Key::One;
use Value::{File, Flag, Negated, Number, Whole};

/// Most tics of anything: two years, and a sum of two still fits the engine's counter.
const TICS: u32 = i32::MAX as u32;

/// Kind of a key's value. The operator `+=` appends to all kinds but [`Key::One`].
pub(crate) enum Key {
    /// List of buttons.
    Buttons,
    /// List of game variables.
    Variables,
    /// Words that are passed to the engine's command line unchanged.
    Arguments,
    /// Single value.
    One(Value),
}

/// Type of a single value, and the field of [`Config`] that it is stored in.
pub(crate) enum Value {
    /// Delta button and the bound of its value.
    Largest,
    /// Name of a map.
    Map,
    /// Seed, an unsigned integer.
    Seed,
    /// Unsigned integer from the first number to the second.
    Whole(u32, u32, fn(&mut Config) -> &mut u32),
    /// Finite number.
    Number(fn(&mut Config) -> &mut f64),
    /// Finite number that is stored with the opposite sign.
    Negated(fn(&mut Config) -> &mut f64),
    /// Path of a file, relative to the directory of the `.cfg` file.
    File(fn(&mut Config) -> &mut Option<PathBuf>),
    /// Flag, true or false.
    Flag(fn(&mut Config) -> &mut bool),
    /// Name of a screen resolution.
    Resolution,
    /// Name of a screen format.
    Format,
    /// Name of a mode.
    Mode,
    /// Name of an automap mode.
    AutomapMode,
    /// Name of a sampling rate.
    SamplingRate,
}

/// All keys of a `.cfg` file. A penalty is a reward with the opposite sign.
pub(crate) const KEYS: &[(&str, Key)] = &[
    ("vizdoom_path", One(File(|c| &mut c.vizdoom_path))),
    ("doom_game_path", One(File(|c| &mut c.doom_game_path))),
    ("doom_scenario_path", One(File(|c| &mut c.doom_scenario_path))),
    ("doom_config_path", One(File(|c| &mut c.doom_config_path))),
    ("doom_map", One(Value::Map)),
    ("doom_skill", One(Whole(1, 5, |c| &mut c.doom_skill))),
    ("seed", One(Value::Seed)),
    ("episode_start_time", One(Whole(1, TICS, |c| &mut c.episode_start_time))),
    ("episode_timeout", One(Whole(0, TICS, |c| &mut c.episode_timeout))),
    ("ticrate", One(Whole(1, TICS, |c| &mut c.ticrate))),
    ("mode", One(Value::Mode)),
    ("available_buttons", Key::Buttons),
    ("button_max_value", One(Value::Largest)),
    ("available_game_variables", Key::Variables),
    ("game_args", Key::Arguments),
    ("living_reward", One(Number(|c| &mut c.rewards.living))),
    ("death_penalty", One(Number(|c| &mut c.rewards.death_penalty))),
    ("death_reward", One(Negated(|c| &mut c.rewards.death_penalty))),
    ("map_exit_reward", One(Number(|c| &mut c.rewards.map_exit))),
    ("kill_reward", One(Number(|c| &mut c.rewards.kill))),
    ("secret_reward", One(Number(|c| &mut c.rewards.secret))),
    ("item_reward", One(Number(|c| &mut c.rewards.item))),
    ("frag_reward", One(Number(|c| &mut c.rewards.frag))),
    ("hit_reward", One(Number(|c| &mut c.rewards.hit))),
    ("hit_taken_penalty", One(Number(|c| &mut c.rewards.hit_taken_penalty))),
    ("hit_taken_reward", One(Negated(|c| &mut c.rewards.hit_taken_penalty))),
    ("damage_made_reward", One(Number(|c| &mut c.rewards.damage_made))),
    ("damage_taken_penalty", One(Number(|c| &mut c.rewards.damage_taken_penalty))),
    ("damage_taken_reward", One(Negated(|c| &mut c.rewards.damage_taken_penalty))),
    ("health_reward", One(Number(|c| &mut c.rewards.health))),
    ("armor_reward", One(Number(|c| &mut c.rewards.armor))),
    ("screen_resolution", One(Value::Resolution)),
    ("screen_format", One(Value::Format)),
    ("depth_buffer_enabled", One(Flag(|c| &mut c.depth_buffer_enabled))),
    ("labels_buffer_enabled", One(Flag(|c| &mut c.labels_buffer_enabled))),
    ("objects_info_enabled", One(Flag(|c| &mut c.objects_info_enabled))),
    ("sectors_info_enabled", One(Flag(|c| &mut c.sectors_info_enabled))),
    ("automap_buffer_enabled", One(Flag(|c| &mut c.automap.enabled))),
    ("automap_mode", One(Value::AutomapMode)),
    ("automap_rotate", One(Flag(|c| &mut c.automap.rotate))),
    ("automap_render_textures", One(Flag(|c| &mut c.automap.textures))),
    ("automap_render_objects_as_sprites", One(Flag(|c| &mut c.automap.sprites))),
    ("render_hud", One(Flag(|c| &mut c.render.hud))),
    ("render_minimal_hud", One(Flag(|c| &mut c.render.minimal_hud))),
    ("render_weapon", One(Flag(|c| &mut c.render.weapon))),
    ("render_crosshair", One(Flag(|c| &mut c.render.crosshair))),
    ("render_decals", One(Flag(|c| &mut c.render.decals))),
    ("render_particles", One(Flag(|c| &mut c.render.particles))),
    ("render_effects_sprites", One(Flag(|c| &mut c.render.effects_sprites))),
    ("render_messages", One(Flag(|c| &mut c.render.messages))),
    ("render_corpses", One(Flag(|c| &mut c.render.corpses))),
    ("render_screen_flashes", One(Flag(|c| &mut c.render.screen_flashes))),
    ("render_all_frames", One(Flag(|c| &mut c.render.all_frames))),
    ("audio_buffer_enabled", One(Flag(|c| &mut c.audio.enabled))),
    ("audio_sampling_rate", One(Value::SamplingRate)),
    ("audio_buffer_size", One(Whole(1, TICS, |c| &mut c.audio.tics))),
    ("notifications_buffer_enabled", One(Flag(|c| &mut c.notifications.enabled))),
    ("notifications_buffer_size", One(Whole(1, TICS, |c| &mut c.notifications.tics))),
    ("window_visible", One(Flag(|c| &mut c.window_visible))),
    ("console_enabled", One(Flag(|c| &mut c.console_enabled))),
    ("sound_enabled", One(Flag(|c| &mut c.sound_enabled))),
];

impl Key {
    /// Returns the key that `text` names, ignoring case and underscores, or a message where there is none.
    pub(crate) fn named(text: &str) -> Result<&'static Key, String> {
        let plainly = plain(text);
        KEYS.iter()
            .find(|(name, _)| plain(name) == plainly)
            .map(|(_, key)| key)
            .ok_or_else(|| format!("no setting of ViZDoom 1.3.2 is called so{}", hint(text, KEYS.iter().map(|k| k.0))))
    }
}

impl Value {
    /// Parses `text`, which is not empty, into `config`; `dir` is the directory of the `.cfg` file.
    pub(crate) fn set(&self, config: &mut Config, text: &str, dir: &Path) -> Result<(), String> {
        match self {
            Value::Largest => {
                let (button, most) = text.split_once(char::is_whitespace).ok_or_else(|| {
                    format!("expected a button and its largest amount, as `TURN_LEFT_RIGHT_DELTA 10`, got `{text}`")
                })?;
                let at = Button::in_cfg(button)?.delta().ok_or_else(|| {
                    format!("{button} is held or not and has no largest amount; the buttons of an amount end in _DELTA")
                })?;
                config.button_max_values[at] = f64::from(whole(most.trim(), 0, u32::MAX)?);
            }
            Value::Map => config.doom_map = MapName::parse(text)?,
            Value::Seed => config.seed = Some(whole(text, 0, u32::MAX)?),
            Value::Whole(least, most, field) => *field(config) = whole(text, *least, *most)?,
            Value::Number(field) => *field(config) = number(text)?,
            Value::Negated(field) => *field(config) = -number(text)?,
            Value::File(field) => *field(config) = Some(dir.join(text)),
            Value::Flag(field) => {
                *field(config) = match text.to_ascii_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(format!("`{text}` is neither true nor false")),
                }
            }
            Value::Resolution => config.screen_resolution = ScreenResolution::meant(text)?,
            Value::Format => config.screen_format = ScreenFormat::meant(text)?,
            Value::Mode => config.mode = Mode::meant(text)?,
            Value::AutomapMode => config.automap.mode = AutomapMode::meant(text)?,
            Value::SamplingRate => config.audio.sampling_rate = SamplingRate::meant(text)?,
        }
        Ok(())
    }
}

fn whole(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let value = text.parse().ok().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| format!("`{text}` is no whole number from {least} to {most}"))
}

/// Parses a number that is finite as an `f32`, which is the precision of learners' rewards.
fn number(text: &str) -> Result<f64, String> {
    let value: Option<f64> = text.parse().ok().filter(|&value: &f64| (value as f32).is_finite());
    value.ok_or_else(|| format!("`{text}` is no finite number"))
}
