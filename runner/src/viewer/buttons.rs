//! Buttons that are pressed together, as in Doom: keys press buttons, and the action is taken that presses most of
//! them.

use minifb::Key;

use super::hands::DIGITS;

/// What separates the names of buttons in the name of an action.
const AND: &str = " + ";
/// Prefix of the names of buttons that choose a weapon; a digit follows.
const WEAPON: &str = "select weapon";
/// Names of buttons, and their keys.
const KEYS: [(&str, &[Key]); 17] = [
    ("move forward", &[Key::Up, Key::W]),
    ("move backward", &[Key::Down, Key::S]),
    ("turn left", &[Key::Left]),
    ("turn right", &[Key::Right]),
    ("move left", &[Key::A]),
    ("move right", &[Key::D]),
    ("attack", &[Key::Space, Key::LeftCtrl]),
    ("altattack", &[Key::X]),
    ("use", &[Key::E]),
    ("speed", &[Key::LeftShift]),
    ("jump", &[Key::J]),
    ("crouch", &[Key::C]),
    ("reload", &[Key::R]),
    ("look up", &[Key::PageUp]),
    ("look down", &[Key::PageDown]),
    ("select next weapon", &[Key::N]),
    ("select prev weapon", &[Key::B]),
];
/// Buttons that have the arrows as keys unless the game has the turn in the middle.
const ASIDE: [(&str, &str, &[Key]); 2] =
    [("move left", "turn left", &[Key::Left, Key::A]), ("move right", "turn right", &[Key::Right, Key::D])];

/// The buttons of a game, and the actions that press them.
#[derive(Clone, Debug)]
pub(super) struct Buttons {
    buttons: Vec<(String, Vec<Key>)>,
    /// For each action, the indices of the buttons that it presses.
    actions: Vec<Vec<usize>>,
}

impl Buttons {
    /// Reads buttons from the names of all actions; `None` if no button has a key.
    pub(super) fn all(names: &[String]) -> Option<Self> {
        let mut all: Vec<&str> = Vec::new();
        let mut actions = Vec::new();
        for name in names {
            let mut action = Vec::new();
            for button in name.split(AND).filter(|&button| button != "no-op") {
                let at = all.iter().position(|&other| other == button).unwrap_or(all.len());
                if at == all.len() {
                    all.push(button);
                }
                action.push(at);
            }
            actions.push(action);
        }
        let aside = ASIDE.iter().filter(|(_, turn, _)| !all.contains(turn));
        let aside: Vec<(&str, &[Key])> = aside.map(|&(name, _, keys)| (name, keys)).collect();
        let keys = |name: &str| {
            let weapon = name.strip_prefix(WEAPON).and_then(|digit| digit.parse::<usize>().ok());
            let weapon = weapon.and_then(|digit| DIGITS.get(digit.checked_sub(1)?));
            let known = aside.iter().chain(&KEYS).find(|(known, _)| *known == name);
            known.map_or_else(|| weapon.into_iter().copied().collect(), |(_, keys)| keys.to_vec())
        };
        let buttons: Vec<(String, Vec<Key>)> = all.iter().map(|&name| (name.to_owned(), keys(name))).collect();
        buttons.iter().any(|(_, keys)| !keys.is_empty()).then_some(Self { buttons, actions })
    }

    /// The action that presses most of the buttons of these keys, and no others; `None` if there is none.
    pub(super) fn chosen(&self, keys: &[Key]) -> Option<u32> {
        let asked = |&at: &usize| self.buttons[at].1.iter().any(|key| keys.contains(key));
        let fits = self.actions.iter().enumerate().filter(|(_, action)| !action.is_empty() && action.iter().all(asked));
        fits.rev().max_by_key(|(_, action)| action.len()).map(|(at, _)| at as u32)
    }

    /// Names of the buttons that have keys, with the keys.
    pub(super) fn help(&self) -> impl Iterator<Item = (&str, &[Key])> {
        self.buttons.iter().filter(|(_, keys)| !keys.is_empty()).map(|(name, keys)| (name.as_str(), keys.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Option<Buttons> {
        Buttons::all(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_action_with_most_of_what_is_pressed_is_taken() {
        let names = ["no-op", "move left", "move right", "attack", "move left + attack", "move right + attack"];
        let basic = of(&names).unwrap();
        for (keys, expected) in [
            (&[][..], None),
            (&[Key::Left], Some(1)),
            (&[Key::D], Some(2)),
            (&[Key::Space], Some(3)),
            (&[Key::LeftCtrl, Key::A], Some(4)),
            (&[Key::Right, Key::Space, Key::Up], Some(5)),
            (&[Key::Left, Key::Right], Some(1)),
            (&[Key::Up], None),
        ] {
            assert_eq!(basic.chosen(keys), expected, "{keys:?}");
        }
        assert_eq!(basic.help().next(), Some(("move left", &[Key::Left, Key::A][..])));
    }

    #[test]
    fn arrows_turn_where_a_game_turns() {
        let corridor = of(&["no-op", "move left", "turn left", "move left + turn left", "select weapon3"]).unwrap();
        assert_eq!(corridor.chosen(&[Key::Left]), Some(2));
        assert_eq!(corridor.chosen(&[Key::A]), Some(1));
        assert_eq!(corridor.chosen(&[Key::A, Key::Left]), Some(3));
        assert_eq!(corridor.chosen(&[Key::Key3]), Some(4));
    }

    #[test]
    fn other_games_have_no_such_buttons() {
        assert!(of(&["column 1", "column 2"]).is_none());
        assert!(of(&["select weapon0", "select weapon99", "no-op"]).is_none());
        assert!(of(&[]).is_none());
    }
}
