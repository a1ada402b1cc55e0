//! An engine that is killed at any moment is noticed, leaves nothing behind, and another takes its place.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use support::engines::{self, exists};
use vizdoom::{Config, Error, Game, ScreenFormat, ScreenResolution};

fn start(package: &Path) -> Game {
    let mut config = Config::read(&package.join("vizdoom/scenarios/basic.cfg")).unwrap();
    config.seed = Some(1);
    config.window_visible = false;
    config.screen_format = ScreenFormat::Gray8;
    config.screen_resolution = ScreenResolution::named("RES_160X120").unwrap();
    Game::start(config, package).unwrap()
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap().success());
}

fn kill(process: u32) {
    signal("KILL", process);
}

/// Held by a test that looks at what all engines of this process have left.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names and directories that engines of this process still have.
fn left() -> Vec<PathBuf> {
    engines::left(std::process::id())
}

/// Kills `kills` engines, each somewhere in the first moments of its play. Every other one shares a core with this thread.
fn killed(kills: u64) {
    let (package, _alone) = (support::package(), alone());
    for n in 0..kills {
        let mut game = start(&package);
        let process = game.process();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(n * 7919 % 20_000)); // anywhere in some 40 actions
            kill(process);
        });
        let error = loop {
            let play = |game: &mut Game| {
                if game.is_over() { game.new_episode() } else { game.act(&[0.0, 1.0, 0.0], 4).map(drop) }
            };
            let played = if n % 2 == 1 { game.pinned(play) } else { play(&mut game) };
            if let Err(error) = played {
                break error;
            }
        };
        assert!(matches!(&error, Error::Died { message } if message.contains("signal 9")), "kill {n}: {error}");
        killer.join().unwrap();
        drop(game);
        assert!(!exists(process), "kill {n} left its process");
        assert!(left().is_empty(), "kill {n} left {:?}", left());
    }
}

#[test]
fn an_engine_that_is_killed_is_noticed_and_leaves_nothing() {
    killed(10);
}

#[test]
#[ignore = "slow: a minute"]
fn two_hundred_engines_that_are_killed_are_noticed_and_leave_nothing() {
    killed(200);
}

/// What a game is asked while its engine is stopped.
type Asked = fn(&mut Game) -> Result<(), Error>;

#[test]
fn an_engine_that_stops_answering_is_ended_and_named_whatever_it_was_asked() {
    let (package, _alone) = (support::package(), alone());
    let dir = tempfile::tempdir().unwrap();
    let asked: [(&str, Asked); 4] = [
        ("an action", |game| game.act(&[0.0, 1.0, 0.0], 4).map(drop)),
        ("an episode", |game| game.new_episode_of(3)),
        ("a command", |game| (0..200).try_for_each(|_| game.command("echo"))), // more than a queue holds
        ("to come back", Game::respawn),
    ];
    for (what, ask) in asked {
        let mut game = start(&package);
        let process = game.process();
        game.set_patience(Duration::MAX);
        game.act(&[], 1).unwrap();
        game.set_patience(Duration::from_secs(1));
        signal("STOP", process);
        let error = ask(&mut game).unwrap_err();
        assert_eq!(error.to_string(), "the engine has not answered for 1 s", "{what}");
        assert!(matches!(game.act(&[], 1), Err(Error::Died { .. })), "{what}: no late answer is taken for another");
        drop(game);
        assert!(!exists(process) && left().is_empty(), "{what}");
    }
    // Nor does it keep who has done with it: whether its queue is full, or it records a demo.
    for full in [true, false] {
        let mut game = start(&package);
        let process = game.process();
        game.set_patience(Duration::from_secs(1));
        game.record_episode(&dir.path().join("a.lmp")).unwrap();
        signal("STOP", process);
        if full {
            (0..64).try_for_each(|_| game.command("echo")).unwrap();
        }
        drop(game);
        assert!(!exists(process), "{full}");
    }
}

/// As a terminal does to all processes of a command at Ctrl-C, and a job scheduler at the end of its time.
#[test]
fn a_signal_that_asks_to_stop_is_not_the_engines() {
    let _alone = alone();
    let mut game = start(&support::package());
    for name in ["INT", "TERM", "HUP"] {
        signal(name, game.process());
        for _ in 0..100 {
            if game.is_over() {
                game.new_episode().unwrap();
            }
            game.act(&[0.0, 1.0, 0.0], 4).unwrap();
        }
    }
}

#[test]
fn an_engine_that_lives_leaves_nothing_either() {
    let _alone = alone();
    let game = start(&support::package());
    let process = game.process();
    assert!(exists(process) && left().is_empty(), "its names are gone while it plays: {:?}", left());
    drop(game);
    assert!(!exists(process));
}

#[test]
fn what_is_missing_or_not_an_engine_is_named() {
    let (package, _alone) = (support::package(), alone());
    let mut config = Config::read(&package.join("vizdoom/scenarios/basic.cfg")).unwrap();
    let refused = |config: &Config| Game::start(config.clone(), &package).unwrap_err().to_string();
    let other = Config::read(&package.join("vizdoom/scenarios/freedoom1.cfg")).unwrap(); // its map has another name
    let mut game =
        Game::start(Config { audio: config.audio.clone(), automap: config.automap.clone(), ..other }, &package)
            .unwrap();
    let error = game.new_episode().unwrap_err().to_string();
    assert!(error.contains("map01 does not begin"), "{error}");
    drop(game);
    config.doom_scenario_path = Some("/nowhere/x.wad".into());
    assert!(refused(&config).contains("/nowhere/x.wad"));
    config.vizdoom_path = Some("/bin/false".into());
    config.doom_scenario_path = None;
    let error = refused(&config);
    assert!(error.contains("exit status 1"), "{error}");
    config.vizdoom_path = Some("/nowhere/engine".into());
    assert!(refused(&config).contains("/nowhere/engine"));
}
