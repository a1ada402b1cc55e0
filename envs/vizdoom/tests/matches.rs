//! Matches of several players: equal to Python's, the same every time, and over for all when one engine dies.
//!
//! `golden/matches.json` is made by `golden/matches.py`.

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use support::engines::{self, exists};
use support::{Draws, number};
use vizdoom::{Buffer, Config, Error, Game, Match, Mode, ScreenResolution, Variable};

const ARGS: &str =
    "-deathmatch +sv_forcerespawn 1 +sv_noautoaim 1 +sv_respawnprotect 1 +sv_spawnfarthest 1 +cl_noprediction 1";
const ASKED: [Variable; 4] = [Variable::FragCount, Variable::DeathCount, Variable::PositionX, Variable::PositionY];

/// Engines of one test at a time: what is left in `/dev/shm` is looked at.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(name: &str, seed: u32) -> Config {
    let mut config = Config::read(&support::package().join(format!("vizdoom/scenarios/{name}.cfg"))).unwrap();
    config.seed = Some(seed);
    config.mode = Mode::Player;
    config.window_visible = false;
    config.screen_resolution = ScreenResolution::named("RES_160X120").unwrap();
    config.game_args = args(ARGS);
    config
}

fn args(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn start(name: &str, players: usize, seed: u32) -> Match {
    Match::start(&config(name, seed), players, &support::package()).unwrap()
}

/// Has every player press what is drawn for it, as `matches.py` does.
fn press(draws: &mut Draws, game: &mut Match) {
    for player in 0..game.players().len() {
        let row = draws.action(&game.players()[player].config().available_buttons);
        game.press(player, &row);
    }
}

fn screen(game: &Game) -> u32 {
    let mut screen = vec![0; game.buffer_len(Buffer::Screen)];
    game.copy(Buffer::Screen, &mut screen);
    crc32fast::hash(&screen)
}

/// What a player is told after an action, as a line of `matches.py`.
fn line(game: &Game) -> String {
    let mut line = format!("{} {}", number(game.reward()), game.tic());
    for &variable in game.config().available_game_variables.iter().chain(&ASKED) {
        write!(line, " {}", number(game.variable(variable))).unwrap();
    }
    write!(line, " {:08x}", screen(game)).unwrap();
    line
}

/// Lines of `actions` actions of 4 tics, and what they earned each player.
fn play(game: &mut Match, draws: &mut Draws, actions: u32) -> (Vec<String>, Vec<f64>) {
    let (mut lines, mut earned) = (Vec::new(), vec![0.0; game.players().len()]);
    for _ in 0..actions {
        press(draws, game);
        game.advance(4).unwrap();
        lines.extend(game.players().iter().map(line));
        earned.iter_mut().zip(game.players()).for_each(|(sum, player)| *sum += player.reward());
    }
    (lines, earned)
}

/// Nobody does anything before this tic.
fn idle(game: &mut Match, tic: u32) {
    (0..game.players().len()).for_each(|player| game.press(player, &[]));
    while game.players()[0].tic() < tic {
        game.advance(1).unwrap();
    }
}

/// Sums of rewards, frags and deaths of each player, the last tic, and a checksum of all that was told.
type Episode = (Vec<[f64; 3]>, u32, String);

#[test]
fn matches_are_what_they_are_in_python() {
    let _alone = alone();
    let golden = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/matches.json")).unwrap();
    let golden: Vec<(String, usize, u32, Vec<Episode>)> = serde_json::from_str(&golden).unwrap();
    assert_eq!(golden.iter().map(|run| run.1).collect::<Vec<_>>(), [2, 2, 3, 4]);
    for (name, players, seed, episodes) in golden {
        let mut game = start(&name, players, seed);
        let mut draws = Draws(seed);
        for (number, expected) in episodes.into_iter().enumerate() {
            if number > 0 {
                game.new_episode().unwrap();
            }
            idle(&mut game, 60);
            let (lines, earned) = play(&mut game, &mut draws, 80);
            let mut crc = crc32fast::Hasher::new();
            lines.iter().for_each(|line| crc.update(format!("{line}\n").as_bytes()));
            let counts = |game: &Game| [Variable::FragCount, Variable::DeathCount].map(|count| game.variable(count));
            let counts = game.players().iter().map(counts);
            let sums = earned.iter().zip(counts).map(|(&earned, [frags, deaths])| [earned, frags, deaths]).collect();
            let played: Episode = (sums, game.players()[0].tic(), format!("{:08x}", crc.finalize()));
            assert_eq!(played, expected, "{name} of {players}, episode {number}");
        }
    }
}

#[test]
fn a_match_of_the_same_seed_is_the_same_whatever_else_the_machine_does() {
    let _alone = alone();
    for (name, players) in [("cig", 2), ("multi", 4)] {
        let run = |seed| play(&mut start(name, players, seed), &mut Draws(9), 40).0;
        let first = run(5);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let again = run(5);
            stop.store(true, Ordering::Relaxed);
            assert!(again == first, "{name}: another match of the same seed");
        });
        assert!(run(6) != first, "{name}: a match of another seed");
    }
}

