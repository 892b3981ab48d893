"""The page in a browser: a service on a port of its own, Chromium, and what a hand does."""

import base64
import io
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from service_app import encoded, models

from oodseg.service.app import create_app
from oodseg.service.settings import Settings
from redness import street

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

RED = [(10, 10, 40, 40), (60, 20, 90, 50), (30, 60, 70, 85)]
PALE = (100, 60, 120, 80)


@contextmanager
def served(**settings):
    """The address of a running service around the pipeline that takes whatever is red for unknown."""
    app = create_app(Settings(**settings), models)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    app.state.service.engine.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def chromium():
    """A browser without a screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser, address, **options):
    """A page with nothing stored, and lists of what it said and asked for."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.faults, page.asked = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.faults.append(said.text))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    page.locator("#examples button").first.wait_for()
    try:
        yield page
    finally:
        context.close()


@contextmanager
def opened_for_videos(browser, folder):
    """The page of a service that keeps its videos below a folder."""
    with served(jobs_folder=folder / "jobs") as address, opened(browser, address) as page:
        yield page


def picture():
    """Three red boxes, found at every operating point, and a pale one, found at `thorough`."""
    image = street(*RED)
    x0, y0, x1, y1 = PALE
    image[y0:y1, x0:x1] = (180, 90, 90)
    return encoded(image)


def file(name="street.png", content=None):
    return {"name": name, "mimeType": "image/png", "buffer": picture() if content is None else content}


def hand_in(page, *files):
    page.set_input_files("#files", list(files) or [file()])
    page.locator("#strip-list .badge:text('…')").first.wait_for(state="detached")
    page.locator("#found-count:text('object')").wait_for()


def wait_for_store(page, condition):
    """Waits until a condition on what the page knows, its `store`, holds."""
    page.evaluate("async () => { window.store = (await import('./js/store.js')).store; }")
    page.wait_for_function(
        f"() => Boolean({condition})"
    )  # an async function would be a promise: true at once


def shown(page):
    """The canvas as it is, uint8 `[H, W, 3]`."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    data = page.evaluate("() => document.getElementById('canvas').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"))


def differ(first, second):
    return np.count_nonzero(np.abs(first.astype(int) - second).max(2) > 8)


def save(page, button):
    with page.expect_download() as waiting:
        page.locator(button).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()
