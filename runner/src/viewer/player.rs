//! Where one is in a recording: the game, the step, the speed, what is shown beside it, and how commands change that.

use std::path::PathBuf;
use std::sync::Arc;

use rl_core::Canvas;
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, Played, Recording};

use super::command::{Command, Part, SPEEDS};
use super::looks::Looks;
use super::survey::{Survey, Tally};
use super::view::View;
use crate::saliency::Heat;
use crate::screening::Screening;
use crate::tables::Tables;

/// Steps of one call at most: more would be felt, and a longer way shows where it has come to.
const BURST: usize = 128;
/// Time of one call at most, in seconds: a window that was held up does not make up for it.
const LONGEST: f64 = 0.1;
/// Seconds for which the end of a game is seen before the next begins.
const REST: f64 = 1.5;

/// One recording, being watched.
pub(super) struct Player {
    recording: Arc<Recording>,
    tables: Tables,
    screening: Screening,
    names: Vec<String>,
    game: usize,
    survey: Survey,
    /// Steps that were taken.
    position: usize,
    /// What they came to.
    now: Tally,
    /// Where a jump leads that needs more than one call.
    goal: Option<usize>,
    playing: bool,
    /// Place in [`SPEEDS`].
    speed: usize,
    /// Frames that should have been seen and were not yet.
    due: f64,
    /// Seconds at the end of the game.
    rested: f64,
    picture: Canvas,
    /// Whose weights look at the game, where that was asked for.
    run: Option<PathBuf>,
    looks: Option<Looks>,
    pub(super) view: View,
}

impl Player {
    /// Begins with game `game` of a recording.
    ///
    /// # Errors
    /// If the environment fails.
    ///
    /// # Panics
    /// If there is no such game.
    pub(super) fn new(
        recording: Arc<Recording>,
        game: usize,
        screening: Screening,
        tables: &Tables,
    ) -> anyhow::Result<Self> {
        let mut player = Self {
            survey: Survey::begin(&recording, game, tables),
            recording,
            tables: tables.clone(),
            names: screening.action_names(),
            screening,
            game,
            position: 0,
            now: Tally::default(),
            goal: None,
            playing: true,
            speed: SPEEDS.iter().position(|&speed| speed == 1.0).expect("1 is a speed"),
            due: 0.0,
            rested: 0.0,
            picture: Canvas::new(0, 0),
            run: None,
            looks: None,
            view: View::new(),
        };
        player.rewind()?;
        Ok(player)
    }

