"""The page of `triage evaluate`: what a threshold gives, label by label and issue by issue, as the slider moves."""

from __future__ import annotations

import re
import subprocess
import tomllib
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.browsing import WIDTHS, Visit, findings, overflow
from triage.metrics import wilson
from triage.reports import TEMPLATES, render

if TYPE_CHECKING:
    from playwright.sync_api import Page

SERVER = "https://github.example"
HOSTILE = ("</script><script>document.title='owned'</script>", "<img src=x onerror=alert(1)>", "constructor")
NAMES = ["bug", "docs", "web"]
CHART = "[data-chart]"
# (labels that people set, columns and scores in ten-thousandths), with numbers from 1.
ISSUES = [
    ([0], [(0, 9500), (1, 200)]),
    ([0], [(1, 9200), (0, 4000)]),
    ([1], [(1, 8000)]),
    ([0, 1], [(0, 9100), (1, 9000)]),
    ([2], [(0, 3000), (2, 1000)]),
]


def answers(
    issues: list[tuple[list[int], list[tuple[int, int]]]] = ISSUES,
    names: list[str] = NAMES,
    title: str = "Title",
) -> dict[str, object]:
    """What the script reads, of two methods."""
    rows = [
        {"repo": "octo/demo", "number": n, "title": f"{title} {n}", "labels": labels}
        for n, (labels, _) in enumerate(issues, 1)
    ]
    first = {
        "title": "ours",
        "scale": "probability",
        "start": 0.9,
        "scores": [scores for _, scores in issues],
    }
    second = {"title": "theirs", "scale": "score", "start": 0.5, "scores": [[(0, 6000)] for _ in issues]}
    return {"server": SERVER, "names": names, "methods": [first, second], "issues": rows, "cut": 0}


def written(data: dict[str, object], words: str = "octo/demo") -> str:
    """The page around these data; the tables for researchers are as small as they can be."""
    about = {"dropped": {words: 1}, "labels_an_issue": {"1": 5}}
    picture = {"name": "curve", "title": "A curve", "caption": words, "data": "PHN2Zy8+", "charts": []}
    rising = {
        "title": words,
        "tint": 0,
        "mean": [0.2, None, 0.6],
        "low": [0.1, None, 0.5],
        "high": [0.3, None, 0.7],
    }
    flat = {"title": "theirs", "mean": [0.4, 0.4, 0.4], "low": [], "high": []}
    chart = {
        "x": "labelled issues",
        "y": "F1",
        "at": [8, 32, 78],
        "lines": [rising, flat],
        "log": True,
        "mark": None,
    }
    values = {
        "source": words,
        "split": words,
        "recommendation": [words],
        "quality": [(words, ["0.5"] * 8)],
        "costs": [(words, ["1 s"] * 7)],
        "remarks": [(words, words)],
        "left_out": [(words, words)],
        "figures": [picture, picture | {"name": "chart", "charts": [chart]}],
        "best": words,
        "labels": [],
        "k": 3,
        "queries": [],
        "issues": [],
        "shown": 8,
        "about": about,
        "command": words,
    }
    return "".join(render("evaluation", tested=data, **values))


def slide(shown: Page, to: float) -> None:
    """Move the slider."""
    shown.locator("#least").evaluate(
        "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        to,
    )


def numbers(shown: Page) -> list[int]:
    """The issues in the table, from the top."""
    return [int(text.removeprefix("#")) for text in shown.locator("#rows td:first-child").all_inner_texts()]


def answer(shown: Page) -> str:
    """The sentence on top."""
    return shown.locator(".answer").inner_text()


def cell(shown: Page, words: str) -> str:
    """The number in a field of the table of confusions."""
    return shown.get_by_role("button", name=words).inner_text()


def test_the_page_loads_nothing() -> None:
    """Its policy admits its own style, its own script, and pictures that are in it."""
    text = written(answers())
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]{44}'; script-src 'sha256-[\w+/=]{44}'; img-src data:; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert not re.search(r"url\(|@import", text)


