//! What can be had in the scenario `basic`, where actions are held for 4 tics: a script that is told where the monster is
//! walks until it has it in its sights, and fires. It says the mean return of 100 episodes for every margin of aim.
//!
//! `cargo run --release -p vizdoom --example oracle -- PACKAGE`, the directory that `rl-run fetch vizdoom` names.

use std::io::Write as _;
use std::path::Path;

use vizdoom::{Config, Game, Mode};

const EPISODES: u32 = 100;
const TICS: u32 = 4;
/// Buttons of the scenario: left, right, attack.
const ACTIONS: [[f64; 3]; 4] = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0; 3]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let package = std::env::args().nth(1).ok_or("PACKAGE")?;
    let package = Path::new(&package);
    let mut config = Config::read(&package.join("vizdoom/scenarios/basic.cfg"))?;
    config.labels_buffer_enabled = true;
    config.window_visible = false;
    config.mode = Mode::Player;
    let mut game = Game::start(config, package)?;
    let mut out = std::io::stdout().lock();
    // In pixels of 320, beside the box of the monster.
    for margin in (-8..=24).step_by(4) {
        let mut returns = Vec::new();
        for seed in 0..EPISODES {
            game.new_episode_of(seed)?;
            while !game.is_over() {
                game.act(&ACTIONS[choice(&game, margin)], TICS)?;
            }
            returns.push(game.total_reward());
        }
        let mean = returns.iter().sum::<f64>() / f64::from(EPISODES);
        let squares: f64 = returns.iter().map(|one| (one - mean) * (one - mean)).sum();
        let error = (squares / f64::from(EPISODES - 1) / f64::from(EPISODES)).sqrt();
        writeln!(out, "margin {margin:3}: {mean:.2} ± {error:.2} (standard error)")?;
    }
    Ok(())
}

/// Fires where the middle of the screen is on the monster, or `margin` pixels beside it; else walks towards it.
fn choice(game: &Game, margin: i32) -> usize {
    let width = game.config().screen_resolution.width();
    let labels = game.labels();
    let Some(monster) = labels.iter().find(|label| label.category == "Monster") else { return 3 };
    let left = monster.corner[0] as i32;
    let (right, middle) = (left + monster.size[0] as i32, width as i32 / 2);
    match middle {
        middle if middle < left - margin => 2,
        middle if middle > right + margin => 1,
        _ => 0,
    }
}
