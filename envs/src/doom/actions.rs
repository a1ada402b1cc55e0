//! From an agent's action to the values of the engine's buttons.

use rl_core::{Act, Bound, Spec};
use vizdoom::Button;

/// Largest number of button combinations; where there are more, buttons are pressed one at a time.
const MOST: usize = 64;
/// Bound of a delta button where the configuration sets none, in degrees or map units per tic.
const UNBOUNDED: f32 = 180.0;

/// Groups of buttons of which at most one is pressed at a time.
const OPPOSITES: &[&[Button]] = &[
    &[Button::MoveLeft, Button::MoveRight],
    &[Button::TurnLeft, Button::TurnRight],
    &[Button::MoveForward, Button::MoveBackward],
    &[Button::LookUp, Button::LookDown],
    &[Button::MoveUp, Button::MoveDown],
];

/// Mapping from actions to values of buttons.
#[derive(Clone, Debug)]
pub(super) enum Actions {
    /// One discrete action that selects a row of button values.
    Set(Vec<Box<[f64]>>),
    /// One action per button: discrete ones for the buttons at the indices `binary`, then continuous ones for the
    /// buttons at the indices of `delta`, with their bounds.
    Every { binary: Vec<usize>, delta: Vec<(usize, f32)> },
}

impl Actions {
    /// Makes a set of all combinations of binary buttons without opposites, the empty one first; where those are more
    /// than 64, of nothing and each binary button alone. Delta buttons are never pressed.
    pub(super) fn set(buttons: &[Button]) -> Self {
        let mut rows = vec![vec![0.0; buttons.len()].into_boxed_slice()];
        let mut done: Vec<Button> = Vec::new();
        for &button in buttons.iter().filter(|button| button.is_binary()) {
            if done.contains(&button) {
                continue;
            }
            let group = OPPOSITES.iter().find(|group| group.contains(&button)).copied();
            let group = group.unwrap_or(std::slice::from_ref(&button));
            let places: Vec<usize> =
                group.iter().filter_map(|one| buttons.iter().position(|other| other == one)).collect();
            done.extend_from_slice(group);
            let before = rows.clone();
            for place in places {
                rows.extend(before.iter().map(|row| pressed(row, place)));
            }
            if rows.len() > MOST {
                let none = vec![0.0; buttons.len()];
                let alone = (0..buttons.len()).filter(|&at| buttons[at].is_binary()).map(|at| pressed(&none, at));
                return Actions::Set(std::iter::once(none.clone().into()).chain(alone).collect());
            }
        }
        Actions::Set(rows)
    }

    /// Makes one action per button of `buttons`; `most` are the bounds of the five delta buttons, in the engine's
    /// order, where 0 stands for 180.
    pub(super) fn every(buttons: &[Button], most: &[f64; 5]) -> Self {
        let binary = (0..buttons.len()).filter(|&at| buttons[at].is_binary()).collect();
        let bound = |button: Button| match most[button.number() - (Button::ALL.len() - most.len())] {
            0.0 => UNBOUNDED,
            most => most as f32,
        };
        let delta = (0..buttons.len()).filter(|&at| buttons[at].is_delta()).map(|at| (at, bound(buttons[at])));
        Actions::Every { binary, delta: delta.collect() }
    }

    /// Writes the action spaces into `spec`.
    pub(super) fn describe(&self, spec: &mut Spec) {
        match self {
            Actions::Set(rows) => spec.discrete = [rows.len() as u32].into(),
            Actions::Every { binary, delta } => {
                spec.discrete = vec![2; binary.len()].into();
                spec.continuous = delta.iter().map(|&(_, most)| Bound { low: -most, high: most }).collect();
            }
        }
    }

    /// Names the values of the single discrete action, such as `move left + attack`; empty where each button has its
    /// own.
    pub(super) fn names(&self, buttons: &[Button]) -> Vec<String> {
        let Actions::Set(rows) = self else { return Vec::new() };
        let words = |row: &[f64]| {
            let pressed = buttons.iter().zip(row).filter(|&(_, &value)| value != 0.0);
            pressed.map(|(button, _)| button.name().to_lowercase().replace('_', " ")).collect::<Vec<_>>().join(" + ")
        };
        rows.iter().map(|row| words(row)).map(|name| if name.is_empty() { "no-op".to_owned() } else { name }).collect()
    }

    /// Writes the values of all buttons under the action `act` of one seat into `row`.
    ///
    /// # Panics
    /// If there is no such action.
    pub(super) fn press(&self, act: Act<'_>, row: &mut [f64]) {
        match self {
            Actions::Set(rows) => row.copy_from_slice(&rows[act.discrete[0] as usize]),
            Actions::Every { binary, delta } => {
                for (&at, &value) in binary.iter().zip(act.discrete) {
                    assert!(value < 2, "a button has no value {value}");
                    row[at] = f64::from(value);
                }
                delta.iter().zip(act.continuous).for_each(|(&(at, _), &value)| row[at] = f64::from(value));
            }
        }
    }
}

fn pressed(row: &[f64], place: usize) -> Box<[f64]> {
    let mut row = row.to_vec();
    row[place] = 1.0;
    row.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(buttons: &[Button]) -> Vec<Vec<u8>> {
        let Actions::Set(rows) = Actions::set(buttons) else { unreachable!() };
        rows.iter().map(|row| row.iter().map(|&value| value as u8).collect()).collect()
    }

    #[test]
    fn a_set_has_every_combination_but_of_opposites() {
        let basic = [Button::MoveLeft, Button::MoveRight, Button::Attack];
        assert_eq!(rows(&basic), [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]]);
        assert_eq!(Actions::set(&basic).names(&basic)[4..], ["move left + attack", "move right + attack"]);
        assert_eq!(rows(&[Button::MoveLeft, Button::TurnLeftRightDelta]), [[0, 0], [1, 0]]);
        assert_eq!(rows(&Button::ALL[..38]).len(), 39, "nothing, and each alone");
    }

    #[test]
    fn every_button_has_a_value_where_that_is_asked_for() {
        let buttons = [Button::TurnLeftRightDelta, Button::Attack, Button::LookUpDownDelta];
        let actions = Actions::every(&buttons, &[5.0, 0.0, 0.0, 0.0, 0.0]);
        let mut spec = Spec::none();
        actions.describe(&mut spec);
        assert_eq!((&spec.discrete[..], spec.continuous.len(), spec.continuous[1].high), (&[2][..], 2, 5.0));
        let mut row = [9.0; 3];
        actions.press(Act { discrete: &[1], continuous: &[-3.5, 2.0] }, &mut row);
        assert_eq!(row, [-3.5, 1.0, 2.0]);
    }
}
