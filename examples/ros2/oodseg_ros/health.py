"""Keeps count of what the node does and says how it fares; needs no ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oodseg import Prediction

OK, WARN, ERROR = b"\x00", b"\x01", b"\x02"  # levels of diagnostic_msgs/DiagnosticStatus
SILENCE = 5.0  # seconds without an image after which something is wrong upstream


@dataclass
class Health:
    """Counts images since the start.

    Attributes:
        name: Of the node.
        hardware: What the networks run on.
        started: Seconds, of the clock that the other times are of.
        images: Images answered.
        failed: Images that could not be used.
        objects: Objects of the last image.
        milliseconds: Time that the last image took.
        delay: Seconds from the last image's stamp to its answer.
        last: When the last image came, in seconds.
        fault: Why the last image could not be used; empty if it could.
    """

    name: str
    hardware: str
    started: float
    images: int = 0
    failed: int = 0
    objects: int = 0
    milliseconds: float = 0.0
    delay: float = 0.0
    last: float | None = None
    fault: str = ""

    def answered(self, prediction: Prediction, now: float, stamp: float) -> None:
        """Counts an image that was answered; `now` and its `stamp` in seconds."""
        self.images += 1
        self.objects = len(prediction.objects)
        self.milliseconds = prediction.timings.get("total", 0.0)
        self.delay, self.last, self.fault = now - stamp, now, ""

    def refused(self, fault: str, now: float) -> None:
        """Counts an image that could not be used."""
        self.failed += 1
        self.last, self.fault = now, fault

    def status(self, now: float) -> dict[str, Any]:
        """Gives the fields of a `diagnostic_msgs/DiagnosticStatus`."""
        level, message = self._verdict(now)
        values = {
            "images": f"{self.images}",
            "images that could not be used": f"{self.failed}",
            "objects in the last image": f"{self.objects}",
            "milliseconds of the last image": f"{self.milliseconds:.0f}",
            "seconds from stamp to answer": f"{self.delay:.2f}",
        }
        return {
            "level": level,
            "name": f"{self.name}: unknown objects",
            "message": message,
            "hardware_id": self.hardware,
            "values": [{"key": key, "value": value} for key, value in values.items()],
        }

    def _verdict(self, now: float) -> tuple[bytes, str]:
        silent = now - (self.started if self.last is None else self.last)
        if silent > SILENCE:
            return WARN, f"no image for {silent:.0f} s: is the topic right, and the camera running?"
        if self.fault:
            return ERROR, self.fault
        return OK, "waiting for the first image" if self.last is None else "running"
