"""Writes outcomes.json beside this file: how Gymnasium's blackjack turns out, for every hand and every first card of the dealer.

    pip install gymnasium==1.4.0 && python make.py

Every way in which cards can be drawn is played through Gymnasium's own `step` and `reset`. `start` holds the probability of
each first observation; `hit` holds for each hand of the player and first card of the dealer the outcomes of hitting: probability,
observation, reward, end; `stick` holds those of sticking, under each of three sets of rules.
"""

import json
import pathlib
from collections import defaultdict
from fractions import Fraction

import gymnasium
from gymnasium.envs.toy_text import blackjack

ODDS = {card: Fraction(blackjack.deck.count(card), len(blackjack.deck)) for card in sorted(set(blackjack.deck))}
HANDS = {
    **{f"hard {total}": [2, total - 2] for total in range(4, 13)},
    **{f"hard {total}": [10, total - 10] for total in range(13, 21)},
    "hard 21": [10, 9, 2],
    "soft 12": [1, 1],
    **{f"soft {total}": [1, total - 11] for total in range(13, 21)},
    "soft 21": [1, 5, 5],
    "natural": [1, 10],
}
RULES = [{"natural": False, "sab": True}, {"natural": False, "sab": False}, {"natural": True, "sab": False}]


class More(Exception):
    """Another card is asked for than were dealt."""


def every_way(play):
    """Probability of each answer of `play(deal)`, over the cards that `deal` hands out."""
    found, open = defaultdict(Fraction), [((), Fraction(1))]
    while open:
        cards, probability = open.pop()
        left = iter(cards)

        def deal(_generator):
            for card in left:
                return card
            raise More

        blackjack.draw_card = deal
        try:
            found[play()] += probability
        except More:
            open.extend(((*cards, card), probability * odds) for card, odds in ODDS.items())
    return found


def plain(found):
    return [[float(p), *answer] for answer, p in sorted(found.items())]


def outcomes(env, hand, first, action):
    def play():
        env.player, env.dealer = list(hand), [first, blackjack.draw_card(None)]
        shown, reward, terminated, truncated, _ = env.step(action)
        assert not truncated
        return tuple(map(int, shown)), float(reward), bool(terminated)

    return plain(every_way(play))


def hands(env, action):
    return [
        {"hand": name, "first": first, "outcomes": outcomes(env, hand, first, action)}
        for name, hand in HANDS.items()
        for first in ODDS
    ]


def start(env):
    def play():
        env.dealer, env.player = blackjack.draw_hand(None), blackjack.draw_hand(None)
        return (tuple(map(int, env._get_obs())),)

    return plain(every_way(play))


cases = []
for rules in RULES:
    env = blackjack.BlackjackEnv(**rules)
    cases.append({"config": rules, "hands": hands(env, 0)})
golden = {"gymnasium": gymnasium.__version__, "start": start(env), "hit": hands(env, 1), "stick": cases}
text = json.dumps(golden, separators=(",", ":")).replace('{"config"', '\n{"config"').replace('{"hand"', '\n{"hand"')
pathlib.Path(__file__).with_name("outcomes.json").write_text(text + "\n")
