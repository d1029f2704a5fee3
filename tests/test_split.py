"""Windows to learn from, tune on and judge on: by time, or with every label's share kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.arrays import Mask
from triage.config import Config, from_dict
from triage.decide.case import Attribution
from triage.errors import DataError
from triage.issue import Issue, LabelEvent
from triage.learn.dataset import FOLDS, Dataset, Split, _thinned, prepare, split, stratify
from triage.reports.bundle_report import divided

START = datetime(2024, 1, 1, tzinfo=UTC)


def issue(number: int, *labels: str, day: int | None = 0, title: str = "") -> Issue:
    """An issue with a text of its own unless a title is given."""
    at = None if day is None else START + timedelta(days=day)
    return Issue("o/r", number, title or f"title {number}", created_at=at, labels=labels or ("bug",))


def dataset(days: Sequence[int | None]) -> Dataset:
    """Prepared issues, one for each day."""
    return prepare([issue(n, day=day) for n, day in enumerate(days, start=1)], Config())


def covered(windows: Split) -> list[int]:
    """The rows of every query, in order."""
    return [int(row) for fold in (*windows.tune, windows.test) for row in fold.query]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=120))
def test_by_time_nothing_is_known_that_is_newer_than_a_query(days: list[int]) -> None:
    """Whatever the dates, a row to predict is never older than a row it is predicted from, and never one of them."""
    data = dataset(days)
    windows = split(data, None)
    assert windows.kind == "time"
    for fold in (*windows.tune, windows.test):
        times = [data.issues[int(i)].created_at or START for i in (*fold.known, *fold.query)]
        assert times == sorted(times)
        assert set(fold.known.tolist()).isdisjoint(fold.query.tolist())
    rows = covered(windows)
    assert rows == sorted(set(rows))
    assert windows.test.known.tolist() == list(range(len(data) - len(windows.test.query)))


def test_the_windows_by_time_are_described() -> None:
    """The manifest tells the sizes of the windows and the dates at which they begin."""
    data = dataset(list(range(50)))
    assert split(data, "time").describe(data) == {
        "kind": "time",
        "seed": "0",
        "train": "20",
        "tune": "20",
        "test": "10",
        "tune_from": "2024-01-21 00:00:00+00:00",
        "test_from": "2024-02-10 00:00:00+00:00",
    }


@given(st.lists(st.none() | st.integers(0, 40), min_size=1, max_size=60))
def test_a_row_without_a_date_counts_as_the_oldest(days: list[int | None]) -> None:
    """It is learnt from, and never judged or tuned on; only where too many lack dates, nothing is split by time."""
    data = dataset(days)
    windows = split(data, None)
    if data.undated > 0.4 * len(data):
        assert windows.kind == "stratified"
    else:
        assert windows.kind == "time"
        assert None not in [data.issues[row].created_at for row in covered(windows)]


def test_what_became_of_rows_without_a_date_is_said() -> None:
    """Also in the report."""
    described = split(dataset([*range(49), None]), "time").describe(dataset([*range(49), None]))
    assert (described["undated"], described["tune_from"][:10]) == ("1", "2024-01-20")
    assert divided(described).startswith(
        "by time (1 without a date, taken as the oldest): 20 to learn from, "
    )


def test_rows_without_dates_are_split_by_labels() -> None:
    """Where dates are missing the split is stratified, and says so; every row is judged on or tuned on once."""
    data = dataset([None] * 50)
    windows = split(data, None)
    assert windows.describe(data) == {
        "kind": "stratified",
        "seed": "0",
        "train": "0",
        "tune": "40",
        "test": "10",
        "undated": "50",
    }
    assert divided(windows.describe(data)).startswith("stratified (50 without a date): ")
    assert sorted(covered(windows)) == list(range(50))
    for fold in windows.tune:
        assert set(fold.known.tolist()).isdisjoint([*fold.query.tolist(), *windows.test.query.tolist()])


def test_a_split_by_time_needs_dates() -> None:
    """Asked to split by time, rows without dates are refused rather than put in some order."""
    data = prepare([issue(1), issue(2, day=None), issue(3, day=None)], Config())
    with pytest.raises(DataError) as refused:
        split(data, "time")
    assert str(refused.value).split("\n") == [
        "2 of 3 issues have no `created_at`, so they cannot be split by time",
        "  likely cause: the file was written without dates",
        "  next step: add the dates, or pass --split stratified",
    ]


def targets(rows: int, labels: int, seed: int) -> Mask:
    """Random labels, each half as frequent as the one before."""
    rng = np.random.default_rng(seed)
    return rng.random((rows, labels)) < 0.5 ** np.arange(1, labels + 1)


@given(st.integers(0, 60), st.integers(1, 5), st.integers(0, 1000))
def test_stratified_parts_share_out_all_rows(rows: int, labels: int, seed: int) -> None:
    """The parts are disjoint, cover every row, have about their share of rows, and are the same every time."""
    truth = targets(rows, labels, seed)
    parts = stratify(truth, [0.5, 0.3, 0.2], seed=1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))
    again = stratify(truth, [0.5, 0.3, 0.2], seed=1)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def unevenness(truth: Mask, parts: list[np.ndarray[tuple[int], np.dtype[np.int64]]]) -> float:
    """How far the labels' shares lie from equal ones, in parts of each label."""
    shares = np.array([truth[part].sum(axis=0) for part in parts]) / truth.sum(axis=0)
    return float(np.abs(shares - 1 / len(parts)).mean())


