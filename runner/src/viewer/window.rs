//! The window itself; the only file that knows of a display.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use anyhow::anyhow;
use embedded_graphics::prelude::Point;
use minifb::{InputCallback, Key, MouseButton, MouseMode, ScaleMode, Window, WindowOptions};

use super::displays;
use super::repeat::Repeat;
use super::surface::Surface;

/// Frames per second that the window shows.
const RATE: usize = 60;

/// Keys, mouse and size of the window since the last frame.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Keys that went down, or are held and repeated.
    pub(super) pressed: Vec<Key>,
    /// Keys that are down.
    pub(super) held: Vec<Key>,
    pub(super) typed: Vec<char>,
    /// Place of the mouse while its left button is down.
    pub(super) pointer: Option<Point>,
    /// Whether the left button went down in this frame.
    pub(super) clicked: bool,
    /// Width and height of the window in pixels, at least 1.
    pub(super) size: (usize, usize),
}

/// Events in order, so that a key that goes down and up between two frames is not missed.
#[derive(Debug, Default)]
struct Events {
    down: Vec<Key>,
    typed: Vec<char>,
}

struct Listener(Rc<RefCell<Events>>);

impl InputCallback for Listener {
    fn add_char(&mut self, code: u32) {
        self.0.borrow_mut().typed.extend(char::from_u32(code));
    }

    fn set_key_state(&mut self, key: Key, down: bool) {
        if down {
            self.0.borrow_mut().down.push(key);
        }
    }
}

/// A window on the display.
pub(super) struct Screen {
    window: Window,
    events: Rc<RefCell<Events>>,
    repeat: Repeat,
    button: bool,
}

impl Screen {
    /// Opens a window.
    ///
    /// # Errors
    /// If there is no display.
    pub(super) fn open(title: &str, (width, height): (usize, usize)) -> anyhow::Result<Self> {
        let options = WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
        let mut window = Window::new(title, width, height, options).map_err(|e| {
            let mend = match &displays()[..] {
                [] => "set DISPLAY or WAYLAND_DISPLAY".to_owned(),
                named => format!("nobody answers at {}, or this user may open none there", named.join(" and ")),
            };
            let without = "games that were recorded become films without: `rl-run export FILE --out game.gif`";
            anyhow!("no window can be opened here ({e}): {mend} ({without})")
        })?;
        window.set_target_fps(RATE);
        let events = Rc::default();
        window.set_input_callback(Box::new(Listener(Rc::clone(&events))));
        Ok(Self { window, events, repeat: Repeat::default(), button: false })
    }

    /// Shows frames as fast as they come from now on.
    pub(super) fn unlimited(&mut self) {
        self.window.set_target_fps(0);
    }

    /// Changes the title.
    pub(super) fn entitle(&mut self, title: &str) {
        self.window.set_title(title);
    }

    /// Shows a frame, and waits until the next is due.
    ///
    /// # Errors
    /// If the display is gone.
    pub(super) fn show(&mut self, surface: &Surface) -> anyhow::Result<()> {
        let shown = self.window.update_with_buffer(surface.pixels(), surface.width(), surface.height());
        shown.map_err(|e| anyhow!("the window: {e}"))
    }

    /// Keys, mouse and size since the last frame; `None` if the window was closed.
    pub(super) fn input(&mut self) -> Option<Input> {
        if !self.window.is_open() {
            return None;
        }
        let Events { down, mut typed } = std::mem::take(&mut *self.events.borrow_mut());
        let down = self.repeat.by_hand(down);
        if down.is_empty() {
            typed.clear(); // of a key that is held
        }
        let held = self.window.get_keys();
        let pressed = self.repeat.pressed(down, &held, Instant::now());
        let button = self.window.get_mouse_down(MouseButton::Left);
        let before = std::mem::replace(&mut self.button, button);
        let clicked = button && !before;
        let mouse = self.window.get_mouse_pos(MouseMode::Clamp).filter(|_| button);
        let pointer = mouse.map(|(x, y)| Point::new(x as i32, y as i32));
        let size = self.window.get_size();
        Some(Input { pressed, held, typed, pointer, clicked, size: (size.0.max(1), size.1.max(1)) })
    }
}
