//! Windows: `rl-run watch` shows recorded games, `rl-run play` lets a person play.
//!
//! What happens in a window is apart from the window itself: a [`Player`](player::Player) knows the place in a game,
//! painters draw it on a [`Surface`](surface::Surface), and only `window.rs` knows of a display, `pads.rs` of gamepads
//! and `speaker.rs` of sound. Without the feature `viewer` the commands exist and say how to get it.

#[cfg(feature = "viewer")]
mod around;
#[cfg(feature = "viewer")]
mod buttons;
#[cfg(feature = "viewer")]
mod command;
#[cfg(feature = "viewer")]
mod follow;
#[cfg(feature = "viewer")]
mod games_file;
#[cfg(feature = "viewer")]
mod hands;
#[cfg(feature = "viewer")]
mod keyframes;
#[cfg(feature = "viewer")]
mod layout;
#[cfg(feature = "viewer")]
mod looks;
#[cfg(feature = "viewer")]
mod measure;
#[cfg(any(feature = "gamepad", all(test, feature = "viewer")))]
mod pad;
#[cfg(feature = "gamepad")]
mod pads;
#[cfg(feature = "viewer")]
mod paint;
pub(crate) mod play;
#[cfg(feature = "viewer")]
mod player;
#[cfg(feature = "viewer")]
mod repeat;
#[cfg(feature = "viewer")]
mod sitting;
#[cfg(feature = "sound")]
pub(crate) mod speaker;
#[cfg(feature = "viewer")]
mod stick;
#[cfg(feature = "viewer")]
mod surface;
#[cfg(feature = "viewer")]
mod survey;
#[cfg(test)]
#[cfg(feature = "viewer")]
mod tests;
#[cfg(feature = "viewer")]
mod view;
#[cfg(any(feature = "sound", all(test, feature = "viewer")))]
mod voice;
pub(crate) mod watch;
#[cfg(feature = "viewer")]
mod window;

/// Displays that the environment names, as `DISPLAY=:0`.
pub(crate) fn displays() -> Vec<String> {
    let named = |key: &str| {
        let display = std::env::var_os(key).filter(|display| !display.is_empty())?;
        Some(format!("{key}={}", display.display()))
    };
    ["WAYLAND_DISPLAY", "DISPLAY"].into_iter().filter_map(named).collect()
}

/// Error of a build without windows.
#[cfg(not(feature = "viewer"))]
fn none(command: &str) -> anyhow::Error {
    crate::console::usage::usage(format!(
        "{command}: this rl-run was built without the feature `viewer`: `cargo build --release -p rl-runner --features viewer` \
         makes one with windows, and `rl-run export FILE --out game.gif` needs none"
    ))
}
