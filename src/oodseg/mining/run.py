"""Mines the folder of a finished `oodseg predict` for the rarest objects; resumable.

<out>/crops/<image>/<number>.jpg         the object with what surrounds it
<out>/masks/<image>/<number>.png         uint8, 255 on the object, in the same crop
<out>/embeddings/<image>/<number>.npy    float32 [D]
<out>/records/<image>/<number>.json      what resuming reads
<out>/mined.json                         all objects, the rarest first
<out>/index.html                         the same as a gallery, to pick from
"""

from __future__ import annotations

import io
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.devices import at_precision, check_precision, choose_device
from oodseg.core.encoding import encode_jpeg, encode_png
from oodseg.core.errors import ImageError
from oodseg.core.fingerprint import file_identity
from oodseg.core.objects import OodObject
from oodseg.core.progress import Progress
from oodseg.exchange import LabelledImage, read_results
from oodseg.io.images import read_image
from oodseg.mining.crops import SIDE, cut, cut_mask, outline_of, region_of
from oodseg.mining.encoders import Encoder, make_encoder
from oodseg.mining.gallery import JSON_FILE, PAGE_FILE, write_gallery
from oodseg.mining.listing import MinedObject, rank
from oodseg.mining.similarity import F32
from oodseg.runs.folder import open_run, undone_if_refused
from oodseg.runs.items import Item, Source
from oodseg.runs.loop import Work, work_through
from oodseg.runs.store import Plan, RunStore

DEFAULT_FOLDER = "oodseg-results/mined"
DUPLICATES = 0.9
"""Cosine similarity from which two objects count as one."""

_QUALITY = 88


@dataclass(frozen=True)
class CropRecord:
    """The record of an object.

    Attributes:
        image: Name of its image.
        number: Its place among the objects of that image, from 1.
        bbox: The tightest box around its mask, `[x, y, width, height]`.
        area: Pixels of its mask.
        confidence: Of its box, 0..1.
        region: Left, top and side of its crop, in pixels of the image.
        outline: Path of an SVG: its mask in the crop.
        milliseconds: Cutting out and embedding.
    """

    image: str
    number: int
    bbox: Sequence[float]
    area: int
    confidence: float
    region: Sequence[int]
    outline: str
    milliseconds: float


@dataclass
class MiningRun:
    """The result of a run.

    Attributes:
        page: The gallery.
        objects: What is kept, the rarest (or most similar) first.
        total: Objects in the results.
        done_before: Of those, how many an earlier run had cut out already.
        failures: By name: why an object could not be cut out.
        notes: What the user should know, one sentence each.
    """

    page: Path
    objects: list[MinedObject]
    total: int
    done_before: int
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def facts(self) -> list[tuple[str, str]]:
        """Names and values of what a person wants to know, in order."""
        clusters = Counter(each.cluster for each in self.objects)
        rows = [
            ("objects", str(self.total)),
            ("near-duplicates", str(sum(len(each.stands_for) for each in self.objects))),
            ("kept", str(len(self.objects))),
            ("clusters", str(sum(cluster > 0 for cluster in clusters))),
            ("in no cluster", str(clusters[0])),
        ]
        if self.done_before:
            rows.append(("done before", str(self.done_before)))
        if self.failures:
            rows.append(("failed", str(len(self.failures))))
        return rows


def mine(
    results: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    encoder: str | os.PathLike[str] | Encoder = "street",
    like: Sequence[str | os.PathLike[str]] = (),
    duplicates: float = DUPLICATES,
    device: str | int = "auto",
    precision: str = "auto",
    fresh: bool = False,
    progress: Progress | None = None,
) -> MiningRun:
    """Finds the rarest objects of a collection; called again, resumes where it stopped.

    Args:
        results: Folder of a finished `oodseg predict`.
        out: Folder to write to; None for `oodseg-results/mined`, numbered as those of `predict`.
        encoder: What embeds the objects: name or folder of a pipeline (the encoder of its detector),
            `"timm:NAME"`, or an `Encoder`.
        like: Images of what is looked for, each filled by it: the most similar objects come first.
        duplicates: Cosine similarity from which two objects count as one; over 1 keeps all.
        device: Where the encoder runs: see `choose_device`.
        precision: What is computed in: `"auto"`, `"full"` or `"half"`.
        fresh: Whether to redo objects that are done, and to let go results of other settings in `out`.
        progress: Told after every object.

    Raises:
        DatasetError: No results in that folder.
        ConfigError: No such encoder, or `out` holds results of other settings.
        MissingDependencyError: scikit-learn is not installed.
        OodsegError: An example that cannot be read, or results that cannot be written.
        KeyboardInterrupt: With a sentence that says how to resume; what was written is whole.
    """
    images = read_results(Path(results))
    chosen, exactly = make_encoder(encoder, device), check_precision(precision, choose_device(device))
    with at_precision(exactly):
        examples = [_embed_whole(chosen, read_image(path)) for path in like]
    plan = Plan(
        "mine",
        CropRecord,
        {"encoder": chosen.settings, "side": SIDE}
        | ({} if precision == "auto" else {"precision": precision}),
        {"crops": ".jpg", "masks": ".png", "embeddings": ".npy"},
        (JSON_FILE, PAGE_FILE),
        fresh,
    )
    source = _Objects(images, os.path.abspath(results))
    ready = open_run(plan, Source(source.items, len(source.items)), out, DEFAULT_FOLDER)
    about = {
        "results": os.path.abspath(results),
        "encoder": chosen.settings,
        "like": [os.path.abspath(path) for path in like],
        "duplicates": duplicates,
    }
    work = _Mining(ready.store, chosen, source, duplicates, np.stack(examples) if examples else None, about)
    with at_precision(exactly), undone_if_refused(ready.store):
        tally = work_through(work, ready.source, progress)
    return MiningRun(
        ready.store.out / PAGE_FILE,
        work.listed,
        tally.total,
        tally.done_before,
        {tally.names[key]: reason for key, reason in ready.store.failures.items()},
        [] if ready.note is None else [ready.note],
    )


