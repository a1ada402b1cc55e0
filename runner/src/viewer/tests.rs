//! The player, and what is painted of it, without a display.

mod newer;
mod person;

use std::path::Path;
use std::sync::Arc;

use embedded_graphics::prelude::Point;
use rl_core::{Canvas, Seating, VecEnv};
use rl_replays::recording::{OutputSampling, Pictures, Player as By, Recording, Told};
use rl_replays::{Outputs, Rollout};

use super::command::{Command, Part};
use super::keyframes::EVERY;
use super::layout::{Card, HEADING, Layout, ROW};
use super::paint::paint;
use super::player::Player;
use super::surface::Surface;
use crate::games::screening::Screening;
use crate::games::takes::{self, Take};
use crate::preset::{Ask, Resolved, resolve};
use crate::tables::Tables;

fn tables() -> Tables {
    Tables::new(&[rl_envs::ENVS], &[])
}

fn resolved(env: &str, sets: &[&str]) -> Resolved {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    resolve(&tables(), &Ask { env, sets: &sets, ..Ask::default() }).unwrap()
}

/// A recording of games in which actions take turns.
fn recorded(env: &str, sets: &[&str], games: usize) -> Recording {
    played(env, sets, games, false)
}

/// The same, with pictures if it is filmed.
fn played(env: &str, sets: &[&str], games: usize, filmed: bool) -> Recording {
    let (resolved, env, takes) = taken(env, sets, games, filmed);
    read(&resolved, env.as_ref(), &takes, filmed)
}

/// The same, before it is written: where it was played, and the games.
fn taken(env: &str, sets: &[&str], games: usize, filmed: bool) -> (Resolved, Box<dyn VecEnv>, Vec<Take>) {
    let resolved = resolved(env, sets);
    let mut env = resolved.seat_eval(&Seating { seed: 3, seats: 0..1 }).unwrap();
    let mut canvas = Canvas::new(0, 0);
    let mut block = Rollout::new(env.spec(), 1, 1, 0);
    env.reset(block.first()).unwrap();
    let (mut takes, mut turn, actions) = (Vec::new(), 0, env.spec().discrete[0]);
    for _ in 0..games {
        let mut take = Take::of_seat(env.as_ref(), 0, 1, filmed.then_some(&mut canvas)).unwrap();
        loop {
            turn += 1;
            block.discrete.row_mut(0)[0] = turn / 7 % actions;
            let (act, rows) = block.step(0);
            env.step(act, rows).unwrap();
            if block.age[(1, 0)] == 0 {
                block.carry();
                break;
            }
            take.push(&block, 0, 0, None);
            take.look(env.as_ref(), 0, Told::of(&block, 1, 0), &mut canvas).unwrap();
            block.carry();
        }
        takes.push(take);
    }
    (resolved, env, takes)
}

fn read(resolved: &Resolved, env: &dyn VecEnv, takes: &[Take], filmed: bool) -> Recording {
    let file = tempfile::NamedTempFile::new().unwrap();
    write(file.path(), resolved, env, takes, filmed);
    crate::games::playback::read(file.path()).unwrap()
}

fn write(to: &Path, resolved: &Resolved, env: &dyn VecEnv, takes: &[Take], filmed: bool) {
    let mut manifest = takes::manifest(resolved, &resolved.eval_table().unwrap(), env, By::Human {}, None).unwrap();
    let (frame_rate, action_names) = (env.frame_rate(), env.action_names());
    manifest.pictures = filmed.then_some(Pictures { frame_rate, action_names, watched: false });
    takes::write(to, &manifest, takes).unwrap();
}

fn player(recording: Recording) -> Player {
    player_among(&tables(), recording)
}

fn player_among(tables: &Tables, recording: Recording) -> Player {
    let screening = Screening::new(&recording.manifest, tables).unwrap();
    let mut player = Player::new(Arc::new(recording), 0, screening, tables).unwrap();
    player.survey_all().unwrap();
    player
}

/// Everything that a person sees of a step, and what the policy sees.
fn look(player: &Player) -> (usize, f64, Canvas, Vec<u8>, Vec<f32>) {
    let block = player.sees().expect("it is played again");
    let mut stack = vec![0; block.spec().frame_len() * block.spec().stack];
    if !stack.is_empty() {
        block.stack(0, 0, &mut stack);
    }
    (player.position(), player.now().ret, player.picture().clone(), stack, block.vector.at(0, 0).to_vec())
}

