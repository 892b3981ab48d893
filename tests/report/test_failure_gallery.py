import re

import pytest

from oodseg.report.failure_gallery import render
from oodseg.report.failure_list import FailureEntry, FailureList
from oodseg.report.failure_record import FailureRecord

KINDS = ("error", "labels", "heat", "panels")


def entry(name, mean=0.4, by_class=None):
    record = FailureRecord(10, 10, mean, by_class or {}, {}, 0.25, (90, 40), 1.0)
    return FailureEntry(name, record, {kind: f"{kind}/{name}.png" for kind in KINDS})


def page(entries, measure="IoU", failures=(), **info):
    reasons = dict(enumerate(failures))
    return render(FailureList(entries, reasons, ("road", "car"), measure, info))


def test_names_are_escaped_and_addresses_quoted():
    text = page([entry("a <b> #1")], failures=["c <d> is broken"])
    assert "a &lt;b&gt; #1</h4>" in text
    assert 'src="panels/a%20%3Cb%3E%20%231.png"' in text
    assert "<li>c &lt;d&gt; is broken</li>" in text


def test_the_worst_class_comes_first():
    text = page([entry("x", by_class={"road": 0.9, "car": 0.1})])
    assert re.search("car <b>10 %</b>.*road <b>90 %</b>", text, re.DOTALL)
    assert "estimated mean IoU <b>40 %</b>" in text
    assert "expected wrong pixels <b>25 %</b>" in text


@pytest.mark.parametrize(
    ("count", "measure", "words"),
    [(0, "IoU", "0 images,"), (1, "IoU", "1 image,"), (2, "Dice", "2 slices,"), (1, "Dice", "1 slice,")],
)
def test_the_summary_counts(count, measure, words):
    assert f"<p>{words}" in page([entry(str(k)) for k in range(count)], measure)


def test_nothing_predicted_is_said():
    assert "estimated mean IoU <b>no class predicted</b>" in page([entry("x", mean=None)])


def test_who_judged_and_what_to_know_of_the_figures():
    settings = {"detector": {"name": "ensemble"}, "second_opinions": ["street", {"name": "upernet"}]}
    text = page([entry("x")], settings=settings, notes=["they are <guesses>"])
    assert "Failure detector: <b>ensemble</b>" in text
    assert "second opinion of <b>street, upernet</b>" in text
    assert "Note: they are &lt;guesses&gt;." in text
    assert "second opinion" not in page([entry("x")], settings={"detector": "street"})


def test_structures_of_a_volume():
    text = page([entry("x")], "Dice", dice={"liver": 0.81, "spleen": None})
    assert re.search("liver</th><td>81 %</td>", text)
    assert re.search("spleen</th><td>–</td>", text)


def test_charts_need_some_images():
    assert "<svg" not in page([entry("x")] * 2)
    assert page([entry("x", by_class={"car": 0.4})] * 3).count('<figure class="chart">') == 3
