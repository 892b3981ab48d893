"""Endless streams of training samples that are each made from their number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

SampleT = TypeVar("SampleT")


class SampleStream(IterableDataset[SampleT]):
    """An endless stream of numbered samples.

    The number is all that a sample depends on, so a training that resumes at step `s` sees the
    samples it would have seen, with any number of worker processes.

    Args:
        make: Number (0, 1, ...) to sample.
        batch_size: Samples per batch; batches are dealt to the workers in turn. None if a sample is a batch.
        start: First number; `global_step * batch_size` on resuming.
    """

    def __init__(self, make: Callable[[int], SampleT], batch_size: int | None, start: int = 0) -> None:
        self.make = make
        self.batch_size = batch_size or 1
        self.start = start

    def __iter__(self) -> Iterator[SampleT]:
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batch = first
        while True:
            for offset in range(self.batch_size):
                yield self.make(self.start + batch * self.batch_size + offset)
            batch += stride


def stream_loader(
    make: Callable[[int], SampleT],
    batch_size: int | None,
    start: int = 0,
    workers: int = 1,
    collate: Callable[[list[SampleT]], Any] | None = None,
) -> DataLoader[SampleT]:
    """Loads batches of a `SampleStream`, in worker processes where `workers` > 0."""
    return DataLoader(
        SampleStream(make, batch_size, start),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers > 0 else None,
    )


def _one_thread(_worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
