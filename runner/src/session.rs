//! Everything that decides the future of a run, each part named, in one order.
//!
//! A part that is missing here is a run that resumes differently; the test at the foot drops each of them.

use std::collections::VecDeque;
use std::io::{Read, Write};

use rl_agents::{Learner, Policy};
use rl_core::{End, Episode, Result, Saved, VecEnv, load_postcard, save_postcard};
use rl_replays::Rollout;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Finished episodes that a mean return is taken over.
pub(crate) const WINDOW: usize = 100;

/// A run between two blocks.
pub(crate) struct Session {
    /// All training seats.
    pub(crate) env: Box<dyn VecEnv>,
    /// What learns.
    pub(crate) learner: Box<dyn Learner>,
    /// What acts in the training seats.
    pub(crate) policy: Box<dyn Policy>,
    /// Row 0 is where the next block begins.
    pub(crate) block: Rollout,
    /// How far the run is.
    pub(crate) counts: Counts,
    /// Returns of the last episodes.
    pub(crate) window: Window,
}

/// How far a run is. Frames, agent steps and updates are different things.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Emulator frames.
    pub(crate) frames: u64,
    /// Actions taken.
    pub(crate) agent_steps: u64,
    /// Episodes finished.
    pub(crate) episodes: u64,
    /// Frames at which the next checkpoint is due.
    pub(crate) next_checkpoint: u64,
    /// Frames at which the next evaluation is due.
    pub(crate) next_eval: u64,
    /// Mean of the best evaluation.
    pub(crate) best: Option<f64>,
}

/// The last [`WINDOW`] finished episodes. Short episodes finish first, so an early mean is biased towards them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window(VecDeque<(f64, u64)>);

impl Window {
    /// Adds a finished episode, and forgets the oldest beyond the window.
    pub(crate) fn push(&mut self, episode: &Episode) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back((episode.ret, episode.frames));
    }

    /// Mean raw return, once an episode has finished.
    pub(crate) fn mean_return(&self) -> Option<f64> {
        self.mean(|&(ret, _)| ret)
    }

    /// Mean length in frames, once an episode has finished.
    pub(crate) fn mean_frames(&self) -> Option<f64> {
        self.mean(|&(_, frames)| frames as f64)
    }

    fn mean(&self, of: impl Fn(&(f64, u64)) -> f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.iter().map(of).sum::<f64>() / self.0.len() as f64)
    }
}

/// Does something to one part; the name fits a file name.
pub(crate) type Visit<'a> = dyn FnMut(&str, &mut dyn Saved) -> anyhow::Result<()> + 'a;

/// Name of the part that evaluation needs alone.
pub(crate) const WEIGHTS: &str = "model.safetensors";

impl Session {
    /// Shows every part to `visit`: weights first, then in the order in which they depend on each other.
    ///
    /// # Errors
    /// The first error of `visit`.
    pub(crate) fn visit(&mut self, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        visit(WEIGHTS, self.learner.weights())?;
        for (name, part) in self.learner.state() {
            visit(&format!("learner.{name}"), part)?;
        }
        for (name, part) in self.policy.state() {
            visit(&format!("policy.{name}"), part)?;
        }
        visit("env", &mut Seats(self.env.as_mut()))?;
        visit("block", &mut Carried(&mut self.block))?;
        visit("counts", &mut Plain("counts", &mut self.counts))?;
        visit("window", &mut Plain("window", &mut self.window))
    }
}

/// A value that serde writes.
struct Plain<'a, T>(&'static str, &'a mut T);

impl<T: Serialize + DeserializeOwned> Saved for Plain<'_, T> {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        let mut bytes = Vec::new();
        save_postcard(&*self.1, &mut bytes)?;
        Ok(out.write_all(&bytes)?)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        *self.1 = load_postcard(self.0, &bytes)?;
        Ok(())
    }
}

/// The state of all seats.
struct Seats<'a>(&'a mut dyn VecEnv);

impl Saved for Seats<'_> {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        let mut bytes = Vec::new();
        self.0.save(&mut bytes)?;
        Ok(out.write_all(&bytes)?)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        self.0.load(&bytes)
    }
}

/// The rows of a block that the next one begins with: row 0, and the frames that its stack reaches back to.
struct Carried<'a>(&'a mut Rollout);

/// `frame` is `[stack, N, H·W·C]`, the rest one row.
#[derive(Serialize, Deserialize)]
struct Row {
    frame: Vec<Vec<u8>>,
    vector: Vec<f32>,
    symbols: Vec<u32>,
    legal: Vec<u8>,
    age: Vec<u32>,
    reward: Vec<f32>,
    end: Vec<End>,
    frames: Vec<u32>,
}

impl Saved for Carried<'_> {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        let block = &*self.0;
        let row = Row {
            frame: (0..block.spec().stack).map(|t| block.frame.row(t).to_vec()).collect(),
            vector: block.vector.row(0).to_vec(),
            symbols: block.symbols.row(0).to_vec(),
            legal: block.legal.row(0).to_vec(),
            age: block.age.row(0).to_vec(),
            reward: block.reward.row(0).to_vec(),
            end: block.end.row(0).to_vec(),
            frames: block.frames.row(0).to_vec(),
        };
        let mut bytes = Vec::new();
        save_postcard(&row, &mut bytes)?;
        Ok(out.write_all(&bytes)?)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let row: Row = load_postcard("block", &bytes)?;
        let block = &mut *self.0;
        let stack = block.spec().stack;
        let same = row.frame.len() == stack
            && row.frame.iter().enumerate().all(|(t, frame)| frame.len() == block.frame.row(t).len())
            && row.vector.len() == block.vector.row(0).len()
            && row.symbols.len() == block.symbols.row(0).len()
            && row.legal.len() == block.legal.row(0).len()
            && [row.age.len(), row.reward.len(), row.end.len(), row.frames.len()].iter().all(|&n| n == block.envs());
        if !same {
            let message = format!("is not a row of {} seats of this environment", block.envs());
            return Err(rl_core::Error::State { part: "block".to_owned(), message });
        }
        for (t, frame) in row.frame.iter().enumerate() {
            block.frame.row_mut(t).copy_from_slice(frame);
        }
        block.vector.row_mut(0).copy_from_slice(&row.vector);
        block.symbols.row_mut(0).copy_from_slice(&row.symbols);
        block.legal.row_mut(0).copy_from_slice(&row.legal);
        block.age.row_mut(0).copy_from_slice(&row.age);
        block.reward.row_mut(0).copy_from_slice(&row.reward);
        block.end.row_mut(0).copy_from_slice(&row.end);
        block.frames.row_mut(0).copy_from_slice(&row.frames);
        Ok(())
    }
}
