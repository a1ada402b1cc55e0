//! What every encoder promises, on every kind of spec.

use candle_core::{Device, Tensor};
use rl_core::{Rng, Spec, Stream};
use rl_nn::{Activation, HostForward, Params, Precision};
use rl_perception::{Encoder, EncoderConfig, ObsBatch, Trunk, encoder_for};

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

/// Every trunk on every spec with frames, with layer norms where it can have them, and dense layers on the others.
fn cases() -> Vec<(Spec, EncoderConfig)> {
    const ALL: [(Trunk, bool); 5] = [
        (Trunk::Nature, false),
        (Trunk::Nature, true),
        (Trunk::Padded, true),
        (Trunk::Small, false),
        (Trunk::Impala, false),
    ];
    let of = |spec: Spec| {
        let trunks: &[(Trunk, bool)] = &ALL[..if spec.frame_len() > 0 { ALL.len() } else { 2 }];
        let sized = move |&(trunk, layer_norm)| (spec.clone(), EncoderConfig { layer_norm, ..config(trunk, &[24, 8]) });
        trunks.iter().map(sized)
    };
    let small = (spec([12, 20, 1], 2, 0, &[]), config(Trunk::Padded, &[24])); // for which the others are too large
    specs().into_iter().flat_map(of).chain([small]).collect()
}

fn config(trunk: Trunk, hidden: &[usize]) -> EncoderConfig {
    let (activation, precision) = (Activation::Relu, Precision::F32);
    EncoderConfig { trunk, hidden: hidden.to_vec(), activation, layer_norm: false, precision }
}

