//! Gumbel tree search for many positions at once, with one batched evaluation of the network per simulation.
//!
//! At a root, Gumbel noise on the logits draws the considered moves without replacement, and sequential halving finds
//! the best of them: the chosen move is on average no worse than one sampled from the network's policy, however few the
//! simulations. Without noise the choice is deterministic.
//! Source: Danihelka et al. 2022, "Policy improvement by planning with Gumbel".

use rl_core::{Error, Game, Result};

use super::forest::{Forest, Sigma};
use super::halving::Halving;
use super::net::{Flows, Net};
use crate::guard;
use crate::softmax::softmax;

/// Settings of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// Simulations per move: positions that the network evaluates beside the root, at most.
    pub(crate) simulations: usize,
    /// Largest number of considered moves at a root.
    pub(crate) considered: usize,
    /// Transform of values in the improved policy.
    pub(crate) sigma: Sigma,
}

/// Searches from several roots at once; its buffers are reused from move to move.
pub(crate) struct Planner<G> {
    search: Search,
    halving: Halving,
    forest: Forest<G>,
    trees: usize,
    /// Gumbel noise of every root, `[trees, A]`.
    noise: Vec<f64>,
    /// Number of considered moves of every root, `[trees]`.
    considered: Vec<usize>,
    /// Nodes that the network evaluates next.
    leaves: Vec<usize>,
    flows: Flows,
    /// Completed values of one root, `[A]`.
    values: Vec<f64>,
    /// Logits of the improved policy of one root, `[A]`.
    scores: Vec<f64>,
}

impl<G: Game> Planner<G> {
    /// Allocates a planner for up to `trees` roots.
    pub(crate) fn new(search: Search, trees: usize) -> Self {
        Self {
            search,
            halving: Halving::new(search.considered, search.simulations),
            forest: Forest::new(trees, search.simulations, search.sigma),
            trees: 0,
            noise: Vec::with_capacity(trees * G::ACTIONS),
            considered: Vec::with_capacity(trees),
            leaves: Vec::with_capacity(trees),
            flows: Flows::default(),
            values: vec![0.0; G::ACTIONS],
            scores: vec![0.0; G::ACTIONS],
        }
    }

    /// Removes all roots.
    pub(crate) fn clear(&mut self) {
        self.trees = 0;
        self.noise.clear();
        self.considered.clear();
    }

    /// Adds a root, a position of a running game; `noise` is called once per move.
    pub(crate) fn push(&mut self, position: &G, mut noise: impl FnMut() -> f64) {
        self.forest.plant(self.trees, position);
        self.noise.extend((0..G::ACTIONS).map(|_| noise()));
        let legal = (0..G::ACTIONS).filter(|&action| position.legal(action)).count();
        self.considered.push(legal.min(self.search.considered));
        self.trees += 1;
    }

    /// Searches from all roots.
    ///
    /// # Errors
    /// If a tensor operation fails, or the network's outputs are not finite.
    pub(crate) fn run(&mut self, net: &Net) -> Result<()> {
        let mut flows = std::mem::take(&mut self.flows);
        let done = self.grow(|forest, leaves| ask(net, &mut flows, forest, leaves));
        self.flows = flows;
        done
    }

    /// Searches from all roots, with `by` to evaluate and grow new nodes.
    pub(super) fn grow(&mut self, mut by: impl FnMut(&mut Forest<G>, &[usize]) -> Result<()>) -> Result<()> {
        self.leaves.clear();
        self.leaves.extend((0..self.trees).map(|tree| self.forest.root(tree)));
        by(&mut self.forest, &self.leaves)?;
        for simulation in 0..self.search.simulations {
            self.leaves.clear();
            for tree in 0..self.trees {
                let visits = self.halving.visits(self.considered[tree], simulation);
                let first = self.best(tree, |had| had == visits);
                self.leaves.extend(self.forest.descend(tree, first));
            }
            by(&mut self.forest, &self.leaves)?;
        }
        Ok(())
    }

    /// Number of visits of a move at the root of a tree.
    #[cfg(test)]
    pub(super) fn visits(&self, tree: usize, action: usize) -> u32 {
        self.forest.visits(self.forest.root(tree), action)
    }

    /// The move to play at a root: the best of the most visited moves.
    pub(crate) fn choice(&mut self, tree: usize) -> usize {
        let root = self.forest.root(tree);
        let most = (0..G::ACTIONS).map(|action| self.forest.visits(root, action)).max();
        self.best(tree, |had| Some(had) == most)
    }

    /// Writes the improved policy of a root, `[A]`, and returns its expected value for the side to move.
    ///
    /// This is not the mean value of the tree, half of whose visits went to moves that were found to be worse.
    pub(crate) fn improved(&mut self, tree: usize, policy: &mut [f32]) -> f32 {
        let root = self.forest.root(tree);
        self.forest.completed(root, &mut self.values);
        self.scores.copy_from_slice(&self.values);
        self.forest.improve(root, &mut self.scores);
        softmax(&mut self.scores);
        policy.iter_mut().zip(&self.scores).for_each(|(p, &score)| *p = score as f32);
        self.values.iter().zip(&self.scores).map(|(value, p)| value * p).sum::<f64>() as f32
    }

    /// The first of the best legal moves of a root, noise included, among those whose visits are `eligible`.
    fn best(&mut self, tree: usize, eligible: impl Fn(u32) -> bool) -> usize {
        let root = self.forest.root(tree);
        self.forest.completed(root, &mut self.scores);
        self.forest.improve(root, &mut self.scores);
        let noise = &self.noise[tree * G::ACTIONS..(tree + 1) * G::ACTIONS];
        let mut best: Option<(usize, f64)> = None;
        for (action, (score, noise)) in self.scores.iter().zip(noise).enumerate() {
            let score = score + noise;
            if score > f64::NEG_INFINITY
                && eligible(self.forest.visits(root, action))
                && best.is_none_or(|(_, most)| score > most)
            {
                best = Some((action, score));
            }
        }
        best.expect("some legal move has had as many visits").0
    }
}

/// Evaluates all leaves by the network in one batch, and grows them.
fn ask<G: Game>(net: &Net, flows: &mut Flows, forest: &mut Forest<G>, leaves: &[usize]) -> Result<()> {
    if leaves.is_empty() {
        return Ok(());
    }
    let width = G::PLANES.iter().product::<usize>();
    let planes = flows.begin();
    planes.resize(leaves.len() * width, 0.0);
    for (&leaf, planes) in leaves.iter().zip(planes.chunks_exact_mut(width)) {
        forest.position(leaf).observe(planes);
    }
    net.run(flows)?;
    // No move is the best of what is not ordered.
    for (of, values) in [("logits", flows.logits()), ("values", flows.values())] {
        if let Some(told) = guard::first_not_finite(of, values, leaves.len()) {
            return Err(Error::Tensor(format!("the network that a search asks is at its end ({told})").into()));
        }
    }
    let (logits, values) = (flows.logits().chunks_exact(G::ACTIONS), flows.values());
    for ((&leaf, logits), &value) in leaves.iter().zip(logits).zip(values) {
        forest.grow(leaf, logits, value);
    }
    Ok(())
}
