"""Follows unknown objects from frame to frame, and decides what is shown of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from oodseg.core.objects import OodObject
from oodseg.core.prediction import Prediction
from oodseg.tracking.association import assign, similarities
from oodseg.tracking.motion import RECENT, predict_box
from oodseg.tracking.shapes import Shape, between, outline

MEMORY = 1.0
"""Seconds after which an object that was not found again counts as gone."""
LEAST_FRAMES, MOST_FRAMES = 2, 30
"""Frames for which an object is remembered at least and at most, however many of them make a second."""


@dataclass(frozen=True)
class _Moment:
    """A frame's place in the video."""

    number: int
    time: float

    def remembers(self, earlier: _Moment) -> bool:
        """Tells whether what was last found then may be found again now."""
        passed = self.number - earlier.number
        return passed <= LEAST_FRAMES or (passed <= MOST_FRAMES and self.time - earlier.time <= MEMORY)


@dataclass(eq=False)
class _Track:
    """One object, as far as it is known.

    Attributes:
        last: When it was last found.
        times: Of the last few frames in which it was found, seconds.
        shapes: Its outlines there.
        found: Frames in which it was found.
        doubt: The chance that all of its boxes are false, if they err independently.
        number: What it is called; None before the first frame that shows it is decided.
    """

    last: _Moment
    times: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    shapes: deque[Shape] = field(default_factory=lambda: deque(maxlen=RECENT))
    found: int = 0
    doubt: float = 1.0
    number: int | None = None

    def expected(self, time: float) -> Shape:
        """Predicts its outline at a time."""
        boxes = [shape.box for shape in self.shapes]
        return self.shapes[-1].at(predict_box(self.times, boxes, time))

    def add(self, now: _Moment, shape: Shape, confidence: float) -> None:
        """Notes where it was found."""
        self.last = now
        self.times.append(now.time)
        self.shapes.append(shape)
        self.found += 1
        self.doubt *= 1.0 - confidence


@dataclass(eq=False)
class _Frame:
    """A frame that later ones may still change: its prediction, and what it shows of which track."""

    moment: _Moment
    prediction: Prediction
    seen: list[tuple[_Track, OodObject]] = field(default_factory=list)


class Tracker:
    """Gives objects identities over the frames of one video.

    An object continues the track that resembles it most, once the track has moved on as before
    (`similarities`). A frame is decided when all frames that could change it have been seen, about a second
    later. Then

    - an object has the confidence 1 - Π (1 - c) over the confidences c of its boxes so far: the chance that
      not all of them are false, if they err independently (a noisy-or);
    - a track that was lost for some frames and found again is filled in between, so that it does not
      flicker;
    - a box that no other frame confirms is not among the objects but among the prediction's `unconfirmed`.

    No confidence is compared with anything, so there is no threshold.
    """

    def __init__(self) -> None:
        self._frames: deque[_Frame] = deque()
        self._tracks: list[_Track] = []
        self._now = _Moment(-1, float("-inf"))
        self._named = 0

    def update(self, prediction: Prediction) -> list[Prediction]:
        """Takes the next frame.

        Args:
            prediction: Of one frame, with its `time`, which must be later than that of the frame before.

        Returns:
            The frames that are decided now, oldest first, with identities in their objects.

        Raises:
            ValueError: The prediction has no time, or an earlier one.
        """
        if prediction.time is None or prediction.time <= self._now.time:
            raise ValueError("every frame needs a time, later than that of the frame before")
        now = self._now = _Moment(self._now.number + 1, prediction.time)
        self._tracks = [each for each in self._tracks if now.remembers(each.last)]
        self._frames.append(self._associate(_Frame(now, prediction)))
        return list(self._decided(now))

    def finish(self) -> list[Prediction]:
        """Ends the video.

        Returns:
            The frames that were not decided yet, oldest first.
        """
        left = [self._decide(frame) for frame in self._frames]
        self._frames.clear()
        self._tracks.clear()
        return left

    def _associate(self, frame: _Frame) -> _Frame:
        """Gives every object of a frame its track."""
        now, objects = frame.moment, frame.prediction.objects
        shapes = [Shape.of(found) for found in objects]
        expected = [each.expected(now.time) for each in self._tracks]
        pairs = assign(similarities(expected, shapes))
        continued = {column: self._tracks[row] for row, column in pairs}
        for column, (found, shape) in enumerate(zip(objects, shapes, strict=True)):
            track = continued.get(column)
            if track is None:
                track = _Track(now)
                self._tracks.append(track)
            else:
                self._fill(track, now, shape)
            track.add(now, shape, found.confidence)
            known = replace(found, confidence=1.0 - track.doubt, frame_confidence=found.confidence)
            frame.seen.append((track, known))
        return frame

    def _fill(self, track: _Track, now: _Moment, shape: Shape) -> None:
        """Fills in a track that was lost until now."""
        since = track.last
        for frame in self._frames:
            if frame.moment.number > since.number:
                share = (frame.moment.time - since.time) / (now.time - since.time)
                size = frame.prediction.height, frame.prediction.width
                found = outline(between(track.shapes[-1], shape, share), *size, 1.0 - track.doubt)
                if found is not None:
                    frame.seen.append((track, found))

    def _decided(self, now: _Moment) -> Iterator[Prediction]:
        """Gives the frames that no later one can change."""
        while self._frames and not now.remembers(self._frames[0].moment):
            yield self._decide(self._frames.popleft())

    def _decide(self, frame: _Frame) -> Prediction:
        """Names the tracks that a frame shows."""
        shown, unconfirmed = [], []
        for track, found in frame.seen:
            if track.found < 2:
                unconfirmed.append(replace(found, frame_confidence=None))
                continue
            if track.number is None:
                self._named += 1
                track.number = self._named
            shown.append(replace(found, track=track.number))
        return replace(frame.prediction, objects=shown, unconfirmed=tuple(unconfirmed))


def track(predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """Gives the objects of a video identities; see `Tracker`.

    Args:
        predictions: One per frame, in order, with their times.

    Yields:
        As many predictions in the same order, each about a second of frames later.
    """
    tracker = Tracker()
    for prediction in predictions:
        yield from tracker.update(prediction)
    yield from tracker.finish()
