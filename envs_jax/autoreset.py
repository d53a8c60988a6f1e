"""Batched stepping with automatic resets, for use inside ``jit``, ``scan`` and ``shard_map``.

Two ways to come by the start state of the next episode:

* ``full``: a fresh reset is computed in every step, as gymnax's own ``step`` does, bit for bit.
  Right where a reset is cheap.
  A world may have a method ``restart_env(key, state, params) -> (observation, state)``, which is
  then called instead: the reset after an episode whose last state is `state`, of which the next one
  may keep something.
* ``bank``: each environment owns ``bank_size`` start states, made in bulk once per rollout, and
  its r-th reset takes the r-th of them (modulo the size). The step itself then draws no randomness
  but the world's own. Right where a reset is dear: a ``cond`` around it would not help, because
  under ``vmap`` both branches run.
"""

from typing import Any, Literal, NamedTuple, get_args

import chex
import jax
import jax.numpy as jnp

from envs_jax.words import check_word

__all__ = ["AutoReset", "AutoResetState", "Start", "Step", "aged", "restart"]

Mode = Literal["full", "bank"]

# Far from the small numbers that `split` counts with, so that the phase shares no stream with
# whatever the world derives from the same key.
_PHASE = 0x70686173


class AutoResetState(NamedTuple):
    """State of a batch of environments.

    Attributes:
        world: the worlds' own states, leaves ``[B, ...]``.
        cursor: int32 ``[B]``, the bank entry that the next reset takes; None in mode ``full``.
    """

    world: chex.ArrayTree
    cursor: jax.Array | None


class Start(NamedTuple):
    """Start states: a bank has leaves ``[bank_size, B, ...]``."""

    observation: chex.ArrayTree
    world: chex.ArrayTree


class Step(NamedTuple):
    """What a step of B environments gives.

    Attributes:
        observation: ``[B, ...]`` to act on next: an episode's first where the step ended one.
        final_observation: ``[B, ...]`` that the action led to, before any reset: bootstrap on it.
        reward: float32 ``[B]`` (``[B, num_agents]`` in a multi-agent world).
        terminated: bool ``[B]``, the world ended the episode.
        truncated: bool ``[B]``, the time limit did. Both may be true.
        success: bool ``[B]``, valid where the episode ended; None for worlds without the notion.
        stage, group: int32 ``[B]``, of the episode that was stepped (:mod:`envs_jax.stages`); None
            for worlds without.
        metrics: by name, float32 ``[B]``, what else the world tells of the step; None for nothing.
    """

    observation: chex.ArrayTree
    final_observation: chex.ArrayTree
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    success: jax.Array | None
    stage: jax.Array | None = None
    group: jax.Array | None = None
    metrics: dict[str, jax.Array] | None = None


