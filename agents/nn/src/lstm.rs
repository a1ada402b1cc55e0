//! A long short-term memory over time-major sequences whose episodes may start anywhere.
//!
//! One product serves the inputs of all steps, one per step the recurrence, and one each of the weights' gradients; the
//! whole sequence is one node of candle's graph.
//! Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000, as PyTorch computes it:
//! i, f, g, o = σ, σ, tanh, σ of x·W + h·U + b in this order; c' = f·c + i·g; h' = o·tanh c'.

use std::sync::{Arc, Mutex, OnceLock};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

use crate::kernel::{self, Patches, Prepared, Workspace, vectorised};
use crate::math;
use crate::params::{values, with_values};
use crate::parts::{self, PARALLEL, rows_of};
use crate::sequence::{Extent, Starts, cleared, product, sigmoid};
use crate::tie::{Own, Tie};
use crate::{Init, Scope};

/// How an LSTM's parameters are filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LstmInit {
    /// The weights of the inputs, `[inputs, 4·units]`.
    pub input: Init,
    /// The weights of the recurrence, `[units, 4·units]`.
    pub recurrent: Init,
    /// The bias of the gates i, g and o.
    pub bias: Init,
    /// The bias of the forget gate; 1 lets an untrained memory keep what it holds.
    pub forget: Init,
}

impl LstmInit {
    /// PyTorch's default, uniform in ±1/√`units`. PyTorch keeps two biases and adds them; here is one, so that a step of
    /// an optimiser like Adam moves it half as far.
    pub fn torch(units: usize) -> Self {
        let init = Init::torch(units);
        Self { input: init, recurrent: init, bias: init, forget: init }
    }
}

/// What an LSTM carries from step to step.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// The output of the step before, `[B, units]`.
    pub h: Tensor,
    /// The memory, `[B, units]`.
    pub c: Tensor,
}

impl LstmState {
    /// The same values without their history, for the next stretch of a rollout.
    pub fn detach(&self) -> Self {
        Self { h: self.h.detach(), c: self.c.detach() }
    }
}

/// A layer of LSTM cells.
#[derive(Clone, Debug)]
pub struct Lstm {
    /// `weight_ih [inputs, 4·units]`, `weight_hh [units, 4·units]`, `bias [4·units]`.
    own: Own,
    inputs: usize,
    units: usize,
}

impl Lstm {
    /// A layer of `inputs × units` with PyTorch's default initialisation.
    ///
    /// # Errors
    /// If an extent is zero, or the device fails.
    pub fn new(scope: &mut Scope<'_>, inputs: usize, units: usize) -> Result<Self> {
        Self::with_init(scope, inputs, units, LstmInit::torch(units))
    }

    /// A layer with its own initialisation.
    ///
    /// # Errors
    /// If an extent is zero, or the device fails.
    pub fn with_init(scope: &mut Scope<'_>, inputs: usize, units: usize, init: LstmInit) -> Result<Self> {
        if inputs == 0 || units == 0 {
            bail!("an LSTM of {inputs} inputs and {units} units");
        }
        let own = Own::new(scope, |scope| {
            Ok(vec![
                scope.var("weight_ih", &[inputs, 4 * units], init.input)?,
                scope.var("weight_hh", &[units, 4 * units], init.recurrent)?,
                scope.joined(
                    "bias",
                    &[4 * units],
                    &[(units, init.bias), (units, init.forget), (2 * units, init.bias)],
                )?,
            ])
        })?;
        Ok(Self { own, inputs, units })
    }

    /// The state before anything happened: zeros.
    ///
    /// # Errors
    /// If the device fails.
    pub fn state(&self, batch: usize) -> Result<LstmState> {
        let zeros = || Tensor::zeros((batch, self.units), DType::F32, self.own.var(0).device());
        Ok(LstmState { h: zeros()?, c: zeros()? })
    }

