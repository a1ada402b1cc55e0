//! What an agent's action presses.

use rl_core::{Act, Bound, Spec};
use vizdoom::Button;

/// Combinations beyond which buttons are pressed one at a time.
const MOST: usize = 64;
/// How far an analogue button goes where the configuration sets no bound, in degrees or map units a tic.
const UNBOUNDED: f32 = 180.0;

/// Buttons of which one at most is pressed at a time.
const OPPOSITES: &[&[Button]] = &[
    &[Button::MoveLeft, Button::MoveRight],
    &[Button::TurnLeft, Button::TurnRight],
    &[Button::MoveForward, Button::MoveBackward],
    &[Button::LookUp, Button::LookDown],
    &[Button::MoveUp, Button::MoveDown],
];

/// How actions become values of buttons.
#[derive(Clone, Debug)]
pub(super) enum Actions {
    /// One of these rows.
    Set(Vec<Box<[f64]>>),
    /// A value for each button, the binary ones first: places of those, and of the analogue ones with their bounds.
    Every { binary: Vec<usize>, delta: Vec<(usize, f32)> },
}

impl Actions {
    /// Every combination without opposites, nothing first; where those are many, nothing and each button alone. Buttons with
    /// an amount are not pressed.
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

    /// A value for each of `buttons`; `most` bounds those with an amount, in the engine's order, 0 being no bound.
    pub(super) fn every(buttons: &[Button], most: &[f64; 5]) -> Self {
        let binary = (0..buttons.len()).filter(|&at| buttons[at].is_binary()).collect();
        let bound = |button: Button| match most[button.number() - (Button::ALL.len() - most.len())] {
            0.0 => UNBOUNDED,
            most => most as f32,
        };
        let delta = (0..buttons.len()).filter(|&at| buttons[at].is_delta()).map(|at| (at, bound(buttons[at])));
        Actions::Every { binary, delta: delta.collect() }
    }

    /// Adds the actions to a specification.
    pub(super) fn describe(&self, spec: &mut Spec) {
        match self {
            Actions::Set(rows) => spec.discrete = [rows.len() as u32].into(),
            Actions::Every { binary, delta } => {
                spec.discrete = vec![2; binary.len()].into();
                spec.continuous = delta.iter().map(|&(_, most)| Bound { low: -most, high: most }).collect();
            }
        }
    }

    /// What each row presses; empty where every button has a value of its own.
    pub(super) fn names(&self, buttons: &[Button]) -> Vec<String> {
        let Actions::Set(rows) = self else { return Vec::new() };
        let words = |row: &[f64]| {
            let pressed = buttons.iter().zip(row).filter(|&(_, &value)| value != 0.0);
            pressed.map(|(button, _)| button.name().to_lowercase().replace('_', " ")).collect::<Vec<_>>().join(" + ")
        };
        rows.iter().map(|row| words(row)).map(|name| if name.is_empty() { "no-op".to_owned() } else { name }).collect()
    }

    /// Writes the values of all buttons.
    pub(super) fn press(&self, act: Act<'_>, row: &mut [f64]) {
        match self {
            Actions::Set(rows) => row.copy_from_slice(&rows[act.discrete[0] as usize]),
            Actions::Every { binary, delta } => {
                binary.iter().zip(act.discrete).for_each(|(&at, &value)| row[at] = f64::from(value));
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
