//! A network of action values, or of their distributions: an encoder and a head of one stream or two.
//!
//! What it makes is always `[B, W, A]`: for each action W numbers, one where only the value is asked for, else the logits of
//! atoms or quantiles; the W of an implicit network are the quantiles that were drawn. With two streams a number is the
//! state's plus the action's less the mean of all actions', so that the network tells them apart.
//! The host adds the streams and hands gradients back to them: in the graph are only layers.
//! Source: Wang et al. 2016, "Dueling network architectures", eq. 9, each stream with its own last dense layer.

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{Activation, Flow, Params, Precision, Scope};
use rl_perception::{Encoder, EncoderConfig, Seen, Trunk, encoder_for};

pub use embedding::Mix;

use crate::descent::along;
use dense::{Dense, Noise, draw_noise};
use embedding::Embedding;

mod dense;
mod embedding;

/// What stands between an observation and its values.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// What looks at frames, where there are any.
    pub(crate) trunk: Trunk,
    /// Widths of the dense layers; the last belongs to the head where that has two streams, noise or an embedding before it.
    pub(crate) hidden: Vec<usize>,
    /// Numbers per action; 1 where τ is embedded.
    pub(crate) width: usize,
    /// Whether there are two streams.
    pub(crate) dueling: bool,
    /// σ₀ of the head's layers; 0 for plain ones.
    pub(crate) noisy: f64,
    /// Cosines of an embedding of τ, and where it is mixed in.
    pub(crate) embedding: Option<(usize, Mix)>,
    /// Whether the encoder's layers are normalised.
    pub(crate) layer_norm: bool,
    /// What the dense and convolutional layers below the last multiply.
    pub(crate) precision: Precision,
}

/// What a pass takes besides observations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draws {
    /// Quantiles, `[B, N]`; none without an embedding.
    pub(crate) taus: Vec<f32>,
    /// Rows of [`noise`](QNet::noise), one for all or one for each observation; none for the means of noisy weights.
    pub(crate) noise: Vec<f32>,
}

impl Draws {
    pub(crate) fn clear(&mut self) {
        self.taus.clear();
        self.noise.clear();
    }

    /// Draws so many quantiles more, and a row of noise of `width`.
    pub(crate) fn draw(&mut self, taus: usize, width: usize, rng: &mut Rng) {
        self.taus.extend((0..taus).map(|_| rng.f32()));
        draw_noise(width, rng, &mut self.noise);
    }
}

/// Q(s, ·) of one discrete action.
pub(crate) struct QNet {
    encoder: Box<dyn Encoder>,
    embedding: Option<Embedding>,
    /// The state's stream, where they are two.
    value: Option<Head>,
    /// The actions' stream, or the only one.
    advantage: Head,
    actions: usize,
    noise: usize,
    on_cpu: bool,
}

/// The last dense layer, where it is not the encoder's, and the linear one after it.
struct Head {
    wide: Option<Dense>,
    out: Dense,
}

/// Memory of passes on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pass {
    encoder: Flow,
    mixed: Flow,
    value: Flow,
    room: Flow,
}

/// What a pass left in the graph.
pub(crate) struct Outputs {
    advantage: Tensor,
    value: Option<Tensor>,
    actions: usize,
}

