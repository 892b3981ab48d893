"""A video on the page: sent, followed, shown."""

import page_browser
import pytest
from page_browser import needs_browser

from video_files import images, save_video


@pytest.mark.slow
@needs_browser
def test_a_video_is_followed_to_its_end_and_shown(browser, tmp_path) -> None:
    clip = save_video(tmp_path / "drive.mp4", images(6))
    with page_browser.opened_for_videos(browser, tmp_path) as page:
        page.set_input_files("#files", [clip])
        page.locator(".tracks tbody tr").first.wait_for()
        assert page.locator("#found-count").inner_text() == "1 unknown object"
        assert page.locator("#video").is_visible()
        assert page.locator("#zoom").is_hidden()
        page.locator("#video").evaluate("(video) => video.play()")
        assert page.locator("#video").evaluate("(video) => video.videoWidth") > 0
        with page.expect_download() as waiting:
            page.get_by_role("button", name="tracks.csv").click()
        assert waiting.value.suggested_filename == "drive_tracks.csv"
        assert page.faults == []


@pytest.mark.slow
@needs_browser
def test_a_video_is_followed_over_connections_that_break_off(browser, tmp_path) -> None:
    clip = save_video(tmp_path / "drive.mp4", images(6))
    broken = []

    def answer(route):
        broken.append(route)
        if len(broken) == 1:
            route.fulfill(body='data: {"state": "running", "done": 1, "total": 6}\n\ndata: {"sta')
        elif len(broken) == 2:
            route.abort()
        else:
            route.continue_()

    with page_browser.opened_for_videos(browser, tmp_path) as page:
        running = {"id": "x", "state": "running", "done": 1, "total": 6}
        page.route("**/v1/jobs/*/events", answer)
        page.route("**/v1/jobs/*", lambda route: route.fulfill(json={**running, "error": None}), times=1)
        page.set_input_files("#files", [clip])
        page.locator(".tracks tbody tr").first.wait_for()
        assert len(broken) == 3
        # Its files are lost on the way: the job is asked for again, the video is not sent again.
        sent = sum(each.endswith("quiet") for each in page.asked)
        page.route("**/tracks.csv", lambda route: route.abort(), times=1)
        page.set_input_files("#files", [clip])
        page.get_by_role("button", name="Try again").click()
        page.locator(".tracks tbody tr").first.wait_for()
        assert sum(each.endswith("quiet") for each in page.asked) == sent + 1


@pytest.mark.slow
@needs_browser
def test_a_video_without_objects_has_no_table(browser, tmp_path) -> None:
    clip = save_video(tmp_path / "road.mp4", images(3, hidden=range(3)))
    with page_browser.opened_for_videos(browser, tmp_path) as page:
        page.set_input_files("#files", [clip])
        page.get_by_role("button", name="tracks.csv").wait_for()
        assert page.locator("#found-count").inner_text() == "No unknown objects"
        assert page.locator("#found-note").inner_text() == "In no frame of the video"
        assert page.locator(".tracks").count() == 0


@pytest.mark.slow
@needs_browser
def test_a_video_that_is_none_is_named(browser, tmp_path) -> None:
    broken = {"name": "broken.mp4", "mimeType": "video/mp4", "buffer": b"no video"}
    with page_browser.opened_for_videos(browser, tmp_path) as page:
        page.set_input_files("#files", [broken])
        page.locator(".stage-message.bad").wait_for()
        assert page.locator("#stage-words").inner_text().startswith("This is no video")
