//! `--seeds`: many runs in one process, side by side, each whole on threads of its own.
//!
//! A run of a group is the run that its seed alone would be: nothing of it is shared but the signal to stop, so that every
//! bit, file and checkpoint is the same. Networks of different seeds share no weights, hence no product either: what
//! several of them gain from one process is that none waits for its own start, and that each keeps one core busy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::anyhow;
use crossbeam_channel::{Receiver, Sender, unbounded};
use rl_core::caught;
use serde::Serialize;

use crate::drive::Outcome;
use crate::needs::Runs;
use crate::order::{Order, Place, fresh};
use crate::progress::{Glance, Progress, Told};
use crate::seeds::Seeds;
use crate::stop::STOPPED;
use crate::verbosity::Verbosity;
use crate::{interval, output, usage};

/// What a run of the group has to say; its number in front.
enum Said {
    Told(Told),
    Ended(anyhow::Result<Outcome>),
}

/// The last line of `--json`.
#[derive(Debug, Serialize)]
struct Summary {
    /// Runs that reached their end.
    seeds: usize,
    stopped: usize,
    failed: usize,
    not_begun: usize,
    /// Of those that reached their end.
    #[serde(flatten)]
    scores: Option<Scores>,
}

/// A run that failed, in the place of its outcome.
#[derive(Debug, Serialize)]
struct Failure<'a> {
    seed: u64,
    error: &'a str,
}

/// What seeds reached.
#[derive(Debug, Serialize)]
struct Scores {
    #[serde(skip)]
    seeds: usize,
    /// What their scores are: `eval_return` where all were evaluated, else `mean_return_100`.
    score: &'static str,
    mean: f64,
    /// Its 95 % bootstrap interval over seeds; of two seeds the lower and the higher score, which are none.
    low: f64,
    high: f64,
}

/// Trains every seed, and shows what they reached. A seed that fails is reported, and the others go on.
///
/// # Errors
/// If no run can be started.
pub(crate) fn run(order: &Order, seeds: &Seeds, place: &Place<'_>, verbosity: Verbosity) -> anyhow::Result<ExitCode> {
    let all = seeds.all();
    let at_once = if order.device.is_cpu() { order.threads.min(all.len()) } else { 1 };
    let share = order.share(at_once);
    place.check(all)?;
    share.check(all[0], Runs { all: all.len(), at_once }, place)?;
    if !verbosity.quiet {
        order.resolved.told.iter().for_each(output::note);
        order.told().iter().for_each(output::note);
    }
    // Kernels ask the pool that they are called in: here it has the run's own threads alone. All are there before a run is.
    let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(share.threads).build();
    let pools = (0..at_once).map(pool).collect::<Result<Vec<_>, _>>();
    let pools = pools.map_err(|e| anyhow!("starting threads for {at_once} runs at once: {e}"))?;
    let (next, (tell, hear)) = (AtomicUsize::new(0), unbounded());
    let outcomes = thread::scope(|scope| {
        for (number, pool) in pools.into_iter().enumerate() {
            let (tell, next, share) = (tell.clone(), &next, &share);
            let work = move || pool.install(|| work(share, all, place, next, &tell));
            match thread::Builder::new().name(format!("runs-{number}")).spawn_scoped(scope, work) {
                Ok(_) => {}
                Err(e) if number == 0 => return Err(anyhow!("starting a run: {e}")),
                // Those that started take every seed, and somebody has to hear of them.
                Err(e) => {
                    output::note(format!("{number} runs at once, and not {at_once}: starting another: {e}"));
                    break;
                }
            }
        }
        drop(tell);
        Ok(listen(&hear, order, all, verbosity))
    })?;
    Ok(conclude(&outcomes, all, verbosity))
}

