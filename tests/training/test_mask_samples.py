import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_fakes import fabricate_data

from oodseg.core.errors import DatasetError
from oodseg.io.images import to_tensor
from oodseg.masks.compact import CompactSegmenter
from oodseg.masks.crops import crop_regions
from oodseg.masks.growth import tight_box
from oodseg.training.degrade import degrade, shift_colours, simulate_score
from oodseg.training.mask_samples import SampleMaker, ShotMaker, jitter_box, split_objects
from oodseg.training.shot import Shot


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return fabricate_data(tmp_path_factory.mktemp("data"))


def disc_shot(rng, size=(90, 120)):
    rows, columns = np.mgrid[: size[0], : size[1]]
    target = (rows - 45) ** 2 + (columns - 60) ** 2 < 20**2
    others = np.zeros_like(target)
    others[:10, :10] = True
    return Shot(rng.integers(0, 255, (*size, 3)).astype(np.uint8), target, others)


@settings(max_examples=80, deadline=None)
@given(x0=st.integers(0, 20), y0=st.integers(0, 15), width=st.integers(1, 9), height=st.integers(1, 9))
def test_tight_box_of_a_rectangle_is_that_rectangle(x0, y0, width, height):
    mask = np.zeros((24, 29), bool)
    mask[y0 : y0 + height, x0 : x0 + width] = True
    assert tight_box(mask) == (x0, y0, x0 + width, y0 + height)


def test_split_objects():
    mask = np.zeros((40, 50), bool)
    assert split_objects(mask) == []
    mask[0, 0] = mask[1, 1] = True  # touch at a corner: one speck
    speck = split_objects(mask)
    assert [part.sum() for part in speck] == [2]
    mask[10:20, 10:20] = mask[30:36, 40:46] = True
    assert sorted(part.sum() for part in split_objects(mask)) == [36, 100]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 1000), sigma=st.sampled_from([0.0, 0.1, 0.2]),
    x0=st.integers(0, 60), y0=st.integers(0, 40), width=st.integers(1, 40), height=st.integers(1, 40),
)  # fmt: skip
def test_jittered_boxes_stay_near_and_on_the_image(seed, sigma, x0, y0, width, height):
    box = (x0, y0, min(x0 + width, 64), min(y0 + height, 48))
    if box[0] >= box[2] or box[1] >= box[3]:
        return
    moved = jitter_box(box, sigma, 64, 48, np.random.default_rng(seed))
    assert moved.dtype == np.float32
    assert moved.min() >= 0
    assert moved[2] <= 64
    assert moved[3] <= 48
    assert (moved[2:] - moved[:2] >= 1 - 1e-4).all()
    reach = 0.35 * np.tile([box[2] - box[0], box[3] - box[1]], 2) + 1.001
    assert (np.abs(moved - box) <= reach).all()
    if sigma == 0:
        np.testing.assert_array_equal(moved, box)


@pytest.mark.parametrize(("pasted", "street"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_every_source_gives_usable_shots(root, pasted, street):
    shots = ShotMaker(root, "train", pasted, street)
    rng = np.random.default_rng(0)
    for _ in range(30):
        shot = degrade(shots.draw(rng), rng)
        assert shot.image.dtype == np.uint8
        assert shot.image.shape == (*shot.target.shape, 3)
        assert shot.others.shape == shot.target.shape
        assert shot.target.any()
        assert not (shot.target & shot.others).any()


def test_a_labelled_vehicle_is_found_as_labelled(root):
    shot = ShotMaker(root, "train", 0.0, 1.0)._street(np.random.default_rng(0))
    while shot is None:
        shot = ShotMaker(root, "train", 0.0, 1.0)._street(np.random.default_rng(1))
    assert tight_box(shot.target) == (40, 60, 90, 90)


def test_a_missing_street_folder_is_named(tmp_path):
    root = fabricate_data(tmp_path)
    for each in (root / "idd_lite/train/images").iterdir():
        each.unlink()
    assert len(ShotMaker(root, "train", 0.0, 0.0).items) == 4
    with pytest.raises(DatasetError, match=r"idd_lite.*holds no \.jpg"):
        ShotMaker(root, "train", 0.3, 0.0)


@pytest.mark.parametrize("augment", [True, False])
def test_a_sample_depends_on_its_number_alone(root, augment):
    shots = ShotMaker(root, "train", 0.4, 0.3)
    maker = SampleMaker(shots, 32, 1.5, seed=3, score_share=0.5, augment=augment)
    first = [maker(index) for index in range(12)]
    again = SampleMaker(ShotMaker(root, "train", 0.4, 0.3), 32, 1.5, 3, 0.5, augment)
    for index in reversed(range(12)):
        for expected, made in zip(first[index], again(index), strict=True):
            assert torch.equal(expected, made)
    other = SampleMaker(shots, 32, 1.5, seed=4, score_share=0.5, augment=augment)
    assert not torch.equal(other(0)[0], first[0][0])
    for inputs, target, weight in first:
        assert inputs.shape == (6, 32, 32)
        assert inputs.isfinite().all()
        assert set(target.unique().tolist()) <= {0.0, 1.0}
        assert target.any()
        assert set(weight.unique().tolist()) <= {0.0, 1.0}
        assert inputs[5].unique().tolist() in ([0.0], [1.0])
        if not inputs[5].any():
            assert not inputs[4].any()
        assert inputs[4].min() >= -1
        assert inputs[4].max() <= 3


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_samples_with_scores(root, share):
    maker = SampleMaker(ShotMaker(root, "held_out", 0, 0), 32, 1.5, 0, share, augment=False)
    assert [float(maker(index)[0][5].mean()) for index in range(6)] == [share] * 6


def test_the_network_sees_in_training_what_it_sees_in_use(rng):
    shot = disc_shot(rng)
    maker = SampleMaker(None, 64, 1.5, 0, 0.0, augment=False)
    inputs, target, weight = maker.crop(shot, np.random.default_rng(7))
    box = jitter_box(tight_box(shot.target), 0.1, 120, 90, np.random.default_rng(7))
    network = CompactSegmenter(size=64, widths=(8, 8), depths=(1, 1))
    boxes = torch.from_numpy(box)[None]
    used = network._crops(network.embed(to_tensor(shot.image)), boxes, crop_regions(boxes, 1.5), None)
    torch.testing.assert_close(inputs, used[0], atol=1e-4, rtol=0)
    assert weight.min() == 1
    # The disc fills the same share of its crop as of the region in the image.
    region = crop_regions(boxes, 1.5)[0]
    area = float((region[2:] - region[:2]).prod())
    assert float(target.mean()) == pytest.approx(shot.target.sum() / area, rel=0.03)


def test_simulated_scores_stand_out_on_the_object():
    target = np.zeros((64, 64), np.float32)
    target[20:44, 20:44] = 1
    on, off = [], []
    for seed in range(60):
        score = simulate_score(target, np.zeros_like(target), 1.0, np.random.default_rng(seed))
        assert score.shape == (64, 64)
        assert score.dtype == np.float32
        on.append(score[26:38, 26:38].mean())
        off.append(score[:8].mean())
    assert np.mean(on) > np.mean(off) + 2


def test_colours_shift_but_shapes_stay(rng):
    image = disc_shot(rng).image
    shifted = [shift_colours(image, np.random.default_rng(seed)) for seed in range(20)]
    assert all(each.shape == image.shape and each.dtype == np.uint8 for each in shifted)
    assert sum(not np.array_equal(each, image) for each in shifted) >= 10