/// Jumps to and fro end in what straight play shows.
fn jumps_are_straight(recording: Recording) {
    let mut player = player(recording);
    let steps = player.played().steps();
    let mut straight = vec![look(&player)];
    for _ in 0..steps {
        player.obey(Command::Forward).unwrap();
        straight.push(look(&player));
    }
    assert!(player.survey().keyframes.size().0 >= 3, "{steps} steps");
    for n in 0..60 {
        let to = n * 83 % (steps + 1);
        player.seek(to).unwrap();
        while player.position() != to {
            player.advance(0.0).unwrap();
        }
        assert!(look(&player) == straight[to], "step {to}");
        if n % 3 == 0 && to > 0 {
            player.obey(Command::Back).unwrap();
            assert!(look(&player) == straight[to - 1], "back from step {to}");
        }
    }
    assert_eq!(player.survey().differs(), None);
}

#[test]
fn a_jump_ends_in_what_straight_play_shows() {
    let recording = recorded("mountaincar", &["env.max_steps=300"], 1);
    assert!(recording.episodes[0].steps() > 4 * EVERY);
    jumps_are_straight(recording);
}

#[cfg(feature = "atari")]
#[test]
fn a_jump_in_a_game_of_atari_fills_the_stack_of_frames() {
    jumps_are_straight(recorded("atari/pong", &["eval.max_frames=1200"], 1));
}

/// Where no environment is known: the same pictures, and nothing of what a network would see.
#[test]
fn pictures_show_what_playing_again_shows() {
    let recording = played("mountaincar", &["env.max_steps=300"], 2, true);
    let mut again = player(recording.clone());
    let mut kept = player_among(&Tables::new(&[], &[]), recording);
    assert!(kept.sees().is_none() && kept.names() == again.names() && kept.frame_rate() == again.frame_rate());
    assert_eq!(kept.survey().steps(), again.survey().steps());
    assert_eq!(kept.survey().differs(), None);
    for n in 0..40 {
        let to = n * 83 % 301;
        for player in [&mut again, &mut kept] {
            player.seek(to).unwrap();
            while player.position() != to {
                player.advance(0.0).unwrap();
            }
        }
        assert!(kept.picture() == again.picture() && kept.now() == again.now(), "step {to}");
        assert!(kept.picture().width() > 0);
    }
    let size = (1000, 700);
    assert!(Layout::of(&again, size).cards.iter().any(|(card, _)| *card == Card::Sees));
    assert!(!Layout::of(&kept, size).cards.iter().any(|(card, _)| *card == Card::Sees));
    let before = painted(&kept, size);
    kept.look_by(Some("a-run".into()));
    kept.obey(Command::Toggle(Part::Heat)).unwrap();
    assert!(painted(&kept, size).pixels() != before.pixels(), "it says why not");
    kept.obey(Command::Next).unwrap();
    assert_eq!((kept.game(), kept.position()), (1, 0));
    again.obey(Command::Next).unwrap();
    assert!(kept.picture() == again.picture());
    let without = recorded("mountaincar", &[], 1);
    assert!(Screening::new(&without.manifest, &Tables::new(&[], &[])).is_err(), "there is nothing to show");
}

#[test]
fn a_long_way_shows_where_it_has_come_to_without_keyframes() {
    let recording = recorded("mountaincar", &["env.max_steps=300"], 1);
    let screening = Screening::new(&recording.manifest, &tables()).unwrap();
    let mut player = Player::new(Arc::new(recording), 0, screening, &tables()).unwrap();
    player.obey(Command::End).unwrap();
    assert_eq!(player.position(), 128, "a call does not take longer");
    player.pause(true);
    while player.advance(0.0).unwrap() && player.position() < 300 {}
    assert_eq!(player.position(), 300);
}

/// So many tenths of a second.
fn wait(player: &mut Player, tenths: usize) {
    for _ in 0..tenths {
        player.advance(0.1).unwrap();
    }
}

