//! The engine as a child process: how it is started, spoken with, watched and ended.
//!
//! Nothing outlives it. Its names in `/dev/shm` and its working directory are taken away once it has answered for the first
//! time (what a process leaves that is killed before, the [next one](crate::leftovers) takes away), and the kernel kills it
//! when the thread that started it ends: that is one thread of this process, which starts all of them and ends with the
//! process, since who owns an engine may pass it on to another thread.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, Once, mpsc};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use tempfile::TempDir;

use crate::error::doing;
use crate::layout::Message;
use crate::leftovers;
use crate::memory::{SharedMemory, text};
use crate::queue::{Queue, Wait};
use crate::{Error, Result};

/// How long a whole start may take: players of a game for several wait there for each other.
const START: Duration = Duration::from_secs(120);
/// How long an answer may take, where nobody says: a tic takes less than a millisecond.
const TIC: Duration = Duration::from_secs(60);
/// Longest patience: an `Instant` is sure to hold that much more.
const LONGEST: Duration = Duration::from_secs(1 << 30);
/// How long an engine that was asked to end is waited for.
const END: Duration = Duration::from_millis(500);
/// Bytes of its output that an error shows.
const OUTPUT: u64 = 600;
/// Bytes of output after which it is forgotten.
const FORGET: u64 = 1 << 20;

/// What messages say. Most of ours are answered by one `DONE`.
mod code {
    pub(super) const DONE: u8 = 11;
    pub(super) const CLOSE: u8 = 12;
    pub(super) const ERROR: u8 = 13;
    pub(super) const TIC: u8 = 21;
    pub(super) const UPDATE: u8 = 22;
    pub(super) const TIC_AND_UPDATE: u8 = 23;
    pub(super) const COMMAND: u8 = 24;
    pub(super) const END: u8 = 25;
}

/// A request that the engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Plays one tic.
    Tic,
    /// Renders the buffers and writes the game state.
    Update,
    /// Plays one tic, renders the buffers and writes the game state.
    TicAndUpdate,
}

/// A running engine process, its two message queues and its shared memory.
#[derive(Debug)]
pub(crate) struct Engine {
    process: Process,
    to: Queue,
    from: Queue,
    memory: SharedMemory,
    /// Core that the engine is pinned to, if any.
    core: Option<usize>,
    /// How long an answer may take.
    patience: Duration,
}

/// An engine that has not answered yet: those of one match wait for each other before any of them does.
#[derive(Debug)]
pub(crate) struct Starting {
    process: Process,
    to: Queue,
    from: Queue,
    shared: Unlinked,
    /// Working directory of the engine, where it writes settings that nobody reads.
    _dir: TempDir,
    since: Instant,
    /// How long the whole start may take.
    patience: Duration,
}

impl Starting {
    /// Starts the engine at `program` with `args` and the name of its queues, without waiting for its answer.
    ///
    /// # Errors
    /// If the process, a queue or a directory cannot be made.
    pub(crate) fn new(program: &Path, args: Vec<String>) -> Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| leftovers::sweep(&std::env::temp_dir(), Path::new("/dev/shm")));
        let dir =
            tempfile::Builder::new().prefix(&leftovers::prefix()).tempdir().map_err(doing("making a directory"))?;
        let instance = leftovers::instance(dir.path()).expect("it is named as ours are");
        let [to, from, shared] = leftovers::NAMES.map(|name| format!("/{name}{instance}"));
        let (to, from, shared) = (Queue::create(to)?, Queue::create(from)?, Unlinked(shared));
        let process = Process::spawn(program, args, &instance, &dir)?;
        Ok(Self { process, to, from, shared, _dir: dir, since: Instant::now(), patience: START })
    }

    /// Number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Waits up to `time` for the engine's first answer and returns whether it came.
    ///
    /// # Errors
    /// If the engine reports an error in its arguments, dies, or has not answered for 120 s since its start.
    pub(crate) fn answers_within(&mut self, time: Duration) -> Result<bool> {
        let answer = self.from.receive(time, &|| self.process.lives());
        if matches!(answer, Err(Wait::TimedOut)) && self.since.elapsed() < self.patience {
            return Ok(false);
        }
        self.process.heed(answer, self.patience).map(|()| true)
    }

    /// Returns the running engine; called once it has answered.
    ///
    /// # Errors
    /// If the engine is of another version.
    pub(crate) fn ready(mut self) -> Result<Engine> {
        let memory = SharedMemory::open(&self.shared.0)?;
        self.to.unlink();
        self.from.unlink();
        Ok(Engine { process: self.process, to: self.to, from: self.from, memory, core: None, patience: TIC })
    }
}

impl Engine {
    /// Starts the engine at `program` with `args`, and waits for its first answer.
    ///
    /// # Errors
    /// If it does not start, is of another version, or says what is wrong with its arguments.
    pub(crate) fn start(program: &Path, args: Vec<String>) -> Result<Self> {
        let mut starting = Starting::new(program, args)?;
        while !starting.answers_within(START)? {}
        starting.ready()
    }

