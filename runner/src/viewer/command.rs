//! Commands of `watch`, with their keys and the words of the help.

use minifb::Key;

/// Speeds of playback, as multiples of the speed at which people play.
pub(super) const SPEEDS: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

/// A command of `watch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Starts or pauses playback.
    Play,
    /// Goes one step on.
    Forward,
    /// Goes one step back.
    Back,
    /// Goes to the first step.
    Start,
    /// Goes behind the last step.
    End,
    /// Plays at the next higher speed.
    Faster,
    /// Plays at the next lower speed.
    Slower,
    /// Goes to the next game.
    Next,
    /// Goes to the previous game.
    Previous,
    /// Shows or hides a part beside the game.
    Toggle(Part),
    /// Shows or hides all parts beside the game.
    Bare,
    /// Writes the window's contents to a file.
    Picture,
    /// Shows or hides the help.
    Help,
    /// Closes the window.
    Quit,
}

/// A part of what is shown beside the game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The list of games.
    Games,
    /// The action that is taken.
    Action,
    /// The agent's outputs for its actions.
    Thoughts,
    /// What the policy sees.
    Sees,
    /// The return so far, along the timeline.
    Return,
    /// The agent's value, along the timeline.
    Value,
    /// The saliency map over the game.
    Heat,
}

/// Keys, their names, their command and what the help says of it, in the order of the help.
const KEYS: [(&[Key], &str, Command, &str); 19] = [
    (&[Key::Space], "space", Command::Play, "play, pause"),
    (&[Key::Right, Key::Period], "right", Command::Forward, "one step on"),
    (&[Key::Left, Key::Comma], "left", Command::Back, "one step back"),
    (&[Key::Home], "home", Command::Start, "to the start"),
    (&[Key::End], "end", Command::End, "to the end"),
    (&[Key::Up, Key::Equal, Key::NumPadPlus], "up", Command::Faster, "faster, up to 16 times"),
    (&[Key::Down, Key::Minus, Key::NumPadMinus], "down", Command::Slower, "slower, down to a quarter"),
    (&[Key::PageDown], "page down", Command::Next, "next game"),
    (&[Key::PageUp], "page up", Command::Previous, "previous game"),
    (&[Key::G], "G", Command::Toggle(Part::Games), "list of games"),
    (&[Key::A], "A", Command::Toggle(Part::Action), "action"),
    (&[Key::O], "O", Command::Toggle(Part::Thoughts), "the agent's action values or probabilities"),
    (&[Key::N], "N", Command::Toggle(Part::Sees), "what the network sees"),
    (&[Key::H], "H", Command::Toggle(Part::Heat), "saliency map: what moves the agent"),
    (&[Key::R], "R", Command::Toggle(Part::Return), "return along the timeline"),
    (&[Key::V], "V", Command::Toggle(Part::Value), "value along the timeline"),
    (&[Key::Tab], "tab", Command::Bare, "everything but the game: hide or show"),
    (&[Key::S], "S", Command::Picture, "write a picture"),
    (&[Key::Escape, Key::Q], "Q, esc", Command::Quit, "close"),
];

/// The command of a key. `?` is not here: it is a character, whichever key types it.
pub(super) fn of_key(key: Key) -> Option<Command> {
    if key == Key::F1 {
        return Some(Command::Help);
    }
    KEYS.iter().find(|(keys, ..)| keys.contains(&key)).map(|&(.., command, _)| command)
}

/// The command of a typed character.
pub(super) fn of_char(typed: char) -> Option<Command> {
    (typed == '?').then_some(Command::Help)
}

/// Names of keys, and what they do.
pub(super) fn help() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().map(|&(_, name, _, what)| (name, what)).chain([("F1, ?", "these keys")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_asks_for_one_thing() {
        let keys: Vec<Key> = KEYS.iter().flat_map(|(keys, ..)| keys.iter().copied()).collect();
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{key:?}");
        }
        assert_eq!(of_key(Key::Space), Some(Command::Play));
        assert_eq!((of_key(Key::F1), of_char('?')), (Some(Command::Help), Some(Command::Help)));
        assert_eq!((of_key(Key::F7), of_char('a')), (None, None));
    }
}
