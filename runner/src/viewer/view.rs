//! Which parts are shown beside the game.

use super::command::Part;

/// Seconds for which a message is shown.
const MESSAGE: f64 = 3.0;

/// Which parts are shown beside the game.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) games: bool,
    pub(super) action: bool,
    pub(super) thoughts: bool,
    pub(super) sees: bool,
    pub(super) ret: bool,
    pub(super) value: bool,
    pub(super) heat: bool,
    /// Whether no part is shown, whatever the others say.
    pub(super) bare: bool,
    pub(super) help: bool,
    /// A message, and the seconds for which it is still shown.
    pub(super) message: Option<(String, f64)>,
}

impl View {
    /// Shows every part but the saliency map, which takes time.
    pub(super) fn new() -> Self {
        Self {
            games: true,
            action: true,
            thoughts: true,
            sees: true,
            ret: true,
            value: true,
            heat: false,
            bare: false,
            help: false,
            message: None,
        }
    }

    /// Shows or hides a part; if all parts were hidden, shows it and those that were not hidden one by one.
    pub(super) fn toggle(&mut self, part: Part) {
        let shown = match part {
            Part::Games => &mut self.games,
            Part::Action => &mut self.action,
            Part::Thoughts => &mut self.thoughts,
            Part::Sees => &mut self.sees,
            Part::Return => &mut self.ret,
            Part::Value => &mut self.value,
            Part::Heat => &mut self.heat,
        };
        *shown = self.bare || !*shown;
        self.bare = false;
    }

    /// Shows a message for a while.
    pub(super) fn tell(&mut self, message: String) {
        self.message = Some((message, MESSAGE));
    }

    /// Lets time pass, and returns whether a message disappeared.
    pub(super) fn wait(&mut self, seconds: f64) -> bool {
        let Some((_, left)) = &mut self.message else { return false };
        *left -= seconds;
        let over = *left <= 0.0;
        if over {
            self.message = None;
        }
        over
    }
}
