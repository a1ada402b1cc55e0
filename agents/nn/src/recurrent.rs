//! Recurrent layer of either kind, whose state is one row of numbers, which agents keep, save and begin a sequence
//! with.

use candle_core::{Result, Tensor, bail};

use crate::kernel::Workspace;
use crate::parts::sized;
use crate::{Gru, Lstm, LstmState};

/// GRU or LSTM layer whose state is one row of `S` values.
#[derive(Clone, Debug)]
pub enum Recurrent {
    /// GRU with the state `h`, `S = units`.
    Gru(Gru),
    /// LSTM with the state `[h, c]`, `S = 2·units`.
    Lstm(Lstm),
}

impl Recurrent {
    /// Number of units: outputs per step.
    pub fn units(&self) -> usize {
        match self {
            Self::Gru(gru) => gru.units(),
            Self::Lstm(lstm) => lstm.units(),
        }
    }

    /// Number of values of one state, `S`.
    pub fn state_width(&self) -> usize {
        match self {
            Self::Gru(gru) => gru.units(),
            Self::Lstm(lstm) => 2 * lstm.units(),
        }
    }

    /// Runs the layer over `x [T, B, inputs]` from the initial states `[B, S]`. Returns the outputs `[T, B, units]` and
    /// the states after the last step, `[B, S]`.
    ///
    /// `starts [T, B]` is not 0 at the first step of an episode (where its age is 0): the state is zeroed before that
    /// step, and no gradient passes there. The initial states get a gradient if they are tracked.
    ///
    /// # Errors
    /// If shapes do not fit each other.
    pub fn forward(&self, x: &Tensor, starts: Option<&Tensor>, states: &Tensor) -> Result<(Tensor, Tensor)> {
        match self {
            Self::Gru(gru) => gru.forward(x, starts, states),
            Self::Lstm(lstm) => {
                if states.dim(1)? != self.state_width() {
                    bail!("states of {} numbers, where a state has {}", states.dim(1)?, self.state_width());
                }
                let half = |k: usize| states.narrow(1, k * lstm.units(), lstm.units());
                let (y, state) = lstm.forward(x, starts, &LstmState { h: half(0)?, c: half(1)? })?;
                Ok((y, Tensor::cat(&[state.h, state.c], 1)?))
            }
        }
    }

    /// One step on the CPU without a graph, `x [B, inputs]` to `y [B, units]`, which is replaced and reuses its
    /// allocation. The layer's states are the `S` columns from `at` on of `states [B, width]` and are updated in place.
    pub(crate) fn step(&self, x: &[f32], states: &mut [f32], width: usize, at: usize, y: &mut Vec<f32>) -> Result<()> {
        let units = self.units();
        let len = states.len() / width * units;
        sized(y, len); // the layer writes every element
        if len == 0 {
            return Ok(());
        }
        let [mut h, mut c] = [(); 2].map(|()| Workspace::new());
        let h = h.sized(len);
        gather(states, width, at, h, units);
        match self {
            Self::Gru(gru) => gru.step(x, h, y)?,
            Self::Lstm(lstm) => {
                let c = c.sized(len);
                gather(states, width, at + units, c, units);
                lstm.step(x, h, c, y)?;
                scatter(c, units, states, width, at + units);
            }
        }
        scatter(y, units, states, width, at);
        Ok(())
    }
}

/// Copies the `units` columns from `at` on of rows of `width` values to the rows of `to`.
fn gather(from: &[f32], width: usize, at: usize, to: &mut [f32], units: usize) {
    let rows = from.chunks_exact(width).zip(to.chunks_exact_mut(units));
    rows.for_each(|(from, to)| to.copy_from_slice(&from[at..at + units]));
}

/// Copies rows of `units` values to the columns from `at` on of rows of `width` values.
fn scatter(from: &[f32], units: usize, to: &mut [f32], width: usize, at: usize) {
    let rows = from.chunks_exact(units).zip(to.chunks_exact_mut(width));
    rows.for_each(|(from, to)| to[at..at + units].copy_from_slice(from));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostForward;
    use crate::check::{differences, draws, flat, params, variable};

    const INPUTS: usize = 3;
    const UNITS: usize = 5;

    fn both(params: &mut crate::Params) -> [Recurrent; 2] {
        [
            Recurrent::Gru(Gru::new(&mut params.layer("gru"), INPUTS, UNITS).unwrap()),
            Recurrent::Lstm(Lstm::new(&mut params.layer("lstm"), INPUTS, UNITS).unwrap()),
        ]
    }

    #[test]
    fn steps_on_the_host_have_the_bits_of_the_sequence_at_every_batch() {
        for layer in both(&mut params()) {
            let width = layer.state_width();
            for batch in [1, 2, 7, 40] {
                let (x, states) = (draws(&[4, batch, INPUTS], 1), draws(&[batch, width], 2));
                let (y, after) = layer.forward(&x, None, &states).unwrap();
                // Between numbers of others, which stay.
                let mut rows: Vec<f32> =
                    flat(&states).chunks_exact(width).flat_map(|row| [&[9.0], row, &[8.0; 2]].concat()).collect();
                let mut flow = HostForward::default();
                for t in 0..4 {
                    *flow.begin() = flat(&x.get(t).unwrap());
                    flow.recurrent(&layer, &mut rows, width + 3, 1).unwrap();
                    assert_eq!(flow.values(), flat(&y.get(t).unwrap()), "step {t} of {batch}");
                }
                for (row, after) in rows.chunks_exact(width + 3).zip(after.to_vec2::<f32>().unwrap()) {
                    assert_eq!((row[0], &row[1..=width], &row[width + 1..]), (9.0, &after[..], &[8.0; 2][..]));
                }
            }
        }
    }

    #[test]
    fn first_states_and_both_results_pass_gradients() {
        for kind in 0..2 {
            let mut params = params();
            let layer = match kind {
                0 => Recurrent::Gru(Gru::new(&mut params.layer("gru"), INPUTS, UNITS).unwrap()),
                _ => Recurrent::Lstm(Lstm::new(&mut params.layer("lstm"), INPUTS, UNITS).unwrap()),
            };
            let (x, states) = (variable(&[3, 2, INPUTS], 1), variable(&[2, layer.state_width()], 2));
            differences(&params, &[&x, &states], 1.0, &|| {
                let (y, after) = layer.forward(&x, None, &states).unwrap();
                vec![y, after]
            });
        }
    }
}
