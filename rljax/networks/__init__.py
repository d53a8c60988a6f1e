"""Flax modules: torsos, recurrent cores, heads and the actor-critic that joins them."""

from rljax.networks.actor_critic import ActorCritic, make_network
from rljax.networks.config import NetworkConfig
from rljax.networks.heads import ActionHead
from rljax.networks.pair import Pair
from rljax.networks.team import Team, make_team
from rljax.networks.torsos import own_parts

__all__ = [
    "ActionHead",
    "ActorCritic",
    "NetworkConfig",
    "Pair",
    "Team",
    "make_network",
    "make_team",
    "own_parts",
]
