//! How far the weapon sways: what an engine takes from one episode into the next, and shows.
//!
//! A weapon in hand sways with its player's steps. The engine keeps how wide outside of any map, moves it with each picture
//! by 1 at most to where the player's speed would have it, and lets a weapon that is raised or fired sway too as long as it
//! is not 0. So an episode that begins in an old engine may show the weapon some pixels from where a new one does, for as
//! many pictures as it takes to come down. Nobody tells how wide it is; how wide it can be follows from what was drawn.
//!
//! Source: the engine's `P_BobWeapon` and `P_CalcHeight`, found by comparing pictures.

/// The widest: the engine lets no speed ask for more.
pub(super) const WIDEST: u32 = 16;

/// How wide the sway may be at most, in the engine's units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sway(u32);

impl Sway {
    /// Counts a picture of a player who moved, or who stood still and pressed nothing that moves. What moved a little in the
    /// tics between two pictures may be unseen.
    pub(super) fn drawn(&mut self, still: bool) {
        self.0 = if still { self.0.saturating_sub(1).max(1) } else { (self.0 + 1).min(WIDEST) };
    }

    /// Pictures of a player at rest after which it is 0.
    pub(super) fn pictures(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_widens_and_comes_down_by_one_with_each_picture() {
        let mut sway = Sway::default();
        assert_eq!(sway.pictures(), 0, "a new engine's is 0");
        for (pictures, still, expected) in
            [(5, false, 5), (3, true, 2), (9, true, 1), (40, false, WIDEST), (1, true, 15)]
        {
            (0..pictures).for_each(|_| sway.drawn(still));
            assert_eq!(sway.pictures(), expected);
        }
    }
}
