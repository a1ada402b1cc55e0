//! Q-network, of action values or their distributions: encoder, optional recurrent layer, and plain or dueling head.
//!
//! Outputs are always `[B, W, A]`: W numbers per action, which are the action value (W = 1), the logits of atoms, or
//! quantiles; an implicit quantile network has one output per drawn τ. A dueling head has an output of the state's
//! stream plus that of the action's stream minus the mean of the action's stream over all actions.
//! The host adds the streams and passes gradients back to them: the graph holds only layers.
//! Source: Wang et al. 2016, "Dueling network architectures", eq. 9, each stream with its own last dense layer, unless τ
//! is mixed in after that.

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{Activation, HostForward, InitScheme, Params, Precision, Scope, Standardise};
use rl_perception::{EncoderConfig, ObsBatch, Trunk};

pub(crate) use embedding::Mix;

use crate::Memory;
use crate::descent::along;
use crate::tower::{SequenceLayout, Tower};
use dense::{Dense, Noise, draw_noise};
use embedding::Embedding;

mod dense;
mod embedding;

/// Architecture of a Q-network.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Convolutional network for frames; unused without frames.
    pub(crate) trunk: Trunk,
    /// Widths of the dense layers; the last belongs to the head if that is dueling, noisy or follows an embedding of τ,
    /// unless τ is mixed in after it.
    pub(crate) hidden: Vec<usize>,
    /// Recurrent layer after the encoder.
    pub(crate) memory: Memory,
    /// Outputs per action; 1 for an implicit quantile network.
    pub(crate) width: usize,
    /// Whether the head is dueling.
    pub(crate) dueling: bool,
    /// Initial noise σ₀ of the head's layers (NoisyNet); 0 for plain layers.
    pub(crate) noisy: f64,
    /// Number of cosines that embed τ, and the place of the embedding; `None` but for implicit quantile networks.
    pub(crate) embedding: Option<(usize, Mix)>,
    /// Whether the encoder's layers have layer normalisation.
    pub(crate) layer_norm: bool,
    /// Whether the network gets buffers for the statistics that normalise features.
    pub(crate) standardise: bool,
    /// Initialisation of all layers, recurrent and noisy ones excepted.
    pub(crate) init: InitScheme,
    /// Number format in which dense and convolutional layers below the last one multiply.
    pub(crate) precision: Precision,
}

/// Random numbers of a forward pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draws {
    /// Probabilities τ of quantiles, `[B, N]`; empty for other than implicit quantile networks.
    pub(crate) taus: Vec<f32>,
    /// Rows of [`noise`](QNet::noise), one for all or one per observation; empty for the means of noisy weights.
    pub(crate) noise: Vec<f32>,
}

impl Draws {
    /// Removes all random numbers.
    pub(crate) fn clear(&mut self) {
        self.taus.clear();
        self.noise.clear();
    }

    /// Draws and appends `taus` probabilities, uniform in [0, 1), and a row of noise of `width` numbers.
    pub(crate) fn draw(&mut self, taus: usize, width: usize, rng: &mut Rng) {
        self.taus.extend((0..taus).map(|_| rng.f32()));
        draw_noise(width, rng, &mut self.noise);
    }

    /// Appends the middles of `taus` equal parts of [0, 1], without noise.
    pub(crate) fn spread(&mut self, taus: usize) {
        self.taus.extend((0..taus).map(|i| (i as f32 + 0.5) / taus as f32));
    }
}

/// Q-network: observations to Q(s, ·) of one discrete action, or to the distributions of its returns.
pub(crate) struct QNet {
    /// Normalisation of features; `None` where it is not asked for.
    standardise: Option<Standardise>,
    tower: Tower,
    embedding: Option<Embedding>,
    /// Stream of the state value; `None` where the head is not dueling.
    value: Option<Head>,
    /// Stream of the advantages, or the only stream.
    advantage: Head,
    actions: usize,
    noise: usize,
    device: Device,
}

/// One stream of the head: the last dense layer, unless it belongs to the encoder, and the linear output layer.
struct Head {
    wide: Option<Dense>,
    out: Dense,
}

/// Buffers of a forward pass on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pass {
    encoder: HostForward,
    mixed: HostForward,
    value: HostForward,
    room: HostForward,
    /// Recurrent states after the last row of sequences, `[B, S]`.
    states: Vec<f32>,
}

/// Outputs of a forward pass, with the graph for gradients.
pub(crate) struct Outputs {
    advantage: Tensor,
    value: Option<Tensor>,
    actions: usize,
}

