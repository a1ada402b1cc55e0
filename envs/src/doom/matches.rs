//! Seats that play against each other: as many as a match has players sit together, one match after the other.

use rl_core::{
    Act, Canvas, End, Episode, Error, Info, Result, Rng, Rows, Seating, Spec, Stream, VecEnv, load_postcard,
    save_postcard,
};
use serde::{Deserialize, Serialize};

use super::FAMILY;
use super::arena::Arena;
use super::setup::{DoomConfig, refuse};

/// Number of matches lost in a row at one reset, of which the last is reported as an error.
const PATIENCE: u32 = 3;

/// A [`VecEnv`] of Doom deathmatches under self-play: each group of `players` consecutive seats plays one match.
#[derive(Debug)]
pub struct Matches {
    spec: Spec,
    players: usize,
    matches: Vec<Seated>,
    serving: u32,
    crashes: Vec<String>,
}

/// A match and the running episodes of its seats.
#[derive(Debug)]
struct Seated {
    arena: Arena,
    run: Run,
    /// Running episode of each seat.
    episodes: Vec<Episode>,
}

/// State of a match beside its world.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    /// Generator of the seeds of successive episodes.
    rng: Rng,
    /// Seed of the present episode.
    seed: u64,
    #[serde(deserialize_with = "rl_core::counter")]
    age: u32,
    over: bool,
}

/// State that the first seat of a match saves for all of its seats: the run, and the world.
type World = Option<(Run, Vec<u8>)>;

impl Matches {
    /// Makes the matches of the seats of `seating`, the first `config.players` of which play the first match.
    ///
    /// # Errors
    /// If the number of seats is no multiple of that of players, a value is out of range, or a file is missing.
    pub fn new(config: &DoomConfig, seating: &Seating) -> Result<Self> {
        let (players, seats) = (config.players, seating.seats.len());
        if seats % players != 0 || seats == 0 {
            let message = format!(
                "{seats} is no number of seats for matches of {players}: train.envs and eval.episodes are multiples of that, and \
                 one seat plays against env.opponent=\"random\" (protocol random)"
            );
            return Err(refuse("players", message));
        }
        let seated = |first: u32| {
            let arena = Arena::new(config)?; // first: it refuses numbers of players for which there is no memory
            let rng = Rng::new(seating.seed, Stream::Env(first));
            let episodes = (first..first + players as u32).map(started).collect();
            Ok(Seated { arena, run: Run { rng, seed: 0, age: 0, over: true }, episodes })
        };
        let firsts = seating.seats.clone().step_by(players);
        let matches = firsts.map(seated).collect::<Result<Vec<_>>>()?;
        let spec = matches[0].arena.spec().clone();
        Ok(Self { spec, players, matches, serving: seating.seats.start, crashes: Vec::new() })
    }

    /// Returns the match of seat `n`, and the seat's index within the match.
    fn at(&self, n: usize) -> (&Seated, usize) {
        (&self.matches[n / self.players], n % self.players)
    }
}

fn started(seat: u32) -> Episode {
    Episode { seat, ret: 0.0, steps: 0, frames: 0, end: End::No, seed: 0 }
}

impl Seated {
    fn begin(&mut self, seed: u64) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.arena.begin(seed) {
                Err(Error::Lost { .. }) if tries < PATIENCE => {}
                done => {
                    done?; // of what it could draw further nothing is
                    break;
                }
            }
        }
        (self.run.seed, self.run.age, self.run.over) = (seed, 0, false);
        self.episodes.iter_mut().for_each(|episode| *episode = started(episode.seat));
        self.arena.prepare(self.run.rng.clone().u64()); // what a reset would draw
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        let seed = self.run.rng.u64();
        self.begin(seed)
    }

    /// Writes the reset rows of all seats of this match, of which the first has the index `first` in `rows`.
    fn show_reset(&mut self, spec: &Spec, first: usize, rows: &mut Rows<'_>) {
        for n in 0..self.episodes.len() {
            let row = first + n;
            self.arena.look(n, &mut rows.obs(spec, row));
            (rows.age[row], rows.reward[row], rows.end[row], rows.frames[row]) = (0, 0.0, End::No, 0);
        }
    }

    fn show_step(&mut self, spec: &Spec, first: usize, (end, frames): (End, u32), rows: &mut Rows<'_>) {
        (self.run.age, self.run.over) = (self.run.age + 1, end.over());
        for (n, episode) in self.episodes.iter_mut().enumerate() {
            let row = first + n;
            let (reward, bonus) = self.arena.earned(n);
            self.arena.look(n, &mut rows.obs(spec, row));
            episode.ret += f64::from(reward);
            episode.steps += 1;
            episode.frames += u64::from(frames);
            (rows.age[row], rows.reward[row], rows.end[row], rows.frames[row]) =
                (self.run.age, reward + bonus, end, frames);
            if end.over() {
                rows.episodes.push(Episode { end, seed: self.run.seed, ..*episode });
            }
        }
    }
}

