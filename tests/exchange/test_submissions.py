"""Files for the servers of benchmarks: as their own toolkits read them."""

import builtins

import h5py
import numpy as np
import pytest
from label_cases import HEIGHT, WIDTH, found, masks_of, ring
from PIL import Image

from oodseg.core.errors import DatasetError, MissingDependencyError
from oodseg.core.prediction import Prediction
from oodseg.data import open_dataset
from oodseg.exchange import LabelledImage, read, write
from oodseg.io.scoremaps import read_score_map


@pytest.fixture
def smiyc(labelled, tmp_path):
    write(labelled, tmp_path / "smiyc", "smiyc")
    return tmp_path / "smiyc"


@pytest.fixture
def oodis(labelled, tmp_path):
    write(labelled, tmp_path / "oodis", "oodis")
    return tmp_path / "oodis"


def test_a_map_for_segment_me_if_you_can_is_the_confidence(smiyc, labelled):
    with h5py.File(smiyc / "a.hdf5") as file:
        value = np.asarray(file["value"])
    expected = Prediction(None, HEIGHT, WIDTH, labelled[0].objects).confidence
    assert value.dtype == np.float16
    assert (value == expected.astype(np.float16)).all()
    assert (read_score_map(smiyc / "a.hdf5").scores == value).all()  # what --scores takes


def test_regions_of_one_confidence_are_objects(smiyc, labelled):
    first, empty, last = read(smiyc)
    assert [image.name for image in (first, empty, last)] == ["a", "b", "sub/a"]
    assert len(first.objects) == 4  # one object has two parts
    assert masks_of([labelled[0].objects[0]])[0] in masks_of(first.objects)
    assert empty.objects == ()
    assert last.objects[0].confidence == 0.25


def test_an_oodis_list_names_a_mask_per_object(oodis, labelled):
    lines = (oodis / "a_instanceIds_pred.txt").read_text().splitlines()
    assert [line.split(" ") for line in lines] == [
        ["a_instanceIds_0_1.png", "1", "0.900000"],
        ["a_instanceIds_1_1.png", "1", "0.750000"],
        ["a_instanceIds_2_1.png", "1", "0.500000"],
    ]
    with Image.open(oodis / "a_instanceIds_1_1.png") as image:
        assert ((np.asarray(image) == 255) == labelled[0].objects[1].mask).all()


def test_oodis_comes_back(oodis, labelled):
    images = read(oodis)
    assert [image.name for image in images] == ["a", "b", "sub/a"]
    for image, written in zip(images, labelled, strict=True):
        assert masks_of(image.objects) == masks_of(written.objects)


def test_an_image_without_an_object_has_an_empty_mask(oodis):
    assert (oodis / "b_instanceIds_pred.txt").read_text() == "b_instanceIds_0_1.png 1 0.000000\n"
    with Image.open(oodis / "b_instanceIds_0_1.png") as image:
        assert image.getextrema() == (0, 0)


def test_frames_of_lost_and_found_go_by_the_name_of_their_label(tmp_path):
    image = LabelledImage("town_000001_leftImg8bit.png", HEIGHT, WIDTH, (found(ring(0, 0, 9), 1),))
    write([image], tmp_path, "oodis")
    assert (tmp_path / "town_000001_gtCoarse_instanceIds_pred.txt").is_file()


@pytest.mark.parametrize("name", ["smiyc", "oodis"])
def test_predictions_are_no_ground_truth(name, request):
    with pytest.raises(DatasetError, match="layout of no known data set"):
        open_dataset(request.getfixturevalue(name))


def test_broken_files_are_one_sentence(smiyc, oodis):
    (smiyc / "a.hdf5").write_bytes(b"no map")
    with pytest.raises(DatasetError, match=r"a\.hdf5 holds no map for SegmentMeIfYouCan"):
        read(smiyc)
    (oodis / "a_instanceIds_1_1.png").unlink()
    with pytest.raises(DatasetError, match=r"a_instanceIds_pred\.txt holds no list of masks for OoDIS"):
        read(oodis)


def test_a_missing_library_is_one_sentence(labelled, tmp_path, monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "h5py":
            raise ModuleNotFoundError("no h5py", name="h5py")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"install .*\[hdf5\]"):
        write(labelled, tmp_path / "out", "smiyc")
