//! A person at a game: when it waits, when time goes on, and what was played to its end.

use minifb::Key;
use rl_core::{Canvas, VecEnv};
use rl_replays::Rollout;

use super::hands::{Act, Hands};
use super::window::Input;
use crate::collect::lost;
use crate::output;
use crate::takes::Take;

/// Time of one call at most, in seconds.
const LONGEST: f64 = 0.1;

/// What a sitting waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Somebody to begin.
    Ready,
    /// The end of the game.
    Going,
    /// Somebody to go on.
    Paused,
    /// Somebody to begin another.
    Over,
}

/// What is kept of games that were played to their end, beside their returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    /// What a recording needs.
    Games,
    /// The same, with the picture after every step.
    Filmed,
}

/// Games of one person.
pub(super) struct Sitting {
    name: String,
    kept: Kept,
    env: Box<dyn VecEnv>,
    block: Rollout,
    hands: Hands,
    phase: Phase,
    /// Frames that should have been played and were not yet.
    due: f64,
    /// Keys that went down since the last action: some are up again before the next.
    taps: Vec<Key>,
    /// Keys that were down at the last call.
    held: Vec<Key>,
    take: Take,
    /// Of the games that are over.
    returns: Vec<f64>,
    takes: Vec<Take>,
    picture: Canvas,
    /// What the last call sounded like, where somebody listens.
    sound: Vec<u8>,
}

impl Sitting {
    /// Sits down to a first game.
    ///
    /// # Errors
    /// If keys cannot play it, the environment fails, or its pictures are too large.
    pub(super) fn begin(mut env: Box<dyn VecEnv>, name: &str, kept: Kept) -> anyhow::Result<Self> {
        let hands = Hands::new(env.as_ref(), name)?;
        let mut block = Rollout::new(env.spec(), 1, 1, 0);
        env.reset(block.first())?;
        let mut picture = Canvas::new(0, 0);
        let take = Take::of_seat(env.as_ref(), 0, (kept == Kept::Filmed).then_some(&mut picture))?;
        env.draw(0, &mut picture);
        let phase = if hands.turns() { Phase::Going } else { Phase::Ready };
        let (name, due, (taps, held, returns, takes, sound)) = (name.to_owned(), 0.0, Default::default());
        Ok(Self { name, kept, env, block, hands, phase, due, taps, held, take, returns, takes, picture, sound })
    }

    /// What it waits for.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns of the games that were played to their end.
    pub(super) fn returns(&self) -> &[f64] {
        &self.returns
    }

    /// Those games, if they are kept.
    pub(super) fn takes(&self) -> &[Take] {
        &self.takes
    }

    /// Whether a game was begun and not played to its end.
    pub(super) fn unfinished(&self) -> bool {
        self.phase != Phase::Over && self.take.steps() > 0
    }

