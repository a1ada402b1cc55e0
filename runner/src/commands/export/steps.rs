//! CSV of one game, a line per step: what was done, what came of it, and what the agent thought before it.

use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;

use rl_replays::Outputs;
use rl_replays::recording::{Manifest, RecordedEpisode, Recording, Replayed, Told};

use super::as_recorded;
use crate::console::waiting::Waiting;
use crate::file;
use crate::games::screening::Screening;

/// Writes the steps in `range` of a game as a .csv and returns their number. Columns of the agent's outputs are empty
/// where none were recorded, or none for an action.
///
/// # Errors
/// If the environment fails or plays another game, or the file cannot be written, or
/// [`Stopped`](crate::console::waiting::Stopped).
pub(super) fn table(
    screening: &mut Screening,
    recording: &Recording,
    played: &RecordedEpisode,
    range: Range<usize>,
    out: &Path,
    waiting: &Waiting,
) -> anyhow::Result<usize> {
    let manifest = &recording.manifest;
    file::whole(out, |file| {
        let mut out = BufWriter::new(file);
        writeln!(out, "{}", head(manifest).join(","))?;
        let (mut ret, mut line, mut replayed) = (0.0, String::new(), Replayed::begin(played));
        screening.begin(played)?;
        let bar = waiting.bar(range.end, "steps");
        for step in 0..range.end {
            waiting.go_on()?;
            bar.reach(step);
            let shown = as_recorded(screening, &mut replayed, played, step)?;
            ret = shown.earned(ret);
            if step < range.start {
                continue;
            }
            let (discrete, continuous) = played.action(step);
            line.clear();
            line += &step.to_string();
            discrete.iter().for_each(|action| line += &format!(",{action}"));
            continuous.iter().for_each(|action| line += &format!(",{action}"));
            let Told { reward, frames, end } = shown.told;
            line += &format!(",{reward},{ret},{frames},{}", end.name());
            if manifest.outputs.is_some() {
                let output = played.output(step);
                let said = |x: Option<f32>| x.filter(|x| !x.is_nan()).map_or(",".to_owned(), |x| format!(",{x}"));
                line += &said(output.map(|output| output.value));
                for action in 0..names(manifest).len() {
                    line += &said(output.map(|output| output.actions[action]));
                }
            }
            writeln!(out, "{line}")?;
        }
        Ok(out.flush()?)
    })?;
    Ok(range.len())
}

/// Names of the columns.
fn head(manifest: &Manifest) -> Vec<String> {
    let mut names_of = vec!["step".to_owned()];
    names_of.extend(actions(manifest));
    names_of.extend(["reward", "return", "frames", "end"].map(str::to_owned));
    if let Some(kept) = manifest.outputs {
        let what = match kept.kind {
            Outputs::Probabilities => "p",
            Outputs::Q => "q",
        };
        names_of.push("value".to_owned());
        names_of.extend(names(manifest).into_iter().map(|name| format!("{what}_{name}")));
    }
    names_of
}

/// Names of the actions: `action`, or `action_i` if there are several, or of several seats `action_n` or `action_n_i`.
fn actions(manifest: &Manifest) -> Vec<String> {
    let seats = manifest.seats as usize;
    let (discrete, continuous) = (manifest.discrete.len() / seats, manifest.continuous / seats);
    let each = discrete + continuous;
    let name = |(seat, i): (usize, usize)| match (seats, each) {
        (1, 1) => "action".to_owned(),
        (1, _) => format!("action_{i}"),
        (_, 1) => format!("action_{seat}"),
        _ => format!("action_{seat}_{i}"),
    };
    let of = |range: Range<usize>| (0..seats).flat_map(move |seat| range.clone().map(move |i| (seat, i)));
    of(0..discrete).chain(of(discrete..each)).map(name).collect()
}

/// Names of the values of all discrete actions: `a`, or `i_a` for value `a` of action `i` if there are several.
fn names(manifest: &Manifest) -> Vec<String> {
    let several = manifest.discrete.len() > 1;
    let of =
        |(i, &count): (usize, &u32)| (0..count).map(move |a| if several { format!("{i}_{a}") } else { a.to_string() });
    manifest.discrete.iter().enumerate().flat_map(of).collect()
}
