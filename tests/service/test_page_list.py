"""The list of the page: items go and come back, videos are cancelled and looked at again."""

import page_browser
import pytest
from page_browser import file, hand_in, needs_browser, wait_for_store

from video_files import images, save_video

NAMES = "async () => (await import('./js/store.js')).store.items.map((item) => item.name)"


def focused(page):
    return page.evaluate(
        "() => document.activeElement.id || document.activeElement.getAttribute('aria-label')"
    )


@pytest.mark.slow
@needs_browser
def test_items_are_removed_and_come_back(page) -> None:
    hand_in(page, *[file(f"{number}.png") for number in range(4)])
    page.locator("#strip-list .thumb").nth(1).click()
    page.locator("#remove").click()
    page.locator("#notes:has-text('Removed “1.png”')").wait_for()
    assert page.locator("#file-name").inner_text() == "2.png", "the next one is on show"
    assert focused(page) == "remove"
    page.get_by_role("button", name="Undo").click()
    page.locator(".toast").wait_for(state="detached")
    assert page.evaluate(NAMES) == ["0.png", "1.png", "2.png", "3.png"]
    assert page.locator("#file-name").inner_text() == "1.png"
    assert page.locator("#strip-list .thumb").nth(1).get_attribute("aria-label") == "1.png: 3 objects"
    page.locator("#strip-list li").nth(3).hover()
    page.get_by_role("button", name="Remove 3.png").click()
    page.locator("#strip-list li").nth(3).wait_for(state="detached")
    assert page.locator("#file-name").inner_text() == "1.png", "what is on show stays"
    page.locator("#strip-list [aria-current=true]").press("Delete")
    page.locator("#strip-list li").nth(2).wait_for(state="detached")
    assert focused(page) == "2.png: 3 objects"
    page.locator("#stage").press("Delete")
    page.locator("#strip").wait_for(state="hidden")
    page.keyboard.press("Escape")
    page.locator(".toast").wait_for(state="detached")
    assert page.evaluate(NAMES) == ["0.png"]
    page.locator("#remove").press("Enter")
    page.locator("#landing").wait_for()
    assert focused(page) == "choose-files"
    assert page.title() == "oodseg: unknown objects in street images"
    page.get_by_role("button", name="Undo").press("Enter")
    page.locator(".object").nth(2).wait_for()
    assert page.faults == []


@pytest.mark.slow
@needs_browser
def test_a_list_is_cleared_while_it_is_worked_through(page) -> None:
    page.route("**/v1/predict*", lambda route: None)  # no answer
    with page.expect_request("**/v1/predict*"):
        page.set_input_files("#files", [file(f"{number}.png") for number in range(3)])
    page.locator("#queue:text('Stop (2 left)')").click()
    with page.expect_event("requestfailed"):  # what runs is broken off
        page.locator("#clear").click()
    page.locator("#landing").wait_for()
    page.unroute("**/v1/predict*")
    page.set_input_files("#files", [file("new.png")])
    page.locator(".object").nth(2).wait_for()
    page.get_by_role("button", name="Undo").click()
    wait_for_store(page, "store.items.length === 4 && store.items.every((item) => item.status === 'done')")
    assert page.evaluate(NAMES) == ["0.png", "1.png", "2.png", "new.png"]
    assert page.faults == []


@pytest.mark.slow
@needs_browser
def test_a_video_is_cancelled_and_looked_at_after_all(browser, tmp_path) -> None:
    clip = save_video(tmp_path / "drive.mp4", images(6))
    with page_browser.opened_for_videos(browser, tmp_path) as page:
        events = "**/v1/jobs/*/events"
        page.route(events, lambda route: None)  # no answer: it runs for as long as the page asks
        page.set_input_files("#files", [clip])
        wait_for_store(page, "store.current.job")
        job = page.evaluate("() => window.store.current.job")
        with page.expect_response(lambda answer: answer.request.method == "DELETE") as answer:
            page.get_by_role("button", name="Cancel").press("Enter")
        assert (answer.value.status, answer.value.url.endswith(job)) == (204, True)
        page.locator("#stage-words:text('This video was cancelled.')").wait_for()
        assert page.locator("#announce").inner_text() == "drive.mp4: cancelled"
        assert focused(page) == "stage"
        assert page.request.get(f"{page.url}v1/jobs/{job}").status == 404
        # Cancelled while it is sent.
        page.route("**/v1/jobs?*", lambda route: None, times=1)
        with page.expect_request("**/v1/jobs?*"):
            page.get_by_role("button", name="Look at it after all").click()
        page.get_by_role("button", name="Cancel").click()
        page.locator("#stage-words:text('This video was cancelled.')").wait_for()
        page.unroute(events)
        page.get_by_role("button", name="Look at it after all").click()
        page.locator(".tracks tbody tr").first.wait_for()
        assert page.faults == []


@pytest.mark.slow
@needs_browser
def test_a_video_at_another_operating_point(browser, tmp_path) -> None:
    clip = save_video(tmp_path / "drive.mp4", images(3))
    with page_browser.opened_for_videos(browser, tmp_path) as page:
        page.set_input_files("#files", [clip])
        page.locator(".tracks tbody tr").first.wait_for()
        words = page.locator("#video-point-words")
        assert words.inner_text() == "A video is looked at with one setting. For this one it is “quiet”."
        assert page.locator("#fold").is_hidden(), "a video has no layers"
        page.locator("#point").press("End")
        first = page.evaluate("async () => (await import('./js/store.js')).store.current.job")
        page.get_by_role("button", name="Look again with “thorough”").click()
        words.filter(has_text="“thorough”").wait_for()
        page.locator(".tracks tbody tr").first.wait_for()
        assert [each.rpartition("=")[2] for each in page.asked if "operating_point" in each] == [
            "quiet",
            "thorough",
        ]
        assert page.request.get(f"{page.url}v1/jobs/{first}").status == 404, "the first results are not left"
        page.locator("#remove").click()
        page.locator("#landing").wait_for()
        page.set_input_files("#files", [file()])
        page.locator(".object").first.wait_for()
        assert page.locator("#video-point").is_hidden()
        assert page.locator("#fold").is_visible()
        assert page.faults == []


@pytest.mark.slow
@needs_browser
def test_on_a_small_screen_the_picture_stays_in_sight(browser, address) -> None:
    options = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    with page_browser.opened(browser, address, **options) as page:
        hand_in(page)
        page.locator("#point").press("End")
        last = page.locator(".object").nth(3)
        last.wait_for()
        last.scroll_into_view_if_needed()
        last.tap()
        page.locator(".object[aria-pressed=true]").wait_for()
        box = page.locator("#canvas").bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] < 640
        assert page.locator("#zoom-value").inner_text() != "Fit"
        assert last.bounding_box()["y"] >= box["y"] + box["height"], "not below the picture"