    /// What is watched.
    pub(super) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Where the games can be played again.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.recording.manifest
    }

    /// All games.
    pub(super) fn games(&self) -> &[Played] {
        &self.recording.episodes
    }

    /// Number of the game, from 0.
    pub(super) fn game(&self) -> usize {
        self.game
    }

    /// The game.
    pub(super) fn played(&self) -> &Played {
        &self.recording.episodes[self.game]
    }

    /// Steps that were taken.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// What they came to.
    pub(super) fn now(&self) -> Tally {
        self.now
    }

    /// Whether time goes on.
    pub(super) fn playing(&self) -> bool {
        self.playing
    }

    /// How many times faster than people play.
    pub(super) fn speed(&self) -> f64 {
        SPEEDS[self.speed]
    }

    /// Frames per second of one times.
    pub(super) fn frame_rate(&self) -> f64 {
        self.screening.frame_rate()
    }

    /// What is known of the game.
    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Waits until all of it is.
    ///
    /// # Errors
    /// If the environment failed.
    pub(super) fn survey_all(&mut self) -> anyhow::Result<()> {
        self.survey.finish()
    }

    /// What the values of the action do, where they have names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The game as it looks.
    pub(super) fn picture(&self) -> &Canvas {
        &self.picture
    }

    /// What the policy sees, in row 0 of its one seat; `None` where there are only pictures.
    pub(super) fn sees(&self) -> Option<&Rollout> {
        self.screening.block()
    }

    /// What moves the agent, where that is shown and known; whose weights say so.
    pub(super) fn heat(&self) -> Option<(&Heat, &str)> {
        let looks = self.looks.as_ref().filter(|_| self.view.heat && !self.view.bare)?;
        Some((looks.heat(self.game)?, looks.about()))
    }

    /// Whose weights look at the game when that is asked for.
    pub(super) fn look_by(&mut self, run: Option<PathBuf>) {
        (self.run, self.looks) = (run, None);
    }

    /// Plays so many times faster than people; only [`SPEEDS`] are known.
    pub(super) fn speed_to(&mut self, speed: f64) {
        self.speed = SPEEDS.iter().position(|&known| known == speed).unwrap_or(self.speed);
    }

    /// Stops or goes on.
    pub(super) fn pause(&mut self, pause: bool) {
        self.playing = !pause;
    }

    /// Says something for a while.
    pub(super) fn tell(&mut self, message: String) {
        self.view.tell(message);
    }

    /// Does what is asked for, but for what concerns the window.
    ///
    /// # Errors
    /// If the environment fails.
    pub(super) fn obey(&mut self, command: Command) -> anyhow::Result<()> {
        let steps = self.played().steps();
        match command {
            Command::Play if !self.playing && self.at_end() => {
                self.playing = true;
                self.seek(0)?;
            }
            Command::Play => self.playing = !self.playing,
            Command::Forward | Command::Back => {
                self.playing = false;
                let from = self.goal.unwrap_or(self.position);
                let to = if command == Command::Forward { from + 1 } else { from.saturating_sub(1) };
                self.seek(to)?;
            }
            Command::Start => self.seek(0)?,
            Command::End => self.seek(steps)?,
            Command::Faster => self.speed = (self.speed + 1).min(SPEEDS.len() - 1),
            Command::Slower => self.speed = self.speed.saturating_sub(1),
            Command::Next => self.select(self.game + 1)?,
            Command::Previous => self.select(self.game.saturating_sub(1))?,
            Command::Toggle(Part::Heat) if self.looks.is_none() => {
                self.begin_looks();
                // What a policy remembers of the steps before has not been shown to it.
                if self.looks.as_ref().is_some_and(|looks| looks.lead() > 0) {
                    let here = self.goal.unwrap_or(self.position);
                    self.rewind()?;
                    self.seek(here)?;
                }
            }
            Command::Toggle(part) => self.view.toggle(part),
            Command::Bare => self.view.bare = !self.view.bare,
            Command::Help => self.view.help = !self.view.help,
            Command::Picture | Command::Quit => {}
        }
        Ok(())
    }

    /// Goes to where so many steps were taken, or as near as there are steps.
    ///
    /// # Errors
    /// If the environment fails.
    pub(super) fn seek(&mut self, step: usize) -> anyhow::Result<()> {
        let step = step.min(self.played().steps());
        (self.due, self.rested) = (0.0, 0.0);
        let from = self.survey.keyframes.before(step.saturating_sub(self.lead()));
        match from {
            Some(keyframe) if self.position > step || self.position < keyframe.step => {
                self.screening.load(&keyframe.state)?;
                self.looks.iter_mut().for_each(Looks::forget);
                (self.position, self.now) = (keyframe.step, keyframe.tally);
            }
            None if self.position > step => self.rewind()?,
            _ => {}
        }
        self.goal = Some(step);
        self.approach()
    }

    /// Goes to another game, or stays where there is none.
    ///
    /// # Errors
    /// If the environment fails.
    pub(super) fn select(&mut self, game: usize) -> anyhow::Result<()> {
        if game == self.game || game >= self.games().len() {
            return Ok(());
        }
        self.game = game;
        self.survey = Survey::begin(&self.recording, game, &self.tables);
        self.rewind()
    }

    /// Shows another recording from its beginning, or more of this one where it has `grown`.
    ///
    /// # Errors
    /// If the environment fails.
    pub(super) fn renew(&mut self, recording: Recording, screening: Screening, grown: bool) -> anyhow::Result<()> {
        let known = |game: &Played| (game.steps(), game.outcome.is_some()); // outputs that are no numbers equal nothing
        let same = grown && recording.episodes.get(self.game).map(known) == Some(known(self.played()));
        let (game, position) =
            if grown { (self.game.min(recording.episodes.len() - 1), self.position) } else { (0, 0) };
        self.recording = Arc::new(recording);
        if same {
            return Ok(());
        }
        self.looks = self.looks.take().filter(|_| grown); // else of another network, and maybe of another game
        (self.names, self.screening, self.game) = (screening.action_names(), screening, game);
        self.survey = Survey::begin(&self.recording, game, &self.tables);
        self.rewind()?;
        self.seek(position)
    }

    /// Lets time go by, and says whether anything looks different now.
    ///
    /// # Errors
    /// If the environment fails.
    pub(super) fn advance(&mut self, seconds: f64) -> anyhow::Result<bool> {
        let seconds = seconds.min(LONGEST);
        let mut changed = self.survey.catch_up()?;
        if self.view.heat
            && self.goal.is_none()
            && let (Some(looks), Some(block)) = (&mut self.looks, self.screening.block())
        {
            changed |= looks.look((self.game, self.position), block)?;
        }
        changed |= self.view.wait(seconds);
        if self.goal.is_some() {
            self.approach()?;
            return Ok(true);
        }
        if !self.playing {
            return Ok(changed);
        }
        if self.at_end() {
            self.rested += seconds;
            if self.rested >= REST {
                match self.game + 1 < self.games().len() {
                    true => self.select(self.game + 1)?,
                    false => self.playing = false,
                }
                return Ok(true);
            }
            return Ok(changed);
        }
        self.due += seconds * self.frame_rate() * self.speed();
        let before = self.position;
        while self.due >= 1.0 && !self.at_end() && self.position - before < BURST {
            let frames = self.now.frames;
            self.step()?;
            self.due -= (self.now.frames - frames).max(1) as f64;
        }
        if self.position == before {
            return Ok(changed);
        }
        self.draw()?;
        Ok(true)
    }

    /// Whether there is no step left, be it that the environment ended earlier than the recording.
    pub(super) fn at_end(&self) -> bool {
        self.position == self.played().steps() || self.now.end.over()
    }

    /// Takes some of the steps towards where a jump leads.
    fn approach(&mut self) -> anyhow::Result<()> {
        let Some(goal) = self.goal else { return Ok(()) };
        // Meanwhile a nearer state may have become known.
        let from = self.survey.keyframes.before(goal.saturating_sub(self.lead()));
        if let Some(keyframe) = from.filter(|keyframe| keyframe.step > self.position) {
            self.screening.load(&keyframe.state)?;
            self.looks.iter_mut().for_each(Looks::forget);
            (self.position, self.now) = (keyframe.step, keyframe.tally);
        }
        for _ in 0..BURST {
            if self.position == goal || self.at_end() {
                self.goal = None;
                break;
            }
            self.step()?;
        }
        self.draw()
    }

    /// As many steps before one as a policy sees or remembers at once: they fill what it knows.
    fn lead(&self) -> usize {
        self.sees().map_or(1, |block| block.spec().stack).max(self.looks.as_ref().map_or(0, Looks::lead))
    }

    /// Shows what moves the agent, or says why that cannot be.
    fn begin_looks(&mut self) {
        let Some(run) = &self.run else {
            return self.tell("whose weights? `rl-run watch FILE --run RUN` names them".to_owned());
        };
        let Some(block) = self.screening.block() else {
            return self
                .tell("pictures are not what the network saw, and this game cannot be played again here".to_owned());
        };
        match Looks::begin(run, &self.recording.manifest, block, &self.tables) {
            Ok(looks) => (self.looks, self.view.heat, self.view.bare) = (Some(looks), true, false),
            Err(error) => self.tell(format!("{error:#}")),
        }
    }

    fn step(&mut self) -> anyhow::Result<()> {
        self.looks.iter_mut().zip(self.screening.block()).for_each(|(looks, block)| looks.note(block));
        let played = &self.recording.episodes[self.game];
        let step = self.screening.step(played, self.position)?;
        self.position += 1;
        self.now.add(step);
        Ok(())
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        self.screening.draw(&self.recording.episodes[self.game], &mut self.picture)
    }

    fn rewind(&mut self) -> anyhow::Result<()> {
        (self.position, self.now, self.goal, self.due, self.rested) = (0, Tally::default(), None, 0.0, 0.0);
        self.screening.begin(&self.recording.episodes[self.game])?;
        self.looks.iter_mut().for_each(Looks::forget);
        self.draw()
    }
}
