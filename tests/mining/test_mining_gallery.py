"""The page, filled and in a browser."""

import json
import re
import shutil

import pytest
from mined_cases import Colours, collection

from oodseg.exchange import read, write
from oodseg.mining import MinedObject, mine
from oodseg.mining.gallery import render

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ABOUT = {"results": "/data/found", "like": []}


def objects(count=4):
    return [
        MinedObject(
            f"street <{number}>.jpg",
            1,
            (1.0, 2.0, 30.0, 40.0),
            100 * (number + 1),
            round(0.9 - number / (2 * count), 4),
            (0, 0, 60),
            "M0 0L9 9L0 9Z",
            f"crops/street <{number}>.jpg/1.jpg",
            f"masks/street <{number}>.jpg/1.png",
            rarity=round(1 - number / count, 4),
            cluster=number % 3,
        )
        for number in range(count)
    ]


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page).group(1))


def test_names_are_escaped_and_addresses_quoted():
    page = render(objects(), ["</script><b>is gone"], ABOUT)
    assert "&lt;/script&gt;&lt;b&gt;is gone" in page
    assert page.count("</script>") == 2
    crop = data_of(page)["crops"][0]
    assert crop["image"] == "street <0>.jpg"
    assert crop["crop"] == "crops/street%20%3C0%3E.jpg/1.jpg"


def test_clusters_are_offered_with_their_sizes():
    page = render(objects(6), [], ABOUT)
    assert re.findall(r"<option value=\"(\d)\">([^<]+)</option>", page) == [
        ("1", "1 (2)"), ("2", "2 (2)"), ("0", "none (2)"),
    ]  # fmt: skip
    assert "similar" not in re.search(r'<select name="sort">.*?</select>', page, re.DOTALL).group()


def test_nothing_comes_from_elsewhere():
    page = render(objects(), [], ABOUT)
    assert re.findall(r'(?:src|href)="?(?:https?:)?//', page) == []


SCRIPT = """
<script>
(async () => {
  const log = {};
  const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
  const named = (selector) => [...grid.querySelectorAll(selector + " .name")].map((each) => each.textContent);
  const cards = () => named(".crop");
  const marked = (state) => named(".crop." + state);
  const set = (name, value) => {
    filters[name].value = value;
    filters[name].dispatchEvent(new Event("input", { bubbles: true }));
  };
  const status = () => document.getElementById("count").textContent;
  log.first = cards();
  log.chosen = marked("chosen");
  press("k"); press("k"); press("r");
  log.kept = marked("keep"); log.rejected = marked("reject");
  log.then = marked("chosen"); log.status = status();
  press("ArrowLeft"); press("u");
  log.undone = [marked("reject"), status()];
  press("r");
  set("confidence_from", "0.8"); log.confident = cards(); set("confidence_from", "");
  set("area_to", "200"); log.small = cards(); set("area_to", "");
  set("state", "keep"); log.only_kept = cards(); set("state", "");
  set("cluster", "2"); log.cluster = cards(); set("cluster", "");
  set("cluster", "0"); log.alone = cards(); set("cluster", "");
  set("area_from", "1e9"); log.none = [cards().length, document.getElementById("empty").hidden];
  set("area_from", "");
  press("c"); log.same_cluster = cards(); press("c"); log.all_again = cards().length;
  press("o"); log.plain = grid.classList.contains("plain");
  set("sort", "area"); log.largest = cards()[0]; set("sort", "worth");
  grid.children[1].click(); log.clicked = marked("chosen");
  let blob;
  URL.createObjectURL = (given) => { blob = given; return "#"; };
  HTMLAnchorElement.prototype.click = function () { log.download = this.download; };
  document.getElementById("save").click();
  log.picks = JSON.parse(await blob.text());
  picks.clear(); filter();
  await load(new File([JSON.stringify(log.picks)], "picks.json"));
  log.loaded = [marked("keep"), marked("reject")];
  picks.clear(); recall(); log.remembered = picks.size;
  let said;
  window.alert = (text) => { said = text; };
  await load(new File(["no picks"], "holiday.json"));
  log.refused = said;
  await load(new File(["null"], "nothing.json"));
  log.nothing = said;
  await load(new File(['{"keep": [{"image": "x", "object": 1}, null], "reject": []}'], "others.json"));
  log.others = [said, marked("keep").length];
  grid.children[3].click();
  filters.outlines.dispatchEvent(new KeyboardEvent("keydown", { key: "K", bubbles: true }));
  filters.area_from.dispatchEvent(new KeyboardEvent("keydown", { key: "r", bubbles: true }));
  log.with_checkbox = status();
  const active = document.getElementById(grid.getAttribute("aria-activedescendant"));
  log.told = active.matches("[aria-selected=true].chosen");
  log.one_selected = grid.querySelectorAll("[aria-selected=true]").length;
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(log);
  document.body.append(result);
})();
</script>
"""
MANY = """
<script>
const first = grid.children.length;
const down = () => document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
for (let step = 0; step < 20; step++) down();
const result = document.createElement("pre");
result.id = "result";
result.textContent = JSON.stringify({ first, then: grid.children.length, chosen, columns: columns() });
document.body.append(result);
</script>
"""


