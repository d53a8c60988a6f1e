"""The network of every actor-critic algorithm: feed-forward is recurrent with an empty carry."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from envs_jax.spaces import ACTION_MASK, PRIVILEGED
from rljax.core.errors import UserError
from rljax.networks.config import NetworkConfig
from rljax.networks.heads import ActionHead, make_head
from rljax.networks.recurrent import Carry, Core, initial_carry
from rljax.networks.torsos import MLP, Dense, Encoder, own_parts
from rljax.ops import Distribution


class Tower(nn.Module):
    """Encoder, torso and core: observation [T, B, ...] -> features [T, B, n].

    Only a critic's (``privileged``) sees the privileged part.
    """

    config: NetworkConfig
    privileged: bool = False

    @nn.compact
    def __call__(self, carry: Carry, observation: Any, reset: jax.Array) -> tuple[Carry, jax.Array]:
        config = self.config
        dtype = jnp.dtype(config.compute_dtype)
        x = Encoder(
            2,
            config.activation,
            config.convolution,
            config.part_sizes,
            dtype,
            self.privileged,
            config.encoders,
            config.critic_inputs if self.privileged else config.inputs,
        )(observation)
        if config.input_norm:
            x = nn.LayerNorm(dtype=dtype)(x)
        x = MLP(config.hidden_sizes, config.activation, config.layer_norm, dtype)(x)
        if config.core == "none":
            return carry, x
        carry, memory = Core(config.core, config.core_size, dtype)(carry, x, reset)
        if config.skip_core:
            memory = jnp.concatenate([memory, x.astype(memory.dtype)], -1)
        return carry, memory


def _head_layers(config: NetworkConfig) -> MLP:
    """What is between a tower and a head's last layer: nothing, or an MLP."""
    dtype = jnp.dtype(config.compute_dtype)
    return MLP(config.head_sizes, config.activation, config.layer_norm, dtype)


class Critic(nn.Module):
    """Values of time-major sequences, by a tower of their own."""

    config: NetworkConfig

    def setup(self) -> None:
        self.critic = Tower(self.config, privileged=True)
        self.value_layers = _head_layers(self.config)
        self.value_head = Dense(1, 1.0)

    def __call__(self, carry: Carry, observation: Any, reset: jax.Array) -> tuple[Carry, jax.Array]:
        """Return the carry after the last step, and values float32 [T, B]."""
        carry, features = self.critic(carry, observation, reset)
        return carry, self.value_head(self.value_layers(features)).astype(jnp.float32)[..., 0]


class ActorCritic(nn.Module):
    """Policy and value of time-major sequences.

    ``carry`` is {"actor": ..., "critic": ...}, or {"actor": ...} with a shared tower; its parts
    are empty for feed-forward networks.
    """

    config: NetworkConfig
    head: ActionHead

    def setup(self) -> None:
        config, head = self.config, self.head
        self.actor = Tower(config)
        self.critic = Tower(config, privileged=True) if config.separate_value else self.actor
        self.policy_layers, self.value_layers = _head_layers(config), _head_layers(config)
        self.policy_head = Dense(head.num_outputs, config.policy_scale)
        self.value_head = Dense(1, 1.0)
        self.std = self._std_parameter(head.std_parameter)

    def __call__(
        self, carry: Carry, observation: Any, reset: jax.Array
    ) -> tuple[Carry, Distribution, jax.Array]:
        """Evaluate sequences.

        Args:
            carry: leaves [B, n].
            observation: leaves [T, B, ...].
            reset: bool [T, B], whether a step begins an episode.

        Returns:
            The carry after the last step, distributions [T, B], values float32 [T, B].

        Raises:
            UserError: for an observation with a privileged part, of a network whose critic has no
                tower of its own to see it with.
        """
        if not self.config.separate_value and _has_privileged(observation):
            raise UserError(
                f"network.separate_value False: the observation has the part {PRIVILEGED!r}, which "
                "only a critic with a tower of its own may see; expected True"
            )
        actor_carry, features = self.actor(carry["actor"], observation, reset)
        distribution = self._distribution(features, observation)
        if not self.config.separate_value:
            return {"actor": actor_carry}, distribution, self._value(features)
        critic_carry, features = self.critic(carry["critic"], observation, reset)
        return (
            {"actor": actor_carry, "critic": critic_carry},
            distribution,
            self._value(features),
        )

    def act(self, carry: Carry, observation: Any, reset: jax.Array) -> tuple[Carry, Distribution]:
        """As ``__call__``, without the value (whose carry is left as it is)."""
        actor_carry, features = self.actor(carry["actor"], observation, reset)
        return {**carry, "actor": actor_carry}, self._distribution(features, observation)

    def value(self, carry: Carry, observation: Any, reset: jax.Array) -> jax.Array:
        """Values float32 [T, B] alone."""
        tower, name = (
            (self.critic, "critic") if self.config.separate_value else (self.actor, "actor")
        )
        _, features = tower(carry[name], observation, reset)
        return self._value(features)

    def seen_by_actor(self, observation: Any) -> Any:
        """What acting needs of an observation, or of statistics of its parts."""
        return own_parts(observation, self.config.inputs)

    def draw_noise(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """The noise of ``shape`` actions, see :class:`rljax.ops.Distribution`."""
        return self.head.draw_noise(key, shape)

    def to_environment(self, distribution: Distribution, action: jax.Array) -> jax.Array:
        """Map stored actions to the environment's."""
        return self.head.to_environment(distribution, action)

    def initial_carry(self, batch: int) -> Carry:
        """The carry of ``batch`` environments at the start of an episode: zeros."""
        names = ("actor", "critic") if self.config.separate_value else ("actor",)
        return {
            name: initial_carry(self.config.core, self.config.core_size, (batch,)) for name in names
        }

    def _std_parameter(self, start: float | None) -> jax.Array | None:
        if start is None:
            return None
        name = "log_std" if self.config.std == "learned" else "std"
        std: jax.Array = self.param(name, nn.initializers.constant(start), (self.head.size,))
        return std

    def _distribution(self, features: jax.Array, observation: Any) -> Distribution:
        outputs = self.policy_head(self.policy_layers(features)).astype(jnp.float32)
        mask = observation.get(ACTION_MASK) if isinstance(observation, dict) else None
        return self.head.distribution(outputs, self.head.log_std(self.std), mask)

    def _value(self, features: jax.Array) -> jax.Array:
        return self.value_head(self.value_layers(features)).astype(jnp.float32)[..., 0]


def _has_privileged(observation: Any) -> bool:
    return isinstance(observation, dict) and PRIVILEGED in observation


def make_network(action_space: Any, config: NetworkConfig) -> ActorCritic:
    """Return the (uninitialised) network for an action space."""
    return ActorCritic(config, make_head(action_space, config))
