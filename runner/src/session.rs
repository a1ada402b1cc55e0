//! Everything that decides the future of a run, each part named, in one order.
//!
//! A part that is missing here is a run that resumes differently; the test at the foot drops each of them.

use std::collections::VecDeque;
use std::io::{Read, Write};

use rl_agents::{Learner, Log, Mode, Part, Policy};
use rl_core::{End, Episode, Result, Saved, Solo, load_postcard, load_seats, save_postcard, save_seats};
use rl_replays::{Lane, Rollout};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::actors::Actors;
use crate::collect::{Seats, count, finished};

/// Finished episodes that a mean return is taken over.
pub(crate) const WINDOW: usize = 100;

/// A run between two blocks.
pub(crate) struct Session {
    /// All training seats; row 0 of their blocks is where the next ones begin. Actors take them along.
    pub(crate) seats: Seats,
    /// What learns.
    pub(crate) learner: Box<dyn Learner>,
    /// What acts in the training seats.
    pub(crate) acting: Acting,
    /// How far the run is.
    pub(crate) counts: Counts,
    /// Returns of the last episodes.
    pub(crate) window: Window,
    /// What happened that a person should know.
    pub(crate) notes: Vec<String>,
}

/// Who acts.
pub(crate) enum Acting {
    /// This thread, in turns with the learner, by its weights.
    InTurn(Box<dyn Policy>),
    /// Threads of their own, by weights that may lag behind.
    Apart(Actors),
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

impl Counts {
    /// Counts what filled `blocks`, in which so many episodes finished.
    fn add(&mut self, blocks: &[Rollout], episodes: usize) {
        let (frames, steps) = count(blocks);
        self.frames += frames;
        self.agent_steps += steps;
        self.episodes += episodes as u64;
    }
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
    /// Fills the blocks, learns from them and counts them.
    ///
    /// # Errors
    /// If an environment, the policy or the learner fails.
    pub(crate) fn advance(&mut self, log: &mut Log) -> anyhow::Result<()> {
        match &mut self.acting {
            Acting::InTurn(policy) => {
                let updates = self.learner.updates();
                self.seats.blocks_mut().iter_mut().for_each(|block| block.weights = updates);
                self.seats.collect(policy.as_mut(), Mode::Explore, &mut log.clock)?;
                self.learner.learn(self.seats.blocks(), &mut Solo, log)?;
                self.counts.add(self.seats.blocks(), self.seats.episodes().len());
                self.seats.episodes().iter().for_each(|episode| self.window.push(episode));
                self.seats.carry();
            }
            Acting::Apart(actors) => {
                if actors.at_rest() {
                    self.learner.publish()?;
                    actors.start(&mut self.seats)?;
                }
                actors.give_back();
                self.round(log)?;
            }
        }
        Ok(())
    }

    /// Learns from what actors have under way and ends their threads: from here on every part can be saved. They start again
    /// with the next [`advance`](Self::advance).
    ///
    /// # Errors
    /// If an actor or the learner fails.
    pub(crate) fn rest(&mut self, log: &mut Log) -> anyhow::Result<()> {
        while self.actors().is_some_and(|actors| actors.under_way()) {
            self.round(log)?;
        }
        match &mut self.acting {
            Acting::Apart(actors) => actors.rest(&mut self.seats),
            Acting::InTurn(_) => Ok(()),
        }
    }

    /// Whether it ends in the same bits every time: actors that lag behind see weights whenever they come.
    pub(crate) fn is_exact(&mut self) -> bool {
        self.actors().is_none_or(|actors| actors.max_lag() == 0)
    }

    fn actors(&mut self) -> Option<&mut Actors> {
        match &mut self.acting {
            Acting::Apart(actors) => Some(actors),
            Acting::InTurn(_) => None,
        }
    }

    /// One round of actors that are under way: waits for their blocks and learns from them.
    fn round(&mut self, log: &mut Log) -> anyhow::Result<()> {
        let Acting::Apart(actors) = &mut self.acting else { unreachable!("only actors are ever under way") };
        let blocks = actors.round(&mut self.notes)?;
        log.lap(Part::Step);
        log.add("restarts", actors.restarts() as f64);
        self.learner.learn(&blocks, &mut Solo, log)?;
        self.learner.publish()?;
        self.counts.add(&blocks, blocks.iter().map(|block| block.episodes.len()).sum());
        finished(&blocks).for_each(|episode| self.window.push(episode));
        actors.keep(blocks);
        Ok(())
    }

