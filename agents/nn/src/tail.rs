//! Trainable values that do not depend on the input, appended to every row: the deviations of a Gaussian policy, for
//! example.

use candle_core::{Result, Tensor, Var};

use crate::{Init, Scope};

/// Trainable values appended to every row: `[B, inputs]` to `[B, inputs + width]`, the new columns alike in every row.
#[doc(alias = "log_std")]
#[derive(Clone, Debug)]
pub struct Tail {
    values: Var,
}

impl Tail {
    /// Parameter `name` of `width` values, filled by `init`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &mut Scope<'_>, name: &str, width: usize, init: Init) -> Result<Self> {
        Ok(Self { values: scope.var(name, &[width], init)? })
    }

    /// Appends the values to every row of `x`: `[B, inputs]` to `[B, inputs + width]`.
    ///
    /// # Errors
    /// If the device fails or `x` is no matrix.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.dims2()?.0;
        let tail = self.values.unsqueeze(0)?.broadcast_as((rows, self.values.elem_count()))?; // [B, width]
        Tensor::cat(&[x, &tail], 1)
    }

    /// Values that are appended, `[width]`.
    pub(crate) fn values(&self) -> &Tensor {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::{HostForward, check};

    #[test]
    fn every_row_ends_alike_on_the_host_too_and_the_gradient_is_the_sum_over_rows() {
        let mut params = check::params();
        let tail = Tail::new(&mut params.root(), "log_std", 2, Init::Constant { value: 0.5 }).unwrap();
        params.write(&[0.25, -1.0]).unwrap();
        let x = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 3), &Device::Cpu).unwrap();
        let y = tail.forward(&x).unwrap();
        let values: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(values, [1.0, 2.0, 3.0, 0.25, -1.0, 4.0, 5.0, 6.0, 0.25, -1.0]);
        let mut flow = HostForward::default();
        flow.begin().extend([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        flow.tail(3, &tail).unwrap();
        assert_eq!(flow.values(), values);
        let by: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let loss = (y * Tensor::from_slice(&by, (2, 5), &Device::Cpu).unwrap()).unwrap().sum_all().unwrap();
        let mut grad = Vec::new();
        params.backward(&loss, &mut grad).unwrap();
        assert_eq!(grad, [3.0 + 8.0, 4.0 + 9.0]);
    }
}
