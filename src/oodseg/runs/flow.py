"""Lets the stages of a run overlap: the first runs ahead in a thread, the last follows in another.

Between two stages lies a queue that holds a few values only, so that a fast stage waits for a slow one and
memory does not grow.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
DEPTH = 4  # values between two stages: enough to even out what takes now longer and now less
_PATIENCE = 0.1  # seconds between two looks at whether the other side has given up


class _End:
    """The last thing in a queue, with what ended the values."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(values: Iterable[T], *, latest: bool = False) -> Generator[T, None, None]:
    """Runs through an iterable in a thread, a few values ahead of whoever takes them.

    Args:
        values: What is iterated over, in that thread alone, which warns in the caller's name.
        latest: Whether values that nobody takes in time give way to newer ones, as those of a camera must.

    Raises:
        BaseException: What the iterable raises, after the values that came before.
    """
    queue: Queue[T | _End] = Queue(DEPTH)
    stopped = Event()

    def offer(value: T | _End) -> None:
        while not stopped.is_set():
            with suppress(Full):
                queue.put(value, timeout=_PATIENCE)
                return
            if latest:
                with suppress(Empty):
                    queue.get_nowait()

    def run() -> None:
        error: BaseException | None = None
        try:
            for value in values:
                offer(value)
                if stopped.is_set():
                    return
        except BaseException as raised:
            error = raised
        offer(_End(error))

    thread = Thread(target=copy_context().run, args=(run,), name="oodseg-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(value := queue.get(), _End):
            yield value
        if value.error is not None:
            raise value.error
    finally:
        stopped.set()
        thread.join()


class Behind(Generic[T]):
    """Hands values to a function in a thread, in order, while the caller goes on to the next.

    As a context manager it waits at the end until all are done; where the block raises, those that are
    waiting are dropped.

    Args:
        work: Called with one value after the other, in that thread alone.
    """

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._queue: Queue[T | _End] = Queue(DEPTH)
        self._error: BaseException | None = None
        self._dropping = False
        self._thread = Thread(target=copy_context().run, args=(self._run,), name="oodseg-behind", daemon=True)

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def put(self, value: T) -> None:
        """Hands on a value; waits while too many are waiting.

        Raises:
            BaseException: What the function raised at an earlier value.
        """
        self._check()
        self._queue.put(value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dropping = error is not None
        self._queue.put(_End(None))
        self._thread.join()
        if error is None:
            self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not isinstance(value := self._queue.get(), _End):
            # After an error the queue is emptied, so that nobody waits for room in it.
            if self._error is None and not self._dropping:
                try:
                    self._work(value)
                except BaseException as raised:
                    self._error = raised
