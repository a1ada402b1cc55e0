//! What the tests of several agents share: the inputs of `tests/golden`, comparisons, and a run of two members.

use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};

use rl_core::{Error, Reduce, Result, Spec};
use rl_nn::Params;
use rl_replays::Rollout;

use crate::{Learner, Mode};

/// Uniform in [0, 1): the hash of `tests/golden/inputs.py`.
pub(crate) fn draws(count: usize, salt: u32) -> Vec<f64> {
    let draw = |index: u32| {
        let mut x = index.wrapping_add(salt.wrapping_mul(0x9E37_79B9));
        for (shift, factor) in [(16, 0x7FEB_352D), (15, 0x846C_A68B)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        f64::from(x ^ (x >> 16)) / 2f64.powi(32)
    };
    (0..count as u32).map(draw).collect()
}

/// The weights of `tests/golden/inputs.py`, layer by layer.
pub(crate) fn fill(params: &Params, salt: u32) {
    let mut flat = Vec::new();
    for (index, (name, var)) in params.iter().enumerate() {
        let values = draws(var.elem_count(), salt + index as u32);
        let bound = if name.contains("weight") {
            let fan_in: usize = var.dims()[..var.dims().len() - 1].iter().product();
            (6.0 / fan_in as f64).sqrt()
        } else {
            0.1
        };
        flat.extend(values.iter().map(|v| ((v * 2.0 - 1.0) * bound) as f32));
    }
    params.write(&flat).unwrap();
}

/// Tolerance against PyTorch in double precision: 1e-5 of the largest value.
pub(crate) fn close(what: &str, got: &[f32], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3f64, |m, e| m.max(e.abs()));
    let worst = got.iter().zip(expected).map(|(g, e)| (f64::from(*g) - e).abs()).max_by(f64::total_cmp).unwrap_or(0.0);
    assert!(worst <= 1e-5 * scale, "{what}: off by {worst}, of at most {scale}"); // also if NaN
}

#[test]
#[should_panic(expected = "off by NaN")]
fn what_is_not_a_number_is_not_close() {
    close("a result", &[f32::NAN, 2.0], &[1.0, 2.0]);
}

/// All parameters, flat.
pub(crate) fn flat(params: &Params) -> Vec<f32> {
    let mut flat = vec![0.0; params.len()];
    params.read(&mut flat).unwrap();
    flat
}

/// Checks that a policy whose ε falls from 1 to 0 over the first 400 agent steps acts at random at first and not after
/// them, in 8 seats that all see the same.
pub(crate) fn explores_less_and_less(learner: &dyn Learner, spec: &Spec) {
    let mut block = [Rollout::new(spec, 100, 8, learner.plan().extra)];
    let mut policy = learner.policy(0..8).unwrap();
    for t in 0..100 {
        block[0].age.row_mut(t).fill(1 + t as u32);
        policy.act(&mut block, t, Mode::Explore).unwrap();
    }
    let differing = |rows: Range<usize>| {
        let actions: Vec<u32> = rows.flat_map(|t| block[0].discrete.row(t).to_vec()).collect();
        actions.iter().filter(|&&action| action != actions[actions.len() - 1]).count()
    };
    assert!(differing(0..20) > 40 && differing(50..100) == 0, "{} and {}", differing(0..20), differing(50..100));
}

/// Checks that a policy with a memory, in `mode`, thinks of an episode as if there had been none before it, and of its
/// second step otherwise than of a first.
pub(crate) fn forgets_earlier_episodes(learner: &dyn Learner, spec: &Spec, mode: Mode) {
    let thoughts = |ages: &[u32]| {
        let mut block = [Rollout::new(spec, ages.len(), 1, learner.plan().extra)];
        block[0].record_outputs();
        let mut policy = learner.policy(0..1).unwrap();
        for (t, &age) in ages.iter().enumerate() {
            block[0].age[(t, 0)] = age;
            block[0].legal.row_mut(t).fill(1);
            let seen = draws(spec.vector, age); // the same in every episode
            block[0].vector.row_mut(t).iter_mut().zip(seen).for_each(|(to, draw)| *to = (4.0 * draw - 2.0) as f32);
            policy.act(&mut block, t, mode).unwrap();
        }
        (0..ages.len()).map(|t| block[0].outputs.row(t).to_vec()).collect::<Vec<_>>()
    };
    let (both, second) = (thoughts(&[0, 1, 2, 0, 1]), thoughts(&[0, 1]));
    let told = |of: &[Vec<f32>]| of.iter().map(|row| row[1..].to_vec()).collect::<Vec<_>>();
    assert_eq!(told(&both[3..]), told(&second), "{mode:?}");
    assert_ne!(told(&thoughts(&[1])), told(&both[1..2]), "it remembers");
}

/// Everything that a learner saves, weights first.
pub(crate) fn save(learner: &mut dyn Learner) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    learner.weights().save(&mut parts[0]).unwrap();
    for (_, part) in learner.state() {
        parts.push(Vec::new());
        part.save(parts.last_mut().unwrap()).unwrap();
    }
    parts
}

/// Gives a learner what [`save`] took.
pub(crate) fn load(learner: &mut dyn Learner, parts: &[Vec<u8>]) {
    learner.weights().load(&mut parts[0].as_slice()).unwrap();
    for ((_, part), bytes) in learner.state().into_iter().zip(&parts[1..]) {
        part.load(&mut bytes.as_slice()).unwrap();
    }
}

/// One of two members in one process: sends its values and adds those that it gets.
pub(crate) struct Pair {
    to: Sender<Vec<f32>>,
    from: Receiver<Vec<f32>>,
}

impl Pair {
    /// Runs both members, each in a thread, and returns what they return.
    pub(crate) fn run<T: Send>(left: impl FnOnce(Pair) -> T + Send, right: impl FnOnce(Pair) -> T + Send) -> (T, T) {
        let ((to_right, from_left), (to_left, from_right)) = (channel(), channel());
        let (a, b) = (Pair { to: to_right, from: from_right }, Pair { to: to_left, from: from_left });
        std::thread::scope(|scope| {
            let (left, right) = (scope.spawn(|| left(a)), scope.spawn(|| right(b)));
            (left.join().unwrap(), right.join().unwrap())
        })
    }
}

impl Reduce for Pair {
    fn mean(&mut self, values: &mut [f32]) -> Result<()> {
        let lost = || Error::Tensor("the other member is lost".into());
        self.to.send(values.to_vec()).map_err(|_| lost())?;
        let theirs = self.from.recv().map_err(|_| lost())?;
        assert_eq!(theirs.len(), values.len(), "both members average the same thing");
        values.iter_mut().zip(theirs).for_each(|(own, other)| *own = (*own + other) / 2.0);
        Ok(())
    }
}
