"""The work of a pipeline's run: predict an image, and list the objects of all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import coco_document, read_listing
from oodseg.core.encoding import ImageFormat, NumberFormat, encode_image, encode_numbers, encode_png
from oodseg.core.errors import ConfigError, ImageError
from oodseg.core.files import write_json
from oodseg.core.fingerprint import file_identity
from oodseg.core.input_warnings import collect_warnings
from oodseg.core.normalization import HIGHEST, LOWEST
from oodseg.core.overlay import draw_thumbnail
from oodseg.core.parts import Sight
from oodseg.core.saving import COCO_FILE
from oodseg.core.version import __version__
from oodseg.pipeline import S2M
from oodseg.report.object_list import ObjectEntry, ObjectList
from oodseg.report.objects import CSV_FILE, PAGE_FILE, write_objects
from oodseg.runs.folder import common_root, root_of
from oodseg.runs.items import Item
from oodseg.runs.loading import Deferred
from oodseg.runs.loop import Work
from oodseg.runs.scores import ScoreMaps
from oodseg.runs.store import RunStore, Stored

if TYPE_CHECKING:
    from oodseg.core.objects import OodObject
    from oodseg.core.prediction import Prediction

LISTS = (COCO_FILE, CSV_FILE, PAGE_FILE)
_CONTEXT, _LEAST = 0.15, 8  # of a crop, around the box: share of its longer side, and pixels


@dataclass(frozen=True)
class Outputs:
    """The files of an image.

    Attributes:
        confidence: Format of the confidence maps.
        overlays: Format of the overlays; None for none.
        scores: Format of the normalised score maps; None for none.
        crops: Whether every object is cut out of its image.
        only_hits: Whether only images in which something was found have files.
        gated: Folder of the gated score maps, from the root; None for none.
    """

    confidence: NumberFormat = "png"
    overlays: ImageFormat | None = "jpg"
    scores: NumberFormat | None = None
    crops: bool = False
    only_hits: bool = False
    gated: str | None = None

    @property
    def kinds(self) -> dict[str, str]:
        """Kind to suffix of the files, in the order they are written."""
        kinds = {"masks": ".png", "confidence": f".{self.confidence}"}
        if self.overlays is not None:
            kinds["overlays"] = f".{self.overlays}"
        if self.scores is not None:
            kinds["scores"] = f".{self.scores}"
        if self.gated is not None:
            kinds[self.gated] = ".npy"
        return kinds | ({"crops": ".jpg"} if self.crops else {}) | {"thumbnails": ".jpg"}

    def files(self, found: Prediction, image: NDArray[np.uint8]) -> dict[str, bytes | Sequence[bytes]]:
        """Makes the files of an image.

        Raises:
            ConfigError: The scores are wanted of a pipeline that does not show them.
        """
        if self.only_hits and not found.objects:
            return {}
        files: dict[str, bytes | Sequence[bytes]] = {
            "masks": encode_png(found.mask.astype(np.uint8) * np.uint8(255)),
            "confidence": encode_numbers(found.confidence, self.confidence),
            "thumbnails": encode_image(draw_thumbnail(image, found.objects), "jpg"),
        }
        if self.overlays is not None:
            files["overlays"] = encode_image(found.overlay(image), self.overlays)
        if (self.scores is not None or self.gated is not None) and found.score is None:
            raise ConfigError("this pipeline does not show its scores: leave out --save-scores, --score-out")
        if self.scores is not None and found.score is not None:
            files["scores"] = encode_numbers(found.score, self.scores, LOWEST, HIGHEST)
        if self.gated is not None and found.gated_score is not None:
            files[self.gated] = encode_numbers(found.gated_score, "npy")
        if self.crops:
            files["crops"] = [encode_image(crop(image, each), "jpg") for each in found.objects]
        return files


def crop(image: NDArray[np.uint8], found: OodObject) -> NDArray[np.uint8]:
    """Cuts an object out of its image, with a little of what surrounds it; uint8 `[h, w, 3]`."""
    x, y, width, height = (round(value) for value in found.bbox)
    margin = max(_LEAST, round(_CONTEXT * max(width, height)))
    rows = slice(max(0, y - margin), y + height + margin)
    return image[rows, max(0, x - margin) : x + width + margin]


@dataclass(frozen=True)
class PredictionRecord:
    """The record of a predicted image.

    Attributes:
        height: Rows of the image.
        width: Columns of the image.
        annotations: COCO annotations without final ids.
        milliseconds: Reading to outlines.
        warnings: What was mended on the way.
        peak: Highest normalised score; None if the pipeline does not show its scores.
    """

    height: int
    width: int
    annotations: Sequence[Mapping[str, Any]]
    milliseconds: float
    warnings: Sequence[str]
    peak: float | None = None


@dataclass
class _Ahead:
    """An image that was read, and looked at, with others."""

    image: NDArray[np.uint8]
    warnings: list[str]
    sight: Sight | None = None
    milliseconds: float = 0.0


class Predicting(Work[PredictionRecord]):
    """Predicts images, and lists what was found in COCO form, as a table and as a page.

    Args:
        store: Where results go.
        s2m: The pipeline.
        scores: Score maps in place of its detector.
        outputs: The files of an image.
        promise: What is promised of the boxes.
        batch: Images that the detector sees at once.

    Raises:
        ConfigError: Batches are asked for where no detector of ours looks at the images.
    """

    stage = "predicting"

    def __init__(
        self,
        store: RunStore[PredictionRecord],
        s2m: Callable[..., Prediction],
        scores: ScoreMaps | None,
        outputs: Outputs,
        promise: str | None,
        batch: int = 1,
    ) -> None:
        super().__init__(store)
        if batch < 1:
            raise ConfigError(f"a batch must hold at least one image, not {batch}")
        if batch > 1 and (scores is not None or not isinstance(s2m, S2M | Deferred)):
            raise ConfigError(
                "batches are for the detector of a pipeline, which does not look at these images: leave out "
                "--batch"
            )
        self.batch = batch
        self._ahead: dict[str, _Ahead] = {}
        self._s2m, self._scores, self._outputs, self._promise = s2m, scores, outputs, promise
        self._ids, told = read_listing(store.out / COCO_FILE)
        self._told: Any = (sorted(self._ids), told)  # what the lists in the folder say
        self._new_ids = count(1 + max(self._ids.values(), default=0))

    def identity(self, item: Item) -> list[Any]:
        """See `Work.identity`."""
        if self._scores is None:
            return item.identity()
        return [*item.identity(), file_identity(self._scores.find(item))]

    def prepare(self, items: Sequence[Item]) -> None:
        """See `Work.prepare`: the detector looks at the images together."""
        if not isinstance(self._s2m, S2M | Deferred):
            return
        if isinstance(self._s2m, Deferred):
            self._s2m.load()  # no time of an image
        started, read = time.perf_counter(), dict[str, _Ahead]()
        for item in items:
            with suppress(ImageError), collect_warnings(forward=False) as warned:
                read[item.key] = _Ahead(item.read(), warned)
        sights = self._s2m.look_at([each.image for each in read.values()]) if read else []
        milliseconds = (time.perf_counter() - started) * 1e3 / max(1, len(read))
        for each, sight in zip(read.values(), sights, strict=True):
            each.sight, each.milliseconds = sight, milliseconds
        self._ahead = read

    def process(self, item: Item) -> tuple[dict[str, bytes | Sequence[bytes]], PredictionRecord]:
        """See `Work.process`."""
        started, self._told = time.perf_counter(), None
        ahead = self._ahead.pop(item.key, None)
        # Kept with the record, and told at the end, when those of earlier runs are told again.
        with collect_warnings(forward=False) as warned:
            image = item.read() if ahead is None else ahead.image
            read = (time.perf_counter() - started) * 1e3
            if ahead is not None:
                warned.extend(ahead.warnings)
                read += ahead.milliseconds
                found = self._s2m(image, sight=ahead.sight)
            elif self._scores is None:
                found = self._s2m(image)
            else:
                score_map = self._scores.find(item)
                found = self._s2m(image, score_map=score_map, score_normalizer=self._scores.normalizer)
        total = round(found.timings.get("total", 0.0) + read, 1)
        warnings = list(dict.fromkeys([*warned, *found.warnings]))
        peak = None if found.score is None else round(float(found.score.max()), 3)
        record = PredictionRecord(found.height, found.width, found.to_coco(0, 0), total, warnings, peak)
        return self._outputs.files(found, image), record

    def keep_up(self, names: Mapping[str, str]) -> None:
        """See `Work.keep_up`."""
        self._write_coco(self._info(names, False), self._listed(names))

    def finish(self, names: Mapping[str, str], complete: bool) -> None:
        """See `Work.finish`."""
        info, listed = self._info(names, complete), self._listed(names)
        told = self._told == (sorted(each.name for each in listed), json.loads(json.dumps(info)))
        if told and all((self.store.out / each).is_file() for each in LISTS):
            return
        failures = {names[key]: reason for key, reason in self.store.failures.items()}
        entries = [_entry(each) for each in listed]
        write_objects(ObjectList(entries, failures, info), self.store.out)
        self._write_coco(info, listed)  # last: it says that the others are up to date

    def _listed(self, names: Mapping[str, str]) -> list[Stored[PredictionRecord]]:
        """All images with results, by their numbers; new ones get one."""
        stored = self.store.stored
        # Those of this run first, in its order: images in memory come as they please.
        for key in dict.fromkeys([*names, *stored]):
            if key in stored and stored[key].name not in self._ids:
                self._ids[stored[key].name] = next(self._new_ids)
        return sorted(stored.values(), key=lambda each: self._ids[each.name])

    def _info(self, names: Mapping[str, str], complete: bool) -> dict[str, Any]:
        root = common_root(self.store.stored.values())
        return {
            "description": "unknown objects found by oodseg",
            "version": __version__,
            "images": None if root is None else str(root),
            "complete": complete,
            "settings": self.store.settings,
            "files": dict(self.store.plan.files),
            "promise": self._promise,
            "failures": [
                {"file_name": names[key], "reason": reason} for key, reason in self.store.failures.items()
            ],
            "warnings": [
                {"file_name": each.name, "warning": warning}
                for each in self._listed(names)
                for warning in each.record.warnings
            ],
        }

    def _write_coco(self, info: Mapping[str, Any], listed: Sequence[Stored[PredictionRecord]]) -> None:
        images = [
            (self._ids[each.name], each.name, each.record.height, each.record.width, each.record.annotations)
            for each in listed
        ]
        document = coco_document(images, info)
        if info["images"] is None:
            for image, each in zip(document["images"], listed, strict=True):
                if each.origin is not None:
                    image["folder"] = str(root_of(each))
        write_json(self.store.out / COCO_FILE, document)


def _entry(each: Stored[PredictionRecord]) -> ObjectEntry:
    found = each.record
    return ObjectEntry(
        each.name, found.height, found.width, found.annotations, found.peak, by_kind(each.files)
    )


def by_kind(files: Sequence[str]) -> dict[str, list[str]]:
    """Sorts an image's files, given by their paths in the run's folder, by kind."""
    sorted_files: dict[str, list[str]] = {}
    for file in files:
        sorted_files.setdefault(file.partition("/")[0], []).append(file)
    return sorted_files
