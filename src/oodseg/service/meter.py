"""Counts what the service does, for Prometheus."""

from __future__ import annotations

from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

_NAME = "oodseg"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Meter:
    """The counters of one app, in a registry of their own.

    Attributes:
        requests: Answered requests by route, method and status.
        seconds: Time until the answer, by route.
        waiting: Requests with an image that are being answered.
        inference: Time of the models, by kind: `predict` or `judge`.
        batch: Images that the detector saw at once.
        objects: Unknown objects found in images.
        cached: Results that were there already.
        ready: 1 once the models are loaded.
        jobs: Videos by state.
        frames: Frames of videos done.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        counter = partial(Counter, namespace=_NAME, registry=self.registry)
        gauge = partial(Gauge, namespace=_NAME, registry=self.registry)
        histogram = partial(Histogram, namespace=_NAME, registry=self.registry)
        self.requests = counter("requests", "Answered requests.", ("route", "method", "status"))
        self.seconds = histogram("request_seconds", "Time until the answer.", ("route",), buckets=_SECONDS)
        self.waiting = gauge("requests_in_progress", "Requests with an image being answered.")
        self.inference = histogram("inference_seconds", "Time of the models.", ("kind",), buckets=_SECONDS)
        self.batch = histogram(
            "batch_images", "Images the detector saw at once.", buckets=(1, 2, 4, 8, 16, 32)
        )
        self.objects = counter("objects", "Unknown objects found in images.")
        self.cached = counter("cached_results", "Results that were there already.")
        self.ready = gauge("ready", "1 once the models are loaded.")
        self.jobs = gauge("jobs", "Videos by state.", ("state",))
        self.frames = counter("job_frames", "Frames of videos done.")

    def text(self) -> bytes:
        """All counters in Prometheus's text format."""
        return generate_latest(self.registry)
