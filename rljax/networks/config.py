"""What an actor-critic network looks like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rljax.core.config import Count, FrozenDict, Positive, config_dataclass


@config_dataclass
class NetworkConfig:
    """Encoder of each observation part, an MLP torso, an optional recurrent core, a head's MLP."""

    inputs: tuple[str, ...] = ()
    """Parts of the observation that the actor sees; empty: all but the reserved ones."""
    critic_inputs: tuple[str, ...] = ()
    """Parts that the critic sees; empty: all, whatever the actor sees."""
    hidden_sizes: tuple[Count, ...] = (64, 64)
    """Units of each layer of the torso."""
    activation: Literal["tanh", "relu", "elu", "silu", "gelu"] = "tanh"
    """Non-linearity of every hidden layer."""
    input_norm: bool = False
    """Whether what enters the torso goes through a LayerNorm first."""
    layer_norm: Literal["none", "before", "after"] = "none"
    """Whether each torso layer has a LayerNorm, before or after its non-linearity."""
    separate_value: bool = True
    """Whether actor and critic have towers of their own, or share one up to the heads."""
    convolution: Literal["small", "image", "depth", "depth_small"] = "small"
    """For parts of rank 3: one 3x3 layer of 16 (grids of 10x10); the three of the Nature DQN; two
    with a pooling between and dense layers of 128 and 32 behind (depth images of 58x87); or two
    with strides of 2 and the same behind (depth images a quarter of that)."""
    part_sizes: tuple[Count, ...] = ()
    """Units of an MLP encoder of each vector part of a dict observation; empty: none."""
    encoders: FrozenDict[str, tuple[Count, ...]] = FrozenDict()
    """Units of the encoders of named parts, instead of part_sizes; of a part of rank 3, those of
    the dense layers behind its convolutions."""
    core: Literal["none", "gru", "lstm"] = "none"
    """Recurrent core between torso and heads."""
    core_size: Count = 128
    """Units of the recurrent core."""
    skip_core: bool = False
    """Whether heads see what enters the recurrent core beside what leaves it."""
    head_sizes: tuple[Count, ...] = ()
    """Units of an MLP between core and last layer, one for actor and critic each; empty: none."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of activations; parameters, losses and outputs are float32 always."""
    distribution: Literal["auto", "gaussian", "squashed_gaussian", "beta"] = "auto"
    """Distribution of continuous actions; auto is gaussian."""
    std: Literal["learned", "capped", "fixed", "state"] = "learned"
    """Gaussian standard deviation: a parameter (free, or below max_std), a constant, or an output
    of the network."""
    initial_std: Positive = 1.0
    """Standard deviation at the start, in the policy's units (see scale_actions)."""
    max_std: Positive = 0.5
    """What a capped standard deviation stays below."""
    scale_actions: bool = True
    """Whether the policy's -1 to 1 spans the action bounds; else its numbers are the world's own,
    cut off at the bounds."""
    policy_scale: Annotated[float, Field(gt=0)] = 0.01
    """Scale of the orthogonal initialisation of the last policy layer."""

    def __post_init__(self) -> None:
        for name in ("inputs", "critic_inputs"):
            if getattr(self, name) and not self.separate_value:
                raise ValueError(
                    f"{name} {','.join(getattr(self, name))} needs separate_value true: actor and "
                    "critic see different parts by towers of their own"
                )
        if self.skip_core and self.core == "none":
            raise ValueError("skip_core needs core gru or lstm, got none")
        if self.std == "capped" and self.initial_std >= self.max_std:
            raise ValueError(
                f"initial_std {self.initial_std} is not below max_std {self.max_std}, which std "
                "capped needs"
            )
        if not self.scale_actions and self.distribution not in ("auto", "gaussian"):
            raise ValueError(
                f"scale_actions False needs distribution gaussian, not {self.distribution}, which "
                "is bounded"
            )
