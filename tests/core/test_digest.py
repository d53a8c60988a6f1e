"""The digest sees every change of a value, and no change of where a value lives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rljax.core.digest import leaf_specs, state_digest
from rljax.core.errors import UserError, nearest


def _tree() -> dict[str, Any]:
    return {
        "w": jnp.arange(16, dtype=jnp.float32).reshape(8, 2),
        "half": jnp.ones(3, jnp.bfloat16),
        "key": jax.random.key(0),
        "keys": jax.random.split(jax.random.key(1), 8),
        "flag": jnp.zeros(2, bool),
        "empty": jnp.zeros((0, 4)),
        "host": np.float64(0.5),
        "count": 3,
        "nothing": None,
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t | {"count": 4},
        lambda t: t | {"host": np.float64(0.25)},
        lambda t: t | {"w": t["w"].at[0, 0].set(-0.0)},
        lambda t: t | {"w": t["w"].reshape(2, 8)},
        lambda t: t | {"w": t["w"].view(jnp.int32)},
        lambda t: t | {"half": t["half"].at[0].set(1.0078125)},
        lambda t: t | {"key": jax.random.key(2)},
        lambda t: t | {"keys": t["keys"][::-1]},
        lambda t: t | {"flag": t["flag"].at[1].set(True)},
        lambda t: t | {"empty": jnp.zeros((4, 0))},
        lambda t: {"v" if name == "w" else name: leaf for name, leaf in t.items()},
    ],
)
def test_every_change_changes_the_digest(change: Callable[[dict], dict]) -> None:
    assert state_digest(change(_tree())) != state_digest(_tree())


def test_the_same_values_have_the_same_digest() -> None:
    assert state_digest(_tree()) == state_digest(_tree())
    host_copy = _tree() | {"w": np.asarray(_tree()["w"])}
    assert state_digest(host_copy) == state_digest(_tree())


@pytest.mark.parametrize("n", [1, 2, 8])
@pytest.mark.parametrize("spec", [PartitionSpec("data"), PartitionSpec()])
def test_placement_does_not_change_the_digest(n: int, spec: PartitionSpec) -> None:
    if len(jax.devices()) < n:
        pytest.skip(f"needs {n} devices")
    placed = NamedSharding(Mesh(np.array(jax.devices()[:n]), ("data",)), spec)
    tree = _tree()
    moved = tree | {name: jax.device_put(tree[name], placed) for name in ("w", "keys")}
    assert state_digest(moved) == state_digest(tree)


def test_leaf_specs_of_a_state_and_of_its_shape_agree() -> None:
    tree = {name: leaf for name, leaf in _tree().items() if isinstance(leaf, jax.Array)}
    assert leaf_specs(tree) == leaf_specs(jax.eval_shape(lambda: tree))
    assert leaf_specs(_tree())["['w']"] == "float32[8,2]"
    assert leaf_specs(_tree())["['keys']"] == "key<fry>[8]"
    assert leaf_specs(_tree())["['count']"] == "int[]"


def test_nearest_suggests_only_what_is_close() -> None:
    assert nearest("cartpol", ["cartpole", "pendulum"]) == " Did you mean 'cartpole'?"
    assert nearest("zzz", ["cartpole", "pendulum"]) == ""
    assert issubclass(UserError, ValueError)
