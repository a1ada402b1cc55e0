//! Gamepads that are plugged in; the only file that knows of them.

use std::time::Instant;

use gilrs::{Axis, EventType, GamepadId, Gilrs};
use minifb::Key;

use super::pad::{Button, Pad, each};
use super::repeat::Repeat;
use super::window::Input;
use crate::console::output;

/// Lines of the help on buttons.
const HELP: [(&str, &str); 5] = [
    ("gamepad", "stick, cross: arrows"),
    ("", "lower button: space, right: backspace, left: E"),
    ("", "shoulders: A, D; triggers: shift, space"),
    ("", "start: pause, another game"),
    ("", "select: close; upper button: these keys"),
];

/// All gamepads; each of them plays.
#[derive(Debug)]
pub(super) struct Pads {
    system: Gilrs,
    pads: Vec<(GamepadId, Pad)>,
    repeat: Repeat,
}

impl Pads {
    /// Looks for gamepads and reports them. `None`, also reported, if the system cannot tell.
    pub(super) fn open() -> Option<Self> {
        let system = match Gilrs::new() {
            Ok(system) => system,
            Err(e) => {
                output::note(format!("gamepad: {e}: the keyboard plays"));
                return None;
            }
        };
        let pads = system.gamepads().map(|(id, _)| (id, Pad::default())).collect();
        let pads = Self { system, pads, repeat: Repeat::default() };
        pads.pads.iter().for_each(|&(id, _)| pads.say(id, "plays"));
        Some(pads)
    }

    /// Lines of the help, if there is a gamepad.
    pub(super) fn help(&self) -> &'static [(&'static str, &'static str)] {
        if self.pads.is_empty() { &[] } else { &HELP }
    }

    /// Adds the keys of gamepads to those of the keyboard, and returns whether a gamepad was pulled out.
    pub(super) fn join(&mut self, input: &mut Input) -> bool {
        let (mut down, mut gone) = (Vec::new(), false);
        while let Some(event) = self.system.next_event() {
            match event.event {
                EventType::Connected => {
                    self.pad(event.id);
                    self.say(event.id, "plays");
                }
                EventType::Disconnected => {
                    self.pads.retain(|(id, _)| *id != event.id);
                    self.say(event.id, "was pulled out");
                    gone = true;
                }
                change => down.extend(changed(self.pad(event.id), change)),
            }
        }
        let held = each(self.pads.iter().flat_map(|(_, pad)| pad.keys()));
        input.pressed.extend(self.repeat.pressed(down, &held, Instant::now()));
        input.held.extend(held);
        gone
    }

    fn pad(&mut self, id: GamepadId) -> &mut Pad {
        let at = self.pads.iter().position(|(other, _)| *other == id).unwrap_or_else(|| {
            self.pads.push((id, Pad::default()));
            self.pads.len() - 1
        });
        &mut self.pads[at].1
    }

    fn say(&self, id: GamepadId, what: &str) {
        let name = self.system.connected_gamepad(id).map(|pad| pad.name().to_owned());
        output::note(format!("gamepad: {} {what}", name.as_deref().unwrap_or("one")));
    }
}

/// Applies a change of buttons or stick, and returns the keys that went down by it.
fn changed(pad: &mut Pad, change: EventType) -> Vec<Key> {
    let before = pad.keys();
    let mut press = |named: gilrs::Button, down| {
        if let Some(button) = button(named) {
            pad.press(button, down);
        }
    };
    match change {
        EventType::ButtonPressed(named, _) => press(named, true),
        EventType::ButtonReleased(named, _) => press(named, false),
        EventType::AxisChanged(Axis::LeftStickX, place, _) => pad.across(place),
        EventType::AxisChanged(Axis::LeftStickY, place, _) => pad.along(place),
        _ => {}
    }
    pad.keys().into_iter().filter(|key| !before.contains(key)).collect()
}

/// Our button for a name in the database of gamepads.
fn button(named: gilrs::Button) -> Option<Button> {
    Some(match named {
        gilrs::Button::DPadUp => Button::CrossUp,
        gilrs::Button::DPadDown => Button::CrossDown,
        gilrs::Button::DPadLeft => Button::CrossLeft,
        gilrs::Button::DPadRight => Button::CrossRight,
        gilrs::Button::South => Button::South,
        gilrs::Button::East => Button::East,
        gilrs::Button::West => Button::West,
        gilrs::Button::North => Button::North,
        gilrs::Button::LeftTrigger => Button::LeftShoulder,
        gilrs::Button::RightTrigger => Button::RightShoulder,
        gilrs::Button::LeftTrigger2 => Button::LeftTrigger,
        gilrs::Button::RightTrigger2 => Button::RightTrigger,
        gilrs::Button::Start => Button::Start,
        gilrs::Button::Select => Button::Select,
        _ => return None,
    })
}