    /// Returns the engine's shared memory, to read the game state.
    pub(crate) fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// Returns the engine's shared memory, to write inputs.
    pub(crate) fn memory_mut(&mut self) -> &mut SharedMemory {
        &mut self.memory
    }

    /// Number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// If the engine is dead, reports an error, or does not answer in time, after which it is ended.
    pub(crate) fn ask(&mut self, what: Ask) -> Result<()> {
        self.post(what)?;
        if self.core == Some(sched_getcpu()) {
            // It works on this core, where this thread cannot do a thing before it is done.
            self.from.yield_to_sender();
        }
        let answer = self.from.receive(self.patience, &|| self.process.lives());
        self.kill_if_silent(answer.err());
        self.process.heed(answer, self.patience)
    }

    /// Sends a request without waiting for the answer; [`answers_within`](Self::answers_within) follows.
    ///
    /// # Errors
    /// If the engine is dead.
    pub(crate) fn post(&mut self, what: Ask) -> Result<()> {
        let code = match what {
            Ask::Tic => code::TIC,
            Ask::Update => code::UPDATE,
            Ask::TicAndUpdate => code::TIC_AND_UPDATE,
        };
        self.send(&Message { code, command: [0; 128] })
    }

    /// Waits up to `time` for the answer to a request that was [posted](Self::post) and returns whether it came.
    ///
    /// # Errors
    /// If the engine is dead or reports an error.
    pub(crate) fn answers_within(&mut self, time: Duration) -> Result<bool> {
        match self.from.receive(time, &|| self.process.lives()) {
            Err(Wait::TimedOut) => Ok(false),
            answer => self.process.heed(answer, time).map(|()| true),
        }
    }

    /// How long an answer may take.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Sets how long an answer may take.
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience.min(LONGEST);
    }

    /// Kills an engine that did not answer in time: an answer that came later would be taken for that to another request.
    fn kill_if_silent(&mut self, wait: Option<Wait>) {
        if wait == Some(Wait::TimedOut) {
            self.kill();
        }
    }

    /// Kills the engine's process.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.child.kill();
    }

    /// Sends a command to the engine's console, which executes it before the next tic.
    ///
    /// # Errors
    /// If the command is longer than 127 bytes or holds a zero byte, or the engine is dead or takes no messages.
    pub(crate) fn command(&mut self, command: &str) -> Result<()> {
        let mut message = Message { code: code::COMMAND, command: [0; 128] };
        let most = message.command.len() - 1; // a zero ends it
        if command.len() > most || command.contains('\0') {
            return Err(Error::Command { command: command.to_owned(), bytes: command.len(), most });
        }
        message.command[..command.len()].copy_from_slice(command.as_bytes());
        self.send(&message)
    }

    /// Whether the engine has loaded a library whose file name begins with `library`.
    pub(crate) fn has_loaded(&self, library: &str) -> bool {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.id())).unwrap_or_default();
        maps.lines().any(|line| line.rsplit('/').next().is_some_and(|file| file.starts_with(library)))
    }

    /// Pins the engine's process to the core `core`.
    ///
    /// # Errors
    /// If there is no such core, or this process may not use it.
    pub(crate) fn pin(&mut self, core: usize) -> Result<()> {
        if self.core != Some(core) {
            let mut set = CpuSet::new();
            set.set(core);
            let id = Pid::from_child(&self.process.child);
            sched_setaffinity(Some(id), &set).map_err(doing(format!("pinning the engine to core {core}")))?;
            self.core = Some(core);
        }
        Ok(())
    }

    /// Clears the engine's printed output once it exceeds 1 MiB, since the engine prints a line for every episode.
    pub(crate) fn forget_output(&self) {
        if self.process.output.metadata().is_ok_and(|file| file.len() > FORGET) {
            let _ = self.process.output.set_len(0); // it appends, so that the file begins anew
        }
    }

    fn send(&mut self, message: &Message) -> Result<()> {
        let sent = self.to.send(message, self.patience, &|| self.process.lives());
        self.kill_if_silent(sent.err());
        sent.map_err(|wait| self.process.explain(wait, self.patience))
    }
}

impl Drop for Engine {
    /// Asks it to end, which settles a demo that it records, and sees to it that it does.
    fn drop(&mut self) {
        self.patience = self.patience.min(END);
        let asked = self.process.lives() && self.send(&Message { code: code::END, command: [0; 128] }).is_ok();
        if asked {
            self.process.wait(END);
        }
    }
}

/// A name in `/dev/shm` that goes when this does.
#[derive(Debug)]
struct Unlinked(String);

impl Drop for Unlinked {
    fn drop(&mut self) {
        let _ = rustix::shm::unlink(&self.0); // the engine may not have come so far
    }
}

/// The child. Dropped, it is killed and waited for.
#[derive(Debug)]
struct Process {
    child: Child,
    /// Becomes readable when it ends.
    death: OwnedFd,
    /// What it prints, in a file without a name.
    output: File,
}

