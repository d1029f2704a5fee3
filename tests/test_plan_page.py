"""The page of a plan: it loads nothing, runs nothing of a stranger's, and what is ticked on it is what is applied."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jinja2 import UndefinedError

from tests.backfilling import Desk, entry, header
from tests.browsing import WIDTHS, Visit, findings, overflow
from triage.backfill.plan import Entry, Header, Promise, line, open_plan
from triage.decide import Neighbour
from triage.reports import render
from triage.reports.plan_report import expected, page, totals

if TYPE_CHECKING:
    from playwright.sync_api import Page

SERVER = "https://github.example"
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "'\"><svg/onload=alert(1)>",
    "{{7*7}} ${7*7} <!-- ]]> \u2028 \u202e",
    "constructor",
    "__proto__",
)

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
    """What elements a text holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def numbers(shown: Page) -> list[int]:
    """The issues in the table, from the top."""
    return [int(text.removeprefix("#")) for text in shown.locator("#rows td:first-child a").all_inner_texts()]


def tiles(shown: Page) -> list[str]:
    """How many issues get a label, how many labels would be set, and how many of them should be right."""
    return [shown.locator(f"#{name}").inner_text() for name in ("labelled", "planned", "right")]


def slide(shown: Page, to: str) -> None:
    """Move the slider to a probability."""
    shown.locator("#least").evaluate(
        "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        to,
    )


def saved(shown: Page, folder: Path) -> Path:
    """The file that the button saves."""
    with shown.expect_download() as download:
        shown.locator("#save").click()
    assert download.value.suggested_filename == "reviewed-plan.jsonl"
    download.value.save_as(folder / "reviewed-plan.jsonl")
    return folder / "reviewed-plan.jsonl"


def test_the_page_loads_nothing() -> None:
    """No element that fetches, no address but of issues, and a policy that forbids the rest."""
    text = written(ENTRIES)
    tags = Elements(text).tags
    assert {tag for tag, _ in tags}.isdisjoint(
        {"link", "img", "iframe", "object", "embed", "base", "audio", "video"}
    )
    assert [given for _, given in tags if {"src", "href", "style"} & set(given)] == []
    assert "url(" not in text
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
    near = (Neighbour(words, 3, 0.5, (words,)),)
    hostile = Entry(
        1, words, (words,), {words: 0.5}, ("x" + words,), ("x" + words,), {words: words}, neighbours=near
    )
    tame = Entry(1, "a", ("a",), {"a": 0.5}, ("xa",), ("xa",), {"a": "a"})
    plain = header(promises={"a": Promise(0.5, 9)}, filters={"label": "a"}, bundle="a")
    text = written([hostile], of)
    names = [tag for tag, _ in Elements(text).tags]
    assert names == [tag for tag, _ in Elements(written([tame], plain)).tags]
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert [json.dumps(row, ensure_ascii=False) + "\n" for row in data["rows"]] == [line(hostile)]


def test_the_script_runs_and_hostile_words_do_not(visit: Visit) -> None:
    """Whatever titles and labels hold, the page shows them as they are, in the row and in what explains it."""
    entries = [
        Entry(
            i,
            words,
            (words,),
            {words: 0.5},
            (f"x{words}",),
            held_back={words: words},
            neighbours=(Neighbour("", 1, 0.5, (words,)),),
        )
        for i, words in enumerate(HOSTILE, start=1)
    ]
    shown = visit(written(entries, header(colors={"bug": "ff0000"})))
    for button in shown.get_by_role("button", name="why").all():
        button.click()
    assert shown.title() == "Backfill of octo/demo"
    titles = shown.locator("#rows .title").evaluate_all("(cells) => cells.map((cell) => cell.textContent)")
    assert titles == list(HOSTILE)[::-1]
    assert (
        shown.locator("#rows .why .tag").evaluate_all("(tags) => tags.map((tag) => tag.textContent)")
        == titles
    )
    links = shown.locator("#rows td:first-child > a").evaluate_all("(all) => all.map((a) => a.href)")
    assert links == [f"{SERVER}/octo/demo/issues/{number}" for number in range(len(HOSTILE), 0, -1)]
    names = {tag for tag, _ in Elements(shown.locator("#rows").inner_html()).tags}
    assert names == {"tr", "td", "a", "label", "input", "span", "small", "button", "p", "ul", "li", "b"}


