"""HAPPO, MAPPO and IPPO: what they share with PPO, and what each agent learns from."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs_jax
from envs_jax.autoreset import AutoReset
from envs_jax.spaces import ACTION_MASK, GLOBAL_STATE
from helpers import EXACT, make_probe
from rljax.algorithms import PPOConfig, TeamConfig, happo, make_happo
from rljax.algorithms.on_policy import cut
from rljax.core.errors import UserError
from rljax.data.rollout import next_values
from rljax.networks import NetworkConfig
from rljax.ops import gae
from rljax.training.build import make_algorithm
from rljax.training.config import Config, EnvConfig
from team_groups import make_group
from team_worlds import PAY

ENVS, AGENTS, LENGTH, CHUNK = 16, 3, 16, 8

# One agent is PPO.

ONE = {
    "rollout_length": LENGTH,
    "bptt_length": CHUNK,
    "epochs": 2,
    "minibatches": 2,
    "learning_rate": 1e-2,
    "schedule": "linear",
    "gamma": 0.9,
    "entropy_coefficient": 0.01,
    "value_clip": 0.2,
    "max_grad_norm": 1e9,  # PPO clips actor and critic together
}
TOWERS = {"actor": ("actor", "policy_head", "log_std"), "critic": ("critic", "value_head")}


def split(params):
    """PPO's parameters as those of a team of one."""
    parts = {
        part: {"params": {k: v for k, v in params["params"].items() if k in names}}
        for part, names in TOWERS.items()
    }
    return parts | {"actor": jax.tree.map(lambda x: x[None], parts["actor"])}


@functools.cache
def ppo(core, actions):
    probe = make_probe(
        "probe/ticking",
        ENVS,
        {"core": core, "policy_scale": 1.0},
        {"normalise_observations": core == "gru"},
        {"actions": actions},
        **ONE,
    )
    update = lambda state: probe.algorithm.update(state, probe.shards)
    return probe.init(ENVS), jax.jit(update, compiler_options=EXACT)


@pytest.mark.parametrize(
    ("core", "actions", "team"),
    [
        ("none", "continuous", {}),
        pytest.param(
            "none",
            "continuous",
            {"sequential": False, "share_parameters": True},
            marks=pytest.mark.slow,
        ),
        pytest.param("gru", "masked", {}, marks=pytest.mark.slow),
    ],
)
def test_one_agent_is_ppo(core, actions, team):
    alone, update = ppo(core, actions)
    made = make_group(
        "team/alone",
        ENVS,
        team,
        {"core": core, "policy_scale": 1.0},
        {"normalise_observations": core == "gru"},
        {"actions": actions},
        options=EXACT,
        **ONE,
    )
    state = made.init()
    start = split(alone.params)
    state = state.replace(params=start)
    for _ in range(3):
        alone, metrics = update(alone)
        state, metrics_of_team = made.update(state)
        jax.tree.map(np.testing.assert_array_equal, state.params, split(alone.params))
        for name in ("loss/policy", "loss/value", "policy/entropy", "episode/return"):
            np.testing.assert_allclose(metrics_of_team[name], metrics[name], rtol=1e-5)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), state.params, start)
    assert min(jax.tree.leaves(moved)) > 1e-3


# Rollouts: what was stored is what is seen again.

NETWORKS = {
    "none": ("none", "masked", True, {}),
    "gru": ("gru", "discrete", False, {"critic": "own", "reward": "per_agent"}),
    "lstm": (
        "lstm",
        "continuous",
        False,
        {"critic": "both", "sequential": False, "share_parameters": True},
    ),
    "gru_mean": (
        "gru",
        "continuous",
        False,
        {"sequential": False, "action_aggregation": "mean"},
    ),
}


@functools.cache
def rolled(name, updates=2):
    """A group, and of its updates (one minibatch each) what they began and ended with."""
    core, actions, rests, team = NETWORKS[name]
    made = make_group(
        "team/squad",
        ENVS,
        team,
        {"core": core, "policy_scale": 1.0},
        world_options={"actions": actions, "rests": rests},
        rollout_length=LENGTH,
        bptt_length=CHUNK,
        epochs=1,
        minibatches=1,
        learning_rate=3e-2,
        gamma=0.9,
    )
    state = made.init()
    # Have clip_fraction count |ratio - 1| > tolerance.
    tolerance = jnp.float32(1e-5 if actions == "continuous" else 1e-6)
    state = state.replace(hypers=state.hypers.replace(clip_epsilon=tolerance))
    history = []
    for _ in range(updates):
        before = state
        state, *rest = made.recorded(before)
        history.append((before, state, *rest))
    return made, history


