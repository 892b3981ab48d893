"""The meaning of a network's confidences: their calibration, and the threshold of each operating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from oodseg.core.errors import ConfigError
from oodseg.core.parts import OPERATING_POINTS


@dataclass(frozen=True)
class Reading:
    """Holds the calibration of the network's confidence and the threshold of each operating point.

    Attributes:
        calibration: What the logit of the network's confidence (above 0) and the mean score in the middle
            of the box count, and an offset: the sum is the logit of the confidence given out. The network
            looks at shapes and learns to overlook how high a score is; real objects and false alarms
            differ in just that. See `oodseg.training.box_calibration.calibrate`.
        operating_points: Least confidence by name (`OPERATING_POINTS`), chosen once on ordinary validation
            streets with `oodseg.training.operating_points.choose_operating_points`.
    """

    calibration: Sequence[float] = (1.0, 0.0, 0.0)
    operating_points: Mapping[str, float] = field(
        default_factory=lambda: {"quiet": 0.5, "balanced": 0.4, "thorough": 0.25}
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "calibration", tuple(self.calibration))  # JSON has lists alone
        if len(self.calibration) != 3 or not self.calibration[0] > 0:
            raise ConfigError(
                "calibration takes a weight above 0 for the confidence, one for the score, and an offset, "
                f"got {list(self.calibration)}"
            )
        wrong = set(self.operating_points) ^ set(OPERATING_POINTS)
        if wrong or not all(0 <= each <= 1 for each in self.operating_points.values()):
            raise ConfigError(
                f"operating points need a confidence in 0..1 for each of {', '.join(OPERATING_POINTS)}, "
                f"got {dict(self.operating_points)}"
            )
        ordered = {name: self.operating_points[name] for name in OPERATING_POINTS}
        object.__setattr__(self, "operating_points", ordered)

    def least_confidence(self, operating_point: str | float) -> float:
        """Returns the least confidence of a box at an operating point, which may be that number itself."""
        return self.operating_points[operating_point] if isinstance(operating_point, str) else operating_point
