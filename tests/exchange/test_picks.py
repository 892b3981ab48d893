import json

import pytest
from label_cases import SIZE

from oodseg.core.errors import DatasetError
from oodseg.exchange import LabelledImage, read, write
from oodseg.exchange.picks import keep_picked


def picks(folder, *keep):
    path = folder / "picks.json"
    listed = [{"image": image, "object": number, "box": list(box)} for image, number, box in keep]
    path.write_text(json.dumps({"keep": listed, "reject": []}))
    return path


def test_what_was_kept_is_written(labelled, tmp_path):
    second, other = labelled[0].objects[1], labelled[2].objects[0]
    file = picks(tmp_path, ("sub/a.png", 1, other.bbox), ("a.png", 2, second.bbox))
    export = write(labelled, tmp_path / "out", picks=file)
    assert (export.images, export.objects) == (2, 2)
    first, last = read(tmp_path / "out")
    assert (first.name, first.objects[0].rle) == ("a.png", second.rle)
    assert (last.name, last.objects[0].rle) == ("sub/a.png", other.rle)
    assert not (tmp_path / "out" / "images" / "b.png").exists()


@pytest.mark.parametrize(
    ("image", "number", "box"),
    [
        ("a.png", 2, (0, 0, 1, 1)),
        ("a.png", 9, (0, 0, 1, 1)),
        ("a.png", 0, (0, 0, 1, 1)),
        ("z.png", 1, (0, 0, 1, 1)),
    ],
)
def test_picks_of_other_results_are_refused(labelled, tmp_path, image, number, box):
    with pytest.raises(DatasetError, match=f"other results .object {number} of {image} is another"):
        keep_picked(labelled, picks(tmp_path, (image, number, box)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keep": [1]}'])
def test_a_broken_file_is_one_sentence(tmp_path, text):
    (tmp_path / "picks.json").write_text(text)
    with pytest.raises(DatasetError, match=r"picks\.json holds no picks of `oodseg mine`"):
        keep_picked([LabelledImage("a.png", *SIZE)], tmp_path / "picks.json")


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(DatasetError, match=r"picks\.json cannot be read \(No such file .*\): check"):
        keep_picked([LabelledImage("a.png", *SIZE)], tmp_path / "picks.json")
