//! Seats of one kind of environment, stepped one after the other in one thread.

use serde::{Deserialize, Serialize};

use crate::{
    Act, Canvas, Env, Episode, Error, FiniteMdp, Info, Obs, Result, Rng, Rows, Seating, Spec, Stream, VecEnv,
    load_postcard, save_postcard,
};

/// A [`VecEnv`] of independent environments, one per seat, stepped one after the other in the calling thread.
#[derive(Debug)]
pub struct Batch<E> {
    spec: Spec,
    seats: Vec<Seat<E>>,
    /// Index of the seat that the present or last call was serving.
    serving: usize,
    losses: Vec<String>,
}

/// Number of engines lost in a row at one reset, of which the last is reported as an error.
const PATIENCE: u32 = 3;

#[derive(Debug)]
struct Seat<E> {
    env: E,
    run: Run,
}

/// State of a seat beside its environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    /// Generator of the seeds of successive episodes.
    rng: Rng,
    /// Seed of the present episode.
    seed: u64,
    #[serde(deserialize_with = "crate::counter")]
    age: u32,
    over: bool,
    episode: Episode,
}

impl<E: Env> Batch<E> {
    /// Makes a batch in which `envs[n]` plays the `n`-th seat of `seating`, with the random stream of that seat.
    ///
    /// # Panics
    /// If there is not exactly one environment per seat, or none, or their specs differ.
    pub fn new(envs: Vec<E>, seating: &Seating) -> Self {
        assert_eq!(envs.len(), seating.seats.len(), "one environment per seat");
        let spec = envs.first().expect("at least one seat").spec();
        assert!(envs.iter().all(|env| env.spec() == spec), "environments of one spec");
        let seats = envs.into_iter().zip(seating.seats.clone()).map(|(env, seat)| {
            let rng = Rng::new(seating.seed, Stream::Env(seat));
            Seat { env, run: Run { rng, seed: 0, age: 0, over: true, episode: started(seat) } }
        });
        Self { spec, seats: seats.collect(), serving: 0, losses: Vec::new() }
    }
}

/// Extracts the bytes that [`Env::save`] wrote from what a seat of a [`Batch`] saved; `None` if `saved` is not of a
/// batch.
pub(crate) fn own_bytes(saved: &[u8]) -> Option<Vec<u8>> {
    load_postcard::<(Run, Vec<u8>)>("", saved).ok().map(|(_, bytes)| bytes)
}

/// Replaces the bytes that [`Env::save`] wrote within what a seat of a [`Batch`] saved.
pub(crate) fn with_own_bytes(saved: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>> {
    let (run, _): (Run, Vec<u8>) = load_postcard("", saved)?;
    let mut other = Vec::new();
    save_postcard(&(run, bytes), &mut other).map(|()| other)
}

fn started(seat: u32) -> Episode {
    Episode { seat, ret: 0.0, steps: 0, frames: 0, end: crate::End::No, seed: 0 }
}

impl<E: Env> Seat<E> {
    fn reset(&mut self, obs: Obs<'_>) -> Result<()> {
        let seed = self.run.rng.u64();
        self.begin(seed, obs)
    }

    fn begin(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.env.reset(seed, obs.again()) {
                Err(Error::Lost { .. }) if tries < PATIENCE => {}
                done => break done?,
            }
        }
        self.run.seed = seed;
        self.run.age = 0;
        self.run.over = false;
        self.run.episode = started(self.run.episode.seat);
        Ok(())
    }
}

