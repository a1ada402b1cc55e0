//! Keys that are held count again and again, by a clock of ours: a keyboard's and a gamepad's alike.

use std::time::{Duration, Instant};

use minifb::Key;

/// How long a key is held before it counts again, and how often then.
const DELAY: Duration = Duration::from_millis(300);
const REPEAT: Duration = Duration::from_millis(50);

/// Keys that switch something: held, they would switch it to and fro.
const ONCE: [Key; 5] = [Key::Enter, Key::Escape, Key::F1, Key::M, Key::P];

/// Keys that are down, and when each counts again.
#[derive(Debug, Default)]
pub(super) struct Repeat {
    held: Vec<(Key, Instant)>,
}

impl Repeat {
    /// Keys that count at this time: those that went `down` since the last, and those of `held` that are due.
    pub(super) fn pressed(&mut self, down: Vec<Key>, held: &[Key], now: Instant) -> Vec<Key> {
        // Systems repeat a key that is held by letting it go and pressing it again.
        let mut pressed = down;
        pressed.retain(|key| !self.held.iter().any(|(held, _)| held == key));
        self.held.retain(|(key, _)| held.contains(key));
        for (key, again) in &mut self.held {
            if now >= *again && !ONCE.contains(key) {
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
        assert_eq!(at(&[Key::A], &[Key::A], 0), [Key::A]);
        assert_eq!(at(&[Key::A], &[Key::A], 290), [], "the system's own repetition is none");
        assert_eq!(at(&[], &[Key::A], 300), [Key::A]);
        assert_eq!(at(&[], &[Key::A], 349), []);
        assert_eq!(at(&[], &[Key::A], 350), [Key::A]);
        assert_eq!(at(&[Key::B], &[], 400), [Key::B], "down and up between two frames");
        assert_eq!(at(&[Key::A], &[Key::A], 450), [Key::A]);
    }

    #[test]
    fn a_key_that_switches_counts_once() {
        let (mut repeat, begun) = (Repeat::default(), Instant::now());
        assert_eq!(repeat.pressed(vec![Key::P], &[Key::P], begun), [Key::P]);
        assert_eq!(repeat.pressed(vec![Key::P], &[Key::P], begun + 9 * DELAY), []);
        assert_eq!(repeat.pressed(vec![], &[], begun + 10 * DELAY), []);
        assert_eq!(repeat.pressed(vec![Key::P], &[Key::P], begun + 10 * DELAY), [Key::P]);
    }
}
