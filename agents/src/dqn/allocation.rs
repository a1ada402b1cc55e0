//! What a learner of the family allocates, known from its settings before anything is.

use rl_core::Result;
use rl_replays::Replay;

use super::config::{Config, Values};
use crate::q_net::Mix;
use crate::{Context, config};

/// Bytes of the replay, of the network's activations for a minibatch, of a block, and of wide layers, and the setting
/// that lowers most of them.
pub(super) fn allocation(context: &Context<'_>) -> Result<(u64, &'static str)> {
    let settings = Config::read(context)?;
    let Config { replay_capacity, n_step, priorities, batch, trunk, ref hidden, memory, update_period, values, .. } =
        settings;
    let (spec, seats, sequence) = (context.spec, context.seats as usize, memory.sequence());
    let ring = |n_step| {
        let tree = || Replay::priority_bytes_for(spec, seats, replay_capacity, n_step, sequence);
        let tree = if priorities.is_uniform() { 0 } else { tree() };
        Replay::bytes_for(spec, seats, replay_capacity, n_step, sequence).saturating_add(tree)
    };
    let (replay, whole) = (ring(1), ring(n_step));
    let rows = (batch as u64).saturating_mul(sequence.map_or(1, |sequence| sequence.rows(n_step)) as u64);
    let seen = spec.frame_len() * spec.stack + 4 * (spec.vector + spec.symbols.len() + 8);
    // Each row of an implicit quantile network passes its last layers once for every τ.
    let taus = values.taus();
    let drawn = taus.online.max(taus.target + taus.act);
    let actions = spec.discrete.first().map_or(0, |&count| count as usize);
    let inputs = config::inputs(spec, trunk);
    let late = hidden.last().copied().unwrap_or(inputs);
    // Of τ there are cosines, which a layer takes to the width of that in front of it.
    let (cosines, embedded) = match values {
        Values::Implicit { cosines, mix: Mix::After, .. } => (cosines, late),
        Values::Implicit { cosines, .. } => (cosines, hidden.iter().rev().nth(1).copied().unwrap_or(inputs)),
        _ => (0, 0),
    };
    let answers = [values.width() * drawn.max(1) * actions, drawn * late, drawn * cosines, drawn * embedded];
    let answers = config::bytes_of_layers(&answers);
    let layers = trunk.bytes(spec.frame) + config::bytes_of_layers(hidden) + seen;
    // Each stream of the head has the last layer, and with noise a mean and a spread of every weight.
    let own = !matches!(values, Values::Implicit { mix: Mix::After, .. });
    let last = if own { (1 + u64::from(settings.dueling)) * (1 + u64::from(settings.noisy > 0.0)) } else { 1 };
    let units = memory.unroll().map_or(0, |unroll| unroll.units);
    let (looked, answered) = (rows.saturating_mul(layers as u64), rows.saturating_mul(answers as u64));
    let parts = [
        (replay, "agent.replay_capacity"),
        (whole.saturating_sub(replay), "agent.n_step"),
        (looked, "agent.batch"),
        (answered, "agent.batch or numbers of agent.values"),
        (update_period.saturating_mul(seen as u64), "agent.update_period"),
        (config::bytes_of((late * values.width() * actions) as u64), "numbers of agent.values"),
        (config::bytes_of(config::weights(cosines, embedded)), "agent.values.cosines or agent.hidden"),
        config::bytes_of_weights(config::dense_weights(inputs, hidden, last), late, units),
    ];
    Ok(config::total_allocation(parts))
}