def test_stratified_parts_keep_every_labels_share() -> None:
    """Labels, rare ones above all, are shared out more evenly than by chance, under any seed tried."""
    for seed in range(10):
        truth = targets(400, 6, seed)
        truth[:10, 5] = True
        rows = np.random.default_rng(seed).permutation(len(truth))
        at_random = unevenness(truth, np.array_split(rows, FOLDS))
        stratified = unevenness(truth, stratify(truth, [1 / FOLDS] * FOLDS, seed=seed))
        assert stratified < at_random / 2


@pytest.mark.parametrize("day", [0, None])
def test_one_issue_is_enough_to_be_split(day: int | None) -> None:
    """With a single row there is nothing to tune on, and still a split."""
    windows = split(prepare([issue(1, day=day)], Config()), None)
    assert sum(len(fold.query) for fold in windows.tune) + len(windows.test.query) == 1


def test_what_is_learnt_from_is_filtered_and_ordered() -> None:
    """Pull requests, process labels and unlabelled issues go; of equal texts the newest stays; oldest first."""
    pull = Issue("o/r", 9, "pull", created_at=START, labels=("bug",), kind="pull request")
    data = prepare(
        [
            issue(1, "web", "bug", "stale", day=5),
            issue(2, "stale", day=1),
            issue(3, "old", day=2, title="same"),
            issue(4, "new", day=9, title="same"),
            issue(5, "cli", day=3),
            pull,
        ],
        Config(),
    )
    assert [(i.number, i.labels) for i in data.issues] == [(5, ("cli",)), (1, ("bug", "web")), (4, ("new",))]
    assert list(data.names) == ["bug", "cli", "new", "web"]
    assert data.targets.tolist() == [[0, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]]
    assert data.dropped == {"pull requests": 1, "without a label to learn": 1, "repeated texts": 1}
    talk = Issue("o/r", 10, "talk", labels=("bug",), kind="discussion")
    assert prepare([issue(1, "bug", day=1), talk], Config()).dropped == {"discussions": 1}
    with_pulls = prepare([pull], from_dict({"learn": {"pull_requests": True}}))
    assert with_pulls.keys([0]) == [("o/r", 9)]


def by(actor: str, label: str) -> LabelEvent:
    """A label that somebody set a day after the start."""
    return LabelEvent(label, True, actor, actor.endswith("[bot]"), START + timedelta(days=1))


def test_issues_without_a_label_to_learn_stay_known() -> None:
    """Oldest first, of all dates; a person who set a label that is not learnt has dealt with the issue, a bot not."""
    quiet = [replace(issue(n, day=n, title=f"quiet {n}"), labels=()) for n in range(5)]
    given = [
        issue(10, "bug", day=3),
        replace(quiet[4], handled=True),
        replace(quiet[1], labels=("stale",), handled=False, events=(by("stale[bot]", "stale"),)),
        replace(quiet[2], labels=("stale",), handled=False, events=(by("ann", "stale"),)),
        replace(quiet[3], labels=("bug",), events=(by("other[bot]", "bug"),)),
        quiet[0],
        replace(quiet[0], number=11, title="title 10"),
    ]
    data = prepare(given, Config())
    assert [(i.number, i.labels, i.handled) for i in data.unlabelled] == [
        (0, (), None),
        (1, (), False),
        (2, (), True),
        (4, (), True),
    ]
    assert [i.number for i in data.issues] == [10]


@pytest.mark.parametrize(
    ("handlers", "handled"),
    [
        ((), True),
        (("acme-sweeper",), False),
        (("Acme-Sweeper", "me"), False),
        (("acme-sweeper", "ann"), True),
        (("acme-sweeper", "ghost"), True),
        (("acme-relay",), True),
    ],
)
def test_what_bots_alone_dealt_with_nobody_did(handlers: tuple[str, ...], handled: bool) -> None:
    """Accounts named in `learn.bots`, and this bot's; an account that is not known is a person's."""
    quiet = replace(issue(1, day=1), labels=(), handled=True, handled_by=handlers)
    config = from_dict({"learn": {"bots": ["acme-*"], "trusted_bots": ["acme-relay"]}})
    data = prepare([issue(10, "bug", day=3), quiet], config, Attribution.of(config, ["me"]))
    assert [i.handled for i in data.unlabelled] == [handled]


