//! Games of the Atari 2600, played on the Arcade Learning Environment (GPL-2.0-only, hence the feature `atari`).

mod config;
mod env;
mod scores;

pub use config::{Actions, AtariConfig, DefaultMode, Format, Mode};
pub use env::Atari;

use rl_core::{EnvEntry, Error, Result, Seating, VecEnv, build_batch};

/// Prefix of the name of every Atari environment.
const FAMILY: &str = "atari/";

/// Named evaluation protocols, each a TOML overlay of the preset; scores compare only within one protocol.
pub(crate) const PROTOCOLS: &[(&str, &str)] = &[
    ("machado18", include_str!("../../presets/protocol/machado18.toml")),
    ("machado18-paper", include_str!("../../presets/protocol/machado18-paper.toml")),
    ("nature15", include_str!("../../presets/protocol/nature15.toml")),
    ("noop30", include_str!("../../presets/protocol/noop30.toml")),
    ("ppo17", include_str!("../../presets/protocol/ppo17.toml")),
    ("atari100k", include_str!("../../presets/protocol/atari100k.toml")),
];

/// Table entry of the family of all games that ALE supports, named `atari/<rom>` with the ROM's name in snake case.
pub const ENTRY: EnvEntry = EnvEntry {
    id: FAMILY,
    aliases: &[("kungfu", "atari/kung_fu_master")],
    members: || ale_sys::GAMES.map(str::to_owned).to_vec(),
    protocols: PROTOCOLS,
    reference: |name| scores::scores(name.strip_prefix(FAMILY).unwrap_or(name)),
    build,
    ..EnvEntry::single::<Atari>(
        "A game of the Atari 2600 (Arcade Learning Environment 0.12.1)",
        include_str!("../../presets/env/atari.toml"),
    )
};

/// Builds the seats of the game that `name` names; presets do not name the game, since one serves the whole family.
fn build(name: &str, table: &toml::Table, seating: &Seating) -> Result<Box<dyn VecEnv>> {
    let game = name.strip_prefix(FAMILY).unwrap_or(name);
    let mut table = table.clone();
    if table.insert("game".to_owned(), game.into()).is_some() {
        let message = format!("is no key: the name of the environment, {name}, says which game it is");
        return Err(Error::Config { key: "env.game".to_owned(), message });
    }
    build_batch::<Atari>(name, &table, seating)
}
