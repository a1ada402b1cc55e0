//! Games: played in full, scored with intervals, recorded as seeds and actions, and played again from that.

pub(crate) mod play;
pub(crate) mod score;
pub(crate) mod interval;
pub(crate) mod outputs;
pub(crate) mod takes;
pub(crate) mod playback;
pub(crate) mod screening;