impl<E: Env> VecEnv for Batch<E> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn seats(&self) -> usize {
        self.seats.len()
    }

    fn reset(&mut self, mut rows: Rows<'_>) -> Result<()> {
        for (n, seat) in self.seats.iter_mut().enumerate() {
            self.serving = n;
            seat.reset(rows.obs(&self.spec, n))?;
        }
        rows.begin();
        Ok(())
    }

    fn episode_seed(&self, n: usize) -> u64 {
        self.seats[n].run.seed
    }

    fn begin(&mut self, seeds: &[u64], mut rows: Rows<'_>) -> Result<()> {
        assert_eq!(seeds.len(), self.seats.len(), "one episode per seat");
        for (n, (seat, &seed)) in self.seats.iter_mut().zip(seeds).enumerate() {
            self.serving = n;
            seat.begin(seed, rows.obs(&self.spec, n))?;
        }
        rows.begin();
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: Rows<'_>) -> Result<()> {
        for (n, seat) in self.seats.iter_mut().enumerate() {
            self.serving = n;
            if seat.run.over {
                seat.reset(rows.obs(&self.spec, n))?;
                (rows.age[n], rows.reward[n], rows.end[n], rows.frames[n]) = (0, 0.0, crate::End::No, 0);
                continue;
            }
            let step = match seat.env.step(act.seat(&self.spec, n), rows.obs(&self.spec, n)) {
                Err(error @ Error::Lost { .. }) => {
                    // Nothing answers the action: the row begins another episode, and the transition is none. What was played
                    // so far has no end, and is no episode that could be a score.
                    self.losses.push(format!("seat {}: {error}", seat.run.episode.seat));
                    seat.reset(rows.obs(&self.spec, n))?;
                    (rows.age[n], rows.reward[n], rows.end[n], rows.frames[n]) = (0, 0.0, crate::End::No, 0);
                    continue;
                }
                step => step?,
            };
            let run = &mut seat.run;
            run.age += 1;
            run.over = step.end.over();
            run.episode.ret += f64::from(step.reward);
            run.episode.steps += 1;
            run.episode.frames += u64::from(step.frames);
            let paid = step.reward + seat.env.bonus();
            (rows.age[n], rows.reward[n], rows.end[n], rows.frames[n]) = (run.age, paid, step.end, step.frames);
            if run.over {
                rows.episodes.push(Episode { end: step.end, seed: run.seed, ..run.episode });
            }
        }
        Ok(())
    }

    fn frame_rate(&self) -> f64 {
        E::FRAME_RATE
    }

    fn assets(&self) -> Vec<(String, String)> {
        self.seats[0].env.assets()
    }

    fn facts(&self, n: usize) -> Vec<(&'static str, Info)> {
        self.seats[n].env.facts()
    }

    fn bonus(&self, n: usize) -> f32 {
        self.seats[n].env.bonus()
    }

    fn take_losses(&mut self) -> Vec<String> {
        std::mem::take(&mut self.losses)
    }

    fn action_names(&self) -> Vec<String> {
        self.seats[0].env.action_names()
    }

    fn lives(&self, n: usize) -> Option<u32> {
        self.seats[n].env.lives()
    }

    fn listen(&mut self, n: usize) -> Option<u32> {
        self.seats[n].env.listen()
    }

    fn sound(&self, n: usize) -> &[u8] {
        self.seats[n].env.sound()
    }

    fn tabular(&self) -> Option<FiniteMdp> {
        self.seats[0].env.tabular()
    }

    fn draw_policy(&self, actions: &[u32], values: &[f64], canvas: &mut Canvas) -> bool {
        self.seats[0].env.draw_policy(actions, values, canvas)
    }

    fn draw(&self, n: usize, canvas: &mut Canvas) {
        self.seats[n].env.draw(canvas);
    }

    fn serving(&self) -> u32 {
        self.seats[self.serving].run.episode.seat
    }

    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        let seat = &self.seats[n];
        let mut bytes = Vec::new();
        seat.env.save(&mut bytes)?;
        save_postcard(&(&seat.run, bytes), out)
    }

    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        let (run, bytes): (Run, Vec<u8>) = load_postcard(E::ID, bytes)?;
        let seat = &mut self.seats[n];
        let (expected, found) = (seat.run.episode.seat, run.episode.seat);
        if found != expected {
            let message = format!("was saved at seat {found}, expected {expected}");
            return Err(Error::State { part: E::ID.to_owned(), message });
        }
        seat.env.load(&bytes)?;
        seat.run = run;
        Ok(())
    }
}
