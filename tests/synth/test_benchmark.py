import json
from collections import Counter
from importlib.resources import files

import numpy as np
import pytest

from oodseg.data import open_dataset
from oodseg.data.frames import ANOMALY
from oodseg.data.synthetic import _same
from oodseg.io.images import read_image
from oodseg.synth import benchmark


def reference():
    return json.loads(files("oodseg.data").joinpath("synthetic-1.json").read_text(encoding="utf-8"))


def test_the_plan_is_balanced() -> None:
    scenes = benchmark.plan()
    assert len({scene["name"] for scene in scenes}) == len(scenes) == 120
    assert Counter(scene["objects"] for scene in scenes) == {0: 20, 1: 40, 2: 20, 3: 20, 4: 20}
    assert set(Counter((scene["domain"], scene["weather"]) for scene in scenes).values()) == {6}
    assert [scene["name"] for scene in scenes] == [scene["name"] for scene in reference()["frames"]]


@pytest.mark.parametrize("number", [0, 29, 53, 118])
def test_this_computer_draws_the_version(number) -> None:
    """Fails if the drawing code was changed without a new version, or a library draws otherwise."""
    scene = benchmark.plan()[number]
    image, label = benchmark.draw(number, scene)
    assert image.shape == (360, 640, 3)
    assert set(np.unique(label)) == ({0} if scene["objects"] == 0 else {0, ANOMALY})
    drawn = scene | benchmark.describe(image, label)
    assert _same(reference()["frames"][number], drawn)


def test_drawing_writes_what_is_read_again(tmp_path, monkeypatch) -> None:
    scenes = [benchmark.plan()[number] for number in (0, 5)]
    monkeypatch.setattr(benchmark, "plan", lambda: [dict(scene) for scene in scenes])
    done = []
    benchmark.draw_benchmark(tmp_path, lambda *each: done.append(each))
    assert done == [("drawing synthetic-1", 1, 2), ("drawing synthetic-1", 2, 2)]
    found = open_dataset(tmp_path)
    assert (found.key, found.track, len(found.frames)) == ("synthetic", "obstacle", 2)
    assert found.frames[1].groups == {"domain": "city", "weather": "noon", "objects": "4"}
    image, label = benchmark.draw(1, scenes[1])
    np.testing.assert_array_equal(found.frames[1].label, label)
    np.testing.assert_array_equal(read_image(found.frames[1].image_path), image)
    assert not found.frames[0].label.any()
    # 118 scenes of the version are missing: it is another one.
    assert found.split.startswith("synthetic-1+")
