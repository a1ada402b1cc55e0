//! Places below which layers make their parameters, and what holds for all of them there.

use candle_core::{Device, Result, Tensor, Var};

use super::{Entry, Params, Sink};
use crate::kernel::Patches;
use crate::kernel::bf16::{self, Unit};
use crate::{Init, Precision, Start};

/// A prefix of names under which layers make their parameters.
#[derive(Debug)]
pub struct Scope<'a> {
    params: &'a mut Params,
    prefix: String,
    precision: Precision,
    start: Start,
}

impl<'a> Scope<'a> {
    /// The place `prefix` of `params`, where layers multiply `f32` and begin as PyTorch's do.
    pub(super) fn new(params: &'a mut Params, prefix: String) -> Self {
        Self { params, prefix, precision: Precision::F32, start: Start::Torch }
    }
}

impl Scope<'_> {
    /// The place `name` below this one.
    pub fn layer(&mut self, name: &str) -> Scope<'_> {
        let prefix = format!("{}{name}.", self.prefix);
        Scope { prefix, ..self.same() }
    }

    /// The same place for layers that multiply in `precision`.
    pub fn with_precision(&mut self, precision: Precision) -> Scope<'_> {
        Scope { precision, ..self.same() }
    }

    /// The same place for layers whose weights begin like `start`.
    pub fn with_start(&mut self, start: Start) -> Scope<'_> {
        Scope { start, ..self.same() }
    }

    fn same(&mut self) -> Scope<'_> {
        Scope { params: self.params, prefix: self.prefix.clone(), precision: self.precision, start: self.start }
    }

    /// How linear and convolutional layers begin here.
    pub(crate) fn start(&self) -> Start {
        self.start
    }

    /// Makes the parameter `name` here, of `shape`, filled by `init`.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If there is already one of that name.
    pub fn var(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Var> {
        self.joined(name, shape, &[(shape.iter().product(), init)])
    }

    /// Makes the parameter `name` here, of `shape`, whose values are filled piece by piece; `pieces` are lengths and how
    /// to fill them.
    pub(crate) fn joined(&mut self, name: &str, shape: &[usize], pieces: &[(usize, Init)]) -> Result<Var> {
        let name = self.name(name);
        let rng = &mut self.params.rng;
        let fill = |&(len, init): &(usize, Init)| match pieces {
            [_] => init.draw(shape, rng),
            _ => init.draw(&[len], rng),
        };
        let values: Vec<f32> = pieces.iter().flat_map(fill).collect();
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &self.params.device)?)?;
        let at = self.params.len;
        self.params.len += var.elem_count();
        self.params.entries.push(Entry { name, var: var.clone(), at });
        Ok(var)
    }

    /// Makes the buffer `name` here, of `shape`, filled with `value`: saved like a parameter, but not trained.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If there is already a parameter or buffer of that name.
    pub fn buffer(&mut self, name: &str, shape: &[usize], value: f32) -> Result<Var> {
        let name = self.name(name);
        let var = Var::from_tensor(&Tensor::full(value, shape, &self.params.device)?)?;
        self.params.buffers.push((name, var.clone()));
        Ok(var)
    }

    /// `name` below this prefix, not taken yet.
    fn name(&self, name: &str) -> String {
        let name = format!("{}{name}", self.prefix);
        assert!(self.params.kept().all(|(taken, _)| taken != name), "a second parameter {name}");
        name
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        &self.params.device
    }

    /// What multiplies the bf16 of a layer of `n` outputs; `None` where it multiplies `f32`.
    pub(crate) fn unit(&self, patches: &Patches, n: usize) -> Option<Unit> {
        let wanted = self.precision == Precision::Bf16 && self.params.device.is_cpu();
        (wanted && bf16::serves(patches, n)).then(Unit::best).flatten()
    }

    /// The sink of gradients, and the place in it of the parameter that comes next.
    pub(crate) fn sink(&self) -> (Sink, usize) {
        (self.params.sink(), self.params.len)
    }
}
