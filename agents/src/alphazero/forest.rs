//! Search trees over a game, one per root, in one arena that is filled anew for every move.
//!
//! Below the root a search chooses the move whose share of visits lies farthest below its probability in the improved
//! policy: deterministic, and without an exploration constant. Values of unvisited moves are completed from the
//! network's value and those of visited moves.
//! Source: Danihelka et al. 2022, "Policy improvement by planning with Gumbel", sections 4 and 5 and appendix D.

use rl_core::Game;

use crate::softmax::softmax;

/// No child yet.
const NONE: u32 = u32::MAX;

/// Transform of values in the improved policy: σ(q) = (`visit` + max visits) · `scale` · q, with q from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sigma {
    /// Constant c_visit, added to the visits of the most visited move.
    pub(crate) visit: f64,
    /// Constant c_scale.
    pub(crate) scale: f64,
}

/// Search trees, one per root.
#[derive(Clone, Debug)]
pub(crate) struct Forest<G> {
    sigma: Sigma,
    /// Largest number of nodes per tree.
    room: usize,
    /// All nodes, `[trees, room]`; the first of each tree is its root.
    nodes: Vec<Node<G>>,
    /// Edges of all moves of all nodes, `[trees, room, A]`.
    edges: Vec<Edge>,
    /// Nodes in use, `[trees]`.
    used: Vec<usize>,
    /// Scratch memory for priors or scores of the moves of a node, `[A]`.
    scores: Vec<f64>,
}

#[derive(Clone, Debug)]
struct Node<G> {
    position: G,
    parent: u32,
    visits: u32,
    /// Sum of all backed-up values, the node's own among them, for the side to move.
    sum: f64,
    /// Value by the network, or by the rules where the game is over, for the side to move.
    value: f32,
    over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    child: u32,
    /// Logarithm of the network's probability; -∞ where the move is not legal.
    log_prior: f64,
    prior: f64,
}

const UNKNOWN: Edge = Edge { child: NONE, log_prior: f64::NEG_INFINITY, prior: 0.0 };

impl<G: Game> Forest<G> {
    /// Allocates `trees` trees for searches of `simulations` simulations each.
    pub(crate) fn new(trees: usize, simulations: usize, sigma: Sigma) -> Self {
        let room = simulations + 1;
        let node = Node { position: G::start(), parent: NONE, visits: 0, sum: 0.0, value: 0.0, over: false };
        Self {
            sigma,
            room,
            nodes: vec![node; trees * room],
            edges: vec![UNKNOWN; trees * room * G::ACTIONS],
            used: vec![0; trees],
            scores: vec![0.0; G::ACTIONS],
        }
    }

    /// Bytes that [`new`](Self::new) allocates for nodes and edges.
    pub(crate) fn bytes_for(trees: usize, simulations: usize) -> u64 {
        let node = size_of::<Node<G>>() + G::ACTIONS * size_of::<Edge>();
        (trees as u64).saturating_mul(simulations as u64 + 1).saturating_mul(node as u64)
    }

    /// Begins a tree at a position of a running game and returns its root, which must be [grown](Self::grow) first.
    pub(crate) fn plant(&mut self, tree: usize, position: &G) -> usize {
        self.used[tree] = 0;
        self.add(tree, NONE, position.clone())
    }

    /// Number of the root node of a tree.
    pub(crate) fn root(&self, tree: usize) -> usize {
        tree * self.room
    }

    /// Position of a node.
    pub(crate) fn position(&self, node: usize) -> &G {
        &self.nodes[node].position
    }

    /// Selects a leaf: follows move `first` from the root, then the search's own choices.
    ///
    /// Returns a new node, which the network must evaluate, or `None` where the game is over and its value backed up.
    pub(crate) fn descend(&mut self, tree: usize, first: usize) -> Option<usize> {
        let (mut node, mut action) = (self.root(tree), first);
        loop {
            let edge = node * G::ACTIONS + action;
            let child = self.edges[edge].child;
            if child == NONE {
                let mut position = self.nodes[node].position.clone();
                position.play(action);
                let new = self.add(tree, node as u32, position);
                self.edges[edge].child = new as u32;
                node = new;
            } else {
                node = child as usize;
            }
            if self.nodes[node].over {
                self.back_up(node, self.nodes[node].value);
                return None;
            }
            if child == NONE {
                return Some(node);
            }
            action = self.least_served(node);
        }
    }

