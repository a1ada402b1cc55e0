//! A person's games in `play`: when a game waits, when it goes on, and which games were played to their end.

use minifb::Key;
use rl_core::{Canvas, VecEnv};
use rl_replays::Rollout;

use super::hands::{Act, Hands};
use super::window::Input;
use crate::collect::lost;
use crate::console::output;
use crate::games::play::alone;
use crate::games::takes::Take;

/// Most seconds that one call counts.
const LONGEST: f64 = 0.1;

/// What the game is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A key that begins the game.
    Ready,
    /// The game goes on, or waits for a move.
    Going,
    /// A key that goes on.
    Paused,
    /// A key that begins another game.
    Over,
}

/// What is kept of games that were played to their end, besides their returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    /// The games, for a recording.
    Games,
    /// The games with the picture after every step.
    Filmed,
}

/// The games of one person, one after the other.
pub(super) struct Sitting {
    name: String,
    kept: Kept,
    env: Box<dyn VecEnv>,
    block: Rollout,
    hands: Hands,
    phase: Phase,
    /// Emulator frames that should have been played and were not yet.
    due: f64,
    /// Keys that went down since the last action; some may be up again before the next.
    taps: Vec<Key>,
    /// Keys that were down at the last call.
    held: Vec<Key>,
    take: Take,
    /// Returns of the games that were played to their end.
    returns: Vec<f64>,
    takes: Vec<Take>,
    picture: Canvas,
    /// Samples of the last call, if the game's sound is listened to.
    sound: Vec<u8>,
}

impl Sitting {
    /// Begins the first game of `env`, which is called `name`.
    ///
    /// # Errors
    /// If keys cannot play the game, the environment fails, or its games or pictures cannot be recorded.
    pub(super) fn begin(mut env: Box<dyn VecEnv>, name: &str, kept: Kept) -> anyhow::Result<Self> {
        let hands = Hands::new(env.as_ref(), name)?;
        let mut block = Rollout::new(env.spec(), 1, 1, 0);
        env.watch(0);
        env.reset(block.first())?;
        if kept != Kept::Nothing {
            alone(env.as_ref())?;
        }
        let mut picture = Canvas::new(0, 0);
        let take = Take::of_seat(env.as_ref(), 0, 1, (kept == Kept::Filmed).then_some(&mut picture))?;
        env.draw(0, &mut picture);
        let phase = if hands.turns() { Phase::Going } else { Phase::Ready };
        let (name, due, (taps, held, returns, takes, sound)) = (name.to_owned(), 0.0, Default::default());
        Ok(Self { name, kept, env, block, hands, phase, due, taps, held, take, returns, takes, picture, sound })
    }

    /// What the game is waiting for.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns of the games that were played to their end.
    pub(super) fn returns(&self) -> &[f64] {
        &self.returns
    }

    /// The games that were played to their end, if games are kept.
    pub(super) fn takes(&self) -> &[Take] {
        &self.takes
    }

    /// Whether the present game was begun and not played to its end.
    pub(super) fn unfinished(&self) -> bool {
        self.phase != Phase::Over && self.take.steps() > 0
    }

    /// Whether games are kept, in words.
    pub(super) fn promise(&self) -> &'static str {
        match self.kept {
            Kept::Nothing => "Games are not kept: --out FILE records them.",
            Kept::Games | Kept::Filmed => "Games that are played to their end are kept.",
        }
    }

    /// Picture of the game now.
    pub(super) fn picture(&self) -> &Canvas {
        &self.picture
    }

    /// Keeps the game's sound for [`sound`](Self::sound) from now on, and returns its samples per second; `None` if it
    /// has no sound.
    #[cfg(any(feature = "sound", test))]
    pub(super) fn listen(&mut self) -> Option<u32> {
        self.env.listen(0)
    }

    /// Samples of the last call of [`advance`](Self::advance).
    #[cfg(any(feature = "sound", test))]
    pub(super) fn sound(&self) -> &[u8] {
        &self.sound
    }

    /// Name of the marked move, if moves are a list.
    pub(super) fn marked(&self) -> Option<String> {
        self.hands.marked()
    }

    /// Pauses the game if it goes on by itself.
    #[cfg(any(feature = "gamepad", test))]
    pub(super) fn pause(&mut self) {
        if self.phase == Phase::Going && !self.hands.turns() {
            self.phase = Phase::Paused;
        }
    }

    /// Names of keys, and what they do.
    pub(super) fn help(&self) -> Vec<(String, String)> {
        let mut help = self.hands.help();
        if !self.hands.turns() {
            help.push(("P".to_owned(), "pause".to_owned()));
        }
        help.push(("enter".to_owned(), "another game".to_owned()));
        help.push(("esc".to_owned(), "close".to_owned()));
        help
    }

    /// Number of the game from 1, its steps and its return so far.
    pub(super) fn counts(&self) -> (usize, usize, f64) {
        let number = self.returns.len() + usize::from(self.phase != Phase::Over);
        (number, self.take.steps(), self.take.outcome.ret)
    }

    /// Lives that are left, if the game has lives.
    pub(super) fn lives(&self) -> Option<u32> {
        self.env.lives(0)
    }

    /// Title of the window.
    pub(super) fn title(&self) -> String {
        let (number, _, ret) = self.counts();
        format!("{} - game {number} - return {ret} - rl-run", self.name)
    }

    /// Lets `seconds` pass with these keys.
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

    /// Takes an action unless it is illegal, and returns the emulator frames that passed.
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
        self.env.take_crashes().into_iter().for_each(|loss| output::note(lost(loss)));
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
        self.take = Take::of_seat(self.env.as_ref(), 0, 1, (self.kept == Kept::Filmed).then_some(&mut self.picture))?;
        self.phase = if self.hands.turns() { Phase::Going } else { Phase::Ready };
        self.env.draw(0, &mut self.picture);
        Ok(())
    }
}
