//! ViZDoom 1.3.2 from Rust: the engine of the Python package runs unmodified as a child process, and this crate speaks its
//! interface of shared memory and message queues. No C++, Boost or Python takes part; x86-64 Linux with glibc only.
//!
//! Facts about the interface are from the MIT-licensed parts of ViZDoom (© Wydmuch, Kempka, Jaśkowski, Runc, Toczek and the
//! Farama Foundation). The engine itself is fetched by its user, and neither linked nor shipped.

mod args;
mod button;
mod cfg;
mod engine;
mod error;
mod game;
mod keys;
mod layout;
mod leftovers;
mod map;
mod memory;
mod names;
mod pin;
mod port;
mod queue;
mod rewards;
mod screen;
mod settings;
mod state;
mod variable;

pub use button::Button;
pub use error::{Error, Result};
pub use game::{Buffer, Game, Match};
pub use map::MapName;
pub use screen::{ScreenFormat, ScreenResolution};
pub use settings::{Audio, Automap, AutomapMode, Config, Mode, Notifications, Render, Rewards, SamplingRate};
pub use state::{Label, Line, Object, Player, Pose, Sector};
pub use variable::Variable;
