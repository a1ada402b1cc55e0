//! What a scenario's `.cfg` may ask of the engine: the file may be anybody's, and a recording names one.
//!
//! The engine takes more than a game needs. Switches name files that it writes (`-config`, `-savedir`), a plus begins any command
//! of its console (`+logfile`) and a semicolon the next, `@` names a file with further words, and some of its variables name
//! programs and libraries that it runs (`timidity_exe`, `fluid_lib`). So what is listed here is taken, and nothing else.

use std::path::Path;

use rl_core::Result;
use vizdoom::Config;

use super::setup::refuse;

/// Command-line switches that a `.cfg` may give: they only decide what is played.
const SWITCHES: [&str; 12] = [
    "-altdeath",
    "-avg",
    "-deathmatch",
    "-extratic",
    "-fast",
    "-netmode",
    "-nomonsters",
    "-nomusic",
    "-nosfx",
    "-respawn",
    "-timer",
    "-turbo",
];

/// Prefixes of console variables that a `.cfg` may set: every variable with such a name is a number or a colour.
const FAMILIES: [&str; 6] = ["am_", "cl_", "compat_", "hud_", "r_", "sv_"];

/// Other console variables that a `.cfg` may set.
const VARIABLES: [&str; 29] = [
    "alwaysapplydmflags",
    "autoaim",
    "colorset",
    "compatflags",
    "compatflags2",
    "crosshair",
    "crosshairscale",
    "deathmatch",
    "dmflags",
    "dmflags2",
    "fraglimit",
    "freelook",
    "gender",
    "name",
    "playerclass",
    "screenblocks",
    "snd_efx",
    "team",
    "teamdamage",
    "teamplay",
    "timelimit",
    "viz_afk_timeout",
    "viz_am_center",
    "viz_am_scale",
    "viz_cmd_filter",
    "viz_loop_map",
    "viz_nocheat",
    "viz_respawn_delay",
    "viz_spectator",
];

/// Largest number of characters of a refused word that an error shows.
const SHOWN: usize = 60;

/// Checks that the settings of a `.cfg` file only decide what is played.
///
/// # Errors
/// If the settings, which `file` holds, would have the engine run a program or write a file.
pub(super) fn check(settings: &Config, file: &Path) -> Result<()> {
    let refused = |message: String| refuse("config", format!("{}: {message}", file.display()));
    let paths = [
        ("vizdoom_path", &settings.vizdoom_path, "names a program to run"),
        ("doom_config_path", &settings.doom_config_path, "names a file that the engine would write"),
    ];
    if let Some((key, _, what)) = paths.into_iter().find(|(_, path, _)| path.is_some()) {
        return Err(refused(format!("{key}: {what}, and a .cfg may be anybody's: take the line out")));
    }
    if let Some(word) = settings.game_args.iter().find(|word| !is_taken(word)) {
        let word: String = word.chars().take(SHOWN).collect();
        return Err(refused(format!(
            "game_args: {word:?} is no switch, variable or value that a .cfg may give (docs/doom.md lists them): take it out"
        )));
    }
    Ok(())
}

/// Whether a `.cfg` may pass `word` to the engine: as a listed switch or variable, or as a plain value.
fn is_taken(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let plain = |text: &str, others: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
    match word.strip_prefix('+') {
        Some(name) if VARIABLES.contains(&name) => true,
        Some(name) => plain(name, "_") && FAMILIES.iter().any(|family| name.starts_with(family)),
        None => SWITCHES.contains(&word.as_str()) || plain(&word, "._"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(line: &str) -> Result<()> {
        let file = Path::new("/home/mine.cfg");
        check(&Config::parse(line, file).unwrap(), file)
    }

    #[test]
    fn settings_of_a_game_are_taken() {
        for words in [
            "+sv_noautoaim 1",
            "+snd_efx 0",
            "-deathmatch +timelimit 10.0 +sv_forcerespawn 1 +viz_respawn_delay 10 +viz_nocheat 1",
            "-DeathMatch -Fast +name AI +colorset 0 +SV_Gravity 600 +compat_light 1",
        ] {
            assert!(checked(&format!("game_args = {words}")).is_ok(), "{words}");
        }
    }

    #[test]
    fn what_runs_a_program_or_writes_a_file_is_refused() {
        for word in [
            "+exec a.cfg",
            "+logfile /tmp/x",
            "+timidity_exe /tmp/x",
            "+fluid_lib x.so",
            "+sv_gravity 1;logfile",
            "+sv_gravity;logfile",
            "+set",
            "+map",
            "+viz_instance_id 3",
            "++sv_gravity",
            "-host", // makes an episode depend on those before, and no match begins
            "-dup",  // from 2 on the engine never answers
            "-config",
            "-savedir",
            "-file",
            "-exec",
            "-debugfile",
            "@more",
            "+name \"a;b\"",
            "+name $x",
            "/tmp/x",
            "-",
            "+",
        ] {
            let error = checked(&format!("game_args = {word}")).expect_err(word).to_string();
            assert!(error.starts_with("env.config: /home/mine.cfg: game_args: "), "{word}: {error}");
        }
        for key in ["vizdoom_path", "doom_config_path"] {
            let error = checked(&format!("{key} = x")).expect_err(key).to_string();
            assert!(error.starts_with(&format!("env.config: /home/mine.cfg: {key}: names a ")), "{error}");
        }
        let long = checked(&format!("game_args = +{}", "é".repeat(10_000))).unwrap_err().to_string();
        assert!(long.chars().count() < 300, "{} characters", long.chars().count());
    }
}
