//! A network of action values, or of their distributions: an encoder, a memory or none, and a head of one stream or two.
//!
//! What it makes is always `[B, W, A]`: for each action W numbers, one where only the value is asked for, else the logits of
//! atoms or quantiles; the W of an implicit network are the quantiles that were drawn. With two streams a number is the
//! state's plus the action's less the mean of all actions', so that the network tells them apart.
//! The host adds the streams and hands gradients back to them: in the graph are only layers.
//! Source: Wang et al. 2016, "Dueling network architectures", eq. 9, each stream with its own last dense layer.

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{Activation, HostForward, Params, Precision, Scope, Standardise, Start};
use rl_perception::{EncoderConfig, ObsBatch, Trunk};

pub(crate) use embedding::Mix;

use crate::Memory;
use crate::descent::along;
use crate::tower::{Sequences, Tower};
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
    /// What is remembered of an episode, behind the encoder's layers.
    pub(crate) memory: Memory,
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
    /// Whether features are to be seen as the statistics in its buffers say.
    pub(crate) standardise: bool,
    /// How the weights of all layers begin, but for those of a memory and of noise.
    pub(crate) start: Start,
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
    /// Standardises features, where that is asked for.
    standardise: Option<Standardise>,
    tower: Tower,
    embedding: Option<Embedding>,
    /// The state's stream, where they are two.
    value: Option<Head>,
    /// The actions' stream, or the only one.
    advantage: Head,
    actions: usize,
    noise: usize,
    device: Device,
}

/// The last dense layer, where it is not the encoder's, and the linear one after it.
struct Head {
    wide: Option<Dense>,
    out: Dense,
}

