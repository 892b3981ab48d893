"""The exported graphs against torch, through the example that is shipped with them."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from oodseg import S2M
from oodseg.core.devices import full_precision
from oodseg.core.errors import ConfigError, MissingDependencyError, OodsegError
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts.components import ComponentPrompts
from oodseg.synth.drawn import draw_scene
from redness import Redness, make_pipeline

onnx = pytest.importorskip("oodseg.export.onnx")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

GRAPHS = ["detector", "detailed", "prompts", "encoder", "decoder"]
FILES = {*(f"{name}.onnx" for name in GRAPHS), "manifest.json", "onnx_predict.py"}
SIZES = ((360, 640), (613, 457), (720, 1280))
DRIVER = """
import sys
for name in ("torch", "torchvision", "oodseg"):
    sys.modules[name] = None  # importing it is an error from here on
sys.path.insert(0, sys.argv[1])
import cv2, numpy, onnx_predict
for path in sys.argv[2:]:
    picture = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    masks, boxes, confidence = onnx_predict.predict(picture)
    numpy.savez(path + ".npz", masks=masks, boxes=boxes, confidence=confidence)
"""


@pytest.fixture(scope="module")
def pipeline():
    s2m = S2M.from_pretrained("street")
    # Drawn scenes are not what it was chosen on; here every scene is to have boxes.
    s2m.prompts.config |= {"min_confidence": 0.2, "calibration": [1.1, 0.2, 0.05]}
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
    pictures = tmp_path_factory.mktemp("pictures")
    scenes = {str(pictures / f"{seed}.png"): scene(seed, size) for seed, size in enumerate(SIZES * 2)}
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
            boxes = [each.box for each in expected.objects]
            assert np.allclose(found["boxes"], np.reshape(boxes, (-1, 4)), atol=0.01)
            for each, mask in zip(expected.objects, found["masks"], strict=True):
                assert (each.mask != mask).sum() <= 0.01 * each.area
                objects += 1
    assert objects >= 8 or not exact


def test_the_example_as_a_command_writes_a_mask(folder, pipeline, tmp_path):
    image = scene(0, SIZES[0])
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "street.png"), image[:, :, ::-1])
    blocked = "import sys, runpy; sys.modules['torch'] = sys.modules['oodseg'] = None;"
    start = f"runpy.run_path({str(folder / onnx.EXAMPLE)!r}, run_name='__main__')"
    command = [sys.executable, "-c", blocked + start]
    run = subprocess.run(
        [*command, str(tmp_path / "photos" / "street.png")],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        env=_one_thread(),
    )
    written = cv2.imread(str(tmp_path / "street_mask.png"), cv2.IMREAD_GRAYSCALE)
    assert [each.name for each in (tmp_path / "photos").iterdir()] == ["street.png"]
    assert set(np.unique(written)) == {0, 255}
    assert ((written > 0) != pipeline(image).mask).mean() < 0.01
    assert run.stdout.startswith("street.png: box [")
    again = subprocess.run([*command, str(tmp_path / "no.png")], check=False, capture_output=True, text=True)
    assert "no.png is not a picture" in again.stderr


def test_the_folder_holds_the_graphs_and_what_they_are(folder):
    assert {each.name for each in folder.iterdir()} == FILES
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["working_side"] == [640, 1024]
    assert list(manifest["graphs"]) == GRAPHS
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


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"masks": BoxSegmenter()}, "promptable segmenter 'box' has no ONNX form: .* 'compact'"),
        ({"prompts": ComponentPrompts()}, "prompt generator 'components' has no ONNX form: .* 'faster_rcnn'"),
        ({"detector": object()}, "detector 'object' has no ONNX form: .* 'street'"),
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


def test_a_file_in_the_folders_place_and_a_missing_library_are_said(pipeline, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OodsegError, match="is a file: choose a folder"):
        onnx.export_onnx(pipeline, tmp_path / "file")
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(MissingDependencyError, match=r"needs onnxruntime.*oodseg\[export\]"):
        onnx.export_onnx(make_pipeline(), tmp_path)


def test_the_example_is_the_one_in_the_examples_folder():
    shown = Path(__file__).parents[2] / "examples" / onnx.EXAMPLE
    assert shown.read_text() == Path(onnx.__file__).with_name(onnx.EXAMPLE).read_text()
