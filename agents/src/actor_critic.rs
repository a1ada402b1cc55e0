//! A network of what a policy's distributions are made of, and of the value of what is seen.
//!
//! Frames have one trunk for both, features and symbols a trunk each: there a shared one costs more than it saves.
//! Weights are orthogonal with gain √2, the heads' with 0.01 and 1, biases and logarithms of deviations 0.
//! Source: Engstrom et al. 2020; Huang et al. 2022, "The 37 implementation details of PPO".

use std::f64::consts::SQRT_2;

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{Activation, Flow, Init, Linear, Params, Standardise, Tail};
use rl_perception::{Encoder, EncoderConfig, Seen, encoder_for};

/// π(· | s) of all actions as the outputs that a `Distribution` takes, and V(s).
pub(crate) struct ActorCritic {
    /// Standardises features, where that is asked for.
    standardise: Option<Standardise>,
    trunk: Box<dyn Encoder>,
    /// The critic's own trunk, where they are two.
    critic: Option<Box<dyn Encoder>>,
    /// Logits, then means.
    policy_head: Linear,
    value_head: Linear,
    /// Behind the outputs of the policy's head, where actions are continuous.
    log_std: Option<Tail>,
    /// Outputs of the policy's head.
    heads: usize,
    on_cpu: bool,
}

/// Memory of a pass on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    policy: Flow,
    value: Flow,
}

impl Flows {
    /// Outputs of the last pass, `[B, W]`.
    pub(crate) fn outputs(&self) -> &[f32] {
        self.policy.values()
    }

    /// Values of the last pass that made them, `[B]`.
    pub(crate) fn values(&self) -> &[f32] {
        self.value.values()
    }
}

impl ActorCritic {
    /// A network for `spec` and its parameters, drawn from `rng`; with `standardise`, features are seen as the statistics in
    /// its buffers say.
    pub(crate) fn new(
        spec: &Spec,
        config: &EncoderConfig,
        standardise: bool,
        device: &Device,
        rng: &Rng,
    ) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng.clone());
        let shared = spec.frame_len() > 0;
        let trunk = encoder_for(spec, config, &mut params.layer(if shared { "trunk" } else { "policy" }))?;
        let critic = if shared { None } else { Some(encoder_for(spec, config, &mut params.layer("value"))?) };
        let continuous = spec.continuous.len();
        let heads = spec.discrete.iter().map(|&count| count as usize).sum::<usize>() + continuous;
        let mut head = |name, outputs| Linear::new(&mut params.layer(name), trunk.width(), outputs, Activation::None);
        let (policy_head, value_head) = (head("policy_head", heads)?, head("value_head", 1)?);
        let log_std = match continuous {
            0 => None,
            count => Some(Tail::new(&mut params.root(), "log_std", count, Init::Zeros)?),
        };
        let standardise =
            if standardise { Some(Standardise::new(&mut params.layer("features"), spec.vector)?) } else { None };
        initialise(&params, rng.clone())?;
        let on_cpu = device.is_cpu();
        Ok((Self { standardise, trunk, critic, policy_head, value_head, log_std, heads, on_cpu }, params))
    }

    /// What standardises features, where anything does.
    pub(crate) fn standardise(&self) -> Option<&Standardise> {
        self.standardise.as_ref()
    }

    /// Outputs `[B, W]` and values `[B]` of observations whose features are standardised already.
    pub(crate) fn forward(&self, obs: &Seen<'_>) -> Result<(Tensor, Tensor)> {
        let features = self.trunk.forward(obs)?;
        let outputs = self.policy_head.forward(&features)?;
        let outputs = self.log_std.as_ref().map_or(Ok(outputs.clone()), |log_std| log_std.forward(&outputs))?; // [B, W]
        let features = self.critic.as_ref().map_or(Ok(features), |critic| critic.forward(obs))?;
        Ok((outputs, self.value_head.forward(&features)?.squeeze(1)?)) // [B]
    }

    /// Outputs, and values where they are asked for, left in `flows`: the bits of [`forward`](Self::forward). On the CPU
    /// nothing is built or allocated on the way.
    pub(crate) fn run(&self, obs: &Seen<'_>, values: bool, flows: &mut Flows) -> rl_core::Result<()> {
        let run = if self.on_cpu { self.run_on_host(obs, values, flows) } else { self.run_on_device(obs, flows) };
        run.map_err(rl_nn::tensor)
    }

    fn run_on_host(&self, obs: &Seen<'_>, values: bool, Flows { policy, value }: &mut Flows) -> Result<()> {
        self.trunk.run(obs, policy)?;
        if values {
            match &self.critic {
                Some(critic) => critic.run(obs, value)?,
                None => value.begin().extend_from_slice(policy.values()),
            }
            value.linear(&self.value_head)?;
        }
        policy.linear(&self.policy_head)?;
        self.log_std.as_ref().map_or(Ok(()), |log_std| policy.tail(self.heads, log_std))
    }

    fn run_on_device(&self, obs: &Seen<'_>, Flows { policy, value }: &mut Flows) -> Result<()> {
        let (outputs, values) = self.forward(obs)?;
        *policy.begin() = outputs.flatten_all()?.to_vec1()?;
        *value.begin() = values.to_vec1()?;
        Ok(())
    }
}