#[test]
fn the_dead_come_back_and_frags_begin_anew_on_the_next_map() {
    let _alone = alone();
    let mut config = config("cig", 2);
    config.game_args = vec!["-deathmatch".to_owned()]; // nobody comes back by itself
    let mut game = Match::start(&config, 2, &support::package()).unwrap();
    game.players().iter().for_each(|player| assert!(!player.is_dead()));
    for player in 0..2 {
        game.command(player, "kill").unwrap();
    }
    for _ in 0..20 {
        game.advance(4).unwrap();
    }
    assert!(game.players().iter().all(|player| player.is_dead() && player.variable(Variable::FragCount) == -1.0));
    assert!(!game.is_over(), "a death ends no match");
    game.respawn().unwrap();
    assert!(game.players().iter().all(|player| !player.is_dead()));
    let names = game.players()[1].players();
    assert!(names.iter().flatten().count() == 2 && names[0].as_ref().is_some_and(|host| host.frags == -1), "{names:?}");
    game.new_episode().unwrap();
    for player in game.players() {
        assert_eq!((player.variable(Variable::FragCount), player.total_reward()), (0.0, 0.0));
        assert!(player.tic() < 10 && !player.is_dead());
    }
}

#[test]
fn who_lives_again_lets_go_of_use_while_others_are_dead() {
    let _alone = alone();
    let mut config = config("cig", 1);
    config.game_args = args("-deathmatch +viz_respawn_delay 2");
    let mut game = Match::start(&config, 2, &support::package()).unwrap();
    game.command(0, "kill").unwrap();
    game.advance(60).unwrap(); // nearly the two seconds until it may come back
    game.command(1, "kill").unwrap();
    game.advance(4).unwrap();
    let last_action = |game: &Match, player: usize| {
        let players = game.players()[0].players();
        players[player].as_ref().expect("it plays").last_action_tic
    };
    game.respawn().unwrap();
    assert!(game.players().iter().all(|player| !player.is_dead()));
    let last = last_action(&game, 1);
    assert!(last_action(&game, 0) == 0 && last > 0, "its last action was at tic {}", last_action(&game, 0));
    game.advance(8).unwrap();
    assert_eq!([0, 1].map(|player| last_action(&game, player)), [0, last], "nobody holds it any more");
}

/// Plays 40 actions of 4 tics in a world that is shared with another, by oneself and in one's own time. Returns how many
/// players there were amid.
fn by_hand(place: &str, seed: u32) -> usize {
    let mut config = config("multi_duel", seed);
    config.game_args.splice(0..0, args(place));
    let mut game = Game::start(config.clone(), &support::package()).unwrap();
    let buttons = config.available_buttons.len();
    let mut draws = Draws(seed);
    let mut players = 0;
    for action in 0..40 {
        let row: Vec<f64> = (0..buttons).map(|_| draws.below(2).into()).collect();
        game.act(&row, 4).unwrap();
        if action == 20 {
            players = game.players().iter().flatten().count();
        }
    }
    assert!(game.tic() >= 160 && game.number() == u32::from(seed == 2), "{} of player {}", game.tic(), game.number());
    players
}

