//! Turns a gamepad into keys, so that it plays whatever a keyboard plays.

use minifb::Key;

/// Tilt from which the stick counts; it does until the tilt falls below [`UPRIGHT`], so that a trembling hand is not
/// taken for taps.
const TILTED: f32 = 0.5;
const UPRIGHT: f32 = 0.4;
/// Share of the other direction from which a direction counts too, tan 22.5°: each of the eight directions has the same
/// part of the circle.
const BESIDE: f32 = 0.414;

/// A button, named by its place on the gamepad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Button {
    CrossUp,
    CrossDown,
    CrossLeft,
    CrossRight,
    South,
    East,
    West,
    North,
    LeftShoulder,
    RightShoulder,
    LeftTrigger,
    RightTrigger,
    Start,
    Select,
}

impl Button {
    /// Keys that the button presses. Start pauses a game that goes on, and begins another after one that is over.
    fn keys(self) -> &'static [Key] {
        match self {
            Self::CrossUp => &[Key::Up],
            Self::CrossDown => &[Key::Down],
            Self::CrossLeft => &[Key::Left],
            Self::CrossRight => &[Key::Right],
            Self::South | Self::RightTrigger => &[Key::Space],
            Self::East => &[Key::Backspace],
            Self::West => &[Key::E],
            Self::North => &[Key::F1],
            Self::LeftShoulder => &[Key::A],
            Self::RightShoulder => &[Key::D],
            Self::LeftTrigger => &[Key::LeftShift],
            Self::Start => &[Key::P, Key::Enter],
            Self::Select => &[Key::Escape],
        }
    }
}

/// Buttons that are down on one gamepad, and the position of its left stick.
#[derive(Debug, Default)]
pub(super) struct Pad {
    down: Vec<Button>,
    x: f32,
    /// Vertical position, 1 at the top.
    y: f32,
    tilted: bool,
}

impl Pad {
    /// Notes that a button went down or up.
    pub(super) fn press(&mut self, button: Button, down: bool) {
        self.down.retain(|other| *other != button);
        if down {
            self.down.push(button);
        }
    }

    /// Notes the horizontal position of the left stick, from -1 (left) to 1.
    pub(super) fn across(&mut self, place: f32) {
        self.x = place;
        self.tilt();
    }

    /// Notes the vertical position of the left stick, from -1 (bottom) to 1.
    pub(super) fn along(&mut self, place: f32) {
        self.y = place;
        self.tilt();
    }

    fn tilt(&mut self) {
        let least = if self.tilted { UPRIGHT } else { TILTED };
        self.tilted = self.x.hypot(self.y) >= least;
    }

    /// Keys that are held by buttons and stick, each once.
    pub(super) fn keys(&self) -> Vec<Key> {
        let Self { x, y, .. } = *self;
        let ways = [(x, y, Key::Right), (-x, y, Key::Left), (y, x, Key::Up), (-y, x, Key::Down)];
        let pointed = ways.into_iter().filter(|&(this, other, _)| self.tilted && this > BESIDE * other.abs());
        each(self.down.iter().flat_map(|button| button.keys()).copied().chain(pointed.map(|(.., key)| key)))
    }
}

/// Removes repeated keys.
pub(super) fn each(keys: impl Iterator<Item = Key>) -> Vec<Key> {
    let mut all = Vec::new();
    for key in keys {
        if !all.contains(&key) {
            all.push(key);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stick(x: f32, y: f32) -> Vec<Key> {
        let mut pad = Pad::default();
        pad.across(x);
        pad.along(y);
        let mut keys = pad.keys();
        keys.sort_unstable_by_key(|key| format!("{key:?}"));
        keys
    }

    #[test]
    fn the_stick_points_in_eight_directions_of_equal_width() {
        use Key::{Down, Left, Right, Up};
        let ways: [&[Key]; 8] =
            [&[Right], &[Right, Up], &[Up], &[Left, Up], &[Left], &[Down, Left], &[Down], &[Down, Right]];
        for degrees in 0..360_u16 {
            let (y, x) = f32::from(degrees).to_radians().sin_cos();
            let nearest = (usize::from(degrees) * 10 + 225) / 450 % 8; // borders are at 22.5°, between two whole degrees
            assert_eq!(stick(0.8 * x, 0.8 * y), ways[nearest], "{degrees}°");
            assert_eq!(stick(0.45 * x, 0.45 * y), [], "{degrees}°, hardly tilted");
        }
        assert_eq!(stick(f32::NAN, 0.0), []);
    }

    #[test]
    fn a_stick_that_trembles_stays_what_it_was() {
        let mut pad = Pad::default();
        for (place, expected) in [(0.49, 0), (0.5, 1), (0.41, 1), (0.39, 0), (0.45, 0), (1.0, 1), (0.0, 0)] {
            pad.across(place);
            assert_eq!(pad.keys().len(), expected, "{place}");
        }
    }

    #[test]
    fn every_button_is_a_key_and_triggers_fire_too() {
        use Button::*;
        let crosses = [CrossUp, CrossDown, CrossLeft, CrossRight, South, East, West, North];
        let all = [&crosses[..], &[LeftShoulder, RightShoulder, LeftTrigger, Start, Select]].concat();
        let mut keys: Vec<&Key> = all.iter().flat_map(|button| button.keys()).collect();
        assert_eq!(keys.len(), all.len() + 1, "start alone is two");
        keys.sort_unstable_by_key(|key| format!("{key:?}"));
        keys.dedup();
        assert_eq!(keys.len(), all.len() + 1, "no two are the same");
        assert_eq!(RightTrigger.keys(), South.keys());
    }

    #[test]
    fn two_buttons_of_one_key_hold_it_as_long_as_either_is_down() {
        let mut pad = Pad::default();
        pad.press(Button::South, true);
        pad.press(Button::RightTrigger, true);
        pad.press(Button::South, false);
        assert_eq!(pad.keys(), [Key::Space]);
        pad.press(Button::RightTrigger, false);
        assert_eq!(pad.keys(), []);
        pad.press(Button::Start, true);
        assert_eq!(pad.keys(), [Key::P, Key::Enter]);
    }

    #[test]
    fn buttons_are_keys_while_they_are_down() {
        let mut pad = Pad::default();
        pad.press(Button::CrossLeft, true);
        pad.press(Button::South, true);
        pad.across(-1.0);
        let mut keys = pad.keys();
        keys.sort_unstable_by_key(|key| format!("{key:?}"));
        assert_eq!(keys, [Key::Left, Key::Space], "cross and stick are one key");
        pad.press(Button::South, true);
        pad.press(Button::South, false);
        assert_eq!(pad.keys(), [Key::Left]);
        pad.across(0.0);
        pad.press(Button::CrossLeft, false);
        assert_eq!(pad.keys(), []);
    }
}
