//! Plays a scenario with given actions and prints what there is to see of every step: `tests/parity.py` compares it with
//! what the Python package answers to the same seed and actions.
//!
//! `cargo run --release -p vizdoom --example rollout -- PACKAGE CFG SEED TICS ACTIONS`, a line of ACTIONS being the values of
//! the buttons, or `new` for the next episode.

use std::path::Path;

use vizdoom::{Buffer, Config, Game};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [package, cfg, seed, tics, actions] = args.as_slice() else {
        return Err("PACKAGE CFG SEED TICS ACTIONS".into());
    };
    let mut config = Config::read(Path::new(cfg))?;
    config.seed = Some(seed.parse()?);
    config.depth_buffer_enabled = true;
    config.labels_buffer_enabled = true;
    config.automap.enabled = true;
    config.audio.enabled = false;
    config.window_visible = false;
    config.mode = vizdoom::Mode::Player;
    let tics = tics.parse()?;
    let mut game = Game::start(config, Path::new(package))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::fs::read_to_string(actions)?.lines() {
        let mut reward = 0.0;
        if line == "new" {
            game.new_episode()?;
        } else {
            let values = line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
            reward = game.act(&values, tics)?;
        }
        print(&mut out, &game, reward)?;
    }
    Ok(())
}

fn print(out: &mut impl std::io::Write, game: &Game, reward: f64) -> std::io::Result<()> {
    write!(out, "{reward:?} {} {} {}", game.tic(), u8::from(game.is_over()), game.total_reward())?;
    for &variable in &game.config().available_game_variables {
        write!(out, " {:?}", game.variable(variable))?;
    }
    for buffer in [Buffer::Screen, Buffer::Depth, Buffer::Labels, Buffer::Automap] {
        let mut bytes = vec![0; game.buffer_len(buffer)];
        game.copy(buffer, &mut bytes);
        write!(out, " {:08x}", crc32fast::hash(&bytes))?;
    }
    writeln!(out, " {}", game.labels().len())
}
