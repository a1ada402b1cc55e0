//! The buttons of a player: 38 binary buttons, which are held or not, and 5 delta buttons, which have an amount.
//!
//! Source: ViZDoom 1.3.2, `ViZDoomTypes.h`.

use crate::names::{named, plain};

named! {
    /// A button of ViZDoom. Its number is its index in the engine's input.
    Button "button" {
        Attack "ATTACK" "Fires the weapon in hand.",
        Use "USE" "Opens doors and works switches.",
        Jump "JUMP" "Jumps.",
        Crouch "CROUCH" "Crouches.",
        Turn180 "TURN180" "Turns round.",
        AltAttack "ALTATTACK" "Fires the weapon in its second way.",
        Reload "RELOAD" "Reloads, with weapons that need it.",
        Zoom "ZOOM" "Zooms, with weapons that can.",
        Speed "SPEED" "Runs, while it is held.",
        Strafe "STRAFE" "Makes turns steps to the side, while it is held.",
        MoveRight "MOVE_RIGHT" "Steps to the right.",
        MoveLeft "MOVE_LEFT" "Steps to the left.",
        MoveBackward "MOVE_BACKWARD" "Walks backwards.",
        MoveForward "MOVE_FORWARD" "Walks forwards.",
        TurnRight "TURN_RIGHT" "Turns to the right.",
        TurnLeft "TURN_LEFT" "Turns to the left.",
        LookUp "LOOK_UP" "Looks further up.",
        LookDown "LOOK_DOWN" "Looks further down.",
        MoveUp "MOVE_UP" "Rises, flying or swimming.",
        MoveDown "MOVE_DOWN" "Sinks, flying or swimming.",
        Land "LAND" "Ends a flight.",
        SelectWeapon1 "SELECT_WEAPON1" "Takes a weapon of slot 1.",
        SelectWeapon2 "SELECT_WEAPON2" "Takes a weapon of slot 2.",
        SelectWeapon3 "SELECT_WEAPON3" "Takes a weapon of slot 3.",
        SelectWeapon4 "SELECT_WEAPON4" "Takes a weapon of slot 4.",
        SelectWeapon5 "SELECT_WEAPON5" "Takes a weapon of slot 5.",
        SelectWeapon6 "SELECT_WEAPON6" "Takes a weapon of slot 6.",
        SelectWeapon7 "SELECT_WEAPON7" "Takes a weapon of slot 7.",
        SelectWeapon8 "SELECT_WEAPON8" "Takes a weapon of slot 8.",
        SelectWeapon9 "SELECT_WEAPON9" "Takes a weapon of slot 9.",
        SelectWeapon0 "SELECT_WEAPON0" "Takes a weapon of slot 0.",
        SelectNextWeapon "SELECT_NEXT_WEAPON" "Takes the next weapon.",
        SelectPrevWeapon "SELECT_PREV_WEAPON" "Takes the weapon before.",
        DropSelectedWeapon "DROP_SELECTED_WEAPON" "Drops the weapon in hand.",
        ActivateSelectedItem "ACTIVATE_SELECTED_ITEM" "Uses the chosen item; for ViZDoom's loader `ACTIVATE_SELECTED_WEAPON`.",
        SelectNextItem "SELECT_NEXT_ITEM" "Chooses the next item.",
        SelectPrevItem "SELECT_PREV_ITEM" "Chooses the item before.",
        DropSelectedItem "DROP_SELECTED_ITEM" "Drops the chosen item.",
        LookUpDownDelta "LOOK_UP_DOWN_DELTA" "Looks up by degrees per tic, down where negative.",
        TurnLeftRightDelta "TURN_LEFT_RIGHT_DELTA" "Turns right by degrees per tic, left where negative.",
        MoveForwardBackwardDelta "MOVE_FORWARD_BACKWARD_DELTA" "Walks forwards with a speed, backwards where negative.",
        MoveLeftRightDelta "MOVE_LEFT_RIGHT_DELTA" "Steps right with a speed, left where negative.",
        MoveUpDownDelta "MOVE_UP_DOWN_DELTA" "Rises with a speed, sinks where negative.",
    }
}

/// Number of binary buttons, which come before the delta buttons.
const BINARY: usize = 38;

impl Button {
    /// Returns the button that a `.cfg` file means by `text`, or a message where there is none.
    ///
    /// ViZDoom's loader knows [`Button::ActivateSelectedItem`] only as `ACTIVATE_SELECTED_WEAPON`; here both names do.
    pub(crate) fn in_cfg(text: &str) -> Result<Self, String> {
        match plain(text).as_str() {
            "activateselectedweapon" => Ok(Button::ActivateSelectedItem),
            _ => Button::meant(text),
        }
    }

    /// Whether the button is binary: its value in an action is 0 (released) or 1 (pressed).
    pub fn is_binary(self) -> bool {
        self.number() < BINARY
    }

    /// Whether the button is a delta button: its value in an action is any number, of either sign.
    pub fn is_delta(self) -> bool {
        !self.is_binary()
    }

    /// Whether this is a delta button that moves the player over the ground.
    pub(crate) fn pushes(self) -> bool {
        matches!(self, Button::MoveForwardBackwardDelta | Button::MoveLeftRightDelta)
    }

    /// Returns the index among the delta buttons, from 0 to 4; `None` for a binary button.
    pub(crate) fn delta(self) -> Option<usize> {
        self.number().checked_sub(BINARY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_five_have_an_amount() {
        let deltas: Vec<_> = Button::ALL.iter().filter(|button| button.is_delta()).collect();
        assert!(deltas.iter().all(|button| button.name().ends_with("_DELTA")) && deltas.len() == 5, "{deltas:?}");
        assert_eq!(Button::ALL.iter().filter(|button| button.is_binary()).count(), 38);
        assert_eq!((Button::DropSelectedItem.delta(), Button::MoveUpDownDelta.delta()), (None, Some(4)));
    }

    #[test]
    fn capitals_and_underscores_do_not_count() {
        for text in ["MOVE_LEFT", "move_left", "MoveLeft", "moveleft"] {
            assert_eq!(Button::named(text), Some(Button::MoveLeft));
        }
        assert_eq!(Button::named("MOVE LEFT"), None);
        assert_eq!(Button::named(""), None);
        assert_eq!(Button::in_cfg("activate_selected_weapon"), Ok(Button::ActivateSelectedItem));
        assert_eq!(Button::named("activate_selected_weapon"), None);
    }
}