#[test]
fn engines_that_are_started_by_hand_find_each_other_and_play() {
    let _alone = alone();
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let seen = std::thread::scope(|scope| {
        let host = scope.spawn(|| by_hand(&format!("-host 2 -port {port}"), 1));
        let guest = scope.spawn(|| by_hand(&format!("-join 127.0.0.1:{port}"), 2));
        [host.join().unwrap(), guest.join().unwrap()]
    });
    assert_eq!(seen, [2, 2]);
}

#[test]
fn bots_come_when_they_are_called_and_walk_about() {
    let _alone = alone();
    let mut config = config("cig", 1);
    config.objects_info_enabled = true;
    config.game_args = args("-host 1 -deathmatch +sv_forcerespawn 1 +sv_spawnfarthest 1");
    let mut game = Game::start(config.clone(), &support::package()).unwrap();
    for _ in 0..3 {
        game.command("addbot").unwrap();
    }
    let players = |game: &Game| {
        let players = game.objects().into_iter().filter(|object| object.name == "DoomPlayer");
        players.map(|player| (player.id, player.pose.position)).collect::<Vec<_>>()
    };
    game.act(&[], 4).unwrap();
    let before = players(&game);
    for _ in 0..60 {
        game.act(&[], 4).unwrap();
    }
    assert!(game.players().iter().flatten().count() == 4 && before.len() == 4, "{before:?}");
    let after = players(&game);
    let moved = before.iter().filter(|(id, was)| after.iter().any(|(other, is)| id == other && is != was)).count();
    assert!((1..=3).contains(&moved), "bots walk about, and I stand still: {before:?}, {after:?}");
}

#[test]
fn a_limit_of_time_ends_a_match_for_all() {
    let _alone = alone();
    let mut config = config("multi_duel", 2);
    config.episode_timeout = 103;
    config.episode_start_time = 45;
    let mut game = Match::start(&config, 2, &support::package()).unwrap();
    let mut actions = 0;
    while !game.is_over() {
        game.advance(10).unwrap();
        actions += 1;
    }
    assert_eq!(actions, 11);
    assert!(game.players().iter().all(|player| player.tic() == 148 && player.is_timed_out() && !player.is_ended()));
    game.advance(10).unwrap();
    assert_eq!(game.players()[0].tic(), 148);
}