#[test]
fn time_goes_by_at_the_speed_that_was_asked_for() {
    let mut player = player(recorded("mountaincar", &[], 1));
    player.advance(0.1).unwrap();
    assert_eq!(player.position(), 3, "30 frames a second");
    for _ in 0..9 {
        player.obey(Command::Faster).unwrap();
    }
    player.advance(0.1).unwrap();
    assert_eq!((player.speed(), player.position()), (16.0, 51));
    for _ in 0..9 {
        player.obey(Command::Slower).unwrap();
    }
    let before = player.position();
    wait(&mut player, 8);
    assert_eq!((player.speed(), player.position()), (0.25, before + 6));
    player.obey(Command::Play).unwrap();
    assert!(!player.advance(0.1).unwrap(), "paused");
    player.advance(1e9).unwrap();
    player.obey(Command::Play).unwrap();
    player.obey(Command::Back).unwrap();
    assert_eq!((player.playing(), player.position()), (false, before + 5), "a step pauses");
}

#[test]
fn the_next_game_follows_and_the_last_one_stops() {
    let mut player = player(recorded("cartpole", &[], 2));
    for _ in 0..3 {
        player.obey(Command::Previous).unwrap();
        player.obey(Command::Back).unwrap();
    }
    assert_eq!((player.game(), player.position()), (0, 0));
    player.obey(Command::End).unwrap();
    player.obey(Command::Forward).unwrap();
    assert!(player.at_end());
    player.pause(false);
    wait(&mut player, 16);
    assert_eq!((player.game(), player.at_end()), (1, false));
    wait(&mut player, 90);
    assert!(player.at_end() && !player.playing());
    player.obey(Command::Play).unwrap();
    assert_eq!((player.position(), player.playing()), (0, true), "once more");
    player.obey(Command::Next).unwrap();
    assert_eq!(player.game(), 1);
}

#[test]
fn a_game_that_is_not_what_was_recorded_is_told() {
    let mut recording = recorded("mountaincar", &[], 1);
    recording.manifest.config = recording.manifest.config.replace("max_steps = 200", "max_steps = 150");
    let player = player(recording);
    assert_eq!(player.survey().differs(), Some(149), "where it is cut off");
    assert_eq!(player.survey().steps().len(), 150);
}

#[test]
fn a_recording_that_grows_goes_on_where_it_was_and_a_newer_one_begins() {
    let (two, three) = (recorded("mountaincar", &[], 2), recorded("mountaincar", &[], 3));
    let mut player = player(two.clone());
    player.obey(Command::Next).unwrap();
    player.seek(70).unwrap();
    let fresh = || Screening::new(&two.manifest, &tables()).unwrap();
    player.renew(three.clone(), fresh(), true).unwrap();
    assert_eq!((player.game(), player.position(), player.games().len()), (1, 70, 3));
    player.renew(three, fresh(), false).unwrap();
    assert_eq!((player.game(), player.position()), (0, 0));
}

/// A picture of the player in a window of some size.
fn painted(player: &Player, size: (usize, usize)) -> Surface {
    let mut surface = Surface::default();
    surface.resize(size);
    paint(player, &mut surface);
    surface
}

#[test]
fn every_size_of_window_can_be_painted_and_the_game_is_in_it() {
    let mut player = player(recorded("frozenlake", &[], 30));
    for size in [(1, 1), (30, 900), (900, 30), (300, 301), (640, 480), (1300, 800), (3000, 2000)] {
        for _ in 0..2 {
            painted(&player, size);
            player.obey(Command::Help).unwrap();
        }
        player.obey(Command::Bare).unwrap();
        painted(&player, size);
        player.obey(Command::Bare).unwrap();
    }
    let (size, picture) = ((1300, 800), player.picture().clone());
    let area = Layout::of(&player, size).game;
    let mut alone = painted(&player, size);
    let before = alone.pixels().to_vec();
    alone.center(&picture, area);
    assert!(alone.pixels() == before, "nothing covers the game");
}

