//! Threads that step environments: a group of seats and its block are sent there and come back by value.
//!
//! A worker owns nothing between two steps, so that checkpoints need nothing of it and nothing is lost when it ends.
//! Which thread steps a group changes no bit.

use std::thread::{Builder, JoinHandle};

use anyhow::{Context as _, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded};
use rl_core::{VecEnv, caught};
use rl_replays::Rollout;

/// Seats that step together, and the block that they write to.
type Group = (Box<dyn VecEnv>, Rollout);

/// Steps every seat of `env` from row `t` of `block` to the next.
///
/// # Errors
/// If the environment fails or panics; the message is one line and names the seat.
pub(crate) fn step(env: &mut dyn VecEnv, block: &mut Rollout, t: usize) -> anyhow::Result<()> {
    served(env, |env| {
        let (act, rows) = block.step(t);
        env.step(act, rows)
    })
}

/// Starts an episode in every seat of `env`, in the first row of `block`.
///
/// # Errors
/// As [`step`].
pub(crate) fn reset(env: &mut dyn VecEnv, block: &mut Rollout) -> anyhow::Result<()> {
    served(env, |env| env.reset(block.first()))
}

/// Calls `work` with an environment, and makes a failure or panic an error that names the seat.
fn served(env: &mut dyn VecEnv, work: impl FnOnce(&mut dyn VecEnv) -> rl_core::Result<()>) -> anyhow::Result<()> {
    match caught(|| work(env)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(anyhow::Error::from(error).context(format!("seat {}", env.serving()))),
        Err(panic) => Err(anyhow!("seat {}: the environment panicked: {panic}", env.serving())),
    }
}

/// A thread that steps the groups that it is sent.
pub(crate) struct Worker {
    to: Option<Sender<(Group, usize)>>,
    from: Receiver<(Group, anyhow::Result<()>)>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn start(number: usize) -> anyhow::Result<Self> {
        let (to, jobs) = bounded::<(Group, usize)>(1);
        let (results, from) = bounded(1);
        let work = move || {
            for ((mut env, mut block), t) in jobs {
                let done = step(env.as_mut(), &mut block, t);
                if results.send(((env, block), done)).is_err() {
                    break; // nobody waits any more
                }
            }
        };
        let thread = Builder::new().name(format!("worker-{number}")).spawn(work).context("starting a worker")?;
        Ok(Self { to: Some(to), from, thread: Some(thread) })
    }

    /// Sends a group to be stepped from row `t`.
    pub(crate) fn send(&self, env: Box<dyn VecEnv>, block: Rollout, t: usize) {
        let to = self.to.as_ref().expect("open until the worker is dropped");
        let sent = to.send(((env, block), t));
        assert!(sent.is_ok(), "the thread receives until then");
    }

    /// Waits for the group that was sent, and returns it with the result of the step.
    pub(crate) fn receive(&self) -> (Group, anyhow::Result<()>) {
        self.from.recv().expect("the thread answers whatever it is sent: a step catches its panics")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.to = None; // ends its loop
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
