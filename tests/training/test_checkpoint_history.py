"""The newest and the best stay; damage is stepped over; a run can go back and save again."""

import logging
import shutil
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import pytest

from rljax.core.errors import UserError
from rljax.training.checkpoint import Checkpoints


def _state(seed: int) -> dict[str, jax.Array]:
    return {"w": jnp.arange(6.0) + seed, "key": jax.random.key(seed)}


def _abstract() -> Any:
    return jax.eval_shape(lambda: _state(0))


def _is(state: Any, expected: dict[str, jax.Array]) -> None:
    chex.assert_trees_all_equal(state, expected)


def _swap_arrays(step: Path) -> None:
    """Puts whole, readable arrays of another state in the place of those of `step`."""
    with Checkpoints(step.parent / "other") as checkpoints:
        checkpoints.save(0, _state(1234))
    shutil.rmtree(step / "state")
    (step.parent / "other" / "0" / "state").rename(step / "state")
    shutil.rmtree(step.parent / "other")


def test_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    metrics = [5.0, float("nan"), 9.0, 9.0, 8.0, None, float("inf"), 1.0, -1.0]
    with Checkpoints(tmp_path, keep_latest=2, keep_best=1) as checkpoints:
        for i, metric in enumerate(metrics):
            checkpoints.save(10 * i, _state(i), metric)
            checkpoints.wait()
            assert checkpoints.latest() == 10 * i
        assert checkpoints.all_steps() == [30, 70, 80]
        assert checkpoints.best_step() == 30
    with Checkpoints(tmp_path, keep_latest=2, keep_best=2) as checkpoints:
        assert checkpoints.best_step() == 30  # known from disk, not from memory
        checkpoints.restore(_abstract())
        checkpoints.save(90, _state(9), 3.0)
        checkpoints.wait()
        assert checkpoints.all_steps() == [30, 80, 90]
        _is(checkpoints.restore(_abstract(), checkpoints.best_step())[1], _state(3))


def test_keeps_the_first_of_each_interval(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, keep_latest=1, keep_best=0, keep_every=100) as checkpoints:
        for step in range(0, 350, 35):
            checkpoints.save(step, {"x": jnp.zeros(1)}, 1.0)
        checkpoints.wait()
        assert checkpoints.all_steps() == [0, 105, 210, 315]
        assert checkpoints.best_step() == 315


def test_without_any_metric_nothing_is_best(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, keep_latest=1) as checkpoints:
        assert checkpoints.best_step() is None and checkpoints.latest() is None
        for step in (1, 2, 3):
            checkpoints.save(step, _state(step), None if step != 2 else float("nan"))
        checkpoints.wait()
        assert checkpoints.all_steps() == [3] and checkpoints.best_step() is None


@pytest.mark.parametrize("bad", [{"keep_latest": 0}, {"keep_best": -1}, {"keep_every": 0}])
def test_bad_retention_is_told(tmp_path: Path, bad: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(bad))} must be at least"):
        Checkpoints(tmp_path, **bad)


def test_falls_back_loudly_and_saves_again(tmp_path: Path, caplog: Any) -> None:
    with Checkpoints(tmp_path, keep_latest=3) as checkpoints:
        for step in (10, 20, 30):
            checkpoints.save(step, _state(step))
    _swap_arrays(tmp_path / "30")
    with Checkpoints(tmp_path, keep_latest=3) as checkpoints:
        with pytest.raises(
            UserError, match=r"no good checkpoint .* tried 30 \(its contents do not"
        ):
            checkpoints.restore(_abstract(), 30)
        with caplog.at_level(logging.WARNING):
            step, state, _ = checkpoints.restore(_abstract())
        assert step == 20 and "skipped the damaged checkpoint at 30 env steps" in caplog.text
        _is(state, _state(20))
        assert checkpoints.all_steps() == [10, 20, 30]  # reading moves nothing
        assert checkpoints.save(25, _state(25))
        assert "moved the checkpoints at [30] env steps aside" in caplog.text
        assert checkpoints.save(30, _state(99))
        checkpoints.wait()
        assert checkpoints.all_steps() == [20, 25, 30]
        assert (tmp_path / "aside-30-1").is_dir()
        _is(checkpoints.restore(_abstract())[1], _state(99))


def test_a_changed_record_is_noticed(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, _state(1), meta={"rate": 0.125})
        checkpoints.save(2, _state(2), meta={"rate": 0.125})
    record = tmp_path / "2" / "record" / "metadata"
    record.write_text(record.read_text().replace("0.125", "0.126"))
    with Checkpoints(tmp_path) as checkpoints:
        step, state, meta = checkpoints.restore(_abstract())
    assert (step, meta) == (1, {"rate": 0.125})
    _is(state, _state(1))


def test_going_back_on_purpose_leaves_the_abandoned_future_aside(tmp_path: Path) -> None:
    for _ in range(2):
        with Checkpoints(tmp_path, keep_latest=5) as checkpoints:
            for step in (10, 20, 30):
                checkpoints.save(step, _state(step))
            checkpoints.restore(_abstract(), 10)
            checkpoints.save(40, _state(40))
            checkpoints.wait()
            assert checkpoints.all_steps() == [10, 40]
    aside = {path.name for path in tmp_path.glob("aside-*")}
    assert aside == {
        "aside-20-1",
        "aside-20-2",
        "aside-30-1",
        "aside-30-2",
        "aside-10-1",
        "aside-40-1",
    }


def test_saving_the_same_again_does_nothing(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.save(5, _state(5), 1.0) is True
        assert checkpoints.save(5, _state(5), 1.0) is False
        checkpoints.restore(_abstract())
        assert checkpoints.save(5, _state(5), 1.0) is False
        assert not list(tmp_path.glob("aside-*"))
        assert checkpoints.save(5, _state(5), 2.0) is True  # the metric counts
        assert checkpoints.save(5, _state(6), 2.0) is True  # and so does the state
        checkpoints.wait()
        _is(checkpoints.restore(_abstract())[1], _state(6))


def test_nothing_good_is_told(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, _state(1))
        checkpoints.save(2, _state(2))
    _swap_arrays(tmp_path / "2")
    (tmp_path / "1" / "record" / "metadata").unlink()
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError) as error:
        checkpoints.restore(_abstract())
    assert "tried 2 (its contents do not match their digest), 1 (its record is unreadable" in str(
        error.value
    )


def test_a_failed_save_does_not_hide_what_stopped_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, _state(1))
    checkpoints.wait()

    def fail() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints._store, "wait", fail)
    with pytest.raises(ZeroDivisionError), checkpoints:
        raise ZeroDivisionError
    monkeypatch.setattr(checkpoints._store, "wait", fail)
    told = pytest.raises(UserError, match="No space left on device; the one at 1 is still good")
    with told, checkpoints:
        pass
