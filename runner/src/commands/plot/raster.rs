//! Draws a chart as pixels, at twice its size, with a font that is part of the program.

use std::collections::BTreeSet;

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_10X20;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable as _, Point};
use embedded_graphics::primitives::{Circle, Line};
use embedded_graphics::text::{Alignment, Text};
use rl_core::Canvas;

use super::chart::{Anchor, Chart, Mark, Paint};

/// Pixels per unit of the chart.
const SCALE: f64 = 2.0;
/// Opacity of a band.
const BAND: f64 = 0.18;

/// Letters of a chart that the font lacks, each once: `?` is drawn in their place.
pub(super) fn lacking(chart: &Chart) -> String {
    let place = |letter: char| FONT_10X20.glyph_mapping.index(letter);
    let known = |letter: char| letter == '?' || place(letter) != place('?');
    let mut letters = BTreeSet::new();
    for mark in &chart.marks {
        let Mark::Text { text, .. } = mark else { continue };
        letters.extend(text.chars().filter(|&letter| !known(letter) && !letter.is_control()));
    }
    letters.into_iter().collect()
}

/// Draws a chart on white.
pub(super) fn picture(chart: &Chart) -> Canvas {
    let (width, height) = (chart.size.0 * SCALE, chart.size.1 * SCALE);
    let mut canvas = Canvas::new(0, 0);
    canvas.begin(2 * width as usize, 2 * height as usize, Rgb888::new(255, 255, 255));
    // At twice the size, so that edges become smooth.
    let by = 2.0 * SCALE;
    for mark in &chart.marks {
        match mark {
            Mark::Line { points, width, dashed, paint } => {
                line(&mut canvas, points, by, width * by, *dashed, colour(*paint));
            }
            Mark::Band { points, paint } => band(&mut canvas, points, by, colour(*paint)),
            Mark::Text { .. } => {}
        }
    }
    canvas.halve();
    for mark in &chart.marks {
        let Mark::Text { at, text, anchor, large, paint } = mark else { continue };
        let alignment = match anchor {
            Anchor::Start => Alignment::Left,
            Anchor::Middle => Alignment::Center,
            Anchor::End => Alignment::Right,
        };
        let style = MonoTextStyle::new(&FONT_10X20, colour(*paint));
        let at = Point::new((at.0 * SCALE) as i32, (at.1 * SCALE) as i32);
        for shift in 0..1 + i32::from(*large) {
            let Ok(_) = Text::with_alignment(text, at + Point::new(shift, 0), style, alignment).draw(&mut canvas);
        }
    }
    canvas
}

fn colour(paint: Paint) -> Rgb888 {
    match paint {
        Paint::Ink => Rgb888::new(26, 26, 26),
        Paint::Faint => Rgb888::new(110, 110, 110),
        Paint::Grid => Rgb888::new(228, 228, 228),
        Paint::Colour([r, g, b]) => Rgb888::new(r, g, b),
    }
}

/// Draws a bent line with round joints.
fn line(canvas: &mut Canvas, points: &[(f64, f64)], by: f64, width: f64, dashed: bool, colour: Rgb888) {
    let wide = width.round().max(1.0) as u32;
    let at = |(x, y): (f64, f64)| Point::new((x * by).round() as i32, (y * by).round() as i32);
    let bends = points.windows(2).map(|pair| (pair[0], pair[1]));
    let parts: Vec<_> = if dashed { dashes(bends, 6.0, 5.0) } else { bends.collect() };
    for (from, to) in parts {
        canvas.stroke(&Line::new(at(from), at(to)), colour, wide);
        if wide > 4 && !dashed {
            [from, to].iter().for_each(|&end| canvas.fill(&Circle::with_center(at(end), wide), colour));
        }
    }
}

type Place = (f64, f64);

/// Lengths beyond this are on no chart.
const LONGEST: f64 = 1e5;

/// Parts of a bent line that are drawn when dashes of length `dash` and gaps of length `gap` take turns.
fn dashes(bends: impl Iterator<Item = (Place, Place)>, dash: f64, gap: f64) -> Vec<(Place, Place)> {
    let (mut parts, mut along) = (Vec::new(), 0.0);
    for (from, to) in bends {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        if length.is_nan() || length >= LONGEST {
            continue;
        }
        let on = |at: f64| (from.0 + (to.0 - from.0) * at / length, from.1 + (to.1 - from.1) * at / length);
        let mut done = 0.0;
        while done < length {
            let within = along % (dash + gap);
            let left = if within < dash { dash - within } else { dash + gap - within };
            // Never so little that rounding would stop it.
            let end = (done + left.max(1e-6)).min(length);
            if within < dash {
                parts.push((on(done), on(end)));
            }
            (along, done) = (along + end - done, end);
        }
    }
    parts
}

/// Draws a band column by column, so that no pixel is blended twice.
fn band(canvas: &mut Canvas, points: &[(f64, f64, f64)], by: f64, colour: Rgb888) {
    use embedded_graphics::pixelcolor::RgbColor as _;
    let (width, height) = (canvas.width(), canvas.height());
    let ink = [colour.r(), colour.g(), colour.b()];
    for pair in points.windows(2) {
        let (from, to) = ((pair[0].0 * by) as usize, (pair[1].0 * by) as usize);
        for x in from..to.min(width) {
            let share = (x - from) as f64 / (to - from) as f64;
            let between = |a: f64, b: f64| ((a + (b - a) * share) * by).clamp(0.0, height as f64) as usize;
            for y in between(pair[0].1, pair[1].1)..between(pair[0].2, pair[1].2) {
                let pixel = &mut canvas.pixels_mut()[(y * width + x) * 3..][..3];
                for (old, ink) in pixel.iter_mut().zip(ink) {
                    *old = (f64::from(*old) * (1.0 - BAND) + f64::from(ink) * BAND).round() as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_the_font_lacks_are_known() {
        let lacking = |text: &str| {
            let at = (0.0, 0.0);
            let text = text.to_owned();
            let mark = Mark::Text { at, text, anchor: Anchor::Start, large: false, paint: Paint::Ink };
            lacking(&Chart { title: String::new(), marks: vec![mark], size: (1.0, 1.0) })
        };
        assert_eq!(lacking("dqn (¿größer?), 3 seeds"), "");
        assert_eq!(lacking("dqn (日本日\n)"), "日本");
    }

    #[test]
    fn dashes_go_on_around_a_bend() {
        let bends = [((0.0, 0.0), (8.0, 0.0)), ((8.0, 0.0), (8.0, 20.0))];
        let parts = dashes(bends.into_iter(), 6.0, 5.0);
        assert_eq!(parts, [((0.0, 0.0), (6.0, 0.0)), ((8.0, 3.0), (8.0, 9.0)), ((8.0, 14.0), (8.0, 20.0))]);
        let lost = [((0.0, 0.0), (f64::INFINITY, 0.0)), ((0.0, 0.0), (f64::NAN, 0.0)), ((1.0, 1.0), (1.0, 1.0))];
        assert!(dashes(lost.into_iter(), 6.0, 5.0).is_empty());
        let (drawn, slope) = (dashes([((0.0, 0.0), (30.0, 40.0))].into_iter(), 6.0, 5.0), 40.0 / 30.0);
        assert!(drawn.iter().all(|(from, to)| ((to.1 - from.1) / (to.0 - from.0) - slope).abs() < 1e-9), "{drawn:?}");
    }
}
