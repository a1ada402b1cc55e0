//! Residual block of two convolutions as one operation of candle's graph.
//! Source: He et al. 2016, "Identity mappings in deep residual networks", without norms, as Espeholt et al. 2018
//! (IMPALA).

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::affine::{Affine, Images};
use crate::bundle::Bundle;
use crate::kernel::Workspace;
use crate::params::{values, with_values};
use crate::parts;
use crate::{Activation, Conv2d, Init, Scope, Window, relu};

/// Pre-activation residual block on images `[B, H, W, C]`, whose shape stays:
/// `activation(x + conv2(relu(conv1(relu(x)))))`.
#[derive(Clone, Debug)]
pub struct Residual {
    first: Conv2d,
    second: Conv2d,
    activation: Activation,
}

/// Window of both convolutions, which keeps the shape of the image.
const WINDOW: Window = Window { kernel: [3; 2], stride: [1; 2], padding: [1; 2] };

impl Residual {
    /// Block of two 3 × 3 convolutions with padding 1 on images of `shape`, `[H, W, C]`, initialised as `scope` says.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &mut Scope<'_>, shape: [usize; 3], activation: Activation) -> Result<Self> {
        let mut conv =
            |name, activation| Conv2d::with_window(&mut scope.layer(name), shape, shape[2], WINDOW, activation);
        Ok(Self { first: conv("conv1", Activation::Relu)?, second: conv("conv2", Activation::None)?, activation })
    }

    /// Block as [`new`](Self::new) makes it, but for its second convolution, which is 0 at first, so that the block
    /// begins as its activation alone.
    /// Source: Zhang et al. 2019, "Fixup initialization".
    ///
    /// # Errors
    /// If the device fails.
    pub fn zero_init(scope: &mut Scope<'_>, shape: [usize; 3], activation: Activation) -> Result<Self> {
        let first = Conv2d::with_window(&mut scope.layer("conv1"), shape, shape[2], WINDOW, Activation::Relu)?;
        let (scope, none) = (&mut scope.layer("conv2"), Activation::None);
        let second = Conv2d::with_init(scope, shape, shape[2], WINDOW, none, Init::Zeros, Init::Zeros)?;
        Ok(Self { first, second, activation })
    }

    /// Runs the block on `x [B, H, W, C]`, to the same shape.
    ///
    /// # Errors
    /// If `x` is not a batch of images of the block's shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.first.check(x)?;
        if !x.device().is_cpu() {
            return self.activation.stock((x + self.second.forward(&self.first.forward(&relu(x)?)?)?)?);
        }
        let (node, bundle) = Bundle::new(&self.bundled())?;
        x.contiguous()?.apply_op2(&node, Op { block: self.clone(), bundle, made: OnceLock::new() })
    }

    fn affines(&self) -> [&Affine; 2] {
        [self.first.affine(), self.second.affine()]
    }

    fn bundled(&self) -> Vec<&Tensor> {
        self.affines().into_iter().flat_map(|layer| layer.params.tensors()).collect()
    }

    /// Forward pass on the CPU without a graph: replaces `out` by the output, and `bent` and `between` by the inputs of
    /// the first and the second convolution.
    pub(crate) fn run(&self, x: &[f32], bent: &mut Vec<f32>, between: &mut Vec<f32>, out: &mut Vec<f32>) -> Result<()> {
        let [first, second] = self.affines();
        bent.clear();
        let clipped = |x: f32| if x <= 0.0 { 0.0 } else { x }; // what is not a number stays one
        bent.extend(x.iter().map(|&x| clipped(x)));
        first.run(Images::Floats(bent), between)?;
        second.run(Images::Floats(between), out)?;
        let sums = out.iter_mut().zip(x);
        if self.activation == Activation::Relu {
            sums.for_each(|(out, x)| *out = clipped(x + *out));
        } else {
            sums.for_each(|(out, x)| *out += x);
            self.activation.finish(out);
        }
        Ok(())
    }
}

