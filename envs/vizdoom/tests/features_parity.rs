//! Equality with Python's vizdoom 1.3.2 where a game is more than screens and rewards: formats, resolutions, what is drawn,
//! things, floor plans, notifications, all variables and buttons, demos, saved games, a spectator, commands, sound.
//!
//! `golden/features.json` is made by `golden/features.py`, which says what a case is.

mod support;

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use vizdoom::{Buffer, Button, Config, Error, Game, MapName, Pose};

use support::{Draws, number};

#[derive(Deserialize)]
struct Case {
    name: String,
    cfg: String,
    lines: Vec<String>,
    told: Vec<Told>,
    steps: Vec<Step>,
    answers: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Screen,
    Depth,
    Labels,
    Automap,
    Labelled,
    Objects,
    Sectors,
    Notifications,
    Action,
    ActionAlone,
    Audio,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Bare([String; 1]),
    File(String, String),
    Replay(#[allow(dead_code)] String, String, u32), // no other kind has a file and a number
    Tics(String, u32, u32),
    Most(#[allow(dead_code)] String, String, f64), // a bound is written with a point
}

/// The scenario's `.cfg` with the lines of the case behind its own.
fn config(case: &Case, package: &Path, folder: &Path) -> Config {
    let scenarios = package.join("vizdoom/scenarios");
    let before = ["seed = 1", "mode = PLAYER", "window_visible = false", "audio_buffer_enabled = false"];
    let own = std::fs::read_to_string(scenarios.join(format!("{}.cfg", case.cfg))).unwrap();
    let added = before.iter().copied().chain(case.lines.iter().map(String::as_str)).collect::<Vec<_>>().join("\n");
    let path = folder.join("case.cfg");
    std::fs::write(&path, format!("{own}\n{added}\n")).unwrap();
    let mut config = Config::read(&path).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    if let Some(name) = config.doom_scenario_path.as_ref().and_then(|path| path.file_name()) {
        config.doom_scenario_path = Some(scenarios.join(name));
    }
    if case.cfg == "freedoom1" {
        config.doom_map = MapName::parse("e1m1").unwrap(); // see MAPS in `golden/parity.py`
    }
    config
}

fn pose(pose: &Pose) -> String {
    let [x, y, z] = pose.position;
    let [vx, vy, vz] = pose.velocity;
    [x, y, z, pose.angle, pose.pitch, pose.roll, vx, vy, vz].map(number).join(",")
}

/// The line of `told` in `features.py`.
fn line(game: &Game, told: &[Told], reward: f64) -> String {
    if told == [Told::ActionAlone] {
        return game.last_action().iter().map(|&value| number(value)).collect::<Vec<_>>().join(" ");
    }
    let mut line = format!("{} {} {}", number(reward), game.tic(), u8::from(game.is_over()));
    for &variable in &game.config().available_game_variables {
        write!(line, " {}", number(game.variable(variable))).unwrap();
    }
    if told.contains(&Told::Action) {
        game.last_action().iter().for_each(|&value| write!(line, " {}", number(value)).unwrap());
    }
    if game.is_over() {
        return line;
    }
    for told in told {
        match told {
            Told::Screen => shown(&mut line, game, Buffer::Screen),
            Told::Depth => shown(&mut line, game, Buffer::Depth),
            Told::Labels => shown(&mut line, game, Buffer::Labels),
            Told::Automap => shown(&mut line, game, Buffer::Automap),
            Told::Labelled => {
                for it in game.labels() {
                    let ([x, y], [width, height]) = (it.corner, it.size);
                    let of = format!("{}/{}/{}", it.object, it.name, it.category);
                    write!(line, " {of}/{}:{x},{y},{width},{height}/{}", it.value, pose(&it.pose)).unwrap();
                }
            }
            Told::Objects => {
                for it in game.objects() {
                    write!(line, " {}/{}/{}/{}/{}", it.id, it.sector, it.name, it.category, pose(&it.pose)).unwrap();
                }
            }
            Told::Sectors => {
                for it in game.sectors() {
                    let edges = it.lines.iter().map(|edge| {
                        let blocking = f64::from(u8::from(edge.blocking));
                        [edge.from[0], edge.from[1], edge.to[0], edge.to[1], blocking].map(number).join(",")
                    });
                    let edges = edges.collect::<Vec<_>>().join(";");
                    write!(line, " {}/{}/{}/{edges}", it.id, number(it.floor), number(it.ceiling)).unwrap();
                }
            }
            Told::Notifications => write!(line, " {}", game.notifications()).unwrap(),
            Told::Audio => {
                let mut heard = Vec::new();
                game.audio(&mut heard);
                let bytes: Vec<u8> = heard.into_iter().flat_map(i16::to_le_bytes).collect();
                write!(line, " {:08x}", crc32fast::hash(&bytes)).unwrap();
            }
            Told::Action | Told::ActionAlone => {}
        }
    }
    line
}

fn shown(line: &mut String, game: &Game, buffer: Buffer) {
    let mut bytes = vec![0; game.buffer_len(buffer)];
    game.copy(buffer, &mut bytes);
    write!(line, " {:08x}", crc32fast::hash(&bytes)).unwrap();
}

fn play(case: &Case, package: &Path) -> Result<Vec<String>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let mut game = Game::start(config(case, package, folder.path()), package)?;
    let mut draws = Draws(1);
    let buttons = game.config().available_buttons.clone();
    let mut answers = Vec::new();
    let hash = |bytes: &[u8]| format!("{:08x}", crc32fast::hash(bytes));
    for step in &case.steps {
        let mut tell = |game: &Game, reward| answers.push(hash(line(game, &case.told, reward).as_bytes()));
        match step {
            Step::Tics(kind, times, tics) if kind == "draw" => {
                for _ in 0..*times {
                    let reward = game.act(&draws.action(&buttons), *tics)?;
                    tell(&game, reward);
                }
            }
            Step::Tics(_, times, tics) => {
                for _ in 0..*times {
                    let reward = game.advance(*tics)?;
                    assert_eq!(game.advance(0)?, reward, "{}: nothing is played", case.name);
                    assert!(game.button(Button::TurnLeftRightDelta).is_finite(), "{}: a mean of no tics", case.name);
                    tell(&game, reward);
                }
            }
            Step::File(kind, command) if kind == "command" => game.command(command)?,
            Step::File(kind, name) if kind == "bytes" => {
                answers.push(hash(&std::fs::read(folder.path().join(name)).unwrap()));
            }
            Step::File(kind, name) => {
                let path = folder.path().join(name);
                match kind.as_str() {
                    "record" => game.record_episode(&path)?,
                    "save" => game.save(&path)?,
                    "load" => game.load(&path)?,
                    _ => panic!("{}: no step is called {kind}", case.name),
                }
                tell(&game, 0.0);
            }
            Step::Replay(_, name, player) => {
                game.replay_episode(&folder.path().join(name), *player)?;
                tell(&game, 0.0);
            }
            Step::Most(_, name, most) => game.set_button_max_value(Button::named(name).unwrap(), *most)?,
            Step::Bare([_new]) => {
                game.new_episode()?;
                tell(&game, 0.0);
            }
        }
    }
    Ok(answers)
}

/// Plays the cases whose names begin so.
fn check(kinds: &[&str]) {
    let package = support::package();
    let golden = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/features.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&golden).unwrap();
    let mut different = Vec::new();
    for kind in kinds {
        let chosen: Vec<_> = cases.iter().filter(|case| case.name.starts_with(kind)).collect();
        assert!(!chosen.is_empty(), "no case begins with {kind}");
        for case in chosen {
            let answers = match play(case, &package) {
                Err(error) if case.told.contains(&Told::Audio) => {
                    assert!(error.to_string().contains("libopenal1"), "{}: {error}", case.name);
                    continue; // this machine has no such library: that it is named is all that can be seen here
                }
                answers => answers.unwrap_or_else(|e| panic!("{}: {e}", case.name)),
            };
            assert_eq!(answers.len(), case.answers.len(), "{}", case.name);
            let at: Vec<_> = (0..answers.len()).filter(|&n| answers[n] != case.answers[n]).collect();
            if !at.is_empty() {
                different.push(format!("{}: {at:?} of {}", case.name, answers.len()));
            }
        }
    }
    assert!(different.is_empty(), "answers that are not Python's:\n{}", different.join("\n"));
}

#[test]
fn formats_are_python_s() {
    check(&["format "]);
}

#[test]
fn resolutions_are_python_s() {
    check(&["resolution RES_160X120", "resolution RES_256X144", "resolution RES_320X200", "resolution RES_320X256"]);
}

#[test]
#[ignore = "slow: half a minute"]
fn all_resolutions_are_python_s() {
    check(&["resolution "]);
}

#[test]
fn what_is_drawn_is_python_s() {
    check(&["render_", "automap "]);
}

#[test]
fn things_floor_plans_and_notifications_are_python_s() {
    check(&["things ", "notifications "]);
}

#[test]
fn every_variable_and_every_button_is_python_s() {
    check(&["variables ", "buttons ", "deltas "]);
}

#[test]
fn demos_saved_games_and_commands_are_python_s() {
    check(&["demo ", "saved ", "commands "]);
}

#[test]
fn what_somebody_else_did_is_told_a_spectator_as_in_python() {
    check(&["spectator"]);
}

#[test]
fn what_is_heard_is_python_s() {
    check(&["audio "]);
}
