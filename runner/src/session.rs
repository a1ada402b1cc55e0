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
    /// Frames at which the next row of metrics is due.
    pub(crate) next_row: u64,
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

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rl_agents::{Log, Mode};
    use rl_core::Solo;

    use super::*;
    use crate::checkpoint::{self, Checkpoint, Extent};
    use crate::collect::collect;
    use crate::preset::{Ask, Resolved, resolve};
    use crate::tables::Tables;
    use crate::{toy, train};

    fn resolved(env: &str, agent: &str) -> Resolved {
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, &[toy::ENTRY]]);
        // DQN begins to learn, to forget and to choose before the checkpoint.
        let early = ["learning_starts=200", "target_period=100", "replay_capacity=400", "epsilon.start=0.1"];
        let sets = early.map(|set| format!("agent.{set}"));
        let sets = if agent == "dqn" { &sets[..] } else { &[] };
        resolve(&tables, &Ask { env, agent: Some(agent), sets, ..Ask::default() }).unwrap()
    }

    fn begin(resolved: &Resolved) -> Session {
        train::start(resolved, &resolved.train().unwrap(), 3, &Device::Cpu).unwrap()
    }

    fn play(session: &mut Session, blocks: usize) -> Result<()> {
        for _ in 0..blocks {
            collect(session.env.as_mut(), session.policy.as_mut(), &mut session.block, Mode::Explore)?;
            session.learner.learn(std::slice::from_ref(&session.block), &mut Solo, &mut Log::default())?;
            train::tally(session);
        }
        Ok(())
    }

    fn parts(session: &mut Session) -> Vec<(String, String)> {
        let mut parts = Vec::new();
        let mut hash = |name: &str, part: &mut dyn Saved| {
            parts.push((name.to_owned(), checkpoint::sha256(part)?));
            Ok(())
        };
        session.visit(&mut hash).unwrap();
        parts
    }

    #[test]
    fn a_resumed_session_is_the_uninterrupted_one_and_no_part_can_be_spared() {
        for (env, agent) in [("frozenlake", "toy"), ("cartpole", "toy"), ("frozenlake", "dqn"), ("cartpole", "dqn")] {
            let resolved = resolved(env, agent);
            let owner = train::owner(&resolved);
            let dir = tempfile::tempdir().unwrap();
            let mut whole = begin(&resolved);
            whole.env.reset(whole.block.first()).unwrap();
            let blocks = 600 / (whole.block.horizon() * whole.block.envs());
            play(&mut whole, blocks).unwrap();
            let path = checkpoint::write(dir.path(), &mut whole, &owner, Extent::Whole).unwrap();
            play(&mut whole, blocks).unwrap();
            let whole = Some(parts(&mut whole));

            let saved = Checkpoint::open(&path, &owner).unwrap();
            let go_on_without = |dropped: Option<&str>| {
                let mut session = begin(&resolved);
                let mut load = |name: &str, part: &mut dyn Saved| match dropped {
                    Some(dropped) if dropped == name => Ok(()),
                    _ => saved.load_part(name, part),
                };
                session.visit(&mut load).unwrap();
                play(&mut session, blocks).ok()?; // an empty replay cannot even go on
                Some(parts(&mut session))
            };
            assert_eq!(go_on_without(None), whole, "{agent} on {env}");
            for (name, _) in whole.iter().flatten() {
                assert_ne!(go_on_without(Some(name)), whole, "{agent} on {env}: {name} decides nothing");
            }
        }
    }

    #[test]
    fn damaged_and_foreign_checkpoints_are_refused_by_name() {
        let resolved = resolved("cartpole", "toy");
        let owner = train::owner(&resolved);
        let dir = tempfile::tempdir().unwrap();
        let mut session = begin(&resolved);
        let path = checkpoint::write(dir.path(), &mut session, &owner, Extent::Whole).unwrap();
        let open = |owner| Checkpoint::open(&path, owner).map(|_| ()).map_err(|e| format!("{e:#}"));
        let refused = |file: &str, bytes: Option<&[u8]>, why: &str| {
            let file = path.join(file);
            let before = std::fs::read(&file).unwrap();
            match bytes {
                Some(bytes) => std::fs::write(&file, bytes).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            let error = open(&owner).unwrap_err();
            assert!(error.contains(file.to_str().unwrap()) && error.contains(why), "{error}");
            std::fs::write(&file, before).unwrap();
        };
        assert_eq!(open(&owner), Ok(()));
        for part in [WEIGHTS, "env", "learner.rng", "counts"] {
            let bytes = std::fs::read(path.join(part)).unwrap();
            let mut flipped = bytes.clone();
            flipped[bytes.len() / 2] ^= 1;
            refused(part, Some(&flipped), "damaged");
            refused(part, Some(&bytes[..bytes.len() - 1]), "truncated");
            refused(part, None, "No such file");
        }
        let manifest = std::fs::read_to_string(path.join("manifest.json")).unwrap();
        refused("manifest.json", Some(manifest.replace("\"version\": 2", "\"version\": 9").as_bytes()), "version 9");
        refused("manifest.json", Some(manifest.replace("\"frames\": 0", "\"frames\": 1").as_bytes()), "damaged");
        refused("manifest.json", Some(b"{}"), "not the manifest");
        refused("manifest.json", Some(&manifest.as_bytes()[..40]), "damaged");
        let stranger = checkpoint::Owner { agent: "dqn".to_owned(), ..owner.clone() };
        assert!(open(&stranger).unwrap_err().contains("belongs to toy on cartpole, not to dqn on cartpole"));
        let newer = checkpoint::Owner { env_version: 99, ..owner.clone() };
        assert!(open(&newer).unwrap_err().contains("version 99"));
    }

    #[test]
    fn evaluation_changes_no_bit_of_the_session() {
        let resolved = resolved("frozenlake", "toy");
        let mut session = begin(&resolved);
        session.env.reset(session.block.first()).unwrap();
        play(&mut session, 5).unwrap();
        let before = parts(&mut session);
        let mode = Mode::Evaluate { epsilon: 0.1, greedy: false };
        let stop = crate::stop::Stop::default();
        let score = || crate::evaluate::play(&resolved, session.learner.as_ref(), 3, 21, mode, &stop).unwrap().unwrap();
        let (first, second) = (score(), score());
        assert_eq!(first, second);
        assert_eq!(first.returns.len(), 21);
        assert_eq!(parts(&mut session), before);
    }
}
