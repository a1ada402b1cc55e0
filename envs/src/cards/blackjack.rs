//! Blackjack against a dealer who draws to 17, from a deck that never runs out; equal in distribution to Gymnasium's Blackjack-v1.
//!
//! Shown are the player's total, the dealer's first card (an ace is 1) and whether the player holds an ace that counts 11. What
//! is not shown, and matters to the rules about naturals, is whether a total of 21 came from two cards.
//! Source: Sutton and Barto 2018, example 5.1; Gymnasium 1.4, `toy_text/blackjack.py`.

mod picture;

use rl_core::{
    Act, Canvas, End, Env, EnvEntry, Error, FiniteMdp, Obs, Result, Rng, Spec, Step, Transition, load_postcard,
    save_postcard,
};
use serde::{Deserialize, Serialize};

/// Table entry `blackjack`: Gymnasium's Blackjack-v1 by the rules of Sutton and Barto.
pub const ENTRY: EnvEntry = EnvEntry::single::<Blackjack>(
    "Draw cards to 21 against a dealer (Gymnasium's Blackjack-v1)",
    include_str!("../../../presets/env/blackjack.toml"),
);

/// Configuration of [`Blackjack`], as its `[env]` table. A natural is a total of 21 with two cards.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether a win with a natural pays 1.5 instead of 1; ignored under [`sab`](Self::sab).
    pub natural: bool,
    /// Whether the rules are those of Sutton and Barto: a natural wins, with reward 1, unless the dealer has one too.
    pub sab: bool,
}

/// The Blackjack environment. It observes the player's total, the dealer's first card and whether an ace counts 11,
/// `symbols [3]`, and takes one discrete action: stick (0) or hit (1).
#[derive(Clone, Debug)]
pub struct Blackjack {
    config: Config,
    state: State,
}

/// Everything that changes in an episode.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    player: Drawn,
    dealer: Drawn,
    /// Whether the dealer has turned the second card over.
    revealed: bool,
    rng: Rng,
}

/// The cards of one side, in the order in which they were drawn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Drawn {
    cards: [u8; MOST],
    count: u8,
}

/// Number of cards of the longest hand: twenty-one aces, and the card that busts the hand.
const MOST: usize = 22;

const STICK: u32 = 0;
const HIT: u32 = 1;
const BEST: u8 = 21;
/// The total from which the dealer draws no more.
const DEALER_STANDS: u8 = 17;
/// Values of cards, aces as 1, and how many of the 13 ranks have each.
const RANKS: [(u8, u8); 10] = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 1), (10, 4)];

/// Summary of a hand that decides its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hand {
    /// Sum of the cards, with aces as 1.
    sum: u8,
    ace: bool,
    cards: u8,
}

impl Hand {
    const EMPTY: Self = Self { sum: 0, ace: false, cards: 0 };

    fn with(self, card: u8) -> Self {
        Self { sum: self.sum + card, ace: self.ace || card == 1, cards: self.cards + 1 }
    }

    /// Whether an ace counts 11.
    fn usable_ace(self) -> bool {
        self.ace && self.sum + 10 <= BEST
    }

    fn total(self) -> u8 {
        if self.usable_ace() { self.sum + 10 } else { self.sum }
    }

    fn bust(self) -> bool {
        self.sum > BEST
    }

    fn natural(self) -> bool {
        self.cards == 2 && self.total() == BEST
    }

    /// Returns the score by which hands are compared: the total, or 0 where the hand is bust.
    fn score(self) -> u8 {
        if self.bust() { 0 } else { self.total() }
    }
}

impl Drawn {
    const NONE: Self = Self { cards: [0; MOST], count: 0 };

    fn draw(&mut self, rng: &mut Rng) {
        self.cards[usize::from(self.count)] = rng.below(13).min(9) as u8 + 1; // jack, queen and king count 10
        self.count += 1;
    }

    fn cards(&self) -> &[u8] {
        &self.cards[..usize::from(self.count)]
    }

    fn hand(&self) -> Hand {
        self.cards().iter().fold(Hand::EMPTY, |hand, &card| hand.with(card))
    }

    /// Whether a game can lead to these cards: nobody draws to a hand that is bust.
    fn is_sound(&self) -> bool {
        let count = usize::from(self.count);
        (2..=MOST).contains(&count)
            && self.cards().iter().all(|card| (1..=10).contains(card))
            && self.cards[..count - 1].iter().sum::<u8>() <= BEST
    }
}

impl State {
    fn deal(mut rng: Rng) -> Self {
        let (mut dealer, mut player) = (Drawn::NONE, Drawn::NONE);
        for side in [&mut dealer, &mut player] {
            side.draw(&mut rng);
            side.draw(&mut rng);
        }
        Self { player, dealer, revealed: false, rng }
    }
}

impl Config {
    /// Returns the reward of a player who sticks, against the dealer's final hand.
    fn settle(&self, player: Hand, dealer: Hand) -> f64 {
        let won = f64::from(i8::from(player.score() > dealer.score()) - i8::from(player.score() < dealer.score()));
        match (self.sab, player.natural()) {
            (true, true) if !dealer.natural() => 1.0,
            (false, true) if self.natural && won > 0.0 => 1.5,
            _ => won,
        }
    }
}

impl Blackjack {
    fn show(&self, obs: &mut Obs<'_>) {
        obs.symbols.copy_from_slice(&symbols(self.state.player.hand(), self.state.dealer.cards[0]));
    }
}