#[test]
fn parts_come_and_go_and_all_of_them_at_once() {
    let mut player = player(recorded("frozenlake", &[], 2));
    let size = (1000, 700);
    let all = painted(&player, size);
    for part in [Part::Games, Part::Action, Part::Sees, Part::Return] {
        player.obey(Command::Toggle(part)).unwrap();
        assert!(painted(&player, size).pixels() != all.pixels(), "{part:?}");
        player.obey(Command::Toggle(part)).unwrap();
        assert!(painted(&player, size).pixels() == all.pixels(), "{part:?}");
    }
    player.obey(Command::Bare).unwrap();
    assert!(Layout::of(&player, size).cards.is_empty());
    player.obey(Command::Toggle(Part::Games)).unwrap();
    assert!(painted(&player, size).pixels() == all.pixels());
}

#[test]
fn what_an_agent_thought_is_shown_where_it_was_kept() {
    let resolved = resolved("frozenlake", &["env.slippery=false"]);
    let mut env = resolved.seat_eval(&Seating { seed: 3, seats: 0..1 }).unwrap();
    let mut block = Rollout::new(env.spec(), 1, 1, 0);
    block.record_outputs();
    env.reset(block.first()).unwrap();
    let (mut take, kept) = (Take::begin(env.episode_seed(0)), OutputSampling { kind: Outputs::Q, every: 1 });
    for (step, action) in [2, 2, 0, 1].into_iter().enumerate() {
        block.discrete.row_mut(0)[0] = action;
        let best = if step == 1 { f32::NAN } else { 0.25 * step as f32 };
        block.outputs.row_mut(0).copy_from_slice(&[best, f32::NAN, best, -1.0, -2.0]);
        let (act, rows) = block.step(0);
        env.step(act, rows).unwrap();
        take.push(&block, 0, 0, Some(1));
        block.carry();
    }
    assert!(take.outcome.end.over(), "a hole");
    let manifest =
        takes::manifest(&resolved, &resolved.eval_table().unwrap(), env.as_ref(), By::Human {}, Some(kept)).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    takes::write(file.path(), &manifest, &[take]).unwrap();
    let recording = crate::games::playback::read(file.path()).unwrap();
    let (again, fresh) = (recording.clone(), Screening::new(&recording.manifest, &tables()).unwrap());
    let mut player = player(recording);
    assert!(again.episodes[0] != again.episodes[0].clone(), "a number of it is none");
    player.renew(again, fresh, true).unwrap();
    assert_eq!(player.survey().steps().len(), 4, "the game is the same nevertheless");
    let size = (1000, 700);
    for step in 0..=4 {
        player.seek(step).unwrap();
        let all = painted(&player, size);
        for part in [Part::Thoughts, Part::Value] {
            player.obey(Command::Toggle(part)).unwrap();
            assert!(painted(&player, size).pixels() != all.pixels(), "{part:?} of step {step}");
            player.obey(Command::Toggle(part)).unwrap();
        }
    }
    let without = recorded("frozenlake", &[], 1);
    let mut player = self::player(without);
    let all = painted(&player, size);
    player.obey(Command::Toggle(Part::Thoughts)).unwrap();
    assert!(painted(&player, size).pixels() == all.pixels(), "nothing was kept");
}

#[test]
fn the_mouse_drags_the_timeline_chooses_games_and_pauses() {
    let mut player = player(recorded("mountaincar", &[], 5));
    let layout = Layout::of(&player, (1000, 700));
    let middle = layout.line.center();
    assert!(layout.point(&mut player, middle, false).unwrap());
    assert!(player.position().abs_diff(100) <= 1, "{}", player.position());
    let end = Point::new(layout.line.top_left.x + layout.line.size.width as i32 - 1, middle.y);
    layout.point(&mut player, end, false).unwrap();
    assert_eq!(player.position(), player.played().steps());
    let (_, list) = *layout.cards.iter().find(|(card, _)| *card == Card::Games).unwrap();
    let third = list.top_left + Point::new(40, (HEADING + 2 * ROW + 3) as i32);
    assert!(!layout.point(&mut player, third, false).unwrap(), "only where it is clicked");
    assert!(layout.point(&mut player, third, true).unwrap());
    assert_eq!((player.game(), player.position()), (2, 0));
    let heading = list.top_left + Point::new(40, HEADING as i32 / 2);
    assert!(!layout.point(&mut player, heading, true).unwrap() && player.game() == 2, "a heading is no game");
    layout.point(&mut player, layout.game.center(), true).unwrap();
    assert!(!player.playing());
}
