//! `rl-run export`: pictures and tables of recorded games, without a display or another program.

mod apng;
mod filmed;
mod format;
mod gif;
mod steps;
mod strip;

use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use rl_core::{Canvas, Spec};
use rl_replays::recording::{Manifest, RecordedEpisode, Recording, Replayed};

use self::format::{Format, Kind};
use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::usage;
use crate::console::waiting::{Quiet, Waiting};
use crate::games::playback::{self, Playback};
use crate::games::screening::{Screening, Step};
use crate::games::takes;
use crate::needs::ram;
use crate::saliency::{Saliency, Weights, run_of};
use crate::tables::Tables;
use crate::trained::model;
use crate::{file, needs};

/// Most pictures per second of a film; browsers show no more.
const PICTURES: f64 = 50.0;
/// Seconds for which the last picture is shown.
const LAST: f64 = 1.0;

/// Makes a film, a row of pictures, a table, or a copy with pictures, from a recording; the extension of --out says which.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run export kungfu.rec --out kungfu.gif
          rl-run export kungfu.rec --out row.png --from 200 --steps 400
          rl-run export kungfu.rec --out returns.csv
          rl-run export kungfu.rec --out steps.csv --by-step --episode 2
          # all games, to be watched where there is no emulator
          rl-run export kungfu.rec --out seen.rec

Extensions: .gif (film), .apng (film without loss), .png (a row of pictures), .csv (a line per game, or per step), \
.rec (the recording with the picture after every step, as record --frames makes it)")]
pub(crate) struct ExportArgs {
    /// Recording: `rl-run record` writes them
    file: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Number of the game, from 1, or `best`, the one of the highest return [default: best]
    #[arg(long, allow_negative_numbers = true)]
    episode: Option<String>,
    /// First step to show [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    from: Option<usize>,
    /// Steps to show [default: all]
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Shows every N-th step [default: for a film as 50 pictures a second allow, for a .png as --pictures does]
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    every: Option<u32>,
    /// Speed of a film, 1 being the speed at which people play [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    speed: Option<f64>,
    /// Scale: each pixel becomes a square of N x N [default: 1]
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=16))]
    scale: Option<u32>,
    /// A line per step of one game in a .csv: actions, rewards, and the agent's outputs where they were recorded
    #[arg(long)]
    by_step: bool,
    /// Overlays a saliency map on each picture: what moves the agent's value red, its choice of action turquoise
    #[arg(long)]
    saliency: bool,
    /// Run from whose weights saliency is computed [default: the run in whose directory FILE lies]
    #[arg(long, value_name = "RUN", requires = "saliency")]
    run: Option<PathBuf>,
    /// Name of a trained model from whose weights it is, in place of a run: `rl-run list models`
    #[arg(long, value_name = "NAME", requires = "saliency", conflicts_with = "run")]
    model: Option<String>,
    /// Pictures of a .png [default: 8]
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=256))]
    pictures: Option<u32>,
    #[command(flatten)]
    progress: Quiet,
}

/// A file that pictures are written to one after the other.
trait Film {
    /// Writes the next picture, which is shown for `seconds`.
    fn show(&mut self, canvas: &Canvas, seconds: f64) -> anyhow::Result<()>;

    /// Completes the file after the last picture, and returns how many it holds.
    fn finish(&mut self) -> anyhow::Result<usize>;
}

/// Which steps of a game are shown.
#[derive(Clone, Copy, Debug)]
struct Cut {
    first: usize,
    /// Steps from the first picture to the end.
    steps: usize,
    /// Steps from one picture to the next, the last of which may be fewer; `None` for pictures at equal distances, of
    /// which the last shows the end.
    every: Option<usize>,
    pictures: usize,
}

impl Cut {
    /// Steps of the game before picture `number`.
    fn at(&self, number: usize) -> usize {
        let gaps = self.pictures.saturating_sub(1).max(1);
        let even = (number * self.steps + gaps / 2) / gaps;
        self.first + self.every.map_or(even, |every| (number * every).min(self.steps))
    }
}

/// How pictures are drawn.
struct Look<'a> {
    /// Speed in multiples of the speed at which people play.
    speed: f64,
    /// Side, in pixels, of the square that a pixel becomes.
    scale: u32,
    /// What computes the saliency map that is laid over each picture, if one is.
    saliency: Option<&'a mut Saliency>,
}

