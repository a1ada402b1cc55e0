//! The reader of `.cfg` files against ViZDoom's own: what that makes of a text is in `golden/cfg.json`, which
//! `golden/cfg.py` wrote.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use vizdoom::{AutomapMode, Button, Config, Error, Mode, SamplingRate, ScreenFormat, ScreenResolution, Variable};

/// What we do where we mean to differ: what the settings are then, or a part of the error.
type Ours = Result<fn(&Config) -> bool, &'static str>;

/// Cases in which we mean to differ from ViZDoom's loader.
const DEVIATIONS: &[(&str, Ours)] = &[
    // It takes them for relative, against its documentation.
    ("paths may be absolute", Ok(|config| config.doom_scenario_path.as_deref() == Some(Path::new("/a/b.wad")))),
    // It bends what these say, or ignores it, without a word.
    ("a button twice", Err("`ATTACK` is in the list already")),
    ("a skill out of range", Err("`9` is no whole number from 1 to 5")),
    ("a first tic of 0", Err("`0` is no whole number from 1 to 2147483647")),
    ("a largest value of a binary button", Err("ATTACK is held or not and has no largest amount")),
    // It takes what no game can be played with, or what is no map.
    ("a reward that is no number", Err("`nan` is no finite number")),
    ("a map that is a command", Err("`map01; quit` is no map's name")),
    ("a ticrate of 0", Err("`0` is no whole number from 1")),
    ("an empty audio buffer", Err("`0` is no whole number from 1")),
    ("an empty notifications buffer", Err("`0` is no whole number from 1")),
    // It refuses what is plain enough.
    ("names do without underscores", Ok(|config| config.available_buttons == [Button::MoveLeft])),
    ("items by their own name", Ok(|config| config.available_buttons == [Button::ActivateSelectedItem])),
    ("a list with tabs", Ok(|config| config.available_buttons == [Button::Attack, Button::Use])),
    ("arguments with a plus and an equals sign", Ok(|config| config.game_args == ["+a", "b+=c"])),
];

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cfg.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What Python's getters report of `config`, whose file is in `dir`.
fn reported(config: &Config, dir: &Path) -> Map<String, Value> {
    let path = |path: &Option<PathBuf>| match path {
        Some(path) => {
            path.strip_prefix(dir).map_or(path.clone(), |path| Path::new("DIR").join(path)).to_str().map(str::to_owned)
        }
        None => Some(String::new()),
    };
    let names: Vec<_> = config.available_buttons.iter().map(|it| it.name()).collect();
    let variables: Vec<_> = config.available_game_variables.iter().map(|it| it.name()).collect();
    let rewards = &config.rewards;
    let value = json!({
        "get_armor_reward": rewards.armor,
        "get_audio_buffer_size": config.audio.tics,
        "get_audio_sampling_rate": config.audio.sampling_rate.hertz(),
        "get_available_buttons": names,
        "get_available_game_variables": variables,
        "get_button_max_value": config.button_max_values,
        "get_damage_made_reward": rewards.damage_made,
        "get_damage_taken_penalty": rewards.damage_taken_penalty,
        "get_death_penalty": rewards.death_penalty,
        "get_doom_config_path": path(&config.doom_config_path),
        "get_doom_game_path": path(&config.doom_game_path),
        "get_doom_map": config.doom_map.as_str(),
        "get_doom_scenario_path": path(&config.doom_scenario_path),
        "get_doom_skill": config.doom_skill,
        "get_episode_start_time": config.episode_start_time,
        "get_episode_timeout": config.episode_timeout,
        "get_frag_reward": rewards.frag,
        "get_game_args": config.game_args.join(" "),
        "get_health_reward": rewards.health,
        "get_hit_reward": rewards.hit,
        "get_hit_taken_penalty": rewards.hit_taken_penalty,
        "get_item_reward": rewards.item,
        "get_kill_reward": rewards.kill,
        "get_living_reward": rewards.living,
        "get_map_exit_reward": rewards.map_exit,
        "get_mode": config.mode.name(),
        "get_notifications_buffer_size": config.notifications.tics,
        "get_screen_channels": config.screen_format.channels(),
        "get_screen_format": config.screen_format.name(),
        "get_screen_height": config.screen_resolution.height(),
        "get_screen_width": config.screen_resolution.width(),
        "get_secret_reward": rewards.secret,
        "get_ticrate": config.ticrate,
        "get_vizdoom_path": path(&config.vizdoom_path),
        "is_audio_buffer_enabled": config.audio.enabled,
        "is_automap_buffer_enabled": config.automap.enabled,
        "is_depth_buffer_enabled": config.depth_buffer_enabled,
        "is_labels_buffer_enabled": config.labels_buffer_enabled,
        "is_notifications_buffer_enabled": config.notifications.enabled,
        "is_objects_info_enabled": config.objects_info_enabled,
        "is_sectors_info_enabled": config.sectors_info_enabled,
    });
    let Value::Object(mut value) = value else { unreachable!("it is written with braces") };
    value.extend(config.seed.map(|seed| ("get_seed".to_owned(), json!(seed))));
    value
}