class AutoReset:
    """A batch of one world, reset automatically.

    Leaves keep dtype, shape and (strong) type from `init` through every `step`, so that a state
    can be a scan's carry. A scalar ``Discrete(n)`` observation becomes a one-hot float32 ``[n]``;
    all others keep the dtype that the world gives them. A multi-agent world's observation has the
    global state beside what each agent sees (:mod:`envs_jax.central`). Environment b depends on its
    own key only, hence not on how a batch is split over devices.

    Args:
        env: an environment with gymnax 1.0's interface.
        mode: ``full`` or ``bank``, see the module.
        bank_size: start states per environment in mode ``bank``. More resets of one environment
            within a rollout than this meet the same start states again.

    Raises:
        ValueError: for an unknown mode, a `bank_size` below 1, an `env` that lacks a method, or one
            with ``restart_env`` in mode ``bank``.
    """

    def __init__(self, env: Any, mode: Mode = "full", bank_size: int = 4) -> None:
        from gymnax.environments import spaces

        check_word("reset mode", mode, get_args(Mode))
        if isinstance(bank_size, bool) or not isinstance(bank_size, int) or bank_size < 1:
            raise ValueError(f"bank_size {bank_size!r}: expected a whole number, nearest is 1")
        hooks = ("default_params", "step", "step_env", "reset_env", "is_truncated")
        missing = [hook for hook in hooks if not hasattr(env, hook)]
        if missing:
            raise ValueError(
                f"{type(env).__name__} has no {', '.join(missing)}: expected an environment with "
                "gymnax 1.0's interface (envs_jax.base.Environment)"
            )
        self._restarts = hasattr(env, "restart_env")
        if self._restarts and mode == "bank":
            raise ValueError(
                f"reset mode 'bank': in {env.name} an episode depends on the one before it "
                "(restart_env), so its start cannot be made beforehand; expected 'full'"
            )
        self.num_agents: int | None = getattr(env, "num_agents", None)
        if self.num_agents is not None:
            from envs_jax.central import WithGlobalState

            env = env if isinstance(env, WithGlobalState) else WithGlobalState(env)
        self.env, self.mode, self.bank_size = env, mode, bank_size
        observation_space = env.observation_space(env.default_params)
        scalar = isinstance(observation_space, spaces.Discrete)
        self._categories: int | None = observation_space.n if scalar else None
        self._action_dtype = getattr(env.action_space(env.default_params), "dtype", None)

    def action_space(self, params: Any) -> Any:
        """Action space of one environment (of one agent)."""
        return self.env.action_space(params)

    def sample_actions(self, keys: jax.Array, params: Any) -> jax.Array:
        """Random actions ``[B, ...]`` (``[B, num_agents, ...]``) for keys ``[B]``."""
        sample = self.action_space(params).sample
        if self.num_agents is not None:
            one, agents = sample, self.num_agents
            sample = lambda key: jax.vmap(one)(jax.random.split(key, agents))  # noqa: E731
        actions: jax.Array = jax.vmap(sample)(keys)
        return actions

    def observation_space(self, params: Any) -> Any:
        """Observation space of one environment (of one agent), after conversion."""
        from gymnax.environments import spaces

        if self._categories is None:
            return self.env.observation_space(params)
        return spaces.Box(0.0, 1.0, (self._categories,), jnp.float32)

    def init(
        self, keys: jax.Array, params: Any, random_phase: bool = False
    ) -> tuple[AutoResetState, chex.ArrayTree]:
        """Start a batch of episodes.

        Args:
            keys: PRNG keys ``[B]``, one per environment.
            params: the world's parameters, shared by the batch.
            random_phase: give each environment a uniform age in ``[0, max_steps_in_episode)``, so
                that time limits do not strike all of them at once. Not for worlds in which time
                is more than a limit (MemoryChain).

        Returns:
            The state and the first observation, leaves ``[B, ...]``.

        Raises:
            ValueError: for `random_phase` in a world without ``state.time`` or
                ``params.max_steps_in_episode``.
        """
        start = jax.vmap(self._start, in_axes=(0, None))(keys, params)
        if random_phase:
            start = jax.vmap(self._age, in_axes=(0, 0, None))(keys, start, params)
        cursor = None if self.mode == "full" else jnp.zeros(keys.shape[0], jnp.int32)
        return AutoResetState(_strong(start.world), cursor), _strong(start.observation)

    def make_bank(self, keys: jax.Array, params: Any) -> Start | None:
        """Fresh start states for one rollout: call it before each, and hand it to every `step`.

        Args:
            keys: PRNG keys ``[B]``, one per environment.
            params: the world's parameters.

        Returns:
            Start states, leaves ``[bank_size, B, ...]``; None in mode ``full``.
        """
        if self.mode == "full":
            return None
        keys = jax.vmap(lambda key: jax.random.split(key, self.bank_size), out_axes=1)(keys)
        batch = jax.vmap(self._start, in_axes=(0, None))
        starts = jax.vmap(batch, in_axes=(0, None))(keys, params)
        return Start(_strong(starts.observation), _strong(starts.world))

    def step(
        self,
        keys: jax.Array,
        state: AutoResetState,
        action: chex.ArrayTree,
        params: Any,
        bank: Start | None = None,
    ) -> tuple[AutoResetState, Step]:
        """Step every environment once and reset those whose episode ended.

        Args:
            keys: PRNG keys ``[B]``.
            state: from `init` or the previous step.
            action: ``[B, ...]``, cast to the dtype of the action space.
            params: the world's parameters.
            bank: from `make_bank`; needed in mode ``bank`` only.

        Raises:
            ValueError: for a missing bank in mode ``bank``.
        """
        if self._action_dtype is not None:
            action = jnp.asarray(action).astype(self._action_dtype)
        if self.mode == "bank" and bank is None:
            raise ValueError("no bank given: reset mode 'bank' expects the result of make_bank")
        world, step = jax.vmap(self._step, in_axes=(0, 0, 0, None, 1, 0))(
            keys, state.world, action, params, bank, state.cursor
        )
        cursor = state.cursor
        if cursor is not None:
            done = step.terminated | step.truncated
            cursor = jnp.where(done, (cursor + 1) % self.bank_size, cursor)
        return AutoResetState(_strong(world), cursor), _strong(step)

    def told(self, params: Any) -> Step:
        """What one environment's step tells: shapes and dtypes, without computing anything."""

        def once(key: jax.Array) -> Step:
            keys = key[None]
            state, _ = self.init(keys, params)
            action = self.sample_actions(keys, params)
            return self.step(keys, state, action, params, self.make_bank(keys, params))[1]

        shapes: Step = jax.eval_shape(once, jax.eval_shape(lambda: jax.random.key(0)))
        return shapes

    # What follows is about one environment; the methods above map it over the batch.

    def _start(self, key: jax.Array, params: Any) -> Start:
        observation, world = self.env.reset_env(key, params)
        return Start(self._convert(observation), world)

    def _age(self, key: jax.Array, start: Start, params: Any) -> Start:
        key, observe_key = jax.random.split(jax.random.fold_in(key, _PHASE))
        world = aged(self.env, key, start.world, params)
        observation = self.env.observe(observe_key, world, None, params)  # time may be seen
        return Start(self._convert(observation), world)

    def _step(
        self,
        key: jax.Array,
        world: Any,
        action: Any,
        params: Any,
        bank: Start | None,
        cursor: jax.Array | None,
    ) -> tuple[Any, Step]:
        if self.mode == "full" and not self._restarts:
            # By the world's own `step`, for one of gymnax's has a special one.
            observation, world, reward, terminated, truncated, info = self.env.step(
                key, world, action, params
            )
            final_observation = self._convert(info["final_observation"])
            following = Start(self._convert(observation), world)
        else:
            key, restart_key = jax.random.split(key) if self._restarts else (key, None)
            final_observation, world, reward, terminated, info = self.env.step_env(
                key, world, action, params
            )
            truncated = self.env.is_truncated(world, params)
            final_observation = self._convert(final_observation)
            if self._restarts:
                observation, fresh = self.env.restart_env(restart_key, world, params)
                start = Start(self._convert(observation), fresh)
            else:
                start = jax.tree.map(lambda entries: entries[cursor], bank)
            done = jnp.logical_or(terminated, truncated)
            following = jax.tree.map(
                lambda new, going_on: jax.lax.select(done, new, going_on),
                start,
                Start(final_observation, world),
            )
        success, stage, group = (info.get(name) for name in ("success", "stage", "group"))
        metrics = info.get("metrics")
        step = Step(
            observation=following.observation,
            final_observation=final_observation,
            reward=jnp.asarray(reward).astype(jnp.float32),
            terminated=jnp.asarray(terminated).astype(jnp.bool),
            truncated=jnp.asarray(truncated).astype(jnp.bool),
            success=None if success is None else jnp.asarray(success).astype(jnp.bool),
            stage=None if stage is None else jnp.asarray(stage).astype(jnp.int32),
            group=None if group is None else jnp.asarray(group).astype(jnp.int32),
            metrics=None
            if metrics is None
            else {name: jnp.asarray(x).astype(jnp.float32) for name, x in metrics.items()},
        )
        return following.world, step

    def _convert(self, observation: Any) -> Any:
        if self._categories is None:
            return observation
        one_hot: jax.Array = jax.nn.one_hot(observation, self._categories, dtype=jnp.float32)
        return one_hot