/// Memory of passes on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pass {
    encoder: HostForward,
    mixed: HostForward,
    value: HostForward,
    room: HostForward,
    /// What is remembered after the last row of sequences.
    states: Vec<f32>,
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
        let Shape { trunk, memory, layer_norm, start, precision, .. } = *shape;
        let config = EncoderConfig { trunk, hidden, activation: Activation::Relu, layer_norm, precision };
        let tower = Tower::new(spec, &config, memory, &mut params.layer("encoder").with_start(start))?;
        let inputs = tower.width();
        let embedding = match shape.embedding {
            Some((cosines, _)) => Some(Embedding::new(&mut params.layer("tau").with_start(start), cosines, inputs)?),
            None => None,
        };
        let (actions, mut noise) = (spec.discrete[0] as usize, 0);
        let mut head = |name, outputs| {
            Head::new(&mut params.layer(name).with_start(start), [inputs, outputs], wide, shape, &mut noise)
        };
        let value = if shape.dueling { Some(head("value", shape.width)?) } else { None };
        let advantage = head(if shape.dueling { "advantage" } else { "q" }, shape.width * actions)?;
        let standardise = match shape.standardise {
            true => Some(Standardise::new(&mut params.layer("features"), spec.vector)?),
            false => None,
        };
        let device = device.clone();
        Ok((Self { standardise, tower, embedding, value, advantage, actions, noise, device }, params))
    }

    /// What standardises features, where anything does; passes take features that it was applied to.
    pub(crate) fn standardise(&self) -> Option<&Standardise> {
        self.standardise.as_ref()
    }

    /// Numbers in a row of noise; 0 for a network without.
    pub(crate) fn noise(&self) -> usize {
        self.noise
    }

    /// Actions to choose from.
    pub(crate) fn actions(&self) -> usize {
        self.actions
    }

    /// Numbers that it remembers of a seat; 0 without a memory.
    pub(crate) fn state_width(&self) -> usize {
        self.tower.state_width()
    }

    /// The graph of a pass; with a memory of the rows of `sequences` that are wanted.
    pub(crate) fn forward(&self, obs: &ObsBatch<'_>, draws: &Draws, sequences: Option<&Sequences>) -> Result<Outputs> {
        Ok(self.forward_on(obs, draws, sequences)?.0)
    }

    /// The same with what is remembered after the last step.
    fn forward_on(
        &self,
        obs: &ObsBatch<'_>,
        draws: &Draws,
        sequences: Option<&Sequences>,
    ) -> Result<(Outputs, Option<Tensor>)> {
        let noise = Noise { values: &draws.noise, width: self.noise };
        let unrolled = sequences.map(|sequences| sequences.unroll(self.state_width(), &self.device)).transpose()?;
        let (mut features, states) = self.tower.forward(obs, unrolled.as_ref(), 0)?; // [B, F]
        if let Some(embedding) = &self.embedding {
            features = embedding.forward(&features, &draws.taus)?; // [B·N, F]
        }
        let value = self.value.as_ref().map(|head| head.forward(&features, noise)).transpose()?;
        let advantage = self.advantage.forward(&features, noise)?;
        Ok((Outputs { advantage, value, actions: self.actions }, states))
    }

    /// `[B, W, A]` on the host, in memory of `pass`: the bits of [`forward`](QNet::forward). On the CPU nothing is built or
    /// allocated on the way. `states [B, S]` go from before the step to after it; none without a memory.
    pub(crate) fn run<'a>(
        &self,
        obs: &ObsBatch<'_>,
        draws: &Draws,
        states: &mut [f32],
        pass: &'a mut Pass,
    ) -> rl_core::Result<&'a [f32]> {
        if !self.device.is_cpu() {
            let starts = vec![0.0; obs.rows];
            return self.run_on_device(obs, draws, &starts, states, pass).map_err(rl_nn::tensor);
        }
        self.tower.run(obs, states, self.state_width(), 0, &mut pass.encoder).map_err(rl_nn::tensor)?;
        self.heads(draws, pass).map_err(rl_nn::tensor)
    }

    /// The same of all rows of sequences, `[T·B, W, A]`, with a memory that is `states [B, S]` before the first; `starts [T, B]`
    /// are not 0 where an episode starts.
    pub(crate) fn unroll<'a>(
        &self,
        obs: &ObsBatch<'_>,
        starts: &[f32],
        states: &[f32],
        draws: &Draws,
        pass: &'a mut Pass,
    ) -> rl_core::Result<&'a [f32]> {
        if !self.device.is_cpu() {
            return self.run_on_device(obs, draws, starts, &mut states.to_vec(), pass).map_err(rl_nn::tensor);
        }
        self.pass_on(obs, starts, states, pass).map_err(rl_nn::tensor)?;
        self.heads(draws, pass).map_err(rl_nn::tensor)
    }

    /// What is remembered after all rows of sequences, `[B, S]`.
    pub(crate) fn remember<'a>(
        &self,
        obs: &ObsBatch<'_>,
        starts: &[f32],
        states: &[f32],
        pass: &'a mut Pass,
    ) -> rl_core::Result<&'a [f32]> {
        pass.states.clear();
        pass.states.extend_from_slice(states);
        if starts.is_empty() {
            return Ok(&pass.states);
        }
        let done = if self.device.is_cpu() {
            self.pass_on(obs, starts, states, pass)
        } else {
            self.sequences(starts, states).unroll(self.state_width(), &self.device).and_then(|unrolled| {
                let after = self.tower.forward(obs, Some(&unrolled), 0)?.1;
                read_states(after, &mut pass.states)
            })
        };
        done.map_err(rl_nn::tensor)?;
        Ok(&pass.states)
    }

    /// Features of all rows and the states after them, in memory of `pass`.
    fn pass_on(&self, obs: &ObsBatch<'_>, starts: &[f32], states: &[f32], pass: &mut Pass) -> Result<()> {
        let Pass { encoder, value, room, states: after, .. } = pass;
        after.clear();
        after.extend_from_slice(states);
        self.tower.unroll(obs, starts, after, encoder, [room, value])
    }

    /// Features, left in `pass`, to values.
    fn heads<'a>(&self, draws: &Draws, pass: &'a mut Pass) -> Result<&'a [f32]> {
        let noise = Noise { values: &draws.noise, width: self.noise };
        let Pass { encoder, mixed, value, room, .. } = pass;
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

    /// All rows of sequences, as a graph takes them.
    fn sequences(&self, starts: &[f32], states: &[f32]) -> Sequences {
        let batch = states.len() / self.state_width();
        let wanted = (0..starts.len() as u32).collect();
        Sequences { steps: starts.len() / batch, starts: starts.to_vec(), states: states.to_vec(), wanted }
    }

    fn run_on_device<'a>(
        &self,
        obs: &ObsBatch<'_>,
        draws: &Draws,
        starts: &[f32],
        states: &mut [f32],
        pass: &'a mut Pass,
    ) -> Result<&'a [f32]> {
        let sequences = (self.state_width() > 0).then(|| self.sequences(starts, states));
        let (outputs, after) = self.forward_on(obs, draws, sequences.as_ref())?;
        *pass.encoder.begin() = outputs.to_host()?;
        read_states(after, states)?;
        Ok(pass.encoder.values())
    }
}

fn read_states(after: Option<Tensor>, states: &mut [f32]) -> Result<()> {
    if let Some(after) = after {
        states.copy_from_slice(&after.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(())
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

    fn run(&self, flow: &mut HostForward, room: &mut HostForward, noise: Noise<'_>) -> Result<()> {
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

#[cfg(test)]
mod tests;
