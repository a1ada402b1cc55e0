//! `rl-run verify`: repeats a run and compares every part of it with what was recorded at its checkpoints.

mod certify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::checkpoint::manifest::{self, Owner};
use crate::checkpoint::snapshot::{Extent, Handed, Part, Snapshot};
use crate::checkpoint::state_sink::StateSink;
use crate::checkpoint::{self, Checkpoint, Flag};
use crate::console::number::counted;
use crate::console::output;
use crate::console::stop::{STOPPED, Stop};
use crate::console::usage::{line, usage};
use crate::console::waiting::Stopped;
use crate::machine::Machine;
use crate::machine::device;
use crate::machine::identity;
use crate::run_dir;
use crate::run_dir::digests::{self, Digest};
use crate::run_dir::many;
use crate::session::Session;
use crate::session::hash;
use crate::tables::Tables;
use crate::trained::recorded::Recorded;
use crate::training::group::{Absent, Roster};
use crate::training::progress::Progress;
use crate::training::train_loop::{Run, train_loop};
use crate::training::verbosity::Verbosity;

/// Replays a run from its seed, or from one of its checkpoints, and compares weights, optimiser, replay, environments and
/// all else with what was recorded; names the first part that differs. Of the directory of --seeds, all of its runs. A
/// recording is replayed and its scores certified.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run verify runs/cartpole-dqn-s1
          rl-run verify runs/cartpole-dqn-s1 --from 75000 --threads 1 --json
          rl-run verify kungfu.rec")]
pub(crate) struct VerifyArgs {
    /// Directory of a run or of several, which is left unchanged, or a recording
    run: PathBuf,
    /// `start`, the frames of a checkpoint, or `last`: the newest that a recorded state follows
    #[arg(long, default_value = "start")]
    from: String,
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Verdict {
    #[serde(serialize_with = "crate::file::text")]
    run: PathBuf,
    equal: bool,
    /// Compared states that are equal.
    states: usize,
    /// Checkpoints in the directory of the run that are whole and hold what was recorded.
    checkpoints: usize,
    /// Checkpoints that are whole, and of whose state nothing was recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unrecorded: Vec<u64>,
    from: u64,
    /// Emulator frames of the last equal state.
    until: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_difference: Option<Difference>,
}

/// The last line of `--json` for several runs. Runs that no count includes were not looked at.
#[derive(Debug, Serialize)]
struct Total {
    runs: usize,
    equal: usize,
    different: usize,
    /// Runs that could not be compared.
    failed: usize,
    /// Seeds of the group that have no run.
    not_begun: usize,
}

/// The first recorded state and part that the repeated run does not have.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Difference {
    frames: u64,
    part: String,
}

impl Verdict {
    fn show(&self, json: bool) -> anyhow::Result<()> {
        if json {
            output::line(serde_json::to_string(self)?);
        }
        let Self { run, states, checkpoints, unrecorded, from, until, .. } = self;
        let name = run.display();
        match &self.first_difference {
            None if json => {}
            None => {
                let are = if *states == 1 { "state is" } else { "states are" };
                let kept = match checkpoints {
                    0 => "no checkpoint was compared".to_owned(),
                    1 => "the checkpoint that is kept is whole".to_owned(),
                    many => format!("the {many} checkpoints that are kept are whole"),
                };
                let all: Vec<String> = unrecorded.iter().map(u64::to_string).collect();
                let not = match &all[..] {
                    [] => String::new(),
                    all => format!("; nothing was recorded of the state of {} to compare with", all.join(", ")),
                };
                output::line(format!("{name}: {states} {are} equal, from {from} to {until} frames; {kept}{not}"));
            }
            Some(Difference { frames, part }) => {
                let before = match states {
                    0 => String::new(),
                    1 => format!("; the state before, at {until} frames, is equal"),
                    many => format!("; the {many} states before, up to {until} frames, are equal"),
                };
                output::note(format!(
                    "error: {name}: at {frames} frames `{part}` differs from what was recorded{before}"
                ));
            }
        }
        Ok(())
    }
}

