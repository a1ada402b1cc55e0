//! Repeats keys that are held by a clock of its own, so that keyboard and gamepad repeat alike.

use std::time::{Duration, Instant};

use minifb::Key;

/// Time that a key is held before it counts again; after that it does every [`REPEAT`].
const DELAY: Duration = Duration::from_millis(300);
const REPEAT: Duration = Duration::from_millis(50);

/// Keys that are repeated, because they go a little further each time. Others count once: repeated, they would switch
/// something to and fro, or drop stone after stone.
const AGAIN: [Key; 12] = [
    Key::Left,
    Key::Right,
    Key::Up,
    Key::Down,
    Key::Comma,
    Key::Period,
    Key::Minus,
    Key::Equal,
    Key::NumPadMinus,
    Key::NumPadPlus,
    Key::PageUp,
    Key::PageDown,
];

/// Keys that are down, and when each counts again.
#[derive(Debug, Default)]
pub(super) struct Repeat {
    held: Vec<(Key, Instant)>,
}

impl Repeat {
    /// Keys of `down` that a hand pressed. Systems repeat a held key by letting it go and pressing it again.
    pub(super) fn by_hand(&self, down: Vec<Key>) -> Vec<Key> {
        down.into_iter().filter(|key| !self.held.iter().any(|(held, _)| held == key)).collect()
    }

    /// Keys that count at the time `now`: those that newly went `down`, and those of `held` that are to be repeated.
    pub(super) fn pressed(&mut self, down: Vec<Key>, held: &[Key], now: Instant) -> Vec<Key> {
        let mut pressed = self.by_hand(down);
        self.held.retain(|(key, _)| held.contains(key));
        for (key, again) in &mut self.held {
            if now >= *again && AGAIN.contains(key) {
                *again = now + REPEAT;
                pressed.push(*key);
            }
        }
        let new = held.iter().filter(|key| !self.held.iter().any(|(held, _)| held == *key));
        let new: Vec<(Key, Instant)> = new.map(|&key| (key, now + DELAY)).collect();
        self.held.extend(new);
        pressed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_when_it_goes_down_and_again_while_it_is_held() {
        let (mut repeat, begun) = (Repeat::default(), Instant::now());
        let mut at = |down: &[Key], held: &[Key], millis| {
            repeat.pressed(down.to_vec(), held, begun + Duration::from_millis(millis))
        };
        assert_eq!(at(&[Key::Up], &[Key::Up], 0), [Key::Up]);
        assert_eq!(at(&[Key::Up], &[Key::Up], 290), [], "the system's own repetition is none");
        assert_eq!(at(&[], &[Key::Up], 300), [Key::Up]);
        assert_eq!(at(&[], &[Key::Up], 349), []);
        assert_eq!(at(&[], &[Key::Up], 350), [Key::Up]);
        assert_eq!(at(&[Key::B], &[], 400), [Key::B], "down and up between two frames");
        assert_eq!(at(&[Key::Up], &[Key::Up], 450), [Key::Up]);
    }

    #[test]
    fn a_key_that_switches_counts_once() {
        for key in [Key::P, Key::Space, Key::S, Key::Key1, Key::Tab] {
            let (mut repeat, begun) = (Repeat::default(), Instant::now());
            assert_eq!(repeat.pressed(vec![key], &[key], begun), [key]);
            assert_eq!(repeat.by_hand(vec![key]), [], "a character that the system repeats is none either");
            assert_eq!(repeat.pressed(vec![key], &[key], begun + 9 * DELAY), []);
            assert_eq!(repeat.pressed(vec![], &[], begun + 10 * DELAY), []);
            assert_eq!(repeat.pressed(vec![key], &[key], begun + 10 * DELAY), [key]);
        }
    }
}
