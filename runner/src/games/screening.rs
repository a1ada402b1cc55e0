//! Shows recorded games: played again if their environment can be made, else from the pictures in the recording.

use anyhow::Context as _;
use rl_core::Canvas;
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, Pictures, Projector, RecordedEpisode, Told};

use crate::games::playback::{Playback, Shown};
use crate::tables::Tables;

/// Shows the games of a recording.
pub(crate) enum Screening {
    /// Games are played again.
    Again(Box<Playback>),
    /// Games are shown from their recorded pictures.
    Filmed(Film),
}

/// The recorded pictures of games.
pub(crate) struct Film {
    pictures: Pictures,
    /// Why the games cannot be played again here.
    why: String,
    projector: Projector,
    /// Steps before the picture that is shown.
    step: usize,
}

/// What a step of a shown game led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) told: Told,
    /// What was shown, as [`seen`](rl_replays::recording::seen) encodes it; `None` if the game is not played again.
    pub(crate) seen: Option<u32>,
    /// Return, if the game is over.
    ret: Option<f64>,
}

impl Step {
    /// Return up to and including this step, given the return `before` it. During a game rewards may include shaping;
    /// the return of a finished game does not.
    pub(crate) fn earned(&self, before: f64) -> f64 {
        self.ret.unwrap_or(before + f64::from(self.told.reward))
    }
}

impl Screening {
    /// Builds the environment as it was recorded; if that fails, uses the recorded pictures.
    ///
    /// # Errors
    /// As [`Playback::new`], if the recording has no pictures.
    pub(crate) fn new(manifest: &Manifest, tables: &Tables) -> anyhow::Result<Self> {
        match (Playback::new(manifest, tables), &manifest.pictures) {
            (Ok(mut playback), _) => {
                playback.watch();
                Ok(Self::Again(Box::new(playback)))
            }
            (Err(why), None) => Err(why),
            (Err(why), Some(pictures)) => {
                let (pictures, why, projector) = (pictures.clone(), format!("{why:#}"), Projector::default());
                Ok(Self::Filmed(Film { pictures, why, projector, step: 0 }))
            }
        }
    }

    /// Message on which of both is shown, if the recording has pictures.
    pub(crate) fn said(&self, manifest: &Manifest) -> Option<String> {
        match self {
            Self::Again(_) => {
                manifest.pictures.as_ref().map(|_| "is played again; its pictures are not needed".to_owned())
            }
            Self::Filmed(film) => {
                Some(format!("is shown from its pictures, since it cannot be played again here: {}", film.why))
            }
        }
    }

    /// Why the games cannot be played again here; `None` if they can.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Again(_) => None,
            Self::Filmed(film) => Some(&film.why),
        }
    }

    /// Begins a recorded episode.
    ///
    /// # Errors
    /// If the environment fails.
    pub(crate) fn begin(&mut self, played: &RecordedEpisode) -> anyhow::Result<()> {
        match self {
            Self::Again(playback) => playback.begin(played)?,
            Self::Filmed(film) => (film.projector, film.step) = (Projector::default(), 0),
        }
        Ok(())
    }

    /// Takes the action that was recorded for `step`, and returns what it led to.
    ///
    /// # Errors
    /// If the environment fails, or there are fewer pictures than steps.
    pub(crate) fn step(&mut self, played: &RecordedEpisode, step: usize) -> anyhow::Result<Step> {
        match self {
            Self::Again(playback) => {
                let Shown { seen, told, ret } = playback.step(played, step)?;
                Ok(Step { told, seen: Some(seen), ret })
            }
            Self::Filmed(film) => {
                film.step = step + 1;
                let told = played.told(step).context("its pictures end before its steps")?;
                Ok(Step {
                    told,
                    seen: None,
                    ret: played.outcome.filter(|_| told.end.over()).map(|outcome| outcome.ret),
                })
            }
        }
    }

    /// Draws the present state of the recorded episode `played`.
    ///
    /// # Errors
    /// If a recorded picture is damaged.
    pub(crate) fn draw(&mut self, played: &RecordedEpisode, canvas: &mut Canvas) -> anyhow::Result<()> {
        match self {
            Self::Again(playback) => playback.draw(canvas),
            Self::Filmed(film) => {
                let picture = film.projector.show(played, film.step)?;
                canvas.resize(picture.width(), picture.height());
                canvas.pixels_mut().copy_from_slice(picture.pixels());
            }
        }
        Ok(())
    }

    /// Saves the present state, for [`load`](Self::load).
    ///
    /// # Errors
    /// If the environment cannot give it.
    #[cfg(feature = "viewer")]
    pub(crate) fn save(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Again(playback) => playback.save(),
            Self::Filmed(film) => Ok(film.step.to_le_bytes().to_vec()),
        }
    }

    /// Restores a state that was [saved](Self::save), as [`Playback::load`] does.
    ///
    /// # Errors
    /// If the environment refuses it.
    #[cfg(feature = "viewer")]
    pub(crate) fn load(&mut self, state: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Again(playback) => playback.load(state)?,
            Self::Filmed(film) => film.step = usize::from_le_bytes(state.try_into().context("a number of steps")?),
        }
        Ok(())
    }

    /// What is seen now, in row 0 of a block of one seat; `None` if the game is shown from pictures.
    pub(crate) fn block(&self) -> Option<&Rollout> {
        match self {
            Self::Again(playback) => Some(playback.block()),
            Self::Filmed(_) => None,
        }
    }

    /// Names of the actions' values; empty if they have none.
    #[cfg(feature = "viewer")]
    pub(crate) fn action_names(&self) -> Vec<String> {
        match self {
            Self::Again(playback) => playback.action_names(),
            Self::Filmed(film) => film.pictures.action_names.clone(),
        }
    }

    /// Frames per second at which people watch it.
    pub(crate) fn frame_rate(&self) -> f64 {
        match self {
            Self::Again(playback) => playback.frame_rate(),
            Self::Filmed(film) => film.pictures.frame_rate,
        }
    }
}
