import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from oodseg import S2M
from oodseg.core.bundle import bundled_names, find_bundle
from oodseg.core.errors import ConfigError, OodsegError, WeightsError
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet
from redness import make_pipeline, register, save_pipeline, street

TINY = {"widths": [4, 4, 8, 8, 8], "depths": [1, 1, 1, 1]}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    register(monkeypatch)
    return save_pipeline(tmp_path / "red")


def change(folder, **entries):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_a_saved_pipeline_predicts_what_the_original_did(saved):
    image = street((10, 20, 40, 50))
    again = S2M.from_pretrained(saved)
    assert np.array_equal(again(image).mask, make_pipeline()(image).mask)
    assert again.name == "red"
    assert again.working_side == (640, 1024)
    assert again.detector.normalizer == make_pipeline().detector.normalizer


def test_a_saved_pipeline_holds_no_pickle(saved):
    names = {path.name for path in saved.iterdir()}
    assert names == {"README.md", "config.json", "detector.safetensors"}
    assert load_file(saved / "detector.safetensors")["gain"].dtype == torch.float16


def test_saving_again_keeps_a_model_card_that_someone_wrote(saved):
    (saved / "README.md").write_text("mine")
    make_pipeline().save_pretrained(saved)
    assert (saved / "README.md").read_text() == "mine"


def test_eight_bits_halve_a_pipeline_and_hardly_move_its_scores(tmp_path):
    torch.manual_seed(0)
    detector = StreetDetector(StreetNet([8, 16, 32, 64, 64], [1, 1, 1, 1]))
    pipeline = S2M(detector, ComponentPrompts(), BoxSegmenter())
    sizes, scores, heads = {}, {}, {}
    for bits in (16, 8):
        pipeline.save_pretrained(tmp_path / str(bits), bits)
        sizes[bits] = (tmp_path / str(bits) / "detector.safetensors").stat().st_size
        again = S2M.from_pretrained(tmp_path / str(bits))
        scores[bits] = again.detector_score(street((10, 20, 40, 50)))
        heads[bits] = again.detector.network.stages[1][0][0].weight
    assert sizes[8] < 0.6 * sizes[16]
    assert not torch.equal(heads[8], heads[16])
    torch.testing.assert_close(scores[8], scores[16], rtol=0.02, atol=0.02)


def test_other_bits_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="16 or 8 bits, not in 4"):
        make_pipeline().save_pretrained(tmp_path / "p", bits=4)
    assert not (tmp_path / "p").exists()


def test_parts_are_replaced_by_name_or_object(saved):
    assert S2M.from_pretrained(saved, masks="grabcut").masks.name == "grabcut"
    mine = BoxSegmenter()
    assert S2M.from_pretrained(saved, masks=mine).masks is mine
    with pytest.raises(ConfigError, match="no 'samurai' among the masks; choose one of: box, compact"):
        S2M.from_pretrained(saved, masks="samurai")


def break_missing(folder):
    (folder / "detector.safetensors").unlink()


def break_truncated(folder):
    path = folder / "detector.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def break_garbage(folder):
    (folder / "detector.safetensors").write_bytes(b"not weights")
    change(folder, weights={"detector": {"file": "detector.safetensors"}})


def break_shape(folder):
    save_file({"gain": torch.ones(3)}, folder / "detector.safetensors")
    change(folder, weights={"detector": {"file": "detector.safetensors"}})


def break_format(folder):
    change(folder, format=99)


def break_json(folder):
    (folder / "config.json").write_text('{"format": 1')


def break_entry(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["masks"]
    (folder / "config.json").write_text(json.dumps(config))


def break_argument(folder):
    change(folder, detector={"name": "redness", "colour": "blue"})


def break_learned(folder):
    S2M(StreetDetector(StreetNet(**TINY)), ComponentPrompts(), BoxSegmenter()).save_pretrained(folder)
    change(folder, weights={})


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (break_missing, r"detector\.safetensors cannot be read"),
        (break_truncated, "damaged"),
        (break_garbage, "not a complete safetensors file"),
        (break_shape, "does not fit"),
        (break_format, "format 99, this oodseg .* reads format 2"),
        (break_json, "not readable JSON"),
        (break_entry, "no entry masks"),
        (break_argument, "entry 'detector' does not fit"),
        (break_learned, "names no weight file for the entry 'detector'"),
    ],
)
def test_a_damaged_pipeline_is_named_with_a_remedy(saved, break_it, message):
    break_it(saved)
    with pytest.raises(WeightsError, match=message) as caught:
        S2M.from_pretrained(saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_a_training_that_diverged_are_refused(saved):
    save_file({"gain": torch.tensor(torch.nan)}, saved / "detector.safetensors")
    config = json.loads((saved / "config.json").read_text())
    config["weights"]["detector"] = {"file": "detector.safetensors"}
    change(saved, **config)
    with pytest.raises(WeightsError, match=r"detector.safetensors hold NaN \(first in gain\).*: take an"):
        S2M.from_pretrained(saved)


def test_a_missing_folder_is_named_beside_what_there_is(tmp_path):
    with pytest.raises(WeightsError, match=r"does not exist: .*bundled pipelines"):
        S2M.from_pretrained(tmp_path / "nothing")
    with pytest.raises(WeightsError, match=r"holds no config\.json"):
        S2M.from_pretrained(tmp_path)


def test_a_file_in_the_way_is_not_overwritten(tmp_path):
    target = tmp_path / "file"
    target.write_text("precious")
    with pytest.raises(OodsegError, match="is a file"):
        make_pipeline().save_pretrained(target)
    assert target.read_text() == "precious"


def test_street_ships_with_the_package_and_is_small():
    from oodseg.core.bundle import find_bundle

    assert "street" in bundled_names()
    folder = find_bundle("street")
    assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) <= 25e6
    pipeline = S2M.from_pretrained("street")
    assert (pipeline.detector.name, pipeline.prompts.name, pipeline.masks.name) == (
        "street",
        "faster_rcnn",
        "compact",
    )
    assert "Known failures" in (folder / "README.md").read_text()


def test_a_folder_around_the_one_that_was_meant_names_it(tmp_path):
    (tmp_path / "run" / "detector").mkdir(parents=True)
    (tmp_path / "run" / "detector" / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"holds no config.json: .*; did you mean \S*run/detector\?$"):
        find_bundle(tmp_path / "run")
