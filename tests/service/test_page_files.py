"""What people hand to the page: turned images, odd names, folders, pasted pictures, many images."""

import base64
import io
import json

import numpy as np
import pytest
from page_browser import RED, differ, file, hand_in, needs_browser, picture, save, shown, wait_for_store
from PIL import Image
from service_app import encoded

STORE = "(await import('./js/store.js')).store"
NAMES = ["<b>bold</b>.png", "🚗" * 60 + ".png", "x" * 200 + ".png", "$&.png", "\u202egnp.png", "a b#?%.png"]


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_turned_images_lie_under_their_masks(page, kind) -> None:
    files = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        buffer = io.BytesIO()
        Image.open(io.BytesIO(picture())).save(buffer, kind, exif=exif)
        files.append(file(f"{orientation}.{kind}", buffer.getvalue()))
    hand_in(page, *files)
    for _ in files:
        wait_for_store(page, "store.current.picture")
        found = page.evaluate(
            f"""async () => {{
                const {{ current: item }} = {STORE};
                const canvas = new OffscreenCanvas(item.picture.width, item.picture.height);
                const context = canvas.getContext("2d");
                context.drawImage(item.picture, 0, 0);
                return {{
                    size: [item.picture.width, item.picture.height],
                    answered: [item.result.width, item.result.height],
                    colours: item.result.objects.slice(0, {len(RED)}).map(({{ bbox: [x, y, w, h] }}) =>
                        [...context.getImageData(x + w / 2, y + h / 2, 1, 1).data]),
                }};
            }}"""
        )
        assert found["size"] == found["answered"]
        assert len(found["colours"]) == len(RED)
        assert all(red > 150 > 100 > green for red, green, *_ in found["colours"])
        page.locator("#stage").press("ArrowRight")


@pytest.mark.slow
@needs_browser
def test_a_picture_that_does_not_fit_its_masks_is_not_shown(page) -> None:
    page.evaluate(
        """() => {
            const decode = window.createImageBitmap.bind(window);
            window.createImageBitmap = (file) => decode(file, { resizeWidth: 96, resizeHeight: 128 });
        }"""
    )
    page.set_input_files("#files", [file()])
    page.locator("#stage-words:text('cannot show the image')").wait_for()
    assert page.locator("#save-picture").is_disabled()
    assert page.locator("#save-mask").is_enabled()


@pytest.mark.slow
@needs_browser
def test_warnings_of_a_file_are_told(page) -> None:
    hand_in(page)
    assert page.locator("#warnings li").count() == 0

    def warn(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "warnings": ["the upload is <b>dark</b>"]})

    page.route("**/v1/predict*", warn)
    page.set_input_files("#files", [file("night.png")])
    page.locator("#warnings li:text('“night.png” is <b>dark</b>.')").wait_for()
    page.locator("#stage").press("ArrowLeft")
    page.locator("#warnings li").wait_for(state="detached")


@pytest.mark.slow
@needs_browser
def test_what_the_browser_cannot_read_comes_from_the_service(page) -> None:
    scan = encoded(pixels_of(Image.open(io.BytesIO(picture()))), "tiff")
    hand_in(page, file("scan.tif", scan), file())
    wait_for_store(page, "store.current.picture")
    first = shown(page)
    assert page.locator("#stage-message").is_hidden()
    assert page.locator("#save-picture").is_enabled()
    page.locator("#stage").press("ArrowRight")
    page.locator("#announce:text('street.png: 3 objects')").wait_for()
    wait_for_store(page, "store.current.name === 'street.png' && store.current.picture")
    assert differ(first, shown(page)) == 0


@pytest.mark.slow
@needs_browser
def test_of_an_animation_the_first_image_is_taken_and_that_is_said(page) -> None:
    buffer, first = io.BytesIO(), Image.open(io.BytesIO(picture()))
    first.save(buffer, "gif", save_all=True, append_images=[first.rotate(180)])
    hand_in(page, file("two.gif", buffer.getvalue()))
    words = "“two.gif” holds 2 images, of which the first is taken: save the others as files of their own."
    assert page.locator("#warnings li").inner_text() == words
    page.locator("#tab-failures").click()
    page.locator("#failures .warnings li").wait_for()
    assert page.locator("#failures .warnings li").inner_text() == words


