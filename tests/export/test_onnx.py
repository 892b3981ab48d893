"""The exported graphs against torch, through the example that is shipped with them."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from oodseg import S2M
from oodseg.core.devices import full_precision
from oodseg.core.errors import ConfigError, MissingDependencyError, OodsegError
from oodseg.core.parts import OPERATING_POINTS, Detector
from oodseg.core.registry import maker_of
from oodseg.detectors import ScoreNormalizer
from oodseg.detectors.street import StreetDetector
from oodseg.export.graphs import build_graphs
from oodseg.failures.spade import SpadeGenerator
from oodseg.failures.synboost import SynBoostDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.masks.compact import CompactSegmenter
from oodseg.nn.graphs import trace
from oodseg.prompts.components import ComponentPrompts
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.reading import Reading
from oodseg.segmenters.street import StreetNet
from oodseg.synth.drawn import draw_scene
from redness import Redness, make_pipeline

onnx = pytest.importorskip("oodseg.export.onnx")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

GRAPHS = ["detector", "detailed", "prompts", "encoder", "decoder"]
FILES = {*(f"{name}.onnx" for name in GRAPHS), "weights.bin", "manifest.json", "onnx_predict.py"}
SIZES = ((360, 640), (613, 457), (720, 1280))
DRIVER = """
import sys
for name in ("torch", "torchvision", "oodseg"):
    sys.modules[name] = None  # importing it is an error from here on
sys.path.insert(0, sys.argv[1])
import cv2, numpy, onnx_predict
predictor = onnx_predict.Predictor()
for path in sys.argv[2:]:
    image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    masks, boxes, confidence = predictor.predict(image)
    numpy.savez(path + ".npz", masks=masks, boxes=boxes, confidence=confidence)
