"""Holds a pipeline's three parts, their device and its settings; loads and saves them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from oodseg.core.build import check_part, choose_part
from oodseg.core.bundle import find_bundle, read_pipeline_config, save_bundle
from oodseg.core.devices import Precision, check_precision, choose_device, device_errors
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.guarantee import CALIBRATED, Guarantee
from oodseg.core.limits import Limits
from oodseg.core.parts import OPERATING_POINTS, BoxPrompts, Detector, PromptableSegmenter, PromptGenerator
from oodseg.core.runtimes import choose_runtime
from oodseg.core.spec import ROOMS
from oodseg.core.starting import collector_paused
from oodseg.core.working_size import WORKING_SIDE, working_size

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Stages(Limits):
    """Detector, prompt generator and promptable segmenter of a pipeline, with its settings.

    See `oodseg.pipeline.S2M` for the arguments; all are attributes too, and setting one takes effect.
    """

    def __init__(
        self,
        detector: Detector | None,
        prompts: PromptGenerator,
        masks: PromptableSegmenter,
        *,
        name: str = "custom",
        working_side: tuple[int, int] = WORKING_SIDE,
        device: str | int = "auto",
        runtime: str = "torch",
        concurrent_encoding: bool | Literal["auto"] = "auto",
        operating_point: str | float = "quiet",
        ignore: NDArray[np.bool_] | None = None,
        guarantee: Guarantee | None = None,
        min_confidence: float | None = None,
        min_area: int = 0,
        max_objects: int | None = None,
        precision: str = "auto",
    ) -> None:
        super().__init__(min_confidence, min_area, max_objects)
        self._parts: dict[str, Any] = {}
        self._operating_point: str | float = "quiet"
        self._precision: Precision = "auto"
        self._runtime = runtime
        self.device, self.precision = device, precision
        self.detector, self.prompts, self.masks = detector, prompts, masks
        self.name, self.working_side = name, working_side
        self.concurrent_encoding, self.ignore = concurrent_encoding, ignore
        self.guarantee, self.operating_point = guarantee, operating_point

    @property
    def detector(self) -> Detector | None:
        """Image to anomaly score."""
        found: Detector | None = self._parts["detector"]
        return found

    @detector.setter
    def detector(self, part: Detector | None) -> None:
        self.forget_guarantee()
        self._parts["detector"] = None
        if part is not None:
            self._put("detector", part)

    @property
    def prompts(self) -> PromptGenerator:
        """Score map to boxes."""
        found: PromptGenerator = self._parts["prompts"]
        return found

    @prompts.setter
    def prompts(self, part: PromptGenerator) -> None:
        self.forget_guarantee()
        self._put("prompts", part)

    @property
    def masks(self) -> PromptableSegmenter:
        """Boxes to outlines."""
        found: PromptableSegmenter = self._parts["masks"]
        return found

    @masks.setter
    def masks(self, part: PromptableSegmenter) -> None:
        self.forget_guarantee()
        self._put("masks", part)

    @property
    def device(self) -> str:
        """Torch device of the parts; set as `choose_device` takes it."""
        return self._device

    @device.setter
    def device(self, name: str | int) -> None:
        self._device = choose_device(name)
        self._precision = check_precision(self._precision, self._device)
        for key, part in self._parts.items():
            if part is not None:
                self._put(key, part)

    @property
    def precision(self) -> Precision:
        """The precision of networks: `"auto"`, `"full"` or `"half"`."""
        return self._precision

    @precision.setter
    def precision(self, name: str) -> None:
        self._precision = check_precision(name, self.device)

    @property
    def runtime(self) -> str:
        """The name of what runs the networks of the parts that have a choice: see `oodseg.core.runtimes`."""
        return self._runtime

    @runtime.setter
    def runtime(self, name: str) -> None:
        choose_runtime(name, self.device)
        self._runtime = name
        self.device = self.device

    @property
    def working_side(self) -> tuple[int, int]:
        """Minimum and maximum pixels of the long side at which detector and prompts work."""
        return self._working_side

    @working_side.setter
    def working_side(self, side: tuple[int, int]) -> None:
        low, high = side
        self.forget_guarantee()
        if not 32 <= low <= high:
            raise ConfigError(f"working_side needs 32 <= least <= most, not {low} and {high}")
        self._working_side = int(low), int(high)

    @property
    def operating_point(self) -> str | float:
        """The name of the operating point at which boxes are proposed, or the least confidence of a box."""
        return self._operating_point

    @operating_point.setter
    def operating_point(self, point: str | float) -> None:
        names = [*OPERATING_POINTS, *([CALIBRATED] if self.guarantee is not None else [])]
        if isinstance(point, str) and point not in names:
            remedy = f"; {CALIBRATED} takes a pipeline of `oodseg calibrate`" if point == CALIBRATED else ""
            raise ConfigError(
                f"there is no operating point '{point}'; choose one of: {', '.join(names)}{remedy}"
            )
        if not isinstance(point, str) and not 0 <= point <= 1:
            raise ConfigError(f"the least confidence of a box must lie in 0..1, not at {point}")
        self._operating_point = point

    @property
    def guarantee(self) -> Guarantee | None:
        """The guarantee of the operating point `"calibrated"`; None if nothing was calibrated."""
        return self._guarantee

    @guarantee.setter
    def guarantee(self, found: Guarantee | None) -> None:
        self._guarantee = found
        if found is None and self.operating_point == CALIBRATED:
            self.operating_point = "quiet"

    def forget_guarantee(self) -> None:
        """Drops the guarantee, and the operating point that rests on it: it was about other parts."""
        self.guarantee = None

    @property
    def promise(self) -> str | None:
        """Says what is promised of the boxes, and on what condition; None where nothing is.

        Nothing is promised of a part of the boxes that was chosen by other limits.
        """
        if self.guarantee is None or self.operating_point != CALIBRATED or self.limits:
            return None
        return self.guarantee.promise()

    @property
    def readiness(self) -> str | float:
        """The operating point as a prompt generator takes it: a name, or the least confidence of a box."""
        if self.min_confidence is not None:
            return self.min_confidence
        if self.guarantee is not None and self.operating_point == CALIBRATED:
            return self.guarantee.least_confidence
        return self.operating_point

    def boxes(self, normalized: Tensor, features: tuple[Tensor, ...] | None) -> BoxPrompts:
        """Proposes boxes in a normalised score map `[h, w]`, as readily as the operating point says."""
        ready = self.readiness
        found = self.prompts.propose(normalized[None], features, ready)[0]
        return found if isinstance(ready, str) else found.above(ready)

    @property
    def encodes_concurrently(self) -> bool:
        """True if the promptable segmenter encodes an image while the detector scores it."""
        if self.concurrent_encoding == "auto":
            return self.device.startswith("cuda")
        return self.concurrent_encoding

    def _put(self, key: str, part: Any) -> None:
        checked = check_part(ROOMS[key], part)
        with device_errors(self.device, f"the part '{checked.name}'", model=True):
            self._parts[key] = checked.to(self.device).run_on(choose_runtime(self.runtime, self.device))

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str] = "street",
        device: str | int = "auto",
        *,
        detector: Detector | str | Mapping[str, Any] | None = "bundled",
        prompts: PromptGenerator | str | Mapping[str, Any] = "bundled",
        masks: PromptableSegmenter | str | Mapping[str, Any] = "bundled",
        working_side: tuple[int, int] | None = None,
        **options: Any,
    ) -> Self:
        """Loads a bundled pipeline by name or a saved one by folder.

        Args:
            name_or_folder: `"street"`, or a folder written by `save_pretrained`.
            device: Where it runs; see the class.
            detector: Replaces that part: an object, or what `oodseg.core.spec` reads, such as
                `"segformer:FOLDER+energy"` or a mapping with all options. None loads no detector: every image
                then needs a score map. `"bundled"` is the pipeline's own.
            prompts: Replaces that part likewise: `"components"`.
            masks: Replaces that part likewise: `"grabcut"` or `"sam:FOLDER"`.
            working_side: Overrides the saved one; see the class.
            options: `runtime`, `precision`, `concurrent_encoding`, `operating_point`, `ignore`,
                `min_confidence`, `min_area` and `max_objects`. Without an operating point, a calibrated
                pipeline none of whose parts is replaced works at `"calibrated"`.

        Raises:
            WeightsError: The folder or a model is missing, damaged, or of another version.
            ConfigError: An unknown name or option.
        """
        folder = find_bundle(name_or_folder)
        config = read_pipeline_config(folder)
        given = {"detector": detector, "prompts": prompts, "masks": masks}
        with collector_paused():
            parts: dict[str, Any] = {
                key: None if spec is None else choose_part(folder, config, key, spec)
                for key, spec in given.items()
            }
        low, high = working_side or config["working_side"]
        as_saved = all(spec == "bundled" for spec in given.values()) and working_side is None
        guarantee = _guarantee(folder, config) if as_saved else None
        if options.get("operating_point") is None:
            options["operating_point"] = "quiet" if guarantee is None else CALIBRATED
        return cls(
            **parts,
            name=config.get("name", folder.name),
            working_side=(low, high),
            device=device,
            guarantee=guarantee,
            **options,
        )

    def save_pretrained(self, folder: str | os.PathLike[str], bits: int = 16) -> None:
        """Writes the pipeline as a folder: `config.json`, one safetensors file per part, `README.md`.

        Args:
            folder: Where.
            bits: How weights are stored: 16, or 8 for files of half the size (see `oodseg.core.weights`).

        Raises:
            ConfigError: Another number of bits.
            OodsegError: The folder cannot be written, or there is no detector to save.
        """
        if self.detector is None:
            raise ConfigError("a pipeline without a detector cannot be saved: give it one first")
        parts = {"detector": self.detector, "prompts": self.prompts, "masks": self.masks}
        notes = {} if self.guarantee is None else {"guarantee": asdict(self.guarantee)}
        save_bundle(Path(folder), self.name, self.working_side, parts, bits, notes)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the height and width at which detector and prompts work on an image of that size."""
        return working_size(height, width, self.working_side)


def _guarantee(folder: Path, config: Mapping[str, Any]) -> Guarantee | None:
    """Reads the guarantee of a saved pipeline."""
    saved = config.get("guarantee")
    try:
        return None if saved is None else Guarantee(**saved)
    except (ConfigError, TypeError) as error:
        raise WeightsError(
            f"{folder / 'config.json'}: the guarantee cannot be read ({error}); calibrate the pipeline again"
        ) from error