/// The defaults, with what `differs` from them.
fn expected(golden: &Value, differs: &Value) -> Map<String, Value> {
    let mut all = golden["defaults"].as_object().unwrap().clone();
    all.extend(differs.as_object().unwrap().clone());
    all
}

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(text, Path::new("/home/case.cfg"))
}

#[test]
fn names_and_numbers_are_vizdoom_s() {
    let golden = golden();
    let check = |of: &str, ours: Vec<(&str, usize)>| {
        let theirs = golden["enums"][of].as_object().unwrap();
        assert_eq!(theirs.len(), ours.len(), "{of}");
        for (name, number) in ours {
            assert_eq!(theirs[name], json!(number), "{of}.{name}");
        }
    };
    check("AutomapMode", AutomapMode::ALL.iter().map(|it| (it.name(), it.number())).collect());
    check("Button", Button::ALL.iter().map(|it| (it.name(), it.number())).collect());
    check("GameVariable", Variable::ALL.iter().map(|it| (it.name(), it.number())).collect());
    check("Mode", Mode::ALL.iter().map(|it| (it.name(), it.number())).collect());
    check("SamplingRate", SamplingRate::ALL.iter().map(|it| (it.name(), it.number())).collect());
    check("ScreenFormat", ScreenFormat::ALL.iter().map(|it| (it.name(), it.number())).collect());
    check("ScreenResolution", ScreenResolution::ALL.iter().zip(0..).map(|(it, at)| (it.name(), at)).collect());
}

#[test]
fn defaults_are_vizdoom_s() {
    assert_eq!(Value::Object(reported(&Config::default(), Path::new("DIR"))), golden()["defaults"]);
}

#[test]
fn each_rule_of_the_grammar_is_vizdoom_s_or_a_known_deviation() {
    let golden = golden();
    let cases = golden["cases"].as_object().unwrap();
    assert!(DEVIATIONS.iter().all(|(name, _)| cases.contains_key(*name)), "a deviation is of a case");
    for (name, case) in cases {
        let ours = parse(case["text"].as_str().unwrap());
        match (DEVIATIONS.iter().find(|(deviating, _)| deviating == name), ours) {
            (Some((_, Ok(holds))), Ok(config)) => assert!(holds(&config), "{name}: {config:?}"),
            (Some((_, Err(part))), Err(error)) => assert!(error.to_string().contains(part), "{name}: {error}"),
            (Some(_), ours) => panic!("{name}: {ours:?}"),
            (None, Ok(config)) => {
                assert_eq!(case["took"], true, "{name}: we take it, and ViZDoom does not");
                assert_eq!(reported(&config, Path::new("/home")), expected(&golden, &case["reported"]), "{name}");
            }
            (None, Err(error)) => assert_eq!(case["took"], false, "{name}: ViZDoom takes it, and we say {error}"),
        }
    }
}

