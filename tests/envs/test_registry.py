"""Worlds by name: what is there, what can be set, and what the messages say."""

import subprocess
import sys

import numpy as np
import pytest

from envs_jax import available, make, register, registry


def test_ours_come_first_then_all_of_gymnax():
    import gymnax

    ids = available()
    assert ids[0] == "MaskedCartPole-v1"
    assert set(gymnax.registered_envs) < set(ids)
    assert len(ids) == len(set(ids))


def test_defaults_and_overrides():
    env, params = make("CartPole-v1", gravity=5, max_steps_in_episode=np.int64(10))
    assert env.name == "CartPole-v1"
    assert params.gravity == 5.0 and type(params.gravity) is float
    assert params.max_steps_in_episode == 10 and type(params.max_steps_in_episode) is int
    assert make("CartPole-v1")[1].gravity == pytest.approx(9.8)


def test_array_parameter():
    _, params = make("Acrobot-v1", available_torque=[-2, 0, 2])
    np.testing.assert_array_equal(params.available_torque, np.float32([-2, 0, 2]))
    assert params.available_torque.dtype == np.float32


def test_constructor_arguments():
    env, params = make("FrozenLake-misc", map_name="8x8", max_steps_in_episode=30)
    assert env.n_states == 64
    assert params.max_steps_in_episode == 30
    assert make("DeepSea-bsuite", size=5)[1].max_steps_in_episode == 5


@pytest.mark.parametrize(
    ("env_id", "overrides", "message"),
    [
        ("cartpole-v2", {}, "unknown environment 'cartpole-v2': nearest is CartPole-v1 or"),
        ("CartPole-v1", {"gravty": 1.0}, "no parameter 'gravty': nearest is gravity; .*force_mag"),
        ("CartPole-v1", {"gravity": "9"}, "'gravity' is '9': expected float, such as 9.8"),
        ("CartPole-v1", {"gravity": [9.0]}, "'gravity' is .*expected float"),
        ("CartPole-v1", {"gravity": True}, "'gravity' is True: expected float"),
        ("CartPole-v1", {"gravity": None}, "'gravity' is None: expected float"),
        ("CartPole-v1", {"max_steps_in_episode": 9.5}, "is 9.5: expected int, such as 500"),
        ("PointRobot-misc", {"dense_reward": 1}, "'dense_reward' is 1: expected bool"),
        ("Acrobot-v1", {"available_torque": [0, 1]}, r"expected shape \(3,\) of float32"),
        ("Acrobot-v1", {"available_torque": [[0], [1, 2]]}, r"expected shape \(3,\)"),
        ("DeepSea-bsuite", {"size": "big"}, "'size' is 'big': expected int, such as 8"),
        ("FrozenLake-misc", {"map_name": 8}, "'map_name' is 8: expected str"),
    ],
)
def test_bad_input(env_id, overrides, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(env_id, **overrides)
    assert "\n" not in str(caught.value)


def test_register(monkeypatch):
    monkeypatch.setattr(registry, "_FACTORIES", dict(registry._FACTORIES))

    def cartpole(gravity_is_low: bool = False):
        env, _ = make("CartPole-v1")
        env.low = gravity_is_low
        return env

    register("Mine-v0", cartpole)
    register("Mine-v1", "envs_jax.games.masked_cartpole:MaskedCartPole")
    ours = [name for name in available() if name.startswith("Mine")]  # others may have theirs
    assert ours == ["Mine-v0", "Mine-v1"]
    assert make("Mine-v0", gravity_is_low=True, gravity=1.0)[0].low
    assert make("Mine-v1")[0].name == "MaskedCartPole-v1"
    for env_id, factory in (("Mine-v0", cartpole), ("", cartpole), ("Mine-v2", "no colon")):
        with pytest.raises(ValueError, match="expected"):
            register(env_id, factory)


def test_import_is_light():
    code = (
        "import sys, envs_jax, envs_jax.spaces, envs_jax.render\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge.backends_are_initialized(), 'a backend was started'\n"
        "assert 'gymnax' not in sys.modules, 'gymnax was imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_factory_by_its_place():
    place = "envs_jax.games.masked_cartpole:MaskedCartPole"
    assert make(place, gravity=5)[1].gravity == 5.0
    assert place not in available()
    for wrong in ("envs_jax.games.nowhere:World", "envs_jax.games.masked_cartpole:World"):
        with pytest.raises(ValueError, match=f"environment '{wrong}': .*(nowhere|World)") as caught:
            make(wrong)
        assert "\n" not in str(caught.value)
