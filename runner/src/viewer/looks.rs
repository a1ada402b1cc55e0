//! What moves the agent, looked at in a thread of its own, so that watching stays smooth.
//!
//! One step is looked at after the other, as it comes: while games are played, a map lags behind by as long as it takes.

use std::collections::VecDeque;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use rl_replays::Rollout;
use rl_replays::recording::Manifest;

use crate::saliency::{BURN_IN, Heat, Saliency, Weights};
use crate::tables::Tables;

/// Game and steps taken in it.
type Place = (usize, usize);

/// A step that is to be looked at, behind those that the policy is to remember.
struct Request {
    place: Place,
    seen: Vec<Rollout>,
}

/// The looks at one recording.
pub(super) struct Looks {
    requests: Sender<Request>,
    answers: Receiver<anyhow::Result<(Place, Option<Heat>)>>,
    /// Whether an answer is awaited.
    waiting: bool,
    /// What was seen before this step, as far as the policy remembers it.
    seen: VecDeque<Rollout>,
    remembers: bool,
    /// The last map, and where it was made.
    shown: Option<(Place, Option<Heat>)>,
    about: String,
}

impl Looks {
    /// Begins to look with the weights of a run at what the block of a recording shows.
    ///
    /// # Errors
    /// If they cannot be loaded or asked.
    pub(super) fn begin(run: &Path, manifest: &Manifest, block: &Rollout, tables: &Tables) -> anyhow::Result<Self> {
        let Weights { mut saliency, about } = Weights::load(run, manifest, block.spec(), tables)?;
        let remembers = saliency.remembers();
        // One thread: the others are for whoever watches.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        let ((requests, asked), (answer, answers)) = (bounded::<Request>(1), bounded(1));
        let work = move || {
            for Request { place, seen } in asked {
                let done = pool.install(|| look(&mut saliency, &seen)).map(|heat| (place, heat));
                if answer.send(done).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("saliency".to_owned()).spawn(work).context("a thread that looks")?;
        let (waiting, seen, shown) = (false, VecDeque::new(), None);
        Ok(Self { requests, answers, waiting, seen, remembers, shown, about })
    }

    /// Steps before one that is looked at which must be played for it.
    pub(super) fn lead(&self) -> usize {
        if self.remembers { BURN_IN } else { 0 }
    }

    /// Takes note of what is seen before a step is taken.
    pub(super) fn note(&mut self, block: &Rollout) {
        if self.remembers {
            if self.seen.len() == BURN_IN {
                self.seen.pop_front();
            }
            self.seen.push_back(block.clone());
        }
    }

    /// Forgets what was seen: the game goes on from elsewhere.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Looks at what a block shows, if nothing is looked at yet, and says whether a map has come.
    ///
    /// # Errors
    /// If the policy failed.
    pub(super) fn look(&mut self, place: Place, block: &Rollout) -> anyhow::Result<bool> {
        let come = match self.answers.try_recv() {
            Ok(answer) => {
                (self.shown, self.waiting) = (Some(answer?), false);
                true
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => false,
        };
        if !self.waiting && self.shown.as_ref().is_none_or(|(shown, _)| *shown != place) {
            let seen = self.seen.iter().chain([block]).cloned().collect();
            self.waiting = self.requests.try_send(Request { place, seen }).is_ok();
        }
        Ok(come)
    }

    /// The last map of a game.
    pub(super) fn heat(&self, game: usize) -> Option<&Heat> {
        let ((of, _), heat) = self.shown.as_ref()?;
        heat.as_ref().filter(|_| *of == game)
    }

    /// Whose weights they are.
    pub(super) fn about(&self) -> &str {
        &self.about
    }
}

fn look(saliency: &mut Saliency, seen: &[Rollout]) -> anyhow::Result<Option<Heat>> {
    let (last, before) = seen.split_last().context("a step to look at")?;
    saliency.forget()?;
    before.iter().try_for_each(|block| saliency.see(block))?;
    saliency.look(last)
}
