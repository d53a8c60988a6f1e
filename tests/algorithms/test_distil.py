"""Distillation where the right action is known: the teacher is told it, the student has to recall.

What a student remembers must be its own, what its teacher remembers the teacher's, and both must be
forgotten where episodes end.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import envs_jax
import probe_envs  # noqa: F401  (registers the probes)
from envs_jax.autoreset import AutoReset
from rljax.algorithms import Algorithm, DistilConfig, PPOConfig, Teacher, make_distil
from rljax.algorithms.distil_config import TeacherRecord
from rljax.core.errors import UserError
from rljax.core.mesh import Shards
from rljax.core.types import PolicyState
from rljax.data.rollout import collect
from rljax.evaluation.rollouts import make_evaluation
from rljax.networks import ActorCritic, NetworkConfig, Pair, make_network
from rljax.networks.pair import Acting
from rljax.ops import Moments
from rljax.training.program import Program

ENVS, LENGTH, CHUNK = 16, 12, 4
RATE, EPSILON = 0.1, 1.0
WORLD, PARAMS = envs_jax.make("probe/recall")
ENV = AutoReset(WORLD, "bank", 4)
SPACE = WORLD.action_space(PARAMS)
PLAIN = NetworkConfig(hidden_sizes=(), inputs=("answer",), initial_std=0.1)
RECURRENT = NetworkConfig(hidden_sizes=(8,), core="gru", core_size=8, policy_scale=1.0)
STUDENT = {"hidden_sizes": (16,), "core_size": 16, "inputs": ("glimpse",), "policy_scale": 1.0}


def make_teacher(config: NetworkConfig = PLAIN, moments: Moments | None = None) -> Teacher:
    """A teacher with random parameters; PLAIN repeats what it is told."""
    network = make_network(SPACE, config)
    shape = jax.ShapeDtypeStruct((1,), jnp.float32)
    observation = {"answer": shape, "glimpse": shape}
    seen = jax.tree.map(lambda s: jnp.zeros((1, 1, *s.shape)), observation)
    reset = jnp.zeros((1, 1), bool)
    params = network.init(jax.random.key(7), network.initial_carry(1), seen, reset)
    if config == PLAIN:
        params["params"]["policy_head"]["kernel"] = jnp.ones((1, 1))
    record = TeacherRecord(run="made up", env_steps=0, member=0, sha256="", network=config)
    return Teacher(record, network.head, PolicyState(params, moments), observation)


@dataclass
class Made:
    """Distillation and what it was made of."""

    algorithm: Algorithm
    student: ActorCritic
    teacher: Teacher

    def init(self) -> Any:
        init = jax.jit(self.algorithm.init)
        return init(jax.random.key(0), jnp.arange(ENVS))

    @functools.cached_property
    def update(self) -> Any:
        shards = Shards(blocks=self.algorithm.blocks)
        return jax.jit(lambda s: self.algorithm.update(s, shards))


def make(
    network: dict[str, Any],
    options: dict[str, Any] | None = None,
    teacher: Teacher | None = None,
    normalise: bool = False,
    **config: Any,
) -> Made:
    """Distillation on `Recall`."""
    student, teacher = NetworkConfig(**{**STUDENT, **network}), teacher or make_teacher()
    ppo = {"rollout_length": LENGTH, "bptt_length": CHUNK, "epochs": 1, "minibatches": 1, **config}
    algorithm = make_distil(
        ENV,
        PARAMS,
        student,
        PPOConfig(**ppo),
        DistilConfig(teacher="made up", **(options or {})),
        teacher,
        num_envs=ENVS,
        total_updates=100,
        normalise_observations=normalise,
    )
    return Made(algorithm, make_network(SPACE, student), teacher)


def mean_return(algorithm: Algorithm, state: Any) -> float:
    """Of the student by itself."""
    play = make_evaluation(algorithm, ENV, PARAMS, 256)
    return float(play(algorithm.policy(state), 1).total.mean())


@pytest.mark.parametrize(("core", "low", "high"), [("gru", -0.02, 0.0), ("none", -1.0, -0.5)])
def test_a_student_needs_memory_for_what_its_teacher_sees(core, low, high):
    """Without it, all but the first of up to five steps cost 1/4 each."""
    made = make({"core": core}, normalise=True, epochs=4, minibatches=2, learning_rate=1e-2)
    state = made.init()
    for _ in range(60):
        state, metrics = made.update(state)
    assert low <= mean_return(made.algorithm, state) <= high
    assert metrics["update/skipped"] == 0 and "loss/value" not in metrics
    reached = metrics["distil/error"]
    assert reached < 0.01 if core == "gru" else reached > 0.1


class Gathered(NamedTuple):
    """A rollout of a pair, and what it was gathered by."""

    made: Made
    before: Any
    after: Any
    metrics: Any
    rollout: Any


def gathered(updates: int = 1, **options: Any) -> list[Gathered]:
    """Rollouts of the first updates, gathered beside the algorithm that learns from them."""
    made = make(**options)
    policy = made.teacher.policy
    assert policy is not None
    teacher = ActorCritic(made.teacher.record.network, made.student.head)
    given = options.get("options") or {}
    critic, over = given.get("critic", False), given.get("teacher_updates", 0)
    names = teacher.config.inputs or ("answer", "glimpse")
    pair = Pair(made.student, teacher, _only(policy, names), names, critic, True)

    @jax.jit
    def again(state):
        key = jax.random.fold_in(jax.random.fold_in(state.key, state.updates), 0)
        share = jnp.maximum(1 - state.updates / over, 0) if over else None
        acting = Acting(PolicyState(state.params, state.observation_moments), share)
        return collect(ENV, pair, acting, None, PARAMS, state.actors, key, LENGTH, CHUNK)[1]

    state, results = made.init(), []
    for _ in range(updates):
        after, metrics = made.update(state)
        results.append(Gathered(made, state, after, metrics, again(state)))
        state = after
    return results


def _only(policy, names):
    moments = policy.observation_moments
    if moments is None:
        return policy
    kept = [{n: tree[n] for n in names} for tree in (moments.mean, moments.variance)]
    return policy.replace(observation_moments=Moments(*kept, moments.count))


def test_a_teacher_remembers_its_own_and_forgets_where_episodes_end():
    moments = Moments(
        {"answer": jnp.array([0.3]), "glimpse": jnp.array([-0.2])},
        {"answer": jnp.array([4.0]), "glimpse": jnp.array([0.25])},
        jnp.array([0.0, 9.0]),
    )
    teacher = make_teacher(RECURRENT, moments)
    network = make_network(SPACE, RECURRENT)
    act = jax.jit(functools.partial(network.apply, method="act"))
    hidden, ended = np.zeros((ENVS, 8), np.float32), 0
    for each in gathered(2, network={"core": "lstm"}, teacher=teacher, normalise=True):
        steps = each.rollout.transitions
        for t in range(LENGTH):
            hidden = np.where(np.asarray(steps.reset[t])[:, None], 0, hidden)
            ended += steps.reset[t].sum()
            seen = {
                name: (steps.observation[name][t] - moments.mean[name])
                / np.sqrt(moments.variance[name])
                for name in ("answer", "glimpse")
            }
            seen = jax.tree.map(lambda x: x[None], seen)
            nowhere = jnp.zeros((1, ENVS), bool)
            carry, distribution = act(teacher.policy.params, {"actor": hidden}, seen, nowhere)
            hidden = np.asarray(carry["actor"])
            expected = distribution.mode()[0]
            np.testing.assert_allclose(steps.action.taught[t], expected, atol=1e-5)
        np.testing.assert_allclose(each.after.actors.carry["teacher"]["actor"], hidden, atol=1e-5)
    assert ended > 3 * ENVS and expected.std() > 0.01, "the test could not fail"


@functools.cache
def first(loss: str = "error", critic: bool = False) -> Gathered:
    """The first update, with so large an epsilon that Adam's step is smooth in the gradient."""
    return gathered(
        1,
        network={"core": "gru", "initial_std": 0.5},
        options={"loss": loss, "critic": critic},
        learning_rate=RATE,
        adam_epsilon=EPSILON,
        max_grad_norm=1e9,
    )[0]


