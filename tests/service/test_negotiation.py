"""JSON or PNG."""

import pytest

from oodseg.service.negotiation import wants_picture
from oodseg.service.problems import Problem


@pytest.mark.parametrize(
    ("accept", "view", "picture"),
    [
        (None, False, False),
        (None, True, True),
        ("*/*", False, False),
        ("*/*", True, True),
        ("application/json", True, False),
        ("image/png", False, True),
        ("image/*", False, True),
        ("image/png, application/json", False, False),
        ("image/png, application/json", True, True),
        ("image/png;q=0.5, application/json", True, False),
        ("image/avif,image/webp,image/png,*/*;q=0.8", False, True),
        ("text/html, */*;q=0.1", False, False),
        ("image/png;q=nonsense, */*", False, False),
        ("IMAGE/PNG", False, True),
    ],
)
def test_what_a_client_wants(accept, view, picture) -> None:
    assert wants_picture(accept, view) is picture


@pytest.mark.parametrize("accept", ["text/html", "image/jpeg", "image/png;q=0"])
def test_neither(accept) -> None:
    with pytest.raises(Problem, match="accept one of them"):
        wants_picture(accept, False)
