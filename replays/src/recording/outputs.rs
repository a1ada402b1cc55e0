//! Policy outputs in recordings: a state value, and one byte per action.

use super::{Manifest, OutputSampling};
use crate::Outputs;

/// Quantisation steps between the lowest and the highest number of a row.
const LEVELS: f64 = 254.0;

/// Byte that stands for NaN or an infinite number.
const NONE: u8 = 255;

/// Policy output before a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output<'a> {
    /// State value; NaN where the policy did not compute it.
    pub value: f32,
    /// Probabilities or action values, `[A]`: a number per value of each discrete action. See [`Outputs`].
    pub actions: &'a [f32],
}

impl OutputSampling {
    /// Whether the output before a step of an episode is stored.
    pub(super) fn due(&self, step: usize) -> bool {
        step.is_multiple_of(self.every as usize)
    }

    /// Number of outputs stored for `count` steps that follow the first `before` steps of an episode.
    pub(super) fn rows(&self, before: usize, count: usize) -> usize {
        let every = self.every as usize;
        (before + count).div_ceil(every) - before.div_ceil(every)
    }

    /// Bytes of an encoded output of `actions` numbers: the lowest and the highest number, the state value where it is
    /// not the highest, and a byte per action.
    pub(super) fn bytes(&self, actions: usize) -> usize {
        4 * self.wide() + actions
    }

    fn wide(&self) -> usize {
        match self.kind {
            Outputs::Probabilities => 3,
            Outputs::Q => 2,
        }
    }
}

/// Encodes outputs `rows`, `[count, 1 + actions]`, and appends them to `out`, column after column.
pub(super) fn encode(rows: &[f32], kept: OutputSampling, actions: usize, out: &mut Vec<u8>) {
    let (begin, count) = (out.len(), rows.len() / (1 + actions));
    out.resize(begin + count * kept.bytes(actions), 0);
    let (wide, codes) = out[begin..].split_at_mut(count * 4 * kept.wide());
    for (r, row) in rows.chunks_exact(1 + actions).enumerate() {
        let finite = || row[1..].iter().copied().filter(|x| x.is_finite());
        let range = finite().reduce(f32::min).zip(finite().reduce(f32::max));
        let (low, high) = range.unwrap_or_default();
        for (column, number) in [low, high, row[0]].into_iter().take(kept.wide()).enumerate() {
            wide[(column * count + r) * 4..][..4].copy_from_slice(&number.to_bits().to_le_bytes());
        }
        let span = f64::from(high) - f64::from(low);
        for (a, &x) in row[1..].iter().enumerate() {
            let level = if span > 0.0 { (f64::from(x) - f64::from(low)) / span * LEVELS } else { 0.0 };
            codes[a * count + r] = if x.is_finite() { level.round() as u8 } else { NONE };
        }
    }
}

/// Decodes `count` outputs that [`encode`] made, and appends them to `rows`; `None` if `bytes` are not valid.
pub(super) fn decode(bytes: &[u8], manifest: &Manifest, count: usize, rows: &mut Vec<f32>) -> Option<()> {
    let (kept, actions) = (manifest.outputs?, manifest.actions());
    if bytes.len() != count * kept.bytes(actions) {
        return None;
    }
    let (wide, codes) = bytes.split_at(count * 4 * kept.wide());
    let wide = wide.as_chunks::<4>().0;
    let number = |column: usize, r: usize| f32::from_bits(u32::from_le_bytes(wide[column * count + r]));
    for r in 0..count {
        let (low, high) = (number(0, r), number(1, r));
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return None;
        }
        let none = (0..actions).all(|a| codes[a * count + r] == NONE);
        rows.push(match kept.kind {
            Outputs::Probabilities => number(2, r),
            Outputs::Q if none => f32::NAN,
            Outputs::Q => high,
        });
        let span = f64::from(high) - f64::from(low);
        rows.extend((0..actions).map(|a| match codes[a * count + r] {
            NONE => f32::NAN,
            code => (f64::from(low) + span * (f64::from(code) / LEVELS)) as f32,
        }));
    }
    Some(())
}
