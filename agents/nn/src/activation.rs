//! Activation functions of linear and convolutional layers.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

use crate::kernel::{self, vectorised};
use crate::math;
use crate::parts::{self, PARALLEL};

/// Elementwise activation function, applied to the pre-activation `x · weight + bias` of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Identity: the output is the pre-activation. For output layers: no setting names it.
    #[serde(skip)]
    None,
    /// `max(0, x)`, with gradient 0 at 0; NaN stays NaN.
    Relu,
    /// Hyperbolic tangent; on the CPU a rational approximation within a relative error of 4e-7.
    Tanh,
}

impl Activation {
    /// Completes the forward pass after the matrix kernel: applies tanh to `y` in place. A ReLU is clipped by the
    /// kernel itself.
    pub(crate) fn finish(self, y: &mut [f32]) {
        if self == Activation::Tanh {
            let parallel = y.len() >= PARALLEL;
            parts::each([(y, PARALLEL)], parallel, |_, [y]| {
                vectorised(
                    #[inline(always)]
                    || y.iter_mut().for_each(|y| *y = math::tanh(*y)),
                );
            });
        }
    }

    /// Writes the gradient of the pre-activation to `out`, given `g`, the gradient of the output, and the output `y`.
    pub(crate) fn before(self, g: &[f32], y: &[f32], out: &mut [f32]) {
        match self {
            Activation::Relu => kernel::mask(g, y, out),
            Activation::None | Activation::Tanh => {
                out.copy_from_slice(g);
                self.bend(out, y);
            }
        }
    }

    /// Multiplies `g` by the derivative of tanh, `1 - y²`, in place; does nothing for the other functions. The gradient
    /// kernels mask a ReLU themselves.
    pub(crate) fn bend(self, g: &mut [f32], y: &[f32]) {
        if self == Activation::Tanh {
            let parallel = g.len() >= PARALLEL;
            parts::each([(g, PARALLEL)], parallel, |i, [g]| {
                let y = &y[i * PARALLEL..][..g.len()];
                vectorised(
                    #[inline(always)]
                    || g.iter_mut().zip(y).for_each(|(g, y)| *g *= 1.0 - y * y),
                );
            });
        }
    }

    /// Activation of the pre-activation `sum` in candle's own operations, on any device.
    pub(crate) fn stock(self, sum: Tensor) -> Result<Tensor> {
        match self {
            Activation::None => Ok(sum),
            Activation::Relu => relu(&sum),
            Activation::Tanh => sum.tanh(),
        }
    }
}

/// ReLU, `max(0, x)` elementwise, in candle's own operations on any device: gradient 0 at 0, and NaN stays NaN.
///
/// # Errors
/// If the device fails.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.le(0f32)?.where_cond(&x.zeros_like()?, x)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor, Var};

    use super::*;
    use crate::check::{differences, draws, params, parity, variable};
    use crate::{Chain, HostForward, Linear};

    #[test]
    fn a_relu_is_shut_at_0_and_lets_what_is_no_number_through() {
        let x = Var::new(&[-1.0f32, 0.0, -0.0, 2.0], &Device::Cpu).unwrap();
        let y = relu(&x).unwrap();
        let store = y.sum_all().unwrap().backward().unwrap();
        assert_eq!(y.to_vec1::<f32>().unwrap(), [0.0, 0.0, 0.0, 2.0]);
        assert_eq!(store.get(&x).unwrap().to_vec1::<f32>().unwrap(), [0.0, 0.0, 0.0, 1.0]);
        let none = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
        assert!(relu(&none).unwrap().to_vec1::<f32>().unwrap()[0].is_nan());
    }

    #[test]
    fn a_tanh_between_and_behind_layers_has_stock_values_and_gradients_in_any_batch() {
        let mut params = params();
        let a = Linear::new(&mut params.layer("a"), 5, 40, Activation::Tanh).unwrap();
        let b = Linear::new(&mut params.layer("b"), 40, 7, Activation::Tanh).unwrap();
        let chain = Chain::new([a.clone(), b.clone()]).unwrap();
        let x = variable(&[9, 5], 1);
        let vars: Vec<Tensor> = params.iter().map(|(_, var)| var.as_tensor().clone()).collect();
        let stock = || {
            let y = x.matmul(&vars[0]).unwrap().broadcast_add(&vars[1]).unwrap().tanh().unwrap();
            vec![y.matmul(&vars[2]).unwrap().broadcast_add(&vars[3]).unwrap().tanh().unwrap()]
        };
        parity(&params, &[&x], 1e-5, &|| vec![chain.forward(&x).unwrap()], &stock);
        parity(&params, &[&x], 1e-5, &|| vec![b.forward(&a.forward(&x).unwrap()).unwrap()], &stock);
        differences(&params, &[&x], 1.0, &|| vec![chain.forward(&x).unwrap()]);
        let rows: Vec<f32> = chain.forward(&x).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let mut flow = HostForward::default();
        flow.begin().extend(x.flatten_all().unwrap().to_vec1::<f32>().unwrap()[10..15].iter());
        flow.chain(&chain).unwrap();
        assert_eq!(flow.values(), &rows[14..21]);
    }

    #[test]
    fn batches_beyond_a_thread_have_the_same_bits() {
        let y: Vec<f32> = draws(&[PARALLEL + 77], 2).to_vec1().unwrap();
        let (mut whole, mut apart) = (y.clone(), y.clone());
        Activation::Tanh.finish(&mut whole);
        apart.chunks_mut(1000).for_each(|part| Activation::Tanh.finish(part));
        assert_eq!(whole, apart);
        let (mut g, mut out) = (y.clone(), vec![0.0; y.len()]);
        Activation::Tanh.bend(&mut g, &whole);
        Activation::Tanh.before(&y, &whole, &mut out);
        assert_eq!(g, out);
    }
}