    /// Shows every part to `visit`: weights first, then in the order in which they depend on each other.
    ///
    /// # Errors
    /// The first error of `visit`.
    ///
    /// # Panics
    /// If actors are under way.
    pub(crate) fn visit(&mut self, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        visit(WEIGHTS, self.learner.weights())?;
        for (name, part) in self.learner.state() {
            visit(&format!("learner.{name}"), part)?;
        }
        match &mut self.acting {
            Acting::InTurn(policy) => {
                for (name, part) in policy.state() {
                    visit(&format!("policy.{name}"), part)?;
                }
            }
            Acting::Apart(actors) => {
                for (number, policy) in actors.policies().enumerate() {
                    for (name, part) in policy.state() {
                        visit(&format!("policy.{number}.{name}"), part)?;
                    }
                }
                visit("restarts", &mut Plain("restarts", actors.restarts_mut()))?;
            }
        }
        visit("env", &mut Worlds(&mut self.seats))?;
        visit("block", &mut Carried(&mut self.seats))?;
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

/// The state of every seat's environment.
struct Worlds<'a>(&'a mut Seats);

impl Saved for Worlds<'_> {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        let mut bytes = Vec::new();
        save_seats(self.0.envs(), &mut bytes)?;
        Ok(out.write_all(&bytes)?)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        load_seats(self.0.envs_mut(), &bytes)
    }
}

/// The rows that the next blocks begin with: row 0, and the frames that its stack reaches back to.
struct Carried<'a>(&'a mut Seats);

