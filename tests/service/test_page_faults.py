"""The page when something goes wrong: refusals, lost connections, files that are gone, forbidden storage."""

import json

import numpy as np
import page_browser
import pytest
from page_browser import file, hand_in, needs_browser, picture
from service_app import encoded


def answering(page, status, body, **headers):
    """Has every image answered so."""
    text = body if isinstance(body, str) else json.dumps(body)
    page.route("**/v1/predict*", lambda route: route.fulfill(status=status, body=text, headers=headers))


def words(page):
    page.locator(".stage-message.bad").wait_for()
    return page.locator("#stage-words").inner_text()


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(
    ("status", "body", "said", "retriable"),
    [
        (413, "<html>nginx</html>", "The file is too large for this service: choose a smaller one.", False),
        (502, "<html>nginx</html>", "The service does not answer: try again in a moment.", True),
        (400, {"detail": [{"msg": "x"}]}, "The request cannot be read.", True),
        (422, {"detail": "the upload is odd"}, "“street.png” is odd.", False),
        (500, {"detail": "report it", "request_id": "a1"}, "Report it. The request_id is a1.", True),
        (418, "null", "The service answered 418.", True),
    ],
)
def test_refusals_are_told_in_plain_words(page, status, body, said, retriable) -> None:
    answering(page, status, body)
    page.set_input_files("#files", [file()])
    assert words(page) == said
    assert page.get_by_role("button", name="Try again").count() == retriable
    if retriable:
        page.unroute("**/v1/predict*")
        page.get_by_role("button", name="Try again").press("Enter")
        page.locator(".object").first.wait_for()
        assert page.evaluate("() => document.activeElement.id") == "stage"


@pytest.mark.slow
@needs_browser
def test_all_that_failed_is_tried_again_at_once(page) -> None:
    page.route("**/v1/predict*", lambda route: route.abort())
    page.set_input_files("#files", [file("a.png"), file("b.png"), file("c.png")])
    page.get_by_role("button", name="Try all 3 again").wait_for()
    assert words(page) == "The service cannot be reached: is it still running?"
    page.unroute("**/v1/predict*")
    page.get_by_role("button", name="Try all 3 again").click()
    page.locator("#strip-list .badge.some").nth(2).wait_for()


@pytest.mark.slow
@needs_browser
def test_a_busy_service_is_asked_again(page) -> None:
    asked = []

    def answer(route):
        asked.append(route)
        if len(asked) > 2:
            route.continue_()
        else:
            route.fulfill(status=503, body="{}", headers={"Retry-After": "1"})

    page.route("**/v1/predict*", answer)
    hand_in(page)
    assert len(asked) == 3


@pytest.mark.slow
@needs_browser
def test_what_takes_too_long_is_not_asked_for_without_end(page) -> None:
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "predict" in request.url else None)
    problem = {"type": "https://example.org#out-of-time", "detail": "the answer took longer than 60 s"}
    answering(page, 503, problem, **{"Retry-After": "1"})
    page.set_input_files("#files", [file()])
    assert words(page) == "The answer took longer than 60 s."
    assert len(asked) == 2


@pytest.mark.slow
@needs_browser
def test_a_file_that_is_too_large_is_not_sent(browser) -> None:
    noise = encoded(np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8))
    with (
        page_browser.served(max_upload_bytes=20_000) as address,
        page_browser.opened(browser, address) as page,
    ):
        page.locator("#model:text('red')").wait_for()
        page.set_input_files("#files", [file("noise.png", noise)])
        assert words(page).startswith("“noise.png” has 0.0 MB, this service takes at most")
        assert not any("predict" in each for each in page.asked)


@pytest.mark.slow
@needs_browser
def test_a_file_that_is_gone_is_named(page, tmp_path) -> None:
    path = tmp_path / "street.png"
    path.write_bytes(picture())
    page.route("**/v1/predict*", lambda route: route.abort())
    page.set_input_files("#files", [path])
    words(page)
    page.unroute("**/v1/predict*")
    path.unlink()
    page.get_by_role("button", name="Try again").click()
    page.locator("#stage-words:text('moved or changed')").wait_for()
    assert words(page).startswith("“street.png” cannot be read any more")


@pytest.mark.slow
@needs_browser
def test_a_wrong_key_is_told_and_examples_are_seen_with_the_right_one(browser) -> None:
    with page_browser.served(api_key="opened") as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        for key in ("wrong", "schlüssel", "opened"):
            page.locator("#key").fill(key)
            page.get_by_role("button", name="Go on").click()
            if key != "opened":
                page.locator("#key-refused").wait_for()
        page.locator("#examples button").nth(4).wait_for()
        page.wait_for_function(
            "() => [...document.querySelectorAll('#examples img')].every((each) => each.naturalWidth)"
        )
        assert page.locator("#key-dialog").is_hidden()


@pytest.mark.slow
@needs_browser
def test_a_key_may_come_later(browser) -> None:
    with page_browser.served(api_key="opened") as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        page.locator("#key").press("Escape")
        page.locator("#toasts span:text('This service asks for a key.')").wait_for()
        assert page.locator(".toast").count() == 1
        page.set_input_files("#files", [file()])
        page.locator("#key").fill("opened")
        page.get_by_role("button", name="Go on").click()
        page.locator(".object").first.wait_for()
        page.locator("#model:text('red')").wait_for()


@pytest.mark.slow
@needs_browser
def test_a_browser_that_may_store_nothing(browser, address) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.add_init_script(
            """for (const name of ["localStorage", "sessionStorage"])
                Object.defineProperty(window, name, { get() { throw new DOMException("forbidden"); } });"""
        )
        page.goto(address)
        page.locator("#theme").click()
        assert page.locator("html").get_attribute("data-theme") == "light"
        hand_in(page)


@pytest.mark.slow
@needs_browser
def test_scores_that_do_not_come_are_told_and_asked_for_again(page) -> None:
    hand_in(page)
    answering(page, 500, {"detail": "no luck"})
    page.locator("#layer-heat").check()
    page.locator("#toasts span:text('No scores of “street.png”: No luck.')").wait_for()
    page.unroute("**/v1/predict*")
    page.locator("#layer-heat").uncheck()
    page.locator("#layer-heat").check()
    page.locator("#scale-high:text('above usual')").wait_for()


@pytest.mark.slow
@needs_browser
def test_without_a_failure_detector_there_is_no_such_tab(browser, address) -> None:
    with browser.new_context() as context:
        page = context.new_page()

        def answer(route):
            route.fulfill(json={**route.fetch().json(), "failures": None})

        page.route("**/v1/model", answer)
        page.goto(address)
        page.locator("#model:text('red')").wait_for()
        hand_in(page)
        page.keyboard.press("e")
        assert page.locator("#tab-failures").is_hidden()
        assert page.locator("#pane-objects").is_visible()


@pytest.mark.slow
@needs_browser
def test_a_service_that_is_not_ready_yet_is_told(page) -> None:
    page.add_init_script(
        """
        const [fetch, held] = [window.fetch.bind(window), {}];
        window.held = held;
        window.fetch = async (path, options) => {
            const name = String(path).split(/[/?]/)[1];
            if (name === "model" || name === "predict") await new Promise((done) => { held[name] = done; });
            return fetch(path, options);
        };
        """
    )
    page.reload()
    page.wait_for_function("() => Boolean(held.model)")
    page.set_input_files("#files", [file()])
    page.locator("#stage-words:text('getting ready')").wait_for()
    page.evaluate("() => held.model()")
    page.locator("#stage-words:text('Looking for')").wait_for()
    page.evaluate("() => held.predict()")
    page.locator(".object").first.wait_for()
