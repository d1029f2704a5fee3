"""Plans and journals as files: what is written is read back, what is broken is named, what is cut short goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backfilling import entry, header, write_plan
from triage.backfill.journal import JournalRecord, JournalTask, WrittenLabel, journal, read_journal
from triage.backfill.plan import (
    END,
    Entry,
    Plan,
    Promise,
    drafting,
    entry_of,
    fingerprint,
    line,
    merge,
    open_plan,
    read_entry,
    read_header,
)
from triage.config import Config, from_dict
from triage.decide import Decision, Evidence, Neighbour
from triage.errors import DataError, UsageError
from triage.issue import Issue
from triage.reports.plan_report import expected, markdown, page, totals

TASK = JournalTask("backfill", "octo/demo", "abc", "bot[bot]")
ENTRIES = [
    entry(9, "bug"),
    entry(8),
    entry(7, "docs", "bug", existing=("x",), missed=("x",)),
    entry(3, note="a bot"),
]
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
ANEW = "make the plan again with `triage backfill --from`"


@given(
    st.builds(
        Entry,
        number=st.integers(1, 2**63 - 1),
        title=NAMES,
        labels=st.just(()),
        existing=st.lists(NAMES).map(tuple),
        held_back=st.dictionaries(NAMES, NAMES),
        locked=st.none() | st.booleans(),
    )
)
def test_an_entry_is_read_back_as_it_was(one: Entry) -> None:
    """Whatever its names hold; it is one line."""
    text = line(one)
    assert text.count("\n") == 1
    assert read_entry(text, "here") == one


def test_a_colour_that_is_none_is_refused() -> None:
    """Nothing but six hexadecimal digits reaches a page."""
    with pytest.raises(DataError) as raised:
        read_header(line(header(colors={"bug": "red;x"})), "line 1")
    assert raised.value.what == "line 1: in 'colors.bug': expected six hexadecimal digits, found 'red;x'"


def test_the_issues_that_voted_are_in_the_plan() -> None:
    """The most similar ones of a decision that sets or disputes a label; the repository only where it is another."""
    voters = tuple(
        Neighbour(repo, n, 0.98765 - n / 100, ("bug",)) for n, repo in enumerate(["o/r", "o/x"] * 5)
    )
    decision = Decision(
        ("o/r", 7),
        ("bug",),
        {"bug": "neighbours"},
        {},
        {"bug": 0.9},
        {},
        Evidence(("o/r", 7), voters),
        10,
        "b",
    )
    issue = Issue("o/r", 7, "t", "b")
    made = entry_of(issue, decision, ("bug",), None)
    assert len(made.neighbours) == 8
    assert made.neighbours[:2] == (Neighbour("", 0, 0.99, ("bug",)), Neighbour("o/x", 1, 0.98, ("bug",)))
    assert read_entry(line(made), "here") == made
    assert entry_of(issue, replace(decision, labels=(), sources={}), ("bug",), None).neighbours == ()


def test_a_header_is_read_back_as_it_was() -> None:
    """Promises and figures among it."""
    assert read_header(line(header(shard="1/2", filters={"since": "2026"})), "here") == header(
        shard="1/2", filters={"since": "2026"}
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "plan.jsonl, line 1: not valid JSON"),
        ('{"number": 1}', "plan.jsonl, line 1: not the first line of a plan"),
        ('{"kind": "triage-plan", "format": 3}', "plan.jsonl, line 1: in 'repo': missing"),
    ],
)
def test_a_broken_header_is_named(text: str, what: str) -> None:
    """With the next step."""
    with pytest.raises(DataError) as raised:
        read_header(text, "plan.jsonl, line 1")
    assert (raised.value.what, raised.value.next_step) == (what, ANEW)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[]", "line 2: in '(top)': expected a mapping, found []"),
        ("{}", "line 2: in 'number': missing"),
        ('{"number": 0}', "line 2: in 'number': expected at least 1, found 0"),
        (
            '{"number": 1, "label": []}',
            "line 2: in 'label': unknown key; did you mean 'labels'? known keys: number, title, labels, ",
        ),
        ('{"number": 1, "labels": ["bug"]}', "line 2: in 'scores': the label 'bug' has none"),
        ('{"number": 1, "labels": [7]}', "line 2: in 'labels[0]': expected a string, found 7"),
    ],
)
def test_a_broken_entry_is_named(text: str, what: str) -> None:
    """With its line and its field."""
    with pytest.raises(DataError) as raised:
        read_entry(text, "line 2")
    assert raised.value.what.startswith(what)


def test_a_plan_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    """At every byte but the last line end: less than the plan is never taken for the plan."""
    path = write_plan(tmp_path / "plan.jsonl", ENTRIES[:2])
    whole = path.read_bytes()
    for end in range(len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError):
            open_plan(path)


def test_lines_may_be_deleted_from_a_plan_but_not_doubled(tmp_path: Path) -> None:
    """Whoever does not want an issue labelled deletes its line."""
    path = write_plan(tmp_path / "plan.jsonl", ENTRIES)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:2], *lines[3:]]), "utf-8")
    assert [one.number for one in open_plan(path).entries()] == [9, 7, 3]
    path.write_text("".join([*lines[:2], lines[1], *lines[2:]]), "utf-8")
    with pytest.raises(DataError) as raised:
        open_plan(path)
    assert raised.value.what == f"{path}, line 3: issue 9 is planned twice"


def planned(path: Path) -> Plan:
    """The plan of ENTRIES made in two batches, going on where there is something to go on from."""
    batches = {"": (ENTRIES[:2], "1"), "1": (ENTRIES[2:], "2")}
    with drafting(path, header()) as draft:
        while draft.place in batches:
            draft.add(*batches[draft.place])
        return draft.finish()


def test_a_draft_goes_on_wherever_it_was_cut_short(tmp_path: Path) -> None:
    """At every byte: the plan is the same as one made at a stretch, with no issue twice and none left out."""
    path, partial = tmp_path / "plan.jsonl", tmp_path / "plan.jsonl.partial"
    with drafting(path, header()) as draft:
        draft.add(*(ENTRIES[:2], "1"))
        draft.add(*(ENTRIES[2:], "2"))
    under_way = partial.read_bytes()
    planned(path)
    expected = path.read_bytes()
    assert expected.decode() == "".join([line(header()), *map(line, ENTRIES), END])
    for end in range(0, len(under_way), 3):
        partial.write_bytes(under_way[:end])
        assert list(planned(path).entries()) == ENTRIES
        assert (path.read_bytes(), partial.exists()) == (expected, False)


def test_a_draft_under_other_conditions_starts_over(tmp_path: Path) -> None:
    """With another bundle nothing of it counts; the date alone is no other condition and stays the first."""
    path = tmp_path / "plan.jsonl"
    for one, place, date in (
        (header(), "1", "2026-01-01T00:00:00Z"),
        (header(created_at="2026-02-02T00:00:00Z"), "1", "2026-01-01T00:00:00Z"),
        (header(bundle="other", created_at="2026-03-03T00:00:00Z"), "", "2026-03-03T00:00:00Z"),
    ):
        with drafting(path, one) as draft:
            if one == header():
                draft.add(ENTRIES[:2], "1")
            assert (draft.place, draft.header.created_at) == (place, date)


@pytest.mark.parametrize(
    "mark",
    [
        '{"place": "2"}',
        '{"place": "2", "planned": 99}',
        '{"place": "2", "planned": "4"}',
        '{"place": ["2"], "planned": 4}',
        '{"place": "elsewhere", "planned": 4}',
        '{"place": "", "planned": 4}',
        '{"place": 2, "planned": 4}',
        '{"place"',
        '{"place"' + ":[" * 5000,
    ],
)
def test_a_draft_with_a_damaged_mark_goes_on_from_the_mark_before(tmp_path: Path, mark: str) -> None:
    """What follows cannot be trusted: issues would be left out or planned twice."""
    path, partial = tmp_path / "plan.jsonl", tmp_path / "plan.jsonl.partial"
    with drafting(path, header()) as draft:
        draft.add(ENTRIES[:2], "1")
        draft.add(ENTRIES[2:], "2")
    whole = partial.read_text("utf-8").splitlines(keepends=True)
    partial.write_text("".join([*whole[:-1], mark + "\n"]), "utf-8")
    with drafting(path, header()) as draft:
        assert (draft.place, draft.planned) == ("1", 2)
    assert list(open_plan(planned(path).path).entries()) == ENTRIES


def test_no_changed_byte_of_a_draft_changes_the_plan(tmp_path: Path) -> None:
    """Neither in an entry nor in a place, which could lie past the end: what was changed is planned again."""
    path, partial = tmp_path / "plan.jsonl", tmp_path / "plan.jsonl.partial"
    with drafting(path, header()) as draft:
        draft.add(*(ENTRIES[:2], "1"))
        draft.add(*(ENTRIES[2:], "2"))
    under_way = partial.read_bytes()
    for at in range(0, len(under_way), 3):
        partial.write_bytes(under_way[:at] + b"9" + under_way[at + 1 :])
        assert list(planned(path).entries()) == ENTRIES
    partial.write_bytes(under_way.replace(b'{"place": "1"', b'{"place": "100"'))
    assert list(planned(path).entries()) == ENTRIES


def test_two_runs_do_not_write_one_draft(tmp_path: Path) -> None:
    """The second is sent away."""
    path = tmp_path / "plan.jsonl"
    with drafting(path, header()), pytest.raises(UsageError) as raised, drafting(path, header()):
        pass
    assert raised.value.what == f"{path}: another run is making this plan"


def shards(folder: Path, *names: str) -> list[Plan]:
    """Plans of one issue each, of these shards."""
    return [
        open_plan(write_plan(folder / f"{i}.jsonl", [entry(i, "bug")], shard=name))
        for i, name in enumerate(names, start=1)
    ]


def test_the_plans_of_all_shards_become_one(tmp_path: Path) -> None:
    """In the order of the shards, in whatever order they are given."""
    plan = merge(shards(tmp_path, "2/3", "1/3", "3/3"), tmp_path / "plan.jsonl")
    assert [one.number for one in plan.entries()] == [2, 1, 3]
    assert plan.header == header()


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("1/3", "3/3"), "the plan of shard 2/3 is missing"),
        (("1/2", "2/2", "2/2"), "the plan of a shard is given twice"),
    ],
)
def test_shards_that_do_not_make_a_whole_are_refused(
    tmp_path: Path, names: tuple[str, ...], what: str
) -> None:
    """Nothing is skipped in silence."""
    with pytest.raises(DataError) as raised:
        merge(shards(tmp_path, *names), tmp_path / "plan.jsonl")
    assert raised.value.what == what


def test_plans_made_under_other_conditions_are_not_merged(tmp_path: Path) -> None:
    """Such as with another bundle."""
    one = open_plan(write_plan(tmp_path / "1.jsonl", [], shard="1/2"))
    other = open_plan(write_plan(tmp_path / "2.jsonl", [], shard="2/2", bundle="other"))
    with pytest.raises(DataError) as raised:
        merge([one, other], tmp_path / "plan.jsonl")
    assert raised.value.what == f"{other.path}: made under other conditions than {one.path}"


def test_the_page_is_written_while_the_plan_is_read() -> None:
    """So memory does not grow with the number of issues: between two pieces at most 50 entries are read."""
    read = 0

    def entries() -> Iterator[Entry]:
        nonlocal read
        for number in range(1, 501):
            read += 1
            yield entry(number, "bug")

    seen = [read for _ in page(header(), totals(header(), []), entries(), "https://github.example")]
    assert seen[-1] == 500
    assert all(later - sooner <= 50 for sooner, later in pairwise(seen))


def test_an_entry_tells_what_the_rules_would_not_have_set() -> None:
    """Of the labels there, those that could have been found and were not; others say nothing about the rules."""
    issue = Issue("o/r", 7, "A  title\n of two lines", labels=("bug", "docs", "wontfix"))
    decision = Decision(
        key=issue.key,
        labels=("web",),
        sources={"web": "neighbours", "bug": "neighbours", "api": "neighbours"},
        held_back={"bug": "the issue already has it", "api": "only people set it"},
        scores={"web": 0.81234, "bug": 0.9, "docs": 0.1, "api": 0.7},
        needed={},
        evidence=Evidence(issue.key),
        k=3,
        bundle="b",
    )
    assert entry_of(issue, decision, {"web", "bug", "docs"}, locked=True) == Entry(
        number=7,
        title="A title of two lines",
        labels=("web",),
        scores={"web": 0.8123},
        existing=("bug", "docs", "wontfix"),
        missed=("docs",),
        held_back={"api": "only people set it"},
        locked=True,
    )


@pytest.mark.parametrize(
    "changed",
    [{"labels": {"deny": ["x"]}}, {"labels": {"create": True}}, {"act": {"skip_bots": False}}],
)
def test_the_fingerprint_tells_another_say_over_labels(changed: dict[str, object]) -> None:
    """What only concerns how GitHub is asked does not."""
    assert fingerprint(from_dict(changed)) != fingerprint(Config())
    assert fingerprint(from_dict({"act": {"max_rate_limit_wait": 7}})) == fingerprint(Config())


def test_the_report_promises_what_was_measured_and_names_what_was_not() -> None:
    """Counts, precisions, and what carries labels that the rules would not set."""
    entries = [
        entry(1, "bug", "docs"),
        entry(2, "bug", existing=("docs",), missed=("docs",)),
        entry(3, existing=("bug",)),
        entry(4, note="a bot opened it"),
        entry(5, held_back={"api": "only people set it"}),
        entry(6, unjudged="its text says nothing", existing=("bug",)),
    ]
    text = markdown(header(), totals(header(), entries))
    assert text.startswith("### A backfill would label 2 of 6 issues of octo&#47;demo\n\nNothing was written")
    assert (
        "Of 3 labels, 85% (77% to 91%) should be right, by the lowest of the estimates.\n"
        "The precision of 1 label was never measured" in text
    )
    assert (
        "| <code>bug</code> | 2 | 90% right of 40 | 1 | 0 |\n| <code>docs</code> | 1 | never measured | 0 | 1 |"
        in text
    )
    assert "the bundle reached a precision of 85%, with a label for 50% of 200 issues." in text
    assert "Left alone:\n\n- 1 issue: a bot opened it\n" in text
    assert "Could not be judged:\n\n- 1 issue: its text says nothing\n" in text
    assert "- 1 label: only people set it" in text
    assert "Issue" not in text


def test_a_share_of_a_few_issues_promises_nothing() -> None:
    """One right of one is no precision of 100%, nor one wrong one of 0%."""
    few = header(promises={"bug": Promise(1.0, 9), "docs": Promise(0.5, 10)})
    text = markdown(few, totals(few, [entry(1, "bug"), entry(2, "docs"), entry(3, "docs")]))
    assert "The precision of 1 label was never measured, or measured on too few issues" in text
    assert "| <code>bug</code> | 1 | 100% right of 9, too few to tell | 0 | 0 |" in text


@pytest.mark.parametrize(
    ("measured", "precision", "share"), [((90, 100), 0.95, 0.85), ((60, 100), 0.95, 0.6), ((0, 0), 0.5, 0.5)]
)
def test_the_lowest_estimate_is_the_headline(
    measured: tuple[int, int], precision: float, share: float
) -> None:
    """Of the labels' own probabilities (0.9 and 0.8 here), what the target reached, and the newest window."""
    of = header(
        right=measured[0],
        measured=measured[1],
        figures={"precision": precision, "coverage": 0.5, "issues": 200.0},
    )
    hoped = expected(of, totals(of, [entry(1, "bug", "docs")]))
    assert hoped is not None
    assert hoped.share == pytest.approx(share)
    assert hoped.low < share < hoped.high
    bare = header(figures={})
    assert expected(bare, totals(bare, [entry(1, "bug")])) is None


