//! Sequence of linear, convolutional and layer-norm layers as one operation of candle's graph.
//!
//! Between two operations candle clears and adds up a gradient as large as what passed between them; inside of one,
//! each layer writes its input gradient where the layer below reads it, and the buffers of activations are reused from
//! step to step.

use std::sync::{Arc, Mutex, OnceLock};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor};

use crate::affine::{Affine, Images};
use crate::bundle::Bundle;
use crate::kernel::Workspace;
use crate::layer_params::LayerParams;
use crate::params::with_values;
use crate::parts;
use crate::{Activation, Conv2d, LayerNorm, Linear};

/// One layer of a [`Chain`].
#[derive(Clone, Debug)]
pub enum Link {
    /// Convolution on images `[B, H, W, C]`.
    Conv2d(Conv2d),
    /// Linear layer on rows; an image that reaches it is flattened to `H·W·C` values.
    Linear(Linear),
    /// Layer norm over the last axis, of rows or of the channels of every pixel, followed by an activation.
    Norm(LayerNorm, Activation),
}

impl From<Conv2d> for Link {
    fn from(layer: Conv2d) -> Self {
        Self::Conv2d(layer)
    }
}

impl From<Linear> for Link {
    fn from(layer: Linear) -> Self {
        Self::Linear(layer)
    }
}

impl Link {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Conv2d(layer) => layer.forward(x),
            Self::Linear(layer) => layer.forward(&x.flatten_from(1)?),
            Self::Norm(layer, activation) => activation.stock(layer.forward(x)?),
        }
    }

    /// Layer on the CPU behind one whose output has the shape `before`, and its number of inputs; `None` for a norm of
    /// another width.
    fn layer(&self, before: Option<&[usize]>) -> Option<(Layer, usize)> {
        let affine = |affine: &Affine| (Layer::Affine(affine.clone()), affine.patches.input);
        match self {
            Self::Conv2d(layer) => Some(affine(layer.affine())),
            Self::Linear(layer) => Some(affine(layer.affine())),
            Self::Norm(norm, activation) => {
                let output = before.map_or_else(|| vec![norm.width()], <[usize]>::to_vec);
                let taken = output.iter().product();
                let layer = Layer::Norm { norm: norm.clone(), activation: *activation, output };
                (layer.output().last() == Some(&norm.width())).then_some((layer, taken))
            }
        }
    }
}

/// Layers applied one after the other, as by `torch.nn.Sequential`; an empty chain is the identity.
#[doc(alias = "Sequential")]
#[derive(Clone, Debug, Default)]
pub struct Chain {
    links: Vec<Link>,
    affines: Affines,
}

impl Chain {
    /// Chain of `links`, the first at the input.
    ///
    /// # Errors
    /// If a layer takes another number of values than the layer before it makes, or a norm has another width than the
    /// last axis before it.
    pub fn new(links: impl IntoIterator<Item = impl Into<Link>>) -> Result<Self> {
        let links: Vec<Link> = links.into_iter().map(Into::into).collect();
        let mut layers: Vec<Layer> = Vec::new();
        for (i, link) in links.iter().enumerate() {
            let before = layers.last().map(Layer::output);
            let Some((layer, taken)) = link.layer(before) else {
                candle_core::bail!("layer {i} of a chain makes {before:?}, the norm behind it takes other rows");
            };
            let made = before.map_or(taken, |output| output.iter().product());
            if made != taken {
                candle_core::bail!("layer {i} of a chain makes {made} values, the next takes {taken}");
            }
            layers.push(layer);
        }
        Ok(Self { links, affines: Affines::new(layers) })
    }

    /// Output of the last layer, `[B, ..]`, for `x`, a batch of the first layer's inputs.
    ///
    /// # Errors
    /// If `x` is not a batch of inputs of the first layer; those of a norm are rows, `[B, width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self.links.first() {
            None => return Ok(x.clone()),
            Some(Link::Conv2d(layer)) => layer.check(x)?,
            Some(Link::Linear(layer)) => layer.check(&x.flatten_from(1)?)?,
            Some(Link::Norm(layer, _)) => x.dims2().and_then(|_| layer.check(x))?,
        }
        if x.device().is_cpu() {
            return self.affines.forward(x);
        }
        self.links.iter().try_fold(x.clone(), |x, link| link.forward(&x))
    }

    /// Layers of the chain on the CPU, the first at the input.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.affines.layers
    }
}

/// One layer on the CPU.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    Affine(Affine),
    Norm {
        norm: LayerNorm,
        activation: Activation,
        /// Shape of one image or row of the output.
        output: Vec<usize>,
    },
}

impl From<Affine> for Layer {
    fn from(layer: Affine) -> Self {
        Self::Affine(layer)
    }
}

