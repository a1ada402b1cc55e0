//! Recorded games on show: played again where their environment can be made, else from the pictures that a recording holds.

use anyhow::Context as _;
use rl_core::Canvas;
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, Pictures, Played, Projector, Told};

use crate::playback::{Playback, Shown};
use crate::tables::Tables;

/// Shows the games of a recording.
pub(crate) enum Screening {
    /// As they are played again.
    Again(Box<Playback>),
    /// As they were seen.
    Postcard(Film),
}

/// The pictures of a recording.
pub(crate) struct Film {
    pictures: Pictures,
    /// Why nobody plays it again here.
    why: String,
    projector: Projector,
    /// Steps before the picture that is shown.
    step: usize,
}

/// What a step of a game on show came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) told: Told,
    /// What was [seen](rl_replays::recording::seen), where the game is played again.
    pub(crate) seen: Option<u32>,
    /// The return, where the game is over.
    ret: Option<f64>,
}

impl Step {
    /// The return so far, given that `before` the step: rewards hold what a shaping paid besides, and the return of a game that
    /// is over does not.
    pub(crate) fn earned(&self, before: f64) -> f64 {
        self.ret.unwrap_or(before + f64::from(self.told.reward))
    }
}

impl Screening {
    /// Builds the environment as it was recorded, or does without where there are pictures.
    ///
    /// # Errors
    /// If there are none, as [`Playback::new`].
    pub(crate) fn new(manifest: &Manifest, tables: &Tables) -> anyhow::Result<Self> {
        match (Playback::new(manifest, tables), &manifest.pictures) {
            (Ok(playback), _) => Ok(Self::Again(Box::new(playback))),
            (Err(why), None) => Err(why),
            (Err(why), Some(pictures)) => {
                let (pictures, why, projector) = (pictures.clone(), format!("{why:#}"), Projector::default());
                Ok(Self::Postcard(Film { pictures, why, projector, step: 0 }))
            }
        }
    }

    /// Which of both it is, where there are pictures.
    pub(crate) fn said(&self, manifest: &Manifest) -> Option<String> {
        match self {
            Self::Again(_) => {
                manifest.pictures.as_ref().map(|_| "is played again; its pictures are not needed".to_owned())
            }
            Self::Postcard(film) => {
                Some(format!("is shown from its pictures, since it cannot be played again here: {}", film.why))
            }
        }
    }

    /// Why nobody plays it again here, where that is so.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Again(_) => None,
            Self::Postcard(film) => Some(&film.why),
        }
    }

    /// Begins an episode of the recording.
    ///
    /// # Errors
    /// If the environment fails.
    pub(crate) fn begin(&mut self, played: &Played) -> anyhow::Result<()> {
        match self {
            Self::Again(playback) => playback.begin(played)?,
            Self::Postcard(film) => (film.projector, film.step) = (Projector::default(), 0),
        }
        Ok(())
    }

    /// Takes the action of that step.
    ///
    /// # Errors
    /// If the environment fails.
    pub(crate) fn step(&mut self, played: &Played, step: usize) -> anyhow::Result<Step> {
        match self {
            Self::Again(playback) => {
                let Shown { seen, told, ret } = playback.step(played, step)?;
                Ok(Step { told, seen: Some(seen), ret })
            }
            Self::Postcard(film) => {
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

    /// Draws what is there now in an episode of the recording.
    ///
    /// # Errors
    /// If what was kept is no picture.
    pub(crate) fn draw(&mut self, played: &Played, canvas: &mut Canvas) -> anyhow::Result<()> {
        match self {
            Self::Again(playback) => playback.draw(canvas),
            Self::Postcard(film) => {
                let picture = film.projector.show(played, film.step)?;
                canvas.resize(picture.width(), picture.height());
                canvas.pixels_mut().copy_from_slice(picture.pixels());
            }
        }
        Ok(())
    }

    /// The state that is there now.
    ///
    /// # Errors
    /// If the environment cannot give it.
    #[cfg(feature = "viewer")]
    pub(crate) fn save(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Again(playback) => playback.save(),
            Self::Postcard(film) => Ok(film.step.to_le_bytes().to_vec()),
        }
    }

    /// Goes to a state that was [saved](Self::save), as [`Playback::load`].
    ///
    /// # Errors
    /// If the environment refuses it.
    #[cfg(feature = "viewer")]
    pub(crate) fn load(&mut self, state: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Again(playback) => playback.load(state)?,
            Self::Postcard(film) => film.step = usize::from_le_bytes(state.try_into().context("a number of steps")?),
        }
        Ok(())
    }

    /// What is seen now, in row 0, of a game that is played again: pictures are for people.
    pub(crate) fn block(&self) -> Option<&Rollout> {
        match self {
            Self::Again(playback) => Some(playback.block()),
            Self::Postcard(_) => None,
        }
    }

    /// What the values of the action do, where they have names.
    #[cfg(feature = "viewer")]
    pub(crate) fn action_names(&self) -> Vec<String> {
        match self {
            Self::Again(playback) => playback.action_names(),
            Self::Postcard(film) => film.pictures.action_names.clone(),
        }
    }

    /// Frames per second at which people watch it.
    pub(crate) fn frame_rate(&self) -> f64 {
        match self {
            Self::Again(playback) => playback.frame_rate(),
            Self::Postcard(film) => film.pictures.frame_rate,
        }
    }
}
