import pytest
from scipy.stats import binomtest

from oodseg.metrics.sign_test import sign_test


@pytest.mark.parametrize(("risen", "fallen", "p"), [
    (0, 0, 1.0),
    (1, 0, 1.0),
    (5, 0, 2 / 32),
    (0, 6, 2 / 64),
    (7, 1, 2 * (1 + 8) / 256),
    (4, 4, 1.0),
])  # fmt: skip
def test_by_hand(risen: int, fallen: int, p: float) -> None:
    assert sign_test(risen, fallen) == pytest.approx(p)
    assert sign_test(fallen, risen) == pytest.approx(p)


def test_as_scipy_has_it() -> None:
    assert sign_test(61, 39) == pytest.approx(binomtest(61, 100).pvalue)
