"""Generalised advantage estimation."""

import chex
import jax
import jax.numpy as jnp

# Loop steps merged into one: hides the per-step cost of the loop, keeps the program small.
_UNROLL = 8


def gae(
    rewards: jax.Array,
    values: jax.Array,
    next_values: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    gamma: chex.Numeric,
    lam: chex.Numeric,
) -> tuple[jax.Array, jax.Array]:
    """Advantages and value targets of a rollout, with time limits treated as time limits.

    Schulman et al. 2016 (arXiv:1506.02438), equation 16, in its recursive form::

        delta_t = r_t + gamma (1 - terminated_t) V(next_obs_t) - V(obs_t)
        A_t     = delta_t + gamma lam (1 - (terminated_t | truncated_t)) A_{t+1},   A_T = 0

    A terminal state has no future, so it is not bootstrapped. A truncated one has a future that
    was not seen: its value stands in for it. Both flags may be set together, which is then a
    termination. No value crosses the boundary between two episodes in either case.

    Args:
      rewards: float [T, ...], any batch shape after time.
      values: float [T, ...], V(obs_t).
      next_values: float [T, ...], V of the *true* next observation: at the end of an episode that
        is its last observation, not the first one of the next episode.
      terminated: bool [T, ...], the episode reached a terminal state at t.
      truncated: bool [T, ...], the episode was cut at t.
      gamma: scalar in [0, 1], discount; may be traced.
      lam: scalar in [0, 1], trace decay; may be traced.

    Returns:
      `(advantages, returns)`, float [T, ...] each; `returns = advantages + values`, the TD(lambda)
      targets of the value function.

    Raises:
      AssertionError: shapes differ, flags are not bool, or `gamma` or `lam` is not a scalar.
    """
    chex.assert_equal_shape([rewards, values, next_values, terminated, truncated])
    chex.assert_type([terminated, truncated], bool)
    chex.assert_rank([gamma, lam], 0)

    deltas = rewards + gamma * jnp.where(terminated, 0.0, next_values) - values
    decays = jnp.where(terminated | truncated, 0.0, gamma * lam)

    def step(following: jax.Array, row: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        delta, decay = row
        advantage = delta + decay * following
        return advantage, advantage

    # zeros_like, not zeros: inside shard_map the start must vary over the mesh as the deltas do.
    _, advantages = jax.lax.scan(
        step, jnp.zeros_like(deltas[0]), (deltas, decays), reverse=True, unroll=_UNROLL
    )
    return advantages, advantages + values
