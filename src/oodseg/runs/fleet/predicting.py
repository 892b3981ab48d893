"""`oodseg predict --engine ray`: lists, leaves out what is done, hands out the rest, settles."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError, OodsegError
from oodseg.core.fingerprint import hash_json
from oodseg.core.parts import statistics_of
from oodseg.core.progress import Progress, silent
from oodseg.core.run_file import RUN_FILE, read_run_file
from oodseg.core.version import __version__
from oodseg.pipeline import S2M
from oodseg.runs.fleet.chunks import remove_pending, write_pending
from oodseg.runs.fleet.listing import Listing
from oodseg.runs.fleet.manifests import joined_columns
from oodseg.runs.fleet.parts import NOTHING, ROWS, Parts
from oodseg.runs.fleet.places import Place, need_parquet
from oodseg.runs.fleet.pools import Pool, here
from oodseg.runs.fleet.working import Assignment, Done
from oodseg.runs.loading import Deferred, load, read_limits

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction

VERB = "predict --engine ray"
ROWS_PER_FILE = 100
_ERRORS = 20  # that are kept to be told


@dataclass
class FleetRun:
    """The result of a run.

    Attributes:
        rows: Where the rows are, as a pattern for a reader of Parquet.
        images: Images of the source.
        done_before: Of those, how many earlier runs had done already.
        reused: Of the others, how many had the bytes of an image that was done.
        objects: Objects found by this run.
        with_objects: Images in which it found some.
        failed: Images that this run gave a row with an error.
        retry: Of these, how many a rerun tries again.
        errors: Some of the errors.
        removed: Rows that others have replaced.
        pipeline_seconds: Time of the pipeline, all images of this run together.
        seconds: Time of this run.
    """

    rows: str
    images: int = 0
    done_before: int = 0
    reused: int = 0
    objects: int = 0
    with_objects: int = 0
    failed: int = 0
    retry: int = 0
    errors: list[str] = field(default_factory=list)
    removed: int = 0
    pipeline_seconds: float = 0.0
    seconds: float = 0.0

    def add(self, done: Done) -> None:
        """Adds what became of a piece."""
        self.reused += done.reused
        self.objects += done.objects
        self.with_objects += done.with_objects
        self.failed += done.failed
        self.retry += done.retry
        self.errors = [*self.errors, *done.errors][:_ERRORS]
        self.pipeline_seconds += done.milliseconds / 1e3

    def facts(self) -> list[tuple[str, str]]:
        """Returns names and values of what a person wants to know, in order."""
        rows = [("images", str(self.images)), ("done before", str(self.done_before))]
        rows += [("of this run, with unknown objects", str(self.with_objects))]
        rows += [("unknown objects", str(self.objects))]
        new = self.images - self.done_before
        if new and self.seconds:
            rows.append(("images per second", f"{new / self.seconds:.2f}"))
        for name, count in (("known by their bytes", self.reused), ("failed", self.failed)):
            if count:
                rows.append((name, str(count)))
        return rows


def predict_fleet(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    pipeline: str | os.PathLike[str] | Callable[..., Prediction] = "street",
    out: str | os.PathLike[str] = "oodseg-results",
    *,
    pool: Pool = here,
    detector: Any = None,
    prompts: Any = None,
    masks: Any = None,
    operating_point: str | None = None,
    min_confidence: float | None = None,
    min_area: int = 0,
    max_objects: int | None = None,
    ignore: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "torch",
    size: int | None = None,
    threads: int | None = None,
    rows_per_file: int = ROWS_PER_FILE,
    fresh: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> FleetRun:
    """Predicts images into Parquet, one row each; called again, it does what is missing.

    An image is done when there is a row of the same pipeline for the same path, unchanged since, or for the
    same bytes. Files of rows are written whole or not at all, so that whatever is killed, the next call
    leaves exactly one row per image.

    Args:
        sources: What `Listing` takes.
        pipeline: Bundled name, folder, or a pipeline that can be pickled; any callable that takes uint8
            `[H, W, 3]` needs `settings`.
        out: Folder or URL for the rows.
        pool: Who does the work: `here`, or a `RayPool`.
        detector: Replaces that part of a named pipeline: see `S2M.from_pretrained`.
        prompts: Likewise.
        masks: Likewise.
        operating_point: See `oodseg.runs.predict`.
        min_confidence: Likewise.
        min_area: Likewise.
        max_objects: Likewise.
        ignore: Likewise.
        device: Likewise; on each worker.
        precision: Likewise.
        runtime: Likewise.
        size: Likewise.
        threads: Of torch, for each worker; None to leave that to torch.
        rows_per_file: Rows of a file: what is lost, and done again, when a worker is killed.
        fresh: Whether to redo images that are done.
        settings: JSON-able: names the pipeline in place of what is known of it.
        progress: Told after every file: `with progress_bar() as bar: predict_fleet(..., progress=bar)`.

    Raises:
        ConfigError: `out` holds something else, or the pipeline has to be fitted first.
        ImageError: No such source.
        MissingDependencyError: A library is not installed.
        OodsegError: Results cannot be written, a store cannot be listed, a pipeline that always fails.
        KeyboardInterrupt: With a sentence that says how to resume.
    """
    began = time.monotonic()
    need_parquet()
    if rows_per_file < 1:
        raise ConfigError(f"a file must hold at least one row, not {rows_per_file}")
    place = Place(out)
    _check(place)
    listing = Listing([sources] if isinstance(sources, str | os.PathLike) else sources)
    extra = joined_columns(listing.manifests)
    s2m, known_settings = load(
        pipeline,
        settings,
        defer=True,
        device=device,
        precision=precision,
        runtime=runtime,
        size=size,
        ignore=ignore,
        operating_point=operating_point,
        limits=read_limits(operating_point, min_confidence, min_area, max_objects),
        detector=detector,
        prompts=prompts,
        masks=masks,
    )
    _check_fitted(s2m)
    parts = Parts(place, hash_json({"oodseg": __version__, **known_settings}))
    run = FleetRun(f"{place}/{parts.folder}/*.parquet")
    report = progress or silent
    with _store_errors(place):
        parts.begin(known_settings)
        _claim(place)
        known = NOTHING if fresh else parts.known()
        pending = write_pending(place, listing, known, extra, rows_per_file)
    run.images, run.done_before = pending.total, pending.total - pending.images
    salt = f"{time.time()}" if fresh else ""
    assignment = Assignment(place.location, pending.name, parts.model, _loader(s2m), known, salt, threads)
    try:
        _work(run, pool(assignment, pending.chunks) if pending.chunks else (), report)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; every file written to {place} is whole: run the same command again to go on"
        ) from None
    finally:
        with suppress(Exception):  # what ended the run is told; the next one tidies up
            remove_pending(place)
    with _store_errors(place):
        _, run.removed = parts.settle()
    run.seconds = time.monotonic() - began
    return run


def _work(run: FleetRun, pieces: Iterable[Done], report: Progress) -> None:
    seen = run.done_before
    try:
        for done in pieces:
            if done.fault:
                raise OodsegError(done.fault)
            run.add(done)
            seen += done.images
            report("predicting", seen, run.images)
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


def _check(place: Place) -> None:
    """Makes sure that the place holds nothing else."""
    place.check()
    about = {} if place.folder is None else read_run_file(place.folder)
    if about and about.get("verb") != VERB:
        raise ConfigError(
            f"{place} holds results of `oodseg {about.get('verb')}`: choose another folder (--out)"
        )


def _claim(place: Place) -> None:
    """Says in `run.json` whose folder this is, so that nobody takes it for images or other results."""
    about = {"oodseg": __version__, "verb": VERB, "results": [ROWS]}
    place.write(RUN_FILE, (json.dumps(about, indent=1) + "\n").encode())


def _check_fitted(s2m: Callable[..., Prediction]) -> None:
    if isinstance(s2m, S2M) and s2m.detector is not None:
        statistics_of(s2m.detector)


def _loader(s2m: Callable[..., Prediction]) -> Callable[[], Callable[..., Prediction]]:
    """Returns the function that makes the pipeline on a worker; a loaded one is sent as it is."""
    return s2m.load if isinstance(s2m, Deferred) else partial(_itself, s2m)


def _itself(s2m: Callable[..., Prediction]) -> Callable[..., Prediction]:
    return s2m


@contextmanager
def _store_errors(place: Place) -> Iterator[None]:
    """Turns what a store raises into one sentence."""
    try:
        yield
    except OodsegError:
        raise
    except Exception as error:  # a library of a store may raise anything
        raise OodsegError(
            f"{place} cannot be used ({type(error).__name__}: {error}): check address and credentials"
        ) from error