def test_the_first_sentence_says_what_a_threshold_gives(visit: Visit) -> None:
    """How many issues get a label, and how many labels are right, with the interval that metrics gives."""
    shown = visit(written(answers()))
    assert answer(shown) == "At 0.90: 60% of issues get a label, 75% right."
    low, high = wilson(3, 4)
    assert shown.locator("#interval").inner_text() == (
        f"3 of 4 labels on 3 of 5 test issues are right: between {low:.0%} and {high:.0%} with 95% confidence. "
        "That is too few to tell."
    )
    slide(shown, 0.3)
    assert answer(shown) == "At 0.30: 100% of issues get a label, 71% right."
    slide(shown, 0.96)
    assert answer(shown) == "At 0.96: 0% of issues get a label, none right."
    assert shown.locator("#interval").inner_text() == "No label would be set."


def test_another_method_is_a_choice_away(visit: Visit) -> None:
    """The slider then begins at its own threshold, and is called a score where it is no probability."""
    shown = visit(written(answers()))
    shown.locator("#method").select_option("theirs")
    assert answer(shown) == "At 0.50: 100% of issues get a label, 60% right."
    assert "a score of at least" in shown.locator(".slider label").inner_text()


def test_the_axis_of_the_picture_goes_from_zero_to_all(visit: Visit) -> None:
    """And the picture fills its place, whatever the width of the window becomes."""
    shown = visit(written(answers()))
    scale = shown.evaluate("[thresholds.plot.scales.y.min, thresholds.plot.scales.y.max]")
    assert scale == [0, 1]
    for width in (390, 1600):
        shown.set_viewport_size({"width": width, "height": 900})
        shown.wait_for_function("thresholds.plot.width === document.getElementById('chart').clientWidth")
        assert overflow(shown) == 0


def test_the_picture_says_what_the_first_sentence_says(visit: Visit) -> None:
    """At the threshold of the slider; at the cursor, what is there."""
    shown = visit(written(answers()))
    assert legend(shown, "#chart") == [
        "probability at which a label is set: 0.9",
        "labels that are right, with the 95% interval 75% (30% to 95%)",
        "issues that get a label 60%",
    ]
    slide(shown, 0.3)
    assert legend(shown, "#chart")[2] == "issues that get a label 100%"
    hover(shown, "#chart", 0.96)
    assert legend(shown, "#chart") == [
        "probability at which a label is set: 0.96",
        "labels that are right, with the 95% interval \N{EN DASH}",
        "issues that get a label 0%",
    ]


def unfolded(visit: Visit, **kind: str) -> Page:
    """The page with the part for researchers open, where its chart is drawn."""
    shown = visit(written(answers(), "ours"), **kind)
    shown.locator("main > details > summary").click()
    shown.locator(CHART).locator("canvas").wait_for()
    return shown


def legend(shown: Page, chart: str) -> list[str]:
    """What stands below a chart."""
    return [text.strip() for text in shown.locator(f"{chart} .legend > *").all_inner_texts()]