def test_a_report_with_hostile_names_stays_a_table() -> None:
    """A label's name is code, whatever it holds."""
    name = "<img src=x>|**b** @all\u202e"
    text = markdown(header(promises={name: Promise(0.5, 2)}), totals(header(), [entry(1, name)]))
    assert "<img" not in text
    assert "@all" not in text


def test_a_journal_goes_on_wherever_it_was_cut_short(tmp_path: Path) -> None:
    """At every byte: whole lines count, the torn one is dropped, and what follows is on a line of its own."""
    path = tmp_path / "journal.jsonl"
    records = [
        JournalRecord(7, "intent", ("bug",), "2026-01-01T00:00:00Z"),
        JournalRecord(7, "done", ("bug",)),
        JournalRecord(8, "skipped"),
    ]
    with journal(path, TASK) as log:
        for record in records:
            log.add(record)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with journal(path, TASK) as log:
            log.add(JournalRecord(9, "skipped"))
        kept = sum(mark <= end for mark in ends)
        rows = [json.loads(text) for text in path.read_text("utf-8").splitlines()]
        assert [row.get("number") for row in rows] == [*[None, 7, 7, 8][: max(1, kept)], 9]


def test_a_journal_knows_what_is_settled_and_what_was_ever_to_be_written(tmp_path: Path) -> None:
    """An intent without an end is not settled, and yet may have been carried out."""
    path = tmp_path / "journal.jsonl"
    with journal(path, TASK) as log:
        log.add(JournalRecord(7, "intent", ("bug",), "2026-01-01T00:00:00Z"))
        log.add(JournalRecord(7, "intent", ("bug",), "2026-01-03T00:00:00Z", ids={"bug": "LA_1"}))
        log.add(JournalRecord(7, "intent", ("defect",), "2026-01-04T00:00:00Z", ids={"defect": "LA_1"}))
        log.add(JournalRecord(8, "failed", why="no"))
        log.add(JournalRecord(9, "done", ("docs",), "2026-01-02T00:00:00Z"))
    found = read_journal(path)
    assert [found.settled(number) for number in (7, 8, 9, 10)] == [False, False, True, False]
    assert found.written == {
        7: {"bug": WrittenLabel("LA_1", "2026-01-01T00:00:00Z")},
        9: {"docs": WrittenLabel("", "2026-01-02T00:00:00Z")},
    }


