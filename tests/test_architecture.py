"""What holds the project together: who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("rljax", "envs_jax", "experiments")
MOST_LINES = 400

FLOORS = {
    "core": 0,
    "ops": 1,
    "networks": 1,
    "data": 2,
    "algorithms": 3,
    "control": 3,
    "training": 4,
    "tracking": 4,
    "evaluation": 4,
    "tuning": 5,
    "export": 5,
}


def _sources(*packages: str) -> list[Path]:
    return sorted(path for name in packages for path in (ROOT / name).rglob("*.py"))


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def _modules() -> frozenset[str]:
    return frozenset(map(_module, _sources(*PACKAGES)))


def _imports(tree: ast.AST, importer: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that a syntax tree imports of our own packages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = importer.split(".") if is_package else importer.split(".")[:-1]
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, node.module] if node.module else base)
            # "from rljax.ops import gae" may name a module, or something inside one.
            full = [f"{origin}.{alias.name}" for alias in node.names]
            names = [name if name in _modules() else origin for name in full]
        else:
            continue
        for name in names:
            if name.split(".")[0] in PACKAGES:
                yield node.lineno, name


def _all_imports(*packages: str) -> Iterator[tuple[str, str, str]]:
    """(place "file:line", importing module, imported module)."""
    for path in _sources(*packages):
        importer, tree = _module(path), ast.parse(path.read_text(), str(path))
        for line, name in _imports(tree, importer, path.name == "__init__.py"):
            yield f"{path.relative_to(ROOT)}:{line}", importer, name


def _floor(module: str) -> int | None:
    """Floor of a module of rljax; None for the package itself, which is above all of them."""
    parts = module.split(".")
    return FLOORS[parts[1]] if len(parts) > 1 else None


def test_every_package_of_rljax_has_a_floor() -> None:
    rooms = {
        _module(path).split(".")[1] for path in _sources("rljax") if path.parent.name != "rljax"
    }
    assert rooms, "no packages found"
    assert rooms <= set(FLOORS), "give the new package a floor, here and in docs/architecture.md"
    outside = {path.name for path in (ROOT / "rljax").glob("*.py")} - {"__init__.py"}
    assert not outside, "a module outside the floors"


def test_a_floor_imports_only_itself_and_floors_below() -> None:
    wrong = []
    for place, importer, name in _all_imports("rljax"):
        here = _floor(importer)
        if here is None or not name.startswith("rljax"):
            continue
        there = _floor(name)
        if there is None or there > here:
            wrong.append(f"{place}: {importer} (floor {here}) imports {name} (floor {there})")
    assert not wrong, "\n".join(wrong)


def test_worlds_know_nothing_of_learning_and_nothing_imports_experiments() -> None:
    wrong = [
        f"{place}: {importer} imports {name}"
        for place, importer, name in _all_imports("rljax", "envs_jax")
        if name.startswith("experiments")
        or (name.startswith("rljax") and importer.startswith("envs_jax"))
    ]
    assert not wrong, "\n".join(wrong)


def test_import_reader_sees_every_spelling() -> None:
    text = """
import rljax.core.mesh
from rljax import ops
from rljax.ops import gae, losses
from . import prng
from ..data.rollout import collect
if TYPE_CHECKING:
    import experiments.presets
def later():
    from envs_jax import registry
    import numpy
"""
    names = [name for _, name in _imports(ast.parse(text), "rljax.core.types", False)]
    assert sorted(names) == [
        "envs_jax.registry",
        "experiments.presets",
        "rljax.core.mesh",
        "rljax.core.prng",
        "rljax.data.rollout",
        "rljax.ops",
        "rljax.ops.gae",
        "rljax.ops.losses",
    ]


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in _modules()}
    for path in _sources(*PACKAGES):
        importer, body = _module(path), ast.parse(path.read_text()).body
        # Only what runs when the module is imported: imports inside functions are not at the top.
        top = ast.Module(
            [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)], []
        )
        imported = {name for _, name in _imports(top, importer, path.name == "__init__.py")}
        graph[importer] |= imported - {importer}
    # Take away what imports nothing that is left, or is imported by nothing that is left.
    while graph:
        imported = set().union(*graph.values())
        kept = {m: names & graph.keys() for m, names in graph.items() if m in imported}
        kept = {module: names for module, names in kept.items() if names}
        if kept == graph:
            break
        graph = kept
    assert not graph, f"circle among {sorted(graph)}"


def test_no_file_is_too_long_to_keep_in_mind() -> None:
    lengths = {
        path.relative_to(ROOT): path.read_text().count("\n")
        for path in _sources(*PACKAGES, "tests")
    }
    assert len(lengths) > 50, "files not found"
    long = {str(path): lines for path, lines in lengths.items() if lines > MOST_LINES}
    assert not long, f"longer than {MOST_LINES} lines: {long}"


def _fresh(code: str, **env: str | None) -> str:
    """Run code in a new process with some environment variables set, or unset (None)."""
    full = {**os.environ, **{name: value for name, value in env.items() if value is not None}}
    for name in (name for name, value in env.items() if value is None):
        full.pop(name, None)
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=full,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.strip()


_IMPORT_ALL = """
import importlib, sys
from jax._src import xla_bridge  # an array cannot be made without a backend
if {without_gymnax}:
    sys.modules["gymnax"] = None
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not error.name.startswith("gymnax"):
            raise
        print(name)
print("backends:", *xla_bridge._backends)
"""


@pytest.mark.parametrize("package", ["rljax", "envs_jax"])
def test_importing_the_package_starts_no_backend(package: str) -> None:
    code = _IMPORT_ALL.format(names=[package], without_gymnax=False)
    assert _fresh(code) == "backends:"


def test_importing_every_module_starts_no_backend() -> None:
    """But worlds, which the registry imports when one is made: gymnax itself makes an array."""
    code = _IMPORT_ALL.format(names=sorted(_modules()), without_gymnax=True)
    *worlds, backends = _fresh(code).splitlines()
    assert backends == "backends:"
    assert "envs_jax.base" in worlds and {name.split(".")[0] for name in worlds} == {"envs_jax"}


def test_gymnax_still_starts_a_backend() -> None:
    told = _fresh(_IMPORT_ALL.format(names=["gymnax"], without_gymnax=False))
    assert told == "backends: cpu", "test that worlds start none either"


_NPROC = "import rljax, os; print(os.environ['NPROC'])"


def test_import_pins_the_thread_pool() -> None:
    unset = {"NPROC": None, "RLJAX_PINNED_NPROC": None, "JAX_NUM_CPU_DEVICES": None}
    assert _fresh(_NPROC, **unset, XLA_FLAGS=None) == "1"
    eight = "--xla_force_host_platform_device_count=8"
    assert int(_fresh(_NPROC, **unset, XLA_FLAGS=eight)) >= 16, "collectives of 8 may deadlock"


def test_import_leaves_the_users_thread_pool_alone() -> None:
    assert _fresh(_NPROC, NPROC="7", RLJAX_PINNED_NPROC=None) == "7"
