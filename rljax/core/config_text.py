"""What a user writes, a YAML file or dotted options, as a nested dict. No value is judged here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml

from rljax.core.config_fields import core_type, element_type, locate, shorten, spell, unknown
from rljax.core.errors import UserError, nearest


def merge_dicts(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overrides` laid over it, mapping by mapping."""
    merged = dict(base)
    for name, value in overrides.items():
        below = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = merge_dicts(below, value) if both else value  # type: ignore[arg-type]
    return merged


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: 1e6 and 3e-4 are numbers; yes, off, 1:30 and 2024-01-01 are words."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (the base class's name)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names: list[Any] = []
        for key, _ in node.value:
            if key.value in names:
                problem = f"{key.value!r} is given twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            names.append(key.value)
        values: dict[Any, Any] = super().construct_mapping(node, deep)
        return values


for _tag, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9_]*)",
    "float": r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?|[-+]?\.(inf|nan)",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^({_pattern})$"), None)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The nested dict in the YAML (or JSON) file at `path`; an empty file is an empty dict.

    Raises:
        UserError: no such file, not YAML (with the line), a name given twice, not a mapping.
    """
    path = Path(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*") if p.is_file()]
        raise UserError(f"config file '{path}' does not exist.{nearest(path.name, siblings)}")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"config file '{path}'{line}: {problem}") from None
    if values is not None and not isinstance(values, dict):
        raise UserError(
            f"config file '{path}': expected 'name: value' lines, got {shorten(values)}"
        )
    return values or {}


_BOOLS = ("true", "false", "yes", "no", "on", "off")


def parse_overrides(arguments: Sequence[str], cls: type[Any]) -> dict[str, Any]:
    """The nested dict that dotted options describe, for `merge`.

    ``--ppo.clip_epsilon 0.3``, ``--ppo.clip-epsilon=0.3``, ``--network.hidden_sizes=64,64``,
    ``--flag``, ``--no-flag``, ``--group.no-flag``, ``--group.limit none``,
    ``--env.params.gravity 9.8``, ``--env.params.command_x=-0.5,1``. A later option wins over an
    earlier one.

    Raises:
        UserError: an unknown option, an option without its value, a stray word. The values
            themselves are checked by `merge`.
    """
    options: dict[str, Any] = {}
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise UserError(f"unexpected argument {word!r}; options are written --name value")
        name, equals, text = word[2:].partition("=")
        path, hint, negated = _option(cls, name.replace("-", "_"))
        switch = core_type(hint) is bool and not equals
        value: Any
        if negated or (switch and not (words and words[0].lower() in _BOOLS)):
            if negated and equals:
                raise UserError(f"--{name} takes no value, got {text!r}")
            value = not negated
        else:
            if not equals:
                if not words or words[0].startswith("--"):
                    raise UserError(f"--{name} needs a value: {spell(hint, ranges=True)}")
                text = words.pop(0)
            value = _read(text, hint)
        for part in reversed(path.split(".")):
            value = {part: value}
        options = merge_dicts(options, value)
    return options


def _option(cls: type[Any], path: str) -> tuple[str, Any, bool]:
    """(path, type hint, whether it was negated) of the option spelled `path`."""
    bare = re.sub(r"^no_|(?<=\.)no_(?=[^.]*$)", "", path, count=1)
    for spelling in dict.fromkeys((path, bare)):
        found, hint = locate(cls, spelling.split("."))
        if found == spelling and (spelling == path or core_type(hint) is bool):
            return found, hint, spelling != path
    raise UserError(unknown(cls, path, "--"))


def _read(text: str, hint: Any) -> Any:
    """One command-line word as the value that the type `hint` suggests."""
    kind = core_type(hint)
    if text.lower() in ("none", "null") and "none" in spell(hint).split(" or "):
        return None
    if kind is str:
        return text
    if get_origin(kind) is Literal:
        return next((choice for choice in get_args(kind) if str(choice) == text), text)
    if get_origin(kind) is tuple and not text.startswith("["):
        parts = [part.strip() for part in text.strip("()").split(",") if part.strip()]
        return [_read(part, element_type(kind, i)) for i, part in enumerate(parts)]
    value = _scalar(text)
    if isinstance(value, str) and "," in value:  # of any type, as the parameters of a world
        numbers = [_scalar(part.strip()) for part in value.strip("()").split(",")]
        if all(type(number) in (int, float) for number in numbers):
            return numbers
    return value


def _scalar(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError:
        return text
