import json
from concurrent.futures import Future

import numpy as np
import pytest

from oodseg.runs import comparison
from oodseg.runs.comparison import Variant, compare_runtimes, list_variants
from oodseg.runs.timing import STAGES
from redness import street


class Here:
    """Does the work of a process pool in this process, where the tests' pipeline is known."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, work, *arguments):
        done = Future()
        done.set_result(work(*arguments))
        return done


@pytest.fixture
def variants(monkeypatch):
    found = [Variant("torch", "float32"), Variant("torch", "bfloat16"), Variant("openvino", "float32")]
    monkeypatch.setattr(comparison, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(comparison, "list_variants", lambda: found)
    monkeypatch.setattr("oodseg.core.runtimes.available_runtimes", lambda: ["openvino", "torch"])
    return found


@pytest.mark.parametrize(
    ("installed", "fast", "expected"),
    [
        (["torch"], False, ["torch float32"]),
        (["torch"], True, ["torch float32", "torch bfloat16"]),
        (
            ["openvino", "onnxruntime", "torch"],
            True,
            [
                "torch float32",
                "torch bfloat16",
                "onnxruntime float32",
                "openvino float32",
                "openvino bfloat16",
            ],
        ),
    ],
)
def test_variants_are_those_of_the_machine(installed, fast, expected, monkeypatch):
    monkeypatch.setattr(comparison, "available_runtimes", lambda: installed)
    monkeypatch.setattr(comparison, "has_fast_bfloat16", lambda device: fast)
    assert [f"{each.runtime} {each.precision}" for each in list_variants()] == expected


def test_every_variant_is_timed_and_compared_with_torch(red, variants, monkeypatch):
    masks = comparison._masks

    def worse(s2m, *rest):
        found = masks(s2m, *rest)
        if s2m.runtime == "openvino":
            found[1, :16] ^= True
        return found

    monkeypatch.setattr(comparison, "_masks", worse)
    told = []
    report = compare_runtimes(
        red, street(), runs=1, sizes=((160, 128),), progress=lambda *each: told.append(each)
    )
    assert json.loads(json.dumps(report)) == report
    assert [(each["runtime"], each["precision"]) for each in report["results"]] == [
        (each.runtime, each.precision) for each in variants
    ]
    sizes = [each["sizes"][0] for each in report["results"]]
    assert [each["difference"] for each in sizes] == [0, 0, 16 / 128]
    assert sizes[1]["ratio"] == 1  # torch in its usual precision
    assert all(tuple(each["least_milliseconds"]) == STAGES for each in sizes)
    assert [each["fallback"] for each in report["results"]] == [None] * 3
    assert told == [("variants", done, 3) for done in (1, 2, 3)]


def test_masks_are_those_of_the_image_and_of_two_drawn_scenes(red, variants):
    found = comparison._masks(comparison.S2M.from_pretrained(red), street((20, 20, 60, 60)), 160, 128)
    assert found.shape == (3, 128, 160)
    assert found.dtype == np.bool_
    assert found[0].any()
