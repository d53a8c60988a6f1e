"""The world through its interface: what can be asked of it, and what it says to nonsense."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import AutoReset, make
from envs_jax.pushing.reward import reward_terms
from envs_jax.render import render_frame
from helpers import optimised

BEHIND = [(-0.9, 0.3, 0.0), (-0.9, -0.3, 0.0)]  # robots that look along x at the box
FORWARD = np.array([[2.0, 0, 0]] * 2, np.float32)


@functools.cache
def world(**arguments):
    """World, parameters and compiled step."""
    env, params = make("Pushing-v1", **arguments)
    return env, params, jax.jit(env.step_env)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"object_name": "cubiod"}, "one of cuboid, t_block, cylinder; nearest is 'cuboid'"),
        ({"object_name": "tee_block"}, "nearest is 't_block'"),
        ({"num_agents": 0}, "num_agents 0: expected a whole number of at least 1"),
        ({"num_agents": 2.0}, "num_agents 2.0: expected a whole number"),
        ({"num_agents": True}, "num_agents True: expected a whole number"),
        ({"action_repeat": 0}, "action_repeat 0: expected a whole number"),
        ({"angles": "degrees"}, "angles 'degrees': expected one of .*radians"),
        ({"state": "physics"}, "state 'physics': expected one of .*nearest is 'physical'"),
        ({"agent_mass": [1.0]}, r"'agent_mass'.*expected shape \(2,\)"),
        ({"treshold": 1.0}, "no parameter 'treshold': nearest is threshold"),
    ],
)  # fmt: skip
def test_bad_input(overrides, message):
    with pytest.raises(ValueError, match=message) as caught:
        make("Pushing-v1", **overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "agents", "size", "physical"),
    [
        ({}, 2, 8, 19),
        ({"num_agents": 1}, 1, 5, 12),
        ({"object_name": "cylinder"}, 3, 11, 26),
        ({"object_name": "t_block", "angles": "sin_cos"}, 2, 10, 19),
    ],
)
def test_shapes(arguments, agents, size, physical):
    env, params = make("Pushing-v1", **arguments)
    observation, state = jax.jit(env.reset_env)(jax.random.key(0), params)
    assert env.name == "Pushing-v1" and env.num_agents == agents and env.num_actions == 3
    chex.assert_shape(observation, (agents, size))
    assert env.observation_space(params).shape == (size,)
    assert env.action_space(params).shape == (3,) and np.isinf(env.action_space(params).high).all()
    whole = env.global_state(state, params)
    np.testing.assert_allclose(whole, observation.reshape(-1), rtol=1e-5, atol=1e-5)
    other, _ = make("Pushing-v1", **arguments, state="physical")
    chex.assert_shape(other.global_state(state, params), (physical,))


def test_what_a_robot_sees(scene):
    state = scene([(1.0, 2.0, np.pi / 2), (0.0, -1.0, 0.3)], thing=(1.0, 5.0, 0.1), target=(4, 2))
    env, params, _ = world()
    first, second = env.get_obs(state)
    wrapped = (0.1 - np.pi / 2) % (2 * np.pi)
    other = (0.3 - np.pi / 2) % (2 * np.pi)
    np.testing.assert_allclose(first, [0, -3, 3, 0, wrapped, -3, 1, other], atol=1e-5)
    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, s], [-s, c]])
    np.testing.assert_allclose(second[:2], turn @ [4, 3], atol=1e-5)
    np.testing.assert_allclose(second[2:4], turn @ [1, 6], atol=1e-5)
    np.testing.assert_allclose(second[5:7], turn @ [1, 3], atol=1e-5)
    np.testing.assert_allclose(
        second[np.array([4, 7])], [2 * np.pi - 0.2, np.pi / 2 - 0.3], atol=1e-5
    )

    smooth = world(angles="sin_cos")[0].get_obs(state)
    yaws = np.array([wrapped, other])
    np.testing.assert_allclose(smooth[0, np.array([4, 8])], np.cos(yaws), atol=1e-5)
    np.testing.assert_allclose(smooth[0, np.array([5, 9])], np.sin(yaws), atol=1e-5)
    places, others = np.array([0, 1, 2, 3, 6, 7]), np.array([0, 1, 2, 3, 5, 6])
    np.testing.assert_allclose(smooth[:, places], env.get_obs(state)[:, others], atol=1e-5)


def test_angles_stay_below_a_turn(scene):
    env = world()[0]
    for yaw in (0.0, -1e-9, 1e-9, 2 * np.pi, -2 * np.pi, 50.0):
        seen = env.get_obs(scene([(0, 2, 0), (2, 0, yaw)], thing=(0, 0, yaw)))[0, np.array([4, 7])]
        assert bool((seen >= 0).all() & (seen < np.float32(2 * np.pi)).all())


def test_others_are_seen_in_the_originals_order(scene):
    env = make("Pushing-v1", num_agents=3)[0]
    seen = env.get_obs(scene([(0, 2, 0), (2, 0, 0), (-2, 0, 0)], thing=(0, 0, 0)))
    np.testing.assert_allclose(seen[0, 5:7], [-2, -2], atol=1e-6)  # agent 2, then 1
    np.testing.assert_allclose(seen[0, 8:10], [2, -2], atol=1e-6)
    np.testing.assert_allclose(seen[2, 5:7], [4, 0], atol=1e-6)  # agent 1, then 0


def test_physical_state(scene):
    state = scene(
        [(0.0, 2.0, np.pi), (-2.0, 0.0, np.pi / 2)], [(0.3, 0.1, 0.2), (0, 0, 0)],
        thing=(0, 0, np.pi / 2), motion=(0.5, 0.0, -1.0), target=(0, 3),
    )  # fmt: skip
    env, params = make("Pushing-v1", state="physical")
    found = env.global_state(state, params)
    whole = [3, 0, 0, -0.5, -1]
    first = [2, 0, 0, 1, -0.1, 0.3, 0.2]
    second = [0, 2, 1, 0, 0, 0, 0]
    np.testing.assert_allclose(found, whole + first + second, atol=1e-6)


@pytest.mark.parametrize("name", ["cuboid", "cylinder"])
def test_reset_draws_from_its_ranges(name):
    env, params = make("Pushing-v1", object_name=name)
    low_lag, high_lag = (
        0.1 * np.arange(1, env.num_agents + 1),
        0.1 * np.arange(2, env.num_agents + 2),
    )
    params = params.replace(lag=jnp.float32([low_lag, high_lag]))
    keys = jax.random.split(jax.random.key(1), 4000)
    state = jax.jit(jax.vmap(env.reset_env, (0, None)))(keys, params)[1]

    def spans(values, low, high):
        assert values.min() >= low - 1e-6 and values.max() <= high + 1e-6
        assert np.quantile(values, 0.02) < low + 0.05 * (high - low)
        assert np.quantile(values, 0.98) > high - 0.05 * (high - low)
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.03 * (high - low))

    box, cylinder = (1.2, 1.3, 0.3, 0.35, 0.459, 0.849), (2.0, 2.5, 0.2, 0.25, 1.0, 1.5)
    near, far, low, high, inner, outer = box if name == "cuboid" else cylinder
    spans(np.hypot(state.agents.position.x, state.agents.position.y), near, far)
    spans(np.hypot(state.target.x, state.target.y), 1.5, 3.0)
    spans(state.friction, low, high)
    spans(state.limit_radius, inner, outer)
    for angle in (state.object.yaw, state.agents.yaw):
        spans(angle, 0, 2 * np.pi)
    spans(np.arctan2(state.target.y, state.target.x), -np.pi, np.pi)
    spans(np.arctan2(state.agents.position.y, state.agents.position.x), -np.pi, np.pi)
    for speed in (state.agents.velocity.x, state.agents.velocity.y, state.agents.spin):
        spans(speed, -0.1, 0.1)
    for i in range(env.num_agents):
        spans(state.lag[:, i], low_lag[i], high_lag[i])
    assert not state.object.position.x.any() and not state.object.velocity.x.any()


def test_pushing_to_the_target_succeeds(scene):
    env, params, step = world()
    state, total = scene(BEHIND, target=(1.6, 0.0)), 0.0
    for _ in range(150):
        before = state
        _, state, reward, terminated, info = step(jax.random.key(0), state, FORWARD, params)
        terms = reward_terms(before, state, params)
        np.testing.assert_allclose(reward, sum(terms.values(), np.zeros(2)), rtol=1e-4)
        total += reward
        assert bool(terminated) == bool(info["success"])
        if terminated:
            break
    # 0.6 m of pushing, 0.025 m to walk up to the box, and the lag.
    assert int(state.time) == pytest.approx(0.625 / 0.5 / 0.02 + 0.2 / 0.02, abs=3)
    assert float(reward.min()) > 9.9 and float(total.min()) > 9.0


def test_time_limit_is_the_originals():
    env, params, step = world()
    _, state = env.reset_env(jax.random.key(0), params)
    state = state.replace(time=jnp.int32(999))
    for limit in (False, True):
        _, state, _, _, _ = step(jax.random.key(0), state, jnp.zeros((2, 3)), params)
        assert bool(env.is_truncated(state, params)) == limit


def test_actions_beyond_two_are_as_two():
    env, params, step = world()
    _, state = env.reset_env(jax.random.key(2), params)
    _, one, *_ = step(jax.random.key(0), state, jnp.float32([[2, -2, 2], [-2, 2, 1]]), params)
    _, two, *_ = step(
        jax.random.key(0), state, jnp.float32([[9, -1e9, jnp.inf], [-3, 2, 1]]), params
    )
    chex.assert_trees_all_equal(one, two)


def test_an_action_that_is_no_number_is_a_failure(scene):
    env, params, step = world()
    action = FORWARD.copy()
    action[1, 2] = np.nan
    seen, state, reward, terminated, info = step(jax.random.key(0), scene(BEHIND), action, params)
    assert bool(terminated) and not bool(info["success"])
    assert float(reward.max()) < -4.9 and float(reward.min()) > -5.1
    chex.assert_tree_all_finite((seen, state))


def test_action_repeat_is_as_many_steps_with_one_action(scene):
    _, params, step = world()
    held, _, hold = world(action_repeat=5)
    state = scene([(-0.9, 0.3, 0.2), (-0.9, -0.3, 0.1)])
    seen, end, reward, terminated, info = hold(jax.random.key(0), state, FORWARD, params)
    total = 0.0
    for _ in range(5):
        expected, state, part, *_ = step(jax.random.key(0), state, FORWARD, params)
        total += part
    assert int(end.time) == 5 and not bool(terminated)
    chex.assert_trees_all_close(end, state, atol=1e-5)
    np.testing.assert_allclose(seen, expected, atol=1e-4)
    np.testing.assert_allclose(reward, total, rtol=1e-4)


def test_a_hold_stops_with_the_episode(scene):
    _, params, hold = world(action_repeat=5)
    # The object slides over the threshold in the second step of the hold.
    sliding = scene([(-5, 0, 0), (5, 0, 0)], motion=(0.5, 0, 0), target=(1.015, 0.0))
    _, state, reward, terminated, info = hold(jax.random.key(0), sliding, 0 * FORWARD, params)
    assert bool(terminated) and bool(info["success"]) and int(state.time) == 2
    assert 9.9 < float(reward.min()) < 10.1  # once
    late = scene(BEHIND).replace(time=jnp.int32(998))
    _, state, *_ = hold(jax.random.key(0), late, FORWARD, params)
    assert int(state.time) == 1001


def test_a_million_random_steps_stay_finite():
    env, params = make("Pushing-v1")
    reset = AutoReset(env, "bank")
    keys = jax.random.split(jax.random.key(0), 1000)

    @optimised
    def run(keys):
        state, seen = reset.init(keys, params, random_phase=True)
        bank = reset.make_bank(keys, params)

        def advance(carry, key):
            state, bias = carry
            # Actions wander slowly, so that robots get somewhere and lean on things.
            bias = 0.98 * bias + jax.random.normal(key, bias.shape)
            state, step = reset.step(keys, state, bias, params, bank)
            seen = jax.tree.leaves((step.observation, step.final_observation, step.reward))
            finite = jnp.all(jnp.stack([jnp.isfinite(part).all() for part in seen]))
            ends = (step.terminated.sum(), step.truncated.sum(), step.success.sum())
            return (state, bias), (finite, ends, state.world.impulse.max())

        bias = jnp.zeros((1000, 2, 3))
        return jax.lax.scan(advance, (state, bias), jax.random.split(keys[0], 1000))

    (state, _), (finite, ends, push) = run(keys)
    assert bool(finite.all())
    chex.assert_tree_all_finite(jax.tree.leaves(state.world))
    terminated, truncated, success = (int(end.sum()) for end in ends)
    assert terminated > success and truncated > 500 and float(push.max()) > 0.1


def test_frames_show_the_bodies(scene):
    for name in ("cuboid", "t_block", "cylinder"):
        env, params = make("Pushing-v1", object_name=name)
        state = jax.device_get(env.reset_env(jax.random.key(1), params)[1])
        frame = render_frame(env, params, state)
        moved = state.object.replace(position=state.object.position.replace(x=np.float32(0.5)))
        assert frame.dtype == np.uint8 and frame.shape[0] % 2 == 0
        assert (frame != render_frame(env, params, state.replace(object=moved))).any()
    env, params = make("Pushing-v1")
    frame = render_frame(
        env, params, jax.device_get(scene([(-1, 0, 0), (0, -1, 0)], target=(2, 0)))
    )
    brown = (frame == (200, 150, 100)).all(-1)
    width = 2 * (1.5 + 1.3 + 0.4)  # m over the whole frame
    assert brown.sum() * (width / frame.shape[1]) ** 2 == pytest.approx(1.44, rel=0.1)
    rows, columns = np.nonzero(brown)
    assert columns.mean() < frame.shape[1] * (0.5 - 0.9 / width)
    assert rows.mean() == pytest.approx(frame.shape[0] / 2, abs=3)
