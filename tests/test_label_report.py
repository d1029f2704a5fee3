"""Decisions in the job summary and on a terminal: complete, and whatever a label is called, nothing but text."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from triage.decide import Decision, Evidence, Neighbour
from triage.label.labeller import LabelOutcome
from triage.reports.label_report import ISSUES_SHOWN, meter, summary, terminal

REPO = "octo/demo"
# What GitHub makes links of in a finished page: mentions, numbers, GH-7, and addresses.
LINK = re.compile(r"(?<![\w&])@\w|#\d|\bgh-\d|https?://|www\.", re.IGNORECASE)
TAGS = {"a", "code", "details", "summary", "sub"}
HOSTILE = [
    "@everyone",
    "octo/demo#1",
    "GH-1",
    "a|b",
    "<script>alert(1)</script>",
    "</code></details>",
    "[x](javascript:alert(1))",
    "![x](https://example.org/pixel.png)",
    "`code`",
    "a\n# b",
    "*b* _i_ ~s~",
    "https://example.org www.example.org",
    "\u202egnp.exe",
    "-rf",
    "🐛: bug, really",
    "&lt;b&gt;",
]


def url(repo: str, number: int) -> str:
    return f"https://github.com/{repo}/issues/{number}"


def decision(
    *labels: str, held: dict[str, str] | None = None, votes: float = 3.0, voters: int = 2
) -> Decision:
    """A decision for these labels, with neighbours that carry them."""
    held = held or {}
    near = tuple(Neighbour(REPO, n, 0.9, labels) for n in range(1, voters + 1))
    names = [*labels, *held, "runner-up"]
    return Decision(
        key=(REPO, 7),
        labels=labels,
        sources=dict.fromkeys(labels, "neighbours"),
        held_back=held,
        scores={name: 0.9 - 0.1 * i for i, name in enumerate(names)},
        needed=dict.fromkeys(names, 4.0),
        evidence=Evidence((REPO, 7), near, votes=dict.fromkeys(names, votes)),
        k=voters,
        bundle="b",
    )


def page(*outcomes: LabelOutcome, dry_run: bool = False) -> str:
    return summary(outcomes, url=url, dry_run=dry_run, model="bundle b")


def test_the_summary_of_one_issue_has_labels_votes_neighbours_and_what_was_held_back() -> None:
    """The whole page, as a maintainer gets it."""
    decided = decision("bug", held={"docs": "only people set it (labels.deny)"})
    assert page(LabelOutcome(REPO, 7, decided, ("bug",))) == (
        '### <a href="https://github.com/octo/demo/issues/7">#7</a> got <code>bug</code>\n'
        "\n"
        "2 of the 2 most similar issues are <code>bug</code>.\n"
        "\n"
        "|  | label | probability | reason |\n"
        "|:-:|---|---|---|\n"
        "| ✓ | <code>bug</code> | <code>█████████\u00a0\u00a00.90</code> | 3&#46;0 of 2 votes |\n"
        "| ✗ | <code>docs</code> | <code>████████\u00a0\u00a0\u00a00.80</code> "
        "| held back&#58; only people set it &#40;labels&#46;deny&#41; |\n"
        "|  | <code>runner&#45;up</code> | <code>███████\u00a0\u00a0\u00a0\u00a00.70</code> "
        "| 3&#46;0 of 2 votes&#44; 4&#46;0 needed |\n"
        "\n"
        "<details><summary>The 2 most similar issues voted</summary>\n"
        "\n"
        "| issue | similarity | labels |\n"
        "|---|---|---|\n"
        '| <a href="https://github.com/octo/demo/issues/1">#1</a> | 0.90 | <code>bug</code> |\n'
        '| <a href="https://github.com/octo/demo/issues/2">#2</a> | 0.90 | <code>bug</code> |\n'
        "\n"
        "</details>\n"
        "\n"
        "<sub>Decided by bundle b. If a label is wrong, remove it: it will not be set again.</sub>\n"
    )


@pytest.mark.parametrize(
    ("enough", "reason"),
    [
        (0.85, "5.0 of 2 votes; needs a probability of at least 0.85"),
        (
            0.8001,
            "5.0 of 2 votes; needs a probability of at least 0.80, which it misses by less than 0.01",
        ),
    ],
)
def test_a_label_with_the_votes_that_is_too_unlikely_says_so(enough: float, reason: str) -> None:
    """What is said to be missing is what is missing."""
    decided = replace(decision("bug", votes=5.0), enough={"runner-up": enough})
    text = html.unescape(page(LabelOutcome(REPO, 7, decided, ("bug",))))
    assert f"| {reason} |" in text


@pytest.mark.parametrize(
    ("labels", "sources", "said"),
    [
        (("bug", "docs"), {}, "3 of the 4 most similar issues are <code>bug</code>, 1 <code>docs</code>."),
        (("bug",), {"bug": "zero-shot"}, "<code>bug</code> fits by name and description."),
        (
            ("bug", "docs"),
            {"docs": "zero-shot"},
            "3 of the 4 most similar issues are <code>bug</code>. <code>docs</code> fits by name and description.",
        ),
        (
            (),
            {},
            "The most probable label is <code>Bug</code>, with 0.61: 3 of the 4 most similar issues have it.",
        ),
    ],
)
def test_a_plain_sentence_comes_first(labels: tuple[str, ...], sources: dict[str, str], said: str) -> None:
    """How many of the issues that voted carry the label, whatever its case, or what else speaks for it."""
    carried = (("bug",), ("BUG", "docs"), ("bug",), ("other",))
    decided = replace(
        decision(*labels),
        sources=dict.fromkeys(labels, "neighbours") | sources,
        scores=dict.fromkeys(labels, 0.9) or {"docs": 0.2, "Bug": 0.61},
        evidence=Evidence((REPO, 7), tuple(Neighbour(REPO, n, 0.9, c) for n, c in enumerate(carried, 1))),
        k=4,
    )
    decided = replace(decided, evidence=replace(decided.evidence, votes=dict.fromkeys(decided.scores, 3.0)))
    assert page(LabelOutcome(REPO, 7, decided, labels)).splitlines()[2] == said


def test_without_neighbours_there_is_no_sentence() -> None:
    """There is nothing to count."""
    assert page(LabelOutcome(REPO, 7, decision(voters=0))).splitlines()[2].startswith("|  | label |")


def test_a_dry_run_has_no_hint_on_wrong_labels() -> None:
    """None was set."""
    said = page(LabelOutcome(REPO, 7, decision("bug"), ("bug",)), dry_run=True)
    assert "#7</a> would get <code>bug</code>\n" in said
    assert said.endswith("<sub>Decided by bundle b.</sub>\n")


def test_an_issue_without_labels_and_one_left_alone_say_so() -> None:
    """With the reason."""
    assert "#7</a> got no label\n" in page(LabelOutcome(REPO, 7, decision()))
    assert "#7</a> would get no label\n" in page(LabelOutcome(REPO, 7, decision()), dry_run=True)
    assert "#7</a> was left alone\n\nA bot opened it.\n" in page(
        LabelOutcome(REPO, 7, note="a bot opened it")
    )


def test_several_issues_begin_with_a_table() -> None:
    """One line an issue; the reasons are folded away below."""
    text = page(
        LabelOutcome(REPO, 7, decision("bug"), ("bug",)),
        LabelOutcome(REPO, 8, note="it was deleted", missing=True),
    )
    assert text.startswith(
        "### 1 of 2 issues were labelled\n\n| issue | labels | note |\n|---|---|---|\n"
        '| <a href="https://github.com/octo/demo/issues/7">#7</a> | <code>bug</code> |  |\n'
        '| <a href="https://github.com/octo/demo/issues/8">#8</a> | none | it was deleted |\n'
    )
    assert text.count("<details>") == text.count("</details>") == 2


def test_a_run_over_thousands_shows_the_first_and_counts_the_rest() -> None:
    """GitHub drops a summary of more than a megabyte."""
    text = page(*(LabelOutcome(REPO, n, decision("bug"), ("bug",)) for n in range(1, ISSUES_SHOWN + 4)))
    assert "| … | 3 more |  |" in text
    assert len(text.encode()) < 1_000_000


def test_a_run_over_no_issue_is_a_page_too() -> None:
    """The sweep finds nothing on most days."""
    assert page() == "### 0 of 0 issues were labelled\n\n<sub>Decided by bundle b.</sub>\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_label_of_any_name_is_nothing_but_text(name: str) -> None:
    """No link, no tag, no cell and no line of its own, wherever the name stands."""
    reason = f"at most one of {name}, bug, and {name} stays"
    text = page(
        LabelOutcome(REPO, 7, decision(name, held={"docs": reason}), (name,), note=f"deleted: {name}")
    )
    plain = page(
        LabelOutcome(REPO, 7, decision("name", held={"docs": "at most one"}), ("name",), note="deleted")
    )
    assert re.findall(r"<(/?\w+)", text) == re.findall(r"<(/?\w+)", plain)
    assert {tag.strip("/") for tag in re.findall(r"<(/?\w+)", text)} <= TAGS
    assert [line.count("|") for line in text.splitlines()] == [line.count("|") for line in plain.splitlines()]
    outside_code = re.sub(r"<code>.*?</code>|<a .*?</a>", "", text)
    assert not LINK.search(html.unescape(outside_code).replace("https://example.org", "").replace("www.", ""))
    # an address becomes a link where Markdown is read, so that entities are enough there
    assert "://" not in re.sub(r"<a .*?</a>", "", text)


def test_the_terminal_shows_labels_what_was_held_back_and_who_voted() -> None:
    """Columns stand below each other, whatever the labels are called."""
    found = decision("bug", "area: sync", held={"question": "a bug already"})
    assert terminal("Renames lose files", found).splitlines() == [
        "octo/demo#7  Renames lose files",
        "  + bug         █████████  0.90  3.0 of 2 votes",
        "  + area: sync  ████████   0.80  3.0 of 2 votes",
        "  - question    ███████    0.70  held back: a bug already",
        "      0.90  #1  bug, area: sync",
        "      0.90  #2  bug, area: sync",
    ]


@pytest.mark.parametrize(("repo", "name"), [("", "row 3"), (REPO, f"{REPO} row 3")])
def test_a_row_without_a_number_is_named_by_its_place(repo: str, name: str) -> None:
    """Nobody has an issue -3."""
    found = replace(decision("bug"), key=(repo, -3))
    assert terminal("Crash at start", found).startswith(f"{name}  Crash at start\n")


def test_without_a_label_the_highest_scores_are_named() -> None:
    """So that a person sees how far off it was."""
    assert "  no label; the highest scores were runner-up 0.90\n" in terminal("Hm", decision())


@pytest.mark.parametrize(
    "text", [*HOSTILE, "\x1b[31mred", "\x9b2J", "\x1b]0;title\x07", "a\rb", "\u2066x", "a\x00b"]
)
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    """Neither of a title nor of a label: no escape sequence, no new line, no turned direction."""
    lines = terminal(text, decision(text, held={f"{text}!": "no"})).split("\n")
    assert len(lines) == 6
    assert not [
        c for line in lines for c in line if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066"
    ]


@pytest.mark.parametrize(
    ("score", "drawn"),
    [(0.0, "           0.00"), (0.5, "█████      0.50"), (0.06, "▋          0.06"), (1.0, "██████████ 1.00")],
)
def test_a_score_is_drawn_to_an_eighth_of_a_block(score: float, drawn: str) -> None:
    """Ten blocks are certainty."""
    assert meter(score) == drawn
