"""Files of arrays: whole or not at all."""

import numpy as np
import pytest

from envs_jax.platformer.files import write_arrays


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "file.npz"
    write_arrays(path, {"a": np.arange(3)})
    np.testing.assert_array_equal(np.load(path)["a"], [0, 1, 2])
    assert [each.name for each in path.parent.iterdir()] == ["file.npz"]


def test_a_failure_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, {"a": np.arange(3)})
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(path, {"a": np.array([object()])})
    np.testing.assert_array_equal(np.load(path)["a"], [0, 1, 2])
    assert [each.name for each in tmp_path.iterdir()] == ["file.npz"]
