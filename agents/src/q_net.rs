//! A network of action values: an encoder and one linear head.

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{Activation, Linear, Params};
use rl_perception::{Encoder, EncoderConfig, Seen, encoder_for};

/// Q(s, ·) of one discrete action.
pub(crate) struct QNet {
    encoder: Box<dyn Encoder>,
    head: Linear,
}

impl QNet {
    /// A network for `spec` and its parameters, drawn from `rng`.
    pub(crate) fn new(spec: &Spec, config: &EncoderConfig, device: &Device, rng: Rng) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng);
        let encoder = encoder_for(spec, config, &mut params.layer("encoder"))?;
        let actions = spec.discrete[0] as usize;
        let head = Linear::new(&mut params.layer("q"), encoder.width(), actions, Activation::None)?;
        Ok((Self { encoder, head }, params))
    }

    /// `[B, A]`.
    pub(crate) fn forward(&self, obs: &Seen<'_>) -> Result<Tensor> {
        self.head.forward(&self.encoder.forward(obs)?)
    }

    /// The same on the host, row after row.
    pub(crate) fn values(&self, obs: &Seen<'_>) -> rl_core::Result<Vec<f32>> {
        self.forward(obs).and_then(|q| q.flatten_all()?.to_vec1()).map_err(rl_nn::tensor)
    }
}

/// The first of the greatest legal values; `legal` is empty where everything is.
pub(crate) fn argmax(values: &[f32], legal: &[u8]) -> usize {
    let allowed = |action: &usize| legal.get(*action).is_none_or(|&flag| flag != 0);
    let better = |best: usize, next: usize| if values[next] > values[best] { next } else { best };
    (0..values.len()).filter(allowed).reduce(better).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_legal_action() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0], &[]), 1);
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0], &[1, 0, 1, 1]), 2);
        assert_eq!(argmax(&[9.0, -3.0], &[0, 1]), 1);
    }
}
