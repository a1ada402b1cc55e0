//! Gated recurrent unit over time-major sequences whose episodes may start anywhere.
//!
//! Source: Cho et al. 2014, as PyTorch computes it: gates in the order r, z, n; r, z = σ of x·W + b + h·U + d,
//! n = tanh(x·W + b + r·(h·U + d)), h' = (1 − z)·n + z·h. The second bias d is not redundant: r scales its part in n.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

use crate::bundle::Bundle;
use crate::kernel::{self, Patches, Prepared, Workspace, vectorised};
use crate::layer_params::LayerParams;
use crate::math;
use crate::params::{values, with_values};
use crate::parts::{self, PARALLEL, rows_of};
use crate::sequence::{Extent, Starts, cleared, product, sigmoid};
use crate::{Init, InitScheme, Scope};

/// Initialisation of the parameters of a [`Gru`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GruInit {
    /// Input weights `weight_ih [inputs, 3·units]`.
    pub input: Init,
    /// Recurrent weights `weight_hh [units, 3·units]`.
    pub recurrent: Init,
    /// Biases `bias_ih` and `bias_hh`, `[3·units]` each.
    pub bias: Init,
}

impl GruInit {
    /// PyTorch's default: all parameters uniform in ±1/√`units`.
    pub fn torch(units: usize) -> Self {
        Self::of(InitScheme::Torch, units)
    }

    /// Default of a scope with `scheme`.
    fn of(scheme: InitScheme, units: usize) -> Self {
        let [weight, bias] = scheme.recurrent(units);
        Self { input: weight, recurrent: weight, bias }
    }
}

/// GRU layer over time-major sequences, as PyTorch computes it, with gates in the order r, z, n.
///
/// `r, z = σ(x·W + b + h·U + d)`, `n = tanh(x·W + b + r * (h·U + d))`, `h' = (1 - z) * n + z * h`. Products are of
/// `f32`.
#[derive(Clone, Debug)]
pub struct Gru {
    /// Parameters `weight_ih [inputs, 3·units]`, `weight_hh [units, 3·units]`, `bias_ih` and `bias_hh [3·units]`.
    params: LayerParams,
    inputs: usize,
    units: usize,
}

impl Gru {
    /// Layer of `inputs` inputs and `units` units, initialised as `scope` says; see [`Scope::with_init_scheme`].
    ///
    /// # Errors
    /// If `inputs` or `units` is 0, or the device fails.
    pub fn new(scope: &mut Scope<'_>, inputs: usize, units: usize) -> Result<Self> {
        let init = GruInit::of(scope.init_scheme(), units);
        Self::with_init(scope, inputs, units, init)
    }

    /// Layer of `inputs` inputs and `units` units, initialised by `init`.
    ///
    /// # Errors
    /// If `inputs` or `units` is 0, or the device fails.
    pub fn with_init(scope: &mut Scope<'_>, inputs: usize, units: usize, init: GruInit) -> Result<Self> {
        if inputs == 0 || units == 0 {
            bail!("a GRU of {inputs} inputs and {units} units");
        }
        let params = LayerParams::new(scope, |scope| {
            Ok(vec![
                scope.var("weight_ih", &[inputs, 3 * units], init.input)?,
                scope.var("weight_hh", &[units, 3 * units], init.recurrent)?,
                scope.var("bias_ih", &[3 * units], init.bias)?,
                scope.var("bias_hh", &[3 * units], init.bias)?,
            ])
        })?;
        Ok(Self { params, inputs, units })
    }

