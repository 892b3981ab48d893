import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oodseg import S2M
from oodseg.core.errors import ConfigError, ImageError, ScoreMapError
from oodseg.core.input_warnings import InputWarning
from oodseg.core.parts import OPERATING_POINTS, Sight
from oodseg.detectors import ScoreNormalizer
from oodseg.detectors.logit import LogitDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts.components import ComponentPrompts
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.reading import Reading
from redness import Redness, make_pipeline, register, save_pipeline, save_street, street


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def red(image):
    return image[..., 0] > 200


def test_finds_every_red_rectangle_as_an_object_of_its_own():
    image = street((10, 20, 40, 50), (80, 10, 120, 60))
    prediction = make_pipeline()(image)
    assert len(prediction.objects) == 2
    assert iou(prediction.mask, red(image)) > 0.85
    assert prediction.confidence[~prediction.mask].max() == 0
    assert prediction.score.dtype == np.float32


@pytest.mark.parametrize("kind", ["path", "string", "pil", "array"])
def test_takes_a_image_in_every_form(tmp_path, kind):
    path = save_street(tmp_path / "a.png", (10, 20, 40, 50))
    image = {
        "path": path,
        "string": str(path),
        "pil": Image.open(path),
        "array": np.asarray(Image.open(path)),
    }[kind]
    prediction = make_pipeline()(image)
    assert len(prediction.objects) == 1
    assert prediction.path == (path if kind in {"path", "string"} else None)
    assert np.array_equal(prediction.read_image(), np.asarray(Image.open(path)))
    assert "<img" in prediction._repr_html_()


def test_a_image_that_is_gone_leaves_the_table(tmp_path):
    path = save_street(tmp_path / "a.png", (10, 20, 40, 50))
    prediction = make_pipeline()(path)
    path.unlink()
    page = prediction._repr_html_()
    assert "<img" not in page
    assert "a.png does not exist" in page
    assert page.count("<tr>") == 2


def test_a_image_without_anything_red_has_no_object():
    prediction = make_pipeline()(street())
    assert not prediction.objects
    assert not prediction.mask.any()
    assert prediction.mask.shape == (96, 128)


def test_large_images_are_worked_on_at_half_size_and_outlined_at_full_size():
    image = street((100, 200, 500, 600), size=(720, 1280))
    prediction = make_pipeline()(image)
    assert prediction.score.shape == (360, 640)
    assert prediction.mask.shape == (720, 1280)
    assert iou(prediction.mask, red(image)) > 0.95


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((720, 1280), (360, 640)),
        ((1024, 2048), (512, 1024)),
        ((1080, 1920), (540, 960)),
        ((360, 480), (360, 480)),
        ((227, 320), (227, 320)),
        ((4320, 7680), (576, 1024)),
        ((1280, 720), (640, 360)),
    ],
)
def test_working_size(size, expected):
    assert make_pipeline().working_size(*size) == expected


@given(st.integers(16, 9000), st.integers(16, 9000))
def test_working_size_never_enlarges_and_stays_in_bounds(height, width):
    h, w = make_pipeline().working_size(height, width)
    assert 16 <= h <= max(height, 16)
    assert 16 <= w <= max(width, 16)
    assert max(h, w) <= 1024


def test_every_stage_is_timed():
    timings = make_pipeline()(street((10, 20, 40, 50))).timings
    assert set(timings) == {"read", "detector", "prompts", "masks", "total"}
    assert timings["total"] == pytest.approx(sum(timings.values()) - timings["total"])


def test_score_maps_from_elsewhere_take_the_detectors_place(tmp_path):
    scores = np.zeros((96, 128), np.float32)
    scores[30:60, 40:90] = 100.0
    pipeline = S2M(None, ComponentPrompts(threshold=1.5, min_area=20), BoxSegmenter())
    prediction = pipeline(street(), score_map=scores)
    assert iou(prediction.mask, scores > 0) > 0.85
    np.save(tmp_path / "scores.npy", scores)
    again = pipeline(street(), score_map=tmp_path / "scores.npy")
    assert np.array_equal(again.mask, prediction.mask)
    # Statistics that call 100 ordinary leave nothing to be found.
    assert not pipeline(street(), score_map=scores, score_normalizer=ScoreNormalizer(100.0, 50.0)).objects


def test_a_score_map_of_another_shape_is_refused():
    with pytest.raises(ScoreMapError, match="50x50 pixels but its image is 128x96"):
        make_pipeline()(street(), score_map=np.random.default_rng(0).random((50, 50)))


def test_without_detector_and_score_map_it_says_what_is_missing():
    with pytest.raises(ConfigError, match="no detector"):
        S2M(None, ComponentPrompts(), BoxSegmenter())(street())
    with pytest.raises(ConfigError, match="without a detector"):
        S2M(None, ComponentPrompts(), BoxSegmenter()).save_pretrained("nowhere")


