//! The training loop of one run: act, step, learn, until the frames are spent or someone asks to stop.

use std::path::PathBuf;

use rl_agents::{Mode, Part};
use serde::Serialize;

use crate::checkpoint;
use crate::checkpoint::state_sink::Archive;
use crate::checkpoint::state_sink::StateSink;
use crate::collect::Workers;
use crate::console::number::counted;
use crate::console::number::{self, count};
use crate::console::stop::Stop;
use crate::console::waiting::{Stopped, Waiting};
use crate::games::play::{Games, TRIALS, play};
use crate::preset::{Eval, Resolved, Train};
use crate::run_dir::episode_log::EpisodeLog;
use crate::run_dir::metrics::Metrics;
use crate::run_dir::non_finite::keep_batch;
use crate::run_dir::tape::Tape;
use crate::session::hash;
use crate::session::{Counts, Session};
use crate::training::progress::Progress;
use crate::training::watch::Watch;

/// Least rows of metrics in a run.
const ROWS: u64 = 200;
/// Most frames between two rows: minutes, where a long run's two hundredth part is an hour.
const FAR: u64 = 100_000;

/// What stays the same while a run trains.
pub(crate) struct Run {
    pub(crate) resolved: Resolved,
    pub(crate) train: Train,
    pub(crate) eval: Eval,
    pub(crate) seed: u64,
    pub(crate) workers: Workers,
    /// Directory of the run.
    pub(crate) path: PathBuf,
    pub(crate) stop: Stop,
}

impl Run {
    fn is_eval_due(&self, counts: &Counts) -> bool {
        self.train.eval_every > 0 && counts.frames >= counts.next_eval
    }

    /// Trains in the run's directory until the frames are spent or someone asks to stop.
    ///
    /// # Errors
    /// As [`train_loop`]; the batch of what is not finite is kept.
    pub(crate) fn train(
        &self,
        mut session: Session,
        metrics: Metrics,
        progress: Progress,
        mut archive: Archive,
    ) -> anyhow::Result<Outcome> {
        let outcome = train_loop(self, &mut session, Some(metrics), progress, &mut archive);
        outcome.map_err(|error| keep_batch(error, &self.path))
    }

    /// Whether the run has had its frames, and an update.
    fn is_over(&self, session: &Session) -> bool {
        session.counts.frames >= self.train.frames && session.learner.updates() > 0
    }
}

/// How a run ended; what `--json` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) env: String,
    pub(crate) agent: String,
    pub(crate) seed: u64,
    pub(crate) frames: u64,
    pub(crate) agent_steps: u64,
    pub(crate) updates: u64,
    /// Seconds of all sittings up to the last row of metrics.
    pub(crate) seconds: f64,
    /// Mean return of the last 100 games of training; `None` before the first has ended.
    pub(crate) mean_return_100: Option<f64>,
    /// Mean return of the last evaluation, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eval_return: Option<f64>,
    pub(crate) parameters_sha256: String,
    #[serde(serialize_with = "crate::file::text")]
    pub(crate) run: PathBuf,
    /// Whether the run was stopped before its end.
    pub(crate) stopped: bool,
}

