import math

import numpy as np
import pytest

from oodseg.core.build import build
from oodseg.core.errors import ConfigError
from oodseg.core.option_kinds import check_kinds
from oodseg.core.parts import parameters


def takes(
    number: "float", count: "int | None" = None, name: "str" = "", on: "bool" = False, other: "list[int]" = ()
):
    """Has an option of every kind."""


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("number", 1, None),
        ("number", np.float32(0.5), None),
        ("number", "many", "takes a number as number, not 'many'"),
        ("number", True, "takes a number as number, not True"),
        ("number", math.nan, "takes a number as number, not nan"),
        ("number", math.inf, "takes a number as number, not inf"),
        ("count", 3, None),
        ("count", None, None),
        ("count", 3.5, "takes a whole number or nothing as count, not 3.5"),
        ("name", "a", None),
        ("name", ["a"], "takes a text as name"),
        ("on", True, None),
        ("on", 1, "takes true or false as on, not 1"),
        ("other", "whatever", None),
    ],
)
def test_kinds(option, value, words):
    if words is None:
        check_kinds({option: value}, parameters(takes), "'x'")
        return
    with pytest.raises(ConfigError, match=f"'x' {words}"):
        check_kinds({option: value}, parameters(takes), "'x'")


def test_parts_are_checked_when_they_are_named():
    assert build("prompts", {"name": "components", "threshold": 3}).threshold == 3
    for value in ("many", math.nan):
        with pytest.raises(ConfigError, match="'components' among the prompts takes a number as threshold"):
            build("prompts", {"name": "components", "threshold": value})
