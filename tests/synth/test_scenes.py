import numpy as np
import pytest

from oodseg.core.errors import DatasetError
from oodseg.core.taxonomy import CLASSES, IGNORE, LOOSE
from oodseg.data.training import StreetImage
from oodseg.synth.mix import Mix
from oodseg.synth.scenes import SceneSampler
from oodseg.synth.windows import cut_window
from training_data import CAMERA_WEARER, CAR, TRAIN_IDS, add_squeezed, make_training_data

SIZE = (64, 96)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def scenes(root, count=12, split="train", **mix):
    sampler = SceneSampler(root, SIZE, split, mix=Mix(**mix))
    return [sampler.sample(np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("split", ["train", "val"])
def test_shapes_codes_and_all_kinds(root, split) -> None:
    found = scenes(root, 60, split)
    for scene in found:
        assert scene.image.shape == (*SIZE, 3)
        assert scene.labels.shape == scene.unknown.shape == SIZE
        assert {scene.image.dtype, scene.labels.dtype, scene.unknown.dtype} == {np.dtype(np.uint8)}
        assert set(np.unique(scene.labels)) <= {*range(7), IGNORE}
    assert {scene.kind for scene in found} == {"street", "natural", "drawn"}


def test_the_generator_decides_everything(root) -> None:
    sampler = SceneSampler(root, SIZE)
    for seed in range(8):
        first, second = (sampler.sample(np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.unknown, second.unknown)
        np.testing.assert_array_equal(first.labels, second.labels)


def test_unknown_objects_have_no_class(root) -> None:
    found = scenes(root, natural=0, drawn=0, empty=0, herds=0)
    assert sum(scene.unknown.any() for scene in found) >= 10
    for scene in found:
        assert scene.kind == "street"
        assert (scene.labels[scene.unknown > 0] == IGNORE).all()
        assert scene.unknown.max() <= 4


def test_empty_streets_hold_nothing_unknown(root) -> None:
    for scene in scenes(root, natural=0, drawn=0, empty=1, known=1):
        assert not scene.unknown.any()


def test_known_things_change_the_image_but_not_what_is_unknown(root) -> None:
    sampler = SceneSampler(root, SIZE, mix=Mix(natural=0, drawn=0, empty=1, known=1))
    changed = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        image, labels = sampler._windows.draw(rng)
        before, codes = image.copy(), labels.copy()
        sampler._paste_known(image, labels, np.isin(labels, (0, 1)), rng)
        # Labels change only where pixels were pasted, and to a class (or the ignore code).
        assert set(np.unique(labels)) <= {*range(7), IGNORE}
        assert ((labels == codes) | (image != before).any(2)).mean() > 0.99
        changed += bool((image != before).any())
    assert changed >= 4


def test_country_and_shadows_add_nothing_unknown(root) -> None:
    quiet = {"natural": 0, "drawn": 0, "empty": 1, "known": 0}
    plain = scenes(root, country=0, shadows=0, **quiet)
    changed = scenes(root, country=1, shadows=1, **quiet)
    assert not any(scene.unknown.any() for scene in changed)
    # Natural backgrounds have no street class.
    assert np.mean([(scene.labels == IGNORE).mean() for scene in changed]) > np.mean(
        [(scene.labels == IGNORE).mean() for scene in plain]
    )


def test_known_things_are_borrowed_from_other_streets(root) -> None:
    sampler = SceneSampler(root, SIZE, mix=Mix(borrowed=1, signs=0))
    found = [sampler._cutouts.known(np.random.default_rng(seed)) for seed in range(20)]
    assert {label for thing, label in found if thing is not None} <= {2, 3}
    assert any(thing is not None for thing, _ in found)


def test_signs_are_known_things_beside_the_road(root) -> None:
    sampler = SceneSampler(root, SIZE, mix=Mix(signs=1))
    assert {sampler._cutouts.known(np.random.default_rng(seed))[1] for seed in range(5)} == {4}
    for scene in scenes(root, natural=0, drawn=0, empty=1, known=1, pieces=0, signs=1, own_car=0):
        assert not scene.unknown.any()
        assert (scene.labels[scene.known] == 4).all()


def test_herds_are_objects_of_one_kind_each_with_its_own_index(root) -> None:
    quiet = {"natural": 0, "drawn": 0, "empty": 0, "known": 0}
    alone, many = (
        [len(np.unique(scene.unknown)) - 1 for scene in scenes(root, 20, herds=herds, **quiet)]
        for herds in (0, 1)
    )
    assert max(alone) <= 4
    assert np.mean(many) > np.mean(alone) + 1


def test_the_cameras_own_car_is_nothing_unknown(root) -> None:
    quiet = {"natural": 0, "drawn": 0, "empty": 1, "known": 0}
    plain = scenes(root, 12, own_car=0, **quiet)
    found = scenes(root, 12, own_car=1, **quiet)
    assert not any(scene.unknown.any() for scene in found)
    assert not any(scene.known.any() for scene in plain)
    shown = [scene for scene in found if scene.known.any()]
    assert len(shown) >= 8
    for scene in shown:
        assert scene.known[SIZE[0] // 2 :].any()
        assert (scene.labels[scene.known] == IGNORE).all()


def test_windows_reach_the_border_of_the_image_often() -> None:
    plane = np.arange(200, dtype=np.float32)[:, None].repeat(300, 1)
    image = np.repeat((plane % 256).astype(np.uint8)[..., None], 3, 2)
    lowest = []
    for seed in range(200):
        _, rows = cut_window([image, plane.astype(np.uint8)], SIZE, 0.3, np.random.default_rng(seed), 1.5)
        lowest.append(int(rows[-1, 0]))
    assert np.mean(np.array(lowest) >= 196) > 0.12


def test_natural_images_can_be_crowded(root) -> None:
    found = scenes(root, 20, natural=1, crowded=1)
    assert any((scene.unknown == 201).any() for scene in found)
    assert not any((scene.unknown == 201).any() for scene in scenes(root, 20, natural=1, crowded=0))


def test_natural_images_are_unknown_objects_or_known_ones(root) -> None:
    kinds = set()
    for scene in scenes(root, 30, natural=1, drawn=0):
        assert scene.kind == "natural"
        if (scene.unknown == IGNORE).any():
            kinds.add("known")
            assert set(np.unique(scene.unknown)) <= {0, IGNORE}
            assert set(np.unique(scene.labels[scene.unknown == 0])) <= {2, 3}
        else:
            kinds.add("unknown")
            assert (scene.labels == IGNORE).all()
            assert scene.unknown.any()
    assert kinds == {"known", "unknown"}


def test_drawn_scenes(root) -> None:
    for scene in scenes(root, 4, natural=0, drawn=1):
        assert scene.kind == "drawn"
        np.testing.assert_array_equal(scene.labels == IGNORE, scene.unknown > 0)


def test_validation_objects_are_never_trained_on(root) -> None:
    train, val = (SceneSampler(root, SIZE, split) for split in ("train", "val"))
    ids = [{item.wnid for item in sampler._unknown} for sampler in (train, val)]
    assert ids[0]
    assert ids[1]
    assert not ids[0] & ids[1]


def test_faint_objects_let_the_street_shine_through(root) -> None:
    sampler = {
        faint: SceneSampler(root, SIZE, mix=Mix(natural=0, drawn=0, empty=0, known=0, faint=faint))
        for faint in (0.0, 1.0)
    }
    difference = [
        np.abs(sampler[0.0].sample(np.random.default_rng(seed)).image.astype(int)
               - sampler[1.0].sample(np.random.default_rng(seed)).image).mean()
        for seed in range(6)
    ]  # fmt: skip
    assert max(difference) > 0


def test_an_incomplete_folder_is_named(tmp_path) -> None:
    with pytest.raises(DatasetError, match="camvid"):
        SceneSampler(tmp_path, SIZE)


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ((CAR, CAMERA_WEARER), "a vehicle or a person"),
        (TRAIN_IDS, "an object that no street class covers, for the split 'train'"),
    ],
)
def test_pictures_without_what_is_pasted_are_named(tmp_path, gone, words) -> None:
    make_training_data(tmp_path)
    for path in (tmp_path / "duts_tr").glob("*/*"):
        if path.name.startswith(tuple(gone)):
            path.unlink()
    with pytest.raises(DatasetError, match=f"duts_tr shows no picture of {words}"):
        SceneSampler(tmp_path, SIZE)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize(("kind", "made"), [("crates", "draw_crate"), ("rectangles", "cut_rectangle")])
def test_as_many_unknown_objects_are_crates_as_asked(root, monkeypatch, share, kind, made) -> None:
    from oodseg.synth import cutouts as module

    drawn = []
    real = getattr(module, made)

    def remembers(texture, rng):
        drawn.append(texture.shape)
        return real(texture, rng)

    monkeypatch.setattr(module, made, remembers)
    found = scenes(root, natural=0, drawn=0, empty=0, herds=0, **{kind: share})
    assert sum(scene.unknown.any() for scene in found) >= 10
    if share:
        assert len(drawn) >= len(found)
        # Of whole images of things: their texture is that of something.
        assert set(drawn) == {(48, 60, 3)}
    else:
        assert not drawn
    for scene in found:
        assert (scene.labels[scene.unknown > 0] == IGNORE).all()


def test_squeezed_frames_take_part_in_the_scenes(tmp_path) -> None:
    add_squeezed(make_training_data(tmp_path))
    sampler = SceneSampler(tmp_path, SIZE, "train")
    assert "cityscapes_640" in sampler._windows.streets
    asked = {each.source for each in sampler._windows.streets["cityscapes_640"]}
    assert asked == {"cityscapes_640"}
    for seed in range(6):
        assert sampler.sample(np.random.default_rng(seed)).image.shape == (*SIZE, 3)


def test_loose_things_of_the_street_are_unknown_where_asked_for(root, monkeypatch) -> None:
    read = StreetImage.read

    def with_loose(self, loose=False):
        image, labels = read(self, loose)
        labels = labels.copy()
        half = labels.shape[0] // 2
        labels[half:] = CLASSES.index("drivable")
        if loose:
            y, x = half // 4, labels.shape[1] // 4
            labels[half - y : half + y, x : x + x // 3] = LOOSE
        return image, labels

    monkeypatch.setattr(StreetImage, "read", with_loose)
    quiet = {"natural": 0, "drawn": 0, "empty": 1, "known": 0, "country": 0}
    found = [np.unique(scene.unknown) for scene in scenes(root, 8, loose=1, **quiet)]
    assert any(set(each.tolist()) == {0, 128} for each in found)
    assert all((scene.labels != LOOSE).all() for scene in scenes(root, 8, loose=1, **quiet))
    assert all(
        (scene.labels[scene.unknown > 0] == IGNORE).all() for scene in scenes(root, 8, loose=1, **quiet)
    )
    assert all((scene.unknown == 0).all() for scene in scenes(root, 8, loose=0, **quiet))
