//! Writes pictures as PNG files.

use std::io::BufWriter;
use std::path::Path;

use anyhow::Context as _;
use rl_core::{Canvas, VecEnv};

use crate::console::usage::usage;
use crate::file;

/// Checks that `path` names a PNG file.
///
/// # Errors
/// If `path` does not end in `.png`.
pub(crate) fn check(path: &Path) -> anyhow::Result<()> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        return Ok(());
    }
    Err(usage(format!(
        "--picture {}: pictures are PNG files: give the name of one, such as policy.png",
        path.display()
    )))
}

/// Draws a policy and the values of states on the map of the environment called `name`, and writes the picture.
///
/// # Errors
/// If the environment has no map, or the file cannot be written.
pub(crate) fn policy(path: &Path, env: &dyn VecEnv, name: &str, actions: &[u32], values: &[f64]) -> anyhow::Result<()> {
    let mut canvas = Canvas::new(0, 0);
    if !env.draw_policy(actions, values, &mut canvas) {
        return Err(usage(format!("--picture: the states of `{name}` are not places on one map")));
    }
    write(path, &canvas).context("--picture")
}

/// Writes a PNG file.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(path: &Path, canvas: &Canvas) -> anyhow::Result<()> {
    file::whole(path, |file| {
        let mut encoder = png::Encoder::new(BufWriter::new(file), canvas.width() as u32, canvas.height() as u32);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(canvas.pixels())?;
        Ok(writer.finish()?) // a writer that is dropped loses its error, and the end of the file
    })
}