@pytest.mark.slow
@needs_browser
def test_odd_names_are_only_text(page) -> None:
    hand_in(page, *[file(name) for name in NAMES])
    shown_names = []
    for _ in NAMES:
        shown_names.append(page.locator("#file-name").inner_text())
        saved, _content = save(page, "#save-mask")
        assert len(saved.encode()) <= 255
        assert saved.endswith("_mask.png")
        page.locator("#stage").press("ArrowRight")
    assert sorted(shown_names) == sorted(NAMES)
    assert page.locator("#work b").count() == 0
    listed = json.loads(save(page, "#save-all")[1])["images"]
    assert sorted(each["file_name"] for each in listed) == sorted(NAMES)
    page.set_input_files("#files", [file("$&<i>.png", b"no image")])
    page.locator(".stage-message.bad").wait_for()
    assert "“$&<i>.png” is not an image" in page.locator("#stage-words").inner_text()
    assert page.faults[1:] == []  # the first: what the browser says of an answer with 415


@pytest.mark.slow
@needs_browser
def test_a_folder_keeps_its_paths_and_hidden_files_out(page, tmp_path) -> None:
    for name in ("10/a.png", "9/a.png", "9/._a.png"):
        (tmp_path / "drive" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "drive" / name).write_bytes(picture())
    (tmp_path / "drive" / "notes.txt").write_text("text")
    page.set_input_files("#folder", tmp_path / "drive")
    page.locator("#strip-list .badge.some").nth(1).wait_for()
    images = json.loads(save(page, "#save-all")[1])["images"]
    assert [each["file_name"] for each in images] == ["drive/9/a.png", "drive/10/a.png"]


@pytest.mark.slow
@needs_browser
def test_folders_with_nothing_to_look_at_are_told(page, tmp_path) -> None:
    page.dispatch_event("#folder", "change")
    page.locator("#toasts span:text('There is no file in it.')").wait_for()
    for name in ("notes.txt", "more.csv"):
        (tmp_path / name).write_text("text")
    page.set_input_files("#folder", tmp_path)
    page.locator("#toasts span:text('neither an image nor a video among these files')").wait_for()
    assert page.locator("#landing").is_visible()


@pytest.mark.slow
@needs_browser
def test_pasted_pictures_have_names_of_their_own(page) -> None:
    paste = """(text) => {
        const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([bytes], "image.png", { type: "image/png" }));
        document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
    }"""
    for _ in range(2):
        page.evaluate(paste, base64.b64encode(picture()).decode())
    page.locator("#strip-list .badge.some").nth(1).wait_for()
    images = json.loads(save(page, "#save-all")[1])["images"]
    assert [each["file_name"] for each in images] == ["pasted-1.png", "pasted-2.png"]


@pytest.mark.slow
@needs_browser
def test_large_and_tiny_images(page) -> None:
    small = Image.open(io.BytesIO(picture()))
    large = encoded(pixels_of(small.resize((2560, 1920))))
    tiny = encoded(pixels_of(small.resize((40, 32))))
    hand_in(page, file("large.png", large))
    name, content = save(page, "#save-picture")
    assert (name, Image.open(io.BytesIO(content)).size) == ("large_objects.png", (2560, 1920))
    page.set_input_files("#files", [file("tiny.png", tiny)])
    page.locator("#canvas[aria-label^='tiny.png:']").wait_for()
    for _ in range(30):
        page.keyboard.press("+")
    assert page.evaluate("() => document.getElementById('zoom-value').textContent.trim()") == "3200\u202f%"
    page.set_input_files("#files", [file("line.png", encoded(pixels_of(small.resize((1, 1)))))])
    page.locator(".stage-message.bad").wait_for()
    assert "“line.png” is too small" in page.locator("#stage-words").inner_text()


def pixels_of(image):
    return np.asarray(image.convert("RGB"))


