//! The engine's command line, from a configuration.

use std::path::{Path, PathBuf};

use crate::error::doing;
use crate::{Config, Error, Result};

/// Builds the engine's arguments in the order of ViZDoom's own controller, so that the same one wins where one is given
/// twice.
///
/// # Errors
/// If the game's data or the scenario is not a file.
pub(crate) fn args(config: &Config, iwad: &Path, seed: u32) -> Result<Vec<String>> {
    let (width, height) = (config.screen_resolution.width(), config.screen_resolution.height());
    let mut args = Vec::new();
    let mut say = |words: &[&str]| args.extend(words.iter().map(|&word| word.to_owned()));
    let path = |what, path: &Path| {
        if path.is_file() { Ok(from_root(path)?.to_string_lossy().into_owned()) } else { Err(missing(what, path)) }
    };
    say(&["-iwad", &path("the game's data (doom_game_path)", iwad)?]);
    if let Some(scenario) = &config.doom_scenario_path {
        say(&["-file", &path("the scenario (doom_scenario_path)", scenario)?]);
    }
    // Nobody reads what it writes where it works.
    let settings = config.doom_config_path.as_deref().map_or_else(|| Ok("_vizdoom.ini".into()), from_root)?;
    say(&["-config", &settings.to_string_lossy()]);
    say(&["+map", config.doom_map.as_str(), "-skill", &config.doom_skill.to_string()]);
    say(&[
        "-width",
        &width.to_string(),
        "-height",
        &height.to_string(),
        "+vid_aspect",
        &config.screen_resolution.aspect().to_string(),
    ]);
    say(&["+fullscreen", "0"]);
    if config.mode.is_async() {
        say(&["+viz_async", "1"]);
    }
    match config.mode.is_spectator() {
        true => say(&["+viz_allow_input", "1", "+use_mouse", "1"]),
        false => say(&["+use_mouse", "0"]),
    }
    say(&["-rngseed", &seed.to_string()]);
    for (on, name) in [(config.depth_buffer_enabled, "+viz_depth"), (config.labels_buffer_enabled, "+viz_labels")] {
        if on {
            say(&[name, "1"]);
        }
    }
    if config.automap.enabled {
        say(&["+viz_automap", "1", "+viz_automap_mode", &config.automap.mode.number().to_string()]);
    }
    for (on, name) in [(config.objects_info_enabled, "+viz_objects"), (config.sectors_info_enabled, "+viz_sectors")] {
        if on {
            say(&[name, "1"]);
        }
    }
    say(&["+viz_render_mode", &config.render_mode().to_string()]);
    if !config.console_enabled {
        say(&["+viz_noconsole", "1"]);
    }
    say(&["+viz_screen_format", &config.screen_format.number().to_string()]);
    if !config.window_visible {
        say(&["+viz_window_hidden", "1", "+viz_noxserver", "1"]);
    } else if config.render.all_frames {
        say(&["+viz_render_all", "1"]);
    }
    say(&["-noidle", "-nojoy"]);
    if config.audio.enabled {
        say(&["+viz_soft_audio", "1", "+snd_backend", "openal"]);
        say(&["+viz_samp_freq", &config.audio.sampling_rate.hertz().to_string()]);
        say(&["+viz_audio_tics", &config.audio.tics.to_string()]);
    } else if !config.sound_enabled {
        say(&["-nosound", "+viz_nosound", "1"]);
    }
    if config.notifications.enabled {
        say(&["+viz_notifications", "1", "+viz_notifications_tics", &config.notifications.tics.to_string()]);
    }
    if config.ticrate != 35 {
        say(&["-ticrate", &config.ticrate.to_string()]); // 35 is what Doom has
    }
    args.extend(config.game_args.iter().cloned());
    Ok(args)
}

/// Makes `path` absolute, since the engine works in a directory of its own and plays on without a file that it does not
/// find.
pub(crate) fn from_root(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(doing(format!("finding {}", path.display())))
}

pub(crate) fn missing(what: &'static str, path: &Path) -> Error {
    Error::Missing { what, path: path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_engine_are_named_from_the_root() {
        let mut config = Config {
            doom_scenario_path: Some("src/lib.rs".into()), // any file that is here
            doom_config_path: Some("nowhere.ini".into()),
            ..Config::default()
        };
        let here = std::env::current_dir().unwrap();
        let place = |name: &str| here.join(name).to_str().unwrap().to_owned();
        let (iwad, file, ini) = (place("Cargo.toml"), place("src/lib.rs"), place("nowhere.ini"));
        let args = |config: &Config| args(config, "Cargo.toml".as_ref(), 0).unwrap();
        assert_eq!(args(&config)[..6], ["-iwad", &iwad, "-file", &file, "-config", &ini]);
        config.doom_config_path = None;
        assert_eq!(args(&config)[4..6], ["-config", "_vizdoom.ini"], "where it works");
    }
}
