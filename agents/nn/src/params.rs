//! Parameters of a network: named, in the order in which they were made, initialised from a seed on the host.
//!
//! Beside them stand buffers: values that are kept, copied and saved like parameters, but have no gradient and no place
//! in the flat view, such as the running statistics of a batch norm.
//!
//! candle's `VarMap` is an unordered map, which mixes tensors up in an all-reduce, and its CPU generator cannot be
//! seeded.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Storage, Tensor, TensorId, Var, bail};
use rl_core::Rng;

pub use scope::Scope;

use crate::kernel::Write;
use crate::parts;

mod scope;

/// Flat gradient, shared with the layers, which write to it during [`Params::backward`].
pub(crate) type Sink = Arc<Mutex<Gathered>>;

/// Flat gradient in parameter order while [`Params::backward`] gathers it; empty otherwise.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    values: Vec<f32>,
    /// Ranges that hold a gradient already; the others hold old values.
    written: Vec<Range<usize>>,
    /// Inputs whose gradients [`Params::backward_to`] asks for, and the gradients so far.
    inputs: Vec<(TensorId, Option<Vec<f32>>)>,
}

impl Gathered {
    /// Slice of the flat gradient for the parameters of one layer, and how to write to it; `None` while nothing is
    /// gathered. A layer asks for the same range each time.
    pub(crate) fn part(&mut self, range: Range<usize>) -> Option<(&mut [f32], Write)> {
        if self.values.is_empty() {
            return None;
        }
        let write = if self.written.contains(&range) {
            Write::Add
        } else {
            self.written.push(range.clone());
            Write::Replace
        };
        Some((&mut self.values[range], write))
    }

    /// Keeps `dx`, the gradient of `x`, or adds it to what is held; gives it back if [`Params::backward_to`] does not
    /// ask for it.
    pub(crate) fn input(&mut self, x: &Tensor, dx: Vec<f32>) -> Option<Vec<f32>> {
        let Some((_, held)) = self.inputs.iter_mut().find(|(id, _)| *id == x.id()) else { return Some(dx) };
        match held {
            Some(held) => parts::add(held, &dx),
            None => *held = Some(dx),
        }
        None
    }

    /// Zeros the ranges that no layer wrote.
    fn finish(&mut self) {
        self.written.sort_unstable_by_key(|range| range.start);
        let mut done = 0;
        for range in self.written.drain(..) {
            self.values[done..range.start].fill(0.0);
            done = range.end;
        }
        self.values[done..].fill(0.0);
    }
}

/// Named `f32` parameters and buffers of a network, in the order in which they were made. The flat view is the
/// row-major values of all parameters, one after the other, without the buffers.
#[derive(Debug)]
pub struct Params {
    device: Device,
    rng: Rng,
    entries: Vec<Entry>,
    buffers: Vec<(String, Var)>,
    len: usize,
    sink: Sink,
    /// Held by the one backward pass that fills `sink`.
    pass: Mutex<()>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    var: Var,
    at: usize,
}

impl Params {
    /// Empty set whose parameters will live on `device` and draw their initial values from `rng`.
    pub fn new(device: &Device, rng: Rng) -> Self {
        let (entries, buffers, sink) = (Vec::new(), Vec::new(), Sink::default());
        Self { device: device.clone(), rng, entries, buffers, len: 0, sink, pass: Mutex::default() }
    }