    /// Initial state of `batch` sequences: zeros, `[batch, units]`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn state(&self, batch: usize) -> Result<Tensor> {
        Tensor::zeros((batch, self.units), DType::F32, self.params.var(0).device())
    }

    /// Runs the layer over `x [T, B, inputs]` from the initial state `[B, units]`. Returns the outputs `[T, B, units]`
    /// and the state after the last step, `[B, units]`.
    ///
    /// `starts [T, B]` is not 0 at the first step of an episode (where its age is 0): the state is zeroed before that
    /// step, and no gradient passes there. The initial state gets a gradient if it is tracked.
    ///
    /// # Errors
    /// If shapes do not fit each other.
    pub fn forward(&self, x: &Tensor, starts: Option<&Tensor>, state: &Tensor) -> Result<(Tensor, Tensor)> {
        let extent = Extent::of("a GRU", [self.inputs, self.units], x, starts, &[state])?;
        if extent.steps == 0 {
            let y = Tensor::zeros((0, extent.batch, self.units), x.dtype(), x.device())?;
            return Ok((y, state.clone()));
        }
        if !x.device().is_cpu() {
            return self.stock(x, starts, state);
        }
        let state = state.contiguous()?;
        let bundled: Vec<&Tensor> = self.params.tensors().chain([&state]).collect();
        let (node, bundle) = Bundle::new(&bundled)?;
        let op = Op {
            params: self.params.clone(),
            state: state.clone(),
            bundle,
            inputs: self.inputs,
            extent,
            starts: Starts::new(starts)?,
            cache: OnceLock::new(),
        };
        let y = x.contiguous()?.apply_op2(&node, op)?; // [T, B, units]
        let last = y.get(extent.steps - 1)?;
        Ok((y, last))
    }

    /// Number of units: outputs per step, and values of one state.
    pub(crate) fn units(&self) -> usize {
        self.units
    }

    /// One step on the CPU without a graph, `x [B, inputs]` and `h [B, units]` to `y [B, units]`, with the bits of
    /// [`forward`](Gru::forward).
    pub(crate) fn step(&self, x: &[f32], h: &[f32], y: &mut [f32]) -> Result<()> {
        let len = h.len() * 3;
        let [mut one, mut two, mut three] = [(); 3].map(|()| Workspace::new());
        let (gates, sums, part) = (one.sized(len), two.sized(len), three.sized(h.len()));
        with_values(self.params.var(2), |bias| product(x, self.params.var(0), bias, gates))??;
        with_values(self.params.var(3), |bias| product(h, self.params.var(1), bias, sums))??;
        step(self.units, sums, h, gates, part, y);
        Ok(())
    }

    /// GRU in candle's own operations.
    fn stock(&self, x: &Tensor, starts: Option<&Tensor>, state: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut h = state.clone();
        let mut y = Vec::new();
        for t in 0..x.dim(0)? {
            h = cleared(&h, starts, t)?;
            let a = x.get(t)?.matmul(self.params.var(0))?.broadcast_add(self.params.var(2))?; // [B, 3·units]
            let b = h.matmul(self.params.var(1))?.broadcast_add(self.params.var(3))?;
            let gate = |of: &Tensor, k: usize| of.narrow(1, k * self.units, self.units); // [B, units]
            let r = sigmoid(&(gate(&a, 0)? + gate(&b, 0)?)?)?;
            let z = sigmoid(&(gate(&a, 1)? + gate(&b, 1)?)?)?;
            let n = (gate(&a, 2)? + (r * gate(&b, 2)?)?)?.tanh()?;
            h = (&n + (z * (h - &n)?)?)?;
            y.push(h.clone());
        }
        Ok((Tensor::stack(&y, 0)?, h))
    }
}

/// Activations that the backward pass needs.
struct Cache {
    /// Activated gates r, z and n, `[T, B, 3·units]`.
    gates: Vec<f32>,
    /// Recurrent part of n, `h·U + d`, before r scales it, `[T, B, units]`.
    part: Vec<f32>,
    /// State that went into each step, `[T, B, units]`.
    h: Vec<f32>,
}

