from oodseg.io.images import read_image
from oodseg.synth.demo import draw_scenes


def test_scenes_are_decided_by_their_seed(tmp_path) -> None:
    first, again, other = (
        draw_scenes(tmp_path / name, 2, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert [each.read_bytes() for each in first] == [each.read_bytes() for each in again]
    assert [each.read_bytes() for each in first] != [each.read_bytes() for each in other]
    assert not list(first.values())[1].any()
    assert next(iter(first.values())).max() == 2
    assert {read_image(path).shape[:2] for path in first} == {truth.shape for truth in first.values()}
