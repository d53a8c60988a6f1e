"""What a config class says about its fields: paths, types, ranges, help, and error lines."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic_core import PydanticUndefined

from rljax.core.errors import nearest


class FieldInfo(NamedTuple):
    """One field as a user sees it; `default` is spelled as on the command line."""

    path: str
    type: str
    range: str
    default: str
    help: str


def describe_fields(config: Any) -> list[FieldInfo]:
    """Every field of a config class, or of a config, whose values are then the defaults."""
    return list(_rows(config, None) if isinstance(config, type) else _rows(type(config), config))


def _rows(cls: type[Any], instance: Any, prefix: str = "") -> Iterator[FieldInfo]:
    for name, info in fields_of(cls).items():
        path, hint = prefix + name, _hint(info)
        default = info.get_default(call_default_factory=True)
        value = default if instance is None else getattr(instance, name)
        group = _group(hint)
        if hint is not group:  # a group that is always there needs no row of its own
            words = " ".join((info.description or "").split())
            yield FieldInfo(path, spell(hint), _range(hint), _show(value), words)
        if group:
            yield from _rows(group, value if isinstance(value, group) else None, f"{path}.")


def help_text(config: Any) -> str:
    """A table of all options of `config` with its values; plain text when not on a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    tty = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if tty else None, pad_edge=False)
    for title, style in zip(
        ("option", "type", "range", "default", "what it does"),
        ("bold cyan", "", "", "green", ""),
        strict=True,
    ):
        table.add_column(title, style=style, overflow="fold", no_wrap=title == "option")
    group = ""
    for row in describe_fields(config):
        if group != (group := row.path.rpartition(".")[0]):
            table.add_section()
        table.add_row(f"--{row.path}", *row[1:])
    width = shutil.get_terminal_size((140, 24)).columns
    console = Console(file=StringIO(), width=width, force_terminal=tty, markup=False)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def fields_of(cls: type[Any]) -> dict[str, Any]:
    """Name to pydantic's own description of the field, in the order of the source."""
    fields: dict[str, Any] = cls.__pydantic_fields__
    return fields


def _hint(info: Any) -> Any:
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _paths(cls: type[Any], prefix: str = "") -> Iterator[str]:
    """The dotted path of every field and of every group of fields."""
    for name, info in fields_of(cls).items():
        yield prefix + name
        if group := _group(_hint(info)):
            yield from _paths(group, f"{prefix}{name}.")


def locate(cls: type[Any], loc: Iterable[str | int]) -> tuple[str, Any]:
    """(dotted path, type hint) of the field that `loc` leads to, as far as it leads to one."""
    path: str = ""
    hint: Any = cls
    for part in loc:
        group, kind = _group(hint), core_type(hint)
        child = f"{path}.{part}" if path else str(part)
        if group and part in fields_of(group):
            path, hint = child, _hint(fields_of(group)[str(part)])
        elif get_origin(kind) is tuple and isinstance(part, int):
            path, hint = f"{path}[{part}]", element_type(kind, part)
        elif _is_mapping(kind) and isinstance(part, str) and part != "[key]":
            path, hint = child, get_args(kind)[1]
    return path, hint


def core_type(hint: Any) -> Any:
    """`hint` without its range and without "or none"."""
    if get_origin(hint) is Annotated:
        return core_type(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return core_type(kinds[0]) if len(kinds) == 1 else hint
    return hint


def element_type(kind: Any, index: int) -> Any:
    """The type hint of element `index` of the tuple type `kind`."""
    kinds = get_args(kind)
    return kinds[0] if kinds[-1] is Ellipsis else kinds[min(index, len(kinds) - 1)]


def _group(hint: Any) -> type[Any] | None:
    """The config class that `hint` asks for, or None where it asks for a plain value."""
    kind = core_type(hint)
    return kind if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None


def _is_mapping(hint: Any) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def spell(hint: Any, ranges: bool = False) -> str:
    """`hint` in words, "float or none"; with `ranges`, "float in (0, 1] or none"."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = _limits(parts[1:]) if ranges else ""
        return f"{spell(parts[0], ranges)} {limits}".rstrip()
    if origin in (Union, types.UnionType):
        return " or ".join(spell(part, ranges) for part in parts)
    if origin is Literal:
        return " | ".join(map(str, parts))
    if origin is tuple and parts[-1] is Ellipsis:
        return f"tuple of {spell(parts[0], ranges)}"
    if origin is tuple:
        return f"({', '.join(spell(part, ranges) for part in parts)})"
    if _is_mapping(hint):
        return f"mapping of names to {spell(parts[1], ranges)}"
    if group := _group(hint):
        return f"{group.__name__} fields"
    return "none" if hint is type(None) else getattr(hint, "__name__", str(hint))


def _range(hint: Any) -> str:
    parts = () if get_origin(hint) is Literal else get_args(hint)
    own = _limits(parts[1:]) if get_origin(hint) is Annotated else ""
    return own or next(filter(None, map(_range, parts)), "")


def _limits(metadata: Iterable[Any]) -> str:
    """The range that pydantic or annotated_types constraints describe, as text."""
    found: dict[str, Any] = {}
    for rule in (r for item in metadata for r in getattr(item, "metadata", [item])):
        for name in ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length"):
            if getattr(rule, name, None) is not None:
                found[name] = f"{getattr(rule, name):g}"
    low = [s + found[n] for n, s in (("gt", "("), ("ge", "[")) if n in found]
    high = [found[n] + s for n, s in (("lt", ")"), ("le", "]")) if n in found]
    if low and high:
        texts = [f"in {low[0]}, {high[0]}"]
    else:
        signs = {"gt": "> ", "ge": ">= ", "lt": "< ", "le": "<= "}
        texts = [sign + found[name] for name, sign in signs.items() if name in found]
    words = {"multiple_of": "multiple of", "min_length": "length >=", "max_length": "length <="}
    return ", ".join(texts + [f"{word} {found[n]}" for n, word in words.items() if n in found])


def _show(value: Any) -> str:
    """`value` as one would type it on the command line."""
    if value is PydanticUndefined:
        return "required"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_show, value))
    return "set" if dataclasses.is_dataclass(value) else str(value)


def mismatch(path: str, value: Any, hint: Any, quality: str = "") -> str:
    """The line for a value that does not fit, with the nearest choice where there are choices."""
    expected = quality + spell(hint, ranges=True)
    line = f"{path or 'config'}: got {shorten(value)}, expected {expected}."
    return (line + nearest(str(value), _choices(hint))).rstrip(".")


def _choices(hint: Any) -> list[str]:
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return [str(part) for part in parts]
    return [choice for part in parts for choice in _choices(part)]


def unknown(cls: type[Any], path: str, dashes: str = "") -> str:
    """The line for a path that names no field; a right name in a wrong group is found first."""
    name = path.rpartition(".")[2]
    paths = list(_paths(cls))
    same = [p for p in paths if p.rpartition(".")[2] == name]
    if len(same) == 1:
        return f"unknown option '{dashes}{path}'. Did you mean '{dashes}{same[0]}'?"
    choices = [dashes + p for p in same or paths]
    return f"unknown option '{dashes}{path}'.{nearest(dashes + path, choices)}".rstrip(".")


def shorten(value: Any) -> str:
    """`repr(value)`, cut to a length that fits into a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