impl Layer {
    fn output(&self) -> &[usize] {
        match self {
            Self::Affine(layer) => &layer.output,
            Self::Norm { output, .. } => output,
        }
    }

    fn params(&self) -> &LayerParams {
        match self {
            Self::Affine(layer) => &layer.params,
            Self::Norm { norm, .. } => norm.params(),
        }
    }

    fn activation(&self) -> Activation {
        match self {
            Self::Affine(layer) => layer.activation,
            Self::Norm { activation, .. } => *activation,
        }
    }

    /// Forward pass without a graph: replaces `out` by the output of the batch and reuses its allocation.
    pub(crate) fn run(&self, x: Images<'_>, out: &mut Vec<f32>) -> Result<()> {
        match (self, x) {
            (Self::Affine(layer), x) => layer.run(x, out),
            (Self::Norm { norm, activation, .. }, Images::Floats(x)) => norm.run(x, *activation, out),
            (Self::Norm { .. }, Images::Bytes(_)) => candle_core::bail!("a layer norm takes no bytes"),
        }
    }

    /// Backward pass: gradients of the parameters, given `g`, the gradient of the pre-activation. If there is a `dx`,
    /// the gradient of the input is written to it: the one before the activation `made`, which produced the input.
    fn gradients(
        &self,
        x: Images<'_>,
        g: &[f32],
        made: Activation,
        dx: Option<&mut [f32]>,
    ) -> Result<Vec<Option<Tensor>>> {
        match (self, x) {
            (Self::Affine(layer), x) => {
                let gradients = layer.gradients(x, g)?;
                let made = if let Images::Floats(x) = x { Some((made, x)) } else { None };
                dx.map_or(Ok(()), |dx| layer.input_gradient(g, made, dx))?;
                Ok(gradients)
            }
            (Self::Norm { norm, .. }, Images::Floats(x)) => {
                let (mut room, mut bent) = (Workspace::new(), Workspace::new());
                let Some(dx) = dx else { return norm.gradients(x, g, room.sized(x.len())) };
                if made == Activation::None {
                    return norm.gradients(x, g, dx);
                }
                let by = bent.sized(x.len());
                let gradients = norm.gradients(x, g, by)?;
                made.before(by, x, dx);
                Ok(gradients)
            }
            (Self::Norm { .. }, Images::Bytes(_)) => unreachable!("the forward pass refused them"),
        }
    }
}

/// Outputs of all layers but the last, one buffer per layer.
type Between = Vec<Vec<f32>>;

/// Layers of a chain on the CPU, norms included, with buffers to reuse.
#[derive(Clone, Debug, Default)]
pub(crate) struct Affines {
    layers: Arc<[Layer]>,
    /// Buffers of earlier passes, to be used again.
    free: Arc<Mutex<Vec<Between>>>,
}

impl Affines {
    pub(crate) fn new(layers: impl IntoIterator<Item = impl Into<Layer>>) -> Self {
        Self { layers: layers.into_iter().map(Into::into).collect(), free: Arc::default() }
    }

    /// The one layer of a [`Linear`] or [`Conv2d`].
    pub(crate) fn only(&self) -> &Affine {
        match &*self.layers {
            [Layer::Affine(affine)] => affine,
            _ => unreachable!("it was made of one"),
        }
    }

    /// Runs all layers on `x` as one operation of the graph. There must be at least one layer.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (node, bundle) = Bundle::new(&self.bundled())?;
        let op = Op { affines: self.clone(), bundle, between: OnceLock::new() };
        x.contiguous()?.apply_op2(&node, op)
    }

    fn bundled(&self) -> Vec<&Tensor> {
        let mut bundled = Vec::new();
        self.layers.iter().for_each(|layer| bundled.extend(layer.params().tensors()));
        bundled
    }
}

/// One pass; its arguments are `x` and the bundle of all parameters.
struct Op {
    affines: Affines,
    bundle: Bundle,
    between: OnceLock<Between>,
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let layers = &self.affines.layers;
        let free = self.affines.free.lock().expect("nothing panics with it").pop();
        let mut between = free.unwrap_or_else(|| vec![Vec::new(); layers.len() - 1]);
        let mut last = Vec::new();
        for (i, layer) in layers.iter().enumerate() {
            let (before, after) = between.split_at_mut(i);
            let x = before.last().map_or_else(|| Images::of(x, layout), |x| Ok(Images::Floats(x)))?;
            layer.run(x, after.first_mut().unwrap_or(&mut last))?;
        }
        let _ = self.between.set(between);
        let mut shape = vec![layout.dims()[0]];
        shape.extend(layers[layers.len() - 1].output());
        Ok((CpuStorage::F32(last), shape.into()))
    }

    /// Gradients of the parameters go to the flat gradient while [`Params::backward`](crate::Params::backward) gathers
    /// it, else to candle's store; the input's is computed only where something below needs it.
    fn bwd(&self, x: &Tensor, node: &Tensor, y: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let mut room = Workspace::new();
        let (dx, gradients) = with_values(&g, |g| {
            let activation = self.affines.layers[self.affines.layers.len() - 1].activation();
            if activation == Activation::None {
                return self.gradients(x, g);
            }
            let before = room.sized(g.len());
            with_values(y, |y| activation.before(g, y, before))?;
            self.gradients(x, before)
        })??;
        Ok((dx, Some(self.bundle.give(node, &self.affines.bundled(), gradients)?)))
    }
}

