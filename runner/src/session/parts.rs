//! The parts of a session besides those of learners and policies: environments, the rows that blocks begin with,
//! counters.

use std::io::{Read, Write};

use rl_core::{End, Error, Result, Saved, load_seats, read_postcard, save_seats, write_postcard};
use rl_replays::{Lane, Rollout};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::collect::Seats;

/// A part that is one value, saved by serde; with its name for errors.
pub(super) struct Plain<'a, T>(pub(super) &'static str, pub(super) &'a mut T);

impl<T: Serialize + DeserializeOwned> Saved for Plain<'_, T> {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(&*self.1, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        *self.1 = read_postcard(self.0, from)?;
        Ok(())
    }
}

/// Most restarts of an actor that a saved state may hold: its next seed is drawn after as many others, in a second.
const MOST_RESTARTS: u32 = 1 << 26;

/// The part with the number of restarts of each actor.
pub(super) struct Restarts<'a>(pub(super) Plain<'a, Vec<u32>>);

impl Saved for Restarts<'_> {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        self.0.save(out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let actors = self.0.1.len();
        self.0.load(from)?;
        let read = &*self.0.1;
        if read.len() == actors && read.iter().all(|&count| count <= MOST_RESTARTS) {
            return Ok(());
        }
        let message = format!("{read:?} are not the restarts of {actors} actors");
        Err(Error::State { part: "restarts".to_owned(), message })
    }
}

/// The part with the state of every seat's environment.
pub(super) struct Worlds<'a>(pub(super) &'a mut Seats);

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

/// The part with the rows that the next blocks begin with: row 0, and the frames that its stack reaches back to.
pub(super) struct Carried<'a>(pub(super) &'a mut Seats);

/// Row 0 of all seats, however they are grouped: `frame` is `[stack, N·H·W·C]`, the rest one row.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) frame: Vec<Vec<u8>>,
    pub(super) vector: Vec<f32>,
    pub(super) symbols: Vec<u32>,
    pub(super) legal: Vec<u8>,
    pub(super) age: Vec<u32>,
    pub(super) reward: Vec<f32>,
    pub(super) end: Vec<End>,
    pub(super) frames: Vec<u32>,
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
        write_postcard(&row, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        /// Writes row `t` of a lane, and returns whether `from` has exactly the length of such a row.
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
        let row: Row = read_postcard("block", from)?;
        let spec = self.0.spec();
        let stack = spec.stack;
        let exists = row.symbols.iter().zip(spec.symbols.iter().cycle()).all(|(symbol, n)| symbol < n)
            && row.legal.chunks(spec.legal_len().max(1)).all(|legal| legal.contains(&1));
        let blocks = self.0.blocks_mut();
        let frames = row.frame.iter().enumerate();
        let same = exists
            && row.frame.len() == stack
            && frames.fold(true, |same, (t, frame)| same && part(blocks, t, |block| &mut block.frame, frame))
            && part(blocks, 0, |block| &mut block.vector, &row.vector)
            && part(blocks, 0, |block| &mut block.symbols, &row.symbols)
            && part(blocks, 0, |block| &mut block.legal, &row.legal)
            && part(blocks, 0, |block| &mut block.age, &row.age)
            && part(blocks, 0, |block| &mut block.reward, &row.reward)
            && part(blocks, 0, |block| &mut block.end, &row.end)
            && part(blocks, 0, |block| &mut block.frames, &row.frames);
        if !same {
            let seats: usize = blocks.iter().map(Rollout::seats).sum();
            let message = format!("is not a row of {seats} seats of this environment");
            return Err(Error::State { part: "block".to_owned(), message });
        }
        Ok(())
    }
}