/// `rl-run export`.
pub(crate) fn run(args: &ExportArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.progress.quiet, "no file was written")?;
    let recording = playback::read(&args.file)?;
    let format = Format::of(&args.out)?;
    args.check(format)?;
    if file::is_same(&args.file, &args.out) {
        bail!(usage(format!("--out {}: that is the recording itself: give another name", args.out.display())));
    }
    if format == Format::Rec {
        takes::spare(&args.out)?;
    }
    if !recording.whole {
        let games = recording.episodes.iter().filter(|game| game.outcome.is_some()).count();
        let next = match format {
            _ if games == recording.episodes.len() => "",
            Format::Rec => ", and what there is of the next, which is left out",
            _ => ", and what there is of the next",
        };
        output::note(format!(
            "{} is cut short or damaged: {}{next}",
            args.file.display(),
            counted(games, "whole game")
        ));
    }
    let written = match format {
        Format::Csv if args.by_step => steps(args, &recording, tables, &waiting)?,
        Format::Csv => table(&recording, &args.out)?,
        Format::Rec => {
            let name = || args.file.display().to_string();
            let mut playback = Playback::new(&recording.manifest, tables).with_context(name)?;
            let games = filmed::write(&mut playback, &recording, &args.out, &waiting).with_context(name)?;
            format!("{} with pictures, {}", counted(games, "game"), size(&args.out)?)
        }
        Format::Pictures(kind) => pictures(args, kind, &recording, tables, &waiting)?,
    };
    output::line(format!("{}: {written}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

/// How many bytes a file has, in words.
fn size(path: &Path) -> std::io::Result<String> {
    Ok(counted(std::fs::metadata(path)?.len() as usize, "byte"))
}

/// Finds the game that the flags ask for, what shows it, and the range of steps to show.
fn game<'a>(
    args: &ExportArgs,
    recording: &'a Recording,
    tables: &Tables,
) -> anyhow::Result<(&'a RecordedEpisode, Screening, Range<usize>)> {
    let played = &recording.episodes[playback::chosen(recording, args.episode.as_deref().unwrap_or("best"))?];
    let name = || args.file.display().to_string();
    let screening = Screening::new(&recording.manifest, tables).with_context(name)?;
    if let (true, Some(why)) = (args.saliency, screening.why()) {
        bail!(usage(format!("--saliency: {}: its pictures are not what the agent saw, and {why}", name())));
    }
    let from = args.from.unwrap_or(0);
    if from > played.steps() {
        bail!(usage(format!("--from {from}: this game has {} steps", played.steps())));
    }
    if let Some(said) = screening.said(&recording.manifest) {
        output::note(format!("{} {said}", name()));
    }
    let steps = (played.steps() - from).min(args.steps.map_or(usize::MAX, |steps| steps as usize));
    Ok((played, screening, from..from + steps))
}

/// Writes a .csv with a line per step of one game, and returns the number of steps in words.
fn steps(args: &ExportArgs, recording: &Recording, tables: &Tables, waiting: &Waiting) -> anyhow::Result<String> {
    let (played, mut screening, steps) = game(args, recording, tables)?;
    let name = || args.file.display().to_string();
    let lines = steps::table(&mut screening, recording, played, steps, &args.out, waiting).with_context(name)?;
    Ok(counted(lines, "step"))
}

/// Writes a film or a row of pictures of one game, and returns the number of pictures and bytes in words.
fn pictures(
    args: &ExportArgs,
    kind: Kind,
    recording: &Recording,
    tables: &Tables,
    waiting: &Waiting,
) -> anyhow::Result<String> {
    let (played, mut screening, steps) = game(args, recording, tables)?;
    let seen = screening.block().filter(|_| args.saliency);
    let mut saliency = seen.map(|block| weights(args, &recording.manifest, block.spec(), tables)).transpose()?;
    let (speed, scale) = (args.speed.unwrap_or(1.0), args.scale.unwrap_or(1));
    let most = if kind == Kind::Png { args.pictures.unwrap_or(8) as usize } else { usize::MAX };
    let every = match args.every {
        Some(every) => Some(every as usize),
        None if kind == Kind::Png => None,
        None => {
            let frames = frames_of_a_step(&mut screening, played)?;
            Some((screening.frame_rate() * speed / f64::from(frames) / PICTURES).ceil().max(1.0) as usize)
        }
    };
    let gaps = match (args.every, every) {
        (None, Some(every)) => steps.len().div_ceil(every), // the last picture shows the end
        (_, every) => steps.len() / every.unwrap_or(1),
    };
    let pictures = (gaps + 1).min(most);
    let cut = Cut { first: steps.start, steps: steps.len(), every, pictures };
    let name = || args.file.display().to_string();
    if kind == Kind::Png {
        room(&mut screening, played, cut.pictures, scale).with_context(name)?;
    }
    let mut shown = 0;
    file::whole(&args.out, |file| {
        let out = BufWriter::new(file);
        let mut film: Box<dyn Film> = match kind {
            Kind::Gif => Box::new(gif::Gif::new(out)),
            Kind::Apng => Box::new(apng::Apng::new(out, cut.pictures)?),
            Kind::Png => Box::new(strip::Strip::new(out)),
        };
        let look = Look { speed, scale, saliency: saliency.as_mut() };
        shoot(&mut screening, played, cut, look, film.as_mut(), waiting, &args.file)?;
        shown = film.finish()?;
        Ok(())
    })?;
    Ok(format!("{}, {}", counted(shown, "picture"), size(&args.out)?))
}

/// Loads the weights whose saliency map is asked for, and says whose they are unless they played the games themselves.
///
/// # Errors
/// If the environment shows no frames, nobody names them, or they cannot be loaded.
fn weights(args: &ExportArgs, manifest: &Manifest, spec: &Spec, tables: &Tables) -> anyhow::Result<Saliency> {
    if spec.frame_len() == 0 {
        bail!(usage(format!("--saliency: {} shows no frames: leave it out", manifest.env)));
    }
    let named = args.model.as_deref().map(model::find).transpose()?.or_else(|| args.run.clone());
    let Some(run) = named.or_else(|| run_of(&args.file)) else {
        bail!(usage("--saliency: whose weights? --run RUN or --model NAME names them"));
    };
    let (Weights { saliency, about }, played) = Weights::find(&run, manifest, spec, tables)?;
    if !played {
        output::note(format!("--saliency by {}: {about}", run.display()));
    }
    Ok(saliency)
}

/// Makes a GIF of the first `seconds` of the best game of the recording `path`, with at most `rate` pictures a second.
///
/// # Errors
/// If the game can neither be played here nor be seen.
pub(crate) fn film(
    path: &Path,
    recording: &Recording,
    (seconds, rate): (f64, f64),
    tables: &Tables,
    waiting: &Waiting,
) -> anyhow::Result<Vec<u8>> {
    let name = || path.display().to_string();
    let played = &recording.episodes[playback::chosen(recording, "best").with_context(name)?];
    let mut screening = Screening::new(&recording.manifest, tables).with_context(name)?;
    let frames = frames_of_a_step(&mut screening, played).with_context(name)?;
    let steps_per_second = screening.frame_rate() / f64::from(frames);
    let every = (steps_per_second / rate).ceil().max(1.0) as usize;
    let steps = played.steps().min((seconds * steps_per_second) as usize);
    let mut bytes = Vec::new();
    let mut film = gif::Gif::new(&mut bytes);
    let cut = Cut { first: 0, steps, every: Some(every), pictures: steps.div_ceil(every) + 1 };
    let look = Look { speed: 1.0, scale: 1, saliency: None };
    shoot(&mut screening, played, cut, look, &mut film, waiting, path)?;
    film.finish()?;
    drop(film);
    Ok(bytes)
}

/// Emulator frames of the first step of a game; all steps are taken to have as many.
fn frames_of_a_step(screening: &mut Screening, played: &RecordedEpisode) -> anyhow::Result<u32> {
    screening.begin(played)?;
    Ok(if played.steps() > 0 { screening.step(played, 0)?.told.frames.max(1) } else { 1 })
}

/// Checks that a row of `pictures`, which is held in memory, fits into what is free.
///
/// # Errors
/// If it does not; the message names the flags to lower.
fn room(screening: &mut Screening, played: &RecordedEpisode, pictures: usize, scale: u32) -> anyhow::Result<()> {
    let mut canvas = Canvas::new(0, 0);
    screening.begin(played)?;
    screening.draw(played, &mut canvas)?;
    let each = canvas.pixels().len() as u64 * u64::from(scale).pow(2);
    // Each alone, in the row, and filtered for the file.
    let row = each.saturating_mul(3 * pictures as u64);
    match ram::free() {
        Some(free) if row > free => bail!(usage(format!(
            "a row of {pictures} pictures takes {} of memory and {} are free: lower --pictures or --scale",
            needs::human(row),
            needs::human(free)
        ))),
        _ => Ok(()),
    }
}

/// Plays a game of the recording `path` and writes the pictures of `cut` to `film`.
///
/// # Errors
/// If the game cannot be played or is another than was recorded; the message names the recording. Or if the film cannot
/// be written, or [`Stopped`](crate::console::waiting::Stopped).
fn shoot(
    screening: &mut Screening,
    played: &RecordedEpisode,
    cut: Cut,
    look: Look<'_>,
    film: &mut dyn Film,
    waiting: &Waiting,
    path: &Path,
) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    let Look { speed, scale, mut saliency } = look;
    let recurrent = saliency.as_ref().is_some_and(|saliency| saliency.is_recurrent());
    let (mut canvas, mut shown, mut frames) = (Canvas::new(0, 0), Canvas::new(0, 0), 0);
    let mut replayed = Replayed::begin(played);
    let seconds = |frames: u64, rate: f64| frames as f64 / rate / speed;
    screening.begin(played).with_context(name)?;
    let (bar, mut pictures) = (waiting.bar(cut.pictures, "pictures"), 0);
    for step in 0..=played.steps() {
        waiting.go_on()?;
        if step == cut.at(pictures) {
            if pictures > 0 {
                film.show(&shown, seconds(std::mem::take(&mut frames), screening.frame_rate()))?;
            }
            screening.draw(played, &mut canvas).with_context(name)?;
            if let (Some(saliency), Some(block)) = (&mut saliency, screening.block())
                && let Some(heat) = saliency.look(block).with_context(name)?
            {
                heat.tint(&mut canvas);
            }
            enlarge(&canvas, scale as usize, &mut shown);
            pictures += 1;
            bar.reach(pictures);
            if pictures == cut.pictures {
                break;
            }
        }
        if step < played.steps() {
            if let (Some(saliency), Some(block)) = (saliency.as_mut().filter(|_| recurrent), screening.block()) {
                saliency.see(block).with_context(name)?;
            }
            let taken = as_recorded(screening, &mut replayed, played, step).with_context(name)?.told.frames;
            frames += if pictures > 0 { u64::from(taken) } else { 0 };
        }
    }
    film.show(&shown, LAST)
}