    /// What becomes of games, in words.
    pub(super) fn promise(&self) -> &'static str {
        match self.kept {
            Kept::Nothing => "Games are not kept: --out FILE records them.",
            Kept::Games | Kept::Filmed => "Games that are played to their end are kept.",
        }
    }

    /// The game as it looks.
    pub(super) fn picture(&self) -> &Canvas {
        &self.picture
    }

    /// Keeps from now on what is played for [`sound`](Self::sound), and says how many samples a second has, if there are any.
    #[cfg(any(feature = "sound", test))]
    pub(super) fn listen(&mut self) -> Option<u32> {
        self.env.listen(0)
    }

    /// What the last call of [`advance`](Self::advance) sounded like.
    #[cfg(any(feature = "sound", test))]
    pub(super) fn sound(&self) -> &[u8] {
        &self.sound
    }

    /// What is marked in a list of moves.
    pub(super) fn marked(&self) -> Option<String> {
        self.hands.marked()
    }

    /// Pauses a game in which time goes on.
    #[cfg(any(feature = "gamepad", test))]
    pub(super) fn pause(&mut self) {
        if self.phase == Phase::Going && !self.hands.turns() {
            self.phase = Phase::Paused;
        }
    }

    /// Keys and what they do.
    pub(super) fn help(&self) -> Vec<(String, String)> {
        let mut help = self.hands.help();
        if !self.hands.turns() {
            help.push(("P".to_owned(), "pause".to_owned()));
        }
        help.push(("enter".to_owned(), "another game".to_owned()));
        help.push(("esc".to_owned(), "close".to_owned()));
        help
    }

    /// Number of the game, steps and return.
    pub(super) fn counts(&self) -> (usize, usize, f64) {
        let number = self.returns.len() + usize::from(self.phase != Phase::Over);
        (number, self.take.steps(), self.take.outcome.ret)
    }

    /// Lives left, where the game has lives.
    pub(super) fn lives(&self) -> Option<u32> {
        self.env.lives(0)
    }

    /// The window's title.
    pub(super) fn title(&self) -> String {
        let (number, _, ret) = self.counts();
        format!("{} - game {number} - return {ret} - rl-run", self.name)
    }

    /// Lets time go by with keys down.
    ///
    /// # Errors
    /// If the environment fails.
    pub(super) fn advance(&mut self, input: &Input, seconds: f64) -> anyhow::Result<()> {
        let any = !input.pressed.is_empty();
        self.sound.clear();
        match self.phase {
            Phase::Ready | Phase::Paused if any => {
                (self.phase, self.due) = (Phase::Going, 0.0);
                self.taps.clear();
            }
            Phase::Over if input.pressed.contains(&Key::Enter) => return self.again(),
            Phase::Going if self.hands.turns() => {
                if let Some(act) = self.hands.act(&input.pressed) {
                    self.step(act)?;
                }
            }
            Phase::Going if input.pressed.contains(&Key::P) => self.phase = Phase::Paused,
            Phase::Going => {
                self.due += seconds.min(LONGEST) * self.env.frame_rate();
                self.taps.extend(input.pressed.iter().filter(|key| !self.held.contains(key)));
                while self.due >= 1.0 && self.phase == Phase::Going {
                    let down: Vec<Key> = input.held.iter().copied().chain(self.taps.drain(..)).collect();
                    let Some(act) = self.hands.act(&down) else { break };
                    self.due -= f64::from(self.step(act)?.max(1));
                }
            }
            Phase::Ready | Phase::Paused | Phase::Over => {}
        }
        self.held.clone_from(&input.held);
        Ok(())
    }

    /// Takes an action, unless the rules forbid it, and says how many frames passed.
    fn step(&mut self, act: Act) -> anyhow::Result<u32> {
        match act {
            Act::Discrete(action) => {
                if self.block.legal.at(0, 0).get(action as usize) == Some(&0) {
                    return Ok(0);
                }
                self.block.discrete.row_mut(0)[0] = action;
            }
            Act::Continuous(value) => self.block.continuous.row_mut(0)[0] = value,
        }
        let (act, rows) = self.block.step(0);
        self.env.step(act, rows)?;
        self.sound.extend_from_slice(self.env.sound(0));
        self.take.follow(self.env.as_ref(), &self.block, &mut self.picture)?;
        self.env.take_losses().into_iter().for_each(|loss| output::note(lost(loss)));
        let frames = self.block.frames[(1, 0)];
        self.block.carry();
        self.env.draw(0, &mut self.picture);
        if self.take.outcome.end.over() {
            self.phase = Phase::Over;
            self.returns.push(self.take.outcome.ret);
            if self.kept != Kept::Nothing {
                self.takes.push(self.take.clone());
            }
        }
        Ok(frames)
    }

    /// Begins another game.
    fn again(&mut self) -> anyhow::Result<()> {
        let (act, rows) = self.block.step(0); // resets
        self.env.step(act, rows)?;
        self.block.carry();
        self.take = Take::of_seat(self.env.as_ref(), 0, (self.kept == Kept::Filmed).then_some(&mut self.picture))?;
        self.phase = if self.hands.turns() { Phase::Going } else { Phase::Ready };
        self.env.draw(0, &mut self.picture);
        Ok(())
    }
}
