"""`/v1/predict` and `/v1/failures` of a running app."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle_tools
from service_app import BOX, PALE, assert_problem, client, encoded, models, pixels, scene

from redness import HEIGHT, WIDTH, street

JSON, PNG = {"Accept": "application/json"}, {"Accept": "image/png"}


@pytest.fixture(scope="module")
def served():
    with client() as found:
        yield found


def box(x0, y0, x1, y1):
    return [x0, y0, x1 - x0, y1 - y0]


def test_a_raw_body_and_a_form_get_the_same_answer(served) -> None:
    raw = served.post("/v1/predict", content=encoded(), headers=JSON).json()
    form = served.post("/v1/predict", files={"image": ("a.png", encoded())}, headers=JSON).json()
    (found,) = raw["objects"]
    assert found["bbox"] == box(*BOX)
    assert (found["id"], found["area"], raw["width"], raw["height"]) == (1, 1600, WIDTH, HEIGHT)
    mask = rle_tools.decode(found["segmentation"])
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask[30:70, 20:60].all()
    assert raw["operating_point"] == "quiet"
    assert raw["model"]["name"] == "red"
    for answer in (raw, form):
        answer.pop("id")
        assert answer.pop("seconds") >= 0
    assert raw == form


def test_all_brings_what_the_operating_point_leaves_out(served) -> None:
    every = served.post("/v1/predict?all=1", content=encoded()).json()
    assert [each["bbox"] for each in every["objects"]] == [box(*BOX), box(*PALE)]
    assert [each["kept_by"] for each in every["objects"]] == [
        ["quiet", "balanced", "thorough"],
        ["thorough"],
    ]
    for point, count in (("quiet", 1), ("balanced", 1), ("thorough", 2)):
        alone = served.post(f"/v1/predict?operating_point={point}", content=encoded()).json()
        assert alone["objects"] == every["objects"][:count]
    problem = served.post("/v1/predict?operating_point=loud", content=encoded())
    assert_problem(problem, 422, "invalid-parameter", "loud", "thorough")


def test_what_is_kept_is_what_the_pipeline_finds_at_that_point() -> None:
    with client() as fresh:
        alone = fresh.post("/v1/predict", content=encoded()).json()["objects"]
    with client() as fresh:
        fresh.post("/v1/predict?all=1", content=encoded())
        derived = fresh.post("/v1/predict", content=encoded()).json()["objects"]
        counters = fresh.get("/metrics").text
    assert alone == derived
    assert "oodseg_cached_results_total 1.0" in counters


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "bmp", "tiff", "gif"])
def test_formats(served, kind) -> None:
    answer = served.post("/v1/predict", content=encoded(street(BOX), kind), headers=JSON)
    assert answer.status_code == 200, answer.text
    x, y, width, height = answer.json()["objects"][0]["bbox"]
    assert np.abs(np.array([x, y, width, height]) - box(*BOX)).max() <= 2


def test_pictures(served) -> None:
    def view(name):
        answer = served.post(f"/v1/predict?view={name}", content=encoded(), headers=PNG)
        assert answer.headers["content-type"] == "image/png"
        return pixels(answer.content)

    mask, confidence, score = view("mask"), view("confidence"), view("score")
    assert mask.shape == confidence.shape == score.shape == (HEIGHT, WIDTH)
    assert set(np.unique(mask)) == {0, 255}
    assert mask[30:70, 20:60].all()
    assert confidence.max() > 65000
    assert score[50, 40] > score[0, 0] == round(65535 * 4 / 20)
    assert np.array_equal(view("image"), scene())
    overlay = view("overlay")
    assert overlay.shape[2] == 3
    plain = served.post("/v1/predict", content=encoded(), headers=PNG)
    assert np.array_equal(pixels(plain.content), overlay), "the overlay is what PNG means"


def test_a_failure_detector_answers_likewise(served) -> None:
    image = street((0, 0, 64, HEIGHT))
    answer = served.post("/v1/failures", content=encoded(image), headers=JSON).json()
    assert [each["name"] for each in answer["classes"]] == ["lower", "upper"]
    assert 0 < answer["error"] < 1
    assert answer["interval"] is None
    error = pixels(served.post("/v1/failures", content=encoded(image), headers=PNG).content)
    assert error.shape == (HEIGHT, WIDTH)
    assert error[:, :64].min() > error[:, 64:].max()
    for view in ("heat", "labels", "panel"):
        shown = served.post(f"/v1/failures?view={view}", content=encoded(image))
        assert pixels(shown.content).ndim == 3


def pages(kind):
    """A file of three images, of which the first is a street."""
    buffer, first = io.BytesIO(), Image.fromarray(street(BOX))
    others = [Image.fromarray(street((30, 30, 70, 70))), Image.fromarray(street())]
    first.save(buffer, kind, save_all=True, append_images=others)
    return buffer.getvalue()


def dark(pillow_mode):
    """An image of 16 bits that fills 12 of them."""
    grey = street(BOX).astype(np.uint16).mean(2).astype(np.uint16) * 16
    if pillow_mode == "grey":
        buffer = io.BytesIO()
        Image.fromarray(grey).save(buffer, "png")
        return buffer.getvalue()
    return cv2.imencode(".png", np.dstack([grey] * 3))[1].tobytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pages("tiff"), "the upload holds 3 images, of which the first is taken"),
        (pages("gif"), "the upload holds 3 images"),
        (pages("webp"), "the upload holds 3 images"),
        (dark("grey"), "the upload has 16 bits per channel and no value above"),
        (dark("colours"), "the upload has 16 bits per channel and no value above"),
    ],
    ids=["tiff", "gif", "webp", "grey of 12 bits", "colours of 12 bits"],
)
def test_what_is_odd_about_an_image_is_told_every_time(served, content, words) -> None:
    for path in ("predict", "predict", "failures", "failures"):  # the second answer is a kept one
        warnings = served.post(f"/v1/{path}", content=content, headers=JSON).json()["warnings"]
        assert len([each for each in warnings if each.startswith(words)]) == 1, (path, warnings)


def test_without_a_failure_detector() -> None:
    def alone():
        found = models()
        return type(found)(found.s2m, None, found.known, found.usual)

    with client(alone) as found:
        assert_problem(found.post("/v1/failures", content=encoded()), 404, "not-found", "OODSEG_FAILURES")
        assert found.get("/v1/model").json()["failures"] is None


def test_neither_json_nor_png(served) -> None:
    answer = served.post("/v1/predict", content=encoded(), headers={"Accept": "text/html"})
    assert_problem(answer, 406, "not-acceptable", "image/png")
