"""Runs the promptable segmenter's encoder while the detector is at work: neither needs the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from functools import cache
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def in_background(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Runs `work` in a thread while the block runs.

    Yields:
        A function that waits for the work and returns what it returned or raises what it raised. Work whose
        outcome nobody asks for is waited for all the same, and its error dropped: without overlap it would
        not have been begun.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    # Settings that hold for the caller, such as full precision, hold for its thread.
    thread = Thread(target=copy_context().run, args=(run,), name="oodseg-encoder", daemon=True)
    thread.start()
    try:
        yield outcome.result
    finally:
        thread.join()


def encoder_stream(device: str) -> AbstractContextManager[Any]:
    """Opens, on a GPU, a stream of its own for encoder and decoder; elsewhere nothing.

    Everything that the promptable segmenter allocates belongs to this stream, so that no memory is handed to
    another one while it is in use.
    """
    import torch

    if torch.device(device).type != "cuda":
        return nullcontext()
    stream = _stream(device)
    # What the caller has computed so far (boxes, scores) may be read in it.
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)


@cache
def _stream(device: str) -> Any:
    # One for all calls: each stream keeps memory of its own.
    import torch

    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