/// Graph operation of the block; its arguments are `x` and the bundle of all parameters.
struct Op {
    block: Residual,
    bundle: Bundle,
    /// Inputs of both convolutions.
    made: OnceLock<[Vec<f32>; 2]>,
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "residual"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let [mut bent, mut between, mut out] = [(); 3].map(|()| Vec::new());
        self.block.run(values(x, layout)?, &mut bent, &mut between, &mut out)?;
        let _ = self.made.set([bent, between]);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, node: &Tensor, y: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [first, second] = self.block.affines();
        let [bent, between] = self.made.get().expect("the forward pass fills it");
        let g = g.contiguous()?;
        let [mut room, mut inner] = [Workspace::new(), Workspace::new()];
        let (dx, gradients) = with_values(&g, |g| -> Result<_> {
            let sum = room.sized(g.len());
            with_values(y, |y| self.block.activation.before(g, y, sum))?;
            let behind = second.gradients(Images::Floats(between), sum)?;
            let inner = inner.sized(between.len());
            second.input_gradient(sum, Some((Activation::Relu, between)), inner)?;
            let mut gradients = first.gradients(Images::Floats(bent), inner)?;
            gradients.extend(behind);
            if !x.track_op() {
                return Ok((None, gradients));
            }
            let mut dx = parts::zeros(bent.len());
            first.input_gradient(inner, Some((Activation::Relu, bent)), &mut dx)?;
            parts::add(&mut dx, sum);
            Ok((first.params.give_input(x, dx)?, gradients))
        })??;
        Ok((dx, Some(self.bundle.give(node, &self.block.bundled(), gradients)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{any_threads, differences, draws, flat, params, parity, variable};
    use crate::{HostForward, Params};

    const BOTH: [Activation; 2] = [Activation::None, Activation::Relu];

    fn block(activation: Activation) -> (Params, Residual) {
        let mut params = params();
        let block = Residual::new(&mut params.layer("block"), [5, 4, 3], activation).unwrap();
        (params, block)
    }

    #[test]
    fn a_block_whose_second_convolution_is_zero_is_its_activation_until_it_learns() {
        for activation in BOTH {
            let mut params = params();
            let block = Residual::zero_init(&mut params.layer("block"), [5, 4, 3], activation).unwrap();
            let x = variable(&[2, 5, 4, 3], 1);
            let y = block.forward(&x).unwrap();
            let expected = if activation == Activation::Relu { relu(&x).unwrap() } else { x.as_tensor().clone() };
            assert_eq!(flat(&y), flat(&expected));
            let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let moved =
                params.iter().filter(|(_, var)| grads.get(var).is_some_and(|g| flat(g).iter().any(|&g| g != 0.0)));
            let names: Vec<String> = moved.map(|(name, _)| name.to_owned()).collect();
            assert_eq!(names, ["block.conv2.weight", "block.conv2.bias"], "the first learns once the second is not 0");
        }
    }

    #[test]
    fn gradients_are_differences() {
        for activation in BOTH {
            // Few pixels, so that a weight moves few ReLUs across their corners.
            let mut params = params();
            let block = Residual::new(&mut params.layer("block"), [3, 2, 3], activation).unwrap();
            let x = variable(&[1, 3, 2, 3], 1);
            differences(&params, &[&x], 0.9, &|| vec![block.forward(&x).unwrap()]);
        }
    }

    #[test]
    fn what_is_not_a_number_stays_one() {
        for activation in BOTH {
            let (_, block) = block(activation);
            let (mut x, mut out) = (flat(&draws(&[1, 5, 4, 3], 1)), Vec::new());
            x[0] = f32::NAN;
            block.run(&x, &mut Vec::new(), &mut Vec::new(), &mut out).unwrap();
            assert!(out[0].is_nan(), "{activation:?}: {out:?}");
        }
    }

    #[test]
    fn the_operation_equals_its_layers_in_value_and_every_gradient() {
        for activation in BOTH {
            let (params, block) = block(activation);
            let x = variable(&[3, 5, 4, 3], 1);
            parity(&params, &[&x], 1e-5, &|| vec![block.forward(&x).unwrap()], &|| {
                let inner = block.second.forward(&block.first.forward(&relu(&x).unwrap()).unwrap()).unwrap();
                vec![activation.stock((x.as_tensor() + inner).unwrap()).unwrap()]
            });
        }
    }

    #[test]
    fn bits_depend_neither_on_threads_nor_on_the_batch_nor_on_the_graph() {
        let mut params = params();
        let block = Residual::new(&mut params.layer("block"), [21, 20, 32], Activation::Relu).unwrap();
        let x = variable(&[9, 21, 20, 32], 1);
        any_threads(&params, &[&x], &|| vec![block.forward(&x).unwrap()]);
        let all = block.forward(&x).unwrap();
        let part = x.narrow(0, 3, 2).unwrap();
        assert_eq!(flat(&block.forward(&part).unwrap()), flat(&all.narrow(0, 3, 2).unwrap()));
        let mut flow = HostForward::default();
        *flow.begin() = flat(&part);
        flow.residual(&block).unwrap();
        assert_eq!(flow.values(), flat(&all.narrow(0, 3, 2).unwrap()));
    }

    #[test]
    fn other_images_are_refused() {
        let error = block(Activation::None).1.forward(&draws(&[2, 4, 4, 3], 1)).unwrap_err().to_string();
        assert!(error.contains("a convolution on [5, 4, 3] got [4, 4, 3]"), "{error}");
    }
}
