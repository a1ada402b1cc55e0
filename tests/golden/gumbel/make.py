"""Writes golden.json: searches of Nim by DeepMind's mctx (Gumbel AlphaZero), whose network is a table of draws.

From a heap each side takes one to three stones, and who takes the last wins. Logits and values of a heap and a side come from a hash
that the Rust test repeats, so that the file holds only the noise of roots and what was found.

    python make.py        # needs mctx (0.0.71) and numpy
"""

import functools
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import mctx
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from inputs import draws, short, single  # noqa: E402

MOST, ACTIONS = 11, 3
VISIT, SCALE = 10.0, 0.6
LOGITS = jnp.asarray(single(draws((MOST + 1) * 2 * ACTIONS, 201) * 4 - 2).reshape(MOST + 1, 2, ACTIONS), jnp.float32)
VALUES = jnp.asarray(single(draws((MOST + 1) * 2, 202) * 2 - 1).reshape(MOST + 1, 2), jnp.float32)


def network(left, side):
    """Logits, those of illegal moves far below, and the value for the side to move."""
    legal = jnp.arange(ACTIONS) < left[:, None]
    return jnp.where(legal, LOGITS[left, side], -1e9), VALUES[left, side]


def step(_, __, action, heap):
    """A heap that is empty stays so, and is worth nothing more: who took the last stone was paid."""
    left, side = heap
    over = left == 0
    after = jnp.where(over, 0, jnp.maximum(left - action - 1, 0))
    logits, value = network(after, 1 - side)
    won = ~over & (after == 0)
    output = mctx.RecurrentFnOutput(
        reward=won.astype(jnp.float32),
        discount=jnp.where(after == 0, 0.0, -1.0),
        prior_logits=jnp.where((after == 0)[:, None], 0.0, logits),
        value=jnp.where(after == 0, 0.0, value),
    )
    return output, (after, 1 - side)


def search(left, side, simulations, considered, noise, key):
    heap = (jnp.asarray([left]), jnp.asarray([side]))
    logits, value = network(*heap)
    output = mctx.gumbel_muzero_policy(
        params=(),
        rng_key=key,
        root=mctx.RootFnOutput(prior_logits=logits, value=value, embedding=heap),
        recurrent_fn=step,
        num_simulations=simulations,
        invalid_actions=(jnp.arange(ACTIONS) >= left)[None],
        max_num_considered_actions=considered,
        gumbel_scale=noise,
        # Of values from -1 to 1, where the suite's are from 0 to 1.
        qtransform=functools.partial(
            mctx.qtransform_completed_by_mix_value, value_scale=SCALE / 2, maxvisit_init=VISIT, rescale_values=False
        ),
    )
    summary = output.search_tree.summary()
    visits, q = np.asarray(summary.visit_counts)[0], np.asarray(summary.qvalues)[0].astype(np.float64)
    policy = np.asarray(output.action_weights)[0].astype(np.float64)
    return {
        "left": left,
        "side": side,
        "simulations": simulations,
        "considered": considered,
        "noise": short(np.asarray(output.search_tree.extra_data.root_gumbel)[0].astype(np.float64)),
        "visits": visits.astype(int).tolist(),
        "q": short(np.where(visits > 0, q, 0.0)),
        "policy": short(policy),
        "choice": int(output.action[0]),
    }


def main():
    cases, key = [], jax.random.PRNGKey(1)
    for number in range(60):
        key, used = jax.random.split(key)
        left, side = 1 + number % MOST, number // MOST % 2
        simulations = [1, 2, 5, 16, 40][number % 5]
        cases.append(search(left, side, simulations, 2 + number % 2, float(number % 3 > 0), used))
    golden = {"sigma": [VISIT, SCALE], "cases": cases}
    (pathlib.Path(__file__).parent / "golden.json").write_text(json.dumps(golden, indent=None) + "\n")


main()