impl Op {
    /// Gradients of the input, if it needs one, and of all parameters, given `g [rows, n]`, the gradient of the last
    /// layer's pre-activation.
    fn gradients(&self, x: &Tensor, g: &[f32]) -> Result<(Option<Tensor>, Vec<Option<Tensor>>)> {
        let layers = &self.affines.layers;
        let between = self.between.get().expect("the forward pass fills it");
        let (storage, layout) = x.storage_and_layout();
        let Storage::Cpu(images) = &*storage else { unreachable!("the device is the CPU") };
        let [mut above, mut below] = [Workspace::new(), Workspace::new()];
        let mut gradients = Vec::new(); // the last layer's first
        for (i, layer) in layers.iter().enumerate().rev() {
            let g = between.get(i).map_or(g, |y| above.sized(y.len()));
            let Some(before) = i.checked_sub(1) else {
                let mut dx = x.track_op().then(|| parts::zeros(x.elem_count()));
                gradients.push(layer.gradients(Images::of(images, layout)?, g, Activation::None, dx.as_deref_mut())?);
                let dx = dx.map_or(Ok(None), |dx| layer.params().give_input(x, dx))?;
                return Ok((dx, gradients.into_iter().rev().flatten().collect()));
            };
            let made = &between[before];
            let activation = layers[before].activation();
            gradients.push(layer.gradients(Images::Floats(made), g, activation, Some(below.sized(made.len())))?);
            std::mem::swap(&mut above, &mut below);
        }
        unreachable!("there is a first layer")
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        if let (Some(between), Ok(mut free)) = (self.between.take(), self.affines.free.lock()) {
            free.push(between);
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::check::{draws, flat, params, parity, variable};
    use crate::{HostForward, Params};

    /// Two convolutions and two dense layers, with and without a ReLU.
    fn layers(params: &mut Params) -> (Conv2d, Conv2d, Linear, Linear) {
        let a = Conv2d::new(&mut params.layer("a"), [11, 10, 3], 8, 4, 2, Activation::Relu).unwrap();
        let b = Conv2d::new(&mut params.layer("b"), a.output(), 5, 2, 1, Activation::None).unwrap();
        let flat = b.output().iter().product();
        let c = Linear::new(&mut params.layer("c"), flat, 20, Activation::Relu).unwrap();
        let d = Linear::new(&mut params.layer("d"), 20, 7, Activation::Relu).unwrap();
        (a, b, c, d)
    }

    #[test]
    fn a_chain_has_the_bits_of_its_layers_in_value_and_gradients() {
        let mut params = params();
        let (a, b, c, d) = layers(&mut params);
        let links: [Link; 4] = [a.clone().into(), b.clone().into(), c.clone().into(), d.clone().into()];
        let chain = Chain::new(links).unwrap();
        let x = variable(&[6, 11, 10, 3], 1);
        let alone = |x: &Tensor| {
            let x = b.forward(&a.forward(x).unwrap()).unwrap();
            d.forward(&c.forward(&x.flatten_from(1).unwrap()).unwrap()).unwrap()
        };
        let probe = |y: &Tensor| (y * draws(&[6, 7], 2)).unwrap().sum_all().unwrap();
        for _ in 0..2 {
            // The second time in the memory of the first.
            let (ours, theirs) = (chain.forward(&x).unwrap(), alone(&x));
            assert_eq!(flat(&ours), flat(&theirs));
            let (one, other) = (probe(&ours).backward().unwrap(), probe(&theirs).backward().unwrap());
            for var in params.iter().map(|(_, var)| var).chain([&x]) {
                assert_eq!(flat(one.get(var).unwrap()), flat(other.get(var).unwrap()));
            }
            let [mut one, mut other] = [vec![f32::NAN; params.len()], Vec::new()];
            params.backward(&probe(&ours), &mut one).unwrap();
            params.backward(&probe(&theirs), &mut other).unwrap();
            assert_eq!(one, other);
        }
    }

    #[test]
    fn norms_within_a_chain_have_stock_values_and_gradients_and_run_on_the_host() {
        let mut params = params();
        let conv = Conv2d::new(&mut params.layer("a"), [9, 8, 3], 6, 4, 2, Activation::None).unwrap();
        let flat_width = conv.output().iter().product();
        let norm = |params: &mut Params, name: &str, width| {
            let norm = LayerNorm::new(&mut params.layer(name), width, 1e-5).unwrap();
            let bends = (0..width).map(|i| 0.5 + (i % 5) as f32 * 0.3).collect::<Vec<_>>();
            norm.params()
                .tensors()
                .for_each(|var| crate::params::set(&candle_core::Var::from_tensor(var).unwrap(), &bends).unwrap());
            norm
        };
        let pixels = norm(&mut params, "b", 6);
        let dense = Linear::new(&mut params.layer("c"), flat_width, 20, Activation::Relu).unwrap();
        let rows = norm(&mut params, "d", 20);
        let links = |behind| -> [Link; 4] {
            [
                conv.clone().into(),
                Link::Norm(pixels.clone(), Activation::Relu),
                dense.clone().into(),
                Link::Norm(rows.clone(), behind),
            ]
        };
        for behind in [Activation::None, Activation::Relu, Activation::Tanh] {
            let chain = Chain::new(links(behind)).unwrap();
            let x = variable(&[7, 9, 8, 3], 1);
            let alone =
                || vec![links(behind).iter().try_fold(x.as_tensor().clone(), |x, link| link.forward(&x)).unwrap()];
            parity(&params, &[&x], 1e-5, &|| vec![chain.forward(&x).unwrap()], &alone);
            let graph = flat(&chain.forward(&x).unwrap());
            let mut flow = HostForward::default();
            flow.begin().extend(flat(&x));
            flow.chain(&chain).unwrap();
            assert_eq!(flow.values(), graph);
        }
    }

    #[test]
    fn a_gradient_of_two_uses_is_their_sum_and_of_none_is_zero() {
        let mut params = params();
        let (a, b, c, d) = layers(&mut params);
        let conv = Chain::new([a, b]).unwrap();
        let dense = Chain::new([c, d]).unwrap();
        let [x, y] =
            [1, 2].map(|seed| conv.forward(&draws(&[3, 11, 10, 3], seed)).unwrap().flatten_from(1).unwrap().detach());
        let loss = |x: &Tensor| dense.forward(x).unwrap().sum_all().unwrap();
        let gradient = |loss: &Tensor| {
            let mut grad = vec![f32::NAN; params.len()];
            params.backward(loss, &mut grad).unwrap();
            grad
        };
        let both = gradient(&(loss(&x) + loss(&y)).unwrap());
        let [one, other] = [gradient(&loss(&x)), gradient(&loss(&y))];
        let worst =
            crate::check::largest(both.iter().zip(one.iter().zip(&other)).map(|(sum, (a, b))| (sum - (a + b)).abs()));
        assert!(worst < 1e-4 && one != other, "off by {worst}");
        let unused: usize = params.iter().take(4).map(|(_, var)| var.elem_count()).sum();
        assert!(both[..unused].iter().all(|g| *g == 0.0) && both[unused..].iter().any(|g| *g != 0.0));
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let mut params = params();
        let (a, _, c, _) = layers(&mut params);
        let error = Chain::new([Link::from(a.clone()), c.into()]).unwrap_err().to_string();
        assert!(error.contains("layer 1 of a chain makes 128 values, the next takes 45"), "{error}");
        let norm = LayerNorm::new(&mut params.layer("norm"), 3, 1e-5).unwrap();
        let error = Chain::new([Link::from(a.clone()), Link::Norm(norm, Activation::Relu)]).unwrap_err().to_string();
        assert!(error.contains("layer 1 of a chain makes") && error.contains("takes other rows"), "{error}");
        let error = Chain::new([a]).unwrap().forward(&draws(&[2, 5, 5, 3], 1)).unwrap_err().to_string();
        assert!(error.contains("a convolution on [11, 10, 3] got [5, 5, 3]"), "{error}");
        let norm = LayerNorm::new(&mut params.layer("first"), 3, 1e-5).unwrap();
        let first = Chain::new([Link::Norm(norm, Activation::Relu)]).unwrap();
        assert_eq!(first.forward(&draws(&[2, 3], 1)).unwrap().dims(), [2, 3]);
        for shape in [&[3][..], &[2, 4], &[2, 5, 5, 3]] {
            assert!(first.forward(&draws(shape, 1)).is_err(), "{shape:?}");
        }
        let x = draws(&[2, 3], 1);
        let empty = Chain::default().forward(&x).unwrap();
        assert_eq!(empty.to_vec2::<f32>().unwrap(), x.to_vec2::<f32>().unwrap());
    }
}
