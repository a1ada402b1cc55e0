//! Table of action values, shared by a learner and its policies, saved as one tensor `q [states, actions]`.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use rl_core::{Result, Saved, Spec};
use rl_nn::{load_array, save_array};

/// Values of all actions in all states, behind a shared lock.
#[derive(Clone)]
pub(super) struct Table {
    values: Arc<Mutex<Vec<f32>>>,
    /// Cardinality of each symbol.
    symbols: Arc<[u32]>,
    actions: usize,
}

impl Table {
    /// A table whose values are all `initial`.
    pub(super) fn new(spec: &Spec, initial: f32) -> Result<Self> {
        let actions = spec.discrete[0] as usize;
        let states = spec.symbols.iter().map(|&count| count as usize).product::<usize>();
        let values = Arc::new(Mutex::new(vec![initial; states * actions]));
        Ok(Self { values, symbols: spec.symbols.iter().copied().collect(), actions })
    }

    /// Locks and returns all values, `[states, actions]`.
    pub(super) fn values(&self) -> MutexGuard<'_, Vec<f32>> {
        self.values.lock().expect("nothing panics with it")
    }

    /// Number of values, states times actions.
    pub(super) fn len(&self) -> usize {
        self.values().len()
    }

    /// Number of actions.
    pub(super) fn actions(&self) -> usize {
        self.actions
    }

    /// Index of the value of action 0 in the state with the observation `symbols`.
    pub(super) fn at(&self, symbols: &[u32]) -> usize {
        let state = symbols.iter().zip(&*self.symbols).fold(0, |state, (&symbol, &count)| state * count + symbol);
        state as usize * self.actions
    }

    /// States and actions.
    fn shape(&self) -> [usize; 2] {
        [self.len() / self.actions, self.actions]
    }
}

impl Saved for Table {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        save_array("q", &self.shape(), &self.values(), out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let read = load_array("q", &self.shape(), from)?;
        self.values().copy_from_slice(&read);
        Ok(())
    }
}