/// Compares a repeated run with the recorded states that it has still to pass.
struct Comparison {
    /// Recorded states that are still to come, the next one last.
    left: Vec<Digest>,
    equal: usize,
    until: u64,
    difference: Option<Difference>,
    handed: Handed,
    /// SHA-256 of the segments that were handed on, by part and number.
    segments: BTreeMap<(String, u64), String>,
}

impl Comparison {
    /// Name and SHA-256 of every part of the repeated run, in the form in which they were `recorded`.
    fn digests(&self, session: &mut Session, recorded: &Digest) -> anyhow::Result<Vec<(String, String)>> {
        let snapshot = Snapshot::take(session, Extent::Whole, &self.handed)?;
        let of = |part: Part| {
            let own = rl_assets::sha256(&part.bytes);
            let segments = part.segments.map(|number| self.segments[&(part.name.clone(), number)].as_str());
            let digest = manifest::digest(&own, segments);
            (part.name, digest)
        };
        let mut digests: Vec<_> = snapshot.parts.into_iter().map(of).collect();
        // A run whose segments were removed while it used them has saved such a part whole.
        session.visit_learner(&mut |name, part| {
            let digest =
                digests.iter_mut().find(|(known, _)| known == name).filter(|now| !recorded.parts.contains(now));
            if let Some((_, digest)) = digest
                && part.segmented().is_some_and(|part| !part.segments().is_empty())
            {
                *digest = hash::sha256(part)?;
            }
            Ok(())
        })?;
        Ok(digests)
    }
}

impl StateSink for Comparison {
    fn hand_on(&mut self, session: &mut Session) -> anyhow::Result<()> {
        let Self { handed, segments, .. } = self;
        handed.hand_on(session, |part, number, bytes| {
            segments.insert((part.to_owned(), number), rl_assets::sha256(&bytes));
            Ok(())
        })
    }

    fn checkpoint(&mut self, _: &mut Session, _: bool) -> anyhow::Result<()> {
        Ok(()) // it passes here too
    }

    fn best(&mut self, _: &mut Session) -> anyhow::Result<()> {
        Ok(())
    }

    fn wants(&self, frames: u64) -> bool {
        self.left.last().is_none_or(|next| frames >= next.frames)
    }

    fn pass(&mut self, session: &mut Session) -> anyhow::Result<bool> {
        let frames = session.counts.frames;
        let Some(next) = self.left.last() else { return Ok(true) };
        self.difference = if frames > next.frames {
            Some(missed(next))
        } else {
            first_difference(next, &self.digests(session, next)?)
        };
        if self.difference.is_none() {
            (self.equal, self.until) = (self.equal + 1, frames);
            self.left.pop();
        }
        Ok(self.difference.is_some() || self.left.is_empty())
    }
}

/// The first part that differs from the recorded one.
fn first_difference(recorded: &Digest, now: &[(String, String)]) -> Option<Difference> {
    let part = digests::first_difference(&recorded.parts, now)?;
    Some(Difference { frames: recorded.frames, part: part.to_owned() })
}

/// Checks that the checkpoints in the directory of the run at `path` are whole and hold what was `recorded` of their
/// frames. Returns how many do, and the frames of those of which nothing was recorded, as of a run that was stopped in
/// an evaluation.
///
/// # Errors
/// If one is damaged, or holds another state.
fn kept(path: &Path, owner: &Owner, recorded: &[Digest]) -> anyhow::Result<(usize, Vec<u64>)> {
    let (mut whole, mut unrecorded) = (0, Vec::new());
    for (frames, dir) in checkpoint::list(&path.join("checkpoints"))? {
        let mend = "remove it, and the run can still be repeated";
        let checkpoint = match Checkpoint::open(&dir, owner) {
            Err(_) if !dir.exists() => continue, // of a run that is being trained, and keeps the newest
            opened => opened.with_context(|| format!("a checkpoint that cannot be read: {mend}"))?,
        };
        let Some(row) = recorded.iter().find(|row| row.frames == frames) else {
            unrecorded.push(frames);
            continue;
        };
        if let Some(Difference { part, .. }) = first_difference(row, &checkpoint.digests()) {
            bail!("{}: `{part}` is not what was recorded of the run at {frames} frames: {mend}", dir.display());
        }
        whole += 1;
    }
    Ok((whole, unrecorded))
}

