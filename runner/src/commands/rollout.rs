//! `rl-run rollout`: one line per step, so that anyone can compare an environment with another implementation.
//!
//! Line i answers line i of the file of actions. The first reset has no line; later ones have, and each consumes an
//! action.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use rl_core::{End, Info, Rng, Seating, Spec, Stream, VecEnv};
use rl_replays::Rollout;
use serde::Serialize;
use serde_json::Value;

use crate::collect;
use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::usage;
use crate::preset::env_choice::EnvChoice;
use crate::tables::Tables;

/// Plays given or random actions and prints what each step answers.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: rl-run rollout --env kungfu --seed 1 --random --steps 100 --json")]
pub(crate) struct RolloutArgs {
    #[command(flatten)]
    env: EnvChoice,
    /// Seed of the episodes and of random actions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One action per line: an index, or all values of an action in order with spaces between
    #[arg(long, value_name = "FILE", conflicts_with = "random", required_unless_present = "random")]
    actions: Option<PathBuf>,
    /// Uniformly random actions
    #[arg(long, requires = "steps")]
    random: bool,
    /// Lines to print at most, resets included [default: as many as FILE has]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

/// A line of `--json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    action: Value,
    reward: f32,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lives: Option<u32>,
    /// CRC-32 (IEEE) of the newest frame; `null` without pixels.
    frame_crc32: Option<u32>,
    vector: &'a [f32],
    symbols: &'a [u32],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
    /// Further info of the environment, such as checksums of buffers.
    #[serde(flatten)]
    info: BTreeMap<&'static str, Info>,
}

/// An action: its discrete values and its continuous ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Action {
    discrete: Vec<u32>,
    continuous: Vec<f32>,
}

/// Source of the actions.
enum Source {
    File(std::vec::IntoIter<Action>),
    Random(Box<Rng>),
}

/// `rl-run rollout`.
pub(crate) fn run(args: &RolloutArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let resolved = args.env.resolve(tables)?;
    let mut env = resolved.seat(&Seating { seed: args.seed, seats: 0..1 })?;
    let steps = args.steps.unwrap_or(u64::MAX);
    let source = match &args.actions {
        Some(path) => Source::File(read(path, env.spec(), steps)?.into_iter()),
        None => Source::Random(Box::new(Rng::new(args.seed, Stream::Act(0)))),
    };
    play(env.as_mut(), source, steps, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn play(env: &mut dyn VecEnv, mut source: Source, steps: u64, json: bool) -> anyhow::Result<()> {
    let spec = env.spec().clone();
    let mut block = Rollout::new(&spec, 1, 1, 0);
    let mut out = output::lines();
    env.reset(block.first())?;
    for number in 1..=steps {
        match &mut source {
            Source::Random(rng) => spec.draw(rng, block.discrete.row_mut(0), block.continuous.row_mut(0)),
            Source::File(actions) => {
                let Some(action) = actions.next() else { break };
                block.discrete.row_mut(0).copy_from_slice(&action.discrete);
                block.continuous.row_mut(0).copy_from_slice(&action.continuous);
            }
        }
        let (act, rows) = block.step(0);
        env.step(act, rows)?;
        env.take_crashes().into_iter().for_each(|loss| output::note(collect::lost(loss)));
        let line = line(&block, env);
        let text = if json { serde_json::to_string(&line)? } else { plain(number, &line) };
        match writeln!(out, "{text}") {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("stdout")?,
        }
        block.carry();
    }
    match out.flush() {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        flushed => flushed.context("stdout"),
    }
}

fn line<'a>(block: &'a Rollout, env: &dyn VecEnv) -> Line<'a> {
    let frame = block.frame_at(1, 0);
    let end: End = block.end[(1, 0)];
    let (discrete, continuous) = (block.discrete.row(0), block.continuous.row(0));
    let values = discrete.iter().map(|&a| Value::from(a)).chain(continuous.iter().map(|&a| Value::from(a)));
    let values: Vec<Value> = values.collect();
    Line {
        action: if let [one] = values.as_slice() { one.clone() } else { Value::from(values) },
        reward: block.reward[(1, 0)],
        end: end.name(),
        lives: env.lives(0),
        frame_crc32: (!frame.is_empty()).then(|| crc32fast::hash(frame)),
        vector: block.vector.row(1),
        symbols: block.symbols.row(1),
        reset: block.age[(1, 0)] == 0,
        info: env.info(0).into_iter().collect(),
    }
}

fn plain(number: u64, line: &Line<'_>) -> String {
    let mut text = format!("{number}: action {}, reward {}, {}", line.action, line.reward, line.end);
    if line.reset {
        text = format!("{number}: reset");
    }
    if let Some(lives) = line.lives {
        text.push_str(&format!(", lives {lives}"));
    }
    if let Some(crc) = line.frame_crc32 {
        text.push_str(&format!(", frame {crc:08x}"));
    }
    if !line.vector.is_empty() {
        text.push_str(&format!(", vector {:?}", line.vector));
    }
    if !line.symbols.is_empty() {
        text.push_str(&format!(", symbols {:?}", line.symbols));
    }
    text
}

/// The first `most` actions of a file, all of them checked before the first is played.
pub(crate) fn read(path: &Path, spec: &Spec, most: u64) -> anyhow::Result<Vec<Action>> {
    let text = std::fs::read_to_string(path).map_err(|e| usage(format!("{}: {e}", path.display())))?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let parse = |(i, line)| parse(line, spec).map_err(|e| usage(format!("{}:{}: {e}", path.display(), i + 1)));
    text.lines().take(most).enumerate().map(parse).collect()
}

fn parse(line: &str, spec: &Spec) -> Result<Action, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (discrete, continuous) = (spec.discrete.len(), spec.continuous.len());
    if words.len() != discrete + continuous {
        let values = counted(discrete + continuous, "value");
        return Err(format!("expected {values} of an action, got `{line}`"));
    }
    let index = |(word, &n): (&&str, &u32)| match word.parse() {
        Ok(a) if a < n => Ok(a),
        _ => Err(format!("expected an action from 0 to {}, got `{word}`", n - 1)),
    };
    let number = |(word, bound): (&&str, &rl_core::Bound)| match word.parse() {
        Ok(a) if (bound.low..=bound.high).contains(&a) => Ok(a),
        _ => Err(format!("expected an action from {} to {}, got `{word}`", bound.low, bound.high)),
    };
    Ok(Action {
        discrete: words.iter().zip(&spec.discrete).map(index).collect::<Result<_, _>>()?,
        continuous: words[discrete..].iter().zip(&spec.continuous).map(number).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use rl_core::Bound;

    use super::*;

    fn spec() -> Spec {
        Spec {
            frame: [0; 3],
            stack: 1,
            vector: 0,
            symbols: Box::new([]),
            mask: false,
            discrete: Box::new([3, 2]),
            continuous: Box::new([Bound { low: -1.0, high: 1.0 }]),
        }
    }

    #[test]
    fn a_line_holds_every_value_of_an_action_in_its_range() {
        assert_eq!(parse("2 1 -0.5", &spec()), Ok(Action { discrete: vec![2, 1], continuous: vec![-0.5] }));
        assert_eq!(parse("2 2 0", &spec()).unwrap_err(), "expected an action from 0 to 1, got `2`");
        assert_eq!(parse("2 1 nan", &spec()).unwrap_err(), "expected an action from -1 to 1, got `nan`");
        assert_eq!(parse("", &spec()).unwrap_err(), "expected 3 values of an action, got ``");
    }
}