impl QNet {
    /// A network for `spec` and its parameters, drawn from `rng`.
    pub(crate) fn new(spec: &Spec, shape: &Shape, device: &Device, rng: Rng) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng);
        let mut hidden = shape.hidden.clone();
        let late = matches!(shape.embedding, Some((_, Mix::After)));
        let early = matches!(shape.embedding, Some((_, Mix::Before)));
        let own = (shape.dueling || shape.noisy > 0.0 || early) && !late;
        let wide = if own { hidden.pop() } else { None };
        let Shape { trunk, layer_norm, precision, .. } = *shape;
        let config = EncoderConfig { trunk, hidden, activation: Activation::Relu, layer_norm, precision };
        let encoder = encoder_for(spec, &config, &mut params.layer("encoder"))?;
        let inputs = encoder.width();
        let embedding = match shape.embedding {
            Some((cosines, _)) => Some(Embedding::new(&mut params.layer("tau"), cosines, inputs)?),
            None => None,
        };
        let (actions, mut noise) = (spec.discrete[0] as usize, 0);
        let mut head = |name, outputs| Head::new(&mut params.layer(name), [inputs, outputs], wide, shape, &mut noise);
        let value = if shape.dueling { Some(head("value", shape.width)?) } else { None };
        let advantage = head(if shape.dueling { "advantage" } else { "q" }, shape.width * actions)?;
        Ok((Self { encoder, embedding, value, advantage, actions, noise, on_cpu: device.is_cpu() }, params))
    }

    /// Numbers in a row of noise; 0 for a network without.
    pub(crate) fn noise(&self) -> usize {
        self.noise
    }

    /// Actions to choose from.
    pub(crate) fn actions(&self) -> usize {
        self.actions
    }

    /// The graph of a pass.
    pub(crate) fn forward(&self, obs: &Seen<'_>, draws: &Draws) -> Result<Outputs> {
        let noise = Noise { values: &draws.noise, width: self.noise };
        let mut features = self.encoder.forward(obs)?; // [B, F]
        if let Some(embedding) = &self.embedding {
            features = embedding.forward(&features, &draws.taus)?; // [B·N, F]
        }
        let value = self.value.as_ref().map(|head| head.forward(&features, noise)).transpose()?;
        Ok(Outputs { advantage: self.advantage.forward(&features, noise)?, value, actions: self.actions })
    }

    /// `[B, W, A]` on the host, in memory of `pass`: the bits of [`forward`](QNet::forward). On the CPU nothing is built or
    /// allocated on the way.
    pub(crate) fn run<'a>(&self, obs: &Seen<'_>, draws: &Draws, pass: &'a mut Pass) -> rl_core::Result<&'a [f32]> {
        if !self.on_cpu {
            let outputs = self.forward(obs, draws).and_then(|outputs| outputs.to_host()).map_err(rl_nn::tensor)?;
            *pass.encoder.begin() = outputs;
            return Ok(pass.encoder.values());
        }
        self.run_on_host(obs, draws, pass).map_err(rl_nn::tensor)
    }

    fn run_on_host<'a>(&self, obs: &Seen<'_>, draws: &Draws, pass: &'a mut Pass) -> Result<&'a [f32]> {
        let noise = Noise { values: &draws.noise, width: self.noise };
        let Pass { encoder, mixed, value, room } = pass;
        self.encoder.run(obs, encoder)?;
        let features = match &self.embedding {
            Some(embedding) => {
                embedding.run(encoder.values(), &draws.taus, mixed)?;
                mixed
            }
            None => encoder,
        };
        if let Some(head) = &self.value {
            value.begin().extend_from_slice(features.values());
            head.run(value, room, noise)?;
        }
        self.advantage.run(features, room, noise)?;
        if self.value.is_some() {
            join(value.values(), features.values_mut(), self.actions);
        }
        Ok(features.values())
    }
}

impl Head {
    fn new(
        scope: &mut Scope<'_>,
        [inputs, outputs]: [usize; 2],
        wide: Option<usize>,
        shape: &Shape,
        noise: &mut usize,
    ) -> Result<Self> {
        let noisy = shape.noisy;
        let Some(width) = wide else {
            return Ok(Self { wide: None, out: Dense::new(scope, [inputs, outputs], Activation::None, noisy, noise)? });
        };
        if width == 0 {
            candle_core::bail!("the last dense layer has width 0");
        }
        let wide = Dense::new(
            &mut scope.layer("fc").with_precision(shape.precision),
            [inputs, width],
            Activation::Relu,
            noisy,
            noise,
        )?;
        let out = Dense::new(&mut scope.layer("out"), [width, outputs], Activation::None, noisy, noise)?;
        Ok(Self { wide: Some(wide), out })
    }

    fn forward(&self, x: &Tensor, noise: Noise<'_>) -> Result<Tensor> {
        match &self.wide {
            Some(wide) => self.out.forward(&wide.forward(x, noise)?, noise),
            None => self.out.forward(x, noise),
        }
    }