/// Graph operation over the whole sequence; its arguments are `x` and the bundle of parameters and initial state.
struct Op {
    params: LayerParams,
    state: Tensor,
    bundle: Bundle,
    inputs: usize,
    extent: Extent,
    starts: Starts,
    cache: OnceLock<Cache>,
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let Extent { steps, batch, units } = self.extent;
        let (n, state) = (3 * units, self.extent.state());
        let x = values(x, layout)?;
        let mut gates = parts::zeros(steps * batch * n);
        let (w, b) = (self.params.var(0), self.params.var(2));
        with_values(w, |w| {
            with_values(b, |b| kernel::forward(&Patches::rows(self.inputs), x, w, b, false, &mut gates))
        })??;
        let [mut h, mut part, mut y] = [(); 3].map(|()| vec![0.0; steps * state]);
        with_values(&self.state, |first| h[..state].copy_from_slice(first))?;
        let (mut b, rows) = (vec![0.0; batch * n], rows_of(n));
        let (w, bias) = (self.params.var(1), self.params.var(3));
        let bias = with_values(bias, <[f32]>::to_vec)?;
        let mut room = Workspace::new();
        with_values(w, |w| {
            let recurrence = Prepared::new(w, n, batch, &mut room);
            for t in 0..steps {
                let now = t * state..(t + 1) * state;
                if t > 0 {
                    h[now.clone()].copy_from_slice(&y[now.start - state..now.start]);
                }
                self.starts.clear(self.extent, t, &mut h[now.clone()]);
                recurrence.forward(&h[now.clone()], &bias, &mut b);
                let outs = [
                    (&mut gates[t * batch * n..][..batch * n], rows * n),
                    (&mut part[now.clone()], rows * units),
                    (&mut y[now.clone()], rows * units),
                ];
                let h = &h[now];
                parts::each(outs, batch * n >= PARALLEL, |i, [gates, part, y]| {
                    step(units, &b[i * rows * n..], &h[i * rows * units..], gates, part, y);
                });
            }
        })?;
        let _ = self.cache.set(Cache { gates, part, h });
        Ok((CpuStorage::F32(y), (steps, batch, units).into()))
    }

    fn bwd(&self, x: &Tensor, node: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Extent { steps, batch, units } = self.extent;
        let (n, state) = (3 * units, self.extent.state());
        let cache = self.cache.get().expect("the forward pass fills it");
        let [mut dh, mut through] = [(); 2].map(|()| vec![0.0; state]);
        // Gradients of the sums with the inputs and with the recurrence; they differ in n.
        let [mut inputs, mut hidden, mut room] = [(); 3].map(|()| Workspace::new());
        let [da, db] = [&mut inputs, &mut hidden].map(|sequence| sequence.sized(steps * batch * n));
        let (none, rows) = (vec![0.0; units], rows_of(n));
        let g = g.contiguous()?;
        let mut through_time = |w: &[f32], g: &[f32]| {
            let recurrence = Prepared::transposed(w, n, batch, &mut room); // [3·units, units]
            for t in (0..steps).rev() {
                let (at, now) = (t * batch * n, t * state);
                let (da, db) = (&mut da[at..][..batch * n], &mut db[at..][..batch * n]);
                let outs = [(da, rows * n), (&mut *db, rows * n), (&mut dh, rows * units)];
                parts::each(outs, batch * n >= PARALLEL, |i, [da, db, dh]| {
                    let from = now + i * rows * units;
                    let [part, h, g] = [&cache.part, &cache.h, g].map(|all| &all[from..]);
                    step_back(units, [&cache.gates[at + i * rows * n..], part, h, g], da, db, dh);
                });
                recurrence.forward(db, &none, &mut through);
                dh.iter_mut().zip(&through).for_each(|(d, t)| *d += t);
                self.starts.clear(self.extent, t, &mut dh);
            }
        };
        with_values(self.params.var(1), |w| with_values(&g, |g| through_time(w, g)))??;
        let mut gradients = self.params.write(|into, write| {
            let (dw, into) = into.split_at_mut(self.inputs * n);
            let (du, into) = into.split_at_mut(units * n);
            let (bias, other) = into.split_at_mut(n);
            let inputs = Patches::rows(self.inputs);
            with_values(x, |x| kernel::write_weight_gradient(&inputs, x, da, n, dw, write))?;
            kernel::write_weight_gradient(&Patches::rows(units), &cache.h, db, n, du, write);
            kernel::write_bias_gradient(da, bias, write);
            kernel::write_bias_gradient(db, other, write);
            Ok(())
        })?;
        let first = self.state.track_op().then(|| Tensor::from_vec(dh, (batch, units), x.device()));
        gradients.push(first.transpose()?);
        let mut dx = None;
        if x.track_op() {
            let inputs = Patches::rows(self.inputs);
            let given = with_values(self.params.var(0), |w| kernel::input_gradient(&inputs, w, da, n))?;
            dx = self.params.give_input(x, given)?;
        }
        let bundled: Vec<&Tensor> = self.params.tensors().chain([&self.state]).collect();
        Ok((dx, Some(self.bundle.give(node, &bundled, gradients)?)))
    }
}

