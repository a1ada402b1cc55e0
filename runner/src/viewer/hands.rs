//! Turns the keys of a person who plays into actions.

use minifb::Key;
use rl_core::{Spec, VecEnv};

use super::buttons::Buttons;
use super::stick::Stick;
use crate::console::usage::usage;

/// Games of at most this many frames per second wait for each move.
const TURNS: f64 = 4.0;
/// Ways of a joystick: the name, the way, and its keys.
const STICK: [(&str, Stick, &[Key]); 5] = [
    ("up", Stick { x: 0, y: -1, fire: false }, &[Key::Up, Key::W]),
    ("down", Stick { x: 0, y: 1, fire: false }, &[Key::Down, Key::S]),
    ("left", Stick { x: -1, y: 0, fire: false }, &[Key::Left, Key::A]),
    ("right", Stick { x: 1, y: 0, fire: false }, &[Key::Right, Key::D]),
    ("fire", Stick { x: 0, y: 0, fire: true }, &[Key::Space, Key::LeftCtrl]),
];
/// Names of other actions, and their keys.
const WORDS: [(&str, &[Key]); 11] = [
    ("north", &[Key::Up, Key::W]),
    ("south", &[Key::Down, Key::S]),
    ("east", &[Key::Right, Key::D]),
    ("west", &[Key::Left, Key::A]),
    ("pick up", &[Key::Space]),
    ("drop off", &[Key::Backspace, Key::X]),
    ("hit", &[Key::Space, Key::H]),
    ("stick", &[Key::S, Key::Backspace]),
    ("torque -1", &[Key::Left, Key::A]),
    ("torque 0", &[]),
    ("torque 1", &[Key::Right, Key::D]),
];
pub(super) const DIGITS: [Key; 9] =
    [Key::Key1, Key::Key2, Key::Key3, Key::Key4, Key::Key5, Key::Key6, Key::Key7, Key::Key8, Key::Key9];

/// An action of a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    Discrete(u32),
    Continuous(f32),
}

/// Turns keys into actions.
#[derive(Clone, Debug)]
pub(super) struct Hands {
    spec: Spec,
    names: Vec<String>,
    sticks: Option<Vec<Stick>>,
    buttons: Option<Buttons>,
    turns: bool,
    /// The last action, which is repeated while no key is down if the game has no action to do nothing; in a list of
    /// moves, the marked one.
    last: u32,
}

impl Hands {
    /// Finds the keys for a game.
    ///
    /// # Errors
    /// If an action of the game has more than one value.
    pub(super) fn new(env: &dyn VecEnv, name: &str) -> anyhow::Result<Self> {
        let spec = env.spec().clone();
        if spec.discrete.len() + spec.continuous.len() != 1 {
            let (discrete, continuous) = (spec.discrete.len(), spec.continuous.len());
            return Err(usage(format!(
                "--env {name}: has {discrete} discrete and {continuous} continuous values of an action, and keys serve one"
            )));
        }
        let names = env.action_names();
        let (sticks, buttons) = (Stick::all(&names), Buttons::all(&names));
        let mut hands = Self { sticks, buttons, spec, names, turns: env.frame_rate() <= TURNS, last: 0 };
        if hands.listed() {
            hands.last = hands.spec.discrete[0] / 2;
        }
        Ok(hands)
    }

    /// Whether the game waits for each move.
    pub(super) fn turns(&self) -> bool {
        self.turns
    }

    /// The action of these keys: those that are down in a game that goes on by itself, those that were pressed in one
    /// that waits for moves. `None` if such a game is to wait on.
    pub(super) fn act(&mut self, keys: &[Key]) -> Option<Act> {
        if let [bound] = *self.spec.continuous {
            let stick = pointed(keys);
            let value = [bound.low, 0.0f32.clamp(bound.low, bound.high), bound.high][(stick.x + 1) as usize];
            return Some(Act::Continuous(value));
        }
        let chosen = self.chosen(keys);
        if chosen.is_none() && self.listed() {
            let (stick, count) = (pointed(keys), self.spec.discrete[0]);
            self.last = self.last.saturating_add_signed(stick.x).min(count - 1);
            return stick.fire.then_some(Act::Discrete(self.last));
        }
        self.last = chosen.unwrap_or(self.last);
        chosen.or((!self.turns).then(|| self.idle())).map(Act::Discrete)
    }

