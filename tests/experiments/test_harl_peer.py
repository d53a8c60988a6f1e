"""harl_peer.py without HARL: our worlds behind its interface, and what may be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import harl_peer


@pytest.mark.parametrize("continuous", [False, True])
def test_worlds_have_harls_interface(continuous: bool) -> None:
    world = harl_peer.World("Spread", continuous, seed=0)
    seen, whole, masks = world.reset()
    assert seen.shape == (20, 3, 18) and whole.shape == (20, 3, 54)
    assert all(mask is None for mask in masks) if continuous else masks.shape == (20, 3, 5)
    actions = np.zeros((20, 3, 5 if continuous else 1), np.float32)
    starts = seen
    for step in range(1, 26):
        seen, whole, rewards, dones, infos, _ = world.step(actions)
        assert rewards.shape == (20, 3, 1) and (rewards == rewards[:, :1]).all()
        assert dones.shape == (20, 3) and dones.all() == dones.any() == (step == 25)
        assert all(("bad_transition" in info[0]) == (step == 25) for info in infos)
        np.testing.assert_array_equal(whole[:, 0], seen.reshape(20, -1))
    assert len(world.places) == 1 and world.places[0].shape == (20, 3)
    assert not np.allclose(seen, starts)  # another episode


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "give a checkout of HARL, or --ours RUN"),
        (["nowhere"], "nowhere: expected a checkout of https://github.com/PKU-MARL/HARL"),
        (["--ours", "nowhere"], "nowhere"),
        (["x", "--world", "Spred"], "invalid choice: 'Spred'"),
    ],
)
def test_a_mistake_is_one_line(
    argv: list[str], told: str, capsys: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert harl_peer.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert told in err
