"""Flax modules: torsos, recurrent cores, heads and the actor-critic that joins them."""

from rljax.networks.actor_critic import ActorCritic, make_network
from rljax.networks.config import NetworkConfig
from rljax.networks.heads import ActionHead

__all__ = ["ActionHead", "ActorCritic", "NetworkConfig", "make_network"]
