import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from oodseg.core.prediction import Prediction
from oodseg.data import open_dataset
from oodseg.evaluation import evaluate
from oodseg.report.write import write_results

SHAPE = (40, 60)


def predict(path):
    masks = np.zeros((1, *SHAPE), bool)
    masks[0, 5:25, 10:30] = True
    score = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    return Prediction.from_masks(masks, [[10, 5, 30, 25]], [0.9], path=path, score=score)


@pytest.fixture
def found(tmp_path):
    label = np.zeros(SHAPE, np.uint8)
    label[5:25, 10:25] = 1
    return evaluation_of(label, tmp_path)


def evaluation_of(label, tmp_path):
    root = tmp_path / "a <b> & 'c'"
    for name in ("x<1>", "y"):
        for part, pixels in (("images", np.full((*SHAPE, 3), 90, np.uint8)), ("labels", label)):
            (root / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / part / f"{name}.png")
    return evaluate(open_dataset(root), predict, resamples=10, gallery=10)


class Checker(HTMLParser):
    """Collects tags and notes those that are not closed in order."""

    VOID = frozenset({"meta", "img", "line", "polyline", "rect", "br", "link"})

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.faults = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def page(found, tmp_path):
    write_results([found], tmp_path / "out")
    return (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_stands_alone(found, tmp_path):
    text = page(found, tmp_path)
    checker = Checker()
    checker.feed(text)
    assert checker.faults == []
    assert checker.open == []
    addresses = [attrs[key] for _, attrs in checker.seen for key in ("src", "href") if key in attrs]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "@import" not in text
    assert "url(" not in text
    targets = {attrs["id"] for _, attrs in checker.seen if "id" in attrs}
    assert {address[1:] for address in addresses if address.startswith("#")} <= targets


def test_names_are_escaped(found, tmp_path):
    text = page(found, tmp_path)
    assert "x<1>" not in text
    assert "x&lt;1&gt;" in text
    assert "a <b>" not in text


def test_the_page_holds_table_charts_sizes_gallery_and_definitions(found, tmp_path):
    text = page(found, tmp_path)
    for words in (
        "IoU against the threshold",
        "Precision and recall",
        "ROC curve",
        "Objects found (IoU of at least 50 %), by size",
        "Pixels by confidence",
        "Objects found, by size",
        "from worst to best",
        "How it was measured",
        found.fingerprint,
        "confidence 0.90",
    ):
        assert words in text, words
    assert len(re.findall("<article", text)) == 2
    assert text.count("data:image/webp") == 6


def test_undefined_figures_leave_no_nan_behind(found, tmp_path):
    assert not re.search(r"\bnan\b", page(found, tmp_path), re.IGNORECASE)


@pytest.mark.parametrize("code", [0, 255])
def test_a_set_without_a_figure_leaves_no_nan_behind(tmp_path, code):
    label = np.full(SHAPE, code, np.uint8)
    label[5:25, 10:25] = 1 if code == 255 else 0
    assert not re.search(r"\bnan\b", page(evaluation_of(label, tmp_path), tmp_path), re.IGNORECASE)


def test_several_sets_are_one_page_with_a_mean(found, tmp_path):
    write_results([found, found], tmp_path / "out", published=False)
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'id="means"' in text
    assert text.count("<h2>a &lt;b&gt;") == 2
