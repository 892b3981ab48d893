"""Says what was mended, or looks wrong, in what people handed in: one channel for every verb and for Python.

Whoever reads an input calls `warn_input`. Whoever makes a result of it calls `collect_warnings` around that,
and keeps the sentences with the result. The command line prints all of them at the end; in Python they are
ordinary warnings, of the category `InputWarning`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


class InputWarning(UserWarning):
    """Something in an input was mended or looks wrong; there is a result all the same."""


@dataclass
class _Collector:
    sentences: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def add(self, sentence: str) -> None:
        if sentence not in self.seen:
            self.seen.add(sentence)
            self.sentences.append(sentence)


@dataclass(frozen=True)
class _Listeners:
    """Who hears of a warning: the collectors around it, and Python's `warnings`."""

    collectors: tuple[_Collector, ...] = ()
    python: bool = True


_NOBODY_ELSE = _Listeners()
_listeners: ContextVar[_Listeners] = ContextVar("listeners", default=_NOBODY_ELSE)


def warn_input(sentence: str) -> None:
    """Tells people something about an input.

    Args:
        sentence: Names the input, what is wrong with it, and what was done or would be better.
    """
    listeners = _listeners.get()
    for each in listeners.collectors:
        each.add(sentence)
    if listeners.python:
        warnings.warn(sentence, InputWarning, stacklevel=2)


@contextmanager
def collect_warnings(*, forward: bool = True) -> Iterator[list[str]]:
    """Collects what `warn_input` says while the block runs, every sentence once.

    Args:
        forward: Whether others hear of it as well: collectors around this one, and Python's `warnings`.

    Yields:
        The sentences so far, in their order.
    """
    outer, collector = _listeners.get(), _Collector()
    inner = (
        _Listeners((*outer.collectors, collector), outer.python)
        if forward
        else _Listeners((collector,), False)
    )
    token = _listeners.set(inner)
    try:
        yield collector.sentences
    finally:
        _listeners.reset(token)


def shorten(sentences: Iterable[str], most: int = 3) -> list[str]:
    """Shortens a list in which many sentences differ in nothing but names and numbers.

    Args:
        sentences: As collected.
        most: How many of each kind are kept.

    Returns:
        The first ones of every kind; the last of them says how many more there are.
    """
    kinds: dict[tuple[str, ...], list[str]] = {}
    for each in sentences:
        words = (word.strip(",;:.()'") for word in each.split())
        kinds.setdefault(tuple(word for word in words if word.isalpha()), []).append(each)
    kept: list[str] = []
    for alike in kinds.values():
        kept += alike[:most]
        if len(alike) > most:
            kept[-1] += f" (and {len(alike) - most} more like it)"
    return kept


def name_few(names: Sequence[object], most: int = 3) -> str:
    """Lists names for a message: the first few, and dots for the others."""
    return ", ".join([*map(str, names[:most]), *(["..."] if len(names) > most else [])])
