//! Ctrl-C, SIGTERM, and SIGHUP of a terminal that closes: the first signal asks for a checkpoint, another one ends the
//! process at once.
//!
//! A terminal and a supervisor such as `timeout` may both pass on one request, so that it comes twice in a moment:
//! signals shortly after the first count as the same request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::console::output;

/// Exit code of a run that was stopped before its end and can be resumed. Source: `EX_TEMPFAIL` of sysexits.h.
pub(crate) const STOPPED: u8 = 75;

/// Time after the first signal within which further ones are the same request.
const SAME: Duration = Duration::from_millis(300);

/// Whether someone asked the run to stop; clones share the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens to signals from now on, in a thread of its own, so that a second request works even if the run hangs.
    /// Prints `answer`, if there is one, at the first signal, and calls `last` before the process ends by another.
    ///
    /// # Errors
    /// If the system refuses a handler or a thread.
    pub(crate) fn listen(answer: Option<&'static str>, last: fn()) -> io::Result<Self> {
        let stop = Self::default();
        let asked = Arc::clone(&stop.0);
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        // Who is started by nohup is to outlive its terminal.
        if !ignored(SIGHUP) {
            signals.add_signal(SIGHUP)?;
        }
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut first: Option<Instant> = None;
            for signal in signals.forever() {
                match first {
                    None => {
                        asked.store(true, Ordering::Relaxed);
                        answer.into_iter().for_each(output::note);
                    }
                    // Without destructors: other threads are at work.
                    Some(first) if first.elapsed() > SAME => {
                        last();
                        low_level::exit(128 + signal);
                    }
                    Some(_) => {}
                }
                first.get_or_insert_with(Instant::now);
            }
        })?;
        Ok(stop)
    }

    /// Asks the run to stop, as the first signal does.
    #[cfg(feature = "tui")]
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the run was asked to stop.
    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether this process was started with a signal ignored, as by `nohup`.
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
