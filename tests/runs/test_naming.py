from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodseg.runs.naming import common_folder, output_names


def names_of(*paths):
    root, names = output_names([Path(path) for path in paths])
    return str(root), [str(names[Path(path)]) for path in paths]


@pytest.mark.parametrize(
    ("paths", "root", "names"),
    [
        (["/p/a.jpg"], "/p", ["a"]),
        (["/p/a.jpg", "/p/b.jpg"], "/p", ["a", "b"]),
        (["/p/x/a.jpg", "/p/y/a.jpg"], "/p", ["x/a", "y/a"]),
        (["/p/a.jpg", "/p/a.png", "/p/b.png"], "/p", ["a.jpg", "a.png", "b"]),
        (["/p/a.jpg", "/p/A.png"], "/p", ["a.jpg", "A.png"]),
        (["/p/a.jpg", "/p/a.png", "/p/a.jpg.png"], "/p", ["a.jpg", "a.png", "a.jpg.png"]),
        (["/p/a.b.jpg", "/p/a.c.jpg"], "/p", ["a.b", "a.c"]),
        (["/p/scan"], "/p", ["scan"]),
    ],
)
def test_names(paths, root, names):
    assert names_of(*paths) == (root, names)


@given(st.sets(st.from_regex(r"(x/|y/|x/y/)?[aA](\.b)?\.(jpg|png)(\.png)?", fullmatch=True), min_size=1))
def test_names_never_collide(paths):
    _, names = names_of(*(f"/p/{path}" for path in sorted(paths)))
    assert len(set(names)) == len(paths)


def test_names_may_start_from_a_folder_above():
    root, names = output_names([Path("/p/x/a.jpg")], Path("/p"))
    assert (root, names) == (Path("/p"), {Path("/p/x/a.jpg"): Path("x/a")})


def test_the_common_folder():
    assert common_folder([Path("/p/x/a.jpg"), Path("/p/y/b.jpg")]) == Path("/p")
    assert common_folder([]) == Path.cwd()


@pytest.mark.parametrize("letter", ["a", "\N{CJK UNIFIED IDEOGRAPH-8857}"])
def test_names_leave_room_for_every_suffix(letter):
    size = len(letter.encode())
    names = [letter * (251 // size), letter * (251 // size - 1) + "b" * size, letter * (245 // size)]
    found = names_of(*(f"/p/x/{name}.jpg" for name in names))[1]
    assert found[2] == names[2]
    assert len(set(found)) == 3
    for cut, name in zip(found[:2], names, strict=False):
        assert len(f"{cut}.json".encode()) <= 255
        assert name.startswith(cut.partition("~")[0])