impl Process {
    fn spawn(program: &Path, args: Vec<String>, instance: &str, dir: &TempDir) -> Result<Self> {
        let output = dir.path().join("output");
        let output = File::options().read(true).append(true).create_new(true).open(&output);
        let output = output.map_err(doing("making a file for the engine's output"))?;
        let copy = || output.try_clone().map_err(doing("opening the file of the engine's output twice"));
        let mut command = Command::new(program);
        command.args(args).args(["+viz_controlled", "1", "+viz_instance_id", instance]);
        command.current_dir(dir.path()).stdin(Stdio::null()).stdout(copy()?).stderr(copy()?);
        let mut child = start(command).map_err(doing(format!("starting {}", program.display())))?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(death) => Ok(Self { child, death, output }),
            Err(e) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(doing("watching the engine")(e))
            }
        }
    }

    fn lives(&self) -> bool {
        !self.ends_within(Duration::ZERO)
    }

    fn ends_within(&self, time: Duration) -> bool {
        let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
        let mut watched = [PollFd::new(&self.death, PollFlags::IN)];
        matches!(poll(&mut watched, Some(&time)), Ok(ready) if ready > 0)
    }

    fn wait(&mut self, time: Duration) {
        if self.ends_within(time) {
            let _ = self.child.wait();
        }
    }

    /// Takes an answer, for which it was waited so long at most, for what it says.
    fn heed(&self, answer: std::result::Result<Message, Wait>, patience: Duration) -> Result<()> {
        let message = answer.map_err(|wait| self.explain(wait, patience))?;
        match message.code {
            code::DONE => Ok(()),
            code::ERROR => Err(Error::Engine { message: self.with_output(text(&message.command)) }),
            code::CLOSE => Err(Error::Died { message: self.with_output("it was closed".to_owned()) }),
            code => Err(Error::Version { found: format!("unknown: its message has code {code}") }),
        }
    }

    fn explain(&self, wait: Wait, patience: Duration) -> Error {
        match wait {
            Wait::TimedOut => Error::silent(patience),
            Wait::Died => Error::Died { message: self.with_output(self.how_it_died()) },
        }
    }

    fn how_it_died(&self) -> String {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        // Its lock is let go before its end is told.
        self.ends_within(END);
        // Without reaping it: `drop` does that.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(Pid::from_child(&self.child)), options) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(libc::SIGBUS)) => {
                    "signal 7: /dev/shm may be full (a container has as much as --shm-size says)".to_owned()
                }
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "for a reason unknown".to_owned(),
            },
            _ => "while it held a lock".to_owned(),
        }
    }

    /// A message, and what it printed last.
    fn with_output(&self, message: String) -> String {
        let mut file = &self.output;
        let mut printed = Vec::new();
        let from = file.metadata().map_or(0, |file| file.len().saturating_sub(OUTPUT));
        let read = file.seek(SeekFrom::Start(from)).and_then(|_| file.take(OUTPUT).read_to_end(&mut printed));
        let printed = String::from_utf8_lossy(&printed);
        let printed = printed.trim();
        if read.is_err() || printed.is_empty() { message } else { format!("{message}; it printed last:\n{printed}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lives() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Starts a program from the thread that starts all engines, and says what came of it.
fn start(mut command: Command) -> std::io::Result<Child> {
    type Order = (Command, mpsc::SyncSender<std::io::Result<Child>>);
    static NURSERY: Mutex<Option<mpsc::Sender<Order>>> = Mutex::new(None);

    let us = getpid();
    // SAFETY: between fork and exec it makes calls of the system that may be made there, and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // A terminal, `timeout` or a job scheduler sends these to all processes. When an engine ends is ours to say: who is
            // asked to stop may still be in the middle of its episodes. SDL takes over only signals that are not ignored.
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                if libc::signal(signal, libc::SIG_IGN) == libc::SIG_ERR {
                    return Err(std::io::Error::last_os_error());
                }
            }
            // Were we killed since the fork, no signal would come.
            if getppid() == Some(us) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
        });
    }
    let (answer, born) = mpsc::sync_channel(1);
    let mut nursery = NURSERY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let orders = match nursery.as_ref() {
        Some(orders) => orders.clone(),
        None => {
            let (orders, inbox) = mpsc::channel::<Order>();
            std::thread::Builder::new().name("engines".to_owned()).spawn(move || {
                for (mut command, answer) in inbox {
                    let _ = answer.send(command.spawn()); // who asked waits for it
                }
            })?;
            nursery.insert(orders).clone()
        }
    };
    drop(nursery);
    let ended = |_| std::io::Error::other("the thread that starts engines has ended");
    orders.send((command, answer)).map_err(|_| ended(()))?;
    born.recv().map_err(|_| ended(()))?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_engine_that_never_starts_to_answer_is_waited_for_until_its_patience_ends() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("engine");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut starting = Starting::new(&program, Vec::new()).unwrap();
        let turn = Duration::from_millis(5);
        assert!(!starting.answers_within(turn).unwrap(), "it has its time");
        starting.patience = Duration::from_millis(1100);
        let error = loop {
            match starting.answers_within(turn) {
                Ok(answered) => assert!(!answered),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(error, "the engine has not answered for 2 s", "rounded up");
        let process = Path::new("/proc").join(starting.id().to_string());
        drop(starting);
        assert!(!process.exists());
    }
}
