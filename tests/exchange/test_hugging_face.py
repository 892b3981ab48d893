import json

import pytest
from label_cases import SIZE
from pycocotools import mask as rle_tools

from oodseg.core.errors import DatasetError
from oodseg.exchange import read, write


@pytest.fixture
def out(labelled, tmp_path):
    write(labelled, tmp_path / "out", "huggingface")
    return tmp_path / "out"


def test_a_line_holds_all_of_an_image(out, labelled):
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == ["images/a.png", "images/b.png", "images/sub/a.png"]
    objects = rows[2]["objects"]
    assert objects["category"] == ["unknown", "ignore"]
    mask = rle_tools.decode({"size": list(SIZE), "counts": objects["rle"][0]})
    assert (mask == labelled[2].objects[0].mask).all()


def test_datasets_reads_the_same_pixels(out, labelled, tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(
        "imagefolder", data_dir=str(out), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(rows) == 3
    for row in rows:
        image = next(x for x in labelled if x.path.parts[-2:] == tuple(row["image"].filename.split("/")[-2:])
                     or row["image"].filename.endswith(f"images/{x.name}"))  # fmt: skip
        size = [row["height"], row["width"]]
        masks = [rle_tools.decode({"size": size, "counts": counts}) for counts in row["objects"]["rle"]]
        assert [mask.astype(bool).tobytes() for mask in masks] == [
            x.mask.tobytes() for _, x in image.labelled()
        ]


def test_an_image_folder_without_masks_is_another_format(out):
    (out / "metadata.jsonl").write_text('{"file_name": "images/a.png", "text": "a street"}\n')
    with pytest.raises(DatasetError, match="no known format"):
        read(out)


def test_a_broken_line_is_one_sentence(out):
    text = (out / "metadata.jsonl").read_text()
    (out / "metadata.jsonl").write_text(text.replace('"height": 40', '"height": 4'))
    with pytest.raises(
        DatasetError, match=r"metadata\.jsonl holds no metadata of an image folder with masks"
    ):
        read(out, "huggingface")
