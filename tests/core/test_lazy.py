import pytest

from oodseg.core.lazy import lazy_names


def test_a_name_is_imported_when_it_is_used_and_kept():
    package = {"__name__": "made.up"}
    look_up, list_names = lazy_names(package, {"sqrt": "math", "nothing": "math"})
    assert list_names() == ["__name__", "nothing", "sqrt"]
    assert "sqrt" not in package
    assert look_up("sqrt")(9) == 3
    assert "sqrt" in package
    with pytest.raises(AttributeError, match=r"module 'made\.up' has no attribute 'cube'"):
        look_up("cube")
    with pytest.raises(AttributeError):
        look_up("nothing")
