//! The reward of some tics of play by the terms of a configuration.

use crate::Rewards;
use crate::layout::game;
use crate::memory::SharedMemory;

/// Counters of the engine from whose differences rewards are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    /// Sum of the rewards of the map's script.
    map: f64,
    kills: i32,
    secrets: i32,
    items: i32,
    frags: i32,
    hits: i32,
    hits_taken: i32,
    damage: i32,
    damage_taken: i32,
    health: i32,
    armor: i32,
}

impl Counts {
    pub(crate) fn read(memory: &SharedMemory) -> Self {
        Self {
            map: f64::from(memory.get(game::MAP_REWARD)) / 65536.0, // 16 bits behind the point
            kills: memory.get(game::PLAYER_KILLCOUNT),
            secrets: memory.get(game::PLAYER_SECRETCOUNT),
            items: memory.get(game::PLAYER_ITEMCOUNT),
            frags: memory.get(game::PLAYER_FRAGCOUNT),
            hits: memory.get(game::PLAYER_HITCOUNT),
            hits_taken: memory.get(game::PLAYER_HITS_TAKEN),
            damage: memory.get(game::PLAYER_DAMAGECOUNT),
            damage_taken: memory.get(game::PLAYER_DAMAGE_TAKEN),
            health: memory.get(game::PLAYER_HEALTH),
            armor: memory.get(game::PLAYER_ARMOR),
        }
    }
}

/// State of the player after the tics that a reward is computed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Dead,
    /// The player reached the end of the map alive.
    Left,
    GoesOn,
}

/// Computes the reward from `before` to `now`, over `tics` tics. Terms are added in ViZDoom's order, so that sums have
/// the same bits; a counter is rewarded where it grows, and costs nothing where it falls.
pub(crate) fn reward(terms: &Rewards, before: &Counts, now: &Counts, tics: u32, outcome: Outcome) -> f64 {
    let mut reward = now.map - before.map;
    reward += f64::from(tics) * terms.living;
    match outcome {
        Outcome::Dead => reward -= terms.death_penalty,
        Outcome::Left => reward += terms.map_exit,
        Outcome::GoesOn => {}
    }
    let grown = |before: i32, now: i32| f64::from(now.wrapping_sub(before).max(0));
    for (value, before, now) in [
        (terms.kill, before.kills, now.kills),
        (terms.secret, before.secrets, now.secrets),
        (terms.item, before.items, now.items),
        (terms.frag, before.frags, now.frags),
        (terms.hit, before.hits, now.hits),
        (-terms.hit_taken_penalty, before.hits_taken, now.hits_taken),
        (terms.damage_made, before.damage, now.damage),
        (-terms.damage_taken_penalty, before.damage_taken, now.damage_taken),
        (terms.health, before.health, now.health),
        (terms.armor, before.armor, now.armor),
    ] {
        if value != 0.0 {
            reward += grown(before, now) * value;
        }
    }
    reward
}