#[test]
fn what_python_does_not_report_is_read_too() {
    let config = parse(
        "render_hud = 1\nrender_minimal_hud = 1\nrender_weapon = 0\nrender_crosshair = 1\nrender_decals = 0\n\
         render_particles = 0\nrender_effects_sprites = 0\nrender_messages = 1\nrender_corpses = 0\n\
         render_screen_flashes = 0\nrender_all_frames = 1\nautomap_mode = whole\nautomap_rotate = 1\n\
         automap_render_textures = 0\nautomap_render_objects_as_sprites = 1\nwindow_visible = 1\nconsole_enabled = 1\n\
         sound_enabled = 1",
    )
    .unwrap();
    assert_eq!(config.render_mode(), 1 + 2 + 8 + 128 + 256 + 1024);
    assert_eq!((config.render.all_frames, config.automap.mode), (true, AutomapMode::Whole));
    assert!(config.window_visible && config.console_enabled && config.sound_enabled);
}

#[test]
fn an_error_says_where_and_what_would_be_right() {
    for (text, message) in [
        (
            "\n# one\nliving_rewards = 1",
            "3: living_rewards: no setting of ViZDoom 1.3.2 is called so; did you mean `living_reward`?",
        ),
        ("no equals", "1: no equals: expected `key = value`; a comment begins with #"),
        ("= 1", "1: = 1: expected `key = value`; a comment begins with #"),
        ("doom_skill =", "1: doom_skill: has no value"),
        ("doomSkill += 1", "1: doomSkill: `+=` appends to lists and to game_args, and this is neither"),
        ("doom_skill = 6", "1: doom_skill: `6` is no whole number from 1 to 5"),
        (
            "doom_skill = 3 # easy",
            "1: doom_skill: `3 # easy` is no whole number from 1 to 5; a comment takes a line of its own",
        ),
        ("living_reward = inf", "1: living_reward: `inf` is no finite number"),
        ("render_hud = yes", "1: render_hud: `yes` is neither true nor false"),
        ("mode = PLAYERS", "1: mode: `PLAYERS` is no mode; did you mean `PLAYER`?"),
        ("mode = both", "1: mode: `both` is no mode; known are PLAYER, SPECTATOR, ASYNC_PLAYER, ASYNC_SPECTATOR"),
        ("screen_format = GRAY", "1: screen_format: `GRAY` is no format; did you mean `GRAY8`?"),
        (
            "screen_resolution = 320x240",
            "1: screen_resolution: `320x240` is no resolution; did you mean `RES_320X240`?",
        ),
        (
            "available_buttons = {\n ATTACK\n # b\n MOV_LEFT }",
            "4: available_buttons: `MOV_LEFT` is no button; did you mean `MOVE_LEFT`?",
        ),
        ("available_buttons = { ATTACK, USE }", "1: available_buttons: `ATTACK,` is no button; did you mean `ATTACK`?"),
        (
            "available_game_variables = { AMMO }",
            "1: available_game_variables: `AMMO` is no game variable; did you mean `AMMO0`?",
        ),
        ("available_buttons = ATTACK", "1: available_buttons: expected a list in braces, as `{ A B }`, got `ATTACK`"),
        (
            "available_buttons =\n\nATTACK",
            "3: available_buttons: expected a list in braces, as `{ A B }`, got `ATTACK`",
        ),
        ("available_buttons =\n# nothing", "1: available_buttons: has no list in braces"),
        ("\navailable_buttons = {\nATTACK", "2: available_buttons: the list is never closed by `}`"),
        (
            "available_buttons = {\nATTACK\nmode = PLAYER\n}",
            "3: available_buttons: the list that begins in line 1 is not closed before this line",
        ),
        (
            "available_buttons = { ATTACK } # fire",
            "1: available_buttons: `# fire` follows the end of the list; a comment takes a line of its own",
        ),
        (
            "available_buttons = { USE }\navailable_buttons += { use }",
            "2: available_buttons: `use` is in the list already",
        ),
        (
            "button_max_value = 3",
            "1: button_max_value: expected a button and its largest amount, as `TURN_LEFT_RIGHT_DELTA 10`, got `3`",
        ),
        (
            "button_max_value = LOOK_UP_DOWN_DELTA -3",
            "1: button_max_value: `-3` is no whole number from 0 to 4294967295",
        ),
        (
            "doom_map = map01; quit",
            "1: doom_map: `map01; quit` is no map's name: at most 8 letters and digits, as `map01`",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), format!("/home/case.cfg:{message}"), "{text}");
    }
}

