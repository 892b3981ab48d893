import jinja2
import pytest
from markupsafe import Markup

from oodseg.report.html import fill, percent


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(0.5, 0, "50 %"), (0.1234, 1, "12.3 %"), (1, 0, "100 %"), (None, 0, "–"), (float("nan"), 1, "–")],
)
def test_percent(share, digits, text):
    assert percent(share, digits) == text


def values(**others):
    frame = {"left": 0, "right": 1, "top": 0, "bottom": 1}
    known = {"title": "t", "width": 1, "height": 1, "frame": frame, "x_label": "x", "y_label": "y"}
    return {**known, "x_ticks": [], "y_ticks": [], "curves": [], "bars": [], "legend": [], **others}


def test_text_is_escaped_and_markup_is_not():
    assert "<figcaption>a &lt;b&gt;</figcaption>" in fill("chart.html", **values(title="a <b>"))
    assert "<figcaption><b>a</b></figcaption>" in fill("chart.html", **values(title=Markup("<b>a</b>")))


def test_a_value_that_is_not_given_is_an_error():
    known = values()
    del known["title"]
    with pytest.raises(jinja2.UndefinedError, match="title"):
        fill("chart.html", **known)