/// Trains until the frames are spent or `run.stop` asks to stop; writes metrics, evaluates and hands states to `sink`
/// when they are due.
///
/// # Errors
/// If an environment, the learner or a file fails.
pub(crate) fn train_loop(
    run: &Run,
    session: &mut Session,
    metrics: Option<Metrics>,
    progress: Progress,
    sink: &mut dyn StateSink,
) -> anyhow::Result<Outcome> {
    let filed = metrics.is_some();
    let (mut eval_return, mut settled) = (metrics.as_ref().and_then(Metrics::eval_return), true);
    let mut watch = Watch::new(metrics, progress, session);
    // Of no checkpoint: it hangs on the length of the run, which decides nothing else.
    let every = row_every(run.train.frames);
    let mut next_row = due(session.counts.frames, every);
    let mut failed = None;
    let stopped = loop {
        let (counts, over) = (&session.counts, run.is_over(session));
        if over || run.is_eval_due(counts) || counts.frames >= counts.next_checkpoint || sink.wants(counts.frames) {
            session.rest(&mut watch.log)?; // first, as it may play on, to where another is due
        }
        if run.is_eval_due(&session.counts) {
            let mean = match evaluate(run, session, &mut watch, sink) {
                Ok(Some(mean)) => mean,
                outcome => {
                    (failed, settled) = (outcome.err(), false); // a resumed run plays it again
                    break true;
                }
            };
            watch.log.lap(Part::Other);
            eval_return = Some(mean);
            session.counts.next_eval = due(session.counts.frames, run.train.eval_every);
            next_row = session.counts.frames; // of this evaluation alone
        }
        if session.counts.frames >= next_row {
            next_row = due(session.counts.frames, every);
            watch.row(session)?;
        }
        if session.counts.frames >= session.counts.next_checkpoint {
            session.counts.next_checkpoint = due(session.counts.frames, run.train.checkpoint_every);
            watch.row(session)?; // a row before a checkpoint: no mean spans it
            watch.log.lap(Part::Other);
            hold(session)?;
            sink.checkpoint(session, true)?;
            watch.log.lap(Part::Save);
        }
        if sink.wants(session.counts.frames) && sink.pass(session)? {
            break true;
        }
        if run.is_over(session) {
            break false;
        }
        if run.stop.asked() {
            break true;
        }
        session.advance(&mut watch.log)?;
        session.notes.drain(..).for_each(|note| watch.note(&note));
        watch.show(session);
        watch.log.lap(Part::Other);
        sink.hand_on(session)?;
        watch.log.lap(Part::Save);
    };
    session.tape.as_ref().filter(|_| !stopped).and_then(Tape::idle).into_iter().for_each(|told| watch.note(&told));
    let closed = close(run, session, &mut watch, sink, settled);
    if let Some(error) = failed {
        let at = format!("the evaluation at {} frames failed", count(session.counts.frames));
        // What was learned up to it is whole.
        let saved = filed && closed.is_ok();
        let mend =
            if saved { "; what was learned until then is saved, and `rl-run resume` plays it again" } else { "" };
        return Err(error.context(format!("{at}{mend}")));
    }
    closed?;
    Ok(Outcome {
        env: run.resolved.env_name.clone(),
        agent: run.resolved.agent.map_or("", |agent| agent.id).to_owned(),
        seed: run.seed,
        frames: session.counts.frames,
        agent_steps: session.counts.agent_steps,
        updates: session.learner.updates(),
        seconds: watch.seconds(),
        mean_return_100: session.window.mean_return(),
        eval_return,
        parameters_sha256: hash::sha256(session.learner.weights())?,
        run: run.path.clone(),
        stopped,
    })
}

/// Frames from a row of metrics to the next, in a run of `frames`.
fn row_every(frames: u64) -> u64 {
    (frames / ROWS).clamp(1, FAR)
}

/// Ends a sitting with its last row of metrics and its last checkpoint.
fn close(
    run: &Run,
    session: &mut Session,
    watch: &mut Watch,
    sink: &mut dyn StateSink,
    settled: bool,
) -> anyhow::Result<()> {
    session.rest(&mut watch.log)?;
    let settled = settled && !run.is_eval_due(&session.counts);
    session.notes.drain(..).for_each(|note| watch.note(&note));
    watch.row(session)?;
    watch.finish();
    hold(session)?;
    sink.checkpoint(session, settled)?;
    let done = sink.finish(&mut session.notes);
    session.notes.drain(..).for_each(|note| watch.note(&note));
    done
}

/// Writes what the tape needs of the episode under way, and episodes that ended, before the checkpoint that they belong
/// to.
fn hold(session: &mut Session) -> anyhow::Result<()> {
    session.episode_log.as_mut().map_or(Ok(()), EpisodeLog::flush)?;
    let Some(tape) = &mut session.tape else { return Ok(()) };
    let oldest = checkpoint::list(&tape.run().join("checkpoints"))?.first().map_or(0, |&(frames, _)| frames);
    tape.hold(session.counts.frames, oldest)
}

/// The first multiple of `every` after `frames`.
pub(crate) fn due(frames: u64, every: u64) -> u64 {
    (frames / every + 1).saturating_mul(every)
}