/// Takes one seed after the other until none is left or someone asks to stop.
fn work(order: &Order, seeds: &[u64], place: &Place<'_>, next: &AtomicUsize, tell: &Sender<(usize, Said)>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(&seed) = seeds.get(number) else { return };
        if order.stop.asked() {
            return;
        }
        let said = tell.clone();
        let progress = Progress::told(move |told| {
            let _ = said.send((number, Said::Told(told))); // the listener outlives all runs
        });
        let outcome = caught(|| fresh(order, seed, place, progress));
        let outcome = outcome.unwrap_or_else(|panic| Err(anyhow::anyhow!("the run panicked: {panic}")));
        let _ = tell.send((number, Said::Ended(outcome)));
    }
}

/// Shows one bar for all runs until the last has ended, and says what each became; `None` if it was not begun.
fn listen(
    hear: &Receiver<(usize, Said)>,
    order: &Order,
    seeds: &[u64],
    verbosity: Verbosity,
) -> Vec<Option<anyhow::Result<Outcome>>> {
    let mut outcomes: Vec<Option<anyhow::Result<Outcome>>> = seeds.iter().map(|_| None).collect();
    let (mut frames, mut returns) = (vec![0; seeds.len()], vec![None; seeds.len()]);
    let total = order.train.frames.saturating_mul(seeds.len() as u64);
    let mut progress = Progress::new(0, total, verbosity.quiet, verbosity.json);
    for (number, said) in hear {
        match said {
            Said::Told(Told::Frames { frames: so_far, mean_return }) => {
                (frames[number], returns[number]) = (so_far, mean_return.or(returns[number]));
            }
            Said::Told(Told::Note(note)) => progress.note(&format!("seed {}: {note}", seeds[number])),
            Said::Ended(outcome) => {
                match &outcome {
                    Ok(outcome) => {
                        (frames[number], returns[number]) = (order.train.frames, outcome.mean_return_100);
                        if verbosity.json {
                            output::line(serde_json::to_string(outcome).expect("an outcome is plain JSON"));
                        }
                    }
                    Err(error) => {
                        let (seed, error) = (seeds[number], &usage::line(error));
                        progress.fail(&format!("error: seed {seed}: {error}"));
                        if verbosity.json {
                            output::line(serde_json::to_string(&Failure { seed, error }).expect("plain JSON"));
                        }
                    }
                }
                outcomes[number] = Some(outcome);
            }
        }
        let known: Vec<f64> = returns.iter().flatten().copied().collect();
        let mean_return = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        let ended = outcomes.iter().flatten().count();
        let glance = Glance { mean_return, seeds: Some((ended, seeds.len())), ..Glance::default() };
        progress.show(frames.iter().sum(), &glance);
    }
    progress.finish();
    outcomes
}

/// Prints what the seeds reached, and how to go on with those that did not reach their end.
fn conclude(outcomes: &[Option<anyhow::Result<Outcome>>], seeds: &[u64], verbosity: Verbosity) -> ExitCode {
    let ended: Vec<&Outcome> = outcomes.iter().flatten().flatten().collect();
    let (stopped, whole): (Vec<&Outcome>, Vec<&Outcome>) = ended.iter().copied().partition(|outcome| outcome.stopped);
    let idle: Vec<u64> = seeds.iter().zip(outcomes).filter(|(_, o)| o.is_none()).map(|(&seed, _)| seed).collect();
    let failed = outcomes.iter().flatten().filter(|outcome| outcome.is_err()).count();
    let scores = scores(&whole);
    if verbosity.json {
        let (seeds, stopped, not_begun) = (whole.len(), stopped.len(), idle.len());
        let summary = Summary { seeds, stopped, failed, not_begun, scores };
        output::line(serde_json::to_string(&summary).expect("plain JSON"));
    } else if !verbosity.quiet {
        table(&ended, scores.as_ref()).iter().for_each(output::line);
    }
    if !verbosity.quiet {
        for outcome in &stopped {
            let (seed, run) = (outcome.seed, outcome.run.display());
            output::note(format!("seed {seed} stopped; go on with: rl-run resume {run}"));
        }
        if !idle.is_empty() {
            output::note(format!("not begun: --seeds {}", Seeds::from_iter(idle.iter().copied())));
        }
    }
    match failed > 0 {
        true => ExitCode::FAILURE,
        false if stopped.is_empty() && idle.is_empty() => ExitCode::SUCCESS,
        false => ExitCode::from(STOPPED),
    }
}

