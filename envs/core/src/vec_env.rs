//! The coarse boundary between environments and everything else: one virtual call per row of seats.

use crate::{Act, Canvas, Result, Rows, Spec, Tabular};

/// `N` seats that step together.
///
/// Autoreset is *next-step*: the call after an episode's end resets that seat and ignores its action. The row that ends an
/// episode therefore holds its true last observation, and the row after it has `age` 0.
pub trait VecEnv: Send {
    /// Shapes of one seat.
    fn spec(&self) -> &Spec;

    /// Number of seats.
    fn seats(&self) -> usize;

    /// Starts a first episode in every seat.
    ///
    /// # Errors
    /// If an environment fails.
    fn reset(&mut self, rows: Rows<'_>) -> Result<()>;

    /// Steps every seat, or resets those whose episode is over.
    ///
    /// # Errors
    /// If an environment fails.
    fn step(&mut self, act: Act<'_>, rows: Rows<'_>) -> Result<()>;

    /// Lives left in seat `n`, where the game has lives.
    fn lives(&self, n: usize) -> Option<u32>;

    /// The environment of one seat as a table, where it is small enough to be one.
    fn tabular(&self) -> Option<Tabular> {
        None
    }

    /// Draws seat `n`.
    fn draw(&self, n: usize, canvas: &mut Canvas);

    /// Appends the state of all seats, random streams and running episodes included.
    ///
    /// # Errors
    /// If an environment cannot give its state.
    fn save(&self, out: &mut Vec<u8>) -> Result<()>;

    /// Restores what [`save`](VecEnv::save) wrote.
    ///
    /// # Errors
    /// If `bytes` is not a state of these seats.
    fn load(&mut self, bytes: &[u8]) -> Result<()>;
}
