import numpy as np
import pytest
from prompt_fakes import FakeSampler

from oodseg.core.errors import DatasetError
from oodseg.training.scene_cache import SHARD, cache_scenes, read_scenes


def test_samplers_take_turns_and_seed_and_number_decide(tmp_path) -> None:
    samplers = [FakeSampler((16, 24)), FakeSampler((20, 12))]
    cache_scenes(samplers, 2 * SHARD + 1, tmp_path / "first", seed=3)
    assert sorted(path.name for path in (tmp_path / "first").glob("*.npz")) == [
        "00000.npz",
        "00001.npz",
        "00002.npz",
    ]
    for number, size in enumerate([(16, 24), (20, 12), (16, 24)]):
        images, unknown = read_scenes(tmp_path / "first", number)
        assert (images.shape, unknown.shape) == ((SHARD, *size, 3), (SHARD, *size))
        assert images.dtype == unknown.dtype == np.uint8
        rng = np.random.default_rng([3, number])
        for image, codes in zip(images, unknown, strict=True):
            scene = samplers[number % 2].sample(rng)
            np.testing.assert_array_equal(image, scene.image)
            np.testing.assert_array_equal(codes, scene.unknown)


def test_interrupted_it_goes_on_without_touching_what_is_there(tmp_path) -> None:
    cache_scenes([FakeSampler((16, 16))], SHARD, tmp_path, made_of={"sizes": [(16, 16)]})
    before = (tmp_path / "00000.npz").stat().st_mtime_ns
    cache_scenes([FakeSampler((16, 16))], 2 * SHARD, tmp_path, made_of={"sizes": [(16, 16)]})
    assert (tmp_path / "00000.npz").stat().st_mtime_ns == before
    assert (tmp_path / "00001.npz").is_file()


@pytest.mark.parametrize("change", [{"seed": 1}, {"made_of": {"sizes": [(32, 16)]}}])
def test_scenes_of_another_kind_are_refused(tmp_path, change) -> None:
    given = {"seed": 0, "made_of": {"sizes": [(16, 16)]}}
    cache_scenes([FakeSampler((16, 16))], 1, tmp_path, **given)
    with pytest.raises(DatasetError, match="scenes of another seed or kind: delete the folder"):
        cache_scenes([FakeSampler((32, 16))], 1, tmp_path, **{**given, **change})


@pytest.mark.parametrize("length", [None, 0, 200])
def test_missing_and_damaged_files_are_named(tmp_path, length) -> None:
    cache_scenes([FakeSampler((16, 16))], 1, tmp_path)
    path = tmp_path / "00000.npz"
    content = path.read_bytes()
    path.unlink()
    if length is not None:
        path.write_bytes(content[:length])
    with pytest.raises(DatasetError, match=r"00000\.npz is missing or damaged .*fill the cache again"):
        read_scenes(tmp_path, 0)
