//! What every encoder promises, on every kind of spec.

use candle_core::{Device, Tensor};
use rl_core::{Rng, Spec, Stream};
use rl_nn::{Activation, Params, Precision};
use rl_perception::{Encoder, EncoderConfig, Seen, encoder_for};

fn spec(frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]) -> Spec {
    let symbols = symbols.into();
    Spec { frame, stack, vector, symbols, mask: false, discrete: [2].into(), continuous: [].into() }
}

fn specs() -> Vec<Spec> {
    vec![
        spec([0, 0, 0], 1, 4, &[]),
        spec([0, 0, 0], 1, 0, &[16]),
        spec([0, 0, 0], 1, 3, &[5, 2]),
        spec([36, 44, 1], 4, 0, &[]),
        spec([36, 36, 3], 2, 2, &[3]),
    ]
}

/// The encoder of a spec, with layer norms and without.
fn builds(spec: &Spec) -> [(Params, Box<dyn Encoder>); 2] {
    [false, true].map(|layer_norm| {
        let mut params = Params::new(&Device::Cpu, Rng::new(3, Stream::Init));
        let (hidden, activation, precision) = (vec![24, 8], Activation::Relu, Precision::F32);
        let config = EncoderConfig { hidden, activation, layer_norm, precision };
        let encoder = encoder_for(spec, &config, &mut params.layer("encoder")).unwrap();
        assert_eq!(params.iter().any(|(name, _)| name.contains("norm")), layer_norm);
        (params, encoder)
    })
}

/// Every encoder with its spec.
fn all() -> impl Iterator<Item = (Spec, (Params, Box<dyn Encoder>))> {
    specs().into_iter().flat_map(|spec| builds(&spec).map(|built| (spec.clone(), built)))
}

struct Rows {
    rows: usize,
    frames: Vec<u8>,
    vector: Vec<f32>,
    symbols: Vec<u32>,
}

impl Rows {
    fn draw(spec: &Spec, rows: usize) -> Self {
        let mut rng = Rng::new(0, Stream::Tool(0));
        Self {
            rows,
            frames: (0..rows * spec.frame_len() * spec.stack).map(|_| rng.below(256) as u8).collect(),
            vector: (0..rows * spec.vector).map(|_| rng.normal() as f32).collect(),
            symbols: (0..rows).flat_map(|_| spec.symbols.iter().map(|&n| rng.below(n)).collect::<Vec<_>>()).collect(),
        }
    }

    fn seen(&self, from: usize, rows: usize) -> Seen<'_> {
        let (f, v, s) = (self.frames.len() / self.rows, self.vector.len() / self.rows, self.symbols.len() / self.rows);
        Seen {
            rows,
            frames: &self.frames[from * f..(from + rows) * f],
            vector: &self.vector[from * v..(from + rows) * v],
            symbols: &self.symbols[from * s..(from + rows) * s],
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_batch_around_it() {
    for (spec, (_params, encoder)) in all() {
        let rows = Rows::draw(&spec, 64);
        let run = |from, rows_| encoder.forward(&rows.seen(from, rows_)).unwrap().to_vec2::<f32>().unwrap();
        let all = run(0, 64);
        assert_eq!(all[0].len(), encoder.width());
        for batch in (1..64).step_by(if spec.stack > 1 { 9 } else { 1 }) {
            let from = (batch * 5) % (65 - batch);
            assert!(run(from, batch) == all[from..from + batch], "{spec:?}, batch {batch} from row {from}");
        }
    }
}

#[test]
fn every_parameter_gets_a_gradient() {
    for (spec, (params, encoder)) in all() {
        let features = encoder.forward(&Rows::draw(&spec, 16).seen(0, 16)).unwrap();
        let mut grad = Vec::new();
        params.backward(&features.sqr().unwrap().sum_all().unwrap(), &mut grad).unwrap();
        for (name, _) in params.iter() {
            let touched = (0..params.len()).any(|i| params.name_at(i) == name && grad[i] != 0.0);
            assert!(touched, "{name} of {spec:?} gets no gradient");
        }
    }
}

#[test]
fn pixels_are_scaled_once() {
    // With weights 0 but for one tap of conv1, the first feature map is that pixel over 255.
    let spec = spec([36, 36, 1], 1, 0, &[]);
    let mut params = Params::new(&Device::Cpu, Rng::new(3, Stream::Init));
    let encoder = encoder_for(
        &spec,
        &EncoderConfig { hidden: vec![], activation: Activation::Relu, layer_norm: false, precision: Precision::F32 },
        &mut params.root(),
    )
    .unwrap();
    for (name, var) in params.iter() {
        let mut values = vec![0f32; var.elem_count()];
        if name.ends_with("weight") {
            values[0] = 1.0;
        }
        var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap()).unwrap();
    }
    let frames = vec![51u8; 36 * 36];
    let seen = Seen { rows: 1, frames: &frames, vector: &[], symbols: &[] };
    let features = encoder.forward(&seen).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(features[0][0], 51.0 / 255.0);
}

#[test]
fn too_small_frames_and_empty_observations_are_refused() {
    let refused = |spec: Spec, hidden: &[usize]| {
        let mut params = Params::new(&Device::Cpu, Rng::new(3, Stream::Init));
        let config = EncoderConfig {
            hidden: hidden.to_vec(),
            activation: Activation::Relu,
            layer_norm: false,
            precision: Precision::F32,
        };
        encoder_for(&spec, &config, &mut params.root()).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(spec([35, 84, 1], 4, 0, &[]), &[8]).contains("35 × 84 are too small"));
    assert!(refused(spec([0, 0, 0], 1, 0, &[]), &[8]).contains("nothing to encode"));
    assert!(refused(spec([0, 0, 0], 1, 4, &[]), &[8, 0]).contains("dense layer 2 has width 0"));
}