    /// Expands a new node by the network's logits, `[A]`, and its value for the side to move, and backs the value up.
    pub(crate) fn grow(&mut self, node: usize, logits: &[f32], value: f32) {
        let (position, priors) = (&self.nodes[node].position, &mut self.scores);
        let edges = &mut self.edges[node * G::ACTIONS..(node + 1) * G::ACTIONS];
        for (action, (edge, &logit)) in edges.iter_mut().zip(logits).enumerate() {
            edge.log_prior = if position.legal(action) { f64::from(logit) } else { f64::NEG_INFINITY };
        }
        priors.iter_mut().zip(&*edges).for_each(|(prior, edge)| *prior = edge.log_prior);
        let log_sum = softmax(priors);
        for (edge, &prior) in edges.iter_mut().zip(&*priors) {
            (edge.prior, edge.log_prior) = (prior, edge.log_prior - log_sum);
        }
        self.nodes[node].value = value;
        self.back_up(node, value);
    }

    /// Number of visits of a move of a node.
    pub(crate) fn visits(&self, node: usize, action: usize) -> u32 {
        match self.edges[node * G::ACTIONS + action].child {
            NONE => 0,
            child => self.nodes[child as usize].visits,
        }
    }

    /// Mean of the values backed up to a node, for its side to move.
    fn mean(&self, node: usize) -> f64 {
        self.nodes[node].sum / f64::from(self.nodes[node].visits.max(1))
    }

    /// Writes the completed Q-values of all moves for the side to move, `[A]`: the mean of the backed-up values for
    /// visited moves, and for the others the network's value of the node mixed with those.
    pub(crate) fn completed(&self, node: usize, out: &mut [f64]) {
        let edges = &self.edges[node * G::ACTIONS..(node + 1) * G::ACTIONS];
        // Children hold the other side's.
        let tried = |edge: &Edge| (edge.child != NONE).then(|| -self.mean(edge.child as usize));
        let (mut visits, mut known, mut expected) = (0, 0.0, 0.0);
        for (action, edge) in edges.iter().enumerate() {
            let Some(value) = tried(edge) else { continue };
            visits += self.visits(node, action);
            (known, expected) = (known + edge.prior, expected + edge.prior * value);
        }
        let own = f64::from(self.nodes[node].value);
        let mixed =
            if known > 0.0 { (own + f64::from(visits) * expected / known) / f64::from(visits + 1) } else { own };
        out.iter_mut().zip(edges).for_each(|(out, edge)| *out = tried(edge).unwrap_or(mixed));
    }

    /// Replaces the [`completed`](Self::completed) values of a node by the logits of its improved policy, `[A]`:
    /// log-prior + σ(value), -∞ where a move is not legal.
    pub(crate) fn improve(&self, node: usize, values: &mut [f64]) {
        let most = (0..G::ACTIONS).map(|action| self.visits(node, action)).max().unwrap_or(0);
        let slope = (self.sigma.visit + f64::from(most)) * self.sigma.scale;
        let edges = &self.edges[node * G::ACTIONS..(node + 1) * G::ACTIONS];
        for (edge, value) in edges.iter().zip(values) {
            *value = edge.log_prior + slope * (*value + 1.0) / 2.0;
        }
    }

    fn add(&mut self, tree: usize, parent: u32, position: G) -> usize {
        let node = tree * self.room + self.used[tree];
        self.used[tree] += 1;
        let outcome = position.outcome();
        let value = outcome.map_or(0.0, |standing| standing.value());
        self.nodes[node] = Node { position, parent, visits: 0, sum: 0.0, value, over: outcome.is_some() };
        self.edges[node * G::ACTIONS..(node + 1) * G::ACTIONS].fill(UNKNOWN);
        node
    }

    /// Adds a value to a node and all its ancestors, with alternating sign.
    fn back_up(&mut self, mut node: usize, value: f32) {
        let mut value = f64::from(value);
        loop {
            let Node { visits, sum, parent, .. } = &mut self.nodes[node];
            (*visits, *sum) = (*visits + 1, *sum + value);
            if *parent == NONE {
                return;
            }
            (node, value) = (*parent as usize, -value);
        }
    }

    /// The move whose share of the visits lies farthest below its probability in the improved policy.
    fn least_served(&mut self, node: usize) -> usize {
        let mut scores = std::mem::take(&mut self.scores);
        self.completed(node, &mut scores);
        self.improve(node, &mut scores);
        softmax(&mut scores);
        let all = f64::from(1 + (0..G::ACTIONS).map(|action| self.visits(node, action)).sum::<u32>());
        let short = |action: usize| scores[action] - f64::from(self.visits(node, action)) / all;
        let legal = (0..G::ACTIONS).filter(|&action| self.edges[node * G::ACTIONS + action].prior > 0.0);
        let chosen = legal.reduce(|best, next| if short(next) > short(best) { next } else { best });
        self.scores = scores;
        chosen.expect("a game that goes on has a legal move")
    }
}
