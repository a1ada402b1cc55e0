//! A network of action values: an encoder and one linear head.

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{Activation, Flow, Linear, Params};
use rl_perception::{Encoder, EncoderConfig, Seen, encoder_for};

/// Q(s, ·) of one discrete action.
pub(crate) struct QNet {
    encoder: Box<dyn Encoder>,
    head: Linear,
    on_cpu: bool,
}

impl QNet {
    /// A network for `spec` and its parameters, drawn from `rng`.
    pub(crate) fn new(spec: &Spec, config: &EncoderConfig, device: &Device, rng: Rng) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng);
        let encoder = encoder_for(spec, config, &mut params.layer("encoder"))?;
        let actions = spec.discrete[0] as usize;
        let head = Linear::new(&mut params.layer("q"), encoder.width(), actions, Activation::None)?;
        Ok((Self { encoder, head, on_cpu: device.is_cpu() }, params))
    }

    /// `[B, A]`.
    pub(crate) fn forward(&self, obs: &Seen<'_>) -> Result<Tensor> {
        self.head.forward(&self.encoder.forward(obs)?)
    }

    /// The same on the host, row after row, in memory of `flow`. On the CPU nothing is built or allocated on the way.
    pub(crate) fn values<'a>(&self, obs: &Seen<'_>, flow: &'a mut Flow) -> rl_core::Result<&'a [f32]> {
        if self.on_cpu {
            self.encoder.run(obs, flow).and_then(|()| flow.linear(&self.head)).map_err(rl_nn::tensor)?;
        } else {
            *flow.begin() = self.forward(obs).and_then(|q| q.flatten_all()?.to_vec1()).map_err(rl_nn::tensor)?;
        }
        Ok(flow.values())
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
    use rl_core::Stream;

    use super::*;

    #[test]
    fn values_have_the_bits_of_the_graph_at_every_batch() {
        let shape = |frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]| Spec {
            frame,
            stack,
            vector,
            symbols: symbols.into(),
            mask: false,
            discrete: [5].into(),
            continuous: [].into(),
        };
        let cases = [
            (shape([0; 3], 1, 4, &[]), vec![128, 128]),
            (shape([0; 3], 1, 0, &[16]), vec![64]),
            (shape([0; 3], 1, 3, &[4, 7]), vec![]),
            (shape([84, 84, 1], 4, 0, &[]), vec![512]),
            (shape([44, 36, 1], 2, 3, &[6]), vec![33, 17]),
        ];
        let mut rng = Rng::new(1, Stream::Tool(0));
        let (mut flow, mut distinct) = (Flow::default(), 0);
        for (spec, hidden) in cases {
            let config = EncoderConfig { hidden, activation: Activation::Relu };
            let net = QNet::new(&spec, &config, &Device::Cpu, Rng::new(2, Stream::Init)).unwrap().0;
            for rows in (1..=16).rev() {
                let frames: Vec<u8> = (0..rows * spec.frame_len() * spec.stack).map(|_| rng.below(256) as u8).collect();
                let vector: Vec<f32> = (0..rows * spec.vector).map(|_| rng.normal() as f32).collect();
                let symbols: Vec<u32> =
                    (0..rows).flat_map(|_| spec.symbols.to_vec()).map(|count| rng.below(count)).collect();
                let obs = Seen { rows, frames: &frames, vector: &vector, symbols: &symbols };
                let graph: Vec<f32> = net.forward(&obs).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                let ours = bits(net.values(&obs, &mut flow).unwrap());
                assert_eq!(ours, bits(&graph), "{rows} rows of {spec:?}");
                distinct += usize::from(rows > 1 && ours[..5] != ours[5..10]);
            }
        }
        assert!(distinct > 50, "rows differ in their values: {distinct}");
    }

    #[test]
    fn ties_go_to_the_first_legal_action() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0], &[]), 1);
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0], &[1, 0, 1, 1]), 2);
        assert_eq!(argmax(&[9.0, -3.0], &[0, 1]), 1);
    }
}
