import json
from importlib.resources import files

import pytest

from oodseg.core.errors import DatasetError
from oodseg.data import open_dataset


def reference():
    return json.loads(files("oodseg.data").joinpath("synthetic-1.json").read_text(encoding="utf-8"))


def folder_of(root, head, images=True):
    """A folder as `draw_benchmark` leaves it, but for the pixels."""
    (root / "images").mkdir(parents=True)
    for scene in head["frames"] if images else ():
        (root / "images" / f"{scene['name']}.png").touch()
    (root / "synthetic.json").write_text(json.dumps(head), encoding="utf-8")
    return root


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
    (lambda root, head: (root / "synthetic.json").write_text("{"), "not a list of drawn scenes"),
    (lambda root, head: (root / "synthetic.json").write_text('{"version": "synthetic-1"}'), "not a list of"),
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