    /// `x [T, B, inputs]` to `[T, B, units]` and the state after the last step.
    ///
    /// `starts [T, B]` is not 0 where a row is the first of an episode (its age is 0): the state is zeroed before that
    /// step. The first state gets a gradient where it is tracked.
    ///
    /// # Errors
    /// If shapes do not fit each other.
    pub fn forward(&self, x: &Tensor, starts: Option<&Tensor>, state: &LstmState) -> Result<(Tensor, LstmState)> {
        let extent = Extent::of("an LSTM", [self.inputs, self.units], x, starts, &[&state.h, &state.c])?;
        if extent.steps == 0 {
            let y = Tensor::zeros((0, extent.batch, self.units), x.dtype(), x.device())?;
            return Ok((y, state.clone()));
        }
        if !x.device().is_cpu() {
            return self.stock(x, starts, state);
        }
        let state = LstmState { h: state.h.contiguous()?, c: state.c.contiguous()? };
        let tied: Vec<&Tensor> = self.own.tensors().chain([&state.h, &state.c]).collect();
        let (node, tie) = Tie::new(&tied)?;
        let cache = Arc::<OnceLock<Cache>>::default();
        let last = Last { cache: cache.clone(), extent, gradient: Arc::default() };
        let op = Op {
            own: self.own.clone(),
            state: state.clone(),
            tie,
            inputs: self.inputs,
            extent,
            starts: Starts::new(starts)?,
            cache,
            last: last.gradient.clone(),
        };
        let y = x.contiguous()?.apply_op2(&node, op)?; // [T, B, units]
        let state = LstmState { h: y.get(extent.steps - 1)?, c: y.apply_op1(last)? };
        Ok((y, state))
    }

    /// Outputs per step, and numbers of each part of a state.
    pub(crate) fn units(&self) -> usize {
        self.units
    }

    /// One step on the host, `x [B, inputs]` and `h [B, units]` to `y [B, units]`, with the memory `c [B, units]` in place:
    /// the bits of [`forward`](Lstm::forward).
    pub(crate) fn step(&self, x: &[f32], h: &[f32], c: &mut [f32], y: &mut [f32]) -> Result<()> {
        let len = h.len() * 4;
        let [mut one, mut two, mut three, mut four] = [(); 4].map(|()| Workspace::new());
        let (gates, sums, before) = (one.sized(len), two.sized(len), three.sized(h.len()));
        with_values(self.own.var(2), |bias| product(x, self.own.var(0), bias, gates))??;
        let none = four.sized(4 * self.units);
        none.fill(0.0);
        product(h, self.own.var(1), none, sums)?;
        before.copy_from_slice(c);
        step(self.units, sums, before, gates, c, four.sized(h.len()), y);
        Ok(())
    }

    /// The same in candle's own operations.
    fn stock(&self, x: &Tensor, starts: Option<&Tensor>, state: &LstmState) -> Result<(Tensor, LstmState)> {
        let LstmState { mut h, mut c } = state.clone();
        let mut y = Vec::new();
        for t in 0..x.dim(0)? {
            (h, c) = (cleared(&h, starts, t)?, cleared(&c, starts, t)?);
            let z =
                (x.get(t)?.matmul(self.own.var(0))? + h.matmul(self.own.var(1))?)?.broadcast_add(self.own.var(2))?;
            let gate = |k: usize| z.narrow(1, k * self.units, self.units); // [B, units]
            let (i, f, g, o) = (sigmoid(&gate(0)?)?, sigmoid(&gate(1)?)?, gate(2)?.tanh()?, sigmoid(&gate(3)?)?);
            c = ((f * c)? + (i * g)?)?;
            h = (o * c.tanh()?)?;
            y.push(h.clone());
        }
        Ok((Tensor::stack(&y, 0)?, LstmState { h, c }))
    }
}

/// What the backward pass needs of the forward pass.
struct Cache {
    /// Activated gates, `[T, B, 4·units]`.
    gates: Vec<f32>,
    /// The h and the c that went into each step, and c after the last; `[T, B, units]` and `[T + 1, B, units]`.
    h: Vec<f32>,
    c: Vec<f32>,
    /// tanh c' of each step, `[T, B, units]`.
    tanh: Vec<f32>,
}

