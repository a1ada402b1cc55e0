//! Actor-critic network: the parameters of a policy's distributions, and the value of an observation.
//!
//! With frames, actor and critic share one trunk; with features and symbols alone each has its own, since sharing costs
//! more than it saves there. The same goes for recurrent layers, which follow the trunks.
//! Weights are orthogonal with gain √2, 1 in recurrent layers, 0.01 in the policy head and 1 in the value head;
//! biases and log standard deviations are 0.
//! Source: Engstrom et al. 2020; Huang et al. 2022, "The 37 implementation details of PPO".

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{Activation, HostForward, Init, InitScheme, Linear, Params, Standardise};
use rl_perception::{EncoderConfig, ObsBatch};

use crate::Memory;
use crate::policy_head::PolicyHead;
use crate::tower::{SequenceLayout, Tower};

/// Actor-critic network: observations to the parameters of π(· | s), which an `ActionDistribution` takes, and to V(s).
pub(crate) struct ActorCritic {
    /// Normalisation of features; `None` where it is not asked for.
    standardise: Option<Standardise>,
    trunk: Tower,
    /// The critic's own trunk; `None` where it is shared.
    critic: Option<Tower>,
    policy_head: PolicyHead,
    value_head: Linear,
    device: Device,
}

/// Buffers of a forward pass on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    policy: HostForward,
    value: HostForward,
}

impl Flows {
    /// Policy outputs of the last pass, `[B, W]`.
    pub(crate) fn outputs(&self) -> &[f32] {
        self.policy.values()
    }

    /// Values of the last pass that computed them, `[B]`.
    pub(crate) fn values(&self) -> &[f32] {
        self.value.values()
    }
}

