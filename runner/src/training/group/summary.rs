//! Shows what the runs of a group reached, and how to resume those that did not reach their end.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::console::number::counted;
use crate::console::number::{self, count, fixed};
use crate::console::output;
use crate::console::stop::STOPPED;
use crate::games::interval;
use crate::games::interval::Iqm;
use crate::training::seeds::Seeds;
use crate::training::train_loop::Outcome;
use crate::training::verbosity::Verbosity;

/// The last line of `--json`.
#[derive(Debug, Serialize)]
struct Summary {
    /// Runs that reached their end.
    seeds: usize,
    stopped: usize,
    failed: usize,
    not_begun: usize,
    /// Scores of the runs that reached their end.
    #[serde(flatten)]
    scores: Option<Scores>,
}

/// Mean score over seeds.
#[derive(Debug, Serialize)]
struct Scores {
    #[serde(skip)]
    seeds: usize,
    /// Name of the score: `eval_return` if all runs were evaluated, else `mean_return_100`.
    score: &'static str,
    mean: f64,
    /// Ends, `low` and `high`, of the 95 % bootstrap interval of `mean` over seeds; of two and three seeds the
    /// lowest and the highest score.
    low: f64,
    high: f64,
    /// Interquartile mean over the seeds; `None` of fewer than four.
    #[serde(skip_serializing_if = "Option::is_none")]
    iqm: Option<Iqm>,
}

/// Prints what the runs reached and how to resume those that did not reach their end, and returns the exit code. `dir`
/// is the directory of the group, if `--run` named one. Runs that are not `alike` have no mean.
pub(super) fn conclude(
    outcomes: &[Option<anyhow::Result<Outcome>>],
    seeds: &[u64],
    alike: bool,
    dir: Option<&Path>,
    verbosity: Verbosity,
) -> ExitCode {
    let ended: Vec<&Outcome> = outcomes.iter().flatten().flatten().collect();
    let (stopped, whole): (Vec<&Outcome>, Vec<&Outcome>) = ended.iter().copied().partition(|outcome| outcome.stopped);
    let idle: Vec<u64> = seeds.iter().zip(outcomes).filter(|(_, o)| o.is_none()).map(|(&seed, _)| seed).collect();
    let failed = outcomes.iter().flatten().filter(|outcome| outcome.is_err()).count();
    let scores = if alike { scores(&whole) } else { None };
    if verbosity.json {
        let (seeds, stopped, not_begun) = (whole.len(), stopped.len(), idle.len());
        let summary = Summary { seeds, stopped, failed, not_begun, scores };
        output::line(serde_json::to_string(&summary).expect("plain JSON"));
    } else if !verbosity.quiet {
        table(&ended, scores.as_ref()).iter().for_each(output::line);
    }
    if !verbosity.quiet {
        if !alike {
            output::note("the runs are of different settings or lengths: no mean over them");
        }
        go_on(&stopped, &idle, dir).iter().for_each(output::note);
    }
    match failed > 0 {
        true => ExitCode::FAILURE,
        false if stopped.is_empty() && idle.is_empty() => ExitCode::SUCCESS,
        false => ExitCode::from(STOPPED),
    }
}

