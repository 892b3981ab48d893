"""Gives the objects of a video identities, and a confidence that gathers evidence from frame to frame."""

from oodseg.tracking.tracker import Tracker, track

__all__ = ["Tracker", "track"]