@pytest.mark.parametrize("loss", ["error", "likelihood"])
def test_the_first_step_is_down_the_gradient_of_episodes_played_one_by_one(loss):
    """Backpropagation goes to a chunk's start, from a carry that is data, and not past an end."""
    each = first(loss)
    steps, student = each.rollout.transitions, each.made.student
    carries = each.rollout.carries["student"]["actor"]
    assert steps.reset[1:].sum() > ENVS and any(t % CHUNK for t in np.nonzero(steps.reset)[0])

    def total(params):
        losses = []
        for t in range(LENGTH):
            if t % CHUNK == 0:
                hidden = carries[t // CHUNK]
            hidden = jnp.where(steps.reset[t][:, None], 0.0, hidden)
            seen = {"glimpse": steps.observation["glimpse"][t][None]}
            nowhere = jnp.zeros((1, ENVS), bool)
            carry, now = student.apply(params, {"actor": hidden}, seen, nowhere, method="act")
            hidden, taught = carry["actor"], steps.observation["answer"][t]
            if loss == "error":
                losses.append(jnp.square(now.mean[0] - taught).mean())
            else:
                losses.append(-now.log_prob(taught[None]).mean())
        return jnp.mean(jnp.stack(losses))

    differentiate = jax.jit(jax.value_and_grad(total))
    value, gradient = differentiate(each.before.params)
    flat = ravel_pytree(gradient)[0]
    np.testing.assert_allclose(each.metrics["loss/total"], value, rtol=1e-5)
    np.testing.assert_allclose(each.metrics["update/grad_norm"], jnp.linalg.norm(flat), rtol=1e-4)
    step = jax.tree.map(lambda g: -RATE * g / (jnp.abs(g) + EPSILON), gradient)
    moved = jax.tree.map(lambda a, b: a - b, each.after.params, each.before.params)
    chex.assert_trees_all_close(moved, step, atol=1e-5)
    assert jnp.abs(moved["params"]["actor"]["Core_0"]["recurrent"]).max() > 1e-5
    learns_std = jnp.abs(moved["params"]["log_std"]).max() > 0
    assert learns_std == (loss == "likelihood")


def test_a_critic_learns_if_asked_to():
    without, valued = first(), first(critic=True)
    for each, moves in ((without, False), (valued, True)):
        moved = jax.tree.map(
            lambda a, b: jnp.abs(a - b).max(), each.before.params, each.after.params
        )["params"]
        assert max(jax.tree.leaves(moved["actor"])) > 0
        assert (max(jax.tree.leaves([moved["critic"], moved["value_head"]])) > 0) == moves
    np.testing.assert_allclose(
        without.metrics["distil/error"], valued.metrics["distil/error"], rtol=1e-5
    )
    assert "value/explained_variance" in valued.metrics
    assert valued.rollout.transitions.value.std() > 0


def test_the_teachers_share_of_steps_falls():
    rollouts = gathered(
        3, network={"core": "gru"}, options={"teacher_updates": 2}, teacher=make_teacher(RECURRENT)
    )
    shares = []
    for each in rollouts:
        action = each.rollout.transitions.action
        shares.append(float((action.taken == action.taught).mean()))
    assert [float(each.metrics["distil/teacher_share"]) for each in rollouts] == [1, 0.5, 0]
    assert shares[0] == 1 and 0.35 < shares[1] < 0.65 and shares[2] == 0


def test_the_same_on_one_device_and_on_eight():
    made = make(
        {"core": "gru"},
        {"teacher_updates": 3, "critic": True},
        make_teacher(RECURRENT),
        normalise=True,
        minibatches=2,
        epochs=2,
        learning_rate=1e-2,
    )
    states, rows = [], []
    for devices in (1, 8):
        program = Program(made.algorithm, ENVS, jax.devices()[:devices])
        state, metrics = program.chunk(program.init(), 2)
        states.append(jax.tree.map(np.asarray, state.replace(key=())))
        rows.append(np.asarray(metrics)[:, :2])
    np.testing.assert_allclose(*rows, atol=1e-3, rtol=1e-3)
    chex.assert_trees_all_close(*states, atol=2e-4, rtol=1e-4)


def told_by(network: dict[str, Any] | None = None, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        make(network or {}, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_teacher_that_does_not_fit():
    fits = make_teacher(NetworkConfig(hidden_sizes=()))
    assert fits.head is not None

    def but(**changes: Any) -> Teacher:
        return Teacher(fits.record, fits.head, fits.policy, {**fits.observation, **changes})

    wide = jax.ShapeDtypeStruct((3,), jnp.float32)
    assert "sees the part 'glimpsed', the world has only answer, glimpse. Did you mean" in told_by(
        teacher=but(glimpsed=wide)
    )
    assert "'glimpse' has shape (3,), the world's (1,)" in told_by(teacher=but(glimpse=wide))
    assert "distribution of its actions is gaussian, of the student's beta" in told_by(
        {"distribution": "beta"}, teacher=fits
    )
    assert "scale_actions of its actions is True, of the student's False" in told_by(
        {"scale_actions": False}, teacher=fits
    )
    large = make_network(envs_jax.make("Pendulum-v1")[0].action_space(None), PLAIN).head
    other = Teacher(fits.record, large, fits.policy, fits.observation)
    assert "low of its actions is (-2.0,), of the student's (-1.0,)" in told_by(teacher=other)
    assert "target_kl: distillation follows no KL" in told_by(target_kl=0.1)
    assert "schedule adaptive_kl" in told_by(schedule="adaptive_kl", epochs=2)
