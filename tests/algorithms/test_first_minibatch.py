"""In the first minibatch after a rollout nothing has changed: every probability ratio is one.

This is where a carry that is reset a step late, a stored action that is not the one whose
probability was stored, a mask or a normaliser that differs between rollout and replay all show.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs_jax
from envs_jax import spaces
from helpers import make_probe
from probe_envs import Ticking

NETWORKS = list(itertools.product(("none", "gru", "lstm"), (True, False)))
HEADS = {
    "categorical": ("discrete", {}),
    "masked": ("masked", {}),
    "multi_categorical": ("multi_discrete", {}),
    "gaussian": ("continuous", {"std": "learned"}),
    "gaussian_fixed": ("continuous", {"std": "fixed", "initial_std": 0.7}),
    "gaussian_state": ("continuous", {"std": "state"}),
    "squashed": ("continuous", {"distribution": "squashed_gaussian"}),
    "squashed_state": ("continuous", {"distribution": "squashed_gaussian", "std": "state"}),
    "beta": ("continuous", {"distribution": "beta"}),
}
ENVS, LENGTH, CHUNK = 16, 16, 8
# Log densities reach tens, whose last bits are worth more than those of log probabilities.
TOLERANCE = {"continuous": 1e-5}


def count_ratios_off_one(state, tolerance):
    """Have clip_fraction count |ratio - 1| > tolerance.

    Rollout and replay are compiled apart and differ in their last bits; the density of a beta is a
    difference of large terms, which magnifies them.
    """
    return state.replace(hypers=state.hypers.replace(clip_epsilon=jnp.float32(tolerance)))


class Parts(Ticking):
    """`Ticking` seen as body, scan and image, with a part for the critic."""

    def observe(self, key, state, action, params):
        seen = super().observe(key, state, action, params)
        image = jnp.outer(jnp.linspace(-1, 1, 14), jnp.linspace(0, 1, 12)) * seen[1]
        return {
            "body": seen,
            "scan": seen[None] * jnp.arange(1.0, 3.0)[:, None],
            "depth": image[..., None],
            spaces.PRIVILEGED: 5 * seen[:2] - 3,
        }


envs_jax.register("probe/parts", Parts)


def first_minibatches(
    core, separate_value, head, updates=2, world="probe/ticking", network=None, **env
):
    """States and metrics of updates of one minibatch each."""
    actions, options = HEADS[head]
    network = {
        "core": core,
        "separate_value": separate_value,
        "policy_scale": 1.0,
        **options,
        **(network or {}),
    }
    probe = make_probe(
        world,
        ENVS,
        network,
        env,
        {"actions": actions},
        rollout_length=LENGTH,
        bptt_length=CHUNK,
        epochs=1,
        minibatches=1,
        learning_rate=3e-2,
    )
    state = probe.init(ENVS)
    state = count_ratios_off_one(state, TOLERANCE.get(actions, 1e-6) if head != "beta" else 1e-4)
    update = jax.jit(lambda s: probe.algorithm.update(s, probe.shards))
    for _ in range(updates):
        before = state
        state, metrics = update(state)
        yield before, state, metrics


def check(core, separate_value, head, **options):
    for before, after, metrics in first_minibatches(core, separate_value, head, **options):
        assert metrics["policy/clip_fraction"] == 0
        assert metrics["policy/approximate_kl"] <= 1e-10
        # It was a real update, over episodes that ended inside chunks, of a policy with a shape.
        assert metrics["episode/count"] > ENVS * LENGTH / 5
        assert metrics["update/steps_taken"] == 1
        moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), before.params, after.params)
        assert max(jax.tree.leaves(moved)) > 1e-3


# Each network and each head at least once: all 54 pairs would be compiled for ten minutes.
_PAIRS = [(*network, head) for network, head in zip(itertools.cycle(NETWORKS), HEADS, strict=False)]


@pytest.mark.parametrize(("core", "separate_value", "head"), _PAIRS)
def test_ratio_is_one(core, separate_value, head):
    check(core, separate_value, head)


def test_ratio_is_one_with_moments_that_change():
    check("gru", False, "gaussian", normalise_observations=True, normalise_rewards=True)


BEHIND = {"skip_core": True, "head_sizes": (8, 6)}


@pytest.mark.parametrize(
    ("core", "separate_value", "head"),
    [("gru", True, "gaussian"), ("lstm", False, "categorical")],
)
def test_ratio_is_one_with_layers_behind_the_core(core, separate_value, head):
    check(core, separate_value, head, network=BEHIND)


@pytest.mark.parametrize(
    ("core", "inputs"), [("none", ()), ("gru", ()), ("none", ("scan",)), ("gru", ("scan", "body"))]
)
def test_ratio_is_one_with_encoders_a_privileged_part_and_inputs(core, inputs):
    network = {
        "encoders": {"scan": (8, 4), spaces.PRIVILEGED: (4,)},
        "part_sizes": (5,),
        "convolution": "depth",
        "inputs": inputs,
    }
    if core != "none":
        network |= BEHIND
    options = {"world": "probe/parts", "network": network, "normalise_observations": True}
    check(core, True, "gaussian", **options)


def test_later_minibatches_do_differ():
    # The measure itself: at the end of a second epoch the ratio is no longer one.
    probe = make_probe(
        "probe/ticking", ENVS, rollout_length=LENGTH, epochs=2, minibatches=1, learning_rate=3e-2
    )
    state = count_ratios_off_one(probe.init(ENVS), 1e-6)
    metrics = jax.jit(lambda s: probe.algorithm.update(s, probe.shards))(state)[1]
    np.testing.assert_allclose(metrics["policy/clip_fraction"], 0.5, atol=0.1)
    assert metrics["policy/approximate_kl"] > 1e-6