    /// Device on which the parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Scope without a name prefix.
    pub fn root(&mut self) -> Scope<'_> {
        Scope::new(self, String::new())
    }

    /// Scope of a layer or module: every name in it begins with `path`, such as `trunk.conv1`, and a dot.
    pub fn layer(&mut self, path: &str) -> Scope<'_> {
        Scope::new(self, format!("{path}."))
    }

    /// Number of values of all parameters, the length of the flat view; buffers do not count.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the parameters have no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names and variables of the parameters, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.entries.iter().map(|e| (e.name.as_str(), &e.var))
    }

    /// Names and variables of the buffers, in the order in which they were made.
    pub fn buffers(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.buffers.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// Names and variables of the parameters and then of the buffers: all that is saved.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.iter().chain(self.buffers())
    }

    /// Name of the parameter that holds value `index` of the flat view.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Params::len).
    pub fn name_at(&self, index: usize) -> &str {
        assert!(index < self.len, "value {index} of {}", self.len);
        &self.entries[self.entries.partition_point(|e| e.at <= index) - 1].name
    }

    /// Copies the values of all parameters to `out`, flat in parameter order.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If `out` is not [`len`](Params::len) long.
    pub fn read(&self, out: &mut [f32]) -> Result<()> {
        assert_eq!(out.len(), self.len, "length of the flat view");
        self.each(|at, values| out[at..at + values.len()].copy_from_slice(values))
    }

    /// Replaces the values of all parameters by `values`, flat in parameter order.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If `values` is not [`len`](Params::len) long.
    pub fn write(&self, values: &[f32]) -> Result<()> {
        assert_eq!(values.len(), self.len, "length of the flat view");
        for entry in &self.entries {
            set(&entry.var, &values[entry.at..][..entry.var.elem_count()])?;
        }
        Ok(())
    }

    /// Replaces `out` by the values of all parameters and then of all buffers, flat in order.
    ///
    /// # Errors
    /// If the device fails.
    pub fn copy_to(&self, out: &mut Vec<f32>) -> Result<()> {
        out.clear();
        self.kept().try_for_each(|(_, var)| with_values(var, |values| out.extend_from_slice(values)))
    }

    /// Replaces all parameters and buffers by `values`, as [`copy_to`](Params::copy_to) wrote them for a network of the
    /// same shapes.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If `values` is not as long as all parameters and buffers.
    pub fn copy_from_slice(&self, values: &[f32]) -> Result<()> {
        let count: usize = self.kept().map(|(_, var)| var.elem_count()).sum();
        assert_eq!(values.len(), count, "values of parameters and buffers");
        let mut left = values;
        self.kept().try_for_each(|(_, var)| {
            let (own, rest) = left.split_at(var.elem_count());
            left = rest;
            set(var, own)
        })
    }

    /// Copies the values of all parameters and buffers of `other`, as for a target network.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If names or shapes differ.
    pub fn copy_from(&self, other: &Params) -> Result<()> {
        let sizes = |of: &Params| (of.entries.len(), of.buffers.len());
        assert_eq!(sizes(self), sizes(other), "parameters and buffers of both networks");
        for ((name, mine), (named, theirs)) in self.kept().zip(other.kept()) {
            assert!(name == named && mine.dims() == theirs.dims(), "{name} != {named}");
            with_values(theirs, |values| set(mine, values))??;
        }
        Ok(())
    }

    /// Writes names, shapes and little-endian values of all parameters and buffers to `out`, in order, as the input of
    /// a hash.
    ///
    /// # Errors
    /// If the device or the writer fails.
    pub fn digest(&self, out: &mut dyn std::io::Write) -> rl_core::Result<()> {
        for (name, var) in self.kept() {
            writeln!(out, "{name} {:?}", var.dims())?;
            let bytes = with_values(var, le_bytes).map_err(crate::tensor)?;
            out.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Backpropagates the scalar `loss` and replaces `grad` by its gradient, flat in parameter order; 0 where `loss`
    /// does not depend on a parameter.
    ///
    /// # Errors
    /// If an operation behind `loss` has no backward pass.
    pub fn backward(&self, loss: &Tensor, grad: &mut Vec<f32>) -> Result<()> {
        self.backward_to(loss, grad, &[]).map(drop)
    }

    /// Backpropagates `loss` as [`backward`](Self::backward) does, and also returns its gradients by `inputs`,
    /// variables that are no parameters; zeros where `loss` does not depend on one. A gradient comes as its layer made
    /// it, where candle's store would add it to zeros.
    ///
    /// # Errors
    /// If an operation behind `loss` has no backward pass.
    pub fn backward_to(&self, loss: &Tensor, grad: &mut Vec<f32>, inputs: &[&Var]) -> Result<Vec<Tensor>> {
        let _pass = self.pass.lock().expect("no layer panics in its backward pass");
        grad.resize(self.len, 0.0); // of the last step, if there was one: layers write over it
        let sink = || self.sink.lock().expect("no layer panics with it");
        std::mem::swap(grad, &mut sink().values);
        sink().inputs = inputs.iter().map(|x| (x.id(), None)).collect();
        let store = loss.backward();
        let mut gathered = std::mem::take(&mut *sink());
        gathered.finish();
        *grad = gathered.values;
        let store = store?;
        for entry in &self.entries {
            let Some(tensor) = store.get(&entry.var) else { continue };
            let into = &mut grad[entry.at..][..entry.var.elem_count()];
            with_values(&tensor.contiguous()?, |from| into.iter_mut().zip(from).for_each(|(a, b)| *a += b))?;
        }
        let given = gathered.inputs.into_iter().zip(inputs).map(|((_, given), x)| {
            let given = given.map(|given| Tensor::from_vec(given, x.dims(), x.device())).transpose()?;
            match (given, store.get(x)) {
                (Some(given), Some(stored)) => given + stored,
                (None, Some(stored)) => Ok(stored.clone()),
                (Some(given), None) => Ok(given),
                (None, None) => x.zeros_like(),
            }
        });
        given.collect()
    }

    fn each(&self, mut f: impl FnMut(usize, &[f32])) -> Result<()> {
        self.entries.iter().try_for_each(|entry| with_values(&entry.var, |values| f(entry.at, values)))
    }

    /// Shared flat gradient, for the layers.
    pub(crate) fn sink(&self) -> Sink {
        self.sink.clone()
    }
}

/// Calls `f` with the values of a contiguous `f32` tensor, which are copied to the host if they are on another device.
pub(crate) fn with_values<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> T) -> Result<T> {
    if !tensor.device().is_cpu() {
        return Ok(f(&tensor.flatten_all()?.to_vec1::<f32>()?));
    }
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(values(storage, layout)?)),
        _ => unreachable!("the device is the CPU"),
    }
}