/// Fills every parameter; encoders come with the initialisation of whoever trains on targets.
fn initialise(params: &Params, mut rng: Rng) -> Result<()> {
    let mut flat = Vec::with_capacity(params.len());
    for (name, var) in params.iter() {
        let init = match name {
            _ if name.ends_with("bias") || name == "log_std" => Init::Zeros,
            "policy_head.weight" => Init::Orthogonal { gain: 0.01 },
            "value_head.weight" => Init::Orthogonal { gain: 1.0 },
            _ => Init::Orthogonal { gain: SQRT_2 },
        };
        flat.extend(init.draw(var.dims(), &mut rng));
    }
    params.write(&flat)
}

#[cfg(test)]
mod tests {
    use rl_core::{Bound, Stream};

    use rl_nn::Precision;

    use super::*;

    fn spec(frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]) -> Spec {
        Spec { frame, stack, vector, symbols: symbols.into(), discrete: [3, 2].into(), ..Spec::none() }
    }

    fn build(spec: &Spec, hidden: &[usize]) -> (ActorCritic, Params) {
        let config = EncoderConfig {
            hidden: hidden.to_vec(),
            activation: Activation::Relu,
            layer_norm: false,
            precision: Precision::F32,
        };
        ActorCritic::new(spec, &config, false, &Device::Cpu, &Rng::new(2, Stream::Init)).unwrap()
    }

    #[test]
    fn the_host_has_the_bits_of_the_graph_at_every_batch() {
        let continuous = [Bound { low: -1.0, high: 1.0 }; 2].into();
        let cases = [
            (spec([0; 3], 1, 4, &[]), vec![64, 64]),
            (Spec { continuous, ..spec([0; 3], 1, 4, &[]) }, vec![32]),
            (spec([0; 3], 1, 3, &[4, 7]), vec![]),
            (spec([44, 36, 1], 2, 3, &[6]), vec![33, 17]),
        ];
        let mut rng = Rng::new(1, Stream::Tool(0));
        let mut flows = Flows::default();
        for (spec, hidden) in cases {
            let net = build(&spec, &hidden).0;
            let width = 5 + 2 * spec.continuous.len();
            for rows in (1..=16).rev() {
                let frames: Vec<u8> = (0..rows * spec.frame_len() * spec.stack).map(|_| rng.below(256) as u8).collect();
                let vector: Vec<f32> = (0..rows * spec.vector).map(|_| rng.normal() as f32).collect();
                let symbols: Vec<u32> =
                    (0..rows).flat_map(|_| spec.symbols.to_vec()).map(|count| rng.below(count)).collect();
                let obs = Seen { rows, frames: &frames, vector: &vector, symbols: &symbols };
                let (outputs, values) = net.forward(&obs).unwrap();
                let outputs: Vec<f32> = outputs.flatten_all().unwrap().to_vec1().unwrap();
                assert_eq!(outputs.len(), rows * width);
                net.run(&obs, true, &mut flows).unwrap();
                assert_eq!((flows.outputs(), flows.values()), (&outputs[..], &values.to_vec1::<f32>().unwrap()[..]));
                net.run(&obs, false, &mut flows).unwrap();
                assert_eq!(flows.outputs(), outputs);
                assert!(rows == 1 || outputs[..5] != outputs[width..][..5], "rows differ");
            }
        }
    }

    #[test]
    fn frames_share_a_trunk_and_features_do_not() {
        let names = |spec: &Spec| -> Vec<String> {
            build(spec, &[8]).1.iter().map(|(name, _)| name.to_owned()).filter(|n| n.ends_with("weight")).collect()
        };
        let features = ["policy.fc1", "value.fc1", "policy_head", "value_head"];
        assert_eq!(names(&spec([0; 3], 1, 4, &[])), features.map(|name| format!("{name}.weight")));
        let frames = ["trunk.conv1", "trunk.conv2", "trunk.conv3", "trunk.fc1", "policy_head", "value_head"];
        assert_eq!(names(&spec([36, 36, 1], 2, 0, &[])), frames.map(|name| format!("{name}.weight")));
    }

    #[test]
    fn weights_are_orthogonal_with_their_gain_and_biases_zero() {
        let params = build(&spec([0; 3], 1, 4, &[]), &[8]).1;
        for (name, var) in params.iter() {
            let squares = var.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            // As many directions of length `gain` as the smaller side has.
            let expected = match name {
                "policy.fc1.weight" | "value.fc1.weight" => 4.0 * 2.0,
                "policy_head.weight" => 5.0 * 1e-4,
                "value_head.weight" => 1.0,
                _ => 0.0,
            };
            assert!((squares - expected).abs() <= 1e-5 * expected, "{name}: {squares}, expected {expected}");
        }
        let both = |name: &str| params.iter().find(|(n, _)| *n == name).unwrap().1.flatten_all().unwrap();
        let [policy, value] = ["policy.fc1.weight", "value.fc1.weight"].map(|n| both(n).to_vec1::<f32>().unwrap());
        assert_ne!(policy, value);
    }
}
