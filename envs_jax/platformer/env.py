"""The platformer as an environment: levels, what is seen of them, rewards."""

import functools
from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax import spaces
from envs_jax.base import Environment, EnvParams, EnvState
from envs_jax.platformer.actions import ACTIONS, HORIZONTAL, JUMP
from envs_jax.platformer.course import Course, load_course
from envs_jax.platformer.levels import Levels
from envs_jax.platformer.mirror import mirror_action, mirror_seen
from envs_jax.platformer.observation import MINES, action_mask, minimal
from envs_jax.platformer.paths import Guidance, Paths, guidance
from envs_jax.platformer.physics import Precision, start, tick
from envs_jax.platformer.reward import has_died, has_won, potential, reward_terms
from envs_jax.platformer.state import World
from envs_jax.stages import draw
from envs_jax.words import check_word

__all__ = ["Platformer", "PlatformerParams", "PlatformerState"]

Observation = Literal["minimal", "tiles", "graph", "pixels"]


@struct.dataclass(kw_only=True)
class PlatformerParams(EnvParams):
    """Levels, time limit and reward scales; all traced.

    Attributes:
        max_steps_in_episode: steps of `frame_skip` frames.
        bank: levels.
        paths: of the bank.
        group_first: int32 ``[G]``, the first level of each group; a group is what one generator
            gives to one category.
        group_size: int32 ``[G]``.
        group_probabilities: float32 ``[G]``, how likely a reset is to take its level from each.
        win_scale: reward for the exit.
        death_scale: what death costs.
        time_scale: what a step costs.
        progress_scale: of the potential that grows along the path, see
            :func:`~envs_jax.platformer.reward.potential`.
        shaping_discount: should be the discount that is trained with.
    """

    max_steps_in_episode: int = 500
    bank: Levels
    paths: Paths
    group_first: jax.Array
    group_size: jax.Array
    group_probabilities: jax.Array
    win_scale: float = 2.0
    death_scale: float = 0.5
    time_scale: float = 0.001
    progress_scale: float = 1.0
    shaping_discount: float = 0.995


@struct.dataclass
class PlatformerState(EnvState):
    """One level under way.

    Attributes:
        time: int32, steps since the start.
        level: int32, index into the bank.
        group: int32, which group the level is of.
        world: ninja and entities.
        potential: float32, see :func:`~envs_jax.platformer.reward.potential`.
        mirrored: bool, whether left and right are exchanged in what is seen of this state, and in
            the action that is chosen in it.
    """

    time: jax.Array
    level: jax.Array
    group: jax.Array
    world: World
    potential: jax.Array
    mirrored: jax.Array


