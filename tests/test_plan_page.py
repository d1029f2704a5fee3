"""The page of a plan: it loads nothing, runs nothing of a stranger's, and its own script sorts and filters."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from tests.backfilling import entry, header
from tests.lacking import lack
from triage.backfill.plan import Entry, Header, Promise
from triage.reports.pages import render
from triage.reports.plan_report import page, totals

SERVER = "https://github.example"
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "'\"><svg/onload=alert(1)>",
    "{{7*7}} ${7*7} <!-- ]]> \u2028 \u202e",
)
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

ENTRIES = [
    entry(1, "bug", "docs", title="Crash in the sync loop"),
    Entry(2, "Page of the manual", ("docs",), {"docs": 0.95}, ("bug",), ("bug",)),
    Entry(3, "Slow start", ("bug",), {"bug": 0.55}),
    Entry(4, "Nothing to set here", existing=("bug", "docs"), missed=("docs", "bug")),
    Entry(5, "Not looked at", note="a bot opened it"),
    Entry(6, "Tenth", ("bug",), {"bug": 0.7}, ("web",)),
]


def written(entries: list[Entry], of: Header | None = None) -> str:
    """The whole page."""
    head = of or header()
    return "".join(page(head, totals(head, entries), entries, SERVER))


class Elements(HTMLParser):
    """What elements a page holds, and the text of table rows and of the counter."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.count, self.sorted = "", ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if given.get("id") == "rows":
            self._inside = "rows"
        elif given.get("id") == "count":
            self._inside = "count"
        elif self._inside == "rows" and tag == "tr":
            self.rows.append([])
        elif self._inside == "rows" and tag == "td":
            self.rows[-1].append("")
        if "aria-sort" in given:
            self.sorted = f"{given.get('data-sort')} {given['aria-sort']}"

    def handle_endtag(self, tag: str) -> None:
        if tag in {"tbody", "output"}:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "rows" and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data
        elif self._inside == "count":
            self.count += data

    @property
    def numbers(self) -> list[int]:
        """The issues in the table, from the top."""
        return [int(row[0].removeprefix("#")) for row in self.rows]


Opened = Callable[..., Elements]


@pytest.fixture
def opened(pytestconfig: pytest.Config, tmp_path: Path) -> Opened:
    """Call it with a page, and the fragment of its address: the page as a browser has it once its script ran."""
    if BROWSER is None:
        lack(pytestconfig, "--no-browser", "there is no Chromium: apt-get install chromium")

    def load(text: str, fragment: str = "") -> Elements:
        path = tmp_path / "plan.html"
        path.write_text(text, "utf-8")
        switches = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        done = subprocess.run(
            [BROWSER, *switches, "--dump-dom", f"{path.as_uri()}#{fragment}"],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return Elements(done.stdout)

    return load


def test_the_page_loads_nothing() -> None:
    """No element that fetches, no address but of issues, and a policy that forbids the rest."""
    text = written(ENTRIES)
    tags = Elements(text).tags
    assert {tag for tag, _ in tags}.isdisjoint(
        {"link", "img", "iframe", "object", "embed", "base", "audio", "video"}
    )
    assert [given for _, given in tags if {"src", "href", "style"} & set(given)] == []
    assert "url(" not in text.replace("url(#unknown)", "")
    [policy] = [given["content"] for _, given in tags if given.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]{44}'; script-src 'sha256-[\w+/=]{44}'; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )
    for element in ("style", "script"):
        [content] = re.findall(rf"(?s)<{element}>(.*?)</{element}>", text)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    """Rather than an empty place on the page."""
    with pytest.raises(UndefinedError):
        list(render("plan"))


@pytest.mark.parametrize("words", HOSTILE)
def test_no_word_of_a_stranger_becomes_an_element(words: str) -> None:
    """As a title, as the name of a label there and of one to be set, as a filter and as a bundle."""
    of = header(promises={words: Promise(0.5, 9)}, filters={"label": words}, bundle=words)
    hostile = Entry(1, words, (words,), {words: 0.5}, ("x" + words,), ("x" + words,))
    tame = Entry(1, "a", ("a",), {"a": 0.5}, ("xa",), ("xa",))
    plain = header(promises={"a": Promise(0.5, 9)}, filters={"label": "a"}, bundle="a")
    text = written([hostile], of)
    names = [tag for tag, _ in Elements(text).tags]
    assert names == [tag for tag, _ in Elements(written([tame], plain)).tags]
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert data == {
        "base": f"{SERVER}/octo/demo/issues/",
        "rows": [
            {
                "number": 1,
                "title": words,
                "planned": [{"label": words, "score": 0.5}],
                "existing": [{"label": "x" + words, "disputed": True}],
            }
        ],
    }


def test_the_picture_shows_how_many_and_how_precise() -> None:
    """Bars as long as the counts; the dark part is the share that should be right; unmeasured ones are hatched."""
    text = written(ENTRIES)
    bars = re.findall(r'(?s)<g class="bar" data-label="(\w+)".*?</g>', text)
    assert bars == ["bug", "docs"]
    widths = [
        float(width) for width in re.findall(r'<rect class="(?:wrong|right)"[^>]* width="([\d.]+)"', text)
    ]
    assert [width for width in widths if width > 6] == [460.0, 414.0]
    assert 'fill="url(#unknown)" x="210" y="28" width="306.7"' in text
    assert "90% right of 40" in text
    assert "never measured" in text


def test_the_script_runs_and_hostile_words_do_not(opened: Opened) -> None:
    """Whatever titles and labels hold, the table shows them as they are."""
    entries = [Entry(i, words, (words,), {words: 0.5}) for i, words in enumerate(HOSTILE, start=1)]
    found = opened(written(entries))
    assert [row[1] for row in found.rows] == list(HOSTILE)[::-1]
    assert [given.get("href") for tag, given in found.tags if tag == "a"] == [
        f"{SERVER}/octo/demo/issues/{number}" for number in (4, 3, 2, 1)
    ]
    assert not any("onload" in given or "onerror" in given for _, given in found.tags)


@pytest.mark.parametrize(
    ("fragment", "numbers", "order"),
    [
        ("", [6, 3, 2, 1], "number descending"),
        ("sort=confidence&order=down", [2, 1, 6, 3], "confidence descending"),
        ("label=bug&sort=confidence&order=down", [1, 6, 3], "confidence descending"),
        ("least=0.7&sort=confidence", [6, 1, 2], "confidence ascending"),
        ("show=disputed&sort=disagreement", [4, 2], "disagreement descending"),
        ("show=all&sort=disagreement", [4, 2, 6, 3, 1], "disagreement descending"),
        ("show=unlabelled", [3, 1], "number descending"),
        ("find=CRASH", [1], "number descending"),
        ("label=nobody", [6, 3, 2, 1], "number descending"),
    ],
)
def test_the_table_sorts_and_filters(opened: Opened, fragment: str, numbers: list[int], order: str) -> None:
    """By label, confidence and disagreement, as the address says; what is chosen can be sent to somebody."""
    found = opened(written(ENTRIES), fragment)
    assert (found.numbers, found.sorted) == (numbers, order)
    assert found.count == f"{len(numbers)} of 5 issues"


def test_a_long_table_is_shown_in_pieces(opened: Opened) -> None:
    """All are counted, and the rest is a click away."""
    found = opened(written([entry(i, "bug") for i in range(1, 1001)]))
    assert (len(found.rows), found.count) == (200, "1,000 of 1,000 issues")
    assert ("button", {"id": "more"}) in found.tags