/// The difference if the repeated run never has the frames of a recorded state.
fn missed(recorded: &Digest) -> Difference {
    Difference { frames: recorded.frames, part: "counts".to_owned() }
}

/// `rl-run verify`.
pub(crate) fn run(args: &VerifyArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let path = &args.run;
    // Of what is missing the name tells whether a recording was meant.
    if !path.exists() && path.extension().is_some_and(|ending| ending == "rec") {
        return certify::run(path, args.verbosity, tables);
    }
    if path.exists() && !path.is_dir() {
        if args.from != "start" {
            bail!(usage(format!("--from {}: a recording is played from its start", args.from)));
        }
        if let Some(flag) = args.machine.of_an_agent() {
            bail!(usage(format!("{flag}: a recording is played by what was done, without an agent")));
        }
        return certify::run(path, args.verbosity, tables);
    }
    let stop = Stop::listen(None, || {})?;
    let found = many::several(path);
    if found.is_empty() {
        let Some(verdict) = again(args, path, &stop, tables)? else { return Ok(ExitCode::from(STOPPED)) };
        verdict.show(args.verbosity.json)?;
        return Ok(if verdict.equal { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let Absent { lost, not_begun } = Roster::absent(path, &found)?;
    if !args.verbosity.quiet {
        many::groups_in(path).iter().for_each(|group| output::note(many::left_out(group)));
    }
    let (runs, mut models) = without_models(found);
    if runs.is_empty() {
        return Err(models.swap_remove(0));
    }
    models.iter().for_each(|why| output::note(format!("left out: {}", line(why))));
    let mut total = Total { runs: runs.len(), equal: 0, different: 0, failed: lost.len(), not_begun };
    lost.iter().for_each(|run| many::failed(run, &many::lost(run), args.verbosity.json));
    for run in &runs {
        match again(args, run, &stop, tables) {
            Ok(None) => break,
            Err(why) if why.is::<Stopped>() => break,
            Ok(Some(verdict)) => {
                verdict.show(args.verbosity.json)?;
                *(if verdict.equal { &mut total.equal } else { &mut total.different }) += 1;
            }
            Err(why) => {
                many::failed(run, &why, args.verbosity.json);
                total.failed += 1;
            }
        }
    }
    if args.verbosity.json {
        output::line(serde_json::to_string(&total)?);
    } else if total.not_begun > 0 {
        output::note(format!("not begun, and nothing to verify: {}", counted(total.not_begun, "seed")));
    }
    Ok(if total.different + total.failed > 0 {
        ExitCode::FAILURE
    } else if total.equal < total.runs {
        ExitCode::from(STOPPED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Those of `all` that can be repeated, and why published models cannot.
fn without_models(all: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<anyhow::Error>) {
    let (mut runs, mut models) = (Vec::new(), Vec::new());
    for run in all {
        match run_dir::refuse_model(&run) {
            Ok(()) => runs.push(run),
            Err(why) => models.push(why),
        }
    }
    (runs, models)
}

/// The checkpoint of the run in `path` that `--from` names, where `end` are the frames of the last recorded state.
///
/// # Errors
/// If there is none, or no recorded state follows it: nothing would be repeated.
fn begin(path: &Path, from: &str, end: u64) -> anyhow::Result<PathBuf> {
    let all = checkpoint::list(&path.join("checkpoints"))?;
    let newest = all.iter().rev().find(|(frames, _)| *frames < end); // that a recorded state follows
    if let Some((_, place)) = newest.filter(|_| from == "last") {
        return Ok(place.clone());
    }
    let named = checkpoint::whole(path, from, Flag { name: "--from", words: "`start`, `last`" })?;
    match all.iter().find(|(_, place)| *place == named) {
        Some((frames, _)) if *frames >= end => {
            let mend = newest.map_or_else(|| "start".to_owned(), |(frames, _)| frames.to_string());
            let nothing = format!("nothing was recorded after {frames} frames to compare with");
            Err(usage(format!("--from {from}: {nothing}: try --from {mend}")))
        }
        _ => Ok(named),
    }
}

/// Repeats the run in `path`; `None` if someone stops it before a difference is found.
fn again(args: &VerifyArgs, path: &Path, stop: &Stop, tables: &Tables) -> anyhow::Result<Option<Verdict>> {
    let Verbosity { quiet, json } = args.verbosity;
    let recorded = Recorded::read(path, tables)?;
    let Recorded { about, resolved, .. } = &recorded;
    run_dir::refuse_model(path)?;
    resolved.told.iter().filter(|_| !quiet).for_each(output::note);
    let mut left = digests::all(path)?;
    let Some(end) = left.last().map(|digest| digest.frames) else {
        if run_dir::is_written(path) {
            bail!("{}: it is being trained, and has no checkpoint to compare with yet: wait for one", path.display());
        }
        let file = path.join(digests::FILE);
        if file.metadata().is_ok_and(|file| file.len() > 0) {
            bail!(
                "{}: it holds no whole state to compare with: damaged, or killed while it wrote the first, and \
                 `rl-run resume` goes on",
                file.display()
            );
        }
        bail!(
            "{}: no {} with states to compare with: it ended before its first checkpoint, was stopped in an evaluation before it (`rl-run resume` \
             goes on), was saved by a program's Trainer, or is of an older rl-run",
            path.display(),
            digests::FILE
        );
    };
    let (train, eval, workers) = (resolved.train()?, resolved.eval()?, args.machine.workers()?);
    let owner = Owner::of(resolved, &train);
    let mut session = recorded.session(&device(args.machine.device_of(&about.device))?, workers)?;
    if !session.is_exact() {
        bail!(usage(format!(
            "{}: the lag of its actors is not reproducible, so that it cannot be verified: train with `--actors 0` for a run that can",
            path.display()
        )));
    }
    if let Some(gone) = checkpoint::gone(path)? {
        return Err(gone);
    }
    let (checkpoints, unrecorded) = kept(path, &owner, &left)?;
    let mut segments = BTreeMap::new();
    if args.from == "start" {
        recorded.begin_again(&mut session, stop)?;
    } else {
        let checkpoint = Checkpoint::open(&begin(path, &args.from, end)?, &owner)?;
        checkpoint.load(&mut session)?;
        segments.extend(checkpoint.segments().into_iter().map(|(key, segment)| (key, segment.sha256)));
    }
    if !identity::all_same_bits(&about.isa, &owner.isa) && !quiet {
        output::note(format!("this run used {}, this machine has {}: bits may differ", about.isa, owner.isa));
    }
    if let Some(first) = about.edited.first().filter(|_| !quiet) {
        output::note(format!(
            "its run.toml was changed by hand before it went on from {first} frames: it may not verify"
        ));
    }
    let others = about.other_devices(args.machine.device_of(&about.device));
    if !others.is_empty() && !quiet {
        output::note(format!("this run used the device {}: bits may differ", others.join(" and ")));
    }
    let from = session.counts.frames;
    left.retain(|digest| digest.frames >= from);
    left.reverse();
    let handed = Handed::of(segments.keys());
    let mut comparison = Comparison { left, equal: 0, until: from, difference: None, handed, segments };
    let progress = Progress::new(from, end, quiet, json);
    let (resolved, seed) = (resolved.clone(), about.seed);
    let run = Run { resolved, train, eval, seed, workers, path: path.to_owned(), stop: stop.clone() };
    let outcome = train_loop(&run, &mut session, None, progress, &mut comparison)?;
    let Comparison { left, equal: states, until, difference, .. } = comparison;
    if difference.is_none() && !left.is_empty() && outcome.stopped {
        if !quiet {
            output::note(format!("stopped at {} frames; {states} states were equal until then", outcome.frames));
        }
        return Ok(None);
    }
    // A run that ends before a recorded state has lost its way too.
    let difference = difference.or_else(|| left.last().map(missed));
    Ok(Some(Verdict {
        run: path.to_owned(),
        equal: difference.is_none(),
        states,
        checkpoints,
        unrecorded,
        from,
        until,
        first_difference: difference,
    }))
}