class Platformer(Environment[PlatformerState, PlatformerParams]):
    """An N++-style game, registered as ``Platformer-v1``: touch the switch, then the exit.

    One of six actions (none, left, right, jump, jump left, jump right) is held for `frame_skip`
    frames of 1/60 s. The reward is the sum of
    :func:`~envs_jax.platformer.reward.reward_terms`. An episode ends when the ninja wins
    (success), dies of a mine or an impact, or, truncated, after ``max_steps_in_episode`` steps.

    Args:
        levels: a bank: "starter" or "large", which come with the package, the name of another
            standard suite, or the path of a bank file; or a course made of maps of one's own.
        category: what levels are played: "all", one category, or several joined by "+". Groups of
            the chosen ones are equally likely. All levels stay in the bank.
        observation: "minimal", float32 ``[34 + 4 * mines]``; or a dict of that, "vector", and of
            "tiles" ``[11, 11, 10]``, "nodes" ``[966, 14]`` and "edges" ``[966, 9, 2]``, or "player"
            ``[84, 84, 1]`` and "level" ``[100, 176, 1]``; see docs/platformer.md.
        frame_skip: frames of a step.
        precision: of the physics.
        masked: whether actions that would be pointless are masked; the observation is then a dict
            with the reserved part "action_mask", and "minimal" is its part "vector".
        mirrored: whether left and right are exchanged, in observation and action, wherever the way
            ahead (the farther way point) is to the left: then there are only ways to the right.
        mines: how many of the nearest mines "minimal" tells of; 4 numbers each.

    Raises:
        ValueError: for an unknown name, a number below 1, or a bank file that cannot be read.
    """

    def __init__(
        self,
        levels: str | Course = "starter",
        category: str = "all",
        observation: Observation = "minimal",
        frame_skip: int = 4,
        precision: Precision = "fast",
        masked: bool = True,
        mirrored: bool = False,
        mines: int = MINES,
    ) -> None:
        super().__init__()
        check_word("observation", observation, get_args(Observation))
        check_word("precision", precision, get_args(Precision))
        for word, number in (("frame_skip", frame_skip), ("mines", mines)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ValueError(f"{word} {number!r}: expected a whole number, nearest is 1")
        self.course = levels if isinstance(levels, Course) else load_course(levels)
        self._chosen = self.course.choose(category)
        self.observation, self.precision = observation, precision
        self.frame_skip, self.masked = frame_skip, masked
        self.mirrored, self.mines = mirrored, mines

    @property
    def name(self) -> str:
        """The registered id."""
        return "Platformer-v1"

    @functools.cached_property
    def default_params(self) -> PlatformerParams:
        """The bank, and each group of the chosen categories as likely as the others."""
        course = self.course
        return PlatformerParams(
            bank=jax.tree.map(jnp.asarray, course.levels),
            paths=jax.tree.map(jnp.asarray, course.paths),
            group_first=jnp.asarray(course.group_first),
            group_size=jnp.asarray(course.group_size),
            group_probabilities=jnp.asarray(self._chosen),
        )

    def stage_params(self, stage: Mapping[str, Any]) -> dict[str, Any]:
        """What a stage of a curriculum says, with "category" as probabilities of its groups.

        Raises:
            ValueError: for a category that the bank does not have.
        """
        params = dict(stage)
        if "category" in params:
            params["group_probabilities"] = self.course.choose(params.pop("category"))
        return params

    def reset_env(self, key: jax.Array, params: PlatformerParams) -> tuple[Any, PlatformerState]:
        """A random level of a random group, from its start."""
        shares = jax.random.uniform(key, (2,))
        group = draw(shares[0], params.group_probabilities)
        size = params.group_size[group]
        within = jnp.minimum((shares[1] * size).astype(jnp.int32), size - 1)
        return self.start_level(params.group_first[group] + within, group, params)

    def start_level(
        self, level: jax.Array, group: jax.Array, params: PlatformerParams
    ) -> tuple[Any, PlatformerState]:
        """A given level (int32) of a given group (int32), from its start."""
        world = start(params.bank, level)
        guide = guidance(world, params.paths, level)
        state = PlatformerState(
            time=jnp.zeros((), jnp.int32),
            level=level,
            group=group,
            world=world,
            potential=potential(guide.remaining, params.paths.total[level], params),
            mirrored=self._turns(guide),
        )
        return self._seen(state, guide, params), state

    def step_env(
        self,
        key: jax.Array,
        state: PlatformerState,
        action: int | float | jax.Array,
        params: PlatformerParams,
    ) -> tuple[Any, PlatformerState, jax.Array, jax.Array, dict[Any, Any]]:
        """Hold an action for `frame_skip` frames, or up to the level's end.

        Raises:
            ValueError: for an action that is not a scalar.
        """
        action = jnp.asarray(action).astype(jnp.int32)
        if action.shape:
            raise ValueError(f"action of shape {action.shape}: expected one number from 0 to 5")
        if self.mirrored:
            action = jnp.where(state.mirrored, mirror_action(action), action)
        horizontal = jnp.asarray(HORIZONTAL, jnp.int32)[action]
        jump = jnp.asarray(JUMP)[action]

        def frame(_: int, world: World) -> World:
            return tick(world, horizontal, jump, params.bank, state.level, self.precision)

        world = jax.lax.fori_loop(0, self.frame_skip, frame, state.world)
        guide = guidance(world, params.paths, state.level)
        height = potential(guide.remaining, params.paths.total[state.level], params)
        terms = reward_terms(state.potential, height, world, params)
        state = state.replace(
            time=state.time + 1, world=world, potential=height, mirrored=self._turns(guide)
        )
        won = has_won(world)
        info = {"success": won, "group": state.group}
        reward = sum(terms.values(), jnp.float32(0.0))
        return self._seen(state, guide, params), state, reward, won | has_died(world), info

    def get_obs(
        self,
        state: PlatformerState,
        params: PlatformerParams | None = None,
        key: jax.Array | None = None,
    ) -> Any:
        """What is seen of `state`; `params` cannot be left out."""
        if params is None:
            raise ValueError("params None: expected the parameters, which hold the levels")
        return self._seen(state, guidance(state.world, params.paths, state.level), params)

    def _seen(self, state: PlatformerState, guide: Guidance, params: PlatformerParams) -> Any:
        world, level = state.world, state.level
        vector = minimal(world, guide, params.bank, params.paths, level, self.mines)
        parts = {"vector": vector}
        if self.observation == "tiles":
            from envs_jax.platformer.window import window

            parts["tiles"] = window(world, params.bank, level)
        elif self.observation == "graph":
            from envs_jax.platformer.graph import graph

            parts["nodes"], parts["edges"] = graph(world, guide, params.bank, params.paths, level)
        elif self.observation == "pixels":
            from envs_jax.platformer.pixels import level_view, player_view

            parts["player"] = player_view(world, params.bank, level)
            parts["level"] = level_view(world, params.bank, level)
        if self.masked:
            parts[spaces.ACTION_MASK] = action_mask(world.ninja)
        if self.mirrored:
            turned = mirror_seen(parts, self.mines)
            parts = jax.tree.map(functools.partial(jnp.where, state.mirrored), turned, parts)
        return parts if len(parts) > 1 else parts["vector"]

    def _turns(self, guide: Guidance) -> jax.Array:
        """Whether left and right are to be exchanged."""
        return (guide.far[0] < 0.0) & self.mirrored

    def is_terminated(self, state: PlatformerState, params: PlatformerParams) -> jax.Array:
        """Whether the ninja has won or died."""
        return has_won(state.world) | has_died(state.world)

    def action_space(self, params: PlatformerParams | None = None) -> "spaces.Discrete":
        """None, left, right, jump, jump left, jump right."""
        return spaces.Discrete(ACTIONS)

    def observation_space(self, params: PlatformerParams) -> Any:
        """Of the chosen observation, and the mask."""
        _, state = jax.eval_shape(self.reset_env, jax.eval_shape(jax.random.key, 0), params)
        seen = jax.eval_shape(self.get_obs, state, params)
        if not isinstance(seen, dict):
            return _space(seen)
        return spaces.Dict({name: _space(part) for name, part in seen.items()})

    def render(self, state: PlatformerState, params: PlatformerParams) -> np.ndarray:
        """The level with the ninja, uint8 ``[H, W, 3]``."""
        from envs_jax.platformer.render import draw_level

        return draw_level(params.bank, int(state.level), state.world)


def _space(part: Any) -> "spaces.Box":
    """Bounds of a part by its type: bytes, masks and numbers that are scaled to about 1."""
    if part.dtype == jnp.uint8:
        return spaces.Box(0, 255, part.shape, jnp.uint8)
    if part.dtype == jnp.bool_:
        return spaces.Box(0, 1, part.shape, jnp.bool_)
    return spaces.Box(-jnp.inf, jnp.inf, part.shape)
