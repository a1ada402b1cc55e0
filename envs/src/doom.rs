//! Doom, played on the engine of ViZDoom 1.3.2, which runs as a process of its own (feature `doom`).

mod actions;
mod allowed;
mod arena;
mod duel;
mod env;
mod episode;
mod eye;
mod setup;
mod shaping;

pub use arena::Arena;
pub use duel::Duel;
pub use env::Doom;
pub use eye::Shown;
pub use setup::{Buttons, DoomConfig, EngineSeed, FromEpisode, Opponent};
pub use shaping::Shaping;

use rl_core::{EnvEntry, Error, Result, Seating, VecEnv, build_batch, read};

/// Prefix of the name of every Doom environment.
const FAMILY: &str = "doom/";

/// Names of the single-player scenarios of ViZDoom's package that need no other files.
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

/// Names of the multiplayer scenarios of ViZDoom's package.
pub const MATCHES: [&str; 3] = ["cig", "multi", "multi_duel"];

/// Table entry of the family of all ViZDoom scenarios, named `doom/<name of the .cfg>`.
pub const ENTRY: EnvEntry = EnvEntry {
    id: FAMILY,
    members: || SCENARIOS.iter().chain(&MATCHES).map(|&name| name.to_owned()).collect(),
    member_presets: &[("doom/cig", MATCH), ("doom/multi", MATCH), ("doom/multi_duel", MATCH)],
    protocols: &[
        ("self-play", include_str!("../../presets/protocol/doom-self-play.toml")),
        ("random", include_str!("../../presets/protocol/doom-random.toml")),
    ],
    seats_per_world,
    assets: &["vizdoom"],
    build,
    ..EnvEntry::single::<Doom>(
        "A scenario of Doom (ViZDoom 1.3.2), or any .cfg and .wad by env.config",
        include_str!("../../presets/env/doom.toml"),
    )
};

const MATCH: &str = include_str!("../../presets/env/doom-match.toml");

/// Builds the seats of the scenario that `name` names; presets do not name it, since one serves the whole family.
fn build(name: &str, table: &toml::Table, seating: &Seating) -> Result<Box<dyn VecEnv>> {
    let scenario = name.strip_prefix(FAMILY).unwrap_or(name);
    let mut table = table.clone();
    if table.insert("scenario".to_owned(), scenario.into()).is_some() {
        let message = format!("is no key: the name of the environment, {name}, says which scenario it is");
        return Err(Error::Config { key: "env.scenario".to_owned(), message });
    }
    let config: DoomConfig = read(&table)?;
    match (config.players, config.opponent) {
        (0, _) => Err(Error::Config { key: "env.players".to_owned(), message: "must be at least 1".to_owned() }),
        (1, _) => build_batch::<Doom>(name, &table, seating),
        (_, Opponent::Random) => build_batch::<Duel>(name, &table, seating),
        (_, Opponent::Oneself) => build_matches(name, &config, &table, seating),
    }
}

/// Builds matches, and says what else there is for a number of seats that makes no whole ones.
fn build_matches(name: &str, config: &DoomConfig, table: &toml::Table, seating: &Seating) -> Result<Box<dyn VecEnv>> {
    let (players, seats) = (config.players, seating.seats.len());
    if !seats.is_multiple_of(players) {
        let message = format!(
            "{seats} is no number of seats for matches of {players}: train.envs is a multiple of that, and one seat plays \
             against env.opponent=\"random\" (protocol random)"
        );
        return Err(Error::Config { key: "env.players".to_owned(), message });
    }
    build_batch::<Arena>(name, table, seating)
}

/// Returns the number of seats that share a match: the number of players under self-play, which is also what no
/// `opponent` stands for, else 1.
fn seats_per_world(table: &toml::Table) -> u32 {
    let players = table.get("players").and_then(toml::Value::as_integer);
    let oneself = table.get("opponent").is_none_or(|opponent| opponent.as_str() == Some("oneself"));
    players.filter(|_| oneself).and_then(|players| u32::try_from(players).ok()).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_share_a_match_unless_the_others_are_random() {
        for (keys, seats) in [
            ("", 1),
            ("players = 1", 1),
            ("players = 3", 3),
            ("players = 3\nopponent = \"oneself\"", 3),
            ("players = 3\nopponent = \"random\"", 1),
            ("players = 0", 1),
            ("players = -2", 1),
            ("players = \"many\"", 1),
        ] {
            let table: toml::Table = keys.parse().unwrap();
            assert_eq!(seats_per_world(&table), seats, "{keys}");
        }
    }
}