fn symbols(player: Hand, shown: u8) -> [u32; 3] {
    [player.total().into(), shown.into(), player.usable_ace().into()]
}

impl Env for Blackjack {
    const ID: &'static str = "blackjack";
    const VERSION: u32 = 1;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { config: config.clone(), state: State::deal(Rng::episode(0)) })
    }

    fn spec(&self) -> Spec {
        Spec { symbols: [32, 11, 2].into(), discrete: [2].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        self.state = State::deal(Rng::episode(seed));
        self.show(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let State { player, dealer, revealed, rng } = &mut self.state;
        let (reward, terminated) = match act.discrete[0] {
            HIT => {
                // A saved state may hold a hand that is bust in an episode that goes on.
                if !player.hand().bust() {
                    player.draw(rng);
                }
                if player.hand().bust() { (-1.0, true) } else { (0.0, false) }
            }
            STICK => {
                while dealer.hand().total() < DEALER_STANDS {
                    dealer.draw(rng);
                }
                *revealed = true;
                (self.config.settle(player.hand(), dealer.hand()), true)
            }
            action => panic!("blackjack: action {action} is not 0 (stick) or 1 (hit)"),
        };
        self.show(&mut obs);
        Ok(Step { reward: reward as f32, end: End::of(terminated, false), frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.state, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let state: State = load_postcard(Self::ID, bytes)?;
        let State { player, dealer, .. } = &state;
        if !player.is_sound() || !dealer.is_sound() {
            let message = format!("{} cards against {} are no hands", player.count, dealer.count);
            return Err(Error::State { part: Self::ID.to_owned(), message });
        }
        self.state = state;
        Ok(())
    }

    fn tabular(&self) -> Option<FiniteMdp> {
        Some(table(&self.config))
    }

    fn action_names(&self) -> Vec<String> {
        ["stick", "hit"].map(str::to_owned).to_vec()
    }

    fn draw(&self, canvas: &mut Canvas) {
        picture::draw(&self.state, canvas);
    }
}

/// Number of hands that the rules tell apart: hard totals of 4 to 31, soft totals of 12 to 21, and a natural.
const HANDS: usize = 28 + 10 + 1;

fn hand(number: usize) -> Hand {
    let hand = |sum: usize, ace, cards| Hand { sum: sum as u8, ace, cards };
    match number {
        0..28 => hand(number + 4, false, 3),
        28..38 => hand(number - 28 + 2, true, 3),
        _ => hand(11, true, 2),
    }
}

fn number(hand: Hand) -> usize {
    match (hand.natural(), hand.usable_ace()) {
        (true, _) => HANDS - 1,
        (false, true) => 28 + usize::from(hand.sum) - 2,
        (false, false) => usize::from(hand.sum) - 4,
    }
}

/// Builds the finite MDP, whose states are `(shown - 1) · HANDS + number(player)`; the dealer's hidden card is part of
/// the outcomes of sticking.
fn table(config: &Config) -> FiniteMdp {
    let state = |player: Hand, shown: u8| usize::from(shown - 1) * HANDS + number(player);
    let mut start = vec![0.0; RANKS.len() * HANDS];
    for (shown, p) in cards() {
        for (one, q) in cards() {
            for (other, r) in cards() {
                start[state(Hand::EMPTY.with(one).with(other), shown)] += p * q * r;
            }
        }
    }
    let (mut outcomes, mut shows) = (Vec::with_capacity(start.len()), Vec::with_capacity(start.len() * 3));
    for (shown, _) in cards() {
        for player in (0..HANDS).map(hand) {
            let to = |player, probability, reward, terminated| Transition {
                probability,
                next: state(player, shown) as u32,
                reward,
                terminated,
            };
            shows.extend(symbols(player, shown));
            if player.bust() {
                outcomes.push(vec![vec![to(player, 1.0, 0.0, true)]; 2]);
                continue;
            }
            let mut paid = [(-1.0, 0.0), (0.0, 0.0), (1.0, 0.0), (1.5, 0.0)];
            play_out(Hand::EMPTY.with(shown), 1.0, &mut |dealer, probability| {
                let reward = config.settle(player, dealer);
                paid.iter_mut().filter(|(pay, _)| *pay == reward).for_each(|(_, sum)| *sum += probability);
            });
            let stick = paid.into_iter().filter(|&(_, p)| p > 0.0).map(|(reward, p)| to(player, p, reward, true));
            let hit = cards().map(|(card, p)| {
                let player = player.with(card);
                to(player, p, if player.bust() { -1.0 } else { 0.0 }, player.bust())
            });
            outcomes.push(vec![stick.collect(), hit.collect()]);
        }
    }
    FiniteMdp::new(start, None, outcomes).expect("cards are drawn with probability 1").showing(shows, Vec::new())
}

/// Lists the values of a drawn card and their probabilities.
fn cards() -> impl Iterator<Item = (u8, f64)> {
    RANKS.into_iter().map(|(card, ranks)| (card, f64::from(ranks) / 13.0))
}

/// Visits every hand that a dealer may end with, and its probability.
fn play_out(dealer: Hand, probability: f64, visit: &mut impl FnMut(Hand, f64)) {
    if dealer.cards >= 2 && dealer.total() >= DEALER_STANDS {
        return visit(dealer, probability);
    }
    for (card, p) in cards() {
        play_out(dealer.with(card), probability * p, visit);
    }
}