    fn chosen(&self, keys: &[Key]) -> Option<u32> {
        let count = self.spec.discrete[0];
        let digit = || DIGITS.iter().position(|digit| keys.contains(digit)).map(|at| at as u32);
        let number = digit().filter(|number| *number < count && (self.turns || !self.bound()));
        if number.is_some() {
            return number;
        }
        if let Some(sticks) = &self.sticks {
            let stick = pointed(keys);
            let nearest = (0..count).rev().max_by_key(|&action| stick.like(sticks[action as usize]))?;
            return (stick != Stick::default() && stick.like(sticks[nearest as usize]) > 0).then_some(nearest);
        }
        if let Some(buttons) = &self.buttons {
            return buttons.chosen(keys);
        }
        let does = |name: &String| keys_of(name).iter().any(|key| keys.contains(key));
        self.names.iter().position(does).map(|at| at as u32)
    }

    /// Whether any action has a key of its own by its name.
    fn bound(&self) -> bool {
        self.sticks.is_some() || self.buttons.is_some() || self.names.iter().any(|name| !keys_of(name).is_empty())
    }

    /// Whether moves are a list in which one is marked and taken, because no action has a key of its own.
    fn listed(&self) -> bool {
        self.turns && !self.spec.discrete.is_empty() && !self.bound()
    }

    /// Name of the marked move, if moves are a list.
    pub(super) fn marked(&self) -> Option<String> {
        self.listed().then(|| self.named(self.last as usize))
    }

    fn named(&self, at: usize) -> String {
        self.names.get(at).cloned().unwrap_or_else(|| format!("action {at}"))
    }

    /// The action that is taken while no key is down.
    fn idle(&self) -> u32 {
        let nothing = |name: &String| name == "no-op" || name == "torque 0";
        self.names.iter().position(nothing).map_or(self.last, |at| at as u32)
    }

    /// Names of keys, and what they do.
    pub(super) fn help(&self) -> Vec<(String, String)> {
        let mut help = Vec::new();
        let stick = |x: bool, y: bool, fire: bool| {
            STICK.iter().filter(move |(_, stick, _)| (stick.x != 0 && x) || (stick.y != 0 && y) || (stick.fire && fire))
        };
        if self.spec.discrete.is_empty() {
            help.extend(stick(true, false, false).map(|(does, _, keys)| (name(keys), (*does).to_owned())));
        } else if let Some(sticks) = &self.sticks {
            let any = |of: fn(&Stick) -> bool| sticks.iter().any(of);
            let known = stick(any(|stick| stick.x != 0), any(|stick| stick.y != 0), any(|stick| stick.fire));
            help.extend(known.map(|(does, _, keys)| (name(keys), (*does).to_owned())));
        } else if let Some(buttons) = &self.buttons {
            help.extend(buttons.help().map(|(does, keys)| (name(keys), does.to_owned())));
        } else {
            let bound = self.names.iter().filter(|name| !keys_of(name).is_empty());
            help.extend(bound.map(|does| (name(keys_of(does)), does.clone())));
        }
        if help.is_empty() {
            let count = (self.spec.discrete[0] as usize).min(DIGITS.len());
            help.extend((0..count).map(|at| ((at + 1).to_string(), self.named(at))));
        }
        if self.listed() {
            help.push(("left, right".to_owned(), "mark another".to_owned()));
            help.push(("space".to_owned(), "take what is marked".to_owned()));
        }
        help
    }
}

/// Way of a joystick that these keys point it; opposite keys cancel out.
fn pointed(keys: &[Key]) -> Stick {
    let mut all = Stick::default();
    for (_, stick, names) in &STICK {
        if names.iter().any(|key| keys.contains(key)) {
            (all.x, all.y, all.fire) = (all.x + stick.x, all.y + stick.y, all.fire || stick.fire);
        }
    }
    all
}

fn keys_of(name: &str) -> &'static [Key] {
    WORDS.iter().find(|(word, _)| *word == name).map_or(&[], |&(_, keys)| keys)
}

/// Names of keys as people know them.
fn name(keys: &[Key]) -> String {
    keys.iter().map(|&key| called(key)).collect::<Vec<_>>().join(", ")
}

/// Name of a key as people know it.
fn called(key: Key) -> String {
    match key {
        Key::LeftCtrl => "ctrl".to_owned(),
        Key::LeftShift => "shift".to_owned(),
        Key::PageUp => "page up".to_owned(),
        Key::PageDown => "page down".to_owned(),
        Key::Space | Key::Up | Key::Down | Key::Left | Key::Right | Key::Backspace => format!("{key:?}").to_lowercase(),
        key => format!("{key:?}").trim_start_matches("Key").to_owned(),
    }
}
