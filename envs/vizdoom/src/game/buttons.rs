//! Buttons: what is pressed, what the engine heeds, and what was done in the end.

use super::Game;
use crate::layout::{game, input};
use crate::{Button, Error, Result};

/// What is known of USE while it is held for a dead player, who comes back by it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    /// Whether the engine heeded USE before; `None` if it was not held since.
    heeded: Option<u8>,
    down: bool,
}

impl Game {
    /// Sets the buttons, with `values` in the order of [`Config::available_buttons`](crate::Config::available_buttons);
    /// those without a value are released. A binary button is pressed where its value is not 0; the value of a delta
    /// button is the amount per tic.
    pub fn press(&mut self, values: &[f64]) {
        self.pushed = false;
        for n in 0..self.config.available_buttons.len() {
            let button = self.config.available_buttons[n];
            self.given[n] = values.get(n).copied().unwrap_or(0.0);
            self.pushed |= button.pushes() && self.given[n] != 0.0;
            let field = input::BT.element(button.number());
            self.engine.memory_mut().set_input(field, self.given[n]);
        }
    }

    /// Sets the bound of the absolute value of a delta button, from the next tic on; 0 for no bound. A bound below 0 is
    /// that without its sign, as in ViZDoom.
    ///
    /// # Errors
    /// If `button` is binary, or `most` is not finite.
    pub fn set_button_max_value(&mut self, button: Button, most: f64) -> Result<()> {
        let refuse = |message: &str| {
            Err(Error::Config { key: "button_max_value", message: format!("{}: {message}", button.name()) })
        };
        let Some(at) = button.delta() else { return refuse("is held or not, and only buttons in _DELTA have a bound") };
        if !most.is_finite() {
            return refuse("a bound is a number, and 0 for none");
        }
        self.config.button_max_values[at] = most;
        self.scale_deltas(1.0);
        Ok(())
    }

    /// Returns the value of a button in the engine; in spectator modes and demos, that of the person or the demo.
    pub fn button(&self, button: Button) -> f64 {
        let pressed = if self.flag(game::DEMO_PLAYBACK) { input::CMD_BT } else { input::BT };
        self.engine.memory().get_input(pressed.element(button.number()))
    }

    /// Returns the button values of the last action, in the order of
    /// [`Config::available_buttons`](crate::Config::available_buttons): those given to [`press`](Self::press), or in
    /// spectator modes and demos those of the person or the demo. A new episode does not reset them.
    pub fn last_action(&self) -> &[f64] {
        &self.action
    }

    /// Stores the button values of the last action for [`last_action`](Self::last_action).
    pub(super) fn note_action(&mut self) {
        let watched = self.config.mode.is_spectator() || self.flag(game::DEMO_PLAYBACK);
        for n in 0..self.action.len() {
            self.action[n] = if watched { self.button(self.config.available_buttons[n]) } else { self.given[n] };
        }
    }

    pub(super) fn release_buttons(&mut self) {
        self.pushed = false;
        self.engine.memory_mut().set_input(input::BT, [0.0; 43]);
    }

    pub(super) fn forbid_all_buttons(&mut self) {
        let memory = self.engine.memory_mut();
        memory.set_input(input::BT, [0.0; 43]);
        memory.set_input(input::BT_AVAILABLE, [0; 43]);
        memory.set_input(input::BT_MAX_VALUE, self.config.button_max_values);
    }

    pub(super) fn allow(&mut self, button: Button) {
        self.engine.memory_mut().set_input(input::BT_AVAILABLE.element(button.number()), 1);
    }

    /// Has the engine heed USE, which whoever may hold, even where actions may not press it.
    pub(super) fn take_use(&mut self) -> Hold {
        Hold { heeded: Some(self.heed_use(1)), down: true }
    }

    /// Holds USE by a command of the console, even where actions may not press it.
    ///
    /// # Errors
    /// If the engine is dead.
    pub(super) fn hold_use(&mut self, hold: &mut Hold) -> Result<()> {
        let before = self.heed_use(1);
        hold.heeded.get_or_insert(before);
        hold.down = true;
        self.engine.command("+use")
    }

    /// Releases USE if it is held.
    ///
    /// # Errors
    /// If the engine is dead.
    pub(super) fn release_use(&mut self, hold: &mut Hold) -> Result<()> {
        if std::mem::take(&mut hold.down) { self.engine.command("-use") } else { Ok(()) }
    }

    /// Has the engine heed USE as it did before it was held. It must have answered since USE was released: one that
    /// does not heed it may not obey the release either.
    pub(super) fn restore_use(&mut self, hold: Hold) {
        if let Some(heeded) = hold.heeded {
            self.heed_use(heeded);
        }
    }

    /// Sets whether the engine heeds USE and returns the flag that was set before.
    fn heed_use(&mut self, heeded: u8) -> u8 {
        let field = input::BT_AVAILABLE.element(Button::Use.number());
        let before = self.engine.memory().get_input(field);
        self.engine.memory_mut().set_input(field, heeded);
        before
    }

    /// Multiplies the bounds of the delta buttons in the engine by `by`.
    pub(super) fn scale_deltas(&mut self, by: f64) {
        let most = self.config.button_max_values.map(|most| most * by);
        self.engine.memory_mut().set_input(input::BT_MAX_VALUE, most);
    }

    pub(super) fn mean_deltas(&mut self, tics: f64) {
        for button in Button::ALL.iter().filter(|button| button.is_delta()) {
            let field = input::BT.element(button.number());
            let sum = self.engine.memory().get_input(field);
            self.engine.memory_mut().set_input(field, sum / tics);
        }
    }
}