/// Messages on how to resume runs that were stopped and begin those that were not begun (`idle`).
fn go_on(stopped: &[&Outcome], idle: &[u64], dir: Option<&Path>) -> Vec<String> {
    let not_begun = || Seeds::from_iter(idle.iter().copied());
    match dir {
        Some(_) if stopped.is_empty() && idle.is_empty() => Vec::new(),
        Some(dir) => {
            let dir = output::word(dir);
            let idle = if idle.is_empty() { String::new() } else { format!(", not begun: seeds {}", not_begun()) };
            vec![format!("{} stopped{idle}; go on with: rl-run resume {dir}", counted(stopped.len(), "run"))]
        }
        None => {
            let of = |outcome: &&Outcome| {
                let (seed, run) = (outcome.seed, output::word(&outcome.run));
                format!("seed {seed} stopped; go on with: rl-run resume {run}")
            };
            let idle = (!idle.is_empty()).then(|| format!("not begun: --seeds {}", not_begun()));
            stopped.iter().map(of).chain(idle).collect()
        }
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
    Some(Scores { seeds: scores.len(), score, mean, low, high, iqm: interval::iqm(&scores) })
}

/// A line for each run that ended, and one for all that reached their end.
fn table(ended: &[&Outcome], scores: Option<&Scores>) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number::score);
    let head = ["seed", "frames", "seconds", "return", "evaluated"];
    let mut lines = vec![line(head.map(str::to_owned), "run")];
    for outcome in ended {
        let Outcome { seed, frames, seconds, mean_return_100, eval_return, run, .. } = outcome;
        let cells = [seed.to_string(), count(*frames), fixed(*seconds, 1)];
        let [a, b, c] = cells;
        lines.push(line([a, b, c, number(*mean_return_100), number(*eval_return)], &run.display().to_string()));
    }
    if let Some(Scores { seeds, score, mean, low, high, iqm }) = scores {
        let spread = interval::name(*seeds);
        let [mean, low, high] = number::interval([*mean, *low, *high]);
        let spread = if *seeds > 1 { format!(", {spread} {low} to {high}") } else { String::new() };
        let iqm = iqm.map(|iqm| format!("; {iqm}")).unwrap_or_default();
        lines.push(format!("{score} over {}: mean {mean}{spread}{iqm}", counted(*seeds, "seed")));
    }
    lines
}

fn line([seed, frames, seconds, training, evaluated]: [String; 5], run: &str) -> String {
    format!("{seed:>6} {frames:>12} {seconds:>9} {training:>11} {evaluated:>11}  {run}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seed: u64, mean_return_100: Option<f64>, eval_return: Option<f64>) -> Outcome {
        let (seconds, run) = (1.25, Path::new("runs/g").join(format!("s{seed}")));
        let parameters_sha256 = String::new();
        let (frames, agent_steps, updates, stopped) = (100, 100, 4, false);
        Outcome {
            env: "cartpole".to_owned(),
            agent: "ppo".to_owned(),
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
        let four = [1.0, 2.0, 3.0, 900.0].map(|score| outcome(score as u64, Some(score), None));
        let four = scores(&four.each_ref()).unwrap();
        assert_eq!((four.iqm.unwrap().mean, all.iqm), (2.5, None));
        let lines = table(&[&a, &b], Some(&all));
        assert_eq!(lines[0], "  seed       frames   seconds      return   evaluated  run");
        assert_eq!(lines[2], "     2          100       1.2       40.00           -  runs/g/s2");
        assert_eq!(lines[3], "mean_return_100 over 2 seeds: mean 30.00, lowest and highest 20.00 to 40.00");
    }

    #[test]
    fn whoever_was_stopped_reads_one_command_where_one_goes_on_with_all() {
        let [a, b] = [outcome(1, None, None), outcome(2, None, None)];
        let of = |stopped: &[&Outcome], idle: &[u64], dir: Option<&str>| go_on(stopped, idle, dir.map(Path::new));
        let one = of(&[&a, &b], &[3, 4, 7], Some("my runs/g"));
        assert_eq!(one, ["2 runs stopped, not begun: seeds 3..4,7; go on with: rl-run resume 'my runs/g'"]);
        assert_eq!(of(&[&a], &[], Some("g")), ["1 run stopped; go on with: rl-run resume g"]);
        let each = of(&[&a], &[3], None);
        assert_eq!(each, ["seed 1 stopped; go on with: rl-run resume runs/g/s1", "not begun: --seeds 3"]);
        assert!(of(&[], &[], Some("g")).is_empty() && of(&[], &[], None).is_empty());
    }
}
