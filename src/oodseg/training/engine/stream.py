"""Endless streams of training samples that are each made from their number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from oodseg.core.errors import ConfigError

SampleT = TypeVar("SampleT")


@dataclass(frozen=True)
class Share:
    """The part of every batch that one of several processes sees: every `world`-th sample.

    Attributes:
        rank: Number of the process, from 0.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    def of(self, batch: SampleT) -> SampleT:
        """Takes its part of a batch: of a tensor by its first axis, of a tuple or list of tensors each.

        Raises:
            ConfigError: The batch has fewer samples than there are processes.
        """
        if self.world == 1:
            return batch
        if isinstance(batch, tuple | list):
            return type(batch)(self.of(each) for each in batch)
        if len(batch) < self.world:  # type: ignore[arg-type]
            raise ConfigError(
                f"a batch of {len(batch)} samples cannot be split over {self.world} processes: "  # type: ignore[arg-type]
                "raise batch_size, or use fewer --devices"
            )
        return batch[self.rank :: self.world]  # type: ignore[index,no-any-return]


ALL = Share()


class SampleStream(IterableDataset[SampleT]):
    """An endless stream of numbered samples.

    The number is all that a sample depends on, so a training that resumes at step `s` sees the
    samples it would have seen, with any number of worker processes.

    Args:
        make: Number (0, 1, ...) to sample.
        batch_size: Samples per batch; batches are dealt to the workers in turn. None if a sample is a batch.
        start: First number; `global_step * batch_size` on resuming.
        share: What one of several processes gets of every batch.
    """

    def __init__(
        self, make: Callable[[int], SampleT], batch_size: int | None, start: int = 0, share: Share = ALL
    ) -> None:
        self.make = make
        self.batch_size = batch_size
        self.start = start
        self.share = share

    def __iter__(self) -> Iterator[SampleT]:
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batch = first
        size, share = self.batch_size, self.share
        while True:
            if size is None:
                yield share.of(self.make(self.start + batch))
            else:
                for offset in range(share.rank, size, share.world):
                    yield self.make(self.start + batch * size + offset)
            batch += stride


def stream_loader(
    make: Callable[[int], SampleT],
    batch_size: int | None,
    start: int = 0,
    workers: int = 1,
    collate: Callable[[list[SampleT]], Any] | None = None,
    share: Share = ALL,
) -> DataLoader[SampleT]:
    """Loads batches of a `SampleStream`, in worker processes where `workers` > 0."""
    return DataLoader(
        SampleStream(make, batch_size, start, share),
        batch_size=None if batch_size is None else batch_size // share.world,
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
