//! A binary tree of sums: draws a leaf in proportion to its weight, and changes one in the time of its depth.
//!
//! Every node is the sum of its two children as they are now, and is added up anew on each change, never adjusted by a
//! difference. So the tree is a function of its leaves: it does not drift, and saving the leaves saves it to the bit.
//! Source: Schaul et al. 2016, appendix B.2.1.

/// A sum tree: non-negative leaf weights, from which a leaf is drawn in proportion to its weight in O(log n).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SumTree {
    /// Node 1 is the root, those below node `i` are `2i` and `2i + 1`, and the leaves are the second half.
    nodes: Vec<f64>,
}

impl SumTree {
    /// A tree of `leaves` leaves of weight 0.
    ///
    /// # Panics
    /// If `leaves` is 0.
    pub(crate) fn new(leaves: usize) -> Self {
        assert!(leaves > 0, "a tree has leaves");
        Self { nodes: vec![0.0; 2 * leaves] }
    }

    /// Bytes that [`new`](SumTree::new) allocates.
    pub(crate) fn bytes_for(leaves: usize) -> u64 {
        (leaves as u64).saturating_mul(2 * size_of::<f64>() as u64)
    }

    /// Number of leaves.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len() / 2
    }

    /// Sum of all leaves.
    pub(crate) fn total(&self) -> f64 {
        self.nodes[1]
    }

    /// Weight of a leaf.
    pub(crate) fn weight(&self, leaf: usize) -> f64 {
        self.nodes[self.len() + leaf]
    }

    /// Sets the weight of a leaf, which must be finite and not negative, and updates the sums above it.
    pub(crate) fn set(&mut self, leaf: usize, weight: f64) {
        debug_assert!(weight >= 0.0 && weight.is_finite(), "a weight of {weight}");
        let mut node = self.len() + leaf;
        self.nodes[node] = weight;
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1];
        }
    }

    /// Finds the leaf in whose interval of the cumulative sum of weights `mark` lies, 0 ≤ `mark` ≤ total.
    ///
    /// The leaf never has weight 0, unless all have.
    pub(crate) fn find(&self, mut mark: f64) -> usize {
        let mut node = 1;
        while node < self.len() {
            let [left, right] = [self.nodes[2 * node], self.nodes[2 * node + 1]];
            // By rounding a mark may lie at or beyond the end of what is there.
            node = if mark < left || right == 0.0 {
                2 * node
            } else {
                mark -= left;
                2 * node + 1
            };
        }
        node - self.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_a_list_of_weights_under_changes(
            leaves in 1usize..40, changes in prop::collection::vec((any::<prop::sample::Index>(), 0u32..1000), 0..200),
            mark in 0.0f64..1.0,
        ) {
            let (mut tree, mut list) = (SumTree::new(leaves), vec![0.0; leaves]);
            for (at, weight) in changes {
                // Whole numbers: their sums are exact in any order.
                let (at, weight) = (at.index(leaves), f64::from(weight / 4 * (weight % 4).min(1)));
                tree.set(at, weight);
                list[at] = weight;
                prop_assert_eq!(tree.total(), list.iter().sum::<f64>());
                let mut rebuilt = SumTree::new(leaves);
                list.iter().enumerate().for_each(|(at, &weight)| rebuilt.set(at, weight));
                prop_assert_eq!(&tree, &rebuilt);
            }
            if tree.total() > 0.0 {
                let found = tree.find(mark * tree.total());
                prop_assert!(list[found] > 0.0);
            }
            // Over all marks, every leaf is found as often as it weighs.
            let mut counts = vec![0.0; leaves];
            (0..tree.total() as u64).for_each(|mark| counts[tree.find(mark as f64 + 0.5)] += 1.0);
            prop_assert_eq!(counts, list);
        }

        #[test]
        fn sums_of_any_weights_do_not_drift(
            leaves in 1usize..40, changes in prop::collection::vec((any::<prop::sample::Index>(), -20f64..20.0), 1..200),
        ) {
            let mut tree = SumTree::new(leaves);
            for (at, power) in &changes {
                tree.set(at.index(leaves), power.exp2());
            }
            let mut last = SumTree::new(leaves);
            (0..leaves).for_each(|leaf| last.set(leaf, tree.weight(leaf)));
            prop_assert_eq!(&tree, &last);
            for mark in [0.0, tree.total() / 3.0, tree.total()] {
                prop_assert!(tree.weight(tree.find(mark)) > 0.0);
            }
        }
    }
}
