//! What is noted of games, and what is written of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rl_agents::{Clock, Mode, Plan, Policy, UpdateRatio};
use rl_core::{Act, Result, Rng, Rows, Seating, Spec, State, Stream};

use super::*;
use crate::collect::Workers;
use crate::preset::{Ask, resolve};
use crate::tables::Tables;

/// An environment that counts how often it is drawn.
struct Drawn(Box<dyn VecEnv>, Arc<AtomicUsize>);

impl VecEnv for Drawn {
    fn spec(&self) -> &Spec {
        self.0.spec()
    }

    fn seats(&self) -> usize {
        self.0.seats()
    }

    fn reset(&mut self, rows: Rows<'_>) -> Result<()> {
        self.0.reset(rows)
    }

    fn episode_seed(&self, n: usize) -> u64 {
        self.0.episode_seed(n)
    }

    fn begin(&mut self, seeds: &[u64], rows: Rows<'_>) -> Result<()> {
        self.0.begin(seeds, rows)
    }

    fn step(&mut self, act: Act<'_>, rows: Rows<'_>) -> Result<()> {
        self.0.step(act, rows)
    }

    fn frame_rate(&self) -> f64 {
        self.0.frame_rate()
    }

    fn lives(&self, n: usize) -> Option<u32> {
        self.0.lives(n)
    }

    fn draw(&self, n: usize, canvas: &mut Canvas) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.draw(n, canvas);
    }

    fn serving(&self) -> u32 {
        self.0.serving()
    }

    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        self.0.save(n, out)
    }

    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        self.0.load(n, bytes)
    }
}

struct Chance(Rng);

impl Policy for Chance {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, _mode: Mode) -> Result<()> {
        for block in blocks {
            for e in 0..block.seats() {
                block.discrete[(t, e)] = self.0.below(2);
            }
        }
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        Vec::new()
    }
}

#[test]
fn a_person_s_games_are_not_replaced_and_replace_nothing() {
    let tables = Tables::new(&[rl_envs::ENVS], &[]);
    let resolved = resolve(&tables, &Ask { env: "cartpole", ..Ask::default() }).unwrap();
    let env = resolved.seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
    let manifest = manifest(&resolved, resolved.table("env"), env.as_ref(), Player::Human {}, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    ready(&at("mine.rec")).unwrap();
    std::fs::write(at("mine.rec"), "of somebody else").unwrap(); // meanwhile
    for name in ["mine-2.rec", "mine-3.rec", "mine-4.rec"] {
        assert_eq!(write_new(&at("mine.rec"), &manifest, &[]).unwrap(), at(name));
        let refused = ready(&at(name)).unwrap_err().to_string();
        assert!(refused.contains(name) && refused.contains("holds a person's games"), "{refused}");
    }
    assert_eq!(std::fs::read(at("mine.rec")).unwrap(), b"of somebody else");
    ready(&at("mine.rec")).unwrap();
    let mut damaged = std::fs::read(at("mine-2.rec")).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(at("mine-2.rec"), damaged).unwrap();
    let refused = ready(&at("mine-2.rec")).unwrap_err().to_string();
    assert!(refused.contains("is damaged") && refused.contains("may hold a person's games"), "{refused}");
    assert_eq!(write_new(&at("other.rec"), &manifest, &[]).unwrap(), at("other.rec"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 5, "no drafts");
    let mut odd = resolved.table("env").clone();
    odd.insert("a\tb".to_owned(), 1.into());
    let refused = super::manifest(&resolved, &odd, env.as_ref(), Player::Human {}, None).unwrap_err().to_string();
    assert!(refused.contains("control characters"), "{refused}");
}

#[test]
fn a_seat_that_has_its_share_is_drawn_no_more_and_games_that_are_over_hold_no_canvas() {
    let tables = Tables::new(&[rl_envs::ENVS], &[]);
    let resolved = resolve(&tables, &Ask { env: "cartpole", ..Ask::default() }).unwrap();
    let drawn = Arc::new(AtomicUsize::new(0));
    let env = Drawn(resolved.seat_eval(&Seating { seed: 1, seats: 0..16 }).unwrap(), Arc::clone(&drawn));
    let (workers, mode) = (Workers::UpTo(1), Mode::Explore);
    let plan = Plan { horizon: 1, extra: 0, pace: Some(UpdateRatio { updates: 1, steps: 1 }) };
    let games = Games { seed: 1, first: 0, episodes: 20, mode, workers, outputs: false, filmed: false };
    let (mut seats, mut takes) =
        (Seats::new(vec![Box::new(env)], plan, workers).unwrap(), Takes::new(games, 1, None, true));
    let (mut policy, mut clock) = (Chance(Rng::new(1, Stream::Act(0))), Clock::default());
    seats.reset().unwrap();
    takes.watch(&seats).unwrap();
    for _ in 0..300 {
        seats.collect(&mut policy, mode, &mut clock).unwrap();
        takes.watch(&seats).unwrap();
        seats.carry();
    }
    let takes = takes.into_games();
    assert_eq!(takes.len(), 20);
    assert!(takes.iter().all(|take| take.reel.is_none() && !take.pictures.is_empty()));
    let pictures: usize = takes.iter().map(|take| take.steps() + 1).sum();
    assert_eq!(drawn.load(Ordering::Relaxed), pictures, "of each game its beginning and every step");
}
