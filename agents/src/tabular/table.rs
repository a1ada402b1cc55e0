//! Table of action values, shared by a learner and its policies, saved as one tensor `q [states, actions]`.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use candle_core::Device;
use rl_core::{Result, Rng, Saved, Spec, Stream};
use rl_nn::{Init, Params, tensor};

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

    /// Copies the values to parameters, which can be saved as safetensors.
    fn params(&self) -> Result<Params> {
        let mut params = Params::new(&Device::Cpu, Rng::new(0, Stream::Init));
        let values = self.values();
        let shape = [values.len() / self.actions, self.actions];
        params.root().var("q", &shape, Init::Zeros).map_err(tensor)?;
        params.write(&values).map_err(tensor)?;
        Ok(params)
    }
}

impl Saved for Table {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        self.params()?.save(out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let mut params = self.params()?;
        params.load(from)?;
        params.read(&mut self.values()).map_err(tensor)
    }
}
