//! Buttons: what is pressed, what the engine heeds, and what was done in the end.

use super::Game;
use crate::Button;
use crate::layout::{game, input};

impl Game {
    /// Sets buttons, in the order of the configuration; those without a value are released. Binary buttons are pressed by
    /// what is not 0, delta buttons turn or move by so much per tic.
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

    /// Value of a button as the engine has it: in the modes for spectators and in demos, what somebody else pressed.
    pub fn button(&self, button: Button) -> f64 {
        let pressed = if self.flag(game::DEMO_PLAYBACK) { input::CMD_BT } else { input::BT };
        self.engine.memory().get_input(pressed.element(button.number()))
    }

    /// Values of the last action, in the order of the configuration's buttons: those that were given, but in the modes for
    /// spectators and in demos what somebody else pressed. An episode that begins leaves them as they were.
    pub fn last_action(&self) -> &[f64] {
        &self.action
    }

    /// Notes what was done in an action.
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

    /// Lets the buttons with an amount go so many times as far.
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
