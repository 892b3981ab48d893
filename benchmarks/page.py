"""Measures the page of `oodseg serve` in a browser: how soon masks are there, layout shift, faults.

    python benchmarks/page.py [--pictures FOLDER] [--width 360 1280] [--scheme light dark]

Starts a service in a process of its own, at 127.0.0.1 and without its cache of results, opens the page in
Chromium without a screen, and chooses a drawn street as a hand would, in windows of several widths, light and
dark. Needs the extra `serve`, Playwright and Chromium. The picture in the documentation is
`1280-light-found.jpg`, made on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from service import Served, serving  # type: ignore[import-not-found]  # beside this script

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HEIGHTS = {360: 740}  # of a window that narrow; others are 800 pixels high
EXAMPLE = "city"
# Shifts count even where a hand has just done something, which the usual measure leaves out.
WATCH = """
    window.shifts = []; window.paints = {};
    const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take))
        .observe({ type, buffered: true });
    const names = (sources) => sources.map(({ node }) => node?.id || node?.nodeName);
    watch("layout-shift", ({ value, hadRecentInput, sources }) =>
        window.shifts.push([value, hadRecentInput, names(sources)]));
    watch("paint", ({ name, startTime }) => { window.paints[name] = startTime; });
"""
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
SENT = """() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
    .reduce((sum, each) => sum + each.transferSize, 0)"""
HEADS = (
    "window", "first paint, ms", "kB", "image to masks, s", "service, s", "layout shift", "with input",
    "faults", "axe",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", default="street")
    parser.add_argument("--failures", default="street", help="failure detector; '' for none")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: all cores")
    parser.add_argument("--width", type=int, nargs="+", default=[360, 1280])
    parser.add_argument("--scheme", nargs="+", choices=("light", "dark"), default=["light", "dark"])
    parser.add_argument("--pictures", type=Path, help="folder for screenshots, JPEG")
    arguments = parser.parse_args()
    console = Console(width=140)
    table = Table(*HEADS)
    with (
        serving(arguments.pipeline, arguments.threads, arguments.failures) as served,
        sync_playwright() as playwright,
    ):
        warm_up(served)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        for width in arguments.width:
            for scheme in arguments.scheme:
                table.add_row(*visit(browser, served, width, scheme, arguments.pictures, console))
        browser.close()
    console.print(table)


def warm_up(served: Served) -> None:
    """Has the first image computed, for which networks are made ready."""
    with httpx.Client(base_url=served.url, timeout=600) as client:
        image = client.get(f"/v1/examples/{EXAMPLE}")
        client.post("/v1/predict", content=image.content, headers={"Content-Type": "image/jpeg"})


def visit(
    browser: Browser, served: Served, width: int, scheme: Any, pictures: Path | None, console: Console
) -> list[str]:
    """Opens the page once and chooses the example; returns a row of the table."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHTS.get(width, 800)}, color_scheme=scheme
    )
    page = context.new_page()
    page.set_default_timeout(600_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
    page.add_init_script(WATCH)
    page.goto(served.url)
    page.locator("#examples button img").first.wait_for()
    page.wait_for_load_state("networkidle")
    keep(page, pictures, f"{width}-{scheme}-welcome")
    axe = serious(page)
    with page.expect_response("**/v1/predict*") as answer:
        began = page.evaluate("() => performance.now()")
        page.locator("#examples button").first.click()
    page.locator(".object").first.wait_for()
    page.evaluate(PAINTED)
    taken = page.evaluate("() => performance.now()") - began
    page.wait_for_load_state("networkidle")
    keep(page, pictures, f"{width}-{scheme}-found")
    axe += serious(page)
    shifts = page.evaluate("() => window.shifts")
    for value, by_hand, sources in shifts:
        console.print(f"{width} {scheme}: shift of {value:.4f}{' after input' * by_hand}: {sources}")
    for fault in [*faults, *axe]:
        console.print(f"{width} {scheme}: {fault}")
    row = [
        f"{width} pixels, {scheme}",
        f"{page.evaluate('() => window.paints')['first-contentful-paint']:.0f}",
        f"{page.evaluate(SENT) / 1000:.0f}",
        f"{taken / 1000:.2f}",
        f"{answer.value.json()['seconds']:.2f}",
        f"{sum(value for value, by_hand, _ in shifts if not by_hand):.3f}",
        f"{sum(value for value, *_ in shifts):.3f}",
        str(len(faults)),
        str(len(axe)),
    ]
    context.close()
    return row


def keep(page: Page, pictures: Path | None, name: str) -> None:
    """Takes a screenshot, if there is a folder for it."""
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=pictures / f"{name}.jpg", type="jpeg", quality=88)


def serious(page: Page) -> list[str]:
    """Lists what axe-core finds serious or critical."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['help']}" for each in found if each["impact"] in {"serious", "critical"}]


if __name__ == "__main__":
    main()
