//! The Atari environment: frame skip, maximum of two frames, no-op starts, fire and frame cap around one console.
//!
//! There are no wrappers: every choice of a protocol is a key of the configuration. An episode starts from one exact
//! state of the console, which a real reset would only approach (ALE keeps the memory and the timer of what was played
//! before), so that it is fixed by configuration, episode seed and actions. It is where Gymnasium's `reset(seed=…)`
//! starts, and is loaded in a fraction of the time that a reset takes. Where the way to a mode draws sticky actions (Berzerk,
//! Double Dunk) or how often a switch is pressed (Adventure), each episode switches a console on instead.
//! Source: Machado et al. 2018 (sticky actions); Mnih et al. 2015 (skip, maximum, no-ops); Gymnasium 1.4,
//! `AtariPreprocessing`.

use ale_sys::{Ale, FIRE, NOOP, Rom, SOUND_LEN};
use rl_core::{Act, Canvas, End, Env, Error, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard};
use serde::{Deserialize, Serialize};

use super::config::{Actions, AtariConfig, Format, Mode, check, leaves_steps, one_of, refuse};
use crate::area::{Area, Size};

/// Names of ALE's actions, by their number.
const NAMES: [&str; 18] = [
    "no-op",
    "fire",
    "up",
    "right",
    "left",
    "down",
    "up right",
    "up left",
    "down right",
    "down left",
    "up fire",
    "right fire",
    "left fire",
    "down fire",
    "up right fire",
    "up left fire",
    "down right fire",
    "down left fire",
];

/// The Atari environment: a console with one game, and Gymnasium's `AtariPreprocessing` by keys of [`AtariConfig`]. It
/// observes one frame, `[height, width, 1 or 3]`, and takes one discrete action of the action set.
#[derive(Debug)]
pub struct Atari {
    config: AtariConfig,
    ale: Ale,
    /// ALE's number of each action of the action set.
    actions: Vec<i32>,
    start: Start,
    eye: Eye,
    /// Screen of the frame before the present one, as palette indices.
    before: Vec<u8>,
    /// Sound samples of the last step; `None` unless somebody listens.
    sound: Option<Vec<u8>>,
    episode: Episode,
}

/// How an episode starts.
#[derive(Debug)]
enum Start {
    /// From this saved state of the console.
    State(Vec<u8>),
    /// From a console that is switched on anew, because the game's reset draws from the episode seed.
    Reload,
}

/// State of an episode beside that of the console.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Episode {
    lives: u32,
    /// Whether the next step presses FIRE in place of its action.
    fire: bool,
}

/// Turns the console's screen into an observation.
#[derive(Debug)]
enum Eye {
    Gray { colors: Box<[[f32; 1]; 256]>, area: Area<1> },
    Rgb { colors: Box<[[f32; 3]; 256]>, area: Area<3> },
}

impl Env for Atari {
    const ID: &'static str = "atari/";
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 60.0;
    type Config = AtariConfig;

    fn new(config: &AtariConfig) -> Result<Self> {
        check(config)?;
        let rom = Rom::find(&config.game).map_err(error)?;
        let mut ale = switch_on(&rom, config, 0)?;
        let actions = match config.actions {
            Actions::Minimal => ale.minimal_actions().to_vec(),
            Actions::Full => ale.legal_actions().to_vec(),
        };
        let (height, width) = ale.screen_size();
        let source = Size { height, width };
        let target = Size { height: config.height, width: config.width };
        for (key, target, source) in [("env.height", target.height, height), ("env.width", target.width, width)] {
            if target > source {
                return Err(refuse(key, format!("{target} exceeds the {source} pixels of the screen")));
            }
        }
        let palette = ale.palette();
        let eye = match config.format {
            Format::Gray => Eye::Gray {
                colors: Box::new(palette.gray.map(|luminance| [f32::from(luminance)])),
                area: Area::new(source, target),
            },
            Format::Rgb => Eye::Rgb {
                colors: Box::new(palette.rgb.map(|rgb| rgb.map(f32::from))),
                area: Area::new(source, target),
            },
        };
        leaves_steps(config, ale.episode_frame())?;
        let start = start(&rom, &mut ale, config)?;
        let episode = Episode { lives: ale.lives(), fire: false };
        let before = vec![0; height * width];
        Ok(Self { config: config.clone(), ale, actions, start, eye, before, sound: None, episode })
    }

