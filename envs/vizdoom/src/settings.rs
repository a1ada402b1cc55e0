//! Everything that a `.cfg` file can set, with ViZDoom's defaults.
//!
//! Source: ViZDoom 1.3.2, `ViZDoomGame.cpp` and `ViZDoomController.cpp`.

use std::path::PathBuf;

use crate::names::named;
use crate::{Button, MapName, ScreenFormat, ScreenResolution, Variable};

named! {
    /// Mode of ViZDoom: whether the program or a person plays, and whether the engine waits.
    Mode "mode" {
        Player "PLAYER" "The program plays; the engine waits for each action.",
        Spectator "SPECTATOR" "A person plays; the engine waits for the program between tics.",
        AsyncPlayer "ASYNC_PLAYER" "The program plays; the engine goes on by its clock.",
        AsyncSpectator "ASYNC_SPECTATOR" "A person plays; the engine goes on by its clock.",
    }
}

impl Mode {
    /// Whether a person plays, in one of the two spectator modes.
    pub fn is_spectator(self) -> bool {
        matches!(self, Mode::Spectator | Mode::AsyncSpectator)
    }

    /// Whether the mode is asynchronous: the engine plays by its clock and does not wait for actions.
    pub fn is_async(self) -> bool {
        matches!(self, Mode::AsyncPlayer | Mode::AsyncSpectator)
    }
}

named! {
    /// Mode of the automap: which walls and objects it shows.
    AutomapMode "mode of the automap" {
        Normal "NORMAL" "Walls that the player has seen.",
        Whole "WHOLE" "All walls.",
        Objects "OBJECTS" "All walls, and things as arrows that point where these face.",
        ObjectsWithSize "OBJECTS_WITH_SIZE" "As `Objects`, each thing in a box of its size.",
    }
}

named! {
    /// Sampling rate of the audio buffer, per channel.
    SamplingRate "sampling rate" {
        Sr11025 "SR_11025" "11,025 a second.",
        Sr22050 "SR_22050" "22,050 a second.",
        Sr44100 "SR_44100" "44,100 a second.",
    }
}

impl SamplingRate {
    /// Returns the number of samples per second and channel.
    pub fn hertz(self) -> u32 {
        [11_025, 22_050, 44_100][self.number()]
    }
}

/// Settings of a ViZDoom game, with ViZDoom's defaults.
///
/// Fields are named as the keys of a `.cfg` file; those of a group such as [`Render`] leave out the name of the group.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Path of the engine's program, where it is not that of the fetched package.
    pub vizdoom_path: Option<PathBuf>,
    /// Path of the game's data (IWAD), where it is not Freedoom 2.
    pub doom_game_path: Option<PathBuf>,
    /// Path of the scenario (PWAD), which is loaded over the game's data.
    pub doom_scenario_path: Option<PathBuf>,
    /// Path of the file in which the engine keeps its own settings.
    pub doom_config_path: Option<PathBuf>,
    /// Name of the map to play.
    pub doom_map: MapName,
    /// Skill level (difficulty), from 1, the easiest, to 5.
    pub doom_skill: u32,
    /// Seed of the generator that draws the seeds of the engine and of all episodes; `None` for a random one.
    pub seed: Option<u32>,
    /// Tic, from 1 on, at which the agent takes over: earlier tics of an episode are played without actions.
    pub episode_start_time: u32,
    /// Number of tics after `episode_start_time` at which an episode is truncated; 0 for no limit.
    pub episode_timeout: u32,
    /// Tics per second in the asynchronous modes.
    pub ticrate: u32,
    /// Mode of the game: whether the program or a person plays, and whether the engine waits.
    pub mode: Mode,
    /// Buttons that an action can press, in the order of its values.
    pub available_buttons: Vec<Button>,
    /// Bounds of the absolute values of the five delta buttons, in the engine's order; 0 for no bound.
    pub button_max_values: [f64; 5],
    /// Game variables that are part of a state, in this order.
    pub available_game_variables: Vec<Variable>,
    /// Further arguments of the engine's command line.
    pub game_args: Vec<String>,
    /// Rewards in addition to that of the map's script.
    pub rewards: Rewards,
    /// Size of a frame in pixels.
    pub screen_resolution: ScreenResolution,
    /// Pixel format of the screen and automap buffers.
    pub screen_format: ScreenFormat,
    /// Whether the engine fills the depth buffer.
    pub depth_buffer_enabled: bool,
    /// Whether the engine fills the labels buffer and lists the labelled objects.
    pub labels_buffer_enabled: bool,
    /// Whether the engine lists all objects of the map.
    pub objects_info_enabled: bool,
    /// Whether the engine lists all sectors of the map, with their walls.
    pub sectors_info_enabled: bool,
    /// Settings of the automap buffer.
    pub automap: Automap,
    /// Which elements the engine renders.
    pub render: Render,
    /// Settings of the audio buffer.
    pub audio: Audio,
    /// Settings of the notifications buffer.
    pub notifications: Notifications,
    /// Whether the engine opens a window. Off, as ViZDoom's documentation has it; its code opens one where nobody says.
    pub window_visible: bool,
    /// Whether the engine writes to its console.
    pub console_enabled: bool,
    /// Whether the engine plays sounds on the machine's loudspeakers.
    pub sound_enabled: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vizdoom_path: None,
            doom_game_path: None,
            doom_scenario_path: None,
            doom_config_path: None,
            doom_map: MapName::default(),
            doom_skill: 3,
            seed: None,
            episode_start_time: 1,
            episode_timeout: 0,
            ticrate: 35, // Doom's own
            mode: Mode::Player,
            available_buttons: Vec::new(),
            button_max_values: [0.0; 5],
            available_game_variables: Vec::new(),
            game_args: Vec::new(),
            rewards: Rewards::default(),
            screen_resolution: ScreenResolution::RES_320X240,
            screen_format: ScreenFormat::CrCgCb,
            depth_buffer_enabled: false,
            labels_buffer_enabled: false,
            objects_info_enabled: false,
            sectors_info_enabled: false,
            automap: Automap {
                enabled: false,
                mode: AutomapMode::Normal,
                rotate: false,
                textures: true,
                sprites: false,
            },
            render: Render {
                hud: false,
                minimal_hud: false,
                weapon: true,
                crosshair: false,
                decals: true,
                particles: true,
                effects_sprites: true,
                messages: false,
                corpses: true,
                screen_flashes: true,
                all_frames: false,
            },
            audio: Audio { enabled: false, sampling_rate: SamplingRate::Sr44100, tics: 1 },
            notifications: Notifications { enabled: false, tics: 1 },
            window_visible: false,
            console_enabled: false,
            sound_enabled: false,
        }
    }
}