#[test]
fn files_are_read_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.cfg");
    let read = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        Config::read(&file)
    };
    let config = read(b"\xef\xbb\xbfdoom_scenario_path = ../a/b.wad").unwrap();
    assert_eq!(config.doom_scenario_path, Some(dir.path().join("../a/b.wad")));
    let error = read(b"seed = 1\n\n# \xff").unwrap_err();
    assert!(matches!(&error, Error::Cfg { file: named, line: 3, .. } if *named == file), "{error}");
    let error = Config::read(&dir.path().join("b.cfg")).unwrap_err().to_string();
    assert!(error.starts_with("reading ") && error.contains("b.cfg"), "{error}");
    // What has no end is not read to it.
    let error = Config::read(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_eq!(error, "reading /dev/zero: not a regular file");
    fs::File::create(&file).unwrap().set_len(2 << 20).unwrap();
    let error = Config::read(&file).unwrap_err().to_string();
    assert!(error.ends_with("a.cfg: larger than 1 MiB: not a .cfg"), "{error}");
}

#[test]
fn an_error_of_a_long_line_is_short() {
    for text in
        ["a".repeat(100_000), format!("mode = {}", "é".repeat(100_000)), format!("seed{}", "=é".repeat(100_000))]
    {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.chars().count() < 400, "{} characters", error.chars().count());
    }
}

#[test]
#[ignore = "needs the engine: rl-run fetch vizdoom, or RL_VIZDOOM for a directory as the wheel unpacks"]
fn shipped_files_are_read_as_vizdoom_reads_them() {
    let golden = golden();
    let place = env::var_os("RL_VIZDOOM").map(PathBuf::from);
    let place = place.unwrap_or_else(|| rl_assets::cache().unwrap().join("vizdoom-1.3.2"));
    let dir = place.join("vizdoom/scenarios");
    let listed = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut names: Vec<String> = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".cfg"));
    names.sort();
    let shipped = golden["shipped"].as_object().unwrap();
    assert_eq!(names, shipped.keys().cloned().collect::<Vec<_>>());
    for name in names {
        let config = Config::read(&dir.join(&name)).unwrap();
        assert_eq!(reported(&config, &dir), expected(&golden, &shipped[&name]["reported"]), "{name}");
    }
}

/// A line that is near to right: what is taken and refused lies close to it.
fn line() -> impl Strategy<Value = String> {
    let keys = "available_buttons availablegamevariables game_args seed doom_skill living_reward doom_map mode \
                screen_format screen_resolution button_max_value render_hud doom_scenario_path # {";
    let values =
        "{ } {} ATTACK USE HEALTH turn_left_right_delta 1 -1 1e999 nan true PLAYER GRAY8 RES_160X120 = # \\ \u{0} é";
    let words =
        |of: &'static str| prop::sample::select(of.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    (words(keys), words("= += + =="), prop::collection::vec(words(values), 0..4), words("\n \r\n \t"))
        .prop_map(|(key, sign, values, end)| format!("{key} {sign} {}{end}", values.join(" ")))
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), prop::collection::vec(line(), 0..6).prop_map(|lines| lines.concat())]) {
        match parse(&text) {
            Ok(_) => {}
            Err(Error::Cfg { line, .. }) => prop_assert!((1..=text.lines().count()).contains(&line), "line {line}"),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn comments_between_lines_change_nothing(lines in prop::collection::vec(line(), 0..6)) {
        let text = lines.concat();
        let apart = text.lines().collect::<Vec<_>>().join("\n  # = { } between\n\n");
        prop_assert_eq!(parse(&text).ok(), parse(&apart).ok());
    }
}
