"""Runs workers: one in this process, or any number on Ray."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from oodseg.core.allocation import keep_freed_memory
from oodseg.core.errors import MissingDependencyError, OodsegError
from oodseg.core.installing import install_extra
from oodseg.runs.fleet.working import Assignment, Done, Worker

Pool = Callable[[Assignment, int], Iterator[Done]]
"""Does so many pieces and yields what became of each, in any order."""

_BLOCKS = 4000  # tasks that Ray is told of beforehand at most; further pieces go several to a task
_STORE = 256 << 20  # bytes of shared memory: only numbers travel
_STARTS = 3


def here(assignment: Assignment, chunks: int) -> Iterator[Done]:
    """Does all pieces in this process, one after the other."""
    worker = Worker(assignment)
    for chunk in range(chunks):
        yield worker.run(chunk)


class _RayWorker:
    """A worker as Ray Data calls it: columns of numbers in, columns of counts out."""

    def __init__(self, assignment: Assignment) -> None:
        keep_freed_memory()  # a process of its own, which does not go through the command line
        self._worker = Worker(assignment)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        done = [vars(self._worker.run(int(chunk))) for chunk in batch["item"]]
        return {name: [each[name] for each in done] for name in done[0]}


class RayPool:
    """Does the pieces on Ray Data, with one pipeline to an actor.

    Args:
        address: Of a running cluster, as `ray.init` takes it (`auto` finds that of this machine); None for
            one that is started here and ends with the run.
        workers: Number of actors; None for one per CPU, or per GPU where the pipeline runs on those.
        device: Of the pipeline; with `"auto"` GPUs where the cluster has some.
        threads: CPUs of a worker.
    """

    def __init__(
        self, address: str | None = None, workers: int | None = None, device: str = "auto", threads: int = 1
    ) -> None:
        self._address, self._workers, self._device, self._threads = address, workers, device, threads

    def __call__(self, assignment: Assignment, chunks: int) -> Iterator[Done]:
        """See `Pool`.

        Raises:
            MissingDependencyError: Ray is not installed.
            OodsegError: There is no such cluster, or workers die again and again.
        """
        with self._session(chunks) as ray:
            needs, size = self._needs(ray, chunks)
            strategy = ray.data.ActorPoolStrategy(size=size)
            blocks = min(chunks, _BLOCKS)
            done = ray.data.from_items(list(range(chunks)), override_num_blocks=blocks).map_batches(
                _RayWorker,
                fn_constructor_args=(assignment,),
                batch_size=1,
                compute=strategy,
                **needs,
            )
            try:
                for row in done.iter_rows():
                    yield Done(**{name: row[name] for name in vars(Done())})
            except (ray.exceptions.RayError, OSError) as error:
                fault = str(error).strip().splitlines()[-1]
                raise OodsegError(
                    f"the workers of Ray ended ({fault}): see Ray's logs, and run the same command again; "
                    "what is done stays done"
                ) from error

    def _needs(self, ray: Any, chunks: int) -> tuple[dict[str, float], int]:
        """Computes the resources of an actor, and the number of actors."""
        there = ray.cluster_resources()
        on_gpu = self._device.startswith("cuda") or (self._device == "auto" and there.get("GPU", 0) >= 1)
        needs: dict[str, float] = {"num_cpus": self._threads}
        if on_gpu:
            needs["num_gpus"] = 1
        room = there.get("GPU", 0) if on_gpu else there.get("CPU", 0) // self._threads
        wanted = self._workers or max(1, int(room))
        if wanted > room:
            what = f"{room:.0f} GPUs" if on_gpu else f"{there.get('CPU', 0):.0f} CPUs"
            raise OodsegError(
                f"{wanted} workers with {self._threads} threads do not fit into a cluster of {what}: ask for "
                "fewer (--workers, --threads)"
            )
        return needs, min(wanted, max(1, chunks))

    @contextmanager
    def _session(self, chunks: int) -> Iterator[Any]:
        # Before the import, which reads it: nothing is reported to anybody.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's workers would let everything else on the machine go first, and more would start than needed.
        os.environ.setdefault("RAY_worker_niceness", "0")
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
        # It warns of arguments that go out of scope; the run keeps its own.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise MissingDependencyError(
                f"--engine ray needs the library ray: install it with `{install_extra('ray')}`"
            ) from error
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        started = not ray.is_initialized()
        if started:
            options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
            if self._address is None:
                cores = os.cpu_count() or 1
                workers = self._workers or max(1, cores // self._threads)
                # One to spare, or Ray Data takes the actors for more than there is room for.
                options |= {
                    "address": "local",
                    "num_cpus": max(cores, min(workers, chunks) * self._threads) + 1,
                    "object_store_memory": _STORE,
                    "include_dashboard": False,
                }
                self._workers = workers
            else:
                options["address"] = self._address
            quiet_ray_data()
            self._start(ray, options)
        try:
            yield ray
        finally:
            if started:
                ray.shutdown()

    def _start(self, ray: Any, options: dict[str, Any]) -> None:
        for attempt in range(_STARTS):
            try:
                ray.init(**options)
            except Exception as error:  # Ray raises all kinds, `Exception` itself among them
                ray.shutdown()
                if self._address is not None:
                    fault = f"there is no Ray cluster at {self._address} ({error}): check --address"
                    raise OodsegError(fault) from error
                # Ray waits half a minute for itself, which is little on a machine that does much else.
                if attempt == _STARTS - 1:
                    raise OodsegError(
                        f"Ray does not start on this machine ({error}): name a cluster with --address, or "
                        "leave out --engine ray"
                    ) from error
            else:
                return


def quiet_ray_data() -> None:
    """Keeps the notes of Ray Data about its plans out of the way of the progress."""
    import logging

    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
