"""What the command-line programs share: options, one-line errors, exit codes, tables.

Exit codes: 0 done (or stopped as asked), 1 something broke, 2 the request cannot be met.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TextIO

from rljax.core.config import describe_fields, parse_overrides
from rljax.core.errors import UserError

OK, BROKEN, BAD_INPUT = 0, 1, 2
_STOPPED_BY_HAND = 130  # what a shell reports after Ctrl-C


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are told in one line, without the usage around it."""

    def __init__(self, description: str) -> None:
        super().__init__(
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise UserError(message)

    def add_policy_options(self) -> None:
        """Add those that say which policy of a run is played."""
        self.add_argument(
            "--env-steps",
            type=checkpoint,
            metavar="N|best",
            help="which checkpoint (default: the newest)",
        )
        self.add_argument(
            "--member",
            type=int,
            default=0,
            metavar="I",
            help="which of the seeds trained together",
        )

    def parse_with_config(
        self, argv: Sequence[str], config: type[Any]
    ) -> tuple[argparse.Namespace, dict[str, Any]]:
        """Return this parser's own options, and all others as overrides of a config class.

        Raises:
            UserError: for an option that neither knows; names the nearest of both.
        """
        dotted, plain = self._apart(argv)
        options, rest = self.parse_known_args(plain)
        rest = dotted + rest
        known = {f"--{field.path}".replace("_", "-") for field in describe_fields(config)}
        for word in rest:
            name = word.partition("=")[0].replace("_", "-")
            near = get_close_matches(name, self._option_string_actions, n=1, cutoff=0.8)
            if near and name.startswith("--") and name not in known:
                raise UserError(f"unknown option '{name}'. Did you mean '{near[0]}'?")
        return options, parse_overrides(rest, config)

    def _apart(self, argv: Sequence[str]) -> tuple[list[str], list[str]]:
        """Options like --ppo.gamma 0.9, whose value argparse would take for an argument of its own,
        and all other words."""
        dotted, plain, words = list[str](), list[str](), list(argv)
        while words:
            word = words.pop(0)
            if not word.startswith("--") or "." not in word.partition("=")[0]:
                plain.append(word)
                continue
            dotted.append(word)
            if "=" not in word and words and not words[0].startswith("--"):
                dotted.append(words.pop(0))
        return dotted, plain


def command(main: Callable[[list[str]], int]) -> Callable[..., int]:
    """Make ``main(argv) -> exit code`` tell a user's mistake in one line on stderr.

    An error that is not the user's keeps its traceback: whoever mends it needs that.
    """

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> int:
        try:
            return main(list(sys.argv[1:] if argv is None else argv))
        except UserError as error:
            return _fail(str(error))
        except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN
        except OSError as error:
            where = "" if error.filename is None else f"{error.filename}: "
            return _fail(f"{where}{error.strerror or error}")
        except KeyboardInterrupt:
            return _STOPPED_BY_HAND

    return guarded


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


def numbers(text: str) -> list[int]:
    """Return the whole numbers of "1,2,8", each at least 1 (a type for argparse)."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected whole numbers >= 1, like 1,2")
    return [int(part) for part in parts]


def positive(text: str) -> int:
    """Return a whole number of at least 1 (a type for argparse)."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number >= 1")
    return int(text)


def checkpoint(text: str) -> int | str:
    """Return which checkpoint "best", "500000" or "5e5" names (a type for argparse)."""
    if text == "best":
        return text
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (number >= 0 and number.is_integer()):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number of env_steps, or best")
    return int(number)


def print_table(
    columns: Iterable[str], rows: Iterable[Sequence[str]], file: TextIO | None = None
) -> None:
    """Print a table; numbers are right-aligned, and nothing is cut off."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    file = file or sys.stdout
    lines = list(rows)
    table = Table(box=box.SIMPLE_HEAD if file.isatty() else None, pad_edge=False)
    for i, name in enumerate(columns):
        numeric = all(row[i][:1].isdigit() or row[i] in ("", "-") for row in lines)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in lines:
        table.add_row(*row)
    # What is not a terminal is read by a program, or later: there is no edge to fold at.
    width = shutil.get_terminal_size().columns if file.isatty() else 10_000
    Console(file=file, width=width, markup=False, highlight=False).print(table)
