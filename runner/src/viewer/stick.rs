//! Ways of a joystick, read from the names of actions.

/// The way that a joystick points, and whether its button is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stick {
    /// -1 for left, 1 for right, else 0.
    pub(super) x: i32,
    /// -1 for up, 1 for down, else 0.
    pub(super) y: i32,
    pub(super) fire: bool,
}

impl Stick {
    /// Reads the name of an action, see [`Env::action_names`](rl_core::Env::action_names); `None` if it does not name a
    /// way of a joystick.
    pub(super) fn of(name: &str) -> Option<Self> {
        let mut stick = Self::default();
        for word in name.split(' ') {
            match word {
                "no-op" => {}
                "left" => stick.x = -1,
                "right" => stick.x = 1,
                "up" => stick.y = -1,
                "down" => stick.y = 1,
                "fire" => stick.fire = true,
                _ => return None,
            }
        }
        Some(stick)
    }

    /// Reads the names of all actions; `None` if there are none or one does not name a way of a joystick.
    pub(super) fn all(names: &[String]) -> Option<Vec<Self>> {
        if names.is_empty() { None } else { names.iter().map(|name| Self::of(name)).collect() }
    }

    /// Similarity of `other`, which a game has, to this way; the most similar one is taken.
    pub(super) fn like(self, other: Self) -> i32 {
        // What was not asked for is worse than what is missing.
        let way = |asked: i32, has: i32| match (asked, has) {
            (_, 0) => i32::from(asked == 0),
            (asked, has) => {
                if asked == has {
                    2
                } else {
                    -4
                }
            }
        };
        let fire = match (self.fire, other.fire) {
            (true, true) => 1, // a way is worth more
            (false, true) => -4,
            (_, false) => 0,
        };
        way(self.x, other.x) + way(self.y, other.y) + fire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_actions_are_places_of_the_stick() {
        assert_eq!(Stick::of("up left fire"), Some(Stick { x: -1, y: -1, fire: true }));
        assert_eq!(Stick::of("no-op"), Some(Stick::default()));
        assert_eq!(Stick::of("pick up"), None);
        assert_eq!(Stick::all(&[]), None);
    }

    #[test]
    fn the_nearest_that_a_game_knows_is_taken() {
        let known = ["no-op", "up", "right", "down", "down right", "right fire"].map(|name| Stick::of(name).unwrap());
        let taken = |name: &str| *known.iter().max_by_key(|known| Stick::of(name).unwrap().like(**known)).unwrap();
        for (asked, expected) in [
            ("no-op", "no-op"),
            ("down right", "down right"),
            ("left", "no-op"),
            ("up left", "up"),
            ("right fire", "right fire"),
            ("down right fire", "down right"),
        ] {
            assert_eq!(taken(asked), Stick::of(expected).unwrap(), "{asked}");
        }
    }
}