/// Borrows the `f32` values of a storage.
///
/// # Errors
/// If they are not contiguous, or not `f32`.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((from, to))) => Ok(&all[from..to]),
        (CpuStorage::F32(_), None) => bail!("expected contiguous values, got {layout:?}"),
        _ => bail!("expected f32 values"),
    }
}

/// Borrows the `f32` values of a storage, to be changed in place.
///
/// # Errors
/// If they are not contiguous, or not `f32`.
pub(crate) fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((from, to))) => Ok(&mut all[from..to]),
        (CpuStorage::F32(_), None) => bail!("expected contiguous values, got {layout:?}"),
        _ => bail!("expected f32 values"),
    }
}

/// Replaces the values of a variable, row-major.
pub(crate) fn set(var: &Var, values: &[f32]) -> Result<()> {
    if var.device().is_cpu() {
        var.inplace_op1(&Write1(values))
    } else {
        var.set(&Tensor::from_slice(values, var.dims(), var.device())?)
    }
}

struct Write1<'a>(&'a [f32]);

impl InplaceOp1 for Write1<'_> {
    fn name(&self) -> &'static str {
        "write"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        values_mut(storage, layout)?.copy_from_slice(self.0);
        Ok(())
    }
}

/// Little-endian bytes of `values`, the order of safetensors.
pub(crate) fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use rl_core::Stream;

    use super::*;
    use crate::{Activation, Init, Linear};

    fn params(seed: u64) -> Params {
        let mut params = Params::new(&Device::Cpu, Rng::new(seed, Stream::Init));
        params.layer("a").var("weight", &[2, 3], Init::torch(2)).unwrap();
        params.layer("b").layer("c").var("bias", &[4], Init::torch(2)).unwrap();
        params
    }

    #[test]
    fn names_order_and_values_follow_construction_and_seed() {
        let (a, b, c) = (params(1), params(1), params(2));
        let names: Vec<&str> = a.iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["a.weight", "b.c.bias"]);
        assert_eq!((a.len(), a.name_at(5), a.name_at(6)), (10, "a.weight", "b.c.bias"));
        let digest = |p: &Params| {
            let mut out = Vec::new();
            p.digest(&mut out).unwrap();
            out
        };
        assert_eq!(digest(&a), digest(&b));
        assert_ne!(digest(&a), digest(&c));
        c.copy_from(&a).unwrap();
        assert_eq!(digest(&a), digest(&c));
    }

    #[test]
    fn flat_view_writes_what_it_reads() {
        let p = params(1);
        let values: Vec<f32> = (0..10).map(|i| i as f32).collect();
        p.write(&values).unwrap();
        let mut back = vec![0.0; 10];
        p.read(&mut back).unwrap();
        assert_eq!(values, back);
    }

    #[test]
    fn buffers_are_copied_and_hashed_but_not_flat() {
        let (mut a, mut b) = (params(1), params(1));
        let buffer = a.layer("norm").buffer("mean", &[2], 0.5).unwrap();
        b.layer("norm").buffer("mean", &[2], 0.0).unwrap();
        assert_eq!((a.len(), a.buffers().next().unwrap().0), (10, "norm.mean"));
        let digest = |p: &Params| {
            let mut out = Vec::new();
            p.digest(&mut out).unwrap();
            out
        };
        assert_ne!(digest(&a), digest(&b));
        b.copy_from(&a).unwrap();
        assert_eq!(digest(&a), digest(&b));
        set(&buffer, &[1.0, 2.0]).unwrap();
        assert_ne!(digest(&a), digest(&b), "a copy is no alias");
        let mut flat = vec![9.0];
        a.copy_to(&mut flat).unwrap();
        assert_eq!((flat.len(), &flat[10..]), (12, &[1.0, 2.0][..]));
        b.copy_from_slice(&flat).unwrap();
        assert_eq!(digest(&a), digest(&b));
    }

    #[test]
    fn backward_gathers_gradients_of_stock_operations() {
        let p = params(1);
        let weight = p.iter().next().unwrap().1.as_tensor().clone();
        let mut grad = Vec::new();
        p.backward(&(weight.sum_all().unwrap() * 3.0).unwrap(), &mut grad).unwrap();
        assert_eq!(grad, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_layer_that_a_loss_does_not_ask_has_no_gradient_whatever_the_pass_before() {
        let mut p = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        let layers = ["one", "two"].map(|name| Linear::new(&mut p.layer(name), 3, 2, Activation::None).unwrap());
        let (x, mut grad) = (Tensor::full(0.5f32, (4, 3), &Device::Cpu).unwrap(), Vec::new());
        for asked in [0, 1, 0] {
            p.backward(&layers[asked].forward(&x).unwrap().sum_all().unwrap(), &mut grad).unwrap();
            let (own, other) = (&grad[8 * asked..][..8], &grad[8 * (1 - asked)..][..8]);
            assert!(own.iter().all(|&g| g > 0.0) && other.iter().all(|&g| g == 0.0), "{asked}: {grad:?}");
        }
    }

    #[test]
    fn passes_of_two_threads_do_not_mix() {
        let mut p = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        let layer = Linear::new(&mut p.layer("layer"), 64, 64, Activation::Relu).unwrap();
        let of = |scale: f64| {
            let x = Tensor::full(scale as f32, (1024, 64), &Device::Cpu).unwrap();
            let mut grad = Vec::new();
            p.backward(&layer.forward(&x).unwrap().sum_all().unwrap(), &mut grad).unwrap();
            grad
        };
        let (alone, both) = ([1.0, -3.0].map(of), Barrier::new(2));
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (scale, alone) in [1.0, -3.0].into_iter().zip(&alone) {
                let (of, both) = (&of, &both);
                threads.push(scope.spawn(move || {
                    both.wait();
                    (0..100).filter(|_| of(scale) == *alone).count()
                }));
            }
            for thread in threads {
                assert_eq!(thread.join().unwrap(), 100, "gradients are those of one thread alone");
            }
        });
    }
}