@pytest.mark.parametrize(
    "name", ["none", "gru", "lstm", pytest.param("gru_mean", marks=pytest.mark.slow)]
)
def test_nothing_has_changed_in_the_first_minibatch(name):
    for before, after, metrics, _, batch in rolled(name)[1]:
        assert metrics["policy/clip_fraction"] == 0
        assert metrics["policy/approximate_kl"] <= 1e-10
        error = np.square(batch.critic.value - batch.critic.returns).mean() / 2
        np.testing.assert_allclose(metrics["loss/value"], error, rtol=1e-5)
        # It was a real update, over episodes that ended inside chunks.
        assert metrics["episode/count"] > ENVS * LENGTH / 5
        moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), before.params, after.params)
        assert max(jax.tree.leaves(moved)) > 1e-3


def test_forbidden_actions_are_never_taken():
    made, history = rolled("none")
    state = history[-1][1]
    for *_, rollout, _ in history:
        steps = rollout.transitions
        mask = np.asarray(steps.observation[ACTION_MASK])
        assert 0.2 < mask[..., :2].mean() < 0.8
        assert np.take_along_axis(mask, np.asarray(steps.action)[..., None], -1).all()

    seen = state.actors.observation
    for key in (None, jax.random.key(0)):
        action = made.act(state, key)
        assert np.take_along_axis(np.asarray(seen[ACTION_MASK]), action[..., None], -1).all()
        # Nobody acts on the global state.
        blind = {GLOBAL_STATE: jnp.full_like(seen[GLOBAL_STATE], jnp.nan)}
        np.testing.assert_array_equal(made.act(state, key, **blind), action)


# Whose reward the critic learns from.


ROUTES = [
    *(("none", reward) for reward in ("mean", "sum", "agent0")),
    *(("gru", reward) for reward in ("mean", "sum", "agent0", "per_agent")),
]
CUT_OFF = {"harl_truncation": True}


@functools.cache
def prepared(name):
    """A rollout, and by reward (and "harl") what is made of it: batch, values, returns."""
    made, history = rolled(name)
    state, *_, rollout, _ = history[0]
    core, _, _, team = NETWORKS[name]
    network = NetworkConfig(core=core, hidden_sizes=(8,), core_size=8)
    sizes = cut(PPOConfig(rollout_length=LENGTH, bptt_length=CHUNK), network, ENVS, 1)
    options = {reward: team | {"reward": reward} for route, reward in ROUTES if route == name}
    options["harl"] = team | CUT_OFF

    @jax.jit
    def prepare(*parts):
        return {
            name: happo._prepare(state, made.team, TeamConfig(**chosen), sizes, ENVS, *parts)
            for name, chosen in options.items()
        }

    parts = (rollout, rollout.transitions.reward, state.actors.env_id)
    return jax.tree.map(np.asarray, (rollout, prepare(*parts)))


@pytest.mark.parametrize(("name", "reward"), ROUTES)
def test_rewards_reach_the_critic_as_named(name, reward):
    rollout, made = prepared(name)
    batch, values, returns = made[reward]
    steps = rollout.transitions
    first, *others = np.moveaxis(steps.reward, -1, 0)
    team = {"mean": (first + sum(others)) / AGENTS, "sum": first + sum(others), "agent0": first}

    def each(x, agent):
        return x if x.ndim == 2 else x[..., agent]

    for agent in range(AGENTS):
        advantage, target = jax.jit(gae)(
            steps.reward[..., agent] if reward == "per_agent" else team[reward],
            each(steps.value, agent),
            each(np.asarray(next_values(rollout)), agent),
            steps.terminated,
            steps.truncated,
            0.9,
            0.95,
        )
        np.testing.assert_allclose(each(returns, agent), target, atol=1e-5)
        np.testing.assert_array_equal(values, steps.value)
        items = batch.actors.advantage[agent]  # chunk by chunk, environment by environment
        chunks = np.asarray(advantage).reshape(-1, items.shape[-1], ENVS)
        np.testing.assert_allclose(items, chunks.swapaxes(1, 2).reshape(items.shape), atol=1e-5)


