import shutil

import numpy as np
import pytest

from oodseg.data.duts import DutsItem, is_held_out
from oodseg.synth.known import ODD_VEHICLES, PEOPLE, VEHICLES
from oodseg.synth.mix import Mix
from oodseg.synth.scenes import SceneSampler
from training_data import TRAIN_IDS, make_training_data

SIZE = (64, 96)
LINER = "n03673027"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = make_training_data(tmp_path_factory.mktemp("data"))
    for kind, ending in (("images", "jpg"), ("masks", "png")):
        folder = made / "duts_tr" / kind
        shutil.copy(folder / f"{TRAIN_IDS[0]}_0.{ending}", folder / f"{LINER}_7.{ending}")
    return made


def unknown_ids(root, monkeypatch, split="train", **mix):
    """Which WordNet ids the unknown objects of scenes are of."""
    read = []
    real = DutsItem.read_mask

    def remembers(item):
        read.append(item.wnid)
        return real(item)

    monkeypatch.setattr(DutsItem, "read_mask", remembers)
    mix = Mix(**{"empty": 0, "known": 0, "drawn": 0, "country": 0, "crowded": 0, **mix})
    sampler = SceneSampler(root, SIZE, split, mix=mix)
    found = [sampler.sample(np.random.default_rng(seed)) for seed in range(12)]
    assert sum(scene.unknown.any() for scene in found) >= 9
    return set(read) - VEHICLES - PEOPLE


@pytest.mark.parametrize("natural", [0.0, 1.0])
def test_as_many_objects_are_odd_vehicles_as_asked(root, monkeypatch, natural) -> None:
    assert unknown_ids(root, monkeypatch, natural=natural, odd_vehicles=1) == {LINER}
    assert LINER not in unknown_ids(root, monkeypatch, natural=natural, odd_vehicles=0)
    assert unknown_ids(root, monkeypatch, natural=natural, odd_vehicles=0.5) > {LINER}


def test_without_such_images_scenes_stay_what_they_were(root) -> None:
    assert not is_held_out(LINER)
    with_them, without = (
        SceneSampler(root, SIZE, "val", mix=Mix(odd_vehicles=share)) for share in (1.0, 0.0)
    )
    for seed in range(6):
        first, second = (each.sample(np.random.default_rng(seed)) for each in (with_them, without))
        np.testing.assert_array_equal(first.image, second.image)


def test_no_vehicle_is_both_known_and_odd() -> None:
    assert not ODD_VEHICLES & (VEHICLES | PEOPLE)