def test_a_broken_line_of_a_journal_is_named(tmp_path: Path) -> None:
    """It is never taken for a smaller one."""
    path = tmp_path / "journal.jsonl"
    with journal(path, TASK) as log:
        log.add(JournalRecord(7))
    path.write_text(path.read_text("utf-8") + '{"number": 8, "step": "perhaps"}\n', "utf-8")
    with pytest.raises(DataError) as raised, journal(path, TASK):
        pass
    assert raised.value.what.startswith(
        f"{path}, line 3: in 'step': expected one of intent, done, skipped, failed"
    )


@pytest.mark.parametrize(
    "edited",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: "\ufeff" + text.replace("\n", "\r\n").rstrip("\r\n"),
        lambda text: text.replace("\n", "\n\n"),
    ],
)
def test_a_plan_edited_by_hand_is_read_as_the_same_plan(tmp_path: Path, edited: Callable[[str], str]) -> None:
    """Editors on Windows leave a BOM and CRLF, others no last line end; the journal still belongs to it."""
    plan = open_plan(write_plan(tmp_path / "plan.jsonl", ENTRIES))
    plan.path.write_bytes(edited(plan.path.read_text("utf-8")).encode())
    read = open_plan(plan.path)
    assert (read.header, read.digest, list(read.entries())) == (plan.header, plan.digest, ENTRIES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shard", "1/99999999999"),
        ("shard", "1/99999"),
        ("shard", "1/abc"),
        ("shard", "0/4"),
        ("shard", "5/4"),
        ("shard", "٣/٤"),
        ("shard", "1"),
        ("created_at", "yesterday"),
        ("created_at", ""),
        ("created_at", "0001-01-01T00:00:00+23:59"),
    ],
)
def test_a_header_with_a_value_that_cannot_be_is_refused_at_its_field(name: str, value: str) -> None:
    """Before anything is built of it: a list of all shards would take all memory."""
    data = json.loads(line(header())) | {name: value}
    with pytest.raises(DataError, match=f"plan.jsonl, line 1: in '{name}': expected"):
        read_header(json.dumps(data), "plan.jsonl, line 1")


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"number": 117, "step": "done", "labels": ["bug"], "seen": "garbage"}, "seen"),
        ({"number": 117, "step": "done", "seen": "0001-01-01T00:00:00+23:59"}, "seen"),
        ({"number": 0, "step": "done"}, "number"),
        ({"number": 10**400, "step": "done"}, "number"),
    ],
)
def test_a_journal_with_a_value_that_cannot_be_is_refused_at_its_line(
    tmp_path: Path, record: dict[str, object], name: str
) -> None:
    """Before an undo begins."""
    path = tmp_path / "journal.jsonl"
    with journal(path, TASK):
        pass
    path.write_text(path.read_text("utf-8") + json.dumps(record) + "\n", "utf-8")
    with pytest.raises(DataError, match=rf"journal.jsonl, line 2: in '{name}': expected"):
        read_journal(path)
