//! Trains for a while and measures how fast that is; leaves no files behind.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use candle_core::Device;
use rl_agents::{Log, Part, UpdateRatio};

use crate::collect::Workers;
use crate::console::output;
use crate::console::stop::STOPPED;
use crate::console::waiting::Waiting;
use crate::preset::Resolved;
use crate::session::Session;
use crate::session::demonstrations;
use crate::training::time_by_part::Timed;

/// How long to measure from the first update on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    /// Until the first block that ends at or after this many seconds.
    Seconds(f64),
    /// Until the first block that ends at or after this many emulator frames.
    Frames(u64),
}

/// Trains a fresh agent until its first update, then for `span`, and returns what that took.
///
/// # Errors
/// [`Stopped`](crate::console::waiting::Stopped) before anything was measured; if something fails, or the learner does not make
/// as many updates as its [`Plan`](rl_agents::Plan) promises.
pub(crate) fn train(
    resolved: &Resolved,
    seed: u64,
    device: &Device,
    workers: Workers,
    span: Span,
    waiting: &Waiting,
) -> anyhow::Result<Timed> {
    let mut session = Session::build(resolved, &resolved.train()?, seed, device, workers)?;
    let mut log = Log::default();
    demonstrations::begin(resolved, &mut session, &resolved.train()?, waiting.stop())?;
    while session.learner.updates() == 0 {
        waiting.go_on()?;
        session.advance(&mut log)?;
        session.notes.drain(..).for_each(output::note); // of engines that were lost
    }
    let (counts, updates) = (session.counts.clone(), session.learner.updates());
    log.clock.lap(Part::Other);
    log.clock.take();
    let begin = Instant::now();
    let over = |session: &Session| match span {
        Span::Seconds(seconds) => begin.elapsed().as_secs_f64() >= seconds,
        Span::Frames(frames) => session.counts.frames - counts.frames >= frames,
    };
    while !over(&session) && !waiting.stopped() {
        session.advance(&mut log)?;
        session.notes.drain(..).for_each(output::note);
        log.drain();
        log.lap(Part::Other);
    }
    let (frames, steps) = (session.counts.frames - counts.frames, session.counts.agent_steps - counts.agent_steps);
    let updates = session.learner.updates() - updates;
    if let Some(pace) = session.learner.plan().pace {
        keeps_pace(pace, [steps, session.counts.episodes - counts.episodes], updates)?;
    }
    if steps == 0 {
        waiting.go_on()?;
    }
    Ok(Timed::new(frames, steps, updates, log.clock.take().into()))
}

/// Exit code of a command that measured for `seconds`; reports it if someone asked to stop before the end.
pub(crate) fn end(waiting: &Waiting, seconds: f64) -> ExitCode {
    if !waiting.stopped() {
        return ExitCode::SUCCESS;
    }
    output::note(format!("stopped before the end: measured for {seconds:.1} s"));
    ExitCode::from(STOPPED)
}

/// Checks that there were as many updates for the agent steps as the preset asks for: otherwise steps per second say
/// nothing. Each episode that ended may have left the row of a reset, which is no agent step but counts for a learner
/// of whole blocks.
fn keeps_pace(pace: UpdateRatio, [steps, episodes]: [u64; 2], updates: u64) -> anyhow::Result<()> {
    let due = |rows: u64| rows as f64 * pace.updates as f64 / pace.steps as f64;
    let (least, most) = (due(steps) - pace.updates as f64, due(steps + episodes) + pace.updates as f64);
    if !(least..=most).contains(&(updates as f64)) {
        let (per, of) = (pace.updates, pace.steps);
        bail!("{updates} updates in {steps} agent steps, where the preset asks for {per} per {of}: not a fair measure");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_those_of_the_steps_and_of_resets_and_a_round_at_the_ends() {
        let pace = UpdateRatio { updates: 4, steps: 256 };
        for (steps, episodes, updates, fair) in [
            (25_600, 0, 400, true),
            (25_600, 0, 396, true),
            (25_600, 0, 404, true),
            (25_600, 0, 395, false),
            (25_600, 0, 405, false),
            (24_000, 1_600, 400, true), // every fifteenth row was a reset
            (24_000, 800, 400, false),
        ] {
            assert_eq!(keeps_pace(pace, [steps, episodes], updates).is_ok(), fair, "{updates} in {steps}");
        }
    }
}