"""


READING = Reading((1.1, 0.2, 0.05), {"quiet": 0.2, "balanced": 0.15, "thorough": 0.1})


@pytest.fixture(scope="module")
def pipeline():
    s2m = S2M.from_pretrained("street")
    # Drawn scenes are not what it was chosen on; here every scene is to have boxes.
    s2m.prompts.score_only = s2m.prompts.with_features = READING
    return s2m


@pytest.fixture(scope="module")
def folder(pipeline, tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "street"
    onnx.export_onnx(pipeline, path)
    return path


def scene(seed, size):
    return draw_scene(np.random.default_rng(seed), size, 3).image


@pytest.fixture(scope="module")
def without_torch(folder, tmp_path_factory):
    """What the example finds in drawn scenes, in a process that cannot import torch."""
    images = tmp_path_factory.mktemp("images")
    scenes = {str(images / f"{seed}.png"): scene(seed, size) for seed, size in enumerate(SIZES * 2)}
    for path, image in scenes.items():
        cv2.imwrite(path, image[:, :, ::-1])
    subprocess.run([sys.executable, "-c", DRIVER, str(folder), *scenes], check=True, env=_one_thread())
    return [(image, dict(np.load(path + ".npz", allow_pickle=False))) for path, image in scenes.items()]


def _one_thread():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("exact", [True, False], ids=["float32", "as shipped"])
def test_masks_are_those_of_torch_to_within_a_hundredth_of_the_pixels(pipeline, without_torch, exact):
    objects = 0
    for image, found in without_torch:
        if exact:
            with full_precision():
                expected = pipeline(image)
        else:
            expected = pipeline(image)
        assert found["masks"].shape[1:] == image.shape[:2]
        assert (found["masks"].any(0) != expected.mask).mean() < 0.01
        if exact:
            boxes = [each.prompt_box for each in expected.objects]
            assert np.allclose(found["boxes"], np.reshape(boxes, (-1, 4)), atol=0.01)
            for each, mask in zip(expected.objects, found["masks"], strict=True):
                assert (each.mask != mask).sum() <= 0.01 * each.area
                objects += 1
    assert objects >= 8 or not exact


def test_the_example_is_a_command(folder, pipeline, tmp_path):
    image = scene(0, SIZES[0])
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "street.png"), image[:, :, ::-1])
    (photos / "broken.jpg").write_bytes(b"no image")
    blocked = "import sys, runpy; sys.modules['torch'] = sys.modules['oodseg'] = None;"
    start = f"runpy.run_path({str(folder / onnx.EXAMPLE)!r}, run_name='__main__')"

    def run(*arguments):
        command = [sys.executable, "-c", blocked + start, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=False, capture_output=True, text=True, env=_one_thread()
        )

    found = run("photos", "--out", "found")
    assert found.returncode == 1
    assert "broken.jpg is not an image" in found.stderr
    assert sorted(each.name for each in photos.iterdir()) == ["broken.jpg", "street.png"]
    written = cv2.imread(str(tmp_path / "found" / "masks" / "street.png"), cv2.IMREAD_GRAYSCALE)
    assert set(np.unique(written)) == {0, 255}
    assert ((written > 0) != pipeline(image).mask).mean() < 0.01
    assert cv2.imread(str(tmp_path / "found" / "overlays" / "street.jpg")).shape == image.shape
    document = json.loads((tmp_path / "found" / "predictions.json").read_text())
    assert document["images"] == [{"id": 1, "file_name": "street.png", "width": 640, "height": 360}]
    decoded = [coco_mask.decode(each["segmentation"]) for each in document["annotations"]]
    assert np.array_equal(np.any(decoded, 0), written > 0)
    assert list(document["info"]["failed"]) == [str(Path("photos/broken.jpg"))]
    (tmp_path / "empty").mkdir()
    nothing = run("empty", "--out", "nothing")
    assert nothing.returncode == 1
    assert "0 unknown objects in 0 images, 0 failed" in nothing.stdout
    assert found.stdout.startswith(f"street.png: {len(decoded)} unknown objects")
    wrong = run("photos", "--providers", "No")
    assert wrong.returncode == 2
    assert "has no No; it has" in wrong.stderr
    assert "--min-confidence" in run("--help").stdout


def test_the_folder_holds_the_graphs_and_what_they_are(folder):
    assert {each.name for each in folder.iterdir()} == FILES
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["working_side"] == [640, 1024]
    assert manifest["promise"] is None
    assert list(manifest["graphs"]) == GRAPHS
    shared = folder / manifest["weights"]["file"]
    assert hashlib.sha256(shared.read_bytes()).hexdigest() == manifest["weights"]["sha256"]
    # Both looks of the detector share the network.
    assert shared.stat().st_size > 10 * (folder / "detailed.onnx").stat().st_size
    for entry in manifest["graphs"].values():
        assert hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
        assert entry["difference_from_torch"] < 1e-3


def test_a_second_export_replaces_the_graphs_and_leaves_other_files(folder, pipeline, tmp_path):
    (tmp_path / "engine.plan").write_text("mine")
    (tmp_path / "decoder.onnx").write_text("old")
    onnx.export_onnx(pipeline, tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == FILES | {"engine.plan"}
    assert (tmp_path / "decoder.onnx").stat().st_size > 1e6


class Opaque(Redness):
    """Leaves torch, so that a trace of it holds a constant."""

    def score(self, images):
        import torch

        return torch.from_numpy(images.numpy()[:, 0].copy())


class Plain(Detector):
    """No network."""

    name = "plain"

    def score(self, images):
        return images[:, 0]


def synboost():
    """A network, and yet without a graph."""
    street = StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1]).eval()
    return SynBoostDetector(street, SpadeGenerator(7, [8, 8, 4], 32), [4, 6])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"masks": BoxSegmenter()}, "promptable segmenter 'box' has no ONNX form: .* 'compact'"),
        ({"prompts": ComponentPrompts()}, "prompt generator 'components' has no ONNX form: .* 'faster_rcnn'"),
        ({"detector": Plain()}, "detector 'plain' has no ONNX form: .* 'street'"),
        ({"detector": synboost()}, "detector 'synboost' has no ONNX form: .* 'street'"),
        ({"detector": Opaque()}, "the detector of this pipeline cannot be exported"),
        ({"detector": None}, "without a detector cannot be exported"),
    ],
)
def test_parts_without_an_onnx_form_are_named(pipeline, tmp_path, change, sentence):
    parts = {"detector": pipeline.detector, "prompts": pipeline.prompts, "masks": pipeline.masks, **change}
    with pytest.raises(ConfigError, match=sentence):
        onnx.export_onnx(S2M(**parts), tmp_path / "out")
    assert not [each for each in (tmp_path / "out").rglob("*") if each.is_file()]


def test_any_detector_that_is_a_network_can_take_the_place_of_the_bundled_one(pipeline, tmp_path):
    graphs = onnx.export_onnx(S2M(Redness(), pipeline.prompts, pipeline.masks), tmp_path)
    assert max(each.difference for each in graphs) < 1e-3


@pytest.fixture
def joining():
    """A tiny untrained pipeline on encoders whose prompts read features."""
    torch.manual_seed(4)
    network = StreetNet(widths=[4, 6, 8, 12], backbone="test_efficientnet")
    detector = StreetDetector(network, reductions=[1, 2], detail=0.5)
    prompts = FasterRCNNPrompts(features=(8, 12), max_boxes=12)
    masks = CompactSegmenter(32, widths=(4, 6, 8, 12), backbone="test_efficientnet").eval()
    with torch.no_grad():
        detector.network.object_head.weight.mul_(50)  # for scores that differ
        for each in prompts.rcnn.backbone.join:
            each.weight.mul_(4)
        seen = detector.score(torch.rand(1, 3, 128, 128))
    detector.normalizer = ScoreNormalizer(float(seen.mean()), float(seen.std()))
    return S2M(detector, prompts, masks, operating_point="thorough")


def example(folder):
    """The exported example as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"example_{folder.name}", folder / onnx.EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("size", [(360, 640), (200, 320), (720, 1280)])
