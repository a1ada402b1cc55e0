//! Draws a chart as SVG: text stays text, in the reader's own font.

use std::fmt::Write as _;

use super::chart::{Anchor, Chart, Mark, Paint};

/// Style of a chart: colours for light and dark, by class, since the page decides which applies.
pub(crate) const STYLE: &str = "\
.chart text { font: 12px system-ui, sans-serif; fill: #1a1a1a } .chart .large { font-size: 16px; font-weight: 600 }
.chart .faint { fill: #666 } .chart line, .chart path { fill: none } .chart .faint-line { stroke: #777 } .chart .grid-line { stroke: #e4e4e4 }
@media (prefers-color-scheme: dark) { .chart text { fill: #eee } .chart .faint { fill: #aaa } .chart .faint-line { stroke: #999 }
.chart .grid-line { stroke: #3a3a3a } }";

/// A chart as a file of its own, on white.
pub(crate) fn page(chart: &Chart) -> String {
    let style = STYLE.split("@media").next().expect("a part before the first");
    let (width, height) = chart.size;
    let ground = format!("<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n");
    draw(chart, &format!("<style>{style}</style>\n{ground}"))
}

/// A chart as part of an HTML page that has [`STYLE`].
pub(crate) fn part(chart: &Chart) -> String {
    draw(chart, "")
}

fn draw(chart: &Chart, before: &str) -> String {
    let (width, height) = chart.size;
    let title = escaped(&chart.title);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>{title}</title>\n{before}"
    );
    for mark in &chart.marks {
        match mark {
            Mark::Line { points, width, dashed, paint } => {
                let dashes = if *dashed { " stroke-dasharray=\"6 5\"" } else { "" };
                let (path, stroke) = (path(points.iter().copied()), stroke(*paint));
                let _ = writeln!(
                    out,
                    "<path d=\"{path}\" {stroke} fill=\"none\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dashes}/>"
                );
            }
            Mark::Band { points, paint } => {
                let upper = points.iter().map(|&(x, upper, _)| (x, upper));
                let path = path(upper.chain(points.iter().rev().map(|&(x, _, lower)| (x, lower))));
                let colour = colour(*paint);
                let _ = writeln!(out, "<path d=\"{path}Z\" style=\"fill:{colour}\" fill-opacity=\"0.18\"/>");
            }
            Mark::Text { at: (x, y), text, anchor, large, paint } => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                let class = match (large, paint) {
                    (true, _) => " class=\"large\"",
                    (false, Paint::Ink) => "",
                    (false, _) => " class=\"faint\"",
                };
                let text = escaped(text);
                let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{class}>{text}</text>");
            }
        }
    }
    out + "</svg>\n"
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (i, (x, y)) in points.enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
    }
    path
}

fn stroke(paint: Paint) -> String {
    match paint {
        Paint::Colour(_) => format!("stroke=\"{}\"", colour(paint)),
        Paint::Grid => "class=\"grid-line\"".to_owned(),
        Paint::Ink | Paint::Faint => "class=\"faint-line\"".to_owned(),
    }
}

fn colour(paint: Paint) -> String {
    let Paint::Colour([r, g, b]) = paint else { return "currentColor".to_owned() };
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Escapes text for a page; names come from directories and may hold any character.
pub(crate) fn escaped(text: &str) -> String {
    let held = |c: char| c.is_control() && !['\n', '\t'].contains(&c);
    text.replace(held, "\u{fffd}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
