//! The parameters of one layer: how an operation reads them and where it leaves their gradients.

use candle_core::{Result, Storage, Tensor, Var};

use crate::Scope;
use crate::kernel::Write;
use crate::params::{Sink, values};

/// Parameters of one layer, which lie side by side in the flat gradient.
#[derive(Clone, Debug)]
pub(crate) struct LayerParams {
    vars: Vec<Var>,
    sink: Sink,
    at: usize,
    len: usize,
}

impl LayerParams {
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

    /// Calls `add` with a flat slice to which it adds the gradients of all parameters; returns as
    /// [`write`](LayerParams::write) does.
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
        let mut flat = vec![0.0; self.len];
        fill(&mut flat, Write::Replace)?;
        let mut rest = flat.as_slice();
        let mut tensor = |var: &Var| {
            let (head, tail) = rest.split_at(var.elem_count());
            rest = tail;
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