/// Takes one step of a game and checks that it is as recorded: files show no other game.
///
/// # Errors
/// If the environment fails, or shows something else.
fn as_recorded(
    screening: &mut Screening,
    replayed: &mut Replayed<'_>,
    played: &RecordedEpisode,
    step: usize,
) -> anyhow::Result<Step> {
    let shown = screening.step(played, step)?;
    match shown.seen.map(|seen| replayed.step(seen)) {
        Some(Err(differs)) => {
            bail!("does not match the recording: step {} differs: `rl-run verify` says more", differs.seen + 1)
        }
        _ => Ok(shown),
    }
}

/// Draws every pixel of `from` as a square of `scale` x `scale` pixels.
fn enlarge(from: &Canvas, scale: usize, into: &mut Canvas) {
    into.resize(from.width() * scale, from.height() * scale);
    let row = into.width() * 3;
    for (y, line) in into.pixels_mut().chunks_exact_mut(row.max(1)).enumerate() {
        let source = &from.pixels()[y / scale * from.width() * 3..][..from.width() * 3];
        for (x, pixel) in line.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            pixel.copy_from_slice(&source[x / scale * 3..][..3]);
        }
    }
}

/// Writes a .csv with a line per game, with its seat where there are several, and returns the number of games in words.
fn table(recording: &Recording, out: &Path) -> anyhow::Result<String> {
    file::whole(out, |file| {
        let mut out = BufWriter::new(file);
        let several = recording.manifest.seats > 1;
        writeln!(out, "episode,seed,{}return,steps,frames,end", if several { "seat," } else { "" })?;
        for (number, played) in recording.episodes.iter().enumerate() {
            let (seed, steps) = (played.seed, played.steps());
            let seat = if several { format!("{},", played.seat) } else { String::new() };
            write!(out, "{},{seed},{seat}", number + 1)?;
            match played.outcome {
                Some(o) => writeln!(out, "{},{steps},{},{}", o.ret, o.frames, o.end.name())?,
                None => writeln!(out, ",{steps},,")?,
            }
        }
        Ok(out.flush()?)
    })?;
    Ok(counted(recording.episodes.len(), "game"))
}

/// Checks that a picture is of the size of the `first`, and not empty.
fn same_size(first: &mut Option<(usize, usize)>, canvas: &Canvas) -> anyhow::Result<()> {
    let (width, height) = *first.get_or_insert((canvas.width(), canvas.height()));
    if width == 0 || height == 0 {
        bail!("there is nothing on its pictures");
    }
    if (width, height) != (canvas.width(), canvas.height()) {
        bail!("its pictures change their size from {width} x {height} to {} x {}", canvas.width(), canvas.height());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_pictures_begins_with_the_first_and_ends_with_the_last() {
        let of = |first, steps, every, pictures| {
            let cut = Cut { first, steps, every, pictures };
            (0..pictures).map(|number| cut.at(number)).collect::<Vec<_>>()
        };
        assert_eq!(of(0, 9, None, 8), [0, 1, 3, 4, 5, 6, 8, 9]);
        assert_eq!(of(5, 3, None, 4), [5, 6, 7, 8]);
        assert_eq!(of(0, 27, None, 8), [0, 4, 8, 12, 15, 19, 23, 27]);
        assert_eq!(of(2, 27, Some(10), 3), [2, 12, 22]);
        assert_eq!(of(4, 0, None, 1), [4]);
    }
}