def restart(env: Any, key: jax.Array, state: Any, params: Any) -> tuple[Any, Any]:
    """Observation and state that follow an episode whose last state is `state`.

    By the environment's ``restart_env``; by a plain reset, if it has none.
    """
    known = hasattr(env, "restart_env")
    start = env.restart_env(key, state, params) if known else env.reset_env(key, params)
    observation, world = start
    return observation, world


def aged(env: Any, key: jax.Array, state: Any, params: Any) -> Any:
    """The state of a fresh episode at a uniform age in ``[0, max_steps_in_episode)``.

    An environment that wraps another, so that its state or params have no such fields, has a method
    ``aged(key, state, params)`` that says what this means for it.

    Raises:
        ValueError: for a world without ``state.time`` or ``params.max_steps_in_episode``.
    """
    if hasattr(env, "aged"):
        return env.aged(key, state, params)
    if not (hasattr(state, "time") and hasattr(params, "max_steps_in_episode")):
        raise ValueError(
            f"random_phase: {env.name} has no state.time or no "
            "params.max_steps_in_episode: expected both, or random_phase=False"
        )
    limit = jnp.asarray(params.max_steps_in_episode).astype(jnp.int32)
    age = jax.random.randint(key, (), 0, limit).astype(jnp.result_type(state.time))
    return state.replace(time=age)


def _strong(tree: Any) -> Any:
    """Arrays without weak types: gymnax's resets and steps differ in them; jit would retrace."""

    def convert(leaf: Any) -> jax.Array:
        leaf = jnp.asarray(leaf)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        return jax.lax.convert_element_type(leaf, leaf.dtype)

    return jax.tree.map(convert, tree)
