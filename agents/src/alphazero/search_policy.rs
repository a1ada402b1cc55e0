//! Policy of AlphaZero, which searches before every move, for all seats at once.
//!
//! A search begins anew at every move, from the seat's observation: no tree is kept after the move, and only the random
//! streams and counters of the policy are saved.

use std::ops::Range;
use std::sync::Arc;

use rl_core::{Game, Result, State};
use rl_replays::{Outputs, Rollout};

use super::experience::recognise;
use super::net::Net;
use super::planner::{Planner, Search};
use crate::exploring::Exploring;
use crate::{Mode, Policy, Schedule, legal};

/// Policy that searches: with Gumbel noise in training, without in evaluations.
pub(crate) struct SearchPolicy<G> {
    net: Arc<Net>,
    /// Search for self-play.
    explorer: Planner<G>,
    /// Search for evaluations.
    judged: Planner<G>,
    exploring: Exploring,
    /// Improved policy and value of a root.
    found: Vec<f32>,
    /// Block and seat of each root.
    places: Vec<(usize, usize)>,
}

impl<G: Game> SearchPolicy<G> {
    /// Creates a policy for `seats` with the settings of its searches in self-play and in evaluations.
    pub(crate) fn new(net: Arc<Net>, searches: [Search; 2], seed: u64, seats: Range<u32>) -> Self {
        let [explorer, judged] = searches.map(|search| Planner::new(search, seats.len()));
        // Noise at the root explores: there are no random moves in training.
        let never = Schedule { start: 0.0, end: 0.0, steps: 0, delay: 0 };
        Self {
            net,
            explorer,
            judged,
            exploring: Exploring::new(never, seed, seats),
            found: vec![0.0; G::ACTIONS + 1],
            places: Vec::new(),
        }
    }
}

impl<G: Game> Policy for SearchPolicy<G> {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { net, explorer, judged, exploring, found, places } = self;
        let epsilon = exploring.epsilon(mode);
        let planner = match mode {
            Mode::Explore => explorer,
            Mode::Evaluate { .. } => judged,
        };
        planner.clear();
        places.clear();
        let mut rngs = exploring.rngs();
        let mut playing = 0;
        for (b, block) in blocks.iter_mut().enumerate() {
            block.outputs.row_mut(t).fill(f32::NAN);
            for e in 0..block.seats() {
                let rng = rngs.next().expect("a stream per seat");
                if block.end[(t, e)].over() {
                    block.discrete[(t, e)] = 0; // ignored: the environment resets
                    continue;
                }
                playing += 1;
                if mode != Mode::Explore && rng.f32() < epsilon {
                    block.discrete[(t, e)] = legal::random(G::ACTIONS as u32, block.legal.at(t, e), rng);
                    continue;
                }
                let position: G = recognise(block.vector.at(t, e))?;
                // -ln -ln u is Gumbel's; u is never 0 here.
                let gumbel = || -libm::log(-libm::log((rng.f64() + f64::EPSILON).min(1.0 - f64::EPSILON)));
                match mode {
                    Mode::Explore => planner.push(&position, gumbel),
                    Mode::Evaluate { .. } => planner.push(&position, || 0.0),
                }
                places.push((b, e));
            }
        }
        drop(rngs);
        exploring.count(mode, playing);
        planner.run(net)?;
        for (tree, &(b, e)) in places.iter().enumerate() {
            let block = &mut blocks[b];
            block.discrete[(t, e)] = planner.choice(tree) as u32;
            let (policy, value) = found.split_at_mut(G::ACTIONS);
            value[0] = planner.improved(tree, policy);
            if let Some((said, probabilities)) = block.outputs.at_mut(t, e).split_first_mut() {
                *said = value[0];
                probabilities.copy_from_slice(policy);
            }
            if mode == Mode::Explore {
                block.extra.at_mut(t, e).copy_from_slice(found);
            }
        }
        Ok(())
    }

    fn outputs(&self) -> Option<Outputs> {
        Some(Outputs::Probabilities)
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        vec![("act".to_owned(), &mut self.exploring)]
    }
}
