//! Random episodes of some seats as lists of rows, and what a draw from them must show.

use proptest::prelude::*;
use rl_core::{Bound, End, LifeLoss, Spec};
use rl_replays::{NStepReturns, Replay, RewardTransform, Rollout};

/// One row as an environment would write it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) frame: [u8; 4],
    pub(crate) age: u32,
    pub(crate) reward: f32,
    pub(crate) end: End,
    pub(crate) action: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) stack: usize,
    pub(crate) capacity: usize,
    pub(crate) horizon: usize,
    pub(crate) targets: NStepReturns,
    pub(crate) transform: RewardTransform,
    pub(crate) seats: Vec<Vec<Row>>,
}

pub(crate) fn spec(stack: usize) -> Spec {
    Spec {
        frame: [2, 1, 2],
        stack,
        vector: 1,
        symbols: [1 << 20].into(),
        mask: true,
        discrete: [5].into(),
        continuous: [Bound { low: 0.0, high: 5.0 }].into(),
    }
}

/// Rows of one seat under next-step autoreset, every frame different from every other.
pub(crate) fn play(seat: usize, script: &[(End, i8, u32)]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (t, &(end, reward, action)) in script.iter().enumerate() {
        let fresh = rows.last().is_none_or(|row| row.end.over());
        let age = if fresh { 0 } else { rows[t - 1].age + 1 };
        let (end, reward) = if fresh { (End::No, 0.0) } else { (end, f32::from(reward) * 0.5) };
        let id = (seat * 1000 + t) as u16;
        rows.push(Row { frame: [id as u8, (id >> 8) as u8, id as u8 ^ 0x55, 7], age, reward, end, action });
    }
    rows
}

pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let end = prop_oneof![
        6 => Just(End::No),
        1 => Just(End::LifeLost),
        1 => Just(End::Truncated),
        1 => Just(End::Terminated)
    ];
    let life_loss = prop_oneof![Just(LifeLoss::Ignore), Just(LifeLoss::Terminal)];
    let targets = (1..6usize, life_loss).prop_map(|(n_step, life_loss)| NStepReturns { n_step, gamma: 0.9, life_loss });
    let transform = prop_oneof![
        Just(RewardTransform::Raw),
        Just(RewardTransform::Sign),
        (0.1f32..20.0).prop_map(RewardTransform::Times)
    ];
    (1..5usize, 1..4usize, 1..20usize, 1..5usize, 1..12usize, targets, transform).prop_flat_map(
        move |(stack, seats, capacity, horizon, blocks, targets, transform)| {
            let script = prop::collection::vec((end.clone(), -3..4i8, 0..5u32), horizon * blocks + 1);
            prop::collection::vec(script, seats).prop_map(move |scripts| Case {
                stack,
                capacity,
                horizon,
                targets,
                transform,
                seats: scripts.iter().enumerate().map(|(seat, script)| play(seat, script)).collect(),
            })
        },
    )
}

/// Writes rows `from..` of the case into rows 0.. of a block.
pub(crate) fn fill(block: &mut Rollout, case: &Case, from: usize) {
    for t in 0..=block.horizon() {
        for (e, rows) in case.seats.iter().enumerate() {
            let row = &rows[from + t];
            block.frame.row_mut(case.stack - 1 + t)[e * 4..(e + 1) * 4].copy_from_slice(&row.frame);
            block.vector.row_mut(t)[e] = row.frame[0].into();
            block.symbols.row_mut(t)[e] = u32::from(row.frame[0]) << 8 | u32::from(row.frame[1]);
            block.legal.row_mut(t)[e * 5..(e + 1) * 5].fill(row.frame[0] & 1);
            (block.age[(t, e)], block.reward[(t, e)], block.end[(t, e)]) = (row.age, row.reward, row.end);
            if t < block.horizon() {
                block.discrete.row_mut(t)[e] = row.action;
                block.continuous.row_mut(t)[e] = row.action as f32 + 0.5;
                block.extra.at_mut(t, e).fill(state(row));
            }
        }
    }
}

/// Appends the whole case to a replay.
pub(crate) fn append(replay: &mut Replay, case: &Case) {
    let mut block = Rollout::new(&spec(case.stack), case.horizon, case.seats.len(), 1);
    for from in (0..case.seats[0].len() - 1).step_by(case.horizon) {
        fill(&mut block, case, from);
        replay.append(std::slice::from_ref(&block)).unwrap();
    }
}

pub(crate) fn stacked(rows: &[Row], at: usize, stack: usize) -> Vec<u8> {
    let first = at - rows[at].age as usize;
    let frames: Vec<&[u8; 4]> =
        (0..stack).map(|s| &rows[(at + s + 1).saturating_sub(stack).max(first)].frame).collect();
    [[0, 1], [2, 3]].iter().flat_map(|pixel| frames.iter().flat_map(move |f| pixel.map(|c| f[c]))).collect()
}

/// Frames, next frames, action, return, discount.
pub(crate) type Drawn = (Vec<u8>, Vec<u8>, u32, f32, f32);

/// What a draw from a ring of `kept` rows must show, or nothing where no transition may be drawn.
pub(crate) fn expected(case: &Case, kept: usize, seat: usize, at: usize) -> Option<Drawn> {
    let rows = &case.seats[seat];
    let oldest = rows.len().saturating_sub(kept);
    let first = at - rows[at].age as usize;
    if rows[at].end.over() || (at + 1).saturating_sub(case.stack).max(first) < oldest {
        return None;
    }
    let (mut ret, mut discount) = (0.0f32, 1.0f32);
    let mut last = at;
    for k in 1..=case.targets.n_step {
        last = at + k;
        let row = rows.get(last)?;
        let reward = match case.transform {
            RewardTransform::Raw => row.reward,
            RewardTransform::Sign if row.reward == 0.0 => 0.0,
            RewardTransform::Sign => row.reward.signum(),
            RewardTransform::Times(scale) => (row.reward * scale).clamp(-10.0, 10.0),
        };
        ret += discount * reward;
        discount *= case.targets.gamma;
        if row.end == End::Terminated || (row.end == End::LifeLost && case.targets.life_loss == LifeLoss::Terminal) {
            discount = 0.0;
        }
        if row.end.over() || discount == 0.0 {
            break;
        }
    }
    Some((stacked(rows, at, case.stack), stacked(rows, last, case.stack), rows[at].action, ret, discount))
}

/// What a policy might have remembered when it saw `row`.
pub(crate) fn state(row: &Row) -> f32 {
    f32::from(row.frame[0]) + 0.25
}
