"""The networks of several agents behind the interface of one: stacked actors and one critic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from envs_jax.spaces import GLOBAL_STATE, PRIVILEGED
from rljax.core.errors import UserError
from rljax.networks.actor_critic import ActorCritic, Critic
from rljax.networks.config import NetworkConfig
from rljax.networks.heads import make_head
from rljax.networks.recurrent import Carry, initial_carry
from rljax.networks.torsos import own_parts, without
from rljax.ops import Distribution

View = Literal["global", "own", "both"]


@dataclass(frozen=True)
class Team:
    """Actors of n agents and the critic that they learn from.

    It is used as an :class:`ActorCritic` is, by ``apply(params, carry, observation, reset)`` and
    its methods ``act`` and ``value``; observations, actions and distributions have an axis of
    agents after the batch: [T, B, n, ...].  The critic is one network.  It sees the global state
    and gives a value to each environment [T, B], or what each agent sees (and the global state) and
    gives a value to each agent [T, B, n].

    Attributes:
        actor: the network of every agent; its ``act`` is what is used.
        critic: the critic's.
        num_agents: n.
        shared: whether all agents have the same parameters.
        view: what the critic sees.
    """

    actor: ActorCritic
    critic: Critic
    num_agents: int
    shared: bool
    view: View

    @property
    def valued_agents(self) -> bool:
        """Whether each agent has a value of its own."""
        return self.view != "global"

    def init(self, key: jax.Array, carry: Any, observation: Any, reset: jax.Array) -> Any:
        """Return parameters: {"actor": leaves [1 or n, ...], "critic": ...}.

        Args:
            key: PRNG key.
            carry: from :meth:`initial_carry`, of a batch of 1.
            observation: leaves [1, 1, ...].
            reset: bool [1, 1].
        """
        own = jax.tree.map(lambda x: x[:, :, 0], own_parts(observation))
        actor_carry = jax.tree.map(lambda x: x[:, 0], carry["actor"])
        numbers = jnp.arange(1 if self.shared else self.num_agents)
        actors = jax.vmap(
            lambda i: self.actor.init(
                jax.random.fold_in(key, i), {"actor": actor_carry}, own, reset, method="act"
            )
        )(numbers)
        seen = self.seen_by_critic(observation)
        critic_carry = carry["critic"]
        if self.valued_agents:
            seen, critic_carry = (
                jax.tree.map(lambda x: x[:, :, 0], seen),
                jax.tree.map(lambda x: x[:, 0], critic_carry),
            )
        critic = self.critic.init(
            jax.random.fold_in(key, self.num_agents), critic_carry, seen, reset
        )
        return {"actor": actors, "critic": critic}

    def apply(
        self, params: Any, carry: Carry, observation: Any, reset: jax.Array, method: str = "all"
    ) -> Any:
        """Evaluate sequences.

        Args:
            params: from :meth:`init`.
            carry: {"actor": leaves [B, n, h], "critic": [B, h] or [B, n, h]}.
            observation: leaves [T, B, ...].
            reset: bool [T, B].
            method: "act" and "value" as :class:`ActorCritic`'s; "all" is its ``__call__``.
        """
        if method == "value":
            return self._value(params, carry, observation, reset)[1]
        actor_carry, distribution = self._act(params, carry, observation, reset)
        if method == "act":
            return {**carry, "actor": actor_carry}, distribution
        critic_carry, value = self._value(params, carry, observation, reset)
        return {"actor": actor_carry, "critic": critic_carry}, distribution, value

    def initial_carry(self, batch: int) -> Carry:
        """The carry of ``batch`` environments at the start of an episode: zeros."""
        config = self.actor.config
        agents = (batch, self.num_agents)
        return {
            "actor": initial_carry(config.core, config.core_size, agents),
            "critic": initial_carry(
                config.core, config.core_size, agents if self.valued_agents else (batch,)
            ),
        }

    def seen_by_actor(self, observation: Any) -> Any:
        """What acting needs of an observation, or of statistics of its parts."""
        return self.actor.seen_by_actor(observation)

    def draw_noise(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """The noise of ``shape`` actions of all agents, [*shape, n, size]."""
        return self.actor.head.draw_noise(key, (*shape, self.num_agents))

    def to_environment(self, distribution: Distribution, action: jax.Array) -> jax.Array:
        """Map stored actions to the environment's."""
        return self.actor.head.to_environment(distribution, action)

    def seen_by_critic(self, observation: Any) -> Any:
        """Return the critic's inputs: [T, B, G], or leaves [T, B, n, ...].

        Raises:
            UserError: for a privileged part of each agent's, if there is a value of the team only.
        """
        if self.view == "global":
            if PRIVILEGED in observation:
                raise UserError(
                    f"team.critic global: the critic would not see the part {PRIVILEGED!r} of each "
                    "agent's observation; expected own or both"
                )
            return observation[GLOBAL_STATE]
        own = without(observation, (GLOBAL_STATE,))
        if self.view == "own":
            return own
        own = own if isinstance(own, dict) else {"observation": own}
        state = observation[GLOBAL_STATE][:, :, None]
        whole = jnp.broadcast_to(state, (*state.shape[:2], self.num_agents, state.shape[-1]))
        return {
            f"{GLOBAL_STATE}_seen": whole,  # a reserved part is not encoded
            **own,
        }

    def _act(
        self, params: Any, carry: Carry, observation: Any, reset: jax.Array
    ) -> tuple[Carry, Distribution]:
        def one(params: Any, carry: Carry, observation: Any) -> Any:
            after, distribution = self.actor.apply(
                params, {"actor": carry}, observation, reset, method="act"
            )
            # A standard deviation that is a parameter has no batch axes yet.
            spread = jax.tree.map(
                lambda x: jnp.broadcast_to(x, (*reset.shape, x.shape[-1])), distribution
            )
            return after["actor"], spread

        params = params["actor"]
        if self.shared:
            params = jax.tree.map(lambda x: x[0], params)
        over_agents = _over_agents(one, self.num_agents, (None if self.shared else 0, 1, 2))
        result: tuple[Carry, Distribution] = over_agents(
            params, carry["actor"], own_parts(observation)
        )
        return result

    def _value(
        self, params: Any, carry: Carry, observation: Any, reset: jax.Array
    ) -> tuple[Carry, jax.Array]:
        def one(carry: Carry, seen: Any) -> Any:
            return self.critic.apply(params["critic"], carry, seen, reset)

        seen = self.seen_by_critic(observation)
        over_agents = _over_agents(one, self.num_agents, (1, 2)) if self.valued_agents else one
        result: tuple[Carry, jax.Array] = over_agents(carry["critic"], seen)
        return result


def make_team(
    action_space: Any, config: NetworkConfig, num_agents: int, shared: bool, view: View
) -> Team:
    """Return the (uninitialised) networks of ``num_agents`` agents with this action space each."""
    actor = ActorCritic(config, make_head(action_space, config))
    return Team(actor, Critic(config), num_agents, shared, view)


def _over_agents(
    function: Callable[..., Any], agents: int, in_axes: tuple[int | None, ...]
) -> Callable[..., Any]:
    """Map over agents: carries at axis 1, sequences at axis 2 of the result.

    A single agent is not mapped, which would make other (slower) products of its matrices.
    """
    if agents > 1:
        return jax.vmap(function, in_axes=in_axes, out_axes=(1, 2))

    def alone(*args: Any) -> Any:
        picked = [
            arg if axis is None else jax.tree.map(lambda x, axis=axis: x.take(0, axis), arg)
            for arg, axis in zip(args, in_axes, strict=True)
        ]
        carry, sequence = function(*picked)
        return (
            jax.tree.map(lambda x: jnp.expand_dims(x, 1), carry),
            jax.tree.map(lambda x: jnp.expand_dims(x, 2), sequence),
        )

    return alone