    fn spec(&self) -> Spec {
        let channels = match self.eye {
            Eye::Gray { .. } => 1,
            Eye::Rgb { .. } => 3,
        };
        Spec {
            frame: [self.config.height, self.config.width, channels],
            stack: self.config.stack,
            vector: 0,
            symbols: Box::new([]),
            mask: false,
            discrete: Box::new([self.actions.len() as u32]),
            continuous: Box::new([]),
        }
    }

    fn reset(&mut self, seed: u64, obs: Obs<'_>) -> Result<()> {
        self.hush();
        let mut draws = Rng::episode(seed);
        let sticky = draws.u32();
        let noops = if self.config.noops == 0 { 0 } else { 1 + draws.below(self.config.noops) };
        self.begin(sticky)?;
        for _ in 0..noops {
            self.open(NOOP, sticky)?;
        }
        if self.fires() {
            for _ in 0..self.config.frame_skip {
                self.open(FIRE, sticky)?;
            }
        }
        self.episode.lives = self.ale.lives();
        self.eye.look(self.ale.screen(), None, obs.frame);
        Ok(())
    }

    /// Holds an action for the frame skip, or until the game is over, and writes the maximum of the last two frames.
    ///
    /// # Panics
    /// If the action is not one of the action set.
    fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step> {
        let chosen = self.actions[act.discrete[0] as usize];
        let action = if std::mem::take(&mut self.episode.fire) { FIRE } else { chosen };
        let (mut reward, mut frames) = (0, 0);
        let (mut over, mut cut) = (false, false);
        self.hush();
        while frames < self.config.frame_skip && !over && !cut {
            if frames > 0 {
                self.before.copy_from_slice(self.ale.screen());
            }
            reward += self.ale.act(action).map_err(error)?;
            frames += 1;
            if let Some(sound) = &mut self.sound {
                self.ale.hear(sound);
            }
            over = self.ale.game_over();
            cut = self.ale.episode_frame() >= self.config.max_frames;
        }
        // Where the game ended in the first frame of a skip there is one frame to show, not a stale one beside it.
        self.eye.look(self.ale.screen(), (frames > 1).then_some(&self.before[..]), obs.frame);
        let lives = self.ale.lives();
        let lost = lives < self.episode.lives;
        self.episode.lives = lives;
        let end = match (over, cut, lost) {
            (true, ..) => End::Terminated,
            (_, true, _) => End::Truncated,
            (.., true) => End::LifeLost,
            _ => End::No,
        };
        self.episode.fire = end == End::LifeLost && self.fires();
        Ok(Step { reward: reward as f32, end, frames })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut console = Vec::new();
        self.ale.save(&mut console).map_err(error)?;
        save_postcard(&(self.episode, console), out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let (episode, console): (Episode, Vec<u8>) = load_postcard(Self::ID, bytes)?;
        self.ale.load(&console).map_err(error)?;
        self.episode = episode;
        self.hush();
        Ok(())
    }

    fn listen(&mut self) -> Option<u32> {
        self.sound = Some(Vec::with_capacity(SOUND_LEN * self.config.frame_skip as usize));
        Some(SOUND_LEN as u32 * Self::FRAME_RATE as u32)
    }

    fn sound(&self) -> &[u8] {
        self.sound.as_deref().unwrap_or_default()
    }

    fn lives(&self) -> Option<u32> {
        Some(self.episode.lives)
    }

    fn assets(&self) -> Vec<(String, String)> {
        let rom = self.ale.rom();
        vec![(format!("{}.bin", rom.game()), format!("md5 {}", String::from_utf8_lossy(rom.md5())))]
    }

    fn action_names(&self) -> Vec<String> {
        self.actions.iter().map(|&action| NAMES[action as usize].to_owned()).collect()
    }

    /// Draws the whole screen in colours, 320 pixels wide: pixels of the console are twice as wide as they are high.
    fn draw(&self, canvas: &mut Canvas) {
        let (height, width) = self.ale.screen_size();
        let palette = self.ale.palette();
        canvas.resize(2 * width, height);
        for (pair, &index) in canvas.pixels_mut().as_chunks_mut::<6>().0.iter_mut().zip(self.ale.screen()) {
            let [r, g, b] = palette.rgb[usize::from(index)];
            *pair = [r, g, b, r, g, b];
        }
    }
}

impl Atari {
    /// Returns the emulated console, for comparison with other implementations.
    pub fn console(&self) -> &Ale {
        &self.ale
    }