/// Plays evaluation games on seats of their own and returns their mean; `None` if the run was asked to stop. Changes
/// nothing of the session but its best mean.
fn evaluate(
    run: &Run,
    session: &mut Session,
    watch: &mut Watch,
    sink: &mut dyn StateSink,
) -> anyhow::Result<Option<f64>> {
    let mode = Mode::Evaluate { epsilon: run.eval.epsilon, greedy: false };
    let learner = session.learner.as_ref();
    let episodes = run.eval.episodes;
    let games =
        Games { seed: run.seed, first: TRIALS, episodes, mode, workers: run.workers, outputs: false, filmed: false };
    let score = match play(&run.resolved, learner, games, &Waiting::unseen(&run.stop)) {
        Err(error) if error.is::<Stopped>() => return Ok(None),
        played => played?,
    };
    let (frames, games, mean, error) = (session.counts.frames, score.returns.len(), score.mean(), score.stderr());
    let told = number::mean(mean, error);
    score.crashes.iter().for_each(|crash| watch.note(crash));
    watch.note(&format!("evaluation at {} frames: mean {told} over {}", count(frames), counted(games, "game")));
    watch.add("eval_return", mean);
    error.into_iter().for_each(|error| watch.add("eval_stderr", error));
    if session.counts.best.is_none_or(|best| mean > best) {
        session.counts.best = Some(mean);
        sink.best(session)?;
    }
    Ok(Some(mean))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::Device;
    use rl_core::{EnvEntry, Error};
    use rl_envs::classic::cartpole;

    use super::*;
    use crate::preset::{Ask, resolve};
    use crate::registry::Registry;
    use crate::tables::Tables;
    use crate::toy;
    use crate::trainer::Trainer;
    use crate::training::fresh::fresh;
    use crate::training::order::{Order, Place};

    /// CartPole that cannot be seated for an evaluation.
    static LOST: [EnvEntry; 1] = [EnvEntry {
        build: |name, table, seating| match seating.seats.start {
            TRIALS.. => Err(Error::Engine { env: name.to_owned(), message: "the engine is gone".to_owned() }),
            _ => (cartpole::ENTRY.build)(name, table, seating),
        },
        ..cartpole::ENTRY
    }];

    #[test]
    fn an_evaluation_that_fails_costs_nothing_of_what_was_learned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        let order = |envs: &'static [EnvEntry]| {
            let sets = ["train.eval_every=60".to_owned()];
            let ask = Ask { env: "cartpole", agent: Some("toy"), sets: &sets, ..Ask::default() };
            let resolved = resolve(&Tables::new(&[envs], &[&[toy::ENTRY]]), &ask).unwrap();
            let (train, eval, on) = (resolved.train().unwrap(), resolved.eval().unwrap(), "cpu".to_owned());
            let (device, workers, stop) = (Device::Cpu, Workers::UpTo(1), Stop::default());
            Order {
                resolved,
                train,
                eval,
                device,
                on,
                threads: 1,
                workers,
                record: None,
                outputs: None,
                initial: None,
                stop,
            }
        };
        let place = |run: &'static str| dir.path().join(run);
        let run = |envs, at: &Path| {
            let place = Place { run: Some(at), many: false, force: false };
            fresh(&order(envs), 3, &place, Progress::new(0, 100, true, true))
        };
        let whole = run(&[cartpole::ENTRY], &place("whole")).unwrap();
        let said = format!("{:#}", run(&LOST, &path).unwrap_err());
        assert!(said.starts_with("the evaluation at 60 frames failed; what was learned until then is saved"), "{said}");
        assert!(said.ends_with("the engine is gone"), "{said}");
        let registry = Registry::new(&[&[cartpole::ENTRY]], &[&[toy::ENTRY]]).unwrap();
        let mut trainer = Trainer::open(&registry, &path, &Device::Cpu).unwrap();
        assert_eq!(trainer.frames(), 60);
        while !trainer.is_done() {
            trainer.advance().unwrap();
        }
        assert_eq!(hash::sha256(trainer.learner().weights()).unwrap(), whole.parameters_sha256);
    }

    #[test]
    fn long_runs_have_rows_as_often_as_shorter_ones() {
        assert_eq!([1, 199, 50_000, 20_000_000, 200_000_000].map(row_every), [1, 1, 250, 100_000, 100_000]);
    }
}