@pytest.mark.parametrize(
    ("fragment", "expected_numbers", "order"),
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
def test_the_table_sorts_and_filters(
    visit: Visit, fragment: str, expected_numbers: list[int], order: str
) -> None:
    """By label, probability and disagreement, as the address says; what is chosen can be sent to somebody."""
    shown = visit(written(ENTRIES), fragment)
    [head] = shown.locator("th:not([aria-sort=none])[aria-sort]").all()
    found = f"{head.get_attribute('data-sort')} {head.get_attribute('aria-sort')}"
    assert (numbers(shown), found) == (expected_numbers, order)
    assert shown.locator("#count").inner_text() == f"{len(expected_numbers)} of 5 issues"


def test_a_head_sorts_and_turns_the_order(visit: Visit) -> None:
    """By the keyboard too: it is a button."""
    shown = visit(written(ENTRIES))
    head = shown.get_by_role("button", name="Would get")
    head.press("Enter")
    assert numbers(shown) == [3, 6, 1, 2]
    head.press("Enter")
    assert numbers(shown) == [2, 1, 6, 3]


def test_where_nothing_matches_the_page_says_so(visit: Visit) -> None:
    """With the way back."""
    shown = visit(written(ENTRIES), "find=nowhere")
    assert shown.locator("#nothing").inner_text() == "No issue matches. Show all that get a label"
    shown.locator("#reset").click()
    assert numbers(shown) == [6, 3, 2, 1]
    assert shown.locator("#nothing").is_hidden()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_plan_without_labels_says_why(visit: Visit, width: int) -> None:
    """The reasons are open, what is about planned labels is hidden, and disputed labels are shown."""
    reasons = [Entry(1, held_back={"bug": "it is not allowed"}), Entry(2, note="a bot opened it"), ENTRIES[3]]
    shown = visit(written(reasons), width=width)
    for hidden in ("#controls", "#bars", "#right"):
        assert shown.locator(hidden).is_hidden()
    assert shown.locator("details").inner_text().split("\n") == [
        "Why no label would be set",
        "Left alone",
        "1 issue: a bot opened it",
        "Held back",
        "1 label: it is not allowed",
    ]
    assert numbers(shown) == [4]
    shown.locator("input[name=find]").fill("nowhere")
    assert shown.locator("#nothing").inner_text() == "No issue matches. Show all of these"
    assert (findings(shown), overflow(shown)) == ([], 0)
    shown.locator("#reset").click()
    assert numbers(shown) == [4]
    bare = visit(written(reasons[:2]), width=width)
    assert bare.locator("table").is_hidden()
    assert (findings(bare), overflow(bare)) == ([], 0)


def test_a_long_table_is_shown_in_pieces(visit: Visit) -> None:
    """All are counted, and the rest is a click away."""
    shown = visit(written([entry(i, "bug") for i in range(1, 1001)]))
    assert shown.locator("#rows tr").count() == 200
    assert shown.locator("#count").inner_text() == "1,000 of 1,000 issues"
    shown.locator("#more").click()
    assert shown.locator("#rows tr").count() == 400


def test_the_slider_redraws_counts_and_what_should_be_right(visit: Visit) -> None:
    """It begins where nothing is left out: there the page repeats the report's own figures."""
    of = header(measured=50, right=41)
    counted = totals(of, ENTRIES)
    hoped = expected(of, counted)
    assert hoped is not None
    shown = visit(written(ENTRIES, of))
    assert tiles(shown) == ["4", "5", f"{hoped.share:.0%}"]
    assert shown.locator("#interval").inner_text().strip() == f"({hoped.low:.0%} to {hoped.high:.0%})"
    slide(shown, "0.75")
    assert shown.locator("#floor").inner_text() == "0.75"
    assert tiles(shown)[:2] == ["2", "3"]
    assert tiles(shown)[2] == f"{(0.9 + 0.8 + 0.95) / 3:.0%}"
    assert shown.locator("#saving").inner_text() == "3 labels on 2 issues"
    assert shown.locator("#bars .track").all_inner_texts() == ["1", "2"]


def test_without_a_measurement_nothing_is_promised(visit: Visit) -> None:
    """Neither at first nor after the slider moved."""
    shown = visit(written(ENTRIES, header(figures={})))
    slide(shown, "0.8")
    assert tiles(shown)[2] == "?"


def test_bars_show_how_many_and_how_precise(visit: Visit) -> None:
    """As long as the counts; the dark part is the share that should be right; unmeasured ones are hatched."""
    shown = visit(written(ENTRIES))
    assert shown.locator("#bars li").all_inner_texts() == [
        "bug\n3\n90% right of 40",
        "docs\n2\nnever measured",
    ]
    widths = shown.locator("#bars .bar").evaluate_all("(all) => all.map((bar) => bar.offsetWidth)")
    assert widths[1] / widths[0] == pytest.approx(2 / 3, abs=0.02)
    assert shown.locator("#bars .bar .right").evaluate("(part) => part.style.width") == "90%"
    assert shown.locator("#bars .bar").nth(1).get_attribute("class") == "bar stripe"
    shown.get_by_role("button", name="bug").first.click()
    assert numbers(shown) == [6, 3, 1]


def test_the_issues_that_voted_are_a_click_away(visit: Visit) -> None:
    """With similarity, labels and a link, in another repository too; a second click folds them."""
    near = (Neighbour("", 12, 0.91, ("bug",)), Neighbour("octo/lib", 4, 0.8, ("bug", "docs")))
    shown = visit(written([replace(ENTRIES[0], neighbours=near, held_back={"web": "only people set it"})]))
    why = shown.get_by_role("button", name="why issue 1?")
    why.press("Enter")
    assert why.get_attribute("aria-expanded") == "true"
    assert shown.locator(".why li").all_inner_texts() == ["#12\n0.91\nbug", "octo/lib#4\n0.80\nbug docs"]
    assert shown.locator(".why li a").evaluate_all("(all) => all.map((a) => a.href)") == [
        f"{SERVER}/octo/demo/issues/12",
        f"{SERVER}/octo/lib/issues/4",
    ]
    assert "web is held back: only people set it" in shown.locator(".why").inner_text()
    why.click()
    assert (shown.locator(".why").count(), why.get_attribute("aria-expanded")) == (0, "false")


def test_labels_have_the_colours_of_the_repository(visit: Visit) -> None:
    """With black or white on them, whichever stands out."""
    shown = visit(written(ENTRIES, header(colors={"bug": "ffee00", "docs": "112233"})))
    colours = {
        tag.locator("span").inner_text(): tag.evaluate(
            "(tag) => [getComputedStyle(tag).backgroundColor, getComputedStyle(tag).color]"
        )
        for tag in shown.locator("#rows label.tag").all()
    }
    assert colours == {
        "bug": ["rgb(255, 238, 0)", "rgb(0, 0, 0)"],
        "docs": ["rgb(17, 34, 51)", "rgb(255, 255, 255)"],
    }


def test_what_is_saved_is_the_plan_without_what_was_unticked(visit: Visit, tmp_path: Path) -> None:
    """A plan that the program reads: nothing else of it changed, and what is under the slider is not in it."""
    of = header(ids={"bug": "LA_1"}, colors={"bug": "ff0000"}, repo_id="R_1", measured=50, right=41)
    entries = [
        entry(1, "bug", "docs", title="Crash \u2028 <b>", locked=False),
        Entry(2, "Manual", ("docs",), {"docs": 0.95}, ("bug",), ("bug",), {"web": "no"}),
        *ENTRIES[2:],
    ]
    text = written(entries, of)
    whole = open_plan(saved(visit(text), tmp_path))
    assert whole.header == of
    setting = [one for one in entries if one.labels]
    assert list(whole.entries()) == setting
    shown = visit(text)
    shown.get_by_role("checkbox", name="docs 0.95").uncheck()
    shown.get_by_role("checkbox", name="bug 0.90").press("Space")
    slide(shown, "0.6")
    assert shown.locator("#saving").inner_text() == "2 labels on 2 issues"
    kept = list(open_plan(saved(shown, tmp_path)).entries())
    assert kept == [replace(entries[0], labels=("docs",), scores={"docs": 0.8}), entries[5]]


def test_all_that_is_shown_is_ticked_and_unticked_at_once(visit: Visit) -> None:
    """Only the label that the table is limited to; and with nothing ticked there is nothing to save."""
    shown = visit(written(ENTRIES), "label=bug")
    shown.locator("#untick").click()
    assert shown.locator("#saving").inner_text() == "2 labels on 2 issues"
    assert shown.get_by_role("checkbox", checked=True).count() == 1
    shown.locator("select[name=label]").select_option("")
    shown.locator("#untick").click()
    assert (shown.locator("#saving").inner_text(), shown.locator("#save").is_disabled()) == (
        "Nothing is chosen.",
        True,
    )
    shown.locator("#tick").click()
    assert shown.locator("#saving").inner_text() == "5 labels on 4 issues"


def test_what_is_ticked_is_what_is_applied(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    """End to end: the plan, the page, the saved file, and the labels on GitHub; the rest stays as it was."""
    one, two = desk.issues(2)
    entries = [entry(one.number, "bug", "docs"), entry(two.number, "bug")]
    path = desk.plan(*entries)
    shown = visit(written(entries, open_plan(path).header))
    shown.locator("#rows tr").nth(0).get_by_role("checkbox").uncheck()
    shown.get_by_role("checkbox", name="docs").uncheck()
    reviewed = saved(shown, tmp_path)
    assert desk.run("backfill", f"--apply={reviewed}", "--per-minute=60000") == 0
    assert [label.name for label in one.labels] == ["bug"]
    assert [label.name for label in two.labels] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_is_accessible(visit: Visit, width: int, scheme: str) -> None:
    """On every screen, in both schemes, with everything unfolded: axe-core finds nothing, and nothing sticks out."""
    near = (Neighbour("", 12, 0.91, ("bug",)), Neighbour("octo/" + "long-" * 12, 4, 0.8, ("bug", "docs")))
    colors = {"bug": "d73a4a", "docs": "0075ca", "web": "767676", "long " * 9: "fbca04"}
    entries = [
        replace(ENTRIES[0], neighbours=near, existing=("web",), missed=("web",), title="word" * 40),
        *ENTRIES[1:],
        entry(8, "long " * 9),
        entry(9, held_back={"w" * 60: "it is not allowed"}),
    ]
    shown = visit(written(entries, header(colors=colors)), width=width, scheme=scheme)
    shown.get_by_role("button", name="why issue 1?").click()
    shown.get_by_role("checkbox", name="docs 0.80").uncheck()
    shown.locator("summary").click()
    assert findings(shown) == []
    assert overflow(shown) == 0
    assert shown.locator("#rows tr").first.evaluate("(row) => getComputedStyle(row).display") == (
        "block" if width <= 600 else "table-row"
    )
    shown.locator("#untick").click()
    shown.locator("input[name=find]").fill("nowhere")
    assert shown.locator("#nothing").is_visible()
    assert findings(shown) == []
    assert overflow(shown) == 0
