import json
from collections import Counter
from importlib.resources import files

import numpy as np
import pytest

from oodseg.datasets import open_dataset, synthetic
from oodseg.datasets.frames import ANOMALY
from oodseg.errors import DatasetError
from oodseg.images import read_image


def reference():
    return json.loads(files("oodseg.datasets").joinpath("synthetic-1.json").read_text(encoding="utf-8"))


def folder_of(root, head, pictures=True):
    """A folder as `draw_benchmark` leaves it, but for the pixels."""
    (root / "images").mkdir(parents=True)
    for scene in head["frames"] if pictures else ():
        (root / "images" / f"{scene['name']}.png").touch()
    (root / "synthetic.json").write_text(json.dumps(head), encoding="utf-8")
    return root


def test_the_plan_is_balanced() -> None:
    scenes = synthetic.plan()
    assert len({scene["name"] for scene in scenes}) == len(scenes) == 120
    assert Counter(scene["objects"] for scene in scenes) == {0: 20, 1: 40, 2: 20, 3: 20, 4: 20}
    assert set(Counter((scene["domain"], scene["weather"]) for scene in scenes).values()) == {6}
    assert [scene["name"] for scene in scenes] == [scene["name"] for scene in reference()["frames"]]


@pytest.mark.parametrize("number", [0, 29, 53, 118])
def test_this_computer_draws_the_version(number) -> None:
    """Fails if the drawing code was changed without a new version, or a library draws otherwise."""
    scene = synthetic.plan()[number]
    picture, label = synthetic.draw(number, scene)
    assert picture.shape == (360, 640, 3)
    assert set(np.unique(label)) == ({0} if scene["objects"] == 0 else {0, ANOMALY})
    drawn = scene | synthetic.describe(picture, label)
    assert synthetic._same(reference()["frames"][number], drawn)


def test_drawing_writes_what_is_read_again(tmp_path, monkeypatch) -> None:
    scenes = [synthetic.plan()[number] for number in (0, 5)]
    monkeypatch.setattr(synthetic, "plan", lambda: [dict(scene) for scene in scenes])
    done = []
    synthetic.draw_benchmark(tmp_path, lambda *each: done.append(each))
    assert done == [(1, 2), (2, 2)]
    found = open_dataset(tmp_path)
    assert (found.key, found.track, len(found.frames)) == ("synthetic", "obstacle", 2)
    assert found.frames[1].groups == {"domain": "city", "weather": "noon", "objects": "4"}
    picture, label = synthetic.draw(1, scenes[1])
    np.testing.assert_array_equal(found.frames[1].label, label)
    np.testing.assert_array_equal(read_image(found.frames[1].image_path), picture)
    assert not found.frames[0].label.any()
    # 118 scenes of the version are missing: it is another one.
    assert found.split.startswith("synthetic-1+")


def test_the_version_is_recognised_with_a_few_pixels_of_difference(tmp_path) -> None:
    head = reference()
    head["frames"][7]["pixels"] += 20
    head["frames"][8]["colour"][1] += 0.3
    found = open_dataset(folder_of(tmp_path, head))
    assert (found.split, found.notes) == ("synthetic-1", ())


@pytest.mark.parametrize(("key", "value"), [
    ("pixels", 90000), ("centre", [0.0, 0.0]), ("colour", [9.0, 9.0, 9.0]), ("objects", 0),
])  # fmt: skip
def test_drift_is_another_version(tmp_path, key, value) -> None:
    head = reference()
    name = head["frames"][5]["name"]
    head["frames"][5][key] = value
    found = open_dataset(folder_of(tmp_path, head))
    assert found.split.startswith("synthetic-1+")
    (note,) = found.notes
    assert f"1 of these scenes are not those of synthetic-1 ({name} is the first)" in note


@pytest.mark.parametrize(("damage", "message"), [
    (lambda root, head: (root / "synthetic.json").write_text("{"), "no list of drawn scenes"),
    (lambda root, head: (root / "synthetic.json").write_text('{"version": "synthetic-1"}'), "no list of"),
    (lambda root, head: (root / "synthetic.json").write_text(json.dumps(head | {"version": "synthetic-0"})),
     "is synthetic-0, this oodseg draws synthetic-1"),
    (lambda root, head: (root / "images" / "003_city_noon.png").unlink(), "003_city_noon.png is missing"),
])  # fmt: skip
def test_a_damaged_folder_is_named(tmp_path, damage, message) -> None:
    head = reference()
    folder_of(tmp_path, head)
    damage(tmp_path, head)
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path)