def test_of_many_unlabelled_issues_a_week_later_almost_the_same_are_drawn() -> None:
    """So that their vectors are kept; every time keeps about its share, and the order stays."""
    issues = [Issue("octo/demo", i + 1, f"Title {i}") for i in range(1_050)]
    assert _thinned(issues[:7], 7) == issues[:7]
    before, after = _thinned(issues[:1_000], 400), _thinned(issues, 420)
    assert (len(before), len(after)) == (400, 420)
    assert [i.number for i in after] == sorted(i.number for i in after)
    drawn = {issue.number for issue in before}
    assert sum(issue.number not in drawn for issue in after) <= 50
    assert 160 < sum(issue.number <= 500 for issue in before) < 240


def test_near_copies_by_one_author_vote_once() -> None:
    """The newest stays, with a label rather than without; numbers, case and a few words make no difference.

    Copies by others and other texts count.
    """
    body = (
        "The upload to the bucket stops after about forty percent and never goes on, whatever I do, on Linux."
    )

    def told(number: int, author: str, text: str = body) -> Issue:
        return replace(issue(number, "bug", day=number), author=author, title="Upload stops", body=text)

    given = [
        told(1, "ann", f"{body} Build 1."),
        told(2, "Ann", f"{body} Build 2."),
        told(3, "ann", body.upper()),
        told(
            4, "ann", "Please add a dark mode to the settings, and let me choose the hours in which it is on."
        ),
        told(5, "ben", f"{body} Build 5."),
        told(6, "", f"{body} Build 6."),
        told(7, "", f"{body} Build 7."),
    ]
    data = prepare(given, Config())
    assert [i.number for i in data.issues] == [3, 4, 5, 6, 7]
    assert data.dropped == {"near copies by one author": 2}
    quiet = [replace(told(n, who), labels=()) for n, who in ((8, "ann"), (9, "zoe"), (10, "zoe"))]
    quiet = [replace(one, body=f"{one.body} Build {one.number}.") for one in quiet]
    assert [i.number for i in prepare([*given, *quiet], Config()).unlabelled] == [10]


def test_labels_of_bots_that_are_not_learnt_anyway_take_no_issue_out() -> None:
    """An ignored label, one of bots alone, and the abstain label, which is not learnt from anybody."""
    config = from_dict({"labels": {"abstain": "unsure"}})
    given = [
        replace(
            issue(n, "bug", name, day=n),
            title=f"title {n}",
            events=(by("ann", "bug"), by(actor, name)),
        )
        for n, (actor, name) in enumerate(
            [("x[bot]", "stale")] + [("x[bot]", "unsure"), ("ann", "unsure")] + [("x[bot]", "rot")] * 10
        )
    ]
    given.append(
        replace(
            issue(20, "bug", day=20), labels=("bug", "web"), events=(by("ann", "bug"), by("x[bot]", "web"))
        )
    )
    data = prepare(given, config)
    assert [(i.number, i.labels) for i in data.issues] == [(n, ("bug",)) for n in range(13)]
    assert data.process == {"rot": "bots set or removed it 10 of 10 times"}
    assert data.dropped == {"with a bot's label that no person confirmed": 1}


@pytest.mark.parametrize(
    ("given", "likely"),
    [
        ([], "there are no issues, or people only removed labels from them"),
        ([issue(1, "stale")], "of the issues, these were left out: 1 without a label to learn"),
        (
            [
                replace(
                    issue(n, "bug"),
                    title=f"title {n}",
                    author="ann",
                    events=(LabelEvent("bug", True, a, b, START),),
                )
                for n, (a, b) in enumerate([("ann", False), ("ann", False), ("x[bot]", True)])
            ],
            "of the issues, these were left out: 2 with labels of an issue form only, "
            "1 with a bot's label that no person confirmed",
        ),
    ],
)
def test_where_nothing_is_left_to_learn_the_reasons_are_told(given: list[Issue], likely: str) -> None:
    """Whoever labels while opening does not read that there are no labels."""
    with pytest.raises(DataError) as refused:
        prepare(given, Config())
    assert refused.value.likely == likely


def test_nothing_left_to_learn_from_is_refused() -> None:
    """Without one labelled issue there is no data set."""
    with pytest.raises(DataError) as refused:
        prepare([issue(1, "stale")], Config())
    assert refused.value.what == "no labelled issue is left to learn from"