fn build(spec: &Spec, config: &EncoderConfig) -> (Params, Box<dyn Encoder>) {
    let mut params = Params::new(&Device::Cpu, Rng::new(3, Stream::Init));
    let encoder = encoder_for(spec, config, &mut params.layer("encoder")).unwrap();
    assert_eq!(params.iter().any(|(name, _)| name.contains("norm")), config.layer_norm);
    (params, encoder)
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

    fn seen(&self, from: usize, rows: usize) -> ObsBatch<'_> {
        let (f, v, s) = (self.frames.len() / self.rows, self.vector.len() / self.rows, self.symbols.len() / self.rows);
        ObsBatch {
            rows,
            frames: &self.frames[from * f..(from + rows) * f],
            vector: &self.vector[from * v..(from + rows) * v],
            symbols: &self.symbols[from * s..(from + rows) * s],
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_batch_around_it() {
    for (spec, config) in cases() {
        let (_params, encoder) = build(&spec, &config);
        let rows = Rows::draw(&spec, 64);
        let run = |from, rows_| encoder.forward(&rows.seen(from, rows_)).unwrap().to_vec2::<f32>().unwrap();
        let all = run(0, 64);
        assert_eq!(all[0].len(), encoder.width());
        for batch in (1..64).step_by(if spec.stack > 1 { 9 } else { 1 }) {
            let from = (batch * 5) % (65 - batch);
            assert!(run(from, batch) == all[from..from + batch], "{config:?} on {spec:?}, {batch} from row {from}");
        }
    }
}

#[test]
fn every_parameter_gets_a_gradient() {
    for (spec, config) in cases() {
        let (params, encoder) = build(&spec, &config);
        let features = encoder.forward(&Rows::draw(&spec, 16).seen(0, 16)).unwrap();
        let mut grad = Vec::new();
        params.backward(&features.sqr().unwrap().sum_all().unwrap(), &mut grad).unwrap();
        for (name, _) in params.iter() {
            let touched = (0..params.len()).any(|i| params.name_at(i) == name && grad[i] != 0.0);
            assert!(touched, "{name} of {config:?} on {spec:?} gets no gradient");
        }
    }
}

#[test]
fn the_host_has_the_bits_of_the_graph_in_memory_that_it_keeps() {
    let mut flow = HostForward::default();
    for (spec, config) in cases() {
        let (_params, encoder) = build(&spec, &config);
        let rows = Rows::draw(&spec, 9);
        for batch in [9, 1, 4] {
            let seen = rows.seen(9 - batch, batch);
            encoder.run(&seen, &mut flow).unwrap();
            let graph: Vec<f32> = encoder.forward(&seen).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            assert!(flow.values() == graph, "{config:?} on {spec:?}, {batch} rows");
        }
    }
}

#[test]
fn trunks_have_the_filters_and_features_of_their_sources() {
    let shapes = |trunk, side| {
        let mut params = Params::new(&Device::Cpu, Rng::new(3, Stream::Init));
        let spec = spec([side, side, 1], 4, 0, &[]);
        let encoder = encoder_for(&spec, &config(trunk, &[256]), &mut params.root()).unwrap();
        assert_eq!(encoder.width(), 256);
        let weights = params.iter().filter(|(name, _)| name.ends_with("weight"));
        weights.map(|(_, var)| var.dims().to_vec()).collect::<Vec<_>>()
    };
    let plain = |filters: [usize; 3], flat| {
        let [a, b, c] = filters;
        vec![vec![8, 8, 4, a], vec![4, 4, a, b], vec![3, 3, b, c], vec![flat, 256]]
    };
    assert_eq!(shapes(Trunk::Nature, 84), plain([32, 64, 64], 7 * 7 * 64));
    assert_eq!(shapes(Trunk::Nature, 64), plain([32, 64, 64], 4 * 4 * 64));
    assert_eq!(shapes(Trunk::Padded, 84), plain([32, 64, 64], 11 * 11 * 64));
    assert_eq!(shapes(Trunk::Padded, 64), plain([32, 64, 64], 8 * 8 * 64));
    assert_eq!(shapes(Trunk::Padded, 12), plain([32, 64, 64], 2 * 2 * 64), "where the others have no output");
    assert_eq!(shapes(Trunk::Small, 84), plain([16, 32, 32], 7 * 7 * 32));
    let mut expected = Vec::new();
    for (inputs, filters) in [(4, 16), (16, 32), (32, 32)] {
        expected.push(vec![3, 3, inputs, filters]);
        expected.extend(vec![vec![3, 3, filters, filters]; 4]);
    }
    expected.push(vec![11 * 11 * 32, 256]);
    assert_eq!(shapes(Trunk::Impala, 84), expected);
}

#[test]
fn pixels_are_scaled_once() {
    // With weights 0 but for one tap of conv1, the first feature map is that pixel over 255.
    let spec = spec([36, 36, 1], 1, 0, &[]);
    let mut params = Params::new(&Device::Cpu, Rng::new(3, Stream::Init));
    let encoder = encoder_for(&spec, &config(Trunk::Nature, &[]), &mut params.root()).unwrap();
    for (name, var) in params.iter() {
        let mut values = vec![0f32; var.elem_count()];
        if name.ends_with("weight") {
            values[0] = 1.0;
        }
        var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap()).unwrap();
    }
    let frames = vec![51u8; 36 * 36];
    let seen = ObsBatch { rows: 1, frames: &frames, vector: &[], symbols: &[] };
    let features = encoder.forward(&seen).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(features[0][0], 51.0 / 255.0);
}

#[test]
fn too_small_frames_and_empty_observations_are_refused() {
    let refused = |spec: Spec, hidden: &[usize]| {
        let mut params = Params::new(&Device::Cpu, Rng::new(3, Stream::Init));
        encoder_for(&spec, &config(Trunk::Small, hidden), &mut params.root()).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(spec([35, 84, 1], 4, 0, &[]), &[8]).contains("35 × 84 are too small"));
    assert!(refused(spec([0, 0, 0], 1, 0, &[]), &[8]).contains("nothing to encode"));
    assert!(refused(spec([0, 0, 0], 1, 4, &[]), &[8, 0]).contains("dense layer 2 has width 0"));
}
