//! Shaping rewards that learners may receive in addition to the reward of a scenario. Reported returns do not include
//! them.

use serde::Deserialize;
use vizdoom::{Game, Variable};

/// Shaping reward per agent step of a Doom environment, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shaping {
    /// No shaping reward.
    None,
    /// 1 for a step in which health is gained. Source: Sample Factory's `health_gathering`.
    Health,
    /// 5 per kill, 0.05 per point of health gained, -0.05 per point of health lost and per round fired. Rounds that are
    /// fired in a step that changes the weapon are not counted.
    Combat,
    /// 0.01 per point of damage done to others. Damage taken costs nothing, since rockets also hurt the player who
    /// fires them.
    Damage,
}

/// Game variables before a step, from which its shaping reward is computed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    health: f64,
    kills: f64,
    weapon: f64,
    ammo: f64,
    done: f64,
}

impl Shaping {
    /// Reads the game variables that this shaping depends on; the others stay 0.
    pub(super) fn read(self, game: &Game) -> Before {
        match self {
            Shaping::None => Before::default(),
            Shaping::Health => Before { health: game.variable(Variable::Health), ..Before::default() },
            Shaping::Combat => Before {
                health: game.variable(Variable::Health),
                kills: game.variable(Variable::KillCount),
                weapon: game.variable(Variable::SelectedWeapon),
                ammo: game.variable(Variable::SelectedWeaponAmmo),
                ..Before::default()
            },
            Shaping::Damage => Before { done: game.variable(Variable::DamageCount), ..Before::default() },
        }
    }

    /// Returns the shaping reward of the step from `before` to `now`.
    pub(super) fn bonus(self, before: Before, now: Before) -> f32 {
        let health = now.health.max(0.0) - before.health.max(0.0); // the dead may have less than none
        (match self {
            Shaping::None => 0.0,
            Shaping::Health => f64::from(u8::from(health > 0.0)),
            Shaping::Combat => {
                // Another weapon has other rounds.
                let fired = if now.weapon == before.weapon { (before.ammo - now.ammo).max(0.0) } else { 0.0 };
                5.0 * (now.kills - before.kills).max(0.0) + 0.05 * health - 0.05 * fired
            }
            Shaping::Damage => 0.01 * (now.done - before.done),
        }) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bonus_is_for_what_changed() {
        let before = Before { health: 50.0, kills: 1.0, weapon: 2.0, ammo: 20.0, done: 10.0 };
        let now = Before { health: 60.0, kills: 2.0, weapon: 2.0, ammo: 18.0, done: 60.0 };
        assert_eq!(Shaping::None.bonus(before, now), 0.0);
        assert_eq!((Shaping::Health.bonus(before, now), Shaping::Health.bonus(now, before)), (1.0, 0.0));
        assert_eq!(Shaping::Combat.bonus(before, now), 5.0 + 0.5 - 0.1);
        assert_eq!(Shaping::Damage.bonus(before, now), 0.5);
        let fist = Before { weapon: 1.0, ammo: 0.0, ..before };
        assert_eq!((Shaping::Combat.bonus(before, fist), Shaping::Combat.bonus(fist, before)), (0.0, 0.0));
        let dead = Before { health: -12.0, ..before };
        assert_eq!(Shaping::Combat.bonus(before, dead), -2.5);
    }
}
