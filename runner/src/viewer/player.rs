//! The state of `watch`: game, step, speed and what is shown beside the game, and how commands change them.

use std::path::PathBuf;
use std::sync::Arc;

use rl_core::Canvas;
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, RecordedEpisode, Recording};

use super::command::{Command, Part, SPEEDS};
use super::looks::Looks;
use super::survey::{Survey, Tally};
use super::view::View;
use crate::console::usage::{line, usage};
use crate::games::screening::Screening;
use crate::saliency::Heat;
use crate::tables::Tables;

/// Most steps of one call: more would be felt, and on a longer way the place reached is shown in between.
const BURST: usize = 128;
/// Most seconds that one call counts: a window that was held up does not make up for it.
const LONGEST: f64 = 0.1;
/// Seconds for which the end of a game is shown before the next begins.
const REST: f64 = 1.5;

/// A recording that is being watched.
pub(super) struct Player {
    recording: Arc<Recording>,
    tables: Tables,
    screening: Screening,
    names: Vec<String>,
    game: usize,
    survey: Survey,
    /// Steps of the game that were taken.
    position: usize,
    /// What these steps came to.
    now: Tally,
    /// Step that a jump leads to, while it takes more than one call.
    goal: Option<usize>,
    playing: bool,
    /// Index in [`SPEEDS`].
    speed: usize,
    /// Emulator frames that should have been shown and were not yet.
    due: f64,
    /// Seconds for which the end of the game was shown.
    rested: f64,
    picture: Canvas,
    /// Run whose weights saliency maps are made with, if one is known.
    run: Option<PathBuf>,
    looks: Option<Looks>,
    pub(super) view: View,
}

impl Player {
    /// Begins with game `game` of a recording, counted from 0.
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

    /// The recording that is watched.
    pub(super) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The manifest of the recording.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.recording.manifest
    }

    /// All games of the recording.
    pub(super) fn games(&self) -> &[RecordedEpisode] {
        &self.recording.episodes
    }

    /// Index of the game that is watched.
    pub(super) fn game(&self) -> usize {
        self.game
    }

    /// The game that is watched.
    pub(super) fn played(&self) -> &RecordedEpisode {
        &self.recording.episodes[self.game]
    }

    /// Steps of the game that were taken.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// What the steps that were taken came to.
    pub(super) fn now(&self) -> Tally {
        self.now
    }

    /// Whether the game plays, or is paused.
    pub(super) fn playing(&self) -> bool {
        self.playing
    }

    /// Speed as a multiple of the speed at which people play.
    pub(super) fn speed(&self) -> f64 {
        SPEEDS[self.speed]
    }

    /// Emulator frames per second at speed 1.
    pub(super) fn frame_rate(&self) -> f64 {
        self.screening.frame_rate()
    }

    /// What is known of the whole game.
    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Waits until the whole game is surveyed.
    ///
    /// # Errors
    /// If the environment failed.
    pub(super) fn survey_all(&mut self) -> anyhow::Result<()> {
        self.survey.finish()
    }

    /// Names of the actions' values; empty if they have none.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Picture of the game at this step.
    pub(super) fn picture(&self) -> &Canvas {
        &self.picture
    }

    /// What the policy sees, in row 0 of a block of one seat; `None` if the game is shown from pictures.
    pub(super) fn sees(&self) -> Option<&Rollout> {
        self.screening.block()
    }

    /// The saliency map and which weights it is of, if it is shown and known.
    pub(super) fn heat(&self) -> Option<(&Heat, &str)> {
        let looks = self.looks.as_ref().filter(|_| self.view.heat && !self.view.bare)?;
        Some((looks.heat(self.game)?, looks.about()))
    }

    /// Sets the run whose weights saliency maps are made with.
    pub(super) fn look_by(&mut self, run: Option<PathBuf>) {
        (self.run, self.looks) = (run, None);
    }

    /// Shows saliency maps that are made with the weights of `run`.
    ///
    /// # Errors
    /// If it has no weights for this recording, what the network saw cannot be shown here, or the environment fails.
    pub(super) fn look_with(&mut self, run: PathBuf) -> anyhow::Result<()> {
        self.look_by(Some(run));
        let looks = self.begin_looks()?;
        self.look_through(looks)
    }

    /// Sets the speed, if it is one of [`SPEEDS`].
    pub(super) fn speed_to(&mut self, speed: f64) {
        self.speed = SPEEDS.iter().position(|&known| known == speed).unwrap_or(self.speed);
    }

    /// Pauses playback, or goes on.
    pub(super) fn pause(&mut self, pause: bool) {
        self.playing = !pause;
    }

    /// Shows a message for a while.
    pub(super) fn tell(&mut self, message: String) {
        self.view.tell(message);
    }

    /// Carries out a command, except those that concern the window.
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
            Command::Toggle(Part::Heat) if self.looks.is_none() => match self.begin_looks() {
                Ok(looks) => self.look_through(looks)?,
                Err(why) => self.tell(line(&why)),
            },
            Command::Toggle(part) => self.view.toggle(part),
            Command::Bare => self.view.bare = !self.view.bare,
            Command::Help => self.view.help = !self.view.help,
            Command::Picture | Command::Quit => {}
        }
        Ok(())
    }

    /// Goes to where `step` steps were taken, or to the end if there are fewer. A long way takes several calls of
    /// [`advance`](Self::advance).
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

    /// Goes to the beginning of game `game`, if there is one.
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

    /// Shows another recording from its beginning; if it is this one `grown`, stays at the present step.
    ///
    /// # Errors
    /// If the environment fails.
    pub(super) fn renew(&mut self, recording: Recording, screening: Screening, grown: bool) -> anyhow::Result<()> {
        let known = |game: &RecordedEpisode| (game.steps(), game.outcome.is_some()); // outputs that are no numbers equal nothing
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

    /// Lets time pass, and returns whether anything looks different now.
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

    /// Whether no step is left, in the recording or because the environment has ended the game.
    pub(super) fn at_end(&self) -> bool {
        self.position == self.played().steps() || self.now.end.over()
    }

    /// Takes some of the steps to where a jump leads.
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

    /// Steps before one that must be played so that a policy sees and remembers there what it should.
    fn lead(&self) -> usize {
        self.sees().map_or(1, |block| block.spec().stack).max(self.looks.as_ref().map_or(0, Looks::lead))
    }

    /// Loads the weights that saliency maps are made with.
    ///
    /// # Errors
    /// If nobody names them, they cannot be loaded, or what the network saw cannot be shown here.
    fn begin_looks(&self) -> anyhow::Result<Looks> {
        let Some(run) = &self.run else {
            return Err(usage("whose weights? `rl-run watch FILE --run RUN` names them"));
        };
        let Some(block) = self.screening.block() else {
            return Err(usage("pictures are not what the network saw, and this game cannot be played again here"));
        };
        Looks::begin(run, &self.recording.manifest, block, &self.tables)
    }

    /// Begins to show saliency maps.
    fn look_through(&mut self, looks: Looks) -> anyhow::Result<()> {
        let lead = looks.lead();
        (self.looks, self.view.heat, self.view.bare) = (Some(looks), true, false);
        if lead > 0 {
            // What a policy remembers of the steps before has not been shown to it.
            let here = self.goal.unwrap_or(self.position);
            self.rewind()?;
            self.seek(here)?;
        }
        Ok(())
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
