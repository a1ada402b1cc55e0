//! First values of parameters, drawn on the host so that every device starts from the same bits.

use std::f64::consts::SQRT_2;

use rl_core::Rng;
use serde::{Deserialize, Serialize};

/// Initialisation of one parameter, as the functions of `torch.nn.init`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Value 0 everywhere.
    Zeros,
    /// Value 1 everywhere.
    Ones,
    /// One value everywhere, such as 1 for the forget gate of an LSTM.
    Constant {
        /// Value of every element.
        value: f64,
    },
    /// Uniform distribution between `-bound` and `bound`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// Orthogonal matrix times `gain`: rows or columns are orthonormal, whichever are fewer. The last dimension is the
    /// output; the others are flattened to the input.
    /// Source: Saxe et al. 2014.
    Orthogonal {
        /// Factor on the orthonormal matrix, such as √2 before a ReLU.
        gain: f64,
    },
}

impl Init {
    /// PyTorch's default for weights and biases of linear and convolutional layers: `kaiming_uniform_` with a = √5,
    /// which is uniform in ±1/√`fan_in`.
    pub fn torch(fan_in: usize) -> Self {
        Init::Uniform { bound: 1.0 / (fan_in as f64).sqrt() }
    }

    /// Draws the values of a parameter of `shape`, row-major.
    ///
    /// # Panics
    /// If an orthogonal parameter has no dimension, or a last one of 0.
    pub fn draw(self, shape: &[usize], rng: &mut Rng) -> Vec<f32> {
        let len = shape.iter().product();
        match self {
            Init::Zeros => vec![0.0; len],
            Init::Ones => vec![1.0; len],
            Init::Constant { value } => vec![value as f32; len],
            Init::Uniform { bound } => (0..len).map(|_| rng.uniform(-bound, bound) as f32).collect(),
            Init::Orthogonal { gain } => {
                let columns = *shape.last().expect("an orthogonal parameter has dimensions");
                orthogonal(len / columns, columns, gain, rng)
            }
        }
    }
}

/// Default initialisation of the layers of a network; a preset names it, or the agent that builds the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitScheme {
    /// Weights and biases uniform in ±1/√`fan_in`, as PyTorch has it: [`Init::torch`].
    Torch,
    /// Weights uniform in ±√(6 / (`fan_in` + `fan_out`)), biases 0, as Dopamine's DQN has it (Xavier uniform).
    /// Source: Glorot and Bengio 2010.
    Xavier,
    /// Weights uniform in ±√(√3 / `fan_in`), biases 0: `variance_scaling(1/√3, "fan_in", "uniform")`, as Dopamine's
    /// Rainbow, C51, QR-DQN and IQN have it.
    FanIn,
    /// Weights orthogonal with gain √2, or 1 in recurrent layers, biases 0, as PPO and A2C have it. No preset names it.
    /// Source: Saxe et al. 2014; Huang et al. 2022, "The 37 implementation details of PPO".
    #[serde(skip)]
    Orthogonal,
}

impl InitScheme {
    /// Initialisations of the weight and the bias of a linear or convolutional layer, each of whose outputs sees `fan_in`
    /// inputs, and each of whose inputs is seen by `fan_out` outputs.
    pub fn of(self, fan_in: usize, fan_out: usize) -> [Init; 2] {
        let uniform = |variance: f64| Init::Uniform { bound: (3.0 * variance).sqrt() };
        match self {
            Self::Torch => [Init::torch(fan_in); 2],
            Self::Xavier => [uniform(2.0 / (fan_in + fan_out) as f64), Init::Zeros],
            Self::FanIn => [uniform(1.0 / (3f64.sqrt() * fan_in as f64)), Init::Zeros],
            Self::Orthogonal => [Init::Orthogonal { gain: SQRT_2 }, Init::Zeros],
        }
    }

    /// Initialisations of the weights and the biases of a recurrent layer of `units` units.
    pub(crate) fn recurrent(self, units: usize) -> [Init; 2] {
        match self {
            Self::Torch | Self::Xavier | Self::FanIn => [Init::torch(units); 2],
            Self::Orthogonal => [Init::Orthogonal { gain: 1.0 }, Init::Zeros],
        }
    }
}

/// Orthonormal matrix `[rows, columns]` times `gain`: modified Gram-Schmidt, twice, on normal draws.
fn orthogonal(rows: usize, columns: usize, gain: f64, rng: &mut Rng) -> Vec<f32> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| rng.normal()).collect();
        for _ in 0..2 {
            for other in &basis {
                let along = dot(&vector, other);
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = dot(&vector, &vector).sqrt();
        if norm > 1e-6 {
            vector.iter_mut().for_each(|a| *a /= norm);
            basis.push(vector);
        }
    }
    let at = |r: usize, c: usize| if rows <= columns { basis[r][c] } else { basis[c][r] };
    (0..rows * columns).map(|i| (gain * at(i / columns, i % columns)) as f32).collect()
}

/// Dot product in eight partial sums, which do not wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        (0..8).for_each(|lane| sums[lane] += a[lane] * b[lane]);
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use rl_core::Stream;

    use super::*;

    #[test]
    fn orthogonal_columns_have_norm_gain_and_no_overlap() {
        let (rows, columns) = (12, 5);
        let w = Init::Orthogonal { gain: 2.0 }.draw(&[3, 4, columns], &mut Rng::new(1, Stream::Init));
        for a in 0..columns {
            for b in 0..columns {
                let dot: f32 = (0..rows).map(|r| w[r * columns + a] * w[r * columns + b]).sum();
                assert!((dot - if a == b { 4.0 } else { 0.0 }).abs() < 1e-5, "columns {a} and {b}: {dot}");
            }
        }
    }

    #[test]
    fn layers_begin_with_the_variance_of_their_kind() {
        let (fan_in, fan_out) = (256, 512);
        for (scheme, variance) in [
            (InitScheme::Torch, 1.0 / 3.0 / 256.0),
            (InitScheme::Xavier, 2.0 / 768.0),
            (InitScheme::FanIn, 1.0 / 3f64.sqrt() / 256.0),
            (InitScheme::Orthogonal, 2.0 / 512.0),
        ] {
            let [weight, bias] = scheme.of(fan_in, fan_out);
            let w = weight.draw(&[fan_in, fan_out], &mut Rng::new(1, Stream::Init));
            let is = w.iter().map(|&x| f64::from(x * x)).sum::<f64>() / w.len() as f64;
            assert!((is / variance - 1.0).abs() < 0.02, "{scheme:?}: {is} and not {variance}");
            assert_eq!(bias == Init::Zeros, scheme != InitScheme::Torch);
        }
    }

    #[test]
    fn torch_default_fills_its_interval() {
        let w = Init::torch(16).draw(&[100, 100], &mut Rng::new(1, Stream::Init));
        let (low, high) = w.iter().fold((0f32, 0f32), |(l, h), &x| (l.min(x), h.max(x)));
        assert!((-0.25..-0.249).contains(&low) && (0.249..0.25).contains(&high), "{low} {high}");
    }
}
