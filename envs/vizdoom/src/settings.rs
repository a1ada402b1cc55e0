//! Everything that a `.cfg` file can set, with ViZDoom's defaults.
//!
//! Source: ViZDoom 1.3.2, `ViZDoomGame.cpp` and `ViZDoomController.cpp`.

use std::path::PathBuf;

use crate::names::named;
use crate::{Button, MapName, ScreenFormat, ScreenResolution, Variable};

named! {
    /// Who plays, and who waits for whom.
    Mode "mode" {
        Player "PLAYER" "The program plays; the engine waits for each action.",
        Spectator "SPECTATOR" "A person plays; the engine waits for the program between tics.",
        AsyncPlayer "ASYNC_PLAYER" "The program plays; the engine goes on by its clock.",
        AsyncSpectator "ASYNC_SPECTATOR" "A person plays; the engine goes on by its clock.",
    }
}

impl Mode {
    /// Whether a person plays.
    pub fn is_spectator(self) -> bool {
        matches!(self, Mode::Spectator | Mode::AsyncSpectator)
    }

    /// Whether the engine goes on by its clock.
    pub fn is_async(self) -> bool {
        matches!(self, Mode::AsyncPlayer | Mode::AsyncSpectator)
    }
}

named! {
    /// What the automap shows.
    AutomapMode "mode of the automap" {
        Normal "NORMAL" "Walls that the player has seen.",
        Whole "WHOLE" "All walls.",
        Objects "OBJECTS" "All walls, and things as arrows that point where these face.",
        ObjectsWithSize "OBJECTS_WITH_SIZE" "As `Objects`, each thing in a box of its size.",
    }
}

named! {
    /// Samples of audio per second and ear.
    SamplingRate "sampling rate" {
        Sr11025 "SR_11025" "11,025 a second.",
        Sr22050 "SR_22050" "22,050 a second.",
        Sr44100 "SR_44100" "44,100 a second.",
    }
}

impl SamplingRate {
    /// Samples per second and ear.
    pub fn hertz(self) -> u32 {
        [11_025, 22_050, 44_100][self.number()]
    }
}

/// The settings of a game. The default is ViZDoom's.
///
/// Fields are named as the keys of a `.cfg` file, but for those of a group, which leave out what the group says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The engine, where it is not the fetched one.
    pub vizdoom_path: Option<PathBuf>,
    /// The game's own data (IWAD), where it is not Freedoom 2.
    pub doom_game_path: Option<PathBuf>,
    /// The scenario (PWAD) that is put over the game's data.
    pub doom_scenario_path: Option<PathBuf>,
    /// Where the engine keeps settings of its own.
    pub doom_config_path: Option<PathBuf>,
    /// The map.
    pub doom_map: MapName,
    /// From 1, the easiest, to 5.
    pub doom_skill: u32,
    /// Decides the seeds of all episodes; drawn where there is none.
    pub seed: Option<u32>,
    /// The tic, from 1, with which an episode begins: those before pass without a player's action.
    pub episode_start_time: u32,
    /// Tics of an episode, after the first; 0 for no limit.
    pub episode_timeout: u32,
    /// Tics per second of the asynchronous modes.
    pub ticrate: u32,
    /// Who plays, and who waits for whom.
    pub mode: Mode,
    /// What can be pressed: the order is that of an action's values.
    pub available_buttons: Vec<Button>,
    /// Largest amount of the five buttons that have one, in the engine's order; 0 for no bound.
    pub button_max_values: [f64; 5],
    /// What is told with each state.
    pub available_game_variables: Vec<Variable>,
    /// Further arguments of the engine.
    pub game_args: Vec<String>,
    /// What is rewarded besides what the map's script rewards.
    pub rewards: Rewards,
    /// The size of a frame.
    pub screen_resolution: ScreenResolution,
    /// How the pixels of a frame lie in memory.
    pub screen_format: ScreenFormat,
    /// Whether there is a depth for each pixel.
    pub depth_buffer_enabled: bool,
    /// Whether there is a label for each pixel.
    pub labels_buffer_enabled: bool,
    /// Whether all things of the map are told.
    pub objects_info_enabled: bool,
    /// Whether all sectors of the map are told, with their walls.
    pub sectors_info_enabled: bool,
    /// The map, drawn from above.
    pub automap: Automap,
    /// What is drawn of the world.
    pub render: Render,
    /// What is heard.
    pub audio: Audio,
    /// What the game writes to the player.
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
    /// What is rendered, as the engine's `viz_render_mode` takes it: a bit for each thing.
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

/// What is rewarded besides what the map's script rewards. A penalty is taken off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rewards {
    /// For each tic.
    pub living: f64,
    /// For the player's death.
    pub death_penalty: f64,
    /// For the end of the map, reached alive.
    pub map_exit: f64,
    /// For a monster killed.
    pub kill: f64,
    /// For a secret found.
    pub secret: f64,
    /// For an item picked up.
    pub item: f64,
    /// For a player killed.
    pub frag: f64,
    /// For a hit on a monster or player.
    pub hit: f64,
    /// For a hit taken.
    pub hit_taken_penalty: f64,
    /// For a point of damage done.
    pub damage_made: f64,
    /// For a point of damage taken.
    pub damage_taken_penalty: f64,
    /// For a point of health won.
    pub health: f64,
    /// For a point of armour won.
    pub armor: f64,
}

/// The map, drawn from above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automap {
    /// Whether it is drawn.
    pub enabled: bool,
    /// What it shows.
    pub mode: AutomapMode,
    /// Whether it turns with the player.
    pub rotate: bool,
    /// Whether floors are textured.
    pub textures: bool,
    /// Whether things are drawn as they look.
    pub sprites: bool,
}

/// What is drawn of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Render {
    /// The bar with health, ammunition and face.
    pub hud: bool,
    /// Numbers alone, in place of the bar.
    pub minimal_hud: bool,
    /// The weapon in hand.
    pub weapon: bool,
    /// A mark in the middle.
    pub crosshair: bool,
    /// Marks on walls.
    pub decals: bool,
    /// Particles.
    pub particles: bool,
    /// Puffs of smoke and splashes of blood.
    pub effects_sprites: bool,
    /// What the game writes at the top.
    pub messages: bool,
    /// The dead.
    pub corpses: bool,
    /// Flashes of the whole screen, as when an item is picked up.
    pub screen_flashes: bool,
    /// Frames between two states too: they are seen in a window alone.
    pub all_frames: bool,
}

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Whether sound is told.
    pub enabled: bool,
    /// Samples per second and ear.
    pub sampling_rate: SamplingRate,
    /// How many tics a state goes back.
    pub tics: u32,
}

/// What the game writes to the player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notifications {
    /// Whether it is told.
    pub enabled: bool,
    /// How many tics a state goes back.
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