/// One step of some rows: adds `b`, the recurrent part, to `gates`, the input part, and activates the sum in place.
fn step(units: usize, b: &[f32], h: &[f32], gates: &mut [f32], part: &mut [f32], y: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            let rows = gates.chunks_exact_mut(3 * units).zip(b.chunks_exact(3 * units)).zip(h.chunks_exact(units));
            let outs = part.chunks_exact_mut(units).zip(y.chunks_exact_mut(units));
            for (((gates, b), h), (part, y)) in rows.zip(outs) {
                let (both, n) = gates.split_at_mut(2 * units);
                both.iter_mut().zip(b).for_each(|(a, b)| *a = math::sigmoid(*a + b));
                let (r, z) = both.split_at(units);
                let b = &b[2 * units..];
                for j in 0..units {
                    let new = math::tanh(n[j] + r[j] * b[j]);
                    (n[j], part[j], y[j]) = (new, b[j], new + z[j] * (h[j] - new));
                }
            }
        },
    );
}

/// Backward pass of a step for some rows: writes the gradients of both pre-activations to `da` and `db`, and takes `dh`
/// from after the step to before it, without the way through the recurrent product.
fn step_back(units: usize, [gates, part, h, g]: [&[f32]; 4], da: &mut [f32], db: &mut [f32], dh: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            let outs =
                da.chunks_exact_mut(3 * units).zip(db.chunks_exact_mut(3 * units)).zip(dh.chunks_exact_mut(units));
            let ins = gates.chunks_exact(3 * units).zip(part.chunks_exact(units));
            let ins = ins.zip(h.chunks_exact(units)).zip(g.chunks_exact(units));
            for (((da, db), dh), (((gates, part), h), g)) in outs.zip(ins) {
                let (r, gates) = gates.split_at(units);
                let (z, n) = gates.split_at(units);
                let (dr, da) = da.split_at_mut(units);
                let (dz, dn) = da.split_at_mut(units);
                for j in 0..units {
                    let d = g[j] + dh[j];
                    dn[j] = d * (1.0 - z[j]) * (1.0 - n[j] * n[j]);
                    dz[j] = d * (h[j] - n[j]) * z[j] * (1.0 - z[j]);
                    dr[j] = dn[j] * part[j] * r[j] * (1.0 - r[j]);
                    dh[j] = d * z[j];
                }
                let (er, db) = db.split_at_mut(units);
                let (ez, en) = db.split_at_mut(units);
                er.copy_from_slice(dr);
                ez.copy_from_slice(dz);
                for j in 0..units {
                    en[j] = dn[j] * r[j];
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::check::{any_threads, differences, draws, flat, params, parity, variable};

    fn gru(inputs: usize, units: usize) -> (Params, Gru) {
        let mut params = params();
        let gru = Gru::new(&mut params.layer("gru"), inputs, units).unwrap();
        (params, gru)
    }

    fn starts() -> Tensor {
        let rows = [[1f32, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]];
        Tensor::new(&rows, &candle_core::Device::Cpu).unwrap()
    }

    fn outputs((y, last): (Tensor, Tensor)) -> Vec<Tensor> {
        vec![y, last]
    }

    #[test]
    fn gradients_are_differences() {
        let (params, gru) = gru(3, 5);
        let (x, h) = (variable(&[4, 3, 3], 1), variable(&[3, 5], 2));
        for starts in [None, Some(starts())] {
            differences(&params, &[&x, &h], 1.0, &|| outputs(gru.forward(&x, starts.as_ref(), &h).unwrap()));
        }
    }

    #[test]
    fn cpu_operation_equals_stock_ones() {
        let (params, gru) = gru(7, 9);
        let (x, h) = (variable(&[4, 3, 7], 1), variable(&[3, 9], 2));
        for starts in [None, Some(starts())] {
            parity(&params, &[&x, &h], 1e-5, &|| outputs(gru.forward(&x, starts.as_ref(), &h).unwrap()), &|| {
                outputs(gru.stock(&x, starts.as_ref(), &h).unwrap())
            });
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (params, gru) = gru(40, 400);
        let x = variable(&[3, 33, 40], 1);
        any_threads(&params, &[&x], &|| outputs(gru.forward(&x, None, &gru.state(33).unwrap()).unwrap()));
    }

    #[test]
    fn a_row_does_not_depend_on_the_batch_around_it() {
        let (_params, gru) = gru(5, 17);
        let (x, h) = (draws(&[3, 20, 5], 1), draws(&[20, 17], 2));
        let all = gru.forward(&x, None, &h).unwrap().0;
        for (from, batch) in [(0, 1), (3, 2), (7, 7), (1, 19)] {
            let (x, h) = (x.narrow(1, from, batch).unwrap(), h.narrow(0, from, batch).unwrap());
            let part = gru.forward(&x, None, &h).unwrap().0;
            assert_eq!(flat(&part), flat(&all.narrow(1, from, batch).unwrap()), "{batch} from {from}");
        }
    }

    #[test]
    fn a_sequence_in_two_stretches_ends_in_the_same_bits() {
        let (_params, gru) = gru(3, 4);
        let (x, starts) = (draws(&[4, 3, 3], 1), starts());
        let whole = outputs(gru.forward(&x, Some(&starts), &gru.state(3).unwrap()).unwrap());
        let stretch = |x: &Tensor, from| x.narrow(0, from, 2).unwrap();
        let (first, state) = gru.forward(&stretch(&x, 0), Some(&stretch(&starts, 0)), &gru.state(3).unwrap()).unwrap();
        let (second, state) = gru.forward(&stretch(&x, 2), Some(&stretch(&starts, 2)), &state.detach()).unwrap();
        let y = Tensor::cat(&[first, second], 0).unwrap();
        assert_eq!((flat(&whole[0]), flat(&whole[1])), (flat(&y), flat(&state)));
    }

    #[test]
    fn empty_sequences_and_batches_pass() {
        let (_params, gru) = gru(3, 4);
        let (y, after) = gru.forward(&draws(&[0, 2, 3], 1), None, &gru.state(2).unwrap()).unwrap();
        assert_eq!((y.dims(), after.dims()), ([0, 2, 4].as_slice(), [2, 4].as_slice()));
        let (y, _) = gru.forward(&draws(&[5, 0, 3], 1), None, &gru.state(0).unwrap()).unwrap();
        assert_eq!(y.dims(), [5, 0, 4]);
    }

    #[test]
    fn wrong_shapes_are_named() {
        let (_params, gru) = gru(3, 4);
        let error =
            |x: &[usize], batch| gru.forward(&draws(x, 1), None, &gru.state(batch).unwrap()).unwrap_err().to_string();
        assert!(error(&[5, 2, 4], 2).contains("a GRU of 3 inputs expects [T, B, 3], got [5, 2, 4]"));
        assert!(error(&[5, 1, 3], 2).contains("a GRU expects a state [1, 4]"));
    }
}
