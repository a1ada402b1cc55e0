//! Many tensors as one argument of an operation: candle's operations have at most three, and a layer may have more.
//!
//! A tie is a node of the graph with one value that depends on all of its tensors. The layer takes it as an argument;
//! in its backward pass it leaves the tensors' gradients with the tie, which hands them on.

use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor, Var};

use crate::Scope;
use crate::kernel::Write;
use crate::params::{Sink, values};

/// Gradients that a layer has computed and a tie hands on, one per tensor.
type Given = Arc<Mutex<Vec<Option<Tensor>>>>;

/// Many tensors as one argument of an operation, and the gradients that the operation returns for them.
#[derive(Clone)]
pub(crate) struct Tie {
    given: Given,
    /// Whether each tensor is tracked without being a variable: such a node of candle's graph must get a gradient.
    inner: Vec<bool>,
}

impl Tie {
    /// Ties `tensors`, at least one; returns the node of the graph that stands for them.
    pub(crate) fn new(tensors: &[&Tensor]) -> Result<(Tensor, Self)> {
        let given: Given = Arc::new(Mutex::new(vec![None; tensors.len()]));
        let mut node: Option<Tensor> = None;
        for (at, tensor) in tensors.iter().enumerate().filter(|(_, tensor)| tensor.track_op()) {
            let knot = Knot { given: given.clone(), at };
            node = Some(match node {
                None => tensor.apply_op1(knot)?,
                Some(before) => before.apply_op2(tensor, knot)?,
            });
        }
        let node = match (node, tensors) {
            (Some(node), _) => node,
            (None, [first, ..]) => Tensor::zeros(1, first.dtype(), first.device())?,
            (None, []) => candle_core::bail!("a tie of no tensors"),
        };
        let inner = tensors.iter().map(|tensor| tensor.track_op() && !tensor.is_variable()).collect();
        Ok((node, Self { given, inner }))
    }

    /// Hands on `gradients`, one per tensor of the tie; returns the gradient of its `node`.
    pub(crate) fn give(&self, node: &Tensor, tensors: &[&Tensor], gradients: Vec<Option<Tensor>>) -> Result<Tensor> {
        let mut given = self.given.lock().expect("no knot panics with it");
        for (at, gradient) in gradients.into_iter().enumerate() {
            given[at] = match gradient {
                None if self.inner[at] => Some(tensors[at].zeros_like()?),
                gradient => gradient,
            };
        }
        node.zeros_like()
    }
}

struct Knot {
    given: Given,
    at: usize,
}

impl Knot {
    fn take(&self) -> Option<Tensor> {
        self.given.lock().expect("no layer panics with it")[self.at].take()
    }
}

impl CustomOp1 for Knot {
    fn name(&self) -> &'static str {
        "tie"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), 1.into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.take())
    }
}

impl CustomOp2 for Knot {
    fn name(&self) -> &'static str {
        "tie"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), 1.into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(g.clone()), self.take()))
    }
}

/// Parameters of one layer, which lie side by side in the flat gradient.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    vars: Vec<Var>,
    sink: Sink,
    at: usize,
    len: usize,
}

impl Own {
    /// Parameters that `make` makes in `scope`, in that order.
    pub(crate) fn new(scope: &mut Scope<'_>, make: impl FnOnce(&mut Scope<'_>) -> Result<Vec<Var>>) -> Result<Self> {
        let (sink, at) = scope.sink();
        let vars = make(scope)?;
        let len = scope.sink().1 - at;
        Ok(Self { vars, sink, at, len })
    }

    /// Parameter `index`, in the order in which they were made.
    pub(crate) fn var(&self, index: usize) -> &Tensor {
        self.vars[index].as_tensor()
    }

    /// All parameters of the layer, in the order in which they were made.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.vars.iter().map(Var::as_tensor)
    }

    /// Calls `f` with the values of all parameters.
    ///
    /// # Errors
    /// If they are not on the CPU.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&[&[f32]]) -> Result<T>) -> Result<T> {
        let held: Vec<_> = self.vars.iter().map(|var| var.storage_and_layout()).collect();
        let slices = held.iter().map(|(storage, layout)| match &**storage {
            Storage::Cpu(storage) => values(storage, layout),
            _ => candle_core::bail!("an operation of the CPU on parameters elsewhere"),
        });
        f(&slices.collect::<Result<Vec<_>>>()?)
    }

    /// Hands on `dx`, the gradient of the layer's input `x`: keeps it if
    /// [`Params::backward_to`](crate::Params::backward_to) asks for it, else returns it for candle's graph.
    pub(crate) fn give_input(&self, x: &Tensor, dx: Vec<f32>) -> Result<Option<Tensor>> {
        let dx = self.sink.lock().expect("no layer panics with it").input(x, dx);
        dx.map(|dx| Tensor::from_vec(dx, x.dims(), x.device())).transpose()
    }

    /// Calls `add` with a flat slice to which it adds the gradients of all parameters; returns as [`write`](Own::write)
    /// does.
    pub(crate) fn add(&self, add: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<Vec<Option<Tensor>>> {
        self.write(|into, write| {
            if write == Write::Replace {
                into.fill(0.0);
            }
            add(into)
        })
    }

    /// Calls `fill` with a flat slice for the gradients of all parameters. While
    /// [`Params::backward`](crate::Params::backward) runs, that is part of its flat gradient, and the result is all
    /// `None`; else it is a buffer, and the result has the gradient of every parameter.
    pub(crate) fn write(&self, fill: impl FnOnce(&mut [f32], Write) -> Result<()>) -> Result<Vec<Option<Tensor>>> {
        let mut sink = self.sink.lock().expect("no layer panics with it");
        if let Some((into, write)) = sink.part(self.at..self.at + self.len) {
            fill(into, write)?;
            return Ok(vec![None; self.vars.len()]);
        }
        drop(sink);
        let mut own = vec![0.0; self.len];
        fill(&mut own, Write::Replace)?;
        let mut own = own.as_slice();
        let mut tensor = |var: &Var| {
            let (head, tail) = own.split_at(var.elem_count());
            own = tail;
            Tensor::from_slice(head, var.dims(), var.device()).map(Some)
        };
        self.vars.iter().map(&mut tensor).collect()
    }
}

/// Cuts `slice` into consecutive pieces of the lengths `lens`.
pub(crate) fn split(slice: &mut [f32], lens: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    let mut rest = slice;
    let cut = |len| {
        let (head, tail) = std::mem::take(&mut rest).split_at_mut(len);
        rest = tail;
        head
    };
    lens.map(cut).collect()
}
