//! Doom, played on the engine of ViZDoom 1.3.2, which runs as a process of its own (feature `doom`).

mod actions;
mod env;
mod eye;
mod shaping;

pub use env::{Buttons, Doom, DoomConfig, EngineSeed, FromEpisode};
pub use eye::Shown;
pub use shaping::Shaping;

use rl_core::{EnvEntry, Error, Result, Seating, VecEnv, build_batch};

/// Prefix of every scenario's name.
const FAMILY: &str = "doom/";

/// The scenarios of ViZDoom's package that one player can play with what is in it.
pub const SCENARIOS: [&str; 18] = [
    "basic",
    "basic_audio",
    "basic_notifications",
    "deadly_corridor",
    "deathmatch",
    "defend_the_center",
    "defend_the_line",
    "freedoom1",
    "freedoom2",
    "health_gathering",
    "health_gathering_supreme",
    "learning",
    "my_way_home",
    "oblige",
    "predict_position",
    "rocket_basic",
    "simpler_basic",
    "take_cover",
];

/// Every scenario, as `doom/<name of its .cfg>`.
pub const ENTRY: EnvEntry = EnvEntry {
    id: FAMILY,
    members: || SCENARIOS.iter().map(|&name| name.to_owned()).collect(),
    assets: &["vizdoom"],
    build,
    ..EnvEntry::single::<Doom>(
        "A scenario of Doom (ViZDoom 1.3.2), or any .cfg and .wad by env.config",
        include_str!("../../presets/env/doom.toml"),
    )
};

/// Seats the scenario that `name` names: it is no key of the preset, which is the family's.
fn build(name: &str, table: &toml::Table, seating: &Seating) -> Result<Box<dyn VecEnv>> {
    let scenario = name.strip_prefix(FAMILY).unwrap_or(name);
    let mut table = table.clone();
    if table.insert("scenario".to_owned(), scenario.into()).is_some() {
        let message = format!("is no key: the name of the environment, {name}, says which scenario it is");
        return Err(Error::Config { key: "env.scenario".to_owned(), message });
    }
    build_batch::<Doom>(name, &table, seating)
}
