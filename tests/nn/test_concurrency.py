import threading

import numpy as np
import pytest
import torch

from oodseg import S2M
from oodseg.core.devices import _precision, full_precision
from oodseg.masks.box import BoxSegmenter
from oodseg.nn.concurrency import encoder_stream, in_background
from oodseg.prompts.components import ComponentPrompts
from redness import Redness, street

WAIT = 20.0


class Watched(BoxSegmenter):
    """Says when it embeds, in which thread and in which mode."""

    def __init__(self, fault=None):
        super().__init__()
        self.begun, self.fault, self.seen = threading.Event(), fault, {}

    def embed(self, image):
        self.seen = {
            "thread": threading.current_thread().name,
            "inference": torch.is_inference_mode_enabled(),
            "full precision": _precision.get() == "full",
        }
        self.begun.set()
        if self.fault is not None:
            raise self.fault
        return super().embed(image)


class Waiting(Redness):
    """Scores only once the embedding has begun: one after the other it would wait in vain."""

    def __init__(self, begun):
        super().__init__()
        self.begun = begun

    def score(self, images):
        assert self.begun.wait(WAIT)
        return super().score(images)


def pipeline(masks, *, concurrent, detector=None):
    return S2M(detector or Redness(), ComponentPrompts(min_area=20), masks, concurrent_encoding=concurrent)


def test_the_image_is_embedded_while_the_detector_is_at_work():
    masks = Watched()
    found = pipeline(masks, concurrent=True, detector=Waiting(masks.begun))(street((10, 20, 40, 50)))
    assert len(found.objects) == 1
    assert masks.seen == {"thread": "oodseg-encoder", "inference": True, "full precision": False}


def test_concurrency_changes_nothing_but_the_order():
    image = street((10, 20, 40, 50), (80, 10, 120, 60))
    apart, together = (pipeline(BoxSegmenter(), concurrent=way)(image) for way in (False, True))
    assert np.array_equal(apart.mask, together.mask)
    assert np.array_equal(apart.confidence, together.confidence)
    assert set(together.timings) == set(apart.timings)
    assert together.timings["total"] == pytest.approx(
        sum(together.timings.values()) - together.timings["total"]
    )


@pytest.mark.parametrize("concurrent", [True, False])
def test_an_error_of_the_encoder_reaches_the_caller_if_there_is_anything_to_outline(concurrent):
    broken = pipeline(Watched(RuntimeError("wrong shape")), concurrent=concurrent)
    assert not broken(street()).objects
    with pytest.raises(RuntimeError, match="wrong shape"):
        broken(street((10, 20, 40, 50)))
    assert not [each for each in threading.enumerate() if each.name == "oodseg-encoder"]


def test_an_error_of_the_detector_is_not_hidden_and_no_thread_is_left():
    class Broken(Redness):
        def score(self, images):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        pipeline(BoxSegmenter(), concurrent=True, detector=Broken())(street())
    assert not [each for each in threading.enumerate() if each.name == "oodseg-encoder"]


def test_without_it_nothing_is_embedded_for_a_image_without_objects():
    masks = Watched()
    pipeline(masks, concurrent=False)(street())
    assert not masks.begun.is_set()


def test_settings_of_the_caller_hold_in_the_thread():
    masks = Watched()
    with full_precision():
        pipeline(masks, concurrent=True)(street((10, 20, 40, 50)))
    assert masks.seen["full precision"]


@pytest.mark.parametrize(
    ("device", "concurrent", "expected"),
    [("cpu", "auto", False), ("cpu", True, True), ("cuda", "auto", True), ("cuda:1", "auto", True)],
)
def test_auto_is_concurrent_on_a_gpu(monkeypatch, device, concurrent, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    s2m = S2M(None, ComponentPrompts(), BoxSegmenter(), device=device, concurrent_encoding=concurrent)
    assert s2m.encodes_concurrently is expected


def test_work_is_waited_for_even_if_nobody_asks():
    done, go = [], threading.Event()

    def work():
        go.wait(WAIT)
        done.append(True)

    with in_background(work):
        assert not done
        go.set()
    assert done


def test_a_gpu_has_a_stream_for_the_encoder_that_waits_for_what_came_before(monkeypatch):
    waited, entered = [], []

    class Stream:
        def __init__(self, device):
            self.device = device

        def wait_stream(self, other):
            waited.append((self.device, other))

    def enter(stream):
        entered.append(stream)
        return stream

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"current of {device}")
    monkeypatch.setattr(torch.cuda, "stream", enter)
    first, second = encoder_stream("cuda:7"), encoder_stream("cuda:7")
    assert first is second
    assert waited == [("cuda:7", "current of cuda:7")] * 2
    with encoder_stream("cpu") as nothing:
        assert nothing is None
