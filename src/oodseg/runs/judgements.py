"""Judges segmentations without ground truth: where each is likely wrong, and which to look at first.

    <out>/error/<key>.png       uint16, 0..65535 for an error probability of 0..1 (or .npy, float32)
    <out>/labels/<key>.png      uint8, the predicted classes
    <out>/heat/<key>.png        the error on the image, for people
    <out>/panels/<key>.jpg      image | prediction | re-synthesis | error map
    <out>/records/<key>.json    what resuming reads
    <out>/failures.json, .csv   all images, the one most worth a look first
    <out>/index.html            the same as a gallery

What is listed are estimates; ground truth is read only to measure them, where asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from torch import nn

from oodseg.core.encoding import NumberFormat
from oodseg.core.errors import ConfigError
from oodseg.core.fingerprint import hash_weights
from oodseg.core.parts import Segmenter, describe
from oodseg.core.progress import Progress
from oodseg.core.spec import read_spec
from oodseg.failures.consistency import Consistency
from oodseg.failures.loading import (
    ask_others,
    choose_failure_detector,
    choose_label_judge,
    failure_detector_parts,
    failure_detector_sha256,
)
from oodseg.runs.folder import open_run, undone_if_refused
from oodseg.runs.given_labels import GivenLabelFiles
from oodseg.runs.items import Source, open_source
from oodseg.runs.judging import JudgeRun, Judging, judging_plan, notes_of
from oodseg.runs.loop import work_through
from oodseg.runs.model_files import model_files
from oodseg.runs.truth import check_truth, open_truth
from oodseg.segmenters.wrapped import WrappedSegmenter

DEFAULT_FOLDER = "oodseg-results/failures"


def judge(
    source: Any,
    detector: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    segmenter: str | Mapping[str, Any] | Segmenter | None = None,
    predictions: str | os.PathLike[str] | None = None,
    classes: Mapping[int, str] | None = None,
    second_opinions: Sequence[str | Mapping[str, Any] | Segmenter] = (),
    truth: str | os.PathLike[str] | None = None,
    device: str | int = "auto",
    precision: str = "auto",
    error_format: NumberFormat = "png",
    fresh: bool = False,
    progress: Progress | None = None,
) -> JudgeRun:
    """Locates likely segmentation errors in every image; called again, resumes where it stopped.

    An unusable image is recorded as a failure, and the rest goes on.

    Args:
        source: What `oodseg.runs.predict` takes.
        detector: Bundled failure detector, folder of a trained one, a baseline: `"msp"`, `"entropy"`,
            `"energy"`, `"max_logit"`, `"crf"`, `"tta"`, `"mc_dropout"`, or a YAML file that names one. None
            for `"street"`, or `"msp"` where a segmenter is given.
        out: Folder for the results; None for `oodseg-results/failures`, numbered as those of `predict`.
        segmenter: The segmenter to judge: what names one, see `oodseg.core.spec`, or one in memory, such as a
            `CallableSegmenter` around a network of your own; None for the detector's own.
        predictions: Folder of label images, named like the images, to judge in place of a segmenter's. The
            detector is then a trained one that compares image and labels, or `"consistency"`, which needs no
            training and is the default.
        classes: Class of every code in these; None if the codes are the detector's own numbers, or, for
            `"consistency"`, classes by themselves. Pixels of the code 255, unless it is named, and of codes
            called `"void"` are not judged.
        second_opinions: Other segmenters of the same classes, named as `segmenter` is: the error map is
            pooled with how likely they find the same labels (`SecondOpinion`); qualities stay the detector's.
        truth: Folder of true labels, named like their images: indices into the detector's classes, 255 where
            there is no truth. What was estimated is measured on them; nothing estimated depends on it.
        device: Where both run: see `choose_device`.
        precision: What is computed in: `"auto"`, `"full"` or `"half"`.
        error_format: `"png"` (16 bits) or `"npy"` (float32).
        fresh: Whether to redo images that are done, and to let go results of other settings in `out`.
        progress: Told after every image.

    Returns:
        The list, counts, and where the gallery lies.

    Raises:
        ConfigError: `out` holds results of other settings, or of other images of the same names.
        OodsegError: No such source, detector or segmenter, or results that cannot be written.
        KeyboardInterrupt: With a sentence that says how to resume; what was written is whole.
    """
    if predictions is not None and segmenter is not None:
        raise ConfigError("either stored labels are judged or a segmenter: name one of them")
    if predictions is None and classes:
        raise ConfigError("classes name the codes of stored labels: name their folder, too")
    usual = Consistency.name if predictions is not None else "street" if segmenter is None else "msp"
    detector = os.fspath(detector or usual)
    opened = open_source(source)
    known = None if truth is None else open_truth(Path(truth))
    given = None if predictions is None else GivenLabelFiles(predictions, opened, classes or {})
    if given is None:
        loaded = choose_failure_detector(detector, segmenter, device)
    else:
        named = given.classes(progress) if detector == Consistency.name else ()
        loaded = choose_label_judge(detector, named, device)
        opened = given.beside(opened, loaded.classes)
    void = None if given is None else given.check(loaded.classes, progress)
    loaded = ask_others(loaded, second_opinions, device)
    described, *others = (
        _described(each) if isinstance(each, Segmenter) else each for each in (segmenter, *second_opinions)
    )
    settings = {
        "detector": read_spec(detector),
        "detector_sha256": failure_detector_sha256(detector),
        "segmenter": described,
        "models": model_files(failure_detector_parts(detector), read_spec(detector), described, *others),
        "classes": list(loaded.classes),
        **({} if given is None else given.settings),
        **({"second_opinions": others} if others else {}),
        **({} if precision == "auto" else {"precision": precision}),
    }

    def check(source: Source) -> None:
        if known is not None and isinstance(source.items, Sequence):
            check_truth(known, source.items, loaded.classes, progress)

    ready = open_run(judging_plan(settings, error_format, fresh), opened, out, DEFAULT_FOLDER, check)
    notes = [*notes_of(detector, loaded), *([] if void is None else [void])]
    with undone_if_refused(ready.store):
        work = Judging(ready.store, loaded, device=device, precision=precision, truth=known, notes=notes)
        run = work.summed_up(work_through(work, ready.source, progress))
    return run if ready.note is None else replace(run, notes=[ready.note, *notes])


def _described(segmenter: Segmenter) -> dict[str, Any]:
    """Describes a segmenter in memory by its settings (one's own: its classes) and the hash of weights."""
    try:
        found = describe(segmenter)
    except ConfigError:  # a network of one's own, which no file of settings can name
        found = {"name": segmenter.name, "classes": list(segmenter.classes)}
    weights = segmenter.network if isinstance(segmenter, WrappedSegmenter) else segmenter
    # Nothing is known of a function: its results are never taken for those of another one.
    known = hash_weights(weights) if isinstance(weights, nn.Module) else uuid4().hex
    return {**found, "sha256": known}
