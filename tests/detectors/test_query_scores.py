import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax

from oodseg.core.errors import ConfigError
from oodseg.core.parts import MaskQueries
from oodseg.detectors.query_scores import class_scores, mask2anomaly, maskomaly, rba

SURE = 1e4  # softmax and sigmoid of it are exactly 1


def queries(classes, masks) -> MaskQueries:
    """Of one image: class logits [Q, C + 1], mask logits [Q, h, w]."""
    return MaskQueries(
        torch.as_tensor(np.asarray(classes, float))[None], torch.as_tensor(np.asarray(masks, float))[None]
    )


def drawn(seed, batch=1, count=5, known=3, size=(4, 5), scale=3.0) -> MaskQueries:
    rng = np.random.default_rng(seed)
    return MaskQueries(
        torch.from_numpy(rng.normal(size=(batch, count, known + 1)) * scale),
        torch.from_numpy(rng.normal(size=(batch, count, *size)) * scale),
    )


# One query, two known classes and void; the mask is 1 on the left pixel and 1/2 on the right.
@pytest.mark.parametrize(("classes", "rejected", "one_minus"), [
    ([SURE, 0, 0], [-np.tanh(1), -np.tanh(0.5)], [0, 0.5]),
    ([0, 0, SURE], [0, 0], [1, 1]),  # sure of void: nobody claims the pixel
    ([0, 0, 0], [-2 * np.tanh(1 / 3), -2 * np.tanh(1 / 6)], [2 / 3, 5 / 6]),
])  # fmt: skip
def test_values_by_hand(classes, rejected, one_minus) -> None:
    given_queries = queries([classes], [[[SURE, 0]]])
    np.testing.assert_allclose(rba(given_queries)[0, 0], rejected, atol=1e-12)
    np.testing.assert_allclose(mask2anomaly(given_queries)[0, 0], one_minus, atol=1e-12)


def test_maskomaly_by_hand() -> None:
    # A sure road, an unsure car (0.6 < 0.7), and a query that is sure of void.
    unsure = np.log(0.6 / 0.2)
    classes = [[SURE, 0, 0], [0, unsure, 0], [0, 0, SURE]]
    on, half, off = SURE, 0.0, -SURE
    masks = [[[on, half, off, on]], [[off, off, on, half]], [[off, half, on, off]]]
    quiet = torch.tensor([False, False, True])
    # Pixels: road; half road, half the quiet one's; car and quiet query; road and car meet.
    expected = [0.6 * 0 + 0.4 * 0, 0.6 * 0.5 + 0.4 * 0.5, 0.6 * 1 + 0.4 * 1, 0]
    found = maskomaly(queries(classes, masks), quiet)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-12)


@given(st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_against_loops_over_pixels(seed) -> None:
    drawn_queries = drawn(seed, batch=2)
    quiet = torch.from_numpy(np.random.default_rng(seed).random(5) < 0.4)
    found = [rba(drawn_queries), mask2anomaly(drawn_queries), maskomaly(drawn_queries, quiet)]
    for b in range(2):
        p = softmax(drawn_queries.classes[b].numpy(), 1)
        m = expit(drawn_queries.masks[b].numpy())
        for y, x in np.ndindex(4, 5):
            sums = [sum(p[q, c] * m[q, y, x] for q in range(5)) for c in range(3)]
            rejection = anomaly = 0.0
            rejection, touching = 1.0, 0
            for q in range(5):
                if p[q].argmax() != 3:
                    touching += m[q, y, x] > 0.1
                    if p[q].max() > 0.7:
                        rejection = min(rejection, 1 - m[q, y, x] * p[q].max())
                if quiet[q]:
                    anomaly = max(anomaly, m[q, y, x] * p[q].max())
            if touching > 1:
                rejection = 0.0
            expected = [-np.tanh(sums).sum(), 1 - max(sums), 0.6 * rejection + 0.4 * anomaly]
            np.testing.assert_allclose([each[b, y, x] for each in found], expected, atol=1e-9)


@given(st.integers(0, 999), st.permutations(range(5)), st.permutations(range(3)))
@settings(max_examples=30, deadline=None)
def test_neither_the_order_of_queries_nor_of_classes_matters(seed, order, classes) -> None:
    before = drawn(seed)
    after = MaskQueries(before.classes[:, order][..., [*classes, 3]], before.masks[:, order])
    torch.testing.assert_close(rba(after), rba(before))
    torch.testing.assert_close(mask2anomaly(after), mask2anomaly(before))
    quiet = torch.tensor([True, False, False, True, False])
    torch.testing.assert_close(maskomaly(after, quiet[order]), maskomaly(before, quiet))


@given(st.integers(0, 999), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_shifting_all_class_logits_changes_nothing(seed, shift) -> None:
    before = drawn(seed)
    after = MaskQueries(before.classes + shift, before.masks)
    for score in (rba, mask2anomaly):
        torch.testing.assert_close(score(after), score(before))


@given(st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_bounds_sign_and_extremes(seed) -> None:
    for scale in (3.0, 1e4):
        given_queries = drawn(seed, scale=scale)
        assert (rba(given_queries) <= 0).all()
        assert (rba(given_queries) >= -3).all()
        assert (mask2anomaly(given_queries) <= 1).all()
        score = maskomaly(given_queries, torch.ones(5, dtype=torch.bool))
        assert ((score >= 0) & (score <= 1)).all()
    # A mask that grows makes its pixel more claimed, never more anomalous.
    grown = MaskQueries(given_queries.classes, given_queries.masks + 1)
    assert (rba(grown) <= rba(given_queries) + 1e-12).all()
    assert (mask2anomaly(grown) <= mask2anomaly(given_queries) + 1e-12).all()


def test_background_is_cut_out_where_a_query_is_sure_of_it() -> None:
    sky, road = [0, SURE, 0], [np.log(0.9 / 0.05), 0, 0]
    masks = [[[0.1, -0.1]], [[-SURE, -SURE]]]  # just over and just under one half
    found = mask2anomaly(queries([sky, road], masks), background=[1])
    assert found[0, 0, 0] == 0
    assert found[0, 0, 1] == pytest.approx(1 - expit(-0.1))
    # Not sure enough of the road (0.9 < 0.95).
    kept = queries([road], [[[SURE]]])
    torch.testing.assert_close(mask2anomaly(kept, background=[0]), mask2anomaly(kept))


@pytest.mark.parametrize("background", [[3], [-1], ["sky"], [0.5]])
def test_background_takes_indices_of_known_classes(background) -> None:
    with pytest.raises(ConfigError, match="from 0 to 2"):
        mask2anomaly(drawn(0), background)


@pytest.mark.parametrize(
    ("classes", "masks"),
    [((1, 5, 4), (1, 4, 2, 2)), ((1, 5, 4), (1, 5, 4)), ((1, 5, 1), (1, 5, 2, 2))],
)
def test_shapes_that_do_not_fit(classes, masks) -> None:
    with pytest.raises(ConfigError, match="same B and Q"):
        class_scores(MaskQueries(torch.zeros(classes), torch.zeros(masks)))


def test_a_selection_of_other_queries() -> None:
    with pytest.raises(ConfigError, match="of 7 queries, this segmenter has 5"):
        maskomaly(drawn(0), torch.ones(7, dtype=torch.bool))
