//! How far the weapon sways: what an engine takes from one episode into the next, and shows.
//!
//! A weapon in hand sways with its player's steps. The engine keeps how wide outside of any map, moves it with each picture
//! by 1 at most to where the player's speed would have it, and lets a weapon that is raised or fired sway too as long as it
//! is not 0. So an episode that begins in an old engine may show the weapon some pixels from where a new one does, for as
//! many pictures as it takes to come down. Nobody tells how wide it is; how wide it can be follows from the speeds at which
//! pictures were drawn.
//!
//! Source: the engine's `P_BobWeapon` and `P_CalcHeight`, found by comparing pictures.

/// Largest width of the sway, which the engine exceeds at no speed.
pub(super) const WIDEST: u32 = 16;
/// Width of the sway per squared speed of the player, in map units per tic.
const BY_SPEED: f64 = 0.25;
/// Part of a tic's speed that is left when the tic has been played: Doom's friction.
const LEFT: f64 = 0.90625;
/// Pictures more, for what was unseen: a wall had stopped the player when the tic was over.
const UNSEEN: u32 = 1;

/// Upper bound of the width of the weapon's sway, in the engine's units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sway(f64);

impl Sway {
    /// Follows the sway over one picture; `speed` is the square of the player's speed over the ground after the tic.
    pub(super) fn drawn(&mut self, speed: f64) {
        let asked = (BY_SPEED * speed / (LEFT * LEFT)).min(f64::from(WIDEST));
        self.0 = if self.0 > asked { (self.0 - 1.0).max(asked) } else { (self.0 + 1.0).min(asked) };
    }

    /// Returns the number of pictures of a player at rest after which the sway is surely 0, not counting the first,
    /// with which every episode begins.
    pub(super) fn pictures(self) -> u32 {
        if self.0 == 0.0 { 0 } else { (self.0.ceil() as u32 + UNSEEN).min(WIDEST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_widens_as_far_as_the_speed_asks_and_comes_down_by_one_with_each_picture() {
        let mut sway = Sway::default();
        assert_eq!(sway.pictures(), 0, "a new engine's is 0");
        for (pictures, speed, expected) in [(2, 64.0, 3), (40, 64.0, WIDEST), (10, 0.0, 7), (3, 8.0, 4), (9, 0.0, 0)] {
            (0..pictures).for_each(|_| sway.drawn(speed));
            assert_eq!(sway.pictures(), expected, "{pictures} pictures at {speed}");
        }
    }
}
