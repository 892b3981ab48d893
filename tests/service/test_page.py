"""The page: its files, and what people do with it in a browser."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from page_browser import RED, differ, file, hand_in, needs_browser, picture, save, shown
from PIL import Image
from pycocotools import mask as rle_tools
from service_app import client

import oodseg.service

STATIC = Path(oodseg.service.__file__).parent / "static"


def test_every_file_that_is_named_is_there() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert all((STATIC / name).is_file() for name in named)
    for module in (STATIC / "js").glob("*.js"):
        imported = re.findall(r'from "(\./[^"]+)"', module.read_text("utf-8"))
        assert all((module.parent / name).is_file() for name in imported), module.name


def test_nothing_comes_from_elsewhere_and_nothing_is_inline() -> None:
    for path in (each for each in STATIC.rglob("*") if each.is_file()):
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text), path.name
    page = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son[a-z]+=", page)


def test_browsers_ask_whether_a_file_has_changed() -> None:
    with client() as service:
        first = service.get("/js/main.js")
        assert first.headers["cache-control"] == "no-cache"
        again = service.get("/js/main.js", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


def test_every_id_that_is_looked_up_exists() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    looked_up = {
        name
        for module in (STATIC / "js").glob("*.js")
        for name in re.findall(r'byId\("([\w-]+)"\)', module.read_text("utf-8"))
    }
    assert looked_up <= set(ids)


@pytest.mark.slow
@needs_browser
def test_a_dropped_file_shows_its_masks(page) -> None:
    dropped = page.evaluate_handle(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
            return transfer;
        }""",
        base64.b64encode(picture()).decode(),
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("body", event, {"dataTransfer": dropped})
    page.locator(".object").nth(2).wait_for()
    assert page.locator(".object").count() == 3
    assert page.locator("#found-count").inner_text() == "3 unknown objects"
    assert page.locator("#canvas").get_attribute("aria-label") == "dropped.png: 3 unknown objects"
    assert page.locator("#announce").inner_text() == "dropped.png: 3 unknown objects"
    assert page.faults == []
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert all(each.startswith(("http://127.0.0.1", "blob:", "data:")) for each in page.asked)


@pytest.mark.slow
@needs_browser
def test_layers_are_switched(page) -> None:
    hand_in(page)
    everything = shown(page)
    for layer in ("masks", "boxes", "image"):
        page.locator(f"#layer-{layer}").uncheck()
        without = shown(page)
        assert differ(everything, without) > 100, layer
        everything = without
    page.locator("#layer-heat").check()
    page.locator("#scale:not(.awaited)").wait_for()
    assert differ(everything, shown(page)) > 100
    page.keyboard.press("2")
    assert not page.locator("#layer-heat").is_checked()
    assert differ(everything, shown(page)) == 0


@pytest.mark.slow
@needs_browser
def test_the_slider_computes_nothing_again(page) -> None:
    hand_in(page)
    asked = len(page.asked)
    page.locator("#point").focus()
    page.keyboard.press("End")
    page.locator(".object").nth(3).wait_for()
    assert page.locator("#point").get_attribute("aria-valuetext") == "Thorough, 4 objects"
    page.keyboard.press("Home")
    page.locator(".object").nth(3).wait_for(state="detached")
    page.get_by_role("button", name="1 more when thorough").click()
    page.locator(".object").nth(3).wait_for()
    assert len(page.asked) == asked


@pytest.mark.slow
@needs_browser
def test_hovering_lights_up_both_ways(page) -> None:
    hand_in(page)
    plain = shown(page)
    page.locator(".object").nth(1).hover()
    assert differ(plain, shown(page)) > 50
    stage = page.locator("#canvas").bounding_box()
    scale = min((stage["width"] - 48) / 128, (stage["height"] - 48) / 96, 4)
    first = json.loads(save(page, "#save-coco")[1])["annotations"][0]
    x, y, width, height = first["bbox"]
    middle = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(middle[0] + (x + width / 2 - 64) * scale, middle[1] + (y + height / 2 - 48) * scale)
    page.locator(".object.lit").wait_for()
    assert page.locator(".object.lit").get_attribute("data-id") == "1"
    page.mouse.down()
    page.mouse.up()
    page.locator(".object[aria-pressed=true]").wait_for()
    assert page.locator(".object[aria-pressed=true]").get_attribute("data-id") == "1"
    page.keyboard.press("Escape")
    page.locator(".object[aria-pressed=true]").wait_for(state="detached")


@pytest.mark.slow
@needs_browser
def test_what_is_saved_is_what_is_shown(page) -> None:
    hand_in(page, file(), file("two.png"))
    name, content = save(page, "#save-coco")
    coco = json.loads(content)
    assert name == "street.json"
    assert coco["images"] == [{"id": 1, "file_name": "street.png", "width": 128, "height": 96}]
    masks = np.array([rle_tools.decode(each["segmentation"]) for each in coco["annotations"]], bool)
    red = np.zeros((96, 128), bool)
    for x0, y0, x1, y1 in RED:
        red[y0:y1, x0:x1] = True
    assert np.count_nonzero(masks.any(0) & red) > 0.9 * red.sum()
    name, content = save(page, "#save-mask")
    assert name == "street_mask.png"
    mask = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    assert mask.tolist() == (255 * masks.any(0)).tolist()
    name, content = save(page, "#save-picture")
    assert (name, Image.open(io.BytesIO(content)).size) == ("street_objects.png", (128, 96))
    name, content = save(page, "#save-all")
    assert name == "objects.json"
    assert [each["file_name"] for each in json.loads(content)["images"]] == ["street.png", "two.png"]


@pytest.mark.slow
@needs_browser
def test_likely_errors(page) -> None:
    hand_in(page)
    before = shown(page)
    page.keyboard.press("e")
    page.locator(".quality").wait_for()
    assert re.match(r"\d+ % estimated mean IoU", page.locator(".quality .value").inner_text())
    assert differ(before, shown(page)) > 100
    assert page.locator("#layer-boxes").is_hidden()
    page.locator("#tab-failures").press("ArrowLeft")
    page.locator(".object").first.wait_for()
    assert not page.locator("#layer-heat").is_checked()


@pytest.mark.slow
@needs_browser
def test_labels_of_neighbours_do_not_cover_each_other(page) -> None:
    places = page.evaluate(
        """async () => {
            const { placeLabels } = await import("./js/paint.js");
            const boxes = [[40, 40, 30, 60], [55, 46, 30, 20], [44, 60, 40, 40], [2, 0, 20, 90]];
            const objects = boxes.map((bbox, index) => ({ id: index + 1, bbox, confidence: 0.5 }));
            const context = new OffscreenCanvas(1, 1).getContext("2d");
            const scene = { objects, bounds: { width: 200, height: 150 } };
            return placeLabels(context, { scale: 1, left: 0, top: 0 }, scene, null).map(
                ({ across, down, chip, rest }) => [across, down, across + chip + rest, down + 20]);
        }"""
    )
    assert len(places) == 4
    for number, (left, top, right, bottom) in enumerate(places):
        assert left >= 0
        assert top >= 0
        assert right <= 200
        assert bottom <= 150
        for x0, y0, x1, y1 in places[:number]:
            assert left >= x1 or x0 >= right or top >= y1 or y0 >= bottom