/// The whole sequence; its arguments are `x` and the tie of parameters, h and c.
struct Op {
    own: Own,
    state: LstmState,
    tie: Tie,
    inputs: usize,
    extent: Extent,
    starts: Starts,
    cache: Arc<OnceLock<Cache>>,
    /// The gradient of the last c, if anything used it.
    last: Arc<Mutex<Option<Vec<f32>>>>,
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let Extent { steps, batch, units } = self.extent;
        let (n, state) = (4 * units, self.extent.state());
        let x = values(x, layout)?;
        let mut gates = parts::zeros(steps * batch * n);
        let (w, b) = (self.own.var(0), self.own.var(2));
        with_values(w, |w| {
            with_values(b, |b| kernel::forward(&Patches::rows(self.inputs), x, w, b, false, &mut gates))
        })??;
        let [mut h, mut c] = [steps, steps + 1].map(|rows| vec![0.0; rows * state]);
        let [mut tanh, mut y] = [(); 2].map(|()| vec![0.0; steps * state]);
        with_values(&self.state.h, |first| h[..state].copy_from_slice(first))?;
        with_values(&self.state.c, |first| c[..state].copy_from_slice(first))?;
        let (mut z, none, rows) = (vec![0.0; batch * n], vec![0.0; n], rows_of(n));
        let mut room = Workspace::new();
        with_values(self.own.var(1), |w| {
            let recurrence = Prepared::new(w, n, batch, &mut room);
            for t in 0..steps {
                let (now, next) = (t * state..(t + 1) * state, (t + 1) * state..(t + 2) * state);
                if t > 0 {
                    h[now.clone()].copy_from_slice(&y[now.start - state..now.start]);
                }
                self.starts.clear(self.extent, t, &mut h[now.clone()]);
                self.starts.clear(self.extent, t, &mut c[now.clone()]);
                recurrence.forward(&h[now.clone()], &none, &mut z);
                let (before, after) = c.split_at_mut(next.start);
                let before = &before[now.start..];
                let outs = [
                    (&mut gates[t * batch * n..][..batch * n], rows * n),
                    (&mut after[..state], rows * units),
                    (&mut tanh[now.clone()], rows * units),
                    (&mut y[now], rows * units),
                ];
                parts::each(outs, batch * n >= PARALLEL, |i, [gates, c, tanh, y]| {
                    step(units, &z[i * rows * n..], &before[i * rows * units..], gates, c, tanh, y);
                });
            }
        })?;
        let _ = self.cache.set(Cache { gates, h, c, tanh });
        Ok((CpuStorage::F32(y), (steps, batch, units).into()))
    }

    fn bwd(&self, x: &Tensor, node: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Extent { steps, batch, units } = self.extent;
        let (n, state) = (4 * units, self.extent.state());
        let cache = self.cache.get().expect("the forward pass fills it");
        let last = self.last.lock().expect("nothing panics with it").take();
        let mut dc = last.unwrap_or_else(|| vec![0.0; state]);
        let mut dh = vec![0.0; state];
        let (mut sequence, mut room) = (Workspace::new(), Workspace::new());
        let dz = sequence.sized(steps * batch * n);
        let (none, rows) = (vec![0.0; units], rows_of(n));
        let g = g.contiguous()?;
        let mut through_time = |w: &[f32], g: &[f32]| {
            let recurrence = Prepared::transposed(w, n, batch, &mut room); // [4·units, units]
            for t in (0..steps).rev() {
                let (at, now) = (t * batch * n, t * state);
                let dz = &mut dz[at..][..batch * n];
                let outs = [(&mut *dz, rows * n), (&mut dc, rows * units)];
                parts::each(outs, batch * n >= PARALLEL, |i, [dz, dc]| {
                    let from = i * rows * units;
                    let [c, tanh, g] = [&cache.c, &cache.tanh, g].map(|all| &all[now + from..]);
                    let gates = &cache.gates[at + i * rows * n..];
                    step_back(units, [gates, c, tanh, g, &dh[from..]], dz, dc);
                });
                recurrence.forward(dz, &none, &mut dh);
                self.starts.clear(self.extent, t, &mut dh);
                self.starts.clear(self.extent, t, &mut dc);
            }
        };
        with_values(self.own.var(1), |w| with_values(&g, |g| through_time(w, g)))??;
        let mut gradients = self.own.write(|into, write| {
            let (dw, into) = into.split_at_mut(self.inputs * n);
            let (du, db) = into.split_at_mut(units * n);
            let inputs = Patches::rows(self.inputs);
            with_values(x, |x| kernel::write_weight_gradient(&inputs, x, dz, n, dw, write))?;
            kernel::write_weight_gradient(&Patches::rows(units), &cache.h, dz, n, du, write);
            kernel::write_bias_gradient(dz, db, write);
            Ok(())
        })?;
        for (first, d) in [(&self.state.h, dh), (&self.state.c, dc)] {
            let d = first.track_op().then(|| Tensor::from_vec(d, (batch, units), x.device()));
            gradients.push(d.transpose()?);
        }
        let dx = x.track_op().then(|| {
            let dx = with_values(self.own.var(0), |w| kernel::input_gradient(&Patches::rows(self.inputs), w, dz, n))?;
            Tensor::from_vec(dx, x.dims(), x.device())
        });
        let tied: Vec<&Tensor> = self.own.tensors().chain([&self.state.h, &self.state.c]).collect();
        Ok((dx.transpose()?, Some(self.tie.give(node, &tied, gradients)?)))
    }
}

