import csv
import json
import math
import re
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import failure_fakes
import oodseg
import oodseg.runs
import tiny_segmenter
from failure_fakes import HEIGHT, WIDTH, RedIsWrong, save_image
from oodseg import CallableSegmenter
from oodseg.core.errors import ConfigError, ImageError, WeightsError
from oodseg.core.input_warnings import InputWarning
from oodseg.runs.loop import Pace
from tiny_segmenter import TinySegmenter

REDS = {"calm": 4, "half red": 32, "red #1": 60, "some": 16}
WORST_FIRST = ["red #1.png", "half red.png", "some.png", "calm.png"]


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    failure_fakes.register(monkeypatch)
    tiny_segmenter.register(monkeypatch)


@pytest.fixture
def photos(tmp_path):
    for name, red in REDS.items():
        save_image(tmp_path / "photos" / f"{name}.png", red)
    return tmp_path / "photos"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def judge(photos, out, **options):
    return oodseg.runs.judge(photos, "red_is_wrong", out, **options)


def count_calls(monkeypatch):
    calls = []
    original = RedIsWrong.assess

    def counting(self, image, labels=None):
        calls.append(image)
        return original(self, image, labels)

    monkeypatch.setattr(RedIsWrong, "assess", counting)
    return calls


def test_ranked_lists(photos, out):
    run = judge(photos, out)
    assert [each.name for each in run.worst()] == WORST_FIRST
    assert (run.images, run.failures, run.page) == (4, {}, out / "index.html")
    found = json.loads((out / "failures.json").read_text())
    assert [each["file_name"] for each in found["images"]] == WORST_FIRST
    assert [each["rank"] for each in found["images"]] == [1, 2, 3, 4]
    first = found["images"][0]
    assert first["estimated_mean_iou"] == pytest.approx(1 - 60 / WIDTH, abs=1e-3)
    assert first["estimated_iou"] == {"lower": pytest.approx(0.0625), "upper": pytest.approx(0.0625)}
    assert first["expected_wrong_share"] == pytest.approx(60 / WIDTH, abs=1e-3)
    assert found["info"]["complete"] is True
    rows = list(csv.DictReader((out / "failures.csv").open()))
    assert [row["file_name"] for row in rows] == WORST_FIRST
    assert list(rows[0]) == [
        "rank", "file_name", "estimated_mean_iou", "expected_wrong_share", "iou_lower", "iou_upper",
    ]  # fmt: skip


