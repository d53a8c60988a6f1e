"""Configs: frozen, hashable, validated dataclasses, and the one way to change them.

A YAML file, dotted command-line options and a stored ``config.json`` all become a nested dict,
which is merged over ``to_dict(base)`` and validated as a whole::

    config = merge(preset(), load_yaml("my.yaml"))
    config = merge(config, parse_overrides(["--ppo.clip_epsilon", "0.3"], type(config)))

Everything that is wrong with a value ends as a `UserError` of one line, which names the dotted
path, what was given and what was expected.
"""

from __future__ import annotations

import functools
import hashlib
import json
import types
from collections.abc import Iterator, Mapping
from typing import (
    Annotated,
    Any,
    NoReturn,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
)

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated_dataclass
from pydantic_core import core_schema

from rljax.core.config_fields import (
    FieldInfo,
    core_type,
    describe_fields,
    fields_of,
    help_text,
    locate,
    mismatch,
    shorten,
    spell,
    unknown,
)
from rljax.core.config_text import load_yaml, merge_dicts, parse_overrides
from rljax.core.errors import UserError

__all__ = [
    "Count",
    "FieldInfo",
    "Fraction",
    "FrozenDict",
    "Natural",
    "NonNegative",
    "Positive",
    "Value",
    "config_dataclass",
    "describe_fields",
    "diff",
    "fingerprint",
    "from_dict",
    "help_text",
    "load_yaml",
    "merge",
    "parse_overrides",
    "to_dict",
]

C = TypeVar("C")
K = TypeVar("K")
V = TypeVar("V")

# The ranges that most fields need; a field with its own range writes Annotated[float, Field(...)].
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]


class FrozenDict(dict[K, V]):
    """A read-only, hashable dict, so that a config with open-ended names stays static."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a config is frozen; use rljax.core.config.merge to change it")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        plain = handler.generate_schema(types.GenericAlias(dict, get_args(source)))
        return core_schema.no_info_after_validator_function(cls, plain)


# What a world's parameter can be: a number, a word, numbers of each agent (group, ...), or named
# numbers and words of a part of the world.
_Numbers = tuple[float | tuple[float, ...], ...]
Value = bool | int | float | str | _Numbers | FrozenDict[str, bool | int | float | str | _Numbers]


_OPTIONS = ConfigDict(
    extra="forbid", use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def config_dataclass(cls: type[C]) -> type[C]:
    """Makes `cls` a config: frozen, hashable, keyword-only, validated, no unknown fields.

    The docstring under a field is its help. Rules over several fields go into
    ``__post_init__`` and raise `ValueError`. Infinite and NaN values are refused.

    Raises:
        UserError: when an instance is made with a wrong value (one line).
    """
    made: Any = validated_dataclass(frozen=True, kw_only=True, config=_OPTIONS)(cls)
    for name, info in fields_of(made).items():
        if get_origin(core_type(info.annotation)) in (dict, list, set):
            raise TypeError(f"{cls.__name__}.{name}: a config is hashable; use FrozenDict or tuple")
    build = made.__init__

    @functools.wraps(build)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            build(self, *args, **kwargs)
        except ValidationError as error:
            raise UserError(f"{cls.__name__}: {_in_one_line(made, error)}") from None

    made.__init__ = init
    return cast(type[C], made)


def to_dict(config: Any) -> dict[str, Any]:
    """Every field of `config`, nested, made of JSON types only (tuples become lists)."""
    plain: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return plain


def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
    """The config of class `cls` that `values` describes; what is absent keeps its default.

    Raises:
        UserError: unknown, missing or wrong values.
    """
    for loc, value in _leaves(values):
        path, hint = locate(cls, loc)
        known = path == ".".join(loc)
        if known and isinstance(value, bool) and "bool" not in spell(hint):
            raise UserError(mismatch(path, value, hint))  # pydantic takes True for the number 1
    try:
        config: C = TypeAdapter(cls).validate_python(dict(values))
    except ValidationError as error:
        raise UserError(_in_one_line(cls, error)) from None
    return config


def merge(config: C, overrides: Mapping[str, Any]) -> C:
    """`config` with the fields named in the nested, partial dict `overrides` replaced.

    Raises:
        UserError: unknown or wrong values.
    """
    return from_dict(type(config), merge_dicts(to_dict(config), overrides))


def diff(a: Any, b: Any) -> dict[str, tuple[Any, Any]]:
    """``{dotted path: (value in a, value in b)}`` where they differ; None where one lacks it."""
    old, new = ({".".join(loc): v for loc, v in _leaves(to_dict(c))} for c in (a, b))
    paths = dict.fromkeys([*old, *new])
    return {p: (old.get(p), new.get(p)) for p in paths if old.get(p) != new.get(p)}


def fingerprint(config: Any) -> str:
    """Twelve hexadecimal digits (SHA-256) that name the resolved values of `config`."""
    text = json.dumps(to_dict(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _leaves(
    values: Mapping[str, Any], loc: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*loc, str(name)))
        else:
            yield (*loc, str(name)), value


def _in_one_line(cls: type[Any], error: ValidationError) -> str:
    lines: dict[str, str] = {}  # one for each path: a union reports each of its members
    for detail in error.errors(include_url=False):
        given = detail["loc"]
        path, hint = locate(cls, given)
        match detail["type"]:
            case "unexpected_keyword_argument":
                path = ".".join(map(str, given))
                line = unknown(cls, path)
            case "unexpected_positional_argument":
                line = f"got {shorten(detail['input'])} without a name; name every field"
            case _ if given[-1:] == ("[key]",) or detail["type"] == "invalid_key":
                line = f"{path or 'config'}: got {detail['input']!r} for a name, expected a word"
            case "value_error":
                line = f"{path}: {detail['ctx']['error']}".removeprefix(": ")
            case kind if kind.startswith("missing"):
                line = f"{path}: missing, expected {spell(hint, ranges=True)}"
            case "finite_number":
                line = mismatch(path, detail["input"], hint, "finite ")
            case _:
                line = mismatch(path, detail["input"], hint)
        lines.setdefault(path, line)
    # A misspelled name first: it often explains the rest.
    first, *others = sorted(lines.values(), key=lambda line: not line.startswith("unknown"))
    return f"{first} (and {len(others)} more)" if others else first
