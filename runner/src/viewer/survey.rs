//! Plays a whole game in a thread of its own while it is watched: what each step came to, and states to jump to.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use rl_core::End;
use rl_replays::recording::{RecordedEpisode, Recording, Replayed};

use super::keyframes::{EVERY, Keyframe, Keyframes};
use crate::games::screening::{Screening, Step};
use crate::tables::Tables;

/// Most bytes of states.
const MOST: usize = 64 << 20;
/// Most legs that were played and not yet taken.
const AHEAD: usize = 64;

/// What the steps of a game came to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Sum of rewards, shaping included; the return once the game is over.
    pub(super) ret: f64,
    /// Emulator frames that passed.
    pub(super) frames: u64,
    /// Reward of the last step.
    pub(super) reward: f32,
    /// What the last step did to the episode.
    pub(super) end: End,
}

impl Tally {
    /// Adds a step of a game.
    pub(super) fn add(&mut self, step: Step) {
        self.ret = step.earned(self.ret);
        self.frames += u64::from(step.told.frames);
        (self.reward, self.end) = (step.told.reward, step.told.end);
    }
}

/// Some consecutive steps, and the state after them.
struct Leg {
    steps: Vec<Tally>,
    keyframe: Option<Keyframe>,
    differs: Option<usize>,
}

/// What is known of a whole game so far.
pub(super) struct Survey {
    legs: Option<Receiver<anyhow::Result<Leg>>>,
    steps: Vec<Tally>,
    pub(super) keyframes: Keyframes,
    differs: Option<usize>,
}

impl Survey {
    /// Begins to play game `game` in a thread. If the system has no thread, nothing becomes known and watching goes on.
    pub(super) fn begin(recording: &Arc<Recording>, game: usize, tables: &Tables) -> Self {
        let (sender, legs) = bounded(AHEAD);
        let (recording, tables) = (Arc::clone(recording), tables.clone());
        let thread = thread::Builder::new().name("survey".to_owned());
        let spawned = thread.spawn(move || {
            let played = &recording.episodes[game];
            let done = Screening::new(&recording.manifest, &tables).and_then(|it| through(it, played, &sender));
            if let Err(error) = done {
                let _ = sender.send(Err(error));
            }
        });
        let legs = spawned.is_ok().then_some(legs);
        Self { legs, steps: Vec::new(), keyframes: Keyframes::new(MOST), differs: None }
    }

    /// Takes what was played since the last call, and returns whether there was anything.
    ///
    /// # Errors
    /// If the environment failed.
    pub(super) fn catch_up(&mut self) -> anyhow::Result<bool> {
        let mut any = false;
        while let Some(legs) = &self.legs {
            match legs.try_recv() {
                Ok(leg) => {
                    self.take(leg?);
                    any = true;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.legs = None,
            }
        }
        Ok(any)
    }

    /// Waits until the whole game is known.
    ///
    /// # Errors
    /// If the environment failed.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        for leg in self.legs.take().into_iter().flatten() {
            self.take(leg?);
        }
        Ok(())
    }

    fn take(&mut self, leg: Leg) {
        self.steps.extend(leg.steps);
        self.differs = self.differs.or(leg.differs);
        leg.keyframe.into_iter().for_each(|keyframe| self.keyframes.push(keyframe));
    }

    /// Tally after each step, as far as the game is known.
    pub(super) fn steps(&self) -> &[Tally] {
        &self.steps
    }

    /// The first step, from 0, that is known to differ from the recording.
    pub(super) fn differs(&self) -> Option<usize> {
        self.differs
    }
}

/// Plays a game and sends its legs; ends early if nobody receives them.
fn through(mut screening: Screening, played: &RecordedEpisode, to: &Sender<anyhow::Result<Leg>>) -> anyhow::Result<()> {
    screening.begin(played)?;
    let (mut tally, mut replayed) = (Tally::default(), Some(Replayed::begin(played)));
    let mut leg = Leg { steps: Vec::new(), keyframe: None, differs: None };
    for step in 0..played.steps() {
        let shown = screening.step(played, step)?;
        tally.add(shown);
        leg.steps.push(tally);
        if let Some(Err(differs)) = replayed.as_mut().zip(shown.seen).map(|(replayed, seen)| replayed.step(seen)) {
            (leg.differs, replayed) = (Some(differs.seen), None);
        }
        let (done, over) = (step + 1, tally.end.over());
        if over && done < played.steps() && replayed.is_some() {
            leg.differs = Some(step); // recorded steps that others follow end nothing
        }
        let last = over || done == played.steps();
        if done.is_multiple_of(EVERY) && !last {
            // Without one, jumps are slower; of an environment without states they begin the game anew.
            leg.keyframe = screening.save().ok().map(|state| Keyframe { step: done, tally, state });
        }
        if done.is_multiple_of(EVERY) || last {
            let next = Leg { steps: Vec::new(), keyframe: None, differs: None };
            if to.send(Ok(std::mem::replace(&mut leg, next))).is_err() || last {
                break;
            }
        }
    }
    Ok(())
}
