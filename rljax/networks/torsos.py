"""From observations to features: encoders of named parts and the MLP behind them.

Every module takes any number of leading batch axes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from envs_jax.spaces import ACTION_MASK, ACTIVE, GLOBAL_STATE, PRIVILEGED, RESERVED
from rljax.core.config import FrozenDict
from rljax.core.errors import UserError, nearest

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": nn.tanh,
    "relu": nn.relu,
    "elu": nn.elu,
    "silu": nn.silu,
    "gelu": nn.gelu,
}

# (channels, kernel, stride, pool): MinAtar's network (Young & Tian 2019), DQN's (Mnih et al. 2015),
# the depth backbone of extreme-parkour (Cheng et al. 2023) and one for less pixels and processors.
_CONVOLUTIONS = {
    "small": ((16, 3, 1, 1),),
    "image": ((32, 8, 4, 1), (64, 4, 2, 1), (64, 3, 1, 1)),
    "depth": ((32, 5, 1, 2), (64, 3, 1, 1)),
    "depth_small": ((16, 5, 2, 1), (32, 3, 2, 1)),
}
# Units of dense layers behind them, without which a depth image would be 62,400 features.
_DENSE = {"depth": (128, 32), "depth_small": (128, 32)}


class Dense(nn.Module):
    """A dense layer with orthogonal weights (Saxe et al. 2014) and zero bias: [..., n] -> [..., m].

    Batch axes are flattened into rows first: the weight gradient of more than one batch axis makes
    XLA copy transposed activations, which doubled the time of a whole update on a CPU.
    """

    size: int
    scale: float = math.sqrt(2)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.orthogonal(self.scale)
        kernel = self.param("kernel", init, (x.shape[-1], self.size)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.size,)).astype(self.dtype)
        rows = x.reshape(-1, x.shape[-1]).astype(self.dtype)
        return (rows @ kernel + bias).reshape((*x.shape[:-1], self.size))


class MLP(nn.Module):
    """Dense layers, each with a non-linearity and a LayerNorm before it, after it or not at all.

    [..., n] -> [..., m].
    """

    sizes: Sequence[int]
    activation: str
    layer_norm: str = "none"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for size in self.sizes:
            x = Dense(size, dtype=self.dtype)(x)
            if self.layer_norm == "before":
                x = nn.LayerNorm(dtype=self.dtype)(x)
            x = ACTIVATIONS[self.activation](x)
            if self.layer_norm == "after":
                x = nn.LayerNorm(dtype=self.dtype)(x)
        return x


def windows(x: jax.Array, kernel: int, stride: int) -> jax.Array:
    """Return the flattened kernel x kernel windows of images.

    Args:
        x: [B, H, W, C].
        kernel: side of a window.
        stride: step from one window to the next.

    Returns:
        [B, H', W', kernel * kernel * C], without padding.
    """
    height, width = x.shape[1] - kernel + 1, x.shape[2] - kernel + 1
    views = [
        x[:, i : i + height : stride, j : j + width : stride]
        for i in range(kernel)
        for j in range(kernel)
    ]
    return jnp.concatenate(views, -1)


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """Return the largest value of each ``size`` x ``size`` square of images [B, H, W, C].

    What is left over at the lower and right edges is dropped.
    """
    height, width = x.shape[1] // size * size, x.shape[2] // size * size
    views = [x[:, i:height:size, j:width:size] for i in range(size) for j in range(size)]
    return functools.reduce(jnp.maximum, views)


class CNN(nn.Module):
    """Convolutions without padding, flattened, then dense layers: [..., H, W, C] -> [..., m].

    Each is a matrix product over windows: on a CPU XLA's own convolution takes 36 times as
    long to differentiate (10x10x4 to 16 channels, batch 1024).
    """

    kind: str
    activation: str
    dtype: Any = jnp.float32
    sizes: Sequence[int] | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        batch = x.shape[:-3]
        x = x.reshape((-1,) + x.shape[-3:])
        given = x.shape[1:3]
        for channels, kernel, stride, pool in _CONVOLUTIONS[self.kind]:
            if min(x.shape[1:3]) - kernel < (pool - 1) * stride:
                raise UserError(
                    f"network.convolution {self.kind}: images of {given[0]} x {given[1]} pixels "
                    f"are too small for it; expected another of {', '.join(_CONVOLUTIONS)}"
                )
            x = Dense(channels, dtype=self.dtype)(windows(x, kernel, stride))
            x = ACTIVATIONS[self.activation](max_pool(x, pool))
        x = x.reshape((*batch, -1))
        sizes = _DENSE.get(self.kind, ()) if self.sizes is None else self.sizes
        return MLP(sizes, self.activation, dtype=self.dtype)(x)


def observation_parts(observation: Any, privileged: bool = False) -> dict[str, jax.Array]:
    """Return the named parts that torsos may see: all but the reserved ones.

    A plain array is one part, named "observation".

    Args:
        observation: array or named parts.
        privileged: whether the reserved part of that name is seen all the same, by a critic.
    """
    if isinstance(observation, dict):
        hidden = set(RESERVED) - {PRIVILEGED} if privileged else RESERVED
        return {name: part for name, part in observation.items() if name not in hidden}
    return {"observation": observation}


def without(observation: Any, names: Sequence[str]) -> Any:
    """Return an observation without some of its parts; a plain array as it is."""
    if not isinstance(observation, dict):
        return observation
    return {name: part for name, part in observation.items() if name not in names}


def own_parts(observation: Any, inputs: Sequence[str] = ()) -> Any:
    """Return what an actor needs of an observation: no part that is there for critics.

    Args:
        observation: array or named parts.
        inputs: names of the parts that the actor sees; empty: all.

    Raises:
        UserError: for a name of no part that an actor may see.
    """
    if not inputs:
        return without(observation, (GLOBAL_STATE, PRIVILEGED))
    kept = {*_chosen(observation_parts(observation), inputs), ACTION_MASK, ACTIVE}
    if not isinstance(observation, dict):
        return observation
    return {name: part for name, part in observation.items() if name in kept}


def _chosen(
    parts: Mapping[str, jax.Array], inputs: Sequence[str], by_critic: bool = False
) -> dict[str, jax.Array]:
    for name in inputs:
        if name not in parts:
            option, who = ("critic_inputs", "a critic") if by_critic else ("inputs", "an actor")
            raise UserError(
                f"network.{option}: {who} may see no part {name!r}, only "
                f"{', '.join(sorted(parts))}.{nearest(name, parts)}"
            )
    return {name: part for name, part in parts.items() if name in inputs}


class Encoder(nn.Module):
    """Each part through its own encoder, then concatenated: parts [*batch, ...] -> [*batch, m].

    Parts of rank 3 go through a CNN; integers from 0 to 255 (uint8) are scaled to [0, 1].  Others
    are flattened and encoded by an MLP of the sizes that ``encoders`` has for them; where it has
    none, of ``part_sizes`` if those are given and there are several parts.  With ``inputs`` only
    parts of these names are seen, and others need not be there when parameters are.

    Raises:
        UserError: for an encoder or input of a part that there is not.  An encoder of the
            privileged part is no error: only a critic sees that.
    """

    batch_rank: int
    activation: str
    convolution: str
    part_sizes: Sequence[int] = ()
    dtype: Any = jnp.float32
    privileged: bool = False
    encoders: Mapping[str, Sequence[int]] = FrozenDict()
    inputs: Sequence[str] = ()

    @nn.compact
    def __call__(self, observation: Any) -> jax.Array:
        parts = observation_parts(observation, self.privileged)
        everything = self.is_initializing() or not self.inputs
        if everything and not self.privileged:  # a critic may see fewer parts or other names
            _check_names(self.encoders, parts)
        if self.inputs:
            parts = _chosen(parts, self.inputs, self.privileged)
        features = []
        for name, part in sorted(parts.items()):
            scale = 1 / 255 if part.dtype == jnp.uint8 else 1
            x = part.astype(self.dtype) * scale
            if part.ndim - self.batch_rank == 3:
                sizes = self.encoders.get(name)
                cnn = CNN(self.convolution, self.activation, self.dtype, sizes, name=f"{name}_cnn")
                x = cnn(x)
            else:
                x = x.reshape((*part.shape[: self.batch_rank], -1))
                sizes = self.encoders.get(name, self.part_sizes if len(parts) > 1 else ())
                if sizes:
                    x = MLP(sizes, self.activation, dtype=self.dtype, name=name)(x)
            features.append(x)
        return features[0] if len(features) == 1 else jnp.concatenate(features, -1)


def _check_names(encoders: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    for name in encoders:
        if name not in parts and name != PRIVILEGED:
            raise UserError(
                f"network.encoders: the observation has no part {name!r}, only "
                f"{', '.join(sorted(parts))}.{nearest(name, parts)}"
            )
