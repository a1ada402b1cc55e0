//! The page itself: HTML that holds its pictures and its style, and runs no program.

use std::fmt::Write as _;

use crate::commands::plot::svg::{STYLE, escaped};
use crate::console::number::{brief, grouped, score as shown};
use crate::games::interval::Iqm;

/// The contents of a report.
pub(super) struct Page {
    pub(super) title: String,
    /// Charts as SVG.
    pub(super) charts: Vec<String>,
    pub(super) rows: Vec<Row>,
    pub(super) films: Vec<Film>,
    pub(super) settings: Vec<Settings>,
}

/// What runs of the same settings reached.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) env: String,
    /// Fewest and most frames of a run.
    pub(super) frames: [f64; 2],
    pub(super) minutes: f64,
    pub(super) runs: usize,
    /// Returns in training; `evaluated` is the same of evaluations.
    pub(super) trained: Option<Returns>,
    pub(super) evaluated: Option<Returns>,
}

/// What those runs returned that have such a return.
#[derive(Clone, Copy)]
pub(super) struct Returns {
    pub(super) runs: usize,
    /// Mean with the ends of its 95 % interval.
    pub(super) mean: [f64; 3],
    /// Interquartile mean of four runs and more.
    pub(super) iqm: Option<Iqm>,
}

/// A film of a game.
pub(super) struct Film {
    pub(super) caption: String,
    pub(super) gif: Vec<u8>,
}

/// Settings of runs, as `run.toml` has them.
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) made_by: String,
}

const OURS: &str = "
:root { color-scheme: light dark }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
svg { width: 100%; min-width: 36rem; height: auto } figure { margin: 1rem 0; overflow-x: auto } figcaption, .by { color: #666; font-size: .875rem }
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem }
img { width: 100%; image-rendering: pixelated; border-radius: 4px }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .75rem; border-bottom: 1px solid #8884; text-align: right; white-space: nowrap }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
pre { overflow-x: auto; padding: .75rem; background: #8881; border-radius: 4px; font-size: .8125rem }
th, td:first-child { white-space: normal } summary { cursor: pointer }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161616 } figcaption, .by { color: #aaa } }
";

impl Page {
    /// Writes the page.
    pub(super) fn html(&self) -> String {
        let title = escaped(&self.title);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <style>{OURS}{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        );
        for chart in &self.charts {
            let _ = writeln!(out, "<figure>{chart}</figure>");
        }
        out += "<h2>Results</h2>\n<div class=\"wide\"><table><thead><tr><th>agent</th><th>environment</th><th>frames</th>\
                <th>minutes</th><th>training, last 100 episodes</th><th>last evaluation</th></tr></thead><tbody>\n";
        self.rows.iter().for_each(|row| out += &row.html());
        out += "</tbody></table></div>\n<p class=\"by\">Means over runs; in brackets their 95 % bootstrap intervals, or the lowest \
                and the highest of two or three. IQM: interquartile mean, of the middle half of four runs and more, with the same \
                interval.</p>\n";
        if !self.films.is_empty() {
            out += "<h2>Games</h2>\n<div class=\"films\">\n";
            for Film { caption, gif } in &self.films {
                let (caption, gif) = (escaped(caption), base64(gif));
                let _ = writeln!(
                    out,
                    "<figure><img alt=\"{caption}\" src=\"data:image/gif;base64,{gif}\">\
                     <figcaption>{caption}</figcaption></figure>"
                );
            }
            out += "</div>\n";
        }
        if !self.settings.is_empty() {
            out += "<h2>Settings</h2>\n";
        }
        for Settings { name, text, made_by } in &self.settings {
            let (name, text, made_by) = (escaped(name), escaped(text), escaped(made_by));
            let _ = writeln!(
                out,
                "<details><summary>{name}</summary><p class=\"by\">{made_by}</p><pre>{text}</pre></details>"
            );
        }
        out + "</body></html>\n"
    }
}

impl Row {
    fn html(&self) -> String {
        let of = |[mean, low, high]: [f64; 3]| match low == high {
            true => shown(mean),
            false => format!("{} [{}, {}]", shown(mean), shown(low), shown(high)),
        };
        let score = |returns: Option<Returns>| {
            let Some(Returns { runs, mean, iqm }) = returns else { return "–".to_owned() };
            let iqm = iqm.map_or_else(String::new, |iqm| format!("<br>IQM {}", of([iqm.mean, iqm.low, iqm.high])));
            let some = if runs < self.runs { format!("<br>{runs} of {} runs", self.runs) } else { String::new() };
            of(mean) + &iqm + &some
        };
        let (name, env) = (escaped(&self.name), escaped(&self.env));
        let (trained, evaluated) = (score(self.trained), score(self.evaluated));
        let ([fewest, most], minutes) = (self.frames, brief(self.minutes));
        // Runs that reached their end differ by a round.
        let frames = match fewest < 0.99 * most {
            true => format!("{} to {}", grouped(fewest), grouped(most)),
            false => grouped(most),
        };
        format!(
            "<tr><td>{name}</td><td>{env}</td><td>{frames}</td><td>{minutes}</td><td>{trained}</td>\
             <td>{evaluated}</td></tr>\n"
        )
    }
}

/// Encodes bytes as text. Source: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, i| word << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_has_minutes_too() {
        let [name, env] = ["dqn", "cartpole"].map(str::to_owned);
        let row = Row { name, env, frames: [2_001.0; 2], minutes: 0.028_3, runs: 1, trained: None, evaluated: None };
        assert!(row.html().contains("<td>2,001</td><td>0.028</td>"), "{}", row.html());
        let stopped = Row { frames: [701.0, 2_001.0], ..row };
        assert!(stopped.html().contains("<td>701 to 2,001</td>"), "{}", stopped.html());
    }

    #[test]
    fn four_runs_have_an_interquartile_mean_beside_their_mean() {
        let [name, env] = ["dqn", "cartpole"].map(str::to_owned);
        let score = |runs, iqm| Some(Returns { runs, mean: [300.0, 100.0, 500.0], iqm });
        let iqm = Iqm { mean: 320.0, low: 200.0, high: 450.0 };
        let (trained, evaluated) = (score(4, Some(iqm)), score(2, None));
        let row = Row { name, env, frames: [1.0; 2], minutes: 1.0, runs: 4, trained, evaluated };
        let expected =
            "<td>300.0 [100.0, 500.0]<br>IQM 320.0 [200.0, 450.0]</td><td>300.0 [100.0, 500.0]<br>2 of 4 runs</td>";
        assert!(row.html().contains(expected), "{}", row.html());
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        vectors.iter().for_each(|(bytes, text)| assert_eq!(base64(bytes.as_bytes()), *text));
    }
}
