//! Networks of values: the host against the graph, gradients, streams, noise.

use rl_core::Stream;

use super::*;

fn spec(frame: [usize; 3], stack: usize, vector: usize, symbols: &[u32]) -> Spec {
    let (symbols, discrete, continuous) = (symbols.into(), [5].into(), [].into());
    Spec { frame, stack, vector, symbols, mask: false, discrete, continuous }
}

const MEMORIES: [Memory; 2] = [Memory::Gru { units: 7, steps: 1 }, Memory::Lstm { units: 5, steps: 1 }];

fn plain(hidden: &[usize]) -> Shape {
    Shape {
        trunk: Trunk::Nature,
        hidden: hidden.to_vec(),
        memory: Memory::None {},
        width: 1,
        dueling: false,
        noisy: 0.0,
        embedding: None,
        layer_norm: false,
        init: InitScheme::Torch,
        standardise: false,
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

/// Some of them behind a memory.
fn remembering(hidden: &[usize]) -> Vec<Shape> {
    let of = |memory| shapes(hidden).into_iter().step_by(3).map(move |shape| Shape { memory, ..shape });
    MEMORIES.into_iter().flat_map(of).collect()
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
    for (spec, shape) in cases.iter().flat_map(|(spec, hidden)| shapes(hidden).into_iter().map(move |s| (spec, s))) {
        let large = spec.frame[0] == 84;
        let net = QNet::new(spec, &shape, &Device::Cpu, Rng::new(2, Stream::Init)).unwrap().0;
        for rows in (1..=if large { 3 } else { 16 }).rev() {
            let frames: Vec<u8> = (0..rows * spec.frame_len() * spec.stack).map(|_| rng.below(256) as u8).collect();
            let vector: Vec<f32> = (0..rows * spec.vector).map(|_| rng.normal() as f32).collect();
            let symbols: Vec<u32> =
                (0..rows).flat_map(|_| spec.symbols.to_vec()).map(|count| rng.below(count)).collect();
            let obs = ObsBatch { rows, frames: &frames, vector: &vector, symbols: &symbols };
            let taus = if shape.embedding.is_some() { (0..rows * 4).map(|_| rng.f32()).collect() } else { vec![] };
            // No noise, one for all, one for each.
            for noises in if shape.noisy > 0.0 { vec![0, 1, rows] } else { vec![0] } {
                let mut draws = Draws { taus: taus.clone(), noise: Vec::new() };
                (0..noises).for_each(|_| draw_noise(net.noise(), &mut rng, &mut draws.noise));
                let graph = net.forward(&obs, &draws, None).unwrap().to_host().unwrap();
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                let ours = bits(net.run(&obs, &draws, &mut [], &mut pass).unwrap());
                assert_eq!(ours, bits(&graph), "{rows} rows of {spec:?}, {shape:?}");
                let each = ours.len() / rows;
                distinct += usize::from(rows > 1 && ours[..each] != ours[each..2 * each]);
            }
        }
    }
    assert!(distinct > 500, "rows differ in their values: {distinct}");
}

#[test]
fn sequences_on_the_host_have_the_bits_of_the_graph_and_of_their_steps() {
    let (steps, batch) = (5, 3);
    let rows = steps * batch;
    let mut rng = Rng::new(1, Stream::Tool(0));
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    for shape in remembering(&[24, 16]) {
        let spec = spec([0; 3], 1, 4, &[]);
        let net = QNet::new(&spec, &shape, &Device::Cpu, Rng::new(2, Stream::Init)).unwrap().0;
        let width = net.state_width();
        let vector: Vec<f32> = (0..rows * 4).map(|_| rng.normal() as f32).collect();
        let states: Vec<f32> = (0..batch * width).map(|_| rng.normal() as f32).collect();
        let starts: Vec<f32> = (0..rows).map(|_| f32::from(rng.f32() < 0.2)).collect();
        let mut draws = Draws::default();
        draws.taus.extend((0..if shape.embedding.is_some() { rows * 4 } else { 0 }).map(|_| rng.f32()));
        draw_noise(net.noise(), &mut rng, &mut draws.noise);
        let obs = ObsBatch { rows, frames: &[], vector: &vector, symbols: &[] };
        let (mut pass, mut other) = (Pass::default(), Pass::default());
        let graph = net.forward(&obs, &draws, Some(&net.sequences(&starts, &states))).unwrap().to_host().unwrap();
        let ours = net.unroll(&obs, &starts, &states, &draws, &mut pass).unwrap();
        assert_eq!(bits(ours), bits(&graph), "{shape:?}");
        let mut after = states.clone();
        let device = net.run_on_device(&obs, &draws, &starts, &mut after, &mut other).unwrap();
        assert_eq!(bits(device), bits(&graph), "{shape:?}");
        assert_eq!(net.remember(&obs, &starts, &states, &mut other).unwrap(), after, "{shape:?}");

        let (mut seats, mut whole) = (states.clone(), Vec::new());
        for t in 0..steps {
            for (b, state) in seats.chunks_exact_mut(width).enumerate() {
                if starts[t * batch + b] != 0.0 {
                    state.fill(0.0);
                }
            }
            let obs = ObsBatch { rows: batch, vector: &vector[t * batch * 4..][..batch * 4], ..obs };
            let taus = draws.taus.len() / steps;
            let draws = Draws { taus: draws.taus[t * taus..][..taus].to_vec(), noise: draws.noise.clone() };
            whole.extend_from_slice(net.run(&obs, &draws, &mut seats, &mut pass).unwrap());
        }
        assert_eq!((bits(&whole), seats), (bits(&graph), after), "{shape:?}");
    }
}

#[test]
fn every_parameter_of_every_head_gets_a_gradient() {
    let mut rng = Rng::new(1, Stream::Tool(0));
    for shape in shapes(&[24, 16]).into_iter().chain(remembering(&[24, 16])) {
        let (net, params) =
            QNet::new(&spec([0; 3], 1, 4, &[]), &shape, &Device::Cpu, Rng::new(2, Stream::Init)).unwrap();
        let vector: Vec<f32> = (0..32).map(|_| rng.normal() as f32).collect();
        let obs = ObsBatch { rows: 8, frames: &[], vector: &vector, symbols: &[] };
        let mut draws = Draws::default();
        draws.taus.extend((0..if shape.embedding.is_some() { 24 } else { 0 }).map(|_| rng.f32()));
        draw_noise(net.noise(), &mut rng, &mut draws.noise);
        let sequences = (net.state_width() > 0).then(|| net.sequences(&[0.0; 8], &vec![0.5; 2 * net.state_width()]));
        let outputs = net.forward(&obs, &draws, sequences.as_ref()).unwrap();
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
fn layers_begin_as_is_asked_but_for_noisy_ones() {
    let spec = spec([36, 36, 1], 1, 0, &[]);
    let deviation = |init: InitScheme, noisy: f64| {
        let shape = Shape { init, noisy, embedding: Some((8, Mix::After)), ..plain(&[64]) };
        let (_, params) = QNet::new(&spec, &shape, &Device::Cpu, Rng::new(2, Stream::Init)).unwrap();
        let of = |(name, var): (&str, &candle_core::Var)| {
            let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (name.to_owned(), values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32)
        };
        params.iter().map(of).collect::<Vec<_>>()
    };
    for noisy in [0.0, 0.5] {
        for ((name, torch), (_, fan_in)) in
            deviation(InitScheme::Torch, noisy).iter().zip(&deviation(InitScheme::FanIn, noisy))
        {
            if name.contains("mean.") || name.contains("spread.") {
                // Of a bias there are few numbers to tell by.
                let same = if name.ends_with("bias") { *fan_in > 0.0 } else { (torch / fan_in - 1.0).abs() < 0.25 };
                assert!(same, "{name}: {torch} and {fan_in}");
            } else if name.ends_with("bias") {
                assert!(*torch > 0.0 && *fan_in == 0.0, "{name}: {torch} and {fan_in}");
            } else {
                // 1/√3 and 1/3 of 1/fan_in.
                assert!((fan_in / torch - 3f32.sqrt()).abs() < 0.35, "{name}: {torch} and {fan_in}");
            }
        }
    }
}

#[test]
fn noise_begins_at_its_deviation_over_the_root_of_the_inputs() {
    let shape = Shape { noisy: 0.5, dueling: true, ..plain(&[64, 16]) };
    let (_, params) = QNet::new(&spec([0; 3], 1, 4, &[]), &shape, &Device::Cpu, Rng::new(1, Stream::Init)).unwrap();
    let mut found = 0;
    for (name, var) in params.iter().filter(|(name, _)| name.contains("spread")) {
        let inputs = if name.contains(".fc.") { 64f32 } else { 16.0 }; // of the dense layer, and of the one after it
        let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(values.iter().all(|&value| (value - 0.5 / inputs.sqrt()).abs() < 1e-7), "{name}: {}", values[0]);
        found += 1;
    }
    assert_eq!(found, 8, "weights and biases of two layers of two streams");
}