def test_prompts_that_read_features_do_so_without_torch_too(joining, tmp_path, size):
    image = scene(3, size)
    # Half of what it finds when it sees features counts; a reading of scores alone would let nothing through.
    with full_precision(), torch.inference_mode():
        sight = joining.look(image)
        scores = joining.detector.normalizer(sight.scores)
        candidates = joining.prompts.candidates(scores, sight.features)[0].confidence
    least = float(candidates[len(candidates) // 2] - 1e-4)
    points = {"quiet": 1.0, "balanced": 1.0, "thorough": least}
    joining.prompts.with_features = Reading(operating_points=points)
    joining.prompts.score_only = Reading(operating_points=dict.fromkeys(points, 1.0))
    graphs = onnx.export_onnx(joining, tmp_path / "out")
    assert max(each.difference for each in graphs) < 1e-3
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())["graphs"]
    levels = ["features_0", "features_1"]
    for name in ("detector", "detailed"):
        assert list(manifest[name]["outputs"]) == ["score", *levels]
    assert list(manifest["prompts"]["inputs"]) == ["score", *levels]
    masks, boxes, confidence = example(tmp_path / "out").Predictor().predict(image)
    with full_precision():
        expected = joining(image)
    assert len(expected.objects) >= 3
    np.testing.assert_allclose(boxes, [each.prompt_box for each in expected.objects], atol=0.05)
    np.testing.assert_allclose(confidence, [each.confidence for each in expected.objects], atol=1e-3)
    for each, mask in zip(expected.objects, masks, strict=True):
        assert (each.mask != mask).mean() < 0.01


@pytest.mark.slow
def test_a_detector_without_features_leaves_joining_prompts_the_score_alone(joining, tmp_path):
    readings = Reading(operating_points=dict.fromkeys(OPERATING_POINTS, 0.0))
    joining.prompts.score_only = readings
    parts = onnx.export_onnx(S2M(Redness(), joining.prompts, joining.masks), tmp_path / "plain")
    assert [each.path.stem for each in parts] == ["detector", "prompts", "encoder", "decoder"]
    manifest = json.loads((tmp_path / "plain" / "manifest.json").read_text())["graphs"]
    assert list(manifest["prompts"]["inputs"]) == ["score"]
    assert max(each.difference for each in parts) < 1e-3


@pytest.mark.parametrize("point", OPERATING_POINTS)
def test_the_operating_point_is_built_into_the_prompts(pipeline, point):
    graphs = build_graphs(pipeline.detector, pipeline.prompts, pipeline.masks, point)
    score = torch.randn(96, 128, generator=torch.Generator().manual_seed(0))
    score[30:60, 40:80] += 8
    with torch.inference_mode():
        boxes, confidence = graphs["prompts"].module(score)
        expected = pipeline.prompts.propose(score[None], operating_point=point)[0]
    torch.testing.assert_close(boxes, expected.boxes)
    torch.testing.assert_close(confidence, expected.confidence)
    assert len(boxes)
    assert (confidence >= READING.operating_points[point]).all()


def test_a_file_in_the_folders_place_and_a_missing_library_are_said(pipeline, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OodsegError, match="is a file: choose a folder"):
        onnx.export_onnx(pipeline, tmp_path / "file")
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(MissingDependencyError, match=r"needs onnxruntime.*\[export\]"):
        onnx.export_onnx(make_pipeline(), tmp_path)


def test_the_example_is_the_one_in_the_examples_folder():
    shown = Path(__file__).parents[2] / "examples" / onnx.EXAMPLE
    assert shown.read_text() == Path(onnx.__file__).with_name(onnx.EXAMPLE).read_text()


@pytest.mark.parametrize("name", ["meta_ood", "energy_margin", "pebal", "rpl", "densehybrid"])
def test_a_taught_detector_is_exported_as_its_segmenter_is(name, tmp_path):
    detector = maker_of("detectors", name).around(StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1]).eval(), hidden=8)
    for parameter in detector.head.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    detector.normalizer = ScoreNormalizer(-1.0, 2.0)
    graph = build_graphs(detector, FasterRCNNPrompts(), CompactSegmenter())["detector"]
    traced, other = torch.rand(1, 3, 100, 150), torch.rand(1, 3, 227, 333)
    with full_precision(), torch.inference_mode():
        expected = graph.module(other)
        trace(graph, (traced,), tmp_path / "detector.onnx")
        assert onnx._difference(tmp_path / "detector.onnx", graph, (other,), expected) < 1e-3
