"""The one exception that means "you asked for something that cannot be"."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake of the user's, told in one line: what was given, what was expected."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Suggestion to append to a message: " Did you mean 'x'?", or "" if nothing is close."""
    matches = difflib.get_close_matches(name, list(choices), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""