def test_scores_that_are_not_finite_are_an_error():
    class Broken(Redness):
        def score(self, images):
            return super().score(images) * torch.nan

    with pytest.raises(
        ScoreMapError, match="'redness' gave scores that are not finite, though its weights are"
    ):
        S2M(Broken(), ComponentPrompts(), BoxSegmenter())(street())


def test_weights_that_are_not_finite_are_named():
    network = torch.nn.Conv2d(3, 2, 1)
    detector = LogitDetector(network, normalizer=ScoreNormalizer(0.0, 1.0))
    with torch.no_grad():
        network.weight[0] = torch.nan
    with pytest.raises(ScoreMapError, match=r"for its weights are not \(first of them .*weight\): take"):
        S2M(detector, ComponentPrompts(), BoxSegmenter())(street())


def test_predict_goes_through_a_folder_in_natural_order(tmp_path):
    for name in ("10.png", "2.png", "1.png"):
        save_street(tmp_path / name, (10, 20, 40, 50))
    found = list(make_pipeline().predict(tmp_path))
    assert [each.path.name for each in found] == ["1.png", "2.png", "10.png"]
    assert len(list(make_pipeline().predict([street(), street((10, 20, 40, 50))]))) == 2


def test_a_missing_image_is_named():
    with pytest.raises(ImageError, match="nowhere"):
        make_pipeline()("nowhere.png")


@pytest.mark.parametrize("side", [(16, 640), (800, 640)])
def test_an_impossible_working_side_is_refused(side):
    with pytest.raises(ConfigError, match="working_side"):
        S2M(None, ComponentPrompts(), BoxSegmenter(), working_side=side)


def test_many_boxes_are_outlined_in_bounded_batches():
    class Counting(BoxSegmenter):
        most = 0

        def segment(self, embedding, boxes, scores=None):
            self.most = max(self.most, len(boxes))
            return super().segment(embedding, boxes, scores)

    masks = Counting()
    boxes = [(x, y, x + 8, y + 8) for y in range(4, 150, 16) for x in range(4, 150, 16)]
    prediction = S2M(Redness(), ComponentPrompts(min_area=20), masks)(street(*boxes, size=(160, 160)))
    assert len(prediction.objects) == len(boxes)
    assert masks.most == 16


def test_nothing_is_found_where_it_is_not_to_be():
    image = street((10, 20, 40, 50), (80, 10, 120, 60))
    pipeline = make_pipeline()
    pipeline.ignore = np.zeros((48, 64), bool)
    pipeline.ignore[:, :30] = True  # half the image's size
    (found,) = pipeline(image).objects
    assert found.prompt_box[0] >= 60
    assert not found.mask[:, :60].any()
    pipeline.ignore = np.zeros((48, 64), bool)
    pipeline.ignore[15:] = True  # cuts the taller one
    assert not pipeline(image).mask[30:].any()
    pipeline.ignore = np.zeros((48, 48), bool)
    with pytest.raises(ImageError, match="48x48, the image 128x96"):
        pipeline(image)