    /// Clears the sound of the last step.
    fn hush(&mut self) {
        if let Some(sound) = &mut self.sound {
            sound.clear();
        }
    }

    /// Starts an episode; `sticky` is the seed of ALE's generator of sticky actions.
    fn begin(&mut self, sticky: u32) -> Result<()> {
        match &self.start {
            Start::State(state) => {
                self.ale.load(state).map_err(error)?;
                self.ale.seed(sticky);
            }
            Start::Reload => {
                let rom = self.ale.rom().clone();
                self.ale = switch_on(&rom, &self.config, sticky)?;
            }
        }
        self.episode.fire = false;
        Ok(())
    }

    /// Plays one frame before the agent acts (no-op or FIRE); a game that ends here begins again.
    fn open(&mut self, action: i32, sticky: u32) -> Result<()> {
        self.ale.act(action).map_err(error)?;
        if self.ale.game_over() { self.begin(sticky) } else { Ok(()) }
    }

    /// Whether this configuration presses FIRE in this game.
    fn fires(&self) -> bool {
        self.config.fire_reset && self.actions.contains(&FIRE)
    }
}

impl Eye {
    fn look(&mut self, now: &[u8], before: Option<&[u8]>, out: &mut [u8]) {
        match self {
            Eye::Gray { colors, area } => area.shrink(colors, now, before, out),
            Eye::Rgb { colors, area } => area.shrink(colors, now, before, out),
        }
    }
}

/// Makes a console with mode and difficulty set, in the state that Gymnasium's `reset(seed=…)` leaves it in.
fn switch_on(rom: &Rom, config: &AtariConfig, sticky: u32) -> Result<Ale> {
    let mut ale = Ale::new(rom, config.sticky, sticky).map_err(error)?;
    if let Mode::Number(mode) = config.mode {
        one_of("env.mode", mode, &ale.modes())?;
        ale.set_mode(mode).map_err(error)?;
    }
    if let Mode::Number(difficulty) = config.difficulty {
        one_of("env.difficulty", difficulty, &ale.difficulties())?;
        ale.set_difficulty(difficulty).map_err(error)?;
    }
    ale.reset().map_err(error)?;
    Ok(ale)
}

/// Determines how episodes start, from a console that was switched on with seed 0.
fn start(rom: &Rom, ale: &mut Ale, config: &AtariConfig) -> Result<Start> {
    let saved = |ale: &Ale| {
        let mut state = Vec::new();
        ale.save(&mut state).map_err(error).map(|()| state)
    };
    let state = saved(ale)?;
    ale.seed(0);
    let seeded = saved(ale)?;
    // Equal, unless the reset drew from the generator. What it draws where no action can stick decides nothing in most
    // games, but where objects lie in two modes of Adventure: then a console that drew others differs.
    let decided = state == seeded
        || config.sticky == 0.0 && {
            let mut other = switch_on(rom, config, 1)?;
            other.seed(0);
            saved(&other)? == seeded
        };
    Ok(if decided { Start::State(state) } else { Start::Reload })
}

/// Converts an error of `ale_sys` into one of `rl_core`.
fn error(error: ale_sys::Error) -> Error {
    let message = error.to_string();
    match error {
        ale_sys::Error::UnknownGame { .. } => refuse("env.game", message),
        ale_sys::Error::Missing { .. } | ale_sys::Error::Unsupported { .. } => {
            Error::Asset { name: "ROM".to_owned(), message }
        }
        ale_sys::Error::State { game, message } => Error::State { part: format!("{}{game}", Atari::ID), message },
        _ => Error::Engine { env: Atari::ID.to_owned(), message },
    }
}
