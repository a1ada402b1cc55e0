//! A person's games, without a display.

use minifb::Key;
use rl_core::Seating;
use rl_replays::recording::RecordedEpisode;

use super::{player, read, resolved};
use crate::viewer::hands::{Act, Hands};
use crate::viewer::paint;
use crate::viewer::sitting::{Kept, Phase, Sitting};
use crate::viewer::surface::Surface;
use crate::viewer::window::Input;

fn sitting(env: &str, sets: &[&str]) -> Sitting {
    let env_of = resolved(env, sets).seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
    Sitting::begin(env_of, env, Kept::Games).unwrap()
}

fn pressed(keys: &[Key]) -> Input {
    Input { pressed: keys.to_vec(), held: keys.to_vec(), ..Input::default() }
}

#[test]
fn a_persons_game_is_recorded_as_it_was() {
    let sets = ["env.slippery=false"];
    let mut sitting = sitting("frozenlake", &sets);
    sitting.advance(&pressed(&[]), 9.0).unwrap();
    assert_eq!(sitting.counts(), (1, 0, 0.0), "it waits for each move");
    for key in [Key::Down, Key::S, Key::Right, Key::D, Key::Down, Key::Right] {
        sitting.advance(&pressed(&[key]), 0.0).unwrap();
    }
    assert_eq!((sitting.phase(), sitting.counts()), (Phase::Over, (1, 6, 1.0)));
    let mut surface = Surface::default();
    surface.resize((640, 480));
    paint::sitting(&sitting, Some(&[("M", "sound")]), &mut surface);
    sitting.advance(&pressed(&[Key::Enter]), 0.0).unwrap();
    assert_eq!((sitting.phase(), sitting.counts()), (Phase::Going, (2, 0, 0.0)));
    let resolved = resolved("frozenlake", &sets);
    let env = resolved.seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
    let recording = read(&resolved, env.as_ref(), sitting.takes(), false);
    assert!(recording.whole && recording.episodes.len() == 1);
    let ret = |played: &RecordedEpisode| played.outcome.unwrap().ret;
    assert_eq!(ret(&recording.episodes[0]), 1.0);
    assert_eq!(player(recording).survey().differs(), None);
}

#[test]
fn games_are_kept_where_a_file_is_to_hold_them_and_else_their_returns_alone() {
    for (kept, games, promise) in [
        (Kept::Nothing, 0, "Games are not kept: --out FILE records them."),
        (Kept::Games, 1, "Games that are played to their end are kept."),
        (Kept::Filmed, 1, "Games that are played to their end are kept."),
    ] {
        let resolved = resolved("frozenlake", &["env.slippery=false"]);
        let env = resolved.seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
        let mut sitting = Sitting::begin(env, "frozenlake", kept).unwrap();
        assert!(!sitting.unfinished(), "nothing was played");
        for (step, key) in [Key::Down, Key::Down, Key::Right, Key::Right, Key::Down, Key::Right].into_iter().enumerate()
        {
            assert_eq!(sitting.unfinished(), step > 0);
            sitting.advance(&pressed(&[key]), 0.0).unwrap();
        }
        assert!(sitting.phase() == Phase::Over && !sitting.unfinished());
        assert_eq!((sitting.returns(), sitting.takes().len(), sitting.promise()), (&[1.0][..], games, promise));
        sitting.advance(&pressed(&[Key::Enter]), 0.0).unwrap();
        assert!(!sitting.unfinished() && sitting.counts() == (2, 0, 0.0));
        if kept == Kept::Filmed {
            let env = resolved.seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
            assert_eq!(read(&resolved, env.as_ref(), sitting.takes(), true).episodes[0].steps(), 6);
        }
    }
}

#[test]
fn time_goes_on_once_a_person_is_ready() {
    let mut sitting = sitting("cartpole", &[]);
    sitting.advance(&pressed(&[]), 0.1).unwrap();
    assert_eq!((sitting.phase(), sitting.counts().1), (Phase::Ready, 0));
    sitting.advance(&pressed(&[Key::Left]), 0.1).unwrap();
    sitting.advance(&pressed(&[Key::Left]), 0.1).unwrap();
    assert_eq!((sitting.phase(), sitting.counts().1), (Phase::Going, 5), "50 frames a second");
    sitting.advance(&pressed(&[Key::P]), 0.1).unwrap();
    sitting.advance(&pressed(&[]), 0.1).unwrap();
    assert_eq!((sitting.phase(), sitting.counts().1), (Phase::Paused, 5));
}