    fn run(&self, flow: &mut Flow, room: &mut Flow, noise: Noise<'_>) -> Result<()> {
        self.wide.iter().chain([&self.out]).try_for_each(|layer| layer.run(flow, room, noise))
    }
}

impl Outputs {
    /// `[B, W, A]`.
    pub(crate) fn to_host(&self) -> Result<Vec<f32>> {
        let mut all: Vec<f32> = self.advantage.flatten_all()?.to_vec1()?;
        if let Some(value) = &self.value {
            join(&value.flatten_all()?.to_vec1::<f32>()?, &mut all, self.actions);
        }
        Ok(all)
    }

    /// A scalar whose gradient by the network is that of a loss with the gradient `by [B, W, A]`: Σ outputs · gradients.
    pub(crate) fn handle(&self, by: &[f32]) -> Result<Tensor> {
        let Some(value) = &self.value else { return along(&self.advantage, by) };
        let sums: Vec<f32> = by.chunks_exact(self.actions).map(|by| by.iter().sum()).collect();
        let share = |by: &[f32], sum: f32| by.iter().map(|by| by - sum / self.actions as f32).collect::<Vec<_>>();
        let rest: Vec<f32> = by.chunks_exact(self.actions).zip(&sums).flat_map(|(by, &sum)| share(by, sum)).collect();
        along(&self.advantage, &rest)? + along(value, &sums)?
    }
}