/// Of all seats, however they are grouped: `frame` is `[stack, N, H·W·C]`, the rest one row.
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
        fn join<T: Copy + Default>(blocks: &[Rollout], t: usize, lane: fn(&Rollout) -> &Lane<T>) -> Vec<T> {
            blocks.iter().flat_map(|block| lane(block).row(t)).copied().collect()
        }
        let blocks = self.0.blocks();
        let row = Row {
            frame: (0..self.0.spec().stack).map(|t| join(blocks, t, |block| &block.frame)).collect(),
            vector: join(blocks, 0, |block| &block.vector),
            symbols: join(blocks, 0, |block| &block.symbols),
            legal: join(blocks, 0, |block| &block.legal),
            age: join(blocks, 0, |block| &block.age),
            reward: join(blocks, 0, |block| &block.reward),
            end: join(blocks, 0, |block| &block.end),
            frames: join(blocks, 0, |block| &block.frames),
        };
        let mut bytes = Vec::new();
        save_postcard(&row, &mut bytes)?;
        Ok(out.write_all(&bytes)?)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        /// Writes row `t` of a lane, and says whether `from` is exactly such a row.
        fn part<T: Copy + Default>(
            blocks: &mut [Rollout],
            t: usize,
            lane: fn(&mut Rollout) -> &mut Lane<T>,
            mut from: &[T],
        ) -> bool {
            for block in blocks {
                let into = lane(block).row_mut(t);
                let Some((row, rest)) = from.split_at_checked(into.len()) else { return false };
                into.copy_from_slice(row);
                from = rest;
            }
            from.is_empty()
        }
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let row: Row = load_postcard("block", &bytes)?;
        let stack = self.0.spec().stack;
        let blocks = self.0.blocks_mut();
        let frames = row.frame.iter().enumerate();
        let same = row.frame.len() == stack
            && frames.fold(true, |same, (t, frame)| same && part(blocks, t, |block| &mut block.frame, frame))
            && part(blocks, 0, |block| &mut block.vector, &row.vector)
            && part(blocks, 0, |block| &mut block.symbols, &row.symbols)
            && part(blocks, 0, |block| &mut block.legal, &row.legal)
            && part(blocks, 0, |block| &mut block.age, &row.age)
            && part(blocks, 0, |block| &mut block.reward, &row.reward)
            && part(blocks, 0, |block| &mut block.end, &row.end)
            && part(blocks, 0, |block| &mut block.frames, &row.frames);
        if !same {
            let seats: usize = blocks.iter().map(Rollout::envs).sum();
            let message = format!("is not a row of {seats} seats of this environment");
            return Err(rl_core::Error::State { part: "block".to_owned(), message });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::checkpoint::{self, Checkpoint, Extent};
    use crate::collect::Workers;
    use crate::evaluate::Games;
    use crate::planners::PLANNERS;
    use crate::preset::{Ask, Resolved, resolve};
    use crate::tables::Tables;
    use crate::{toy, train};

    fn resolved(env: &str, agent: &str) -> Resolved {
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, PLANNERS, &[toy::ENTRY]]);
        // DQN begins to learn, to forget and to choose before the checkpoint.
        let early = ["learning_starts=200", "target_period=100", "replay_capacity=400", "epsilon.start=0.1"];
        let mut sets = early.map(|set| format!("agent.{set}")).to_vec();
        if env.starts_with("atari/") {
            sets.extend(["agent.batch=4", "agent.update_period=20", "agent.hidden=[16]"].map(str::to_owned));
        }
        // Rounds and episodes short enough that there are some before and after it, on few seats; every scale is on.
        let short = ["agent.horizon=5", "agent.hidden=[16]", "train.envs=4", "agent.reward_scale=std"];
        let short = [&short[..], &["agent.normalise_observations=true", "env.max_steps=40"]].concat();
        let short: Vec<String> = short.into_iter().map(str::to_owned).collect();
        // So many seats that some are over, and small updates. Values that have learned little choose the same everywhere.
        let many = ["train.envs=16", "agent.batch=8", "agent.hidden=[16,16]"].map(str::to_owned);
        let sets = match agent {
            "dqn" => &sets[..],
            "tabular" => &["agent.horizon=5", "train.envs=4"].map(str::to_owned),
            // Games end before the checkpoint and after it, and the ring overflows; seven moves a side at least.
            "alphazero" => &[
                "train.envs=4",
                "agent.horizon=5",
                "agent.learning_starts=40",
                "agent.replay_capacity=120",
                "agent.batch=16",
                "agent.updates=2",
                "agent.simulations=4",
                "agent.channels=4",
                "agent.blocks=1",
                "agent.hidden=8",
            ]
            .map(str::to_owned),
            "rainbow" | "c51" | "qrdqn" | "iqn" => &[&sets[..], &many[..]].concat(),
            "impala" => &[&short[..], &["train.actors=0".to_owned()]].concat(),
            "pqn" => &[&short[..4], &["agent.epochs=1", "agent.minibatches=2"].map(str::to_owned)[..]].concat(),
            "ppo" | "a2c" if env == "frozenlake" || env.starts_with("atari/") => &short[..4], // no features
            "ppo" | "a2c" if env == "cartpole-positions" => {
                &[&short[..], &["agent.memory={kind=\"lstm\", units=8, steps=5}".to_owned()]].concat()
            }
            "ppo" | "a2c" => &short[..],
            _ => &[],
        };
        resolve(&tables, &Ask { env, agent: Some(agent), sets, ..Ask::default() }).unwrap()
    }

    fn begin(resolved: &Resolved) -> Session {
        begin_with(resolved, 1)
    }

    fn begin_with(resolved: &Resolved, workers: usize) -> Session {
        train::start(resolved, &resolved.train().unwrap(), 3, &Device::Cpu, Workers::Exactly(workers)).unwrap()
    }

    fn play(session: &mut Session, blocks: usize) -> anyhow::Result<()> {
        (0..blocks).try_for_each(|_| session.advance(&mut Log::default()))
    }

    /// Blocks of so many steps of all seats.
    fn blocks(session: &Session, steps: usize) -> usize {
        session.seats.blocks().iter().map(|block| steps.div_ceil(block.horizon() * 4)).max().unwrap()
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
        let agents = ["toy", "dqn", "ppo", "a2c"];
        let cases = agents.into_iter().flat_map(|agent| [("frozenlake", agent, 600), ("cartpole", agent, 600)]);
        let family = ["rainbow", "c51", "qrdqn", "iqn"].map(|agent| ("cartpole", agent, 160)); // per 4 of their seats
        let continuous = [("pendulum", "ppo", 600), ("mountaincar-continuous", "a2c", 600)];
        let more = [("frozenlake", "tabular", 600), ("cartpole", "pqn", 600), ("cartpole", "impala", 600)];
        let planned = [("connectfour", "alphazero", 300)];
        let remembering = [("cartpole-positions", "ppo", 600)];
        for (env, agent, steps) in cases.chain(family).chain(continuous).chain(more).chain(remembering).chain(planned) {
            let resolved = resolved(env, agent);
            let owner = train::owner(&resolved, &resolved.train().unwrap());
            let dir = tempfile::tempdir().unwrap();
            let mut whole = begin(&resolved);
            whole.seats.reset().unwrap();
            let blocks = blocks(&whole, steps);
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
    fn every_part_is_the_same_for_any_number_of_workers_and_across_a_change_of_it() {
        let cases = [
            ("frozenlake", "toy", 400),
            ("cartpole", "toy", 400),
            ("frozenlake", "dqn", 600),
            ("cartpole", "dqn", 600),
            ("cartpole", "rainbow", 600),
            ("frozenlake", "iqn", 600),
            ("frozenlake", "a2c", 400),
            ("frozenlake", "tabular", 400),
            ("frozenlake", "pqn", 400),
            ("cartpole", "impala", 400),
            ("cartpole", "ppo", 400),
            ("cartpole-positions", "ppo", 400),
            ("pendulum", "a2c", 400),
            ("mountaincar-continuous", "ppo", 400),
            ("connectfour", "alphazero", 200),
        ];
        #[cfg(feature = "atari")]
        let cases = [&cases[..], &[("atari/breakout", "dqn", 240), ("atari/breakout", "ppo", 80)]].concat();
        for (env, agent, steps) in cases {
            let mut resolved = resolved(env, agent);
            resolved.set("train.envs", 5).unwrap();
            let owner = train::owner(&resolved, &resolved.train().unwrap());
            let dir = tempfile::tempdir().unwrap();
            let mut saved = None;
            let mut ends = Vec::new();
            for workers in [1, 2, 3, 4] {
                let mut session = begin_with(&resolved, workers);
                session.seats.reset().unwrap();
                let blocks = blocks(&session, steps);
                play(&mut session, blocks).unwrap();
                if workers == 3 {
                    let path = checkpoint::write(dir.path(), &mut session, &owner, Extent::Whole).unwrap();
                    saved = Some(Checkpoint::open(&path, &owner).unwrap());
                }
                play(&mut session, blocks / 2).unwrap();
                assert!(session.learner.updates() > 0, "{agent} on {env} learns");
                ends.push((workers, parts(&mut session)));
            }
            for workers in [1, 2, 4] {
                let mut session = begin_with(&resolved, workers);
                saved.as_ref().unwrap().load(&mut session).unwrap();
                let blocks = blocks(&session, steps);
                play(&mut session, blocks / 2).unwrap();
                ends.push((workers, parts(&mut session)));
            }
            for (workers, end) in &ends[1..] {
                assert_eq!(end, &ends[0].1, "{agent} on {env} with {workers} workers");
            }
        }
    }

    #[test]
    fn damaged_and_foreign_checkpoints_are_refused_by_name() {
        let resolved = resolved("cartpole", "toy");
        let owner = train::owner(&resolved, &resolved.train().unwrap());
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
        session.seats.reset().unwrap();
        play(&mut session, 5).unwrap();
        let before = parts(&mut session);
        let mode = Mode::Evaluate { epsilon: 0.1, greedy: false };
        let stop = crate::stop::Stop::default();
        let score = |workers| {
            let games = Games { seed: 3, episodes: 21, mode, workers };
            crate::evaluate::play(&resolved, session.learner.as_ref(), games, &stop).unwrap().unwrap()
        };
        let (first, second) = (score(Workers::UpTo(2)), score(Workers::Exactly(3)));
        assert_eq!(first, second);
        assert_eq!(first.returns.len(), 21);
        assert_eq!(parts(&mut session), before);
    }
}