#[test]
fn a_key_that_is_up_again_before_the_next_action_counts_once() {
    let tap = |keys: &[Key]| Input { pressed: keys.to_vec(), ..Input::default() };
    let mut sitting = sitting("cartpole", &[]);
    for (input, milliseconds) in [
        (tap(&[Key::Left]), 0.0), // begins
        (pressed(&[Key::Right]), 20.0),
        (tap(&[]), 5.0),
        (tap(&[Key::Left]), 5.0),
        (tap(&[]), 10.0), // takes the tap
        (pressed(&[Key::Right]), 20.0),
        (pressed(&[Key::Right]), 5.0), // its repetition
        (tap(&[Key::Left]), 5.0),
        (tap(&[]), 10.0),
    ] {
        sitting.advance(&input, milliseconds / 1_000.0).unwrap();
    }
    while sitting.phase() == Phase::Going {
        sitting.advance(&pressed(&[Key::Right]), 0.02).unwrap();
    }
    let (resolved, env) =
        (resolved("cartpole", &[]), resolved("cartpole", &[]).seat_eval(&Seating { seed: 1, seats: 0..1 }));
    let recording = read(&resolved, env.unwrap().as_ref(), sitting.takes(), false);
    let action = |step| recording.episodes[0].action(step).0[0];
    assert_eq!([0, 1, 2, 3, 4].map(action), [1, 0, 1, 0, 1]);
}

#[test]
fn a_game_pauses_only_where_time_goes_on() {
    for (env, expected) in [("cartpole", Phase::Paused), ("frozenlake", Phase::Going)] {
        let mut sitting = sitting(env, &[]);
        sitting.pause();
        assert_ne!(sitting.phase(), Phase::Paused, "{env} has not begun");
        sitting.advance(&pressed(&[Key::Left]), 0.1).unwrap();
        sitting.pause();
        assert_eq!(sitting.phase(), expected, "{env}");
    }
}

#[cfg(feature = "atari")]
#[test]
fn a_game_is_heard_as_long_as_it_goes_on() {
    let mut sitting = sitting("atari/pong", &["env.frame_skip=1"]);
    assert_eq!(sitting.listen(), Some(30_720));
    let mut samples = |key: &[Key]| {
        sitting.advance(&pressed(key), 0.05).unwrap();
        sitting.sound().len()
    };
    let heard = [&[Key::Space][..], &[], &[], &[Key::P], &[]].map(&mut samples);
    assert_eq!(heard, [0, 3 * 512, 3 * 512, 0, 0]);
    assert_eq!(self::sitting("cartpole", &[]).listen(), None);
}

#[test]
fn one_of_a_list_is_marked_and_taken() {
    let mut sitting = sitting("connectfour", &[]);
    assert_eq!(sitting.marked().as_deref(), Some("column 4"));
    for key in [Key::Left, Key::Left, Key::Left, Key::Left, Key::Right] {
        sitting.advance(&pressed(&[key]), 0.0).unwrap();
    }
    assert_eq!((sitting.marked().as_deref(), sitting.counts().1), (Some("column 2"), 0));
    let before = sitting.picture().clone();
    sitting.advance(&pressed(&[Key::Space]), 0.0).unwrap();
    assert_eq!(sitting.counts().1, 1);
    assert!(*sitting.picture() != before, "a stone fell");
    assert_eq!(self::sitting("frozenlake", &[]).marked(), None);
}

#[test]
fn keys_do_what_their_names_say() {
    let hands = |env: &str| {
        let seated = resolved(env, &[]).seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
        Hands::new(seated.as_ref(), env).unwrap()
    };
    let mut checks: Vec<(&str, &[Key], Option<Act>)> = vec![
        ("taxi", &[Key::Up], Some(Act::Discrete(1))),
        ("taxi", &[Key::Space], Some(Act::Discrete(4))),
        ("connectfour", &[Key::Key4], Some(Act::Discrete(3))),
        ("connectfour", &[Key::Key8], None),
        ("blackjack", &[Key::H], Some(Act::Discrete(1))),
        ("blackjack", &[Key::Backspace], Some(Act::Discrete(0))),
        ("mountaincar", &[], Some(Act::Discrete(1))),
        ("mountaincar", &[Key::Left, Key::Right], Some(Act::Discrete(1))),
        ("acrobot", &[Key::Right], Some(Act::Discrete(2))),
        ("pendulum", &[Key::Left], Some(Act::Continuous(-2.0))),
        ("pendulum", &[], Some(Act::Continuous(0.0))),
        ("cliffwalking", &[Key::Key2], Some(Act::Discrete(1))),
    ];
    if cfg!(feature = "atari") {
        checks.push(("atari/pong", &[Key::Space], Some(Act::Discrete(1))));
        checks.push(("atari/pong", &[Key::Right, Key::Space], Some(Act::Discrete(4))));
        checks.push(("atari/pong", &[Key::Up], Some(Act::Discrete(0))));
    }
    if cfg!(feature = "doom") && rl_assets::locate("vizdoom").is_ok() {
        checks.push(("doom/basic", &[], Some(Act::Discrete(0))));
        checks.push(("doom/basic", &[Key::Left, Key::Space], Some(Act::Discrete(4))));
    }
    for (env, keys, expected) in checks {
        assert_eq!(hands(env).act(keys), expected, "{env} {keys:?}");
    }
    let mut cartpole = hands("cartpole");
    cartpole.act(&[Key::Right]);
    assert_eq!(cartpole.act(&[]), Some(Act::Discrete(1)), "what was done last");
    assert_eq!(hands("connectfour").help()[6], ("7".to_owned(), "column 7".to_owned()));
    assert_eq!(hands("cartpole").help()[0], ("left, A".to_owned(), "left".to_owned()));
}
