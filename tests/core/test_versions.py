"""What software a run was made with."""

from __future__ import annotations

import jax
import pytest

from rljax.core import versions as module
from rljax.core.versions import versions


def test_versions_are_those_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = versions()
    assert told["jax"] == jax.__version__ and told["python"].startswith("3.")
    assert None not in told.values()
    monkeypatch.setattr(module, "_PACKAGES", ("jax", "no-such-package"))
    assert versions()["no-such-package"] is None