/// One step of some rows: activates `gates`, to whose input part `z`, the recurrence's, is added.
fn step(units: usize, z: &[f32], before: &[f32], gates: &mut [f32], c: &mut [f32], tanh: &mut [f32], y: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            let rows = gates.chunks_exact_mut(4 * units).zip(z.chunks_exact(4 * units)).zip(before.chunks_exact(units));
            let outs = c.chunks_exact_mut(units).zip(tanh.chunks_exact_mut(units)).zip(y.chunks_exact_mut(units));
            for (((gates, z), before), ((c, tanh), y)) in rows.zip(outs) {
                for (gate, (a, z)) in gates.chunks_exact_mut(units).zip(z.chunks_exact(units)).enumerate() {
                    let all = a.iter_mut().zip(z);
                    if gate == 2 {
                        all.for_each(|(a, z)| *a = math::tanh(*a + z));
                    } else {
                        all.for_each(|(a, z)| *a = math::sigmoid(*a + z));
                    }
                }
                let (i, gates) = gates.split_at(units);
                let (f, gates) = gates.split_at(units);
                let (g, o) = gates.split_at(units);
                for j in 0..units {
                    let memory = f[j] * before[j] + i[j] * g[j];
                    let squashed = math::tanh(memory);
                    (c[j], tanh[j], y[j]) = (memory, squashed, o[j] * squashed);
                }
            }
        },
    );
}

/// The gradient of some rows of a step by its gates before their activation; `dc` goes from after the step to before it.
fn step_back(units: usize, [gates, c, tanh, g, dh]: [&[f32]; 5], dz: &mut [f32], dc: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            let rows =
                dz.chunks_exact_mut(4 * units).zip(dc.chunks_exact_mut(units)).zip(gates.chunks_exact(4 * units));
            let ins = c.chunks_exact(units).zip(tanh.chunks_exact(units));
            let ins = ins.zip(g.chunks_exact(units)).zip(dh.chunks_exact(units));
            for (((dz, dc), gates), (((c, tanh), out), dh)) in rows.zip(ins) {
                let (i, gates) = gates.split_at(units);
                let (f, gates) = gates.split_at(units);
                let (g, o) = gates.split_at(units);
                let (di, dz) = dz.split_at_mut(units);
                let (df, dz) = dz.split_at_mut(units);
                let (dg, d_o) = dz.split_at_mut(units);
                for j in 0..units {
                    let dy = out[j] + dh[j];
                    let memory = dc[j] + dy * o[j] * (1.0 - tanh[j] * tanh[j]);
                    di[j] = memory * g[j] * i[j] * (1.0 - i[j]);
                    df[j] = memory * c[j] * f[j] * (1.0 - f[j]);
                    dg[j] = memory * i[j] * (1.0 - g[j] * g[j]);
                    d_o[j] = dy * tanh[j] * o[j] * (1.0 - o[j]);
                    dc[j] = memory * f[j];
                }
            }
        },
    );
}