fn scores(whole: &[&Outcome]) -> Option<Scores> {
    let of = |score: fn(&Outcome) -> Option<f64>| -> Option<Vec<f64>> { whole.iter().map(|o| score(o)).collect() };
    let (score, scores) = match of(|outcome| outcome.eval_return) {
        Some(scores) => ("eval_return", scores),
        None => ("mean_return_100", of(|outcome| outcome.mean_return_100)?),
    };
    if scores.is_empty() {
        return None;
    }
    let [mean, low, high] = interval::mean(&scores);
    Some(Scores { seeds: scores.len(), score, mean, low, high })
}

/// A line per seed and one of all that reached their end.
fn table(ended: &[&Outcome], scores: Option<&Scores>) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let head = ["seed", "frames", "seconds", "return", "evaluated"];
    let mut lines = vec![line(head.map(str::to_owned), "run")];
    for outcome in ended {
        let Outcome { seed, frames, seconds, mean_return_100, eval_return, run, .. } = outcome;
        let cells = [seed.to_string(), frames.to_string(), format!("{seconds:.1}")];
        let [a, b, c] = cells;
        lines.push(line([a, b, c, number(*mean_return_100), number(*eval_return)], &run.display().to_string()));
    }
    if let Some(Scores { seeds, score, mean, low, high }) = scores {
        let spread = if *seeds > 2 { "95 % bootstrap interval" } else { "lowest and highest" };
        lines.push(format!("{score} over {seeds} seeds: mean {mean:.3}, {spread} {low:.3} to {high:.3}"));
    }
    lines
}

fn line([seed, frames, seconds, training, evaluated]: [String; 5], run: &str) -> String {
    format!("{seed:>6} {frames:>12} {seconds:>9} {training:>11} {evaluated:>11}  {run}")
}

/// The directory of a run of the group below the one that was asked for.
pub(crate) fn below(dir: &Path, seed: u64) -> PathBuf {
    dir.join(format!("s{seed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seed: u64, mean_return_100: Option<f64>, eval_return: Option<f64>) -> Outcome {
        let (seconds, run) = (1.25, below(Path::new("runs/g"), seed));
        let parameters_sha256 = String::new();
        let (frames, agent_steps, updates, stopped) = (100, 100, 4, false);
        Outcome {
            seed,
            frames,
            agent_steps,
            updates,
            seconds,
            mean_return_100,
            eval_return,
            parameters_sha256,
            run,
            stopped,
        }
    }

    #[test]
    fn scores_are_evaluations_where_every_seed_has_one() {
        let [a, b] = [outcome(1, Some(20.0), Some(30.0)), outcome(2, Some(40.0), None)];
        let all = scores(&[&a, &b]).unwrap();
        assert_eq!((all.score, all.mean, all.low, all.high), ("mean_return_100", 30.0, 20.0, 40.0));
        let one = scores(&[&a]).unwrap();
        assert_eq!((one.score, one.mean), ("eval_return", 30.0));
        assert!(scores(&[]).is_none() && scores(&[&outcome(3, None, None)]).is_none());
        let lines = table(&[&a, &b], Some(&all));
        assert_eq!(lines[0], "  seed       frames   seconds      return   evaluated  run");
        assert_eq!(lines[2], "     2          100       1.2      40.000           -  runs/g/s2");
        assert_eq!(lines[3], "mean_return_100 over 2 seeds: mean 30.000, lowest and highest 20.000 to 40.000");
    }
}