@pytest.mark.slow
@needs_browser
def test_a_folder_does_not_fill_the_memory(page) -> None:
    page.evaluate(
        """() => {
            const decode = window.createImageBitmap.bind(window);
            window.decoded = [];
            window.createImageBitmap = (...given) => {
                if (given.length === 1 && given[0].name) window.decoded.push(given[0].name);
                return decode(...given);
            };
        }"""
    )
    asked = []
    page.on("request", lambda request: asked.append(1) if "view=score" in request.url else None)
    page.on("requestfinished", lambda request: asked.append(-1) if "view=score" in request.url else None)
    hand_in(page, *[file(f"{number}.png") for number in range(12)])
    assert page.evaluate("() => window.decoded") == ["0.png"]
    page.locator("#layer-heat").check()
    # Who goes through a folder quickly asks for one score map at a time.
    for _ in range(11):
        page.locator("#stage").press("ArrowRight")
    wait_for_store(page, "store.current.score?.canvas")
    assert max(sum(asked[: end + 1]) for end in range(len(asked))) == 1
    for _ in range(11):
        page.locator("#stage").press("ArrowLeft")
        wait_for_store(page, "store.current.score?.canvas && store.current.picture")
    kept = page.evaluate(
        f"""async () => {{
            const {{ items }} = {STORE};
            const count = (what) => items.filter(what).length;
            return [count((item) => item.picture), count((item) => item.score?.canvas)];
        }}"""
    )
    assert kept[0] <= 7
    assert kept[1] <= 5
    assert page.faults == []


@pytest.mark.slow
@needs_browser
def test_what_the_point_drops_is_neither_lit_nor_chosen(page) -> None:
    hand_in(page)
    plain = shown(page)
    page.locator("#point").press("End")
    page.locator(".object").nth(3).click()
    page.mouse.move(5, 5)
    page.locator("#point").press("Home")
    page.locator(".object").nth(3).wait_for(state="detached")
    page.locator("#zoom-fit").click()
    page.mouse.move(5, 5)
    assert differ(plain, shown(page)) == 0


@pytest.mark.slow
@needs_browser
def test_keys_of_tabs_and_of_the_strip(page) -> None:
    hand_in(page, *[file(f"{number}.png") for number in range(4)])
    page.locator("#tab-failures").click()
    page.locator(".quality").wait_for()
    page.keyboard.press("e")
    page.locator("#pane-objects").wait_for()
    assert page.locator("#strip-list button[tabindex='0']").count() == 1
    page.locator("#strip-list [aria-current=true]").focus()
    for key, name in (("ArrowRight", "1"), ("End", "3"), ("ArrowRight", "3"), ("Home", "0")):
        page.keyboard.press(key)
        assert page.evaluate("() => document.activeElement.getAttribute('aria-label')").startswith(name)
    page.get_by_role("button", name="1 more when thorough").press("Enter")
    assert page.evaluate("() => document.activeElement.dataset.id") == "4"
    page.keyboard.press("[")
    page.keyboard.press("[")
    assert page.evaluate("() => document.activeElement.dataset.id") == "3"


@pytest.mark.slow
@needs_browser
def test_a_folder_is_stopped_and_goes_on(page) -> None:
    states = f"async () => {STORE}.items.map((item) => item.status)"
    held = []
    page.route("**/v1/predict*", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/v1/predict*"):
        page.set_input_files("#files", [file(f"{number}.png") for number in range(3)])
    button = page.locator("#queue")
    button.filter(has_text="Stop (2 left)").click()
    button.filter(has_text="Go on (2 left)").wait_for()
    held[0].continue_()
    page.locator("#found-count:text('object')").wait_for()
    assert page.evaluate(states) == ["done", "waiting", "waiting"], "what runs is finished, no more"
    page.locator("#stage").press("ArrowRight")
    page.locator("#stage-words:text('Stopped before this image.')").wait_for()
    button.press("Enter")
    wait_for_store(page, "store.items.every((item) => item.status === 'done')")
    page.locator("#stage").focus()
    page.locator("#stage").press("ArrowLeft")
    button.wait_for(state="hidden")
