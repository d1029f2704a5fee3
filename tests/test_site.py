"""The documentation as a site: it builds without a warning, and a page loads nothing from elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.browsing import findings, overflow
from tests.sharing import made_once
from triage import __version__

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
# What a browser fetches by itself, and the attribute that says from where.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}
# Links of `link` that are only named.
NAMED = {"canonical", "next", "prev"}


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *_: object) -> None: ...


class Page(HTMLParser):
    """What a page of the site fetches, links to and has as anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given["id"]} if "id" in given else set()
        if tag in FETCHED and not NAMED & set(given.get("rel", "").split()):
            self.fetched.append(given.get(FETCHED[tag], ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


@pytest.fixture(scope="session")
def site(shared_folder: Path) -> Path:
    """The site, built once in a run; any warning is an error."""

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "site")]
        environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return made_once(shared_folder / "site", build) / "site"


def pages(site: Path) -> dict[Path, Page]:
    found = {path: Page(path) for path in site.rglob("*.html")}
    assert len(found) > 30
    return found


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    """No font, script or picture of another host, and no address of one in the style sheets."""
    fetched = {address for page in pages(site).values() for address in page.fetched}
    assert [address for address in fetched if urlsplit(address).netloc or address.startswith("//")] == []
    styles = [path.read_text("utf-8") for path in site.rglob("*.css")]
    assert [text for text in styles if re.search(r"(?:@import|url\()[\s\"']*(?:https?:)?//", text)] == []


def test_no_page_asks_github_how_popular_the_repository_is(site: Path) -> None:
    """The theme would, for a repository named in its own setting."""
    assert [
        path for path in site.rglob("*.html") if 'data-md-component="source"' in path.read_text("utf-8")
    ] == []


def test_every_link_leads_somewhere(site: Path) -> None:
    """To a page of the site and its heading, or to a file that the repository has."""
    found, missing = pages(site), []
    for path, page in found.items():
        for link in page.links:
            target = urlsplit(link)
            if target.netloc == "github.com" and target.path.startswith("/triage-bot/triage/blob/main/"):
                there = (ROOT / unquote(target.path).split("/main/", 1)[1]).exists()
            elif target.scheme:
                there = target.scheme in {"https", "http"}
            elif path.name == "404.html":
                there = True
            else:
                file = (path.parent / unquote(target.path)).resolve() if target.path else path
                file = file / "index.html" if file.is_dir() else file
                there = file.exists() and (
                    not target.fragment or unquote(target.fragment) in found[file].anchors
                )
            missing += [] if there else [f"{path.relative_to(site)}: {link}"]
    assert missing == []


def test_the_search_knows_every_page(site: Path) -> None:
    """The index has the configuration's keys and the glossary's words."""
    index = (site / "search" / "search_index.json").read_text("utf-8")
    assert all(word in index for word in ("precision_target", "Abstain label", "how-to/undo-a-week/"))


def test_a_version_of_the_site_is_published_beside_those_before(tmp_path: Path) -> None:
    """The script of the workflow, on a repository that has the site of version 0.0."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "docs.yml").read_text("utf-8"))
    steps = {step.get("name"): step for step in workflow["jobs"]["publish"]["steps"]}
    checkout, origin = tmp_path / "checkout", tmp_path / "origin"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PATH": path}

    def run(*command: str, at: Path = checkout) -> str:
        return subprocess.run(
            command, cwd=at, env=environment, capture_output=True, text=True, check=True
        ).stdout

    run("git", "clone", "--quiet", "--bare", str(ROOT), str(origin), at=tmp_path)
    run("git", "clone", "--quiet", str(origin), str(checkout), at=tmp_path)
    run("git", "config", "user.name", "a")
    run("git", "config", "user.email", "a@example.com")
    run("mike", "deploy", "0.0", "latest")
    run("git", "push", "--quiet", "origin", "gh-pages")
    run("git", "branch", "-D", "gh-pages")
    run("bash", "-eo", "pipefail", "-c", steps["Add the site of this version"]["run"])
    versions = json.loads(run("git", "show", "gh-pages:versions.json"))
    new = __version__.rpartition(".")[0]
    assert [(one["version"], one["aliases"]) for one in versions] == [(new, ["latest"]), ("0.0", [])]
    assert {new, "0.0", "latest"} <= set(run("git", "ls-tree", "--name-only", "gh-pages").split())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_can_be_read_by_everybody(browser: Browser, site: Path, scheme: str, width: int) -> None:
    """Every page, some also where a reader searches: axe-core finds nothing, no script fails, and nothing sticks out.

    Each page is seen on one of the four screens, and those with all that the theme makes on each.
    """
    handler = partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        page, failures = context.new_page(), list[str]()
        page.on("pageerror", lambda error: failures.append(str(error)))
        pages = sorted(path.parent.relative_to(site).as_posix() for path in site.rglob("index.html"))
        assert len(pages) > 40
        screen = 2 * (width > 390) + (scheme == "dark")
        names = ["", "how-to/rules", "reference/config", "reference/python", "glossary", *pages[screen::4]]
        for name in names:
            page.goto(f"http://127.0.0.1:{server.server_port}/{name}")
            failures += [f"/{name}: {finding}" for finding in findings(page)]
            failures += [f"/{name}: {overflow(page)} pixels too wide"] if overflow(page) else []
        page.keyboard.press("/")
        page.keyboard.type("precision")
        page.locator(".md-search-result__item").first.wait_for()
        page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
        failures += [f"search: {finding}" for finding in findings(page)]
        context.close()
        server.shutdown()
    assert failures == []