class _Objects:
    """The objects of a collection as inputs of a run, one each."""

    def __init__(self, images: Sequence[LabelledImage], results: str) -> None:
        self._by_key, self._results = dict(self._keyed(images)), results
        self.items = [self._item(key) for key in self._by_key]

    def find(self, key: str) -> tuple[LabelledImage, int, OodObject]:
        """An object, its place in its image, and that image."""
        return self._by_key[key]

    @staticmethod
    def _keyed(images: Sequence[LabelledImage]) -> Iterator[tuple[str, tuple[LabelledImage, int, OodObject]]]:
        for image in images:
            for number, found in enumerate(image.objects, start=1):
                yield f"{image.name}/{number}", (image, number, found)

    def _item(self, key: str) -> Item:
        image, number, found = self._by_key[key]
        path = image.path

        def read() -> NDArray[np.uint8]:
            if path is None:
                raise ImageError(
                    f"the image {image.name} of the results is gone: put it back, or into images/ beside them"
                )
            return _read(path)

        def identity() -> list[Any]:
            return [None if path is None else file_identity(path), found.rle, found.confidence]

        origin = os.path.join(self._results, image.name)
        return Item(key, f"{image.name} #{number}", read, identity, origin=origin)


class _Mining(Work[CropRecord]):
    stage, unit = "cutting out", "objects"

    def __init__(
        self,
        store: RunStore[CropRecord],
        encoder: Encoder,
        objects: _Objects,
        threshold: float,
        examples: F32 | None,
        about: Mapping[str, Any],
    ) -> None:
        super().__init__(store)
        self.listed: list[MinedObject] = []
        self._encoder, self._objects, self._threshold = encoder, objects, threshold
        self._examples, self._about = examples, about

    def process(self, item: Item) -> tuple[dict[str, bytes], CropRecord]:
        started = time.perf_counter()
        image, number, found = self._objects.find(item.key)
        pixels = item.read()
        if pixels.shape[:2] != (image.height, image.width):
            raise ImageError(
                f"{image.path} is {pixels.shape[1]}x{pixels.shape[0]} pixels now, the objects were found in "
                f"{image.width}x{image.height}: predict it again"
            )
        region = region_of(found)
        crop, mask = cut(pixels, region), cut_mask(found, region)
        data = io.BytesIO()
        np.save(data, self._encoder.embed(crop, mask), allow_pickle=False)
        files = {
            "crops": encode_jpeg(crop, _QUALITY),
            "masks": encode_png(mask),
            "embeddings": data.getvalue(),
        }
        took = round((time.perf_counter() - started) * 1e3, 1)
        confidence = round(found.confidence, 6)
        return files, CropRecord(
            image.name, number, found.bbox, found.area, confidence, region, outline_of(mask), took
        )

    def finish(self, names: Mapping[str, str], complete: bool) -> None:
        # Objects of earlier results may still lie in the folder.
        keys = [key for key in names if key in self.store.stored]
        embeddings = [np.load(self.store.path("embeddings", key), allow_pickle=False) for key in keys]
        objects = [self._listed(key) for key in keys]
        stacked = np.stack(embeddings) if embeddings else np.zeros((0, 1), np.float32)
        self.listed = rank(objects, stacked, self._threshold, self._examples)
        failures = {names[key]: reason for key, reason in self.store.failures.items()}
        write_gallery(self.listed, failures, {**self._about, "complete": complete}, self.store.out)

    def _listed(self, key: str) -> MinedObject:
        record = self.store.stored[key].record
        x, y, width, height = record.bbox
        left, top, side = record.region
        crop, mask = (
            self.store.path(kind, key).relative_to(self.store.out).as_posix() for kind in ("crops", "masks")
        )
        return MinedObject(
            record.image,
            record.number,
            (x, y, width, height),
            record.area,
            record.confidence,
            (left, top, side),
            record.outline,
            crop,
            mask,
        )


def _embed_whole(encoder: Encoder, image: NDArray[np.uint8]) -> F32:
    """Embeds an image as an object that fills it."""
    height, width = image.shape[:2]
    side = max(height, width)
    region = ((width - side) // 2, (height - side) // 2, side)
    inside = cut(np.full((height, width), 255, np.uint8), region)
    return encoder.embed(cut(image, region), inside)


@lru_cache(1)
def _read(path: Path) -> NDArray[np.uint8]:
    """Reads an image; the objects of one come one after the other."""
    return read_image(path)
