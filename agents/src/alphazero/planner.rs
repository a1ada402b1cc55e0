//! Searches for many positions at once, one evaluation of the network per simulation for all of them together.
//!
//! At a root, noise of the Gumbel distribution on the logits draws the moves that are considered without replacement, and
//! sequential halving finds the best of them: the move so chosen is on average no worse than one drawn from the network's
//! policy, however few the simulations. Without noise the choice is deterministic.
//! Source: Danihelka et al. 2022, "Policy improvement by planning with Gumbel".

use rl_core::{Error, Game, Result};

use super::forest::{Forest, Sigma};
use super::halving::Halving;
use super::net::{Flows, Net};
use crate::guard;
use crate::softmax::softmax;

/// What a search may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// Positions that the network is asked about for a move, beside the root.
    pub(crate) simulations: usize,
    /// Moves of a root that are considered at most.
    pub(crate) considered: usize,
    pub(crate) sigma: Sigma,
}

/// Searches for up to `trees` roots; the memory serves move after move.
pub(crate) struct Planner<G> {
    search: Search,
    halving: Halving,
    forest: Forest<G>,
    trees: usize,
    /// Noise of every root, `[trees, A]`.
    noise: Vec<f64>,
    /// Moves of every root that are considered, `[trees]`.
    considered: Vec<usize>,
    /// Nodes that the network is asked about.
    leaves: Vec<usize>,
    flows: Flows,
    /// Of one root, `[A]`.
    values: Vec<f64>,
    scores: Vec<f64>,
}

impl<G: Game> Planner<G> {
    /// Room for `trees` roots.
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

    /// No roots.
    pub(crate) fn clear(&mut self) {
        self.trees = 0;
        self.noise.clear();
        self.considered.clear();
    }

    /// Another root, of a game that goes on; `noise` is asked for a number per move.
    pub(crate) fn push(&mut self, position: &G, mut noise: impl FnMut() -> f64) {
        self.forest.plant(self.trees, position);
        self.noise.extend((0..G::ACTIONS).map(|_| noise()));
        let legal = (0..G::ACTIONS).filter(|&action| position.legal(action)).count();
        self.considered.push(legal.min(self.search.considered));
        self.trees += 1;
    }

    /// Grows all trees.
    pub(crate) fn run(&mut self, net: &Net) -> Result<()> {
        let mut flows = std::mem::take(&mut self.flows);
        let done = self.grow(|forest, leaves| ask(net, &mut flows, forest, leaves));
        self.flows = flows;
        done
    }

    /// The same, by whoever grows these new nodes.
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

    /// Visits of a move of a root.
    #[cfg(test)]
    pub(super) fn visits(&self, tree: usize, action: usize) -> u32 {
        self.forest.visits(self.forest.root(tree), action)
    }

    /// The move to make at a root: the best of those that were tried most.
    pub(crate) fn choice(&mut self, tree: usize) -> usize {
        let root = self.forest.root(tree);
        let most = (0..G::ACTIONS).map(|action| self.forest.visits(root, action)).max();
        self.best(tree, |had| Some(had) == most)
    }

    /// What the search makes of the network's policy at a root, `[A]`, and what that is worth to its side to move: not the
    /// mean of the tree, half of whose visits went to moves that it found to be worse.
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

/// Asks the network about all leaves.
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
            return Err(Error::Tensor(format!("the network that a search asks is at its end ({told})")));
        }
    }
    let (logits, values) = (flows.logits().chunks_exact(G::ACTIONS), flows.values());
    for ((&leaf, logits), &value) in leaves.iter().zip(logits).zip(values) {
        forest.grow(leaf, logits, value);
    }
    Ok(())
}