impl ActorCritic {
    /// Creates a network for `spec`, with the recurrent layer `memory`, and its parameters, drawn from `rng`.
    ///
    /// With `standardise` the network gets buffers for the statistics that normalise features.
    pub(crate) fn new(
        spec: &Spec,
        config: &EncoderConfig,
        memory: Memory,
        standardise: bool,
        device: &Device,
        rng: &Rng,
    ) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng.clone());
        let shared = spec.frame_len() > 0;
        let mut tower =
            |name| Tower::new(spec, config, memory, &mut params.layer(name).with_init_scheme(InitScheme::Orthogonal));
        let trunk = tower(if shared { "trunk" } else { "policy" })?;
        let critic = if shared { None } else { Some(tower("value")?) };
        let policy_head = PolicyHead::new(spec, trunk.width(), &mut params)?;
        let (scope, init) = (&mut params.layer("value_head"), Init::Orthogonal { gain: 1.0 });
        let value_head = Linear::with_init(scope, trunk.width(), 1, Activation::None, init, Init::Zeros)?;
        let policy_head = policy_head.with_deviations(spec, &mut params)?;
        let standardise =
            if standardise { Some(Standardise::new(&mut params.layer("features"), spec.vector)?) } else { None };
        let device = device.clone();
        Ok((Self { standardise, trunk, critic, policy_head, value_head, device }, params))
    }

    /// Width of the recurrent state, `S`: that of the policy, then that of a critic with its own trunk.
    pub(crate) fn state_width(&self) -> usize {
        self.trunk.state_width() + self.critic.as_ref().map_or(0, Tower::state_width)
    }

    /// Normalisation of features, to be applied before a pass; `None` where it is not asked for.
    pub(crate) fn standardise(&self) -> Option<&Standardise> {
        self.standardise.as_ref()
    }

    /// Policy outputs `[B, W]` and values `[B]` of observations with normalised features, with the graph for gradients.
    ///
    /// With a recurrent layer only the rows that `sequences` wants are returned.
    pub(crate) fn forward(&self, obs: &ObsBatch<'_>, sequences: Option<&SequenceLayout>) -> Result<(Tensor, Tensor)> {
        self.unroll(obs, sequences).map(|(outputs, values, _)| (outputs, values))
    }

    /// Policy outputs, values, and the recurrent states after the last step, `[B, S]` in one or two parts.
    fn unroll(&self, obs: &ObsBatch<'_>, sequences: Option<&SequenceLayout>) -> Result<(Tensor, Tensor, Vec<Tensor>)> {
        let unrolled = sequences.map(|sequences| sequences.unroll(self.state_width(), &self.device)).transpose()?;
        let (features, state) = self.trunk.forward(obs, unrolled.as_ref(), 0)?;
        let outputs = self.policy_head.forward(&features)?; // [B, W]
        let critic =
            self.critic.as_ref().map(|critic| critic.forward(obs, unrolled.as_ref(), self.trunk.state_width()));
        let (features, own) = critic.unwrap_or(Ok((features, None)))?;
        let values = self.value_head.forward(&features)?.squeeze(1)?; // [B]
        Ok((outputs, values, state.into_iter().chain(own).collect()))
    }

    /// Computes policy outputs, and `values` where asked for, without a graph, and leaves them in `flows`.
    ///
    /// The results are bit for bit those of [`forward`](Self::forward). The recurrent `states [B, S]` are advanced by
    /// one step, the critic's only with its values. On the CPU no graph is built, and one thread allocates nothing.
    pub(crate) fn run(
        &self,
        obs: &ObsBatch<'_>,
        values: bool,
        states: &mut [f32],
        flows: &mut Flows,
    ) -> rl_core::Result<()> {
        let run = if self.device.is_cpu() { Self::run_on_host } else { Self::run_on_device };
        run(self, obs, values, states, flows).map_err(rl_nn::tensor)
    }

    fn run_on_host(
        &self,
        obs: &ObsBatch<'_>,
        values: bool,
        states: &mut [f32],
        Flows { policy, value }: &mut Flows,
    ) -> Result<()> {
        let width = self.state_width();
        self.trunk.run(obs, states, width, 0, policy)?;
        if values {
            match &self.critic {
                Some(critic) => critic.run(obs, states, width, self.trunk.state_width(), value)?,
                None => value.begin().extend_from_slice(policy.values()),
            }
            value.linear(&self.value_head)?;
        }
        self.policy_head.run(policy)
    }

    fn run_on_device(
        &self,
        obs: &ObsBatch<'_>,
        values: bool,
        states: &mut [f32],
        Flows { policy, value }: &mut Flows,
    ) -> Result<()> {
        let sequences = (self.state_width() > 0).then(|| SequenceLayout {
            steps: 1,
            starts: vec![0.0; obs.rows],
            states: states.to_vec(),
            wanted: (0..obs.rows as u32).collect(),
        });
        let (outputs, estimates, after) = self.unroll(obs, sequences.as_ref())?;
        *policy.begin() = outputs.flatten_all()?.to_vec1()?;
        *value.begin() = estimates.to_vec1()?;
        if !after.is_empty() {
            let after = Tensor::cat(&after, 1)?.to_vec2::<f32>()?;
            let advanced = if values { self.state_width() } else { self.trunk.state_width() }; // the policy's comes first
            for (state, after) in states.chunks_exact_mut(self.state_width()).zip(&after) {
                state[..advanced].copy_from_slice(&after[..advanced]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{Bound, Stream};

    use rl_nn::Precision;
    use rl_perception::Trunk;

    use super::*;

    fn spec(frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]) -> Spec {
        Spec { frame, stack, vector, symbols: symbols.into(), discrete: [3, 2].into(), ..Spec::none() }
    }

    fn build(spec: &Spec, hidden: &[usize], memory: Memory) -> (ActorCritic, Params) {
        let config = EncoderConfig {
            trunk: Trunk::Nature,
            hidden: hidden.to_vec(),
            activation: Activation::Relu,
            layer_norm: false,
            precision: Precision::F32,
        };
        ActorCritic::new(spec, &config, memory, false, &Device::Cpu, &Rng::new(2, Stream::Init)).unwrap()
    }

    const NONE: Memory = Memory::None {};

    #[test]
    fn the_host_has_the_bits_of_the_graph_at_every_batch() {
        let continuous = [Bound { low: -1.0, high: 1.0 }; 2].into();
        let (gru, lstm) = (Memory::Gru { units: 9, steps: 1 }, Memory::Lstm { units: 7, steps: 1 });
        let cases = [
            (spec([0; 3], 1, 4, &[]), vec![64, 64], NONE),
            (Spec { continuous, ..spec([0; 3], 1, 4, &[]) }, vec![32], lstm),
            (spec([0; 3], 1, 3, &[4, 7]), vec![], gru),
            (spec([44, 36, 1], 2, 3, &[6]), vec![33, 17], NONE),
            (spec([44, 36, 1], 2, 3, &[6]), vec![33], lstm),
        ];
        let mut rng = Rng::new(1, Stream::Tool(0));
        let mut flows = Flows::default();
        for (spec, hidden, memory) in cases {
            let net = build(&spec, &hidden, memory).0;
            let width = 5 + 2 * spec.continuous.len();
            for rows in (1..=16).rev() {
                let frames: Vec<u8> = (0..rows * spec.frame_len() * spec.stack).map(|_| rng.below(256) as u8).collect();
                let vector: Vec<f32> = (0..rows * spec.vector).map(|_| rng.normal() as f32).collect();
                let symbols: Vec<u32> =
                    (0..rows).flat_map(|_| spec.symbols.to_vec()).map(|count| rng.below(count)).collect();
                let obs = ObsBatch { rows, frames: &frames, vector: &vector, symbols: &symbols };
                let states: Vec<f32> = (0..rows * net.state_width()).map(|_| rng.normal() as f32).collect();
                let (starts, wanted) = (vec![0.0; rows], (0..rows as u32).collect());
                let step = SequenceLayout { steps: 1, starts, states: states.clone(), wanted };
                let (outputs, values, after) = net.unroll(&obs, (net.state_width() > 0).then_some(&step)).unwrap();
                let outputs: Vec<f32> = outputs.flatten_all().unwrap().to_vec1().unwrap();
                assert_eq!(outputs.len(), rows * width);
                let mut remembered = states.clone();
                net.run(&obs, true, &mut remembered, &mut flows).unwrap();
                assert_eq!((flows.outputs(), flows.values()), (&outputs[..], &values.to_vec1::<f32>().unwrap()[..]));
                if net.state_width() > 0 {
                    let after = Tensor::cat(&after, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    assert!(remembered == after && remembered != states, "{memory:?}");
                }
                let mut device = states.clone();
                net.run_on_device(&obs, true, &mut device, &mut flows).unwrap();
                assert_eq!((flows.outputs(), &device), (&outputs[..], &remembered));
                let mut policy = states.clone();
                net.run(&obs, false, &mut policy, &mut flows).unwrap();
                assert_eq!(flows.outputs(), outputs);
                let mut device = states.clone();
                net.run_on_device(&obs, false, &mut device, &mut flows).unwrap();
                assert_eq!((flows.outputs(), &device), (&outputs[..], &policy), "without values");
                let rows_of = |of: &[f32]| -> Vec<Vec<f32>> {
                    (0..rows).map(|row| of[row * net.state_width()..][..net.trunk.state_width()].to_vec()).collect()
                };
                assert_eq!(rows_of(&policy), rows_of(&remembered), "the policy remembers without its critic");
                assert!(rows == 1 || outputs[..5] != outputs[width..][..5], "rows differ");
            }
        }
    }

    #[test]
    fn frames_share_a_trunk_and_features_do_not() {
        let names = |spec: &Spec| -> Vec<String> {
            build(spec, &[8], NONE)
                .1
                .iter()
                .map(|(name, _)| name.to_owned())
                .filter(|n| n.ends_with("weight"))
                .collect()
        };
        let features = ["policy.fc1", "value.fc1", "policy_head", "value_head"];
        assert_eq!(names(&spec([0; 3], 1, 4, &[])), features.map(|name| format!("{name}.weight")));
        let frames = ["trunk.conv1", "trunk.conv2", "trunk.conv3", "trunk.fc1", "policy_head", "value_head"];
        assert_eq!(names(&spec([36, 36, 1], 2, 0, &[])), frames.map(|name| format!("{name}.weight")));
    }

    #[test]
    fn weights_are_orthogonal_with_their_gain_and_biases_and_log_deviations_zero() {
        let memory = Memory::Gru { units: 3, steps: 1 };
        let continuous = [Bound { low: -1.0, high: 1.0 }; 2].into();
        let params = build(&Spec { continuous, ..spec([0; 3], 1, 4, &[]) }, &[8], memory).1;
        assert!(params.iter().any(|(name, var)| name == "log_std" && var.dims() == [2]));
        for (name, var) in params.iter() {
            let squares = var.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            // As many directions of length `gain` as the smaller side has.
            let expected = match name {
                "policy.fc1.weight" | "value.fc1.weight" => 4.0 * 2.0,
                _ if name.contains("memory.weight_ih") => 8.0,
                _ if name.contains("memory.weight_hh") => 3.0,
                "policy_head.weight" => 3.0 * 1e-4,
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
