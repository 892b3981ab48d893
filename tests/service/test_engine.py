"""The engine: order, batches, and its end."""

import threading

import pytest
import torch
from service_app import models, scene

from oodseg import S2M
from oodseg.core.errors import ImageError
from oodseg.service.engine import Engine
from oodseg.service.meter import Meter
from oodseg.service.models import Models
from oodseg.service.problems import Problem
from redness import street


class Gate:
    """Models whose first computation waits until it is let go."""

    def __init__(self):
        self.models, self.open, self.entered = models(), threading.Event(), threading.Event()
        self.seen = []
        look_at = self.models.s2m.look_at

        def look(images):
            self.seen.append(len(images))
            return look_at(images)

        self.models.s2m.look_at = look

    def __call__(self):
        return self.models

    def hold(self, engine):
        """Keeps the engine busy until `open` is set; what it saw before is forgotten."""
        self.seen.clear()

        def wait(*_):
            self.entered.set()
            assert self.open.wait(120)

        future = engine._submit(0, "wait", wait)
        assert self.entered.wait(120)
        return future


@pytest.fixture
def gate():
    return Gate()


def running(load, **options):
    engine = Engine(load, Meter(), **options)
    engine.start()
    assert engine.wait(60)
    return engine


def test_requests_go_before_frames_and_nobody_who_left_is_served(gate) -> None:
    engine, order = running(gate), []
    gate.hold(engine)
    frame = engine.predict(scene(), "quiet", frame=True)
    frame.add_done_callback(lambda _: order.append("frame"))
    left = engine.predict(scene(), "quiet")
    assert left.cancel()
    request = engine.predict(scene(), "thorough")
    request.add_done_callback(lambda _: order.append("request"))
    gate.open.set()
    assert len(request.result(60).objects) == 2
    assert len(frame.result(60).objects) == 1
    assert order == ["request", "frame"]
    assert engine.stop(60)


def test_images_that_wait_are_seen_at_once_and_found_as_alone(gate) -> None:
    alone = running(models)
    expected = [alone.predict(image, "thorough").result(60) for image in (scene(), street(), scene())]
    alone.stop(60)
    engine = running(gate, batch=4, patience=0.0)
    gate.hold(engine)
    futures = [engine.predict(image, "thorough") for image in (scene(), street(), scene())]
    judged = engine.judge(scene())
    gate.open.set()
    found = [future.result(60) for future in futures]
    assert gate.seen[0] == 3
    for one, other in zip(found, expected, strict=True):
        assert [each.rle for each in one.objects] == [each.rle for each in other.objects]
        assert [each.confidence for each in one.objects] == pytest.approx(
            [each.confidence for each in other.objects]
        )
    assert judged.result(60).error.shape == scene().shape[:2]
    engine.stop(60)


def test_a_batch_that_does_not_fit_is_looked_at_one_by_one(gate) -> None:
    look_at = gate.models.s2m.look_at

    def small(images):
        if len(images) > 1:
            raise ImageError("the batch does not fit into memory")
        return look_at(images)

    gate.models.s2m.look_at = small
    engine = running(gate, batch=4)
    gate.hold(engine)
    futures = [engine.predict(scene(), "quiet") for _ in range(3)]
    gate.open.set()
    assert [len(future.result(60).objects) for future in futures] == [1, 1, 1]
    engine.stop(60)


def test_what_was_asked_before_the_end_is_answered_and_nothing_after(gate) -> None:
    engine = running(gate)
    gate.hold(engine)
    asked = engine.predict(scene(), "quiet")
    stopped = threading.Thread(target=engine.stop, args=(60,))
    stopped.start()
    while engine.ready:
        pass
    with pytest.raises(Problem, match="shutting down"):
        engine.predict(scene(), "quiet")
    gate.open.set()
    assert len(asked.result(60).objects) == 1
    stopped.join(60)


def test_it_is_ready_once_everything_has_been_tried(gate) -> None:
    engine, tried = Engine(gate, Meter()), threading.Event()
    assess = gate.models.judge.assess

    def first(image):
        assert not engine.ready
        tried.set()
        return assess(image)

    gate.models.judge.assess = first
    engine.start()
    assert engine.wait(60)
    assert tried.is_set()
    assert gate.seen == [1]
    engine.stop(60)


def test_models_that_fail_when_tried_are_never_ready(gate) -> None:
    def broken(_):
        raise ImageError("no eyes")

    gate.models.judge.assess = broken
    engine = Engine(gate, Meter())
    engine.start()
    assert not engine.wait(60)
    assert "no eyes" in engine.state


def test_a_twin_shares_the_weights_and_nothing_else() -> None:
    whole = Models(S2M.from_pretrained("street"), None, {}, "quiet")
    twin = whole.twin()
    for part, other in ((whole.s2m.detector, twin.s2m.detector), (whole.s2m.masks, twin.s2m.masks)):
        assert part is not other
        tensors, others = part.state_dict(), other.state_dict()
        assert {name: each.data_ptr() for name, each in tensors.items()} == {
            name: each.data_ptr() for name, each in others.items()
        }
        modules = {id(each) for each in part.modules()}
        assert not modules & {id(each) for each in other.modules()}
    twin.s2m.operating_point = "thorough"
    assert whole.s2m.operating_point == "quiet"


def test_a_failing_computation_fails_alone(gate) -> None:
    engine = running(gate)
    with pytest.raises(ImageError):
        engine.predict(street(size=(4, 4)), "quiet").result(60)
    assert engine.predict(scene(), "quiet").result(60).objects
    engine.stop(60)


def test_several_compute_at_once_and_find_what_one_finds(monkeypatch) -> None:
    images = [street((8 * number, 20, 8 * number + 24, 50)) for number in range(4)]
    alone = running(models)
    expected = [alone.predict(image, "thorough").result(60) for image in images]
    alone.stop(60)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    engine = running(models, workers=2)
    together = threading.Barrier(2, timeout=60)
    meeting = [engine._submit(0, "wait", lambda *_: together.wait()) for _ in range(2)]
    for each in meeting:
        each.result(60)
    found = [engine.predict(image, "thorough") for image in images]
    assert [[each.rle for each in future.result(60).objects] for future in found] == [
        [each.rle for each in one.objects] for one in expected
    ]
    assert engine.judge(scene()).result(60).error.shape == scene().shape[:2]
    assert engine.stop(60)
