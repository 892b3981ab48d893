import json

import numpy as np
import pytest
from PIL import Image

import failure_fakes
import oodseg.runs
from failure_fakes import HEIGHT, WIDTH, save_image
from oodseg.core.errors import DatasetError
from oodseg.metrics.failure import image_iou
from oodseg.runs.truth import open_truth


@pytest.fixture
def photos(tmp_path, monkeypatch):
    failure_fakes.register(monkeypatch)
    for number, red in enumerate((0, 10, 20, 30)):
        save_image(tmp_path / "photos" / f"{number}.png", red)
    return tmp_path / "photos"


def save_truth(folder, number, missed):
    """Upper and lower half, but for so many columns that are the other class."""
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    truth[: HEIGHT // 2] = 1
    truth[:, :missed] = 1 - truth[:, :missed]
    truth[0, 0] = 255
    folder.mkdir(exist_ok=True)
    Image.fromarray(truth).save(folder / f"{number}.png")
    return truth


def test_estimates_are_measured_where_there_is_a_truth(tmp_path, photos):
    truths = [save_truth(tmp_path / "truth", number, 8 * number) for number in range(3)]
    run = oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out", truth=tmp_path / "truth")
    found = json.loads((tmp_path / "out" / "failures.json").read_text())["measured"]
    assert (found["images"], found["without_truth"], found["measure"]) == (3, 1, "IoU")
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[: HEIGHT // 2] = 1
    true = np.array([image_iou(labels, truth, 2) for truth in truths])
    guess = np.array([1 - red / WIDTH for red in (0, 10, 20)])
    assert found["figures"]["mean_mae"] == pytest.approx(np.abs(true.mean(1) - guess).mean(), abs=1e-3)
    assert found["figures"]["mean_pearson"] > 0.9
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Measured against the truth" in page
    assert "Measured risk of the images that are kept" in page
    assert dict(run.facts())["images with a truth"] == "3"
    without = oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out")
    assert without.done_before == 4, "nothing that is estimated depends on the truth"
    assert "measured" not in json.loads((tmp_path / "out" / "failures.json").read_text())


def test_a_truth_that_does_not_fit(tmp_path, photos):
    with pytest.raises(DatasetError, match=r"folder of labels .*none does not exist"):
        oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out", truth=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no label images"):
        oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out", truth=tmp_path / "empty")
    save_truth(tmp_path / "other", "another", 0)
    with pytest.raises(DatasetError, match="holds no label for any image of the run"):
        oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out", truth=tmp_path / "other")
    strange = save_truth(tmp_path / "strange", 0, 0)
    strange[3, 4] = 11
    Image.fromarray(strange).save(tmp_path / "strange" / "0.png")
    with pytest.raises(DatasetError, match=r"0\.png holds the code 11, but the classes are 0 .*255 where"):
        oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out", truth=tmp_path / "strange")
    (tmp_path / "small").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "small" / "0.png")
    with pytest.raises(DatasetError, match=r"0\.png is 4x4, the image 0\.png 64x48"):
        oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out", truth=tmp_path / "small")
    assert not (tmp_path / "out").exists(), "it is found before anything is judged"
    whole = oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out")
    with pytest.raises(DatasetError, match=r"0\.png is 4x4"):
        oodseg.runs.judge(photos, "red_is_wrong", tmp_path / "out", truth=tmp_path / "small", fresh=True)
    assert whole.page.is_file(), "results that are there stay"


def test_a_truth_belongs_to_the_image_of_its_folder(tmp_path):
    for name in ("a", "town/b", "c.d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    truth = open_truth(tmp_path)
    assert truth.find("town/b.jpg", True) == tmp_path / "town" / "b.png"
    assert truth.find("town/a.jpg", True) == tmp_path / "a.png"
    assert truth.find("town/a.jpg", False) is None  # another folder has an image of that name
    assert truth.find("c.d", True) == truth.find("c.d.jpg", True) == tmp_path / "c.d.png"
    assert truth.find("other/b.jpg", True) is None