def in_browser(page, script, folder):
    """Opens a page, runs a script in it, and returns what it logged."""
    from playwright.sync_api import sync_playwright

    file = folder / "page.html"
    file.write_text(str(page).replace("</body>", f"{script}</body>"), "utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1600, "height": 1200})
        faults = []
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.goto(file.as_uri())
        result = opened.locator("#result")
        try:
            result.wait_for(state="attached", timeout=60_000)
        except Exception as error:
            raise AssertionError(f"the script of the page did not end: {faults}") from error
        text = result.text_content()
        browser.close()
    assert not faults
    return json.loads(text)


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.mark.slow
@needs_browser
def test_the_page_is_used_with_the_keyboard(tmp_path):
    log = in_browser(render(objects(), [], ABOUT), SCRIPT, tmp_path)
    names = [f"street <{number}>.jpg#1" for number in range(4)]
    assert log["first"] == names
    assert log["chosen"] == names[:1]
    assert (log["kept"], log["rejected"], log["then"]) == (names[:2], names[2:3], names[3:])
    assert log["status"] == "4 of 4 · 2 kept · 1 rejected"
    assert log["undone"] == [[], "4 of 4 · 2 kept · 0 rejected"]
    assert log["confident"] == names[:1]
    assert log["small"] == names[:2]
    assert log["only_kept"] == names[:2]
    assert log["cluster"] == names[2:3]
    assert log["alone"] == [names[0], names[3]]
    assert log["none"] == [0, False]
    assert set(log["same_cluster"]) < set(names)
    assert (log["all_again"], log["plain"], log["largest"], log["clicked"]) == (4, True, names[3], names[1:2])
    assert log["download"] == "picks.json"
    assert [each["image"] for each in log["picks"]["keep"]] == ["street <0>.jpg", "street <1>.jpg"]
    assert log["picks"]["reject"] == [{"image": "street <2>.jpg", "object": 1, "box": [1, 2, 30, 40]}]
    assert log["loaded"] == [names[:2], names[2:3]]
    assert log["remembered"] == 3
    assert log["refused"] == "holiday.json holds no picks"
    assert log["nothing"] == "nothing.json holds no picks"
    assert log["others"] == ["others.json holds picks of other objects", 2]
    assert log["with_checkbox"] == "4 of 4 · 3 kept · 1 rejected"
    assert (log["told"], log["one_selected"]) == (True, 1)


@pytest.mark.slow
@needs_browser
def test_the_page_is_used_by_touch(tmp_path):
    from playwright.sync_api import expect, sync_playwright

    file = tmp_path / "page.html"
    file.write_text(str(render(objects(), [], ABOUT)), "utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
        page.set_default_timeout(60_000)
        page.goto(file.as_uri())
        count = page.locator("#count")
        for name, said in (
            ("Keep", "1 kept · 0 rejected"),
            ("Reject", "1 kept · 1 rejected"),
            ("Keep", "2 kept · 1 rejected"),
        ):
            page.locator("#decide button", has_text=name).tap()
            expect(count).to_have_text(f"4 of 4 · {said}", timeout=60_000)
        page.locator(".crop").nth(1).tap()
        page.locator("#decide button", has_text="Undo").tap()
        expect(count).to_have_text("4 of 4 · 2 kept · 0 rejected", timeout=60_000)
        browser.close()


@pytest.mark.slow
@needs_browser
def test_thousands_of_crops_are_drawn_as_they_are_needed(tmp_path):
    log = in_browser(render(objects(5000), [], ABOUT), MANY, tmp_path)
    assert log["first"] < 1000
    assert log["chosen"] == 20 * log["columns"]
    assert log["chosen"] < log["then"] < 1000


@pytest.mark.slow
@needs_browser
def test_what_was_picked_is_exported(tmp_path):
    run = mine(collection(tmp_path), tmp_path / "mined", encoder=Colours(), duplicates=0.99)
    keep = """<script>
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "k" }));
    let blob; URL.createObjectURL = (given) => { blob = given; return "#"; };
    HTMLAnchorElement.prototype.click = () => {};
    save();
    blob.text().then((text) => {
      const result = document.createElement("pre"); result.id = "result"; result.textContent = text;
      document.body.append(result);
    });
    </script>"""
    picks = in_browser(run.page.read_text("utf-8"), keep, tmp_path)
    (tmp_path / "picks.json").write_text(json.dumps(picks))
    export = write(tmp_path / "found", tmp_path / "out", "cvat", picks=tmp_path / "picks.json")
    assert (export.images, export.objects) == (1, 1)
    (image,) = read(tmp_path / "out")
    assert image.name == run.objects[0].image
    assert image.objects[0].bbox == run.objects[0].bbox