impl Config {
    /// Returns the value of the engine's variable `viz_render_mode`: one bit per rendered element.
    pub fn render_mode(&self) -> u32 {
        let (render, automap) = (&self.render, &self.automap);
        let bits = [
            render.hud,
            render.minimal_hud,
            render.weapon,
            render.crosshair,
            render.decals,
            render.particles,
            render.effects_sprites,
            render.messages,
            automap.rotate,
            automap.textures,
            automap.sprites,
            render.corpses,
            render.screen_flashes,
        ];
        bits.iter().zip(0..).map(|(&on, bit)| u32::from(on) << bit).sum()
    }
}

/// Rewards in addition to that of the map's script. Values of fields named `penalty` are subtracted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rewards {
    /// Reward per tic.
    pub living: f64,
    /// Penalty for the player's death.
    pub death_penalty: f64,
    /// Reward for reaching the end of the map alive.
    pub map_exit: f64,
    /// Reward per monster killed.
    pub kill: f64,
    /// Reward per secret found.
    pub secret: f64,
    /// Reward per item picked up.
    pub item: f64,
    /// Reward per player killed.
    pub frag: f64,
    /// Reward per hit on a monster or player.
    pub hit: f64,
    /// Penalty per hit taken.
    pub hit_taken_penalty: f64,
    /// Reward per point of damage done.
    pub damage_made: f64,
    /// Penalty per point of damage taken.
    pub damage_taken_penalty: f64,
    /// Reward per point of health gained; a loss costs nothing.
    pub health: f64,
    /// Reward per point of armour gained; a loss costs nothing.
    pub armor: f64,
}

/// Settings of the automap buffer, which shows the map from above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automap {
    /// Whether the engine fills the automap buffer.
    pub enabled: bool,
    /// Which walls and objects are shown.
    pub mode: AutomapMode,
    /// Whether the map turns with the player.
    pub rotate: bool,
    /// Whether floors are textured.
    pub textures: bool,
    /// Whether objects are drawn as sprites.
    pub sprites: bool,
}

/// Which elements the engine renders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Render {
    /// Whether the HUD is rendered: the bar with health, ammunition and face.
    pub hud: bool,
    /// Whether the HUD consists of numbers alone, in place of the bar.
    pub minimal_hud: bool,
    /// Whether the weapon in hand is rendered.
    pub weapon: bool,
    /// Whether a crosshair is rendered in the middle.
    pub crosshair: bool,
    /// Whether decals, the marks on walls, are rendered.
    pub decals: bool,
    /// Whether particles are rendered.
    pub particles: bool,
    /// Whether sprites of effects are rendered, such as puffs of smoke and splashes of blood.
    pub effects_sprites: bool,
    /// Whether the game's messages at the top are rendered.
    pub messages: bool,
    /// Whether corpses are rendered.
    pub corpses: bool,
    /// Whether flashes of the whole screen are rendered, as when an item is picked up.
    pub screen_flashes: bool,
    /// Whether frames between two states are rendered too; they are visible only in a window.
    pub all_frames: bool,
}

/// Settings of the audio buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Whether the engine fills the audio buffer.
    pub enabled: bool,
    /// Samples per second and channel.
    pub sampling_rate: SamplingRate,
    /// Number of last tics whose sound the buffer holds.
    pub tics: u32,
}

/// Settings of the notifications buffer, which holds the game's messages to the player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notifications {
    /// Whether the engine fills the notifications buffer.
    pub enabled: bool,
    /// Number of last tics whose messages the buffer holds.
    pub tics: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_what_is_rendered_are_the_engine_s() {
        assert_eq!(Config::default().render_mode(), 6772); // what Python's controller passes for basic.cfg
        let mut config = Config::default();
        config.render.hud = true;
        config.automap.rotate = true;
        config.render.screen_flashes = false;
        assert_eq!(config.render_mode(), 6772 + 1 + 256 - 4096);
    }

    #[test]
    fn rates_are_those_of_the_names() {
        for rate in SamplingRate::ALL {
            assert_eq!(rate.name(), format!("SR_{}", rate.hertz()));
        }
    }
}