/// The memory after the last step: a second output, whose gradient goes to the sequence by the side.
struct Last {
    cache: Arc<OnceLock<Cache>>,
    extent: Extent,
    gradient: Arc<Mutex<Option<Vec<f32>>>>,
}

impl CustomOp1 for Last {
    fn name(&self) -> &'static str {
        "lstm-memory"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let c = &self.cache.get().expect("the sequence fills it").c;
        let last = c[self.extent.steps * self.extent.state()..].to_vec();
        Ok((CpuStorage::F32(last), (self.extent.batch, self.extent.units).into()))
    }

    fn bwd(&self, y: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = with_values(&g.contiguous()?, <[f32]>::to_vec)?;
        *self.gradient.lock().expect("nothing panics with it") = Some(g);
        Ok(Some(y.zeros_like()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::check::{any_threads, differences, draws, flat, params, parity, variable};

    fn lstm(inputs: usize, units: usize) -> (Params, Lstm) {
        let mut params = params();
        let lstm = Lstm::new(&mut params.layer("lstm"), inputs, units).unwrap();
        (params, lstm)
    }

    fn outputs((y, state): (Tensor, LstmState)) -> Vec<Tensor> {
        vec![y, state.h, state.c]
    }

    /// An episode starts in the first row, in a middle one, and nowhere.
    fn starts() -> Tensor {
        let rows = [[1f32, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]];
        Tensor::new(&rows, &candle_core::Device::Cpu).unwrap()
    }

    #[test]
    fn gradients_are_differences() {
        let (params, lstm) = lstm(3, 5);
        let (x, h, c) = (variable(&[4, 3, 3], 1), variable(&[3, 5], 2), variable(&[3, 5], 3));
        for starts in [None, Some(starts())] {
            differences(&params, &[&x, &h, &c], 1.0, &|| {
                let state = LstmState { h: h.as_tensor().clone(), c: c.as_tensor().clone() };
                outputs(lstm.forward(&x, starts.as_ref(), &state).unwrap())
            });
        }
    }

    #[test]
    fn the_memory_alone_passes_a_gradient() {
        let (params, lstm) = lstm(2, 3);
        let x = variable(&[2, 2, 2], 1);
        differences(&params, &[&x], 1.0, &|| vec![lstm.forward(&x, None, &lstm.state(2).unwrap()).unwrap().1.c]);
    }

    #[test]
    fn cpu_operation_equals_stock_ones() {
        let (params, lstm) = lstm(7, 9);
        let (x, h, c) = (variable(&[4, 3, 7], 1), variable(&[3, 9], 2), variable(&[3, 9], 3));
        for starts in [None, Some(starts())] {
            let state = || LstmState { h: h.as_tensor().clone(), c: c.as_tensor().clone() };
            parity(
                &params,
                &[&x, &h, &c],
                1e-5,
                &|| outputs(lstm.forward(&x, starts.as_ref(), &state()).unwrap()),
                &|| outputs(lstm.stock(&x, starts.as_ref(), &state()).unwrap()),
            );
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (params, lstm) = lstm(40, 300);
        let x = variable(&[3, 33, 40], 1);
        any_threads(&params, &[&x], &|| outputs(lstm.forward(&x, None, &lstm.state(33).unwrap()).unwrap()));
    }

    #[test]
    fn a_row_does_not_depend_on_the_batch_around_it() {
        let (_params, lstm) = lstm(5, 17);
        let x = draws(&[3, 20, 5], 1);
        let (h, c) = (draws(&[20, 17], 2), draws(&[20, 17], 3));
        let run = |from: usize, batch: usize| {
            let rows = |x: &Tensor| x.narrow(0, from, batch).unwrap();
            let state = LstmState { h: rows(&h), c: rows(&c) };
            outputs(lstm.forward(&x.narrow(1, from, batch).unwrap(), None, &state).unwrap())
        };
        let all = run(0, 20);
        for (from, batch) in [(0, 1), (3, 2), (7, 7), (1, 19)] {
            for ((part, all), dim) in run(from, batch).iter().zip(&all).zip([1, 0, 0]) {
                assert_eq!(flat(part), flat(&all.narrow(dim, from, batch).unwrap()), "{batch} from {from}");
            }
        }
    }

    #[test]
    fn a_sequence_in_two_stretches_ends_in_the_same_bits() {
        let (_params, lstm) = lstm(3, 4);
        let x = draws(&[4, 3, 3], 1);
        let starts = starts();
        let whole = outputs(lstm.forward(&x, Some(&starts), &lstm.state(3).unwrap()).unwrap());
        let stretch = |x: &Tensor, from| x.narrow(0, from, 2).unwrap();
        let (first, state) =
            lstm.forward(&stretch(&x, 0), Some(&stretch(&starts, 0)), &lstm.state(3).unwrap()).unwrap();
        let (second, state) = lstm.forward(&stretch(&x, 2), Some(&stretch(&starts, 2)), &state.detach()).unwrap();
        let y = Tensor::cat(&[first, second], 0).unwrap();
        for (a, b) in whole.iter().zip([y, state.h, state.c]) {
            assert_eq!(flat(a), flat(&b));
        }
    }

    #[test]
    fn empty_sequences_and_batches_pass() {
        let (params, lstm) = lstm(3, 4);
        let state = lstm.state(2).unwrap();
        let (y, after) = lstm.forward(&draws(&[0, 2, 3], 1), None, &state).unwrap();
        assert_eq!((y.dims(), flat(&after.c)), ([0, 2, 4].as_slice(), vec![0.0; 8]));
        let (y, _) = lstm.forward(&draws(&[5, 0, 3], 1), None, &lstm.state(0).unwrap()).unwrap();
        assert_eq!(y.dims(), [5, 0, 4]);
        let mut grad = Vec::new();
        params.backward(&y.sum_all().unwrap(), &mut grad).unwrap();
        assert!(grad.iter().all(|g| *g == 0.0));
    }

    #[test]
    fn wrong_shapes_are_named() {
        let (_params, lstm) = lstm(3, 4);
        let state = lstm.state(2).unwrap();
        let error = |x: &[usize], starts: Option<&[usize]>, state: &LstmState| {
            let starts = starts.map(|dims| draws(dims, 1));
            lstm.forward(&draws(x, 1), starts.as_ref(), state).unwrap_err().to_string()
        };
        assert!(error(&[2, 3], None, &state).contains("an LSTM of 3 inputs expects [T, B, 3], got [2, 3]"));
        assert!(error(&[5, 2, 4], None, &state).contains("an LSTM of 3 inputs expects [T, B, 3], got [5, 2, 4]"));
        assert!(error(&[5, 1, 3], None, &state).contains("an LSTM expects a state [1, 4]"));
        assert!(error(&[5, 2, 3], Some(&[2, 5]), &state).contains("an LSTM expects starts [5, 2]"));
        assert!(Lstm::new(&mut params().root(), 3, 0).is_err());
    }

    #[test]
    fn the_forget_gate_has_a_bias_of_its_own() {
        let mut params = params();
        let init = LstmInit { bias: Init::Zeros, forget: Init::Constant { value: 1.5 }, ..LstmInit::torch(2) };
        Lstm::with_init(&mut params.root(), 3, 2, init).unwrap();
        let bias = flat(params.iter().last().unwrap().1);
        assert_eq!(bias, [0.0, 0.0, 1.5, 1.5, 0.0, 0.0, 0.0, 0.0]);
    }
}