impl VecEnv for Matches {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn seats(&self) -> usize {
        self.matches.len() * self.players
    }

    fn reset(&mut self, mut rows: Rows<'_>) -> Result<()> {
        // All start at the same time, which is mostly waiting.
        self.matches.iter_mut().for_each(|seated| seated.arena.prepare(seated.run.rng.clone().u64()));
        for (number, seated) in self.matches.iter_mut().enumerate() {
            self.serving = seated.episodes[0].seat;
            seated.reset()?;
            seated.show_reset(&self.spec, number * self.players, &mut rows);
        }
        Ok(())
    }

    fn episode_seed(&self, n: usize) -> u64 {
        self.at(n).0.run.seed
    }

    fn begin(&mut self, seeds: &[u64], mut rows: Rows<'_>) -> Result<()> {
        assert_eq!(seeds.len(), self.seats(), "one episode per seat");
        for (number, seated) in self.matches.iter_mut().enumerate() {
            self.serving = seated.episodes[0].seat;
            seated.begin(seeds[number * self.players])?; // seats of a match share it
            seated.show_reset(&self.spec, number * self.players, &mut rows);
        }
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: Rows<'_>) -> Result<()> {
        for (number, seated) in self.matches.iter_mut().enumerate() {
            self.serving = seated.episodes[0].seat;
            let first = number * self.players;
            if !seated.run.over {
                match seated.arena.step(act.seats(&self.spec, first..first + self.players)) {
                    Err(error @ Error::Lost { .. }) => {
                        // Nothing answers the actions: the row begins another match, and the transitions are none. What was
                        // played so far has no end, and is no episode that could be a score.
                        self.crashes.push(format!("seats {} and on: {error}", self.serving));
                    }
                    step => {
                        seated.show_step(&self.spec, first, step?, &mut rows);
                        continue;
                    }
                }
            }
            seated.reset()?;
            seated.show_reset(&self.spec, first, &mut rows);
        }
        Ok(())
    }

    fn frame_rate(&self) -> f64 {
        35.0
    }

    fn assets(&self) -> Vec<(String, String)> {
        self.matches[0].arena.assets()
    }

    fn info(&self, n: usize) -> Vec<(&'static str, Info)> {
        let (seated, n) = self.at(n);
        seated.arena.info(n)
    }

    fn shaping_reward(&self, n: usize) -> f32 {
        let (seated, n) = self.at(n);
        seated.arena.earned(n).1
    }

    fn take_crashes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.crashes)
    }

    fn action_names(&self) -> Vec<String> {
        self.matches[0].arena.action_names()
    }

    fn lives(&self, _n: usize) -> Option<u32> {
        None
    }

    fn watch(&mut self, n: usize) -> bool {
        self.matches[n / self.players].arena.watch()
    }

    fn draw(&self, n: usize, canvas: &mut Canvas) {
        let (seated, n) = self.at(n);
        seated.arena.draw(n, canvas);
    }

    fn serving(&self) -> u32 {
        self.serving
    }

    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        let (seated, n) = self.at(n);
        let mut world: World = None;
        if n == 0 {
            let mut played = Vec::new();
            seated.arena.save(&mut played)?;
            world = Some((seated.run.clone(), played));
        }
        save_postcard(&(world, seated.episodes[n]), out)
    }

    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        let (world, episode): (World, Episode) = load_postcard(FAMILY, bytes)?;
        let state = |message: String| Error::State { part: FAMILY.to_owned(), message };
        let (seated, n) = (&mut self.matches[n / self.players], n % self.players);
        let (expected, found) = (seated.episodes[n].seat, episode.seat);
        if found != expected {
            return Err(state(format!("was saved at seat {found}, expected {expected}")));
        }
        if world.is_some() != (n == 0) {
            return Err(state(format!("seat {found} had another place in its match: env.players has changed")));
        }
        if let Some((run, played)) = world {
            seated.arena.load(&played)?;
            seated.run = run;
            seated.arena.prepare(seated.run.rng.clone().u64());
        }
        seated.episodes[n] = episode;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_that_no_match_reaches_is_refused() {
        let loaded = |age| {
            let run = Run { rng: Rng::new(1, Stream::Env(0)), seed: 0, age, over: false };
            let mut bytes = Vec::new();
            save_postcard(&run, &mut bytes).unwrap();
            load_postcard::<Run>(FAMILY, &bytes).map(|run| run.age)
        };
        assert_eq!(loaded(i32::MAX as u32).unwrap(), i32::MAX as u32);
        assert!(loaded(i32::MAX as u32 + 1).is_err() && loaded(u32::MAX).is_err());
    }
}
