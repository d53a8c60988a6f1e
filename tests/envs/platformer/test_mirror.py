"""Left and right exchanged: in what is seen, in what is done, and where the way goes left."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.platformer.course import make_course
from envs_jax.platformer.env import Platformer
from envs_jax.platformer.generators.draft import mirrored
from envs_jax.platformer.maps import Entity, Map
from envs_jax.platformer.mirror import mirror_action, mirror_seen
from envs_jax.platformer.observation import features
from platformer_rooms import corridor

STEPS, MINES = 48, 3
NAMES = features(MINES)
# In steps of 4 px from lattice points: what is on the border counts for one side.
IS_SIGHT = np.array([name.startswith("sight_") for name in NAMES])


def _slope():
    """A room with slopes, a locked door, two kinds of mine, and nothing symmetric."""
    level = corridor(14, mine=1, height=4)
    tiles = level.tiles.copy()
    tiles[13, 6], tiles[13, 7:9], tiles[13, 9] = 6, 1, 9
    extra = (Entity(21, 52, 44), Entity(6, 54, 54, orientation=0, switch=(38, 44)))
    return Map(tiles, level.ninja, entities=(*level.entities, *extra))


@pytest.fixture(scope="module")
def course():
    """Two levels, and what they are in a mirror."""
    maps = [corridor(8), _slope()]
    return make_course(
        [*maps, *map(mirrored, maps)], ["as drawn"] * 2 + ["mirrored"] * 2, ["room"] * 4, [100] * 4
    )


def _play(course, mirrors_actions, **options):
    """Four levels with the same actions, mirrored in the last two: ``[T, 4, ...]``."""
    env = Platformer(course, mines=MINES, **options)
    params = env.default_params
    rng = np.random.default_rng(3)
    actions = jnp.asarray(np.repeat(rng.choice([0, 1, 2, 2, 3, 4, 5, 5], STEPS // 4), 4))

    @jax.jit
    def run(params):
        start = jax.vmap(env.start_level, (0, 0, None))
        seen, state = start(jnp.arange(4), jnp.array([0, 0, 1, 1]), params)

        def advance(state, action):
            other = mirror_action(action) if mirrors_actions else action
            both = jnp.stack([action, action, other, other])
            seen, state, reward, *_ = jax.vmap(env.step_env, (None, 0, 0, None))(
                jax.random.key(0), state, both, params
            )
            return state, (seen, reward, state)

        return jax.lax.scan(advance, state, actions)[1]

    seen, reward, state = jax.device_get(run(params))
    return SimpleNamespace(seen=seen, reward=reward, state=state)


@pytest.mark.parametrize("observation", ["minimal", "tiles", "graph", "pixels"])
def test_the_mirrored_observation_is_that_of_the_mirrored_level(course, observation):
    seen = _play(course, True, observation=observation).seen
    turn = jax.jit(jax.vmap(jax.vmap(lambda parts: mirror_seen(parts, MINES))))
    there = turn(jax.tree.map(lambda part: part[:, :2], seen))
    back = turn(there)
    for name, part in seen.items():
        here, mirror = np.asarray(there[name]).astype(float), part[:, 2:].astype(float)
        np.testing.assert_array_equal(np.asarray(back[name]), part[:, :2])
        assert (np.abs(here - part[:, :2]) > 0.01).any(), f"{name} is symmetric: nothing is tested"
        if name == "vector":
            off = np.abs(here - mirror).reshape(-1, len(NAMES))
            assert off[:, ~IS_SIGHT].max() < 2e-3
            assert off[:, IS_SIGHT].mean() < 0.01
            continue
        # Points on the border of two tiles or cells belong to the one on the right.
        assert (np.abs(here - mirror) < 1e-3).mean() > 0.99, name


def test_a_level_and_its_mirror_image_are_the_same_to_a_mirrored_player(course):
    play = _play(course, False, mirrored=True)
    np.testing.assert_array_equal(play.state.mirrored[:, :2], ~play.state.mirrored[:, 2:])
    vector, mask = play.seen["vector"], play.seen["action_mask"]
    np.testing.assert_allclose(vector[:, :2, ~IS_SIGHT], vector[:, 2:, ~IS_SIGHT], atol=2e-3)
    np.testing.assert_array_equal(mask[:, :2], mask[:, 2:])
    np.testing.assert_allclose(play.reward[:, :2], play.reward[:, 2:], atol=1e-3)
    ahead = play.seen["vector"][..., NAMES.index("far_x")]
    assert (ahead >= 0.0).all()
    assert play.state.mirrored[:, 2:].all()


def test_what_is_not_mirrored_stays(course):
    play = _play(course, False)
    assert not play.state.mirrored.any()
    assert (play.seen["vector"][..., NAMES.index("far_x")] < 0.0).any()
