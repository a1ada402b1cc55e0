//! Elementwise losses; the caller takes their mean or sum.

use candle_core::{Result, Tensor};

/// Huber loss with δ = 1, elementwise and not reduced: `e² / 2` where `|e| <= 1`, else `|e| - 1/2`, with
/// `e = predicted - target`. Its gradient by `predicted` is `e` clipped to ±1.
///
/// # Errors
/// If shapes differ.
pub fn huber(predicted: &Tensor, target: &Tensor) -> Result<Tensor> {
    let error = (predicted - target)?.abs()?;
    let near = error.minimum(1.0)?; // |error| where quadratic, else 1
    (near.sqr()? * 0.5)? + (error - near)?
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn gradient_is_the_clipped_error() {
        let errors = [-3.0f32, -1.5, -0.5, 0.0, 0.25, 0.75, 2.0];
        let predicted = Var::from_slice(&errors, errors.len(), &Device::Cpu).unwrap();
        let loss = huber(&predicted, &predicted.zeros_like().unwrap()).unwrap();
        let expected = errors.map(|e| if e.abs() < 1.0 { 0.5 * e * e } else { e.abs() - 0.5 });
        assert_eq!(loss.to_vec1::<f32>().unwrap(), expected);
        let grads = loss.sum_all().unwrap().backward().unwrap();
        let grad = grads.get(&predicted).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(grad, errors.map(|e| e.clamp(-1.0, 1.0)));
    }
}
