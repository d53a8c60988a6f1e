"""One program body for one device, many devices, and bit-exact virtual shards.

A body written against :class:`Shards` reads the same in three settings:

========  =======================================  =====================================
setting   ``map(f, *args)``                        ``mean(tree)``
========  =======================================  =====================================
single    ``f(*args)``                             identity
sharded   ``f(*args)`` (this device's shard)       ``pmean`` over the mesh axis
exact     ``lax.map`` of f over virtual shards     gathered, summed in a fixed order
========  =======================================  =====================================

In the exact setting every shape that a sum runs over is fixed by the number of virtual shards and
not by the number of devices, so the bits of a run do not depend on the devices.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.sharding import AxisType, Mesh

DATA = "data"
POPULATION = "population"


def make_mesh(devices: list[jax.Device], population: int = 1) -> Mesh:
    """Return a mesh of ``population`` rows: members over rows, environments over columns."""
    return jax.make_mesh(
        (population, len(devices) // population),
        (POPULATION, DATA),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=devices,
    )


@dataclass(frozen=True)
class Shards:
    """How the environments of one update are spread.

    Attributes:
        axis: mesh axis that environments are sharded over; None outside a mesh.
        devices: size of that axis.
        blocks: number of virtual shards over all devices.  Minibatches are drawn block by block,
            so their content does not depend on the number of devices.
        exact: whether sums run in a fixed order over the blocks.
    """

    axis: str | None = None
    devices: int = 1
    blocks: int = 1
    exact: bool = False

    @property
    def local_blocks(self) -> int:
        """Virtual shards on this device."""
        return self.blocks // self.devices

    def split(self, tree: Any) -> Any:
        """[B_local, ...] -> [local_blocks, B / blocks, ...] in the exact setting, else as it is."""
        if not self.exact:
            return tree
        return jax.tree.map(lambda x: x.reshape((self.local_blocks, -1) + x.shape[1:]), tree)

    def join(self, tree: Any) -> Any:
        """Undo :meth:`split`."""
        if not self.exact:
            return tree
        return jax.tree.map(lambda x: x.reshape((-1,) + x.shape[2:]), tree)

    def map(self, function: Callable[..., Any], *args: Any) -> Any:
        """Apply ``function`` to each local shard of ``args``."""
        if not self.exact:
            return function(*args)
        return jax.lax.map(lambda shard: function(*shard), args)

    def vary(self, tree: Any) -> Any:
        """Mark replicated values as differing between devices, so that their gradient is local.

        Under ``check_vma=True`` the gradient of a replicated value is summed over the axis by
        itself; followed by a mean it would be too large by the number of devices.  Identity for
        values already marked, under ``check_vma=False``, and without a mesh.
        """
        axis = self.axis
        if axis is None:
            return tree

        def mark(x: jax.Array) -> jax.Array:
            varying = jax.typeof(x).manual_axis_type.varying
            return x if axis in varying else jax.lax.pcast(x, axis, to="varying")

        return jax.tree.map(mark, tree)

    def stack(self, tree: Any) -> Any:
        """Return every shard's value in global order, along a new leading axis."""
        if self.exact:
            if self.axis is None:
                return tree
            return jax.tree.map(lambda x: jax.lax.all_gather(x, self.axis, tiled=True), tree)
        if self.axis is None:
            return jax.tree.map(lambda x: x[None], tree)
        return jax.tree.map(lambda x: jax.lax.all_gather(x, self.axis), tree)

    def sum(self, tree: Any) -> Any:
        """Sum over all shards, in one message for each dtype."""
        if self.exact:
            # A chain of additions, not a reduction that the compiler may reorder.
            return jax.tree.map(
                lambda x: functools.reduce(jnp.add, [x[i] for i in range(self.blocks)]),
                self.stack(tree),
            )
        return tree if self.axis is None else _in_one_message(tree, self.axis)

    def mean(self, tree: Any) -> Any:
        """Mean over all shards, which are of equal size."""
        if not self.exact and self.axis is None:
            return tree
        count = self.blocks if self.exact else self.devices
        return jax.tree.map(lambda x: x / count, self.sum(tree))

    def min(self, tree: Any) -> Any:
        """Smallest value over all shards."""
        if self.exact:
            tree = jax.tree.map(lambda x: x.min(0), tree)
        return tree if self.axis is None else jax.lax.pmin(tree, self.axis)

    def max(self, tree: Any) -> Any:
        """Largest value over all shards."""
        if self.exact:
            tree = jax.tree.map(lambda x: x.max(0), tree)
        return tree if self.axis is None else jax.lax.pmax(tree, self.axis)


def _in_one_message(tree: Any, axis: str) -> Any:
    """Sum over a mesh axis; the leaves of a dtype travel as one vector.

    Devices that wait for each other cost more than the few numbers they exchange.
    """
    leaves, structure = jax.tree.flatten(tree)
    totals = list(leaves)
    for dtype in {leaf.dtype for leaf in leaves}:
        places = [i for i, leaf in enumerate(leaves) if leaf.dtype == dtype]
        vector, unravel = ravel_pytree([leaves[i] for i in places])
        for place, total in zip(places, unravel(jax.lax.psum(vector, axis)), strict=True):
            totals[place] = total
    return jax.tree.unflatten(structure, totals)
