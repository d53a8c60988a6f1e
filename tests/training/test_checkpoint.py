"""What is saved comes back, to any devices, or one line tells why not."""

from pathlib import Path
from typing import Any

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rljax.core.digest import state_digest
from rljax.core.errors import UserError
from rljax.training import checkpoint_record
from rljax.training.checkpoint import Checkpoints


@flax.struct.dataclass
class State:
    params: Any
    opt: Any
    key: jax.Array
    env_keys: jax.Array
    low: jax.Array
    steps: jax.Array
    carry: Any = ()
    nothing: Any = None


def _state(seed: int = 0, width: int = 4, dtype: Any = jnp.float32) -> State:
    key = jax.random.key(seed)
    params = {"dense": {"w": jax.random.normal(key, (8, width), dtype), "b": jnp.zeros(width)}}
    return State(
        params=params,
        opt=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)).init(params),
        key=key,
        env_keys=jax.random.split(key, 8),
        low=jax.random.normal(key, (16,), jnp.bfloat16),
        steps=jnp.array([seed, 2**32 - 1], jnp.uint32),
    )


def _abstract(**kwargs: Any) -> State:
    return jax.eval_shape(lambda: _state(**kwargs))


def _is(state: State, expected: State) -> None:
    chex.assert_trees_all_equal_structs(state, expected)
    assert state_digest(state) == state_digest(expected)


def _mesh(n: int) -> Mesh:
    if len(jax.devices()) < n:
        pytest.skip(f"needs {n} devices")
    return Mesh(np.array(jax.devices()[:n]), ("data",))


def _shardings(n: int) -> State:
    whole, split = (
        NamedSharding(_mesh(n), spec) for spec in (PartitionSpec(), PartitionSpec("data"))
    )
    return jax.tree.map(lambda _: whole, _state()).replace(env_keys=split, low=split)


def test_round_trip_in_another_process_object(tmp_path: Path) -> None:
    meta = {"fingerprint": "abc", "nested": {"lr": 0.1, "sizes": [1, 2]}}
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.save(2**40 + 3, _state(3), metric=1.0, meta=meta)
    with Checkpoints(tmp_path / "c") as checkpoints:
        step, state, read = checkpoints.restore(_abstract())
    assert (step, read) == (2**40 + 3, meta)
    _is(state, _state(3))


def test_host_values_keep_their_types(tmp_path: Path) -> None:
    state = {"int": 2**40, "float": 0.1, "wide": np.arange(3, dtype=np.int64) + 2**40}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, state)
        _, restored, meta = checkpoints.restore({"int": 0, "float": 0.0, "wide": np.zeros(3, int)})
    assert restored["int"] == 2**40 and restored["float"] == 0.1 and meta == {}
    np.testing.assert_array_equal(restored["wide"], state["wide"])
    assert restored["wide"].dtype == np.int64


@pytest.mark.parametrize(("saved_on", "restored_on"), [(8, 4), (8, 1), (2, 8), (1, 2)])
def test_restores_on_another_number_of_devices(
    tmp_path: Path, saved_on: int, restored_on: int
) -> None:
    target = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        _abstract(),
        _shardings(restored_on),
    )
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, jax.device_put(_state(1), _shardings(saved_on)))
        _, state, _ = checkpoints.restore(target)
        _, unplaced, _ = checkpoints.restore(_abstract())
    _is(state, _state(1))
    assert jax.tree.map(lambda x: x.sharding, state) == _shardings(restored_on)
    assert {d for x in jax.tree.leaves(unplaced) for d in x.devices()} == {jax.devices()[0]}


def test_donating_the_state_after_save_is_safe(tmp_path: Path) -> None:
    step = jax.jit(lambda x: jax.tree.map(lambda leaf: leaf + 1.0, x), donate_argnums=0)
    state = {"w": jnp.zeros((512, 1024)), "b": jnp.zeros(3)}
    with Checkpoints(tmp_path, keep_latest=9) as checkpoints:
        for i in range(9):
            checkpoints.save(i, state)
            before, state = state, step(step(state))
            # On CPU the runtime may copy instead of donating while the save holds a view.
            jax.tree.map(lambda leaf: leaf.is_deleted() or leaf.delete(), before)
        checkpoints.wait()
        for i in range(9):
            _, restored, _ = checkpoints.restore(jax.eval_shape(lambda: state), i)
            assert all(bool(jnp.all(leaf == 2.0 * i)) for leaf in jax.tree.leaves(restored))


@pytest.mark.parametrize(
    ("other", "leaf", "there", "here"),
    [
        (lambda: _state(width=5), ".params['dense']['b']", "float32[4]", "float32[5]"),
        (
            lambda: _state(dtype=jnp.bfloat16),
            ".params['dense']['w']",
            "float32[8,4]",
            "bfloat16[8,4]",
        ),
        (lambda: _state().replace(carry=jnp.zeros(2)), ".carry", "missing", "float32[2]"),
        (lambda: _state().replace(key=None), ".key", "key<fry>[]", "no such leaf"),
    ],
)
def test_another_configuration_is_told_and_not_skipped(
    tmp_path: Path, other: Any, leaf: str, there: str, here: str
) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, other())  # an older one that would fit must not be taken
        checkpoints.save(2, _state())
        with pytest.raises(UserError) as error:
            checkpoints.restore(jax.eval_shape(other))
    line = str(error.value)
    assert f"at 2 env steps in {tmp_path} is of another configuration" in line
    assert f"leaf {leaf} is {there} there, {here} here" in line and "\n" not in line


@flax.struct.dataclass
class Part:
    params: Any
    low: jax.Array
    nothing: Any = None


def test_a_part_is_restored_whatever_the_rest_has_become(tmp_path: Path) -> None:
    saved = _state()
    part = Part(saved.params, saved.low)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, saved)
        step, restored, _ = checkpoints.restore(jax.eval_shape(lambda: part), partial=True)
        assert step == 7 and state_digest(restored) == state_digest(part)
        with pytest.raises(UserError, match="leaf .opt.* is .* there, no such leaf here"):
            checkpoints.restore(jax.eval_shape(lambda: part))
        more = jax.eval_shape(lambda: part.replace(nothing=jnp.zeros(2)))
        with pytest.raises(UserError, match="leaf .nothing is missing there"):
            checkpoints.restore(more, partial=True)


def test_a_record_of_another_format_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr(checkpoint_record, "_FORMAT", 1)
        checkpoints.save(3, _state())
        monkeypatch.undo()
        with pytest.raises(UserError, match=r"tried 3 \(another version of rljax wrote it\)"):
            checkpoints.restore(_abstract())


def test_nothing_to_restore_is_told(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "absent") as checkpoints:
        with pytest.raises(UserError, match="no checkpoint directory .*absent"):
            checkpoints.restore(_abstract())
        assert checkpoints.all_steps() == [] and not (tmp_path / "absent").exists()
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(UserError, match="no checkpoint in"):
            checkpoints.restore(_abstract())
        checkpoints.save(100, _state())
        with pytest.raises(UserError, match="no checkpoint at 90 env steps .* nearest is at 100"):
            checkpoints.restore(_abstract(), 90)


@pytest.mark.parametrize("steps", [-1, 1.5, "1"])
def test_bad_env_steps_are_told(tmp_path: Path, steps: Any) -> None:
    with pytest.raises(UserError, match="env_steps must be an integer >= 0, got"):
        Checkpoints(tmp_path).save(steps, _state())
