//! A network of action logits and of the value of what is seen.
//!
//! Frames have one trunk for both, features and symbols a trunk each: there a shared one costs more than it saves.
//! Weights are orthogonal with gain √2, the heads' with 0.01 and 1, biases 0.
//! Source: Engstrom et al. 2020; Huang et al. 2022, "The 37 implementation details of PPO".

use std::f64::consts::SQRT_2;

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{Activation, Flow, Init, Linear, Params};
use rl_perception::{Encoder, EncoderConfig, Seen, encoder_for};

/// π(· | s) of all discrete actions as logits, and V(s).
pub(crate) struct ActorCritic {
    trunk: Box<dyn Encoder>,
    /// The critic's own trunk, where they are two.
    critic: Option<Box<dyn Encoder>>,
    policy_head: Linear,
    value_head: Linear,
    on_cpu: bool,
}

/// Memory of a pass on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    policy: Flow,
    value: Flow,
}

impl Flows {
    /// Logits of the last pass, `[B, A]`.
    pub(crate) fn logits(&self) -> &[f32] {
        self.policy.values()
    }

    /// Values of the last pass that made them, `[B]`.
    pub(crate) fn values(&self) -> &[f32] {
        self.value.values()
    }
}

impl ActorCritic {
    /// A network for `spec` and its parameters, drawn from `rng`.
    pub(crate) fn new(spec: &Spec, config: &EncoderConfig, device: &Device, rng: &Rng) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng.clone());
        let shared = spec.frame_len() > 0;
        let trunk = encoder_for(spec, config, &mut params.layer(if shared { "trunk" } else { "policy" }))?;
        let critic = if shared { None } else { Some(encoder_for(spec, config, &mut params.layer("value"))?) };
        let actions = spec.discrete.iter().map(|&count| count as usize).sum();
        let mut head = |name, outputs| Linear::new(&mut params.layer(name), trunk.width(), outputs, Activation::None);
        let (policy_head, value_head) = (head("policy_head", actions)?, head("value_head", 1)?);
        initialise(&params, rng.clone())?;
        Ok((Self { trunk, critic, policy_head, value_head, on_cpu: device.is_cpu() }, params))
    }

    /// Logits `[B, A]` and values `[B]`.
    pub(crate) fn forward(&self, obs: &Seen<'_>) -> Result<(Tensor, Tensor)> {
        let features = self.trunk.forward(obs)?;
        let logits = self.policy_head.forward(&features)?; // [B, A]
        let features = self.critic.as_ref().map_or(Ok(features), |critic| critic.forward(obs))?;
        Ok((logits, self.value_head.forward(&features)?.squeeze(1)?)) // [B]
    }

    /// Logits, and values where they are asked for, left in `flows`: the bits of [`forward`](Self::forward). On the CPU
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
        policy.linear(&self.policy_head)
    }

    fn run_on_device(&self, obs: &Seen<'_>, Flows { policy, value }: &mut Flows) -> Result<()> {
        let (logits, values) = self.forward(obs)?;
        *policy.begin() = logits.flatten_all()?.to_vec1()?;
        *value.begin() = values.to_vec1()?;
        Ok(())
    }
}

/// Fills every parameter; encoders come with the initialisation of whoever trains on targets.
fn initialise(params: &Params, mut rng: Rng) -> Result<()> {
    let mut flat = Vec::with_capacity(params.len());
    for (name, var) in params.iter() {
        let init = match name {
            _ if name.ends_with("bias") => Init::Zeros,
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
    use rl_core::Stream;

    use rl_nn::Precision;

    use super::*;

    fn spec(frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]) -> Spec {
        let (symbols, discrete, continuous) = (symbols.into(), [3, 2].into(), [].into());
        Spec { frame, stack, vector, symbols, mask: false, discrete, continuous }
    }

    fn build(spec: &Spec, hidden: &[usize]) -> (ActorCritic, Params) {
        let config = EncoderConfig { hidden: hidden.to_vec(), precision: Precision::F32 };
        ActorCritic::new(spec, &config, &Device::Cpu, &Rng::new(2, Stream::Init)).unwrap()
    }

    #[test]
    fn the_host_has_the_bits_of_the_graph_at_every_batch() {
        let cases = [
            (spec([0; 3], 1, 4, &[]), vec![64, 64]),
            (spec([0; 3], 1, 3, &[4, 7]), vec![]),
            (spec([44, 36, 1], 2, 3, &[6]), vec![33, 17]),
        ];
        let mut rng = Rng::new(1, Stream::Tool(0));
        let mut flows = Flows::default();
        for (spec, hidden) in cases {
            let net = build(&spec, &hidden).0;
            for rows in (1..=16).rev() {
                let frames: Vec<u8> = (0..rows * spec.frame_len() * spec.stack).map(|_| rng.below(256) as u8).collect();
                let vector: Vec<f32> = (0..rows * spec.vector).map(|_| rng.normal() as f32).collect();
                let symbols: Vec<u32> =
                    (0..rows).flat_map(|_| spec.symbols.to_vec()).map(|count| rng.below(count)).collect();
                let obs = Seen { rows, frames: &frames, vector: &vector, symbols: &symbols };
                let (logits, values) = net.forward(&obs).unwrap();
                let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
                net.run(&obs, true, &mut flows).unwrap();
                assert_eq!((flows.logits(), flows.values()), (&logits[..], &values.to_vec1::<f32>().unwrap()[..]));
                net.run(&obs, false, &mut flows).unwrap();
                assert_eq!(flows.logits(), logits);
                assert!(rows == 1 || logits[..5] != logits[5..10], "rows differ");
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
