//! Games of cards.

pub mod blackjack;
