//! Card games.

pub mod blackjack;