def place(shown: Page, chart: str, share: float) -> tuple[float, float]:
    """A point within a chart, at this share of its width."""
    over = shown.locator(f"{chart} .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def hover(shown: Page, chart: str, share: float) -> None:
    """Move the mouse there, and wait for the frame in which the chart answers."""
    shown.mouse.move(*place(shown, chart, share))
    shown.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pixels(shown: Page, line: int) -> int:
    """How many points of the chart have the very colour of a line, as the page's scheme has it."""
    found = shown.locator(CHART).evaluate(
        """async (box, line) => {
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const input = box.querySelectorAll(".legend input")[line], canvas = box.querySelector("canvas");
          const colour = getComputedStyle(input).accentColor.match(/\\d+/g).map(Number);
          const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          let found = 0;
          for (let i = 0; i < all.length; i += 4) found += colour.every((part, j) => all[i + j] === part);
          return found;
        }""",
        line,
    )
    return int(found)


def test_a_chart_shows_the_values_at_the_cursor(visit: Visit) -> None:
    """Each with its band; without a cursor, those of the last place."""
    shown = unfolded(visit)
    last = ["labelled issues: 78", "ours 0.600 (0.500 to 0.700)", "theirs 0.400"]
    assert legend(shown, CHART) == last
    hover(shown, CHART, 0.02)
    assert legend(shown, CHART) == ["labelled issues: 8", "ours 0.200 (0.100 to 0.300)", "theirs 0.400"]
    hover(shown, CHART, 0.6)
    assert legend(shown, CHART) == ["labelled issues: 32", "ours \N{EN DASH}", "theirs 0.400"]
    shown.mouse.move(0, 0)
    assert legend(shown, CHART) == last


def test_a_line_can_be_switched_off(visit: Visit) -> None:
    """By keyboard too; the others stay."""
    shown = unfolded(visit)
    assert pixels(shown, 0) > 20
    switch = shown.locator(CHART).get_by_role("checkbox", name="ours")
    switch.press("Space")
    assert (pixels(shown, 0), pixels(shown, 1) > 100) == (0, True)
    switch.press("Space")
    assert pixels(shown, 0) > 20


def test_dragging_over_a_chart_looks_closer(visit: Visit) -> None:
    """A double click shows all again."""
    shown = unfolded(visit)
    shown.mouse.move(*place(shown, CHART, 0.4))
    shown.mouse.down()
    shown.mouse.move(*place(shown, CHART, 0.95))
    shown.mouse.up()
    hover(shown, CHART, 0.02)
    assert legend(shown, CHART)[0] == "labelled issues: 32"
    shown.mouse.dblclick(*place(shown, CHART, 0.02))
    hover(shown, CHART, 0.03)
    assert legend(shown, CHART)[0] == "labelled issues: 8"


def test_a_chart_follows_the_scheme(visit: Visit) -> None:
    """Its lines are drawn again in the colours of the other scheme."""
    shown = unfolded(visit, scheme="light")
    assert pixels(shown, 1) > 100
    shown.emulate_media(color_scheme="dark")
    assert pixels(shown, 1) > 100


def test_a_chart_can_be_read_without_seeing_it(visit: Visit) -> None:
    """It says where each line is highest, and a table has every number, also without the script."""
    shown = unfolded(visit)
    picture = shown.locator(CHART).get_by_role("img")
    assert picture.get_attribute("aria-label") == (
        "F1 by labelled issues. ours: at most 0.600, at 78; theirs: at most 0.400, at 8."
    )
    shown.get_by_text("F1 by labelled issues, as a table").click()
    rows = [text.split("\t") for text in shown.locator("figure tbody tr").all_inner_texts()]
    assert rows == [
        ["8", "0.200 (0.100 to 0.300)", "0.400"],
        ["32", "", "0.400"],
        ["78", "0.600 (0.500 to 0.700)", "0.400"],
    ]


def test_the_library_is_the_one_that_was_published() -> None:
    """Each of its files has the sum stated beside it; the page holds them with their licence."""
    folder = TEMPLATES / "vendor"
    stated = dict(re.findall(r"\| (\S+) \| \S+ \| `(\w{64})` \|", (folder / "README.md").read_text("utf-8")))
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    del found["README.md"]
    assert found == stated
    page = written(answers())
    for name in found:
        assert (folder / name).read_text("utf-8") in page


def test_a_wheel_carries_the_library() -> None:
    """It takes the whole package but what git ignores or the build excludes."""
    root = TEMPLATES.parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["packages"] == ["triage"]
    assert "triage" in build["targets"]["sdist"]["only-include"]
    assert not {"exclude", "ignore-vcs"} & {*build, *build["targets"]["wheel"], *build["targets"]["sdist"]}
    files = [str(path) for path in (TEMPLATES / "vendor").iterdir()]
    kept = subprocess.run(
        ["git", "ls-files", "--", *files], cwd=root, capture_output=True, text=True, check=True
    )
    assert len(kept.stdout.splitlines()) == len(files) == 4


def test_each_label_has_its_share_and_interval(visit: Visit) -> None:
    """Of the times it would be set, and of the times people set it; few are said to be few."""
    shown = visit(written(answers()))
    rows = [re.split(r"\s*[\n\t]\s*", text) for text in shown.locator("#lines tr").all_inner_texts()]
    assert rows == [
        ["bug", "3", "2", "100% (34 to 100%, few)", "67% (21 to 94%, few)"],
        ["docs", "2", "2", "50% (9 to 91%, few)", "50% (9 to 91%, few)"],
        ["web", "1", "0", "\N{EN DASH}", "0% (0 to 79%, few)"],
    ]
    head = shown.get_by_role("button", name="Label", exact=True)
    head.press("Enter")
    head.press("Enter")
    assert [text.split()[0] for text in shown.locator("#lines tr").all_inner_texts()] == [
        "web",
        "docs",
        "bug",
    ]
    shown.get_by_role("button", name="web", exact=True).click()
    assert numbers(shown) == [5]
    shown.get_by_role("button", name="all", exact=True).click()
    assert numbers(shown) == [5, 4, 3, 2, 1]


def test_a_confusion_shows_its_issues(visit: Visit) -> None:
    """What people set in rows, what would be set in columns; a click, or Enter, lists the issues."""
    shown = visit(written(answers()))
    assert shown.locator("#columns th").all_inner_texts() == ["bug", "docs", "web", "no label"]
    assert cell(shown, "People set bug, it would be set: 2 issues of 3") == "2"
    assert cell(shown, "People set web, no label would be set: 1 issue of 1") == "1"
    wrong = shown.get_by_role("button", name="People set bug, docs would be set: 1 issue of 3")
    wrong.press("Enter")
    assert numbers(shown) == [2]
    assert "where this would be set:" in shown.locator("#picked").inner_text()
    slide(shown, 0.3)
    assert numbers(shown) == []
    assert cell(shown, "People set bug, it would be set: 3 issues of 3") == "3"


def test_the_issues_are_found_sorted_and_linked(visit: Visit) -> None:
    """By number, by words, by what is wrong with them, and by the highest score."""
    shown = visit(written(answers()))
    links = shown.locator("#rows a").evaluate_all("(all) => all.map((a) => a.href)")
    assert links == [f"{SERVER}/octo/demo/issues/{n}" for n in (5, 4, 3, 2, 1)]
    for view, found in (
        ("wrong", [2]),
        ("missed", [5, 3, 2]),
        ("none", [5, 3]),
        ("right", [4, 1]),
        ("all", [5, 4, 3, 2, 1]),
    ):
        shown.locator("select[name=show]").select_option(view)
        assert numbers(shown) == found
        assert shown.locator("#count").inner_text() == f"{len(found)} of 5 issues"
    shown.locator(".issues").get_by_role("button", name="Would be set").click()
    assert numbers(shown) == [1, 2, 4, 3, 5]
    shown.locator("input[name=find]").fill("TITLE 3")
    assert numbers(shown) == [3]
    shown.locator("input[name=find]").fill("nothing like it")
    assert shown.locator("#nothing").inner_text() == "No issue matches. Show all test issues"
    shown.locator("#reset").click()
    assert len(numbers(shown)) == 5


def test_a_long_list_comes_in_pieces_and_says_where_it_was_cut(visit: Visit) -> None:
    """The page holds the newest test issues."""
    shown = visit(written(answers(ISSUES * 50) | {"cut": 12345}))
    assert shown.locator("#rows tr").count() == 100
    assert shown.locator("#count").inner_text() == "250 of 250 issues, the newest of 12,345"


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_are_words(visit: Visit, words: str) -> None:
    """As titles, as names of labels, and in every sentence."""
    shown = visit(written(answers(names=[words, f"{words}!", "web"], title=words), words))
    assert shown.title() == f"How well labels are set on {words}"
    assert shown.locator("#rows .title").first.evaluate("(cell) => cell.textContent") == f"{words} 5"
    assert shown.locator("#columns th").first.evaluate("(cell) => cell.textContent") == words
    assert shown.locator("script").count() == 2
    assert shown.locator("img").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_is_accessible(visit: Visit, width: int, scheme: str) -> None:
    """On every screen, in both schemes, with everything unfolded: axe-core finds nothing, and nothing sticks out."""
    names = ["bug", "documentation " * 4, "w" * 60]
    shown = visit(written(answers(names=names, title="word" * 30)), width=width, scheme=scheme)
    shown.get_by_role("button", name="People set bug, it would be set").click()
    for fold in shown.locator("summary").all():
        fold.click()
    assert findings(shown) == []
    assert overflow(shown) == 0
    shown.locator("input[name=find]").fill("nowhere")
    assert shown.locator("#nothing").is_visible()
    assert findings(shown) == []
    assert overflow(shown) == 0
