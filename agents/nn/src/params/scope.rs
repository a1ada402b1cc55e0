//! Scopes: name prefixes under which layers make their parameters, with the precision and initialisation of those
//! layers.

use candle_core::{Device, Result, Tensor, Var};

use super::{Entry, Params, Sink};
use crate::kernel::Patches;
use crate::kernel::bf16::{self, Unit};
use crate::{Init, InitScheme, Precision};

/// Name prefix under which layers make their parameters, with the precision of their products and their default
/// initialisation.
#[derive(Debug)]
pub struct Scope<'a> {
    params: &'a mut Params,
    prefix: String,
    precision: Precision,
    scheme: InitScheme,
}

impl<'a> Scope<'a> {
    /// Scope with the name prefix `prefix`, products of `f32` and PyTorch's default initialisation.
    pub(super) fn new(params: &'a mut Params, prefix: String) -> Self {
        Self { params, prefix, precision: Precision::F32, scheme: InitScheme::Torch }
    }
}

impl Scope<'_> {
    /// Scope within this one whose names begin with `name` and a dot; precision and initialisation are inherited.
    pub fn layer(&mut self, name: &str) -> Scope<'_> {
        let prefix = format!("{}{name}.", self.prefix);
        Scope { prefix, ..self.same() }
    }

    /// Same scope for linear and convolutional layers whose products are of `precision`.
    pub fn with_precision(&mut self, precision: Precision) -> Scope<'_> {
        Scope { precision, ..self.same() }
    }

    /// Same scope for layers that are initialised by `scheme`, of which recurrent ones begin as PyTorch's by all but
    /// [`InitScheme::Orthogonal`]. Norms and attention have initialisations of their own.
    pub fn with_init_scheme(&mut self, scheme: InitScheme) -> Scope<'_> {
        Scope { scheme, ..self.same() }
    }

    fn same(&mut self) -> Scope<'_> {
        Scope { params: self.params, prefix: self.prefix.clone(), precision: self.precision, scheme: self.scheme }
    }

    /// Default initialisation of layers in this scope.
    pub(crate) fn init_scheme(&self) -> InitScheme {
        self.scheme
    }

    /// Makes the parameter `name` of `shape` in this scope, filled by `init`.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If there is already a parameter or buffer of that name.
    pub fn var(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Var> {
        self.joined(name, shape, &[(shape.iter().product(), init)])
    }

    /// Makes the parameter `name` of `shape` in this scope, filled piece by piece in flat order: `pieces` are their
    /// lengths and initialisations.
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

    /// Makes the buffer `name` of `shape` in this scope, filled with `value`: saved like a parameter, but not trained.
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

    /// Full name of `name` in this scope.
    ///
    /// # Panics
    /// If it is taken.
    fn name(&self, name: &str) -> String {
        let name = format!("{}{name}", self.prefix);
        assert!(self.params.kept().all(|(taken, _)| taken != name), "a second parameter {name}");
        name
    }

    /// Device on which the parameters live.
    pub fn device(&self) -> &Device {
        &self.params.device
    }

    /// Instructions for the bf16 products of a layer of `n` outputs; `None` where its products are of `f32`.
    pub(crate) fn unit(&self, patches: &Patches, n: usize) -> Option<Unit> {
        let wanted = self.precision == Precision::Bf16 && self.params.device.is_cpu();
        (wanted && bf16::serves(patches, n)).then(Unit::best).flatten()
    }

    /// Shared flat gradient, and the index in it of the next parameter to be made.
    pub(crate) fn sink(&self) -> (Sink, usize) {
        (self.params.sink(), self.params.len)
    }
}
