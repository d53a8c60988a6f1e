"""From observations to features: encoders of named parts and the MLP behind them.

Every module takes any number of leading batch axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from envs_jax.spaces import PRIVILEGED, RESERVED

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": nn.tanh,
    "relu": nn.relu,
    "elu": nn.elu,
    "silu": nn.silu,
    "gelu": nn.gelu,
}

# (channels, kernel, stride): MinAtar's network (Young & Tian 2019) and DQN's (Mnih et al. 2015).
_CONVOLUTIONS = {
    "small": ((16, 3, 1),),
    "image": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
}


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


class CNN(nn.Module):
    """Convolutions without padding, then flattened: [..., H, W, C] -> [..., m].

    Each is a matrix product over windows: on a CPU XLA's own convolution takes 36 times as
    long to differentiate (10x10x4 to 16 channels, batch 1024).
    """

    kind: str
    activation: str
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        batch = x.shape[:-3]
        x = x.reshape((-1,) + x.shape[-3:])
        for channels, kernel, stride in _CONVOLUTIONS[self.kind]:
            x = Dense(channels, dtype=self.dtype)(windows(x, kernel, stride))
            x = ACTIVATIONS[self.activation](x)
        return x.reshape((*batch, -1))


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


class Encoder(nn.Module):
    """Each part through its own encoder, then concatenated: parts [*batch, ...] -> [*batch, m].

    Parts of rank 3 go through a CNN; integers from 0 to 255 (uint8) are scaled to [0, 1].  Others
    are flattened and, where ``part_sizes`` is given and there are several parts, encoded by an MLP.
    """

    batch_rank: int
    activation: str
    convolution: str
    part_sizes: Sequence[int] = ()
    dtype: Any = jnp.float32
    privileged: bool = False

    @nn.compact
    def __call__(self, observation: Any) -> jax.Array:
        parts = observation_parts(observation, self.privileged)
        features = []
        for name, part in sorted(parts.items()):
            scale = 1 / 255 if part.dtype == jnp.uint8 else 1
            x = part.astype(self.dtype) * scale
            if part.ndim - self.batch_rank == 3:
                x = CNN(self.convolution, self.activation, self.dtype, name=f"{name}_cnn")(x)
            else:
                x = x.reshape((*part.shape[: self.batch_rank], -1))
                if self.part_sizes and len(parts) > 1:
                    x = MLP(self.part_sizes, self.activation, dtype=self.dtype, name=name)(x)
            features.append(x)
        return features[0] if len(features) == 1 else jnp.concatenate(features, -1)
