"""The pages of runs in a browser, which is here: narrow and wide, light and dark."""

import pytest
from page_browser import needs_browser

from oodseg.mining import MinedObject
from oodseg.mining.gallery import render as gallery_page
from oodseg.report.failure_gallery import render as failure_page
from oodseg.report.failure_list import FailureEntry, FailureList
from oodseg.report.failure_record import FailureRecord
from oodseg.report.object_list import ObjectEntry, ObjectList
from oodseg.report.object_page import render as object_page

NAME = "a folder/with a long name/" * 4


def pages():
    found = {"score": 0.8, "bbox": [1.0, 2.0, 30.0, 40.0], "area": 900}
    entries = [ObjectEntry(f"{NAME}{k}", 100, 200, [found] * k, 2.5, {}) for k in range(12)]
    yield object_page(ObjectList(entries, {"c": "c is broken"}, {"version": "1.2", "images": None}))
    record = FailureRecord(10, 10, 0.4, {"road": 0.9, "car": 0.1}, {}, 0.25, (90, 40), 1.0)
    files = {kind: f"{kind}.png" for kind in ("error", "labels", "heat", "panels")}
    judged = [FailureEntry(f"{NAME}{k}", record, files) for k in range(4)]
    yield failure_page(FailureList(judged, {}, ("road", "car"), "IoU", {"dice": {"liver": 0.8}}))
    box, region = (1.0, 2.0, 30.0, 40.0), (0, 0, 60)
    mined = [MinedObject(f"{NAME}{k}", 1, box, 90, 0.9, region, "M0 0L9 9Z", "x", "x") for k in range(9)]
    yield gallery_page(mined, [], {"results": "/data/found", "like": []})


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_everyone_can_read_the_pages_of_runs(browser, width, scheme) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with browser.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme) as context:
        page = context.new_page()
        for content in pages():
            page.set_content(content, wait_until="domcontentloaded")
            found = Axe().run(page).response["violations"]
            assert [each["id"] for each in found if each["impact"] in {"serious", "critical"}] == []
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width
            ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 27)")
