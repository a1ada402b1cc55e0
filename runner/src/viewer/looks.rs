//! Makes saliency maps in a thread of its own, so that watching stays smooth.
//!
//! One map is made after the other: while a game plays, the map lags behind by the time that it takes.

use std::collections::VecDeque;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, bail};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use rl_replays::Rollout;
use rl_replays::recording::Manifest;

use crate::saliency::{BURN_IN, Heat, Saliency, Weights};
use crate::tables::Tables;

/// Index of a game, and steps taken in it.
type Place = (usize, usize);

/// A step to make a map of, after the steps that the policy remembers.
struct Request {
    place: Place,
    seen: Vec<Rollout>,
}

/// The saliency maps of one recording.
pub(super) struct Looks {
    requests: Sender<Request>,
    answers: Receiver<anyhow::Result<(Place, Option<Heat>)>>,
    /// Whether a map is being made.
    waiting: bool,
    /// What was seen before this step, as far back as the policy needs it.
    seen: VecDeque<Rollout>,
    recurrent: bool,
    /// The last map, and its place.
    shown: Option<(Place, Option<Heat>)>,
    about: String,
}

impl Looks {
    /// Loads the weights of a run and starts the thread. `block` has the shapes of what the recording shows.
    ///
    /// # Errors
    /// If the weights cannot be loaded, the agent has no outputs, or the thread cannot be started.
    pub(super) fn begin(run: &Path, manifest: &Manifest, block: &Rollout, tables: &Tables) -> anyhow::Result<Self> {
        let Weights { mut saliency, about } = Weights::load(run, manifest, block.spec(), tables)?;
        let recurrent = saliency.is_recurrent();
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
        Ok(Self { requests, answers, waiting, seen, recurrent, shown, about })
    }

    /// Steps that must be played before one that a map is made of.
    pub(super) fn lead(&self) -> usize {
        if self.recurrent { BURN_IN } else { 0 }
    }

    /// Notes what is seen before a step is taken.
    pub(super) fn note(&mut self, block: &Rollout) {
        if self.recurrent {
            if self.seen.len() == BURN_IN {
                self.seen.pop_front();
            }
            self.seen.push_back(block.clone());
        }
    }

    /// Forgets what was seen, because the game goes on from another step.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Requests a map of what a block shows unless one is being made, and returns whether a map has come.
    ///
    /// # Errors
    /// If the policy failed.
    pub(super) fn look(&mut self, place: Place, block: &Rollout) -> anyhow::Result<bool> {
        let come = match self.answers.try_recv() {
            Ok(answer) => {
                (self.shown, self.waiting) = (Some(answer?), false);
                true
            }
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Disconnected) => {
                bail!("the thread that makes maps of what the policy looks at has ended")
            }
        };
        if !self.waiting && self.shown.as_ref().is_none_or(|(shown, _)| *shown != place) {
            let seen = self.seen.iter().chain([block]).cloned().collect();
            self.waiting = self.requests.try_send(Request { place, seen }).is_ok();
        }
        Ok(come)
    }

    /// The last map, if it is of this game.
    pub(super) fn heat(&self, game: usize) -> Option<&Heat> {
        let ((of, _), heat) = self.shown.as_ref()?;
        heat.as_ref().filter(|_| *of == game)
    }

    /// Which weights the maps are of, in words.
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
