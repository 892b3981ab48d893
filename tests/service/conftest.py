"""A service and a browser, once a file."""

import page_browser
import pytest


@pytest.fixture(scope="module")
def address():
    with page_browser.served() as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with page_browser.chromium() as found:
        yield found


@pytest.fixture
def page(browser, address):
    with page_browser.opened(browser, address, accept_downloads=True) as found:
        yield found