impl QNet {
    /// Creates a network for `spec` and its parameters, drawn from `rng`.
    pub(crate) fn new(spec: &Spec, shape: &Shape, device: &Device, rng: Rng) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng);
        let mut hidden = shape.hidden.clone();
        let late = matches!(shape.embedding, Some((_, Mix::After)));
        let early = matches!(shape.embedding, Some((_, Mix::Before)));
        let own = (shape.dueling || shape.noisy > 0.0 || early) && !late;
        let wide = if own { hidden.pop() } else { None };
        let Shape { trunk, memory, layer_norm, init, precision, .. } = *shape;
        let config = EncoderConfig { trunk, hidden, activation: Activation::Relu, layer_norm, precision };
        let tower = Tower::new(spec, &config, memory, &mut params.layer("encoder").with_init_scheme(init))?;
        let inputs = tower.width();
        let embedding = match shape.embedding {
            Some((cosines, mix)) => {
                Some(Embedding::new(&mut params.layer(mix.name()).with_init_scheme(init), cosines, inputs, mix)?)
            }
            None => None,
        };
        let (actions, mut noise) = (spec.discrete[0] as usize, 0);
        let mut head = |name, outputs| {
            Head::new(&mut params.layer(name).with_init_scheme(init), [inputs, outputs], wide, shape, &mut noise)
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

    /// Normalisation of features, to be applied before a pass; `None` where it is not asked for.
    pub(crate) fn standardise(&self) -> Option<&Standardise> {
        self.standardise.as_ref()
    }

    /// Width of a row of noise: random numbers of all noisy layers; 0 without noisy layers.
    pub(crate) fn noise(&self) -> usize {
        self.noise
    }

    /// Number of actions, `A`.
    pub(crate) fn actions(&self) -> usize {
        self.actions
    }

    /// Width of the recurrent state, `S`; 0 without a recurrent layer.
    pub(crate) fn state_width(&self) -> usize {
        self.tower.state_width()
    }

    /// Outputs for all observations, or with a recurrent layer for the wanted rows of `sequences`, with the graph.
    pub(crate) fn forward(
        &self,
        obs: &ObsBatch<'_>,
        draws: &Draws,
        sequences: Option<&SequenceLayout>,
    ) -> Result<Outputs> {
        Ok(self.forward_on(obs, draws, sequences)?.0)
    }

    /// Outputs as by [`forward`](Self::forward), and the recurrent states after the last step, `[B, S]`.
    fn forward_on(
        &self,
        obs: &ObsBatch<'_>,
        draws: &Draws,
        sequences: Option<&SequenceLayout>,
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

    /// Outputs of one step without a graph, `[B, W, A]`, in buffers of `pass`.
    ///
    /// The results are bit for bit those of [`forward`](QNet::forward). The recurrent `states [B, S]` are advanced by
    /// the step; they are empty without a recurrent layer. On the CPU no graph is built, and one thread allocates
    /// nothing.
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

    /// Outputs of all rows of sequences without a graph, `[T·B, W, A]`, in buffers of `pass`.
    ///
    /// `states [B, S]` are the states before the first row; `starts [T, B]` are not 0 where an episode starts.
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

    /// Recurrent states after all rows of sequences, `[B, S]`, without a graph.
    ///
    /// `states [B, S]` are the states before the first row; `starts [T, B]` are not 0 where an episode starts.
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

    /// Computes features of all rows and the recurrent states after them, in buffers of `pass`.
    fn pass_on(&self, obs: &ObsBatch<'_>, starts: &[f32], states: &[f32], pass: &mut Pass) -> Result<()> {
        let Pass { encoder, value, room, states: after, .. } = pass;
        after.clear();
        after.extend_from_slice(states);
        self.tower.unroll(obs, starts, after, encoder, [room, value])
    }

    /// Maps the features in `pass` to outputs, `[B, W, A]`.
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

    /// Sequences of which all rows are wanted.
    fn sequences(&self, starts: &[f32], states: &[f32]) -> SequenceLayout {
        let batch = states.len() / self.state_width();
        let wanted = (0..starts.len() as u32).collect();
        SequenceLayout { steps: starts.len() / batch, starts: starts.to_vec(), states: states.to_vec(), wanted }
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
    /// Copies the outputs to the host, `[B, W, A]`, with the streams added.
    pub(crate) fn to_host(&self) -> Result<Vec<f32>> {
        let mut all: Vec<f32> = self.advantage.flatten_all()?.to_vec1()?;
        if let Some(value) = &self.value {
            join(&value.flatten_all()?.to_vec1::<f32>()?, &mut all, self.actions);
        }
        Ok(all)
    }

    /// A scalar tensor with the gradients of a loss whose gradient by the outputs is `by [B, W, A]`: Σ outputs · `by`.
    pub(crate) fn handle(&self, by: &[f32]) -> Result<Tensor> {
        let Some(value) = &self.value else { return along(&self.advantage, by) };
        let sums: Vec<f32> = by.chunks_exact(self.actions).map(|by| by.iter().sum()).collect();
        let share = |by: &[f32], sum: f32| by.iter().map(|by| by - sum / self.actions as f32).collect::<Vec<_>>();
        let rest: Vec<f32> = by.chunks_exact(self.actions).zip(&sums).flat_map(|(by, &sum)| share(by, sum)).collect();
        along(&self.advantage, &rest)? + along(value, &sums)?
    }
}

/// Adds state values `[B, W]` to advantages `[B, W, A]`, and subtracts the mean advantage of all actions.
fn join(values: &[f32], advantages: &mut [f32], actions: usize) {
    for (&value, advantages) in values.iter().zip(advantages.chunks_exact_mut(actions)) {
        let base = value - advantages.iter().sum::<f32>() / actions as f32;
        advantages.iter_mut().for_each(|advantage| *advantage += base);
    }
}

#[cfg(test)]
mod tests;