def test_error_map_labels_and_heat(photos, out):
    judge(photos, out)
    error = cv2.imread(str(out / "error" / "some.png"), cv2.IMREAD_UNCHANGED)
    assert error.dtype == np.uint16
    assert error.shape == (HEIGHT, WIDTH)
    assert (error[:, :16] == 65535).all()
    assert not error[:, 16:].any()
    labels = cv2.imread(str(out / "labels" / "some.png"), cv2.IMREAD_UNCHANGED)
    assert labels.dtype == np.uint8
    assert (labels[: HEIGHT // 2] == 1).all()
    assert not labels[HEIGHT // 2 :].any()
    heat = np.asarray(Image.open(out / "heat" / "some.png"), float).mean(2)
    assert heat[:, :16].min() > heat[:, 16:].max() + 50


def test_numbers_as_npy(photos, out):
    judge(photos / "some.png", out, error_format="npy")
    error = np.load(out / "error" / "some.npy", allow_pickle=False)
    assert error.dtype == np.float32
    assert error[:, :16].min() == 1
    assert not (out / "error" / "some.png").exists()


def test_gallery_shows_the_worst_first_and_every_link_holds(photos, out):
    judge(photos, out)
    page = (out / "index.html").read_text()
    assert re.findall(r'class="rank">\d+</span>([^<]+)<', page) == WORST_FIRST
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(links) == 4 * 5
    for link in links:
        assert (out / unquote(link)).is_file(), link
    sizes = re.findall(r'<img src="([^"]+)"[^>]* width="(\d+)" height="(\d+)" loading="lazy">', page)
    assert len(sizes) == 4
    for link, *size in sizes:
        assert Image.open(out / unquote(link)).size == tuple(map(int, size))
    assert "http" not in page.replace("http-equiv", "")


def test_panel_shows_image_prediction_resynthesis_and_error(photos, out):
    judge(photos, out)
    panel = np.asarray(Image.open(out / "panels" / "some.jpg"), float)
    assert panel.shape[1] == 4 * 256 + 3 * 8 + 2 * 8  # a small image is enlarged four times, no more
    middle = panel[28 + 96]
    tiles = [middle[8 + k * 264 :][:256] for k in range(4)]
    assert np.abs(tiles[0][20] - (255, 0, 0)).max() < 12
    assert np.abs(tiles[2][200] - (165, 165, 165)).max() < 12
    assert tiles[3][20].mean() > tiles[3][200].mean() + 50
    assert panel[:28].max() > 200, "titles"


def test_a_broken_image_is_named_and_the_rest_goes_on(photos, out):
    (photos / "broken <1>.png").write_bytes(b"no image")
    run = judge(photos, out)
    assert list(run.failures) == ["broken <1>.png"]
    assert "is not an image" in run.failures["broken <1>.png"]
    found = json.loads((out / "failures.json").read_text())
    assert [each["file_name"] for each in found["images"]] == WORST_FIRST
    assert [each["file_name"] for each in found["failures"]] == ["broken <1>.png"]
    assert found["info"]["complete"] is False
    page = (out / "index.html").read_text()
    assert "Not assessed: 1" in page
    assert "broken &lt;1&gt;.png" in page


def test_second_run_does_nothing_again(photos, out, monkeypatch):
    judge(photos, out)
    first = (out / "failures.json").read_text()
    calls = count_calls(monkeypatch)
    assert judge(photos, out).done_before == 4
    assert calls == []
    assert (out / "failures.json").read_text() == first


@pytest.mark.parametrize("change", ["fresh", "format", "image", "output", "record"])
def test_what_changed_is_done_again(photos, out, monkeypatch, change):
    judge(photos, out)
    options, expected = {}, 1
    if change == "fresh":
        options, expected = {"fresh": True}, 4
    elif change == "format":
        options, expected = {"error_format": "npy"}, 4
    elif change == "image":
        save_image(photos / "calm.png", 50)
    elif change == "output":
        (out / "panels" / "some.jpg").unlink()
    else:
        (out / "records" / "some.json").write_text("{}")
    calls = count_calls(monkeypatch)
    judge(photos, out, **options)
    assert len(calls) == expected


def test_ctrl_c_half_way_keeps_whole_files_and_resumes(photos, out, monkeypatch):
    original, calls = RedIsWrong.assess, []

    def stopping(self, image, labels=None):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(image)
        return original(self, image, labels)

    with monkeypatch.context() as patch:
        patch.setattr(RedIsWrong, "assess", stopping)
        with pytest.raises(KeyboardInterrupt, match=r"interrupted after 2 of 4 images.*same command again"):
            judge(photos, out)
    assert len(json.loads((out / "failures.json").read_text())["images"]) == 2
    later = count_calls(monkeypatch)
    judge(photos, out)
    assert len(later) == 2


def test_an_image_that_broke_since_keeps_its_results_here_too(photos, out):
    judge(photos, out)
    before = {path: path.read_bytes() for path in out.rglob("some.*")}
    assert before
    (photos / "some.png").write_bytes(b"")
    told = judge(photos, out).failures["some.png"]
    assert "some.png is empty" in told
    assert told.endswith("(what an earlier run has found there is kept)")
    assert {path: path.read_bytes() for path in out.rglob("some.*")} == before


def test_a_list_loses_no_images_and_takes_no_others(photos, tmp_path, out):
    judge(photos, out)
    run = judge(photos / "some.png", out)
    assert (run.images, run.done_before) == (1, 1)
    assert [
        each["file_name"] for each in json.loads((out / "failures.json").read_text())["images"]
    ] == WORST_FIRST
    save_image(tmp_path / "other" / "some.png", 3)
    with pytest.raises(ConfigError, match="would replace: choose another folder"):
        judge(tmp_path / "other", out)
    with pytest.raises(ConfigError, match="detector was red_is_wrong, is msp"):
        oodseg.runs.judge(photos, "msp", out)
    with pytest.raises(ConfigError, match="holds results of `oodseg failures`"):
        oodseg.runs.predict(photos, lambda image: None, out, settings={"pipeline": "mine"})


def test_the_list_is_there_while_the_run_goes_on(photos, out, monkeypatch):
    original, listed = RedIsWrong.assess, []

    def looking(self, image, labels=None):
        path = out / "failures.json"
        listed.append(len(json.loads(path.read_text())["images"]) if path.exists() else 0)
        return original(self, image, labels)

    monkeypatch.setattr(RedIsWrong, "assess", looking)
    monkeypatch.setattr(Pace, "_QUICK", math.inf)  # on a slow disk the list would be some images behind
    judge(photos, out)
    assert listed == [0, 1, 2, 3]


def test_what_is_passed_over_is_noted(photos, out):
    (photos / "labels.json").write_text("{}")
    with pytest.warns(InputWarning, match=r"passed over: 1 file that is no image \(labels.json\)"):
        judge(photos, out)


def test_nothing_is_written_before_everything_is_there(photos, out):
    with pytest.raises(WeightsError, match="the failure detector nonsense does not exist"):
        oodseg.runs.judge(photos, "nonsense", out)
    with pytest.raises(ConfigError, match="'direct' must be trained first"):
        oodseg.runs.judge(photos, "direct", out)
    with pytest.raises(ImageError, match=r"none\.png does not exist"):
        judge(photos / "none.png", out)
    assert not out.exists()


def test_what_judges_by_default(photos, out):
    def detector(**options):
        oodseg.runs.judge(photos / "some.png", out=out, fresh=True, **options)
        return json.loads((out / "failures.json").read_text())["info"]["settings"]["detector"]

    assert detector(segmenter=TinySegmenter()) == "msp"
    assert detector() == "street"
    assert (out / "panels" / "some.jpg").exists()


def test_msp_works_with_a_segmenter_of_the_zoo(photos, out, monkeypatch):
    oodseg.runs.judge(photos, "msp", out, segmenter="tiny")
    found = json.loads((out / "failures.json").read_text())
    assert set(found["images"][0]["estimated_iou"]) <= set(TinySegmenter.classes)
    assert found["info"]["settings"]["segmenter"] == "tiny"


def test_images_in_memory(out):
    red = np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8)
    run = oodseg.runs.judge(iter([("red", red), ("black", red * 0)]), "red_is_wrong", out)
    assert [each.name for each in run.worst()] == ["red", "black"]


class Grey(nn.Module):
    """Two classes by how bright a pixel is."""

    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, images):
        bright = self.gain * (images.mean(1, keepdim=True) - 0.5)
        return torch.cat([-bright, bright], 1)


def test_a_network_of_ones_own_is_told_from_others_by_its_weights(photos, out):
    def found(gain, **options):
        segmenter = CallableSegmenter(Grey(gain), ["dark", "bright"])
        return oodseg.judge(photos, out=out, segmenter=segmenter, **options)

    assert found(2.0).done_before == 0
    assert found(2.0).done_before == 4
    settings = json.loads((out / "failures.json").read_text())["info"]["settings"]
    assert settings["segmenter"]["classes"] == ["dark", "bright"]
    with pytest.raises(ConfigError, match="other settings"):
        found(3.0)
    assert found(3.0, fresh=True).done_before == 0


def test_a_function_is_never_taken_for_another(photos, tmp_path):
    segmenter = CallableSegmenter(lambda images: torch.cat([images[:, :1], 1 - images[:, :1]], 1), ["a", "b"])
    for name in ("one", "two"):
        oodseg.judge(photos, out=tmp_path / name, segmenter=segmenter)
    one, two = (
        json.loads((tmp_path / name / "failures.json").read_text())["info"]["settings"]["segmenter"]
        for name in ("one", "two")
    )
    assert one["sha256"] != two["sha256"]
