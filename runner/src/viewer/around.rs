//! What a person plays with besides a keyboard: gamepads and sound, where they are built in and present.

use super::sitting::Sitting;
use super::window::Input;

/// Names of keys, and what they do.
type Help = Vec<(&'static str, &'static str)>;

/// The gamepads and the sound of a person who plays.
pub(super) struct Around {
    #[cfg(feature = "gamepad")]
    pads: Option<super::pads::Pads>,
    #[cfg(feature = "sound")]
    sound: Option<Sound>,
}

impl Around {
    /// Looks for gamepads and sound. What is missing is reported, and the game goes on without it.
    pub(super) fn look(sitting: &mut Sitting, mute: bool) -> Self {
        let _ = (&sitting, mute); // a build may have neither
        Self {
            #[cfg(feature = "gamepad")]
            pads: super::pads::Pads::open(),
            #[cfg(feature = "sound")]
            sound: Sound::open(sitting, mute),
        }
    }

    /// Adds the keys of gamepads to `input`, takes out those that are not the game's, and pauses the game if a gamepad
    /// was pulled out.
    pub(super) fn before(&mut self, input: &mut Input, sitting: &mut Sitting) {
        let _ = (&input, &sitting);
        #[cfg(feature = "gamepad")]
        if self.pads.as_mut().is_some_and(|pads| pads.join(input)) {
            sitting.pause();
        }
        #[cfg(feature = "sound")]
        if let Some(sound) = &mut self.sound {
            sound.switch(input);
        }
    }

    /// Plays the sound of the last steps.
    pub(super) fn after(&mut self, sitting: &Sitting) {
        let _ = sitting;
        #[cfg(feature = "sound")]
        if let Some(sound) = &self.sound
            && !sound.play(sitting.sound())
        {
            self.sound = None;
        }
    }

    /// Keys of the gamepads and of the sound, for the help.
    pub(super) fn help(&self) -> Help {
        #[allow(unused_mut, reason = "a build may have neither")]
        let mut help = Help::new();
        #[cfg(feature = "sound")]
        if self.sound.is_some() {
            help.push(("M", "sound on, off"));
        }
        #[cfg(feature = "gamepad")]
        if let Some(pads) = &self.pads {
            help.extend(pads.help());
        }
        help
    }
}

#[cfg(feature = "sound")]
use sounding::Sound;

#[cfg(feature = "sound")]
mod sounding {
    use minifb::Key;

    use super::super::speaker::Speaker;
    use super::{Input, Sitting};
    use crate::console::output;

    /// Plays the sound of a game on a device.
    pub(super) struct Sound {
        speaker: Speaker,
        mute: bool,
    }

    impl Sound {
        pub(super) fn open(sitting: &mut Sitting, mute: bool) -> Option<Self> {
            match Speaker::open(sitting.listen()?) {
                Ok(speaker) => Some(Self { speaker, mute }),
                Err(e) => {
                    output::note(format!("sound: the game is silent: {e:#}"));
                    None
                }
            }
        }

        /// Takes the key that switches the sound out of `input`.
        pub(super) fn switch(&mut self, input: &mut Input) {
            let others = input.pressed.len();
            input.pressed.retain(|key| *key != Key::M);
            self.mute ^= input.pressed.len() < others;
        }

        /// Plays samples unless muted, and returns whether the device still works.
        pub(super) fn play(&self, samples: &[u8]) -> bool {
            if let Some(e) = self.speaker.failed() {
                output::note(format!("sound: the game is silent from here on: {e}"));
                return false;
            }
            if !self.mute {
                self.speaker.play(samples);
            }
            true
        }
    }
}