#[test]
fn what_is_no_match_is_refused() {
    let package = support::package();
    for (players, mode, message) in [
        (1, Mode::Player, "players: 1 players: a match has 2 to 16"),
        (17, Mode::Player, "players: 17 players"),
        (2, Mode::AsyncPlayer, "mode: ASYNC_PLAYER does not wait"),
    ] {
        let config = Config { mode, ..config("cig", 1) };
        let error = Match::start(&config, players, &package).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn arguments_that_would_change_the_network_of_a_match_are_refused_by_their_names() {
    let package = support::package();
    for line in [
        "-host 3",
        "-join 127.0.0.1:5029",
        "-port 5029",
        "-deathmatch -netmode 1",
        "-NetMode 0",
        "-dup 2",
        "-extratic",
        "+net_extratic 2",
        "+viz_async 1",
    ] {
        let mut config = config("cig", 1);
        config.game_args.extend(args(line));
        let error = Match::start(&config, 2, &package).unwrap_err().to_string();
        let name = line.split(' ').find(|word| *word != "-deathmatch").unwrap();
        assert!(error.starts_with(&format!("game_args: {name}: a match sets its network")), "{line}: {error}");
    }
}

#[test]
fn a_command_that_does_not_fit_leaves_the_match_as_it_is() {
    let _alone = alone();
    let mut game = start("cig", 2, 1);
    for command in ["x".repeat(128), "a\0b".to_owned()] {
        assert!(matches!(game.command(0, &command), Err(Error::Command { .. })));
        game.advance(4).unwrap();
    }
}

#[test]
fn the_dead_who_may_not_come_back_are_not_waited_for_without_end() {
    let _alone = alone();
    let mut config = config("cig", 1);
    config.game_args = args("-host 1 -deathmatch +sv_norespawn 1");
    let mut alone = Game::start(config.clone(), &support::package()).unwrap();
    alone.command("kill").unwrap();
    alone.act(&[], 8).unwrap();
    assert!(alone.is_dead());
    let error = alone.respawn().unwrap_err().to_string();
    assert!(error.contains("game_args: a dead player has not come back"), "{error}");
    drop(alone);
    config.game_args = args("-deathmatch +sv_norespawn 1");
    let mut game = Match::start(&config, 2, &support::package()).unwrap();
    game.command(1, "kill").unwrap();
    game.advance(8).unwrap();
    assert!(game.players()[1].is_dead());
    let error = game.respawn().unwrap_err().to_string();
    assert!(error.contains("game_args: a dead player has not come back"), "{error}");
}

#[test]
fn a_map_that_ends_before_its_match_has_begun_is_named() {
    let _alone = alone();
    let mut config = config("cig", 1);
    config.game_args.extend(args("+timelimit 0.01"));
    let error = Match::start(&config, 2, &support::package()).unwrap_err().to_string();
    assert!(error.contains("map01 does not begin"), "{error}");
}

/// Names and directories that engines of this process still have.
fn left() -> Vec<PathBuf> {
    engines::left(std::process::id())
}

/// Kills one engine of each of `kills` matches, somewhere in the first moments of its play, a change of map among them.
fn killed(kills: u64) {
    let _alone = alone();
    for n in 0..kills {
        let players = 2 + n as usize % 2;
        let mut game = start("cig", players, 1);
        let processes: Vec<u32> = game.players().iter().map(Game::process).collect();
        let victim = processes[n as usize / 2 % players];
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(n * 7919 % 40_000));
            assert!(Command::new("kill").args(["-9", &victim.to_string()]).status().unwrap().success());
        });
        let mut draws = Draws(1);
        let error = loop {
            press(&mut draws, &mut game);
            if let Err(error) = game.advance(4).and_then(|()| game.new_episode()) {
                break error;
            }
        };
        assert!(matches!(error, Error::Died { .. }), "kill {n}: {error}");
        killer.join().unwrap();
        assert!(matches!(game.advance(4), Err(Error::Died { .. })), "kill {n}: the others are ended");
        drop(game);
        assert!(!processes.into_iter().any(exists), "kill {n} left a process");
        assert!(left().is_empty(), "kill {n} left {:?}", left());
    }
}

/// What a match is asked while one of its engines is stopped.
type Asked = fn(&mut Match) -> Result<(), Error>;

#[test]
fn an_engine_that_stops_answering_ends_its_match() {
    let _alone = alone();
    let asked: [Asked; 3] =
        [|game| game.advance(4), Match::new_episode, |game| (0..200).try_for_each(|_| game.command(1, "echo"))];
    for ask in asked {
        let mut game = start("cig", 2, 1);
        let processes: Vec<u32> = game.players().iter().map(Game::process).collect();
        game.set_patience(Duration::from_secs(3));
        assert!(Command::new("kill").args(["-s", "STOP", &processes[1].to_string()]).status().unwrap().success());
        let error = ask(&mut game).unwrap_err().to_string();
        assert_eq!(error, "the engine has not answered for 3 s");
        assert!(matches!(game.advance(4), Err(Error::Died { .. })), "the others are ended");
        drop(game);
        assert!(!processes.into_iter().any(exists));
    }
}

#[test]
fn an_engine_that_dies_ends_its_match_and_leaves_nothing() {
    killed(4);
}

#[test]
fn an_engine_that_dies_while_its_match_starts_is_an_error_and_leaves_nothing() {
    let _alone = alone();
    for engine in 0..3 {
        let killer = std::thread::spawn(move || {
            loop {
                if let Some(victim) = engines::of(std::process::id()).get(engine) {
                    return Command::new("kill").args(["-9", &victim.to_string()]).status().unwrap().success();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let error = Match::start(&config("cig", 1), 3, &support::package()).unwrap_err();
        assert!(matches!(&error, Error::Died { message } if message.contains("signal 9")), "engine {engine}: {error}");
        assert!(killer.join().unwrap() && engines::of(std::process::id()).is_empty(), "engine {engine} left others");
        assert!(left().is_empty(), "engine {engine} left {:?}", left());
    }
}

#[test]
#[ignore = "slow: two minutes"]
fn fifty_engines_that_die_end_their_matches_and_leave_nothing() {
    killed(50);
}
