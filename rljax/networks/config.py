"""What an actor-critic network looks like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rljax.core.config import Count, Positive, config_dataclass


@config_dataclass
class NetworkConfig:
    """Encoder of each observation part, then an MLP torso, then an optional recurrent core."""

    hidden_sizes: tuple[Count, ...] = (64, 64)
    """Units of each layer of the torso."""
    activation: Literal["tanh", "relu", "elu", "silu", "gelu"] = "tanh"
    """Non-linearity of every hidden layer."""
    layer_norm: bool = False
    """Whether each torso layer is followed by a LayerNorm, before its non-linearity."""
    separate_value: bool = True
    """Whether actor and critic have towers of their own, or share one up to the heads."""
    convolution: Literal["small", "image"] = "small"
    """For parts of rank 3: one 3x3 layer of 16 (grids of 10x10), or the three of the Nature DQN."""
    part_sizes: tuple[Count, ...] = ()
    """Units of an MLP encoder of each vector part of a dict observation; empty: none."""
    core: Literal["none", "gru", "lstm"] = "none"
    """Recurrent core between torso and heads."""
    core_size: Count = 128
    """Units of the recurrent core."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of activations; parameters, losses and outputs are float32 always."""
    distribution: Literal["auto", "gaussian", "squashed_gaussian", "beta"] = "auto"
    """Distribution of continuous actions; auto is gaussian."""
    std: Literal["learned", "fixed", "state"] = "learned"
    """Gaussian standard deviation: a parameter, a constant, or an output of the network."""
    initial_std: Positive = 1.0
    """Standard deviation at the start, in units of half the action range."""
    policy_scale: Annotated[float, Field(gt=0)] = 0.01
    """Scale of the orthogonal initialisation of the last policy layer."""
