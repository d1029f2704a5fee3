"""Pages opened in Chromium: as it shows them, and as axe-core judges them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lacking import lack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The narrowest phone, a tablet, a wide screen.
WIDTHS = (390, 800, 1600)
Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """Chromium as the system has it, without a window."""
    if CHROMIUM is None:
        lack(pytestconfig, "--no-browser", "there is no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Visit]:
    """Call it with the text of a page, and perhaps a fragment, a width and "dark"; no error of a script is allowed.

    What the page asks the network for is refused, and fails the test as well.
    """
    broken: list[str] = []
    asked: list[str] = []
    context = browser.new_context(accept_downloads=True, timezone_id="UTC")
    context.set_default_timeout(10_000)

    def load(text: str, fragment: str = "", *, width: int = 1200, scheme: str = "light") -> Page:
        path = tmp_path / "page.html"
        path.write_text(text, "utf-8")
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of two words
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda said: broken.append(said.text) if said.type == "error" else None)
        page.on(
            "request",
            lambda one: None if one.url.startswith(("file:", "data:", "blob:")) else asked.append(one.url),
        )
        page.goto(f"{path.as_uri()}#{fragment}")
        return page

    yield load
    context.close()
    assert (broken, asked) == ([], [])


def findings(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is now, by every rule for WCAG 2.2 A and AA and best practice."""
    from axe_playwright_python.sync_playwright import Axe

    # Off by default, since it is new in 2.2.
    rules = {"target-size": {"enabled": True}}
    found = Axe().run(page, options={"rules": rules}).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
