//! Keeps the games of a recording within what its readers take, while they are played.

use rl_replays::recording::MOST;

use super::Take;
use crate::console::usage::usage;

/// What is left of the memory, in bytes, that all games of one recording may take.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Room {
    /// The room of an empty recording.
    pub(crate) fn new() -> Self {
        Self(MOST)
    }

    /// Takes room for a finished game.
    ///
    /// # Errors
    /// If there is none, as early as it is known.
    pub(crate) fn take(&mut self, game: &Take) -> anyhow::Result<()> {
        self.0 = self.0.checked_sub(game.memory()).ok_or_else(|| {
            let most = MOST >> 20;
            usage(format!(
                "more steps than one recording holds ({most} MiB in memory): lower --episodes, or leave out --outputs or \
                 --frames if they are there"
            ))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn games_that_no_reader_would_take_are_refused_as_they_end() {
        let mut game = Take::begin(1);
        (game.discrete, game.continuous, game.seen) = (vec![0; 7], vec![0.0; 14], vec![0; 7]);
        assert_eq!(game.memory(), 7 * (4 * 3 + 1));
        let mut room = Room(2 * game.memory());
        room.take(&game).unwrap();
        room.take(&game).unwrap();
        let refused = room.take(&game).unwrap_err().to_string();
        assert!(refused.starts_with("more steps than one recording holds (512 MiB"), "{refused}");
    }
}