class Detailed(Redness):
    """Redness of larger images where they can be had; remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.zoom, self.seen = 2, []

    def look(self, images, zoom=1):
        self.seen.append((zoom, *images.shape[-2:]))
        small = torch.nn.functional.avg_pool2d(images, zoom)
        return Sight(super().score(small), (small[:, :, ::8, ::8], small[:, :, ::16, ::16]))

    def score(self, images):
        raise AssertionError("what shows features is looked at")


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((720, 1280), (2, 720, 1280)),
        ((1080, 1920), (2, 1080, 1920)),
        ((2160, 3840), (2, 1152, 2048)),
        ((700, 1279), (1, 350, 640)),
        ((96, 128), (1, 96, 128)),
    ],
)
def test_details_are_looked_at_where_the_image_has_them(size, seen):
    detector = Detailed()
    pipeline = S2M(detector, ComponentPrompts(min_area=20), BoxSegmenter())
    prediction = pipeline(street((10, 20, 40, 60), size=size))
    assert detector.seen == [seen]
    assert prediction.score.shape == pipeline.working_size(*size)
    assert len(prediction.objects) == 1
    detector.zoom = 1
    again = pipeline(street((10, 20, 40, 60), size=size))
    assert detector.seen[1][0] == 1
    assert again.score.shape == prediction.score.shape


class Watching(ComponentPrompts):
    """Remembers what it was shown beside the scores."""

    def __init__(self) -> None:
        super().__init__(min_area=20)
        self.shown = []

    def propose(self, scores, features=None, operating_point="quiet"):
        self.shown.append((features, operating_point))
        return super().propose(scores)


def test_prompts_see_the_features_behind_the_detectors_own_scores_alone():
    prompts, detector = Watching(), Detailed()
    pipeline = S2M(detector, prompts, BoxSegmenter())
    image = street((10, 20, 40, 60))
    pipeline(image)
    ((features, _),) = prompts.shown
    assert [tuple(each.shape) for each in features] == [(1, 3, 12, 16), (1, 3, 6, 8)]
    for each, expected in zip(features, pipeline.look(image).features, strict=True):
        assert torch.equal(each, expected)
    # What lies behind these scores the pipeline cannot know.
    pipeline(image, score_map=np.random.default_rng(0).random((96, 128)))
    assert prompts.shown[1][0] is None
    S2M(Redness(), prompts, BoxSegmenter())(image)
    assert prompts.shown[2][0] is None


def test_prompts_are_told_the_operating_point(tmp_path, monkeypatch):
    register(monkeypatch)
    for point in OPERATING_POINTS:
        prompts = Watching()
        S2M(Redness(), prompts, BoxSegmenter(), operating_point=point)(street())
        assert prompts.shown[0][1] == point
        again = S2M.from_pretrained(save_pipeline(tmp_path / point), operating_point=point, prompts=prompts)
        again(street())
        assert prompts.shown[1][1] == point
    assert make_pipeline().operating_point == "quiet"


def test_an_unknown_operating_point_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="no operating point 'loud'; choose one of: quiet, balanced"):
        S2M(None, ComponentPrompts(), BoxSegmenter(), operating_point="loud")


def test_a_readier_operating_point_proposes_more():
    torch.manual_seed(1)
    scores = np.random.default_rng(0).normal(size=(96, 128)).astype(np.float32)
    prompts = FasterRCNNPrompts()
    confidence = prompts.candidates(torch.from_numpy(scores)[None])[0].confidence.tolist()
    points = dict(zip(OPERATING_POINTS, (confidence[2], confidence[5], confidence[9]), strict=True))
    prompts.score_only = Reading(operating_points=points)
    found = []
    for point in OPERATING_POINTS:
        pipeline = S2M(None, prompts, BoxSegmenter(), operating_point=point)
        objects = pipeline(street(), score_map=scores, score_normalizer=ScoreNormalizer(0, 1)).objects
        assert all(each.confidence >= points[point] for each in objects)
        found.append([tuple(each.prompt_box) for each in objects])
    assert [len(each) for each in found] == [3, 6, 10]
    assert found[2][:6] == found[1]
    assert found[1][:3] == found[0]


def test_detector_scores_need_a_detector():
    with pytest.raises(ConfigError, match="no detector"):
        S2M(None, ComponentPrompts(), BoxSegmenter()).detector_score(street())


def test_a_broken_image_need_not_end_the_rest(tmp_path):
    good = save_street(tmp_path / "a.png", (20, 20, 60, 60))
    broken = tmp_path / "b.png"
    broken.write_bytes(b"")
    s2m = make_pipeline()
    found = s2m.predict([good, broken, good], on_error="return")
    assert len(found) == 3
    first, error, last = found
    assert len(first.objects) == len(last.objects) == 1
    assert isinstance(error, ImageError)
    with pytest.warns(InputWarning, match=r"left out: .*b\.png is empty"):
        assert len(list(s2m.predict([good, broken, good], on_error="skip"))) == 2
    with pytest.raises(ImageError, match="is empty"):
        list(s2m.predict([good, broken, good]))


def test_the_number_of_images_is_known_where_it_can_be(tmp_path):
    for name in ("a.png", "b.png"):
        save_street(tmp_path / name)
    s2m = make_pipeline()
    assert len(s2m.predict(tmp_path)) == 2
    assert len(s2m.predict(str(tmp_path / "*.png"))) == 2
    with pytest.raises(TypeError, match="one by one"):
        len(s2m.predict(street() for _ in range(2)))
    (tmp_path / "none").mkdir()
    with pytest.raises(ImageError, match="holds no image"):
        s2m.predict(tmp_path / "none")


def test_images_of_opencv():
    image = street((20, 20, 60, 60))
    s2m = make_pipeline()
    swapped = np.ascontiguousarray(image[:, :, ::-1])
    assert not s2m(swapped).objects
    found = s2m(swapped, channels="bgr")
    assert found.objects[0].bbox == (20, 20, 40, 40)
    assert np.array_equal(found.read_image(), image)
    assert len(next(s2m.predict([swapped], channels="bgr")).objects) == 1
    with pytest.raises(ConfigError, match="rgb or bgr, not 'gbr'"):
        s2m(image, channels="gbr")