@pytest.mark.parametrize("name", ["none", "gru"])
def test_truncation_as_in_harl(name):
    rollout, made = prepared(name)
    _, values, returns = made["harl"]
    usual = made[NETWORKS[name][3].get("reward", "mean")][2]
    steps = rollout.transitions
    cut_off = steps.truncated & ~steps.terminated
    assert cut_off.any() and (steps.truncated & steps.terminated).any()
    np.testing.assert_allclose(returns[cut_off], values[cut_off], rtol=1e-6)
    assert (np.abs(usual - values)[cut_off] > 1e-3).mean() > 0.9
    # Episodes behind the last cut are what they are without.
    behind = np.cumsum(cut_off[::-1], 0)[::-1] == 0
    np.testing.assert_allclose(returns[behind], usual[behind], rtol=1e-6)
    assert behind.any()


# A world that is broken for a while.


@pytest.mark.parametrize("value_norm", [False, True])
def test_a_world_that_is_not_finite_for_a_while(value_norm):
    made = make_group(
        "team/wages",
        ENVS,
        {"value_norm": value_norm},
        rollout_length=8,
        epochs=1,
        minibatches=2,
    )
    working = made.init().curriculum
    state, metrics = made.update(made.init())
    assert metrics["update/skipped"] == 0
    learnt = jax.tree.map(np.asarray, (state.params, state.opt_state, state.value_norm))
    broken = working.replace(pay=(jnp.full_like(working.pay[0], jnp.nan), working.pay[1]))
    state, metrics = made.update(state.replace(curriculum=broken))
    assert metrics["update/skipped"] == state.skipped == 3 * 2  # two actors and a critic
    kept = (state.params, state.opt_state, state.value_norm)
    jax.tree.map(np.testing.assert_array_equal, kept, learnt)
    state, metrics = made.update(state.replace(curriculum=working))
    assert metrics["update/skipped"] == 0 and metrics["episode/return"] == np.mean(PAY)


# What cannot be.


def make(world="team/squad", network=None, team=None, **config):
    return make_group(world, 8, team, network, rollout_length=8, **config)


def test_a_world_of_one_agent():
    world, params = envs_jax.make("probe/ticking")
    env = AutoReset(world)
    message = r"^Ticking has one agent and no num_agents: expected several$"
    with pytest.raises(UserError, match=message):
        options = {"num_envs": 8, "total_updates": 1}
        make_happo(env, params, NetworkConfig(), PPOConfig(), TeamConfig(), **options)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("action_aggregation mean: Squad.* discrete", {"team": {"action_aggregation": "mean"}}),
        ("separate_value False: .*critic", {"network": {"separate_value": False}}),
        (
            "critic_minibatches 3 and ppo.minibatches 2: .*multiple",
            {"team": {"critic_minibatches": 3}, "minibatches": 2},
        ),
        ("num_envs 8 .* into 3 minibatches", {"minibatches": 3, "network": {"core": "gru"}}),
        (
            "num_envs 8 .* into 16 minibatches",
            {"team": {"critic_minibatches": 16}, "minibatches": 2, "network": {"core": "gru"}},
        ),
        (
            "rollout_length 8 is not a multiple of ppo.bptt_length 3.*: 6 or 9",
            {"bptt_length": 3, "network": {"core": "gru"}},
        ),
        ("reward per_agent .* own or both, not global", {"team": {"reward": "per_agent"}}),
        ("reward.*'team'", {"team": {"reward": "team"}}),
        (
            "normalise_observations with team.share_parameters: .* expected either",
            {"team": {"share_parameters": True}, "env": {"normalise_observations": True}},
        ),
    ],
)
def test_bad_options_are_told_in_one_line(message, options):
    with pytest.raises(UserError, match=message) as caught:
        make(**options)
    assert "\n" not in str(caught.value)


def test_rewards_of_teams_are_not_normalised():
    config = Config(env=EnvConfig(name="team/squad", normalise_rewards=True))
    with pytest.raises(UserError, match=r"^env.normalise_rewards: team/squad .*team.value_norm"):
        make_algorithm(config)


def test_passes_of_the_critic_are_its_own():
    group = make(team={"critic_epochs": 3, "critic_minibatches": 4}, epochs=1, minibatches=2)
    assert (group.algorithm.steps_per_update, group.algorithm.blocks) == (64, 8)
