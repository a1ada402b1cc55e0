//! A match as one seat plays it, the others being players of any action. Which player the seat is, is drawn anew for every
//! match.

use rl_core::{Act, Canvas, Env, Info, Obs, Result, Rng, Spec, Step, World, WorldStep, load_postcard, save_postcard};

use super::FAMILY;
use super::arena::Arena;
use super::setup::DoomConfig;

/// A Doom deathmatch in which one seat plays against opponents who take uniformly random actions; its reward is its
/// frags.
#[derive(Debug)]
pub struct Duel {
    arena: Arena,
    /// Generator of the opponents' actions.
    rng: Rng,
    spec: Spec,
    bonus: f32,
    /// Actions of all players, those of the seat first.
    discrete: Vec<u32>,
    continuous: Vec<f32>,
}

impl Env for Duel {
    const ID: &'static str = FAMILY;
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 35.0;
    type Config = DoomConfig;

    fn new(config: &DoomConfig) -> Result<Self> {
        let arena = Arena::new(config)?;
        let spec = arena.spec();
        let discrete = vec![0; config.players * spec.discrete.len()];
        let continuous = vec![0.0; config.players * spec.continuous.len()];
        Ok(Self { arena, rng: Rng::episode(0), spec, bonus: 0.0, discrete, continuous })
    }

    fn spec(&self) -> Spec {
        self.spec.clone()
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        self.rng = self.arena.begin(seed)?;
        self.bonus = 0.0;
        self.arena.look(0, &mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let (own, others) = self.discrete.split_at_mut(act.discrete.len());
        own.copy_from_slice(act.discrete);
        for (n, value) in others.iter_mut().enumerate() {
            *value = self.rng.below(self.spec.discrete[n % act.discrete.len()]);
        }
        let (own, others) = self.continuous.split_at_mut(act.continuous.len());
        own.copy_from_slice(act.continuous);
        for (n, value) in others.iter_mut().enumerate() {
            let bound = self.spec.continuous[n % act.continuous.len()];
            *value = self.rng.uniform(bound.low.into(), bound.high.into()) as f32;
        }
        let act = Act { discrete: &self.discrete, continuous: &self.continuous };
        let WorldStep { end, frames } = self.arena.play(act)?;
        self.bonus = self.arena.shaping_reward(0);
        self.arena.look(0, &mut obs);
        Ok(Step { reward: self.arena.reward(0), end, frames })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut played = Vec::new();
        self.arena.save(&mut played)?;
        save_postcard(&(&self.rng, played), out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let (rng, played): (Rng, Vec<u8>) = load_postcard(FAMILY, bytes)?;
        self.arena.load(&played)?;
        self.rng = rng;
        Ok(())
    }

    fn assets(&self) -> Vec<(String, String)> {
        self.arena.assets()
    }

    fn shaping_reward(&self) -> f32 {
        self.bonus
    }

    fn info(&self) -> Vec<(&'static str, Info)> {
        self.arena.info(0)
    }

    fn action_names(&self) -> Vec<String> {
        self.arena.action_names()
    }

    fn watch(&mut self) -> bool {
        self.arena.watch()
    }

    fn draw(&self, canvas: &mut Canvas) {
        self.arena.draw(0, canvas);
    }
}
