//! `rl-run watch --measure`: measures how fast frames are painted and shown, and how long jumps take.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rl_core::{Rng, Stream};

use super::paint;
use super::player::Player;
use super::surface::Surface;
use super::window::Screen;
use crate::console::output;

/// Number of jumps that are timed.
const JUMPS: usize = 200;

/// Steps and paints without a pause for the time `long`, then times jumps in the game, and prints both.
///
/// # Errors
/// If the environment fails or the display is gone.
pub(super) fn run(player: &mut Player, screen: &mut Screen, long: Duration) -> anyhow::Result<ExitCode> {
    let mut surface = Surface::default();
    screen.unlimited();
    let begun = Instant::now();
    player.survey_all()?;
    let surveyed = begun.elapsed();
    let steps = player.played().steps();
    let (begun, mut frames) = (Instant::now(), 0u32);
    let mut size = (0, 0);
    while let Some(input) = screen.input().filter(|_| begun.elapsed() < long) {
        size = input.size;
        surface.resize(size);
        player.seek(if player.at_end() { 0 } else { player.position() + 1 })?;
        paint::paint(player, &mut surface);
        screen.show(&surface)?;
        frames += 1;
    }
    let rate = f64::from(frames) / begun.elapsed().as_secs_f64();
    let mut rng = Rng::new(0, Stream::Act(0));
    let mut jumps = Vec::new();
    for _ in 0..JUMPS {
        let (to, begun) = (rng.below(steps as u32 + 1) as usize, Instant::now());
        player.seek(to)?;
        while player.position() != to && !player.at_end() {
            player.advance(0.0)?;
        }
        jumps.push(begun.elapsed());
    }
    jumps.sort_unstable();
    let (count, bytes) = player.survey().keyframes.size();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    output::line(format!(
        "{} x {} pixels: {rate:.1} frames/s; {JUMPS} jumps in {steps} steps: median {:.1} ms, longest {:.1} ms; {count} \
         keyframes of {:.1} MB, made in {:.1} s",
        size.0,
        size.1,
        ms(jumps[JUMPS / 2]),
        ms(jumps[JUMPS - 1]),
        bytes as f64 / 1e6,
        surveyed.as_secs_f64(),
    ));
    Ok(ExitCode::SUCCESS)
}
