//! Connect Four as an environment: who is shown what, who is paid, and who answers.

#[path = "support/seated.rs"]
mod seated;

use rl_core::{Act, End, Game as _, GameResult, Rng, Stream, VecEnv};
use rl_envs::board::connect_four::Position;
use seated::{RowsBuf, cover, with};

fn env(change: &str) -> Box<dyn VecEnv> {
    with("connectfour", change).unwrap()
}

/// The row after each of these moves; the first is the reset's.
fn rows(env: &mut dyn VecEnv, moves: impl IntoIterator<Item = u32>) -> Vec<RowsBuf> {
    let mut buffer = RowsBuf::new(&env.spec().clone(), 1);
    cover(&mut buffer, 0x55);
    env.reset(buffer.rows()).unwrap();
    let mut rows = vec![buffer.clone()];
    for column in moves {
        cover(&mut buffer, 0x55);
        env.step(Act { discrete: &[column], continuous: &[] }, buffer.rows()).unwrap();
        rows.push(buffer.clone());
    }
    rows
}

fn position(row: &RowsBuf) -> Position {
    Position::recognise(&row.vector).expect("a position is shown")
}

#[test]
fn a_seat_that_plays_both_sides_sees_and_is_paid_from_the_side_that_moves() {
    let mut env = env("random_plies = [0, 0]");
    let rows = rows(&mut *env, [3, 0, 3, 0, 3, 0, 3]);
    for (plies, row) in rows.iter().enumerate() {
        let mut expected = Position::start();
        [3, 0, 3, 0, 3, 0, 3].iter().take(plies).for_each(|&column| expected.play(column));
        assert_eq!(position(row), expected);
        let over = plies == 7;
        assert_eq!((row.reward[0], row.end[0] == End::Terminated), (if over { 1.0 } else { 0.0 }, over));
    }
    assert_eq!(position(&rows[7]).outcome(), Some(GameResult::Lost), "shown to who would be next");
}

#[test]
fn a_full_column_is_masked_and_loses() {
    let mut env = env("random_plies = [0, 0]");
    let rows = rows(&mut *env, [2, 2, 2, 2, 2, 2, 2]);
    assert_eq!(rows[5].legal, [1; 7]);
    assert_eq!(rows[6].legal, [1, 1, 0, 1, 1, 1, 1]);
    assert_eq!((rows[6].reward[0], rows[6].end[0]), (0.0, End::No));
    assert_eq!((rows[7].reward[0], rows[7].end[0]), (-1.0, End::Terminated));
}

#[test]
fn games_begin_after_so_many_random_moves_and_against_another_from_either_side() {
    let mut counts = [0; 6];
    let mut begin = |change: &str| {
        let mut env = env(change);
        let mut buffer = RowsBuf::new(&env.spec().clone(), 1);
        env.reset(buffer.rows()).unwrap();
        for _ in 0..2000 {
            let row = &buffer;
            if row.age[0] == 0 {
                counts[position(row).stones() as usize] += 1;
            }
            let full = row.legal.iter().position(|&legal| legal == 1).unwrap() as u32;
            env.step(Act { discrete: &[full], continuous: &[] }, buffer.rows()).unwrap();
        }
        std::mem::take(&mut counts)
    };
    let both = begin("random_plies = [2, 4]");
    assert!(both[2] > 3 && both[3] > 3 && both[4] > 3 && both.iter().sum::<u32>() == both[2..5].iter().sum());
    let one = begin("random_plies = [0, 0]\nopponent = \"random\"");
    assert!(one[0] > 10 && one[1] > 10 && one[2..].iter().all(|&count| count == 0), "{one:?}");
}

/// Mean reward of games by `choose` against an opponent.
fn score(change: &str, games: usize, mut choose: impl FnMut(&Position, &mut Rng) -> usize) -> f64 {
    let mut env = env(change);
    let mut rng = Rng::new(1, Stream::Tool(2));
    let mut buffer = RowsBuf::new(&env.spec().clone(), 1);
    env.reset(buffer.rows()).unwrap();
    while buffer.episodes.len() < games {
        let row = &buffer;
        let column = if row.end[0].over() { 0 } else { choose(&position(row), &mut rng) as u32 };
        env.step(Act { discrete: &[column], continuous: &[] }, buffer.rows()).unwrap();
    }
    buffer.episodes.iter().map(|episode| episode.ret).sum::<f64>() / games as f64
}

#[test]
fn looking_ahead_beats_chance_and_looking_farther_beats_looking_less_far() {
    let random = |position: &Position, rng: &mut Rng| position.random_move(rng);
    let even = score("opponent = \"random\"", 400, random);
    assert!(even.abs() < 0.2, "chance against itself: {even}");
    let lost = score("opponent = \"alphabeta\"\ndepth = 2", 100, random);
    assert!(lost < -0.9, "chance against two moves ahead: {lost}");
    let player = rl_envs::board::alpha_beta::AlphaBeta::new(1, rl_envs::board::connect_four::thumb);
    let lost = score("opponent = \"alphabeta\"\ndepth = 4", 60, |position, rng| player.choose(position, rng));
    assert!(lost < -0.5, "a move ahead against four: {lost}");
}

#[test]
fn settings_out_of_range_are_refused_by_their_key() {
    for (change, said) in [
        ("random_plies = [3, 2]", "env.random_plies: [3, 2]"),
        ("random_plies = [0, 7]", "env.random_plies: [0, 7]"),
        // The opponent's first move may be the seventh stone.
        ("random_plies = [0, 6]\nopponent = \"random\"", "env.random_plies: [0, 6] is not a range within 0 to 5"),
        ("depth = 0", "env.depth: 0 is not from 1 to 10"),
        ("opponent = \"nobody\"", "unknown variant `nobody`"),
    ] {
        let error = with("connectfour", change).err().expect(change).to_string();
        assert!(error.starts_with("env") && error.contains(said), "{error}");
    }
}
