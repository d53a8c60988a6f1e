"""Words that a user chooses from, and what is said of one that there is not."""

import difflib
from collections.abc import Iterable

__all__ = ["check_word", "nearest"]


def check_word(name: str, word: object, words: Iterable[str]) -> None:
    """Refuse a word that is not one of some.

    Raises:
        ValueError: in one line, with the nearest that is.
    """
    known = tuple(words)
    if word not in known:
        raise ValueError(f"{name} {word!r}: {nearest(word, known)}")


def nearest(word: object, words: Iterable[str]) -> str:
    """What was expected instead of an unknown word, for a message."""
    known = list(words)
    near = difflib.get_close_matches(str(word), known, 1, 0.0)[0]
    return f"expected one of {', '.join(known)}; nearest is {near!r}"
