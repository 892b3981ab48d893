from oodseg.training.engine.resumption import goes_on


def test_work_goes_on_only_with_the_same_settings(tmp_path) -> None:
    assert not goes_on(tmp_path / "run", {"a": (1, 2)})
    assert goes_on(tmp_path / "run", {"a": [1, 2]})
    assert not goes_on(tmp_path / "run", {"a": [1, 3]})
    assert goes_on(tmp_path / "run", {"a": [1, 3]})