/// Makes `[B, W, A]` of advantages by adding the values `[B, W]`, less the mean of the advantages of all actions.
fn join(values: &[f32], advantages: &mut [f32], actions: usize) {
    for (&value, advantages) in values.iter().zip(advantages.chunks_exact_mut(actions)) {
        let base = value - advantages.iter().sum::<f32>() / actions as f32;
        advantages.iter_mut().for_each(|advantage| *advantage += base);
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

    fn spec(frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]) -> Spec {
        let (symbols, discrete, continuous) = (symbols.into(), [5].into(), [].into());
        Spec { frame, stack, vector, symbols, mask: false, discrete, continuous }
    }

    fn plain(hidden: &[usize]) -> Shape {
        Shape {
            trunk: Trunk::Nature,
            hidden: hidden.to_vec(),
            width: 1,
            dueling: false,
            noisy: 0.0,
            embedding: None,
            layer_norm: false,
            precision: Precision::F32,
        }
    }

    /// Every head on the encoder of `hidden`.
    fn shapes(hidden: &[usize]) -> Vec<Shape> {
        let plain = plain(hidden);
        let implicit = |mix| Shape { embedding: Some((8, mix)), ..plain.clone() };
        vec![
            Shape { width: 3, ..plain.clone() },
            Shape { width: 3, dueling: true, ..plain.clone() },
            Shape { width: 3, noisy: 0.5, ..plain.clone() },
            Shape { width: 2, noisy: 0.5, dueling: true, ..plain.clone() },
            implicit(Mix::Before),
            implicit(Mix::After),
            Shape { dueling: true, noisy: 0.5, ..implicit(Mix::Before) },
            Shape { dueling: true, noisy: 0.5, ..implicit(Mix::After) },
            Shape { layer_norm: true, ..plain.clone() },
            plain,
        ]
    }

    #[test]
    fn values_have_the_bits_of_the_graph_at_every_batch() {
        let cases = [
            (spec([0; 3], 1, 4, &[]), vec![128, 128]),
            (spec([0; 3], 1, 0, &[16]), vec![64]),
            (spec([0; 3], 1, 3, &[4, 7]), vec![]),
            (spec([84, 84, 1], 4, 0, &[]), vec![512]),
            (spec([44, 36, 1], 2, 3, &[6]), vec![33, 17]),
        ];
        let mut rng = Rng::new(1, Stream::Tool(0));
        let (mut pass, mut distinct) = (Pass::default(), 0);
        for (spec, shape) in cases.iter().flat_map(|(spec, hidden)| shapes(hidden).into_iter().map(move |s| (spec, s)))
        {
            let large = spec.frame[0] == 84;
            let net = QNet::new(spec, &shape, &Device::Cpu, Rng::new(2, Stream::Init)).unwrap().0;
            for rows in (1..=if large { 3 } else { 16 }).rev() {
                let frames: Vec<u8> = (0..rows * spec.frame_len() * spec.stack).map(|_| rng.below(256) as u8).collect();
                let vector: Vec<f32> = (0..rows * spec.vector).map(|_| rng.normal() as f32).collect();
                let symbols: Vec<u32> =
                    (0..rows).flat_map(|_| spec.symbols.to_vec()).map(|count| rng.below(count)).collect();
                let obs = Seen { rows, frames: &frames, vector: &vector, symbols: &symbols };
                let taus = if shape.embedding.is_some() { (0..rows * 4).map(|_| rng.f32()).collect() } else { vec![] };
                // No noise, one for all, one for each.
                for noises in if shape.noisy > 0.0 { vec![0, 1, rows] } else { vec![0] } {
                    let mut draws = Draws { taus: taus.clone(), noise: Vec::new() };
                    (0..noises).for_each(|_| draw_noise(net.noise(), &mut rng, &mut draws.noise));
                    let graph = net.forward(&obs, &draws).unwrap().to_host().unwrap();
                    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                    let ours = bits(net.run(&obs, &draws, &mut pass).unwrap());
                    assert_eq!(ours, bits(&graph), "{rows} rows of {spec:?}, {shape:?}");
                    let each = ours.len() / rows;
                    distinct += usize::from(rows > 1 && ours[..each] != ours[each..2 * each]);
                }
            }
        }
        assert!(distinct > 500, "rows differ in their values: {distinct}");
    }

    #[test]
    fn every_parameter_of_every_head_gets_a_gradient() {
        let mut rng = Rng::new(1, Stream::Tool(0));
        for shape in shapes(&[24, 16]) {
            let (net, params) =
                QNet::new(&spec([0; 3], 1, 4, &[]), &shape, &Device::Cpu, Rng::new(2, Stream::Init)).unwrap();
            let vector: Vec<f32> = (0..32).map(|_| rng.normal() as f32).collect();
            let obs = Seen { rows: 8, frames: &[], vector: &vector, symbols: &[] };
            let mut draws = Draws::default();
            draws.taus.extend((0..if shape.embedding.is_some() { 24 } else { 0 }).map(|_| rng.f32()));
            draw_noise(net.noise(), &mut rng, &mut draws.noise);
            let outputs = net.forward(&obs, &draws).unwrap();
            let by: Vec<f32> = outputs.to_host().unwrap().iter().map(|_| rng.normal() as f32).collect();
            let mut grad = Vec::new();
            params.backward(&outputs.handle(&by).unwrap(), &mut grad).unwrap();
            for (name, _) in params.iter() {
                let some = (0..grad.len()).any(|i| grad[i] != 0.0 && params.name_at(i) == name);
                assert!(some, "{name} of {shape:?} gets no gradient");
            }
        }
    }

    #[test]
    fn two_streams_give_back_the_mean_of_the_actions() {
        let mut advantages = [1.0, 2.0, 6.0, 0.0, 0.0, 3.0];
        join(&[10.0, -1.0], &mut advantages, 3);
        assert_eq!(advantages, [8.0, 9.0, 13.0, -2.0, -2.0, 1.0]);
    }

    #[test]
    fn noise_has_the_moments_of_its_definition() {
        let (mut noise, count) = (Vec::new(), 40_000);
        draw_noise(count, &mut Rng::new(3, Stream::Tool(0)), &mut noise);
        let mean = noise.iter().map(|&x| f64::from(x)).sum::<f64>() / count as f64;
        // E f(x)² = E |x| = √(2 / π).
        let square = noise.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / count as f64;
        assert!(mean.abs() < 0.02 && (square - 0.797_885).abs() < 0.02, "mean {mean}, square {square}");
    }

    #[test]
    fn ties_go_to_the_first_legal_action() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0], &[]), 1);
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0], &[1, 0, 1, 1]), 2);
        assert_eq!(argmax(&[9.0, -3.0], &[0, 1]), 1);
    }
}
