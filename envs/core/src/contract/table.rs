//! Tables of environments that are small enough to be one.

use super::player::Player;
use super::{Found, Subject, hold};
use crate::{End, FiniteMdp, RowsBuf, Spec, Transition};

/// Checks that the finite MDP of an environment fits its spec and allows every transition that is played.
pub(super) fn played(subject: &Subject<'_>) -> Found {
    let mut player = Player::new(subject, 15, 0..1, 12, 0x55)?;
    let Some(table) = player.env.tabular() else { return Ok(None) };
    let spec = player.spec.clone();
    fits(&table, &spec)?;
    player.reset()?;
    // Where states look alike, those that it may be in by what was seen so far.
    let mut states = starts(&table);
    for step in 0..=4 * subject.steps {
        let row = player.row();
        if row.age[0] == 0 {
            states = starts(&table);
        }
        states.retain(|&state| looks(&table, &spec, state) == (&row.symbols[..], &row.legal[..]));
        hold(!states.is_empty(), || {
            format!("step {step}: {:?}, reward {}, {} is not in it", row.symbols, row.reward[0], row.end[0].name())
        })?;
        if step == 4 * subject.steps {
            break;
        }
        player.step()?;
        let row = player.row();
        if row.age[0] > 0 {
            states = after(&table, &states, player.actions.discrete[0], &row, player.env.shaping_reward(0));
            let cut = table.limit().is_some_and(|limit| row.age[0] == limit) && row.end[0] != End::Terminated;
            hold((row.end[0] == End::Truncated) == cut, || {
                format!(
                    "step {}: {} at age {}, with the limit {:?}",
                    step + 1,
                    row.end[0].name(),
                    row.age[0],
                    table.limit()
                )
            })?;
        }
    }
    Ok(Some(player.played))
}

fn fits(table: &FiniteMdp, spec: &Spec) -> Result<(), String> {
    let (states, width, legal) = (table.states(), spec.symbols.len(), spec.legal_len());
    hold(*spec.discrete == [table.actions() as u32], || {
        format!("it has {} actions, and the spec {:?}", table.actions(), spec.discrete)
    })?;
    hold(table.symbols().len() == states * width && table.legal().len() == states * legal, || {
        format!("{} symbols and {} legal flags of {states} states", table.symbols().len(), table.legal().len())
    })?;
    (0..states as u32).try_for_each(|state| {
        let shown = looks(table, spec, state).0;
        let within = shown.iter().zip(&spec.symbols).all(|(symbol, n)| symbol < n);
        hold(within, || format!("state {state} shows {shown:?}, and the spec has {:?}", spec.symbols))
    })
}

/// Returns the observation of a state: its symbols and its action mask.
fn looks<'a>(table: &'a FiniteMdp, spec: &Spec, state: u32) -> (&'a [u32], &'a [u8]) {
    let (width, legal, state) = (spec.symbols.len(), spec.legal_len(), state as usize);
    (&table.symbols()[state * width..][..width], &table.legal()[state * legal..][..legal])
}

fn starts(table: &FiniteMdp) -> Vec<u32> {
    (0..).zip(table.start()).filter(|(_, p)| **p > 0.0).map(|(state, _)| state).collect()
}

/// Returns the states that `action` can lead to from one of `states` with the reward and end that `row` shows.
fn after(table: &FiniteMdp, states: &[u32], action: u32, row: &RowsBuf, bonus: f32) -> Vec<u32> {
    let (paid, terminated) = (row.reward[0], row.end[0] == End::Terminated);
    let same =
        |way: &&Transition| way.reward as f32 + bonus == paid && way.terminated == terminated && way.probability > 0.0;
    let ways = states.iter().flat_map(|&state| table.outcomes(state, action));
    let mut next: Vec<u32> = ways.filter(same).map(|way| way.next).collect();
    next.sort_unstable();
    next.dedup();
    next
}
