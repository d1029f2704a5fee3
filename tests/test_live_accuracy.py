"""What became of the bot's labels, and how far new issues are from those learnt from."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tests.test_provenance import OPENED, SAMPLE, US, event, issue
from triage.issue import LabelEvent
from triage.learn.provenance import LiveAccuracy, live_accuracy, with_present_names
from triage.learn.retrain import Drift, drift
from triage.sources.issue_file import read_issues

ME = "triage[bot]"


def mine(change: str, seconds: int = 6) -> LabelEvent:
    return event(change, ME, seconds, bot=True)


@pytest.mark.parametrize(
    ("history", "labels", "expected"),
    [
        ([mine("+bug")], "bug", {"bug": LiveAccuracy(set=1, kept=1)}),
        ([mine("+bug"), event("-bug")], "", {"bug": LiveAccuracy(set=1, removed=1)}),
        (
            [mine("+bug"), event("-bug"), event("+bug", "ben", 7200)],
            "bug",
            {"bug": LiveAccuracy(set=1, kept=1)},
        ),
        ([mine("+bug"), event("-bug", "stale[bot]", bot=True)], "", {"bug": LiveAccuracy(set=1)}),
        (
            [mine("+bug"), event("+docs")],
            "bug docs",
            {"bug": LiveAccuracy(set=1, kept=1), "docs": LiveAccuracy(missed=1)},
        ),
        # Set by another bot, by the form, before the bot looked, or taken back: not missed.
        (
            [mine("+bug"), event("+docs", "x[bot]", bot=True)],
            "bug docs",
            {"bug": LiveAccuracy(set=1, kept=1)},
        ),
        ([event("+docs", "reporter", 0), mine("+bug")], "bug docs", {"bug": LiveAccuracy(set=1, kept=1)}),
        ([event("+docs", "ann", 3), mine("+bug")], "bug docs", {"bug": LiveAccuracy(set=1, kept=1)}),
        (
            [mine("+bug"), event("+docs"), event("-docs", "ann", 7200)],
            "bug",
            {"bug": LiveAccuracy(set=1, kept=1)},
        ),
        # The bot never looked.
        ([event("+docs")], "docs", {}),
    ],
)
def test_each_label_of_an_issue_has_one_fate(
    history: list[LabelEvent], labels: str, expected: dict[str, LiveAccuracy]
) -> None:
    """Kept, removed by a person, or missed."""
    assert live_accuracy([issue(*history, labels=labels)], US) == expected


def test_an_issue_on_which_nothing_was_set_counts_where_it_is_known() -> None:
    """The bot abstained, and a person labelled it later."""
    silent = issue(event("+docs"), labels="docs")
    assert live_accuracy([silent], US, looked_at={silent.key}) == {"docs": LiveAccuracy(missed=1)}


def test_only_what_the_bot_did_in_the_window_counts() -> None:
    """An issue that it labelled before is left out, whatever happens to it now."""
    issues = [
        issue(mine("+bug", 10), event("-bug", seconds=9000), number=1),
        issue(mine("+bug", 5000), event("-bug", seconds=9000), number=2),
    ]
    found = live_accuracy(issues, US, since=OPENED + timedelta(seconds=5000))
    assert found == {"bug": LiveAccuracy(set=1, removed=1)}


def test_the_samples_live_accuracy_adds_up() -> None:
    """Counted by hand over the forty histories."""
    found = live_accuracy(with_present_names(read_issues(SAMPLE)), US)
    assert found == {
        "area: cli": LiveAccuracy(set=1, kept=1),
        "area: storage": LiveAccuracy(set=2, kept=2, missed=2),
        "area: sync": LiveAccuracy(set=3, kept=2, removed=1, missed=1),
        "area: web": LiveAccuracy(set=1, removed=1, missed=1),
        "bug": LiveAccuracy(set=3, kept=2, removed=1),
        "documentation": LiveAccuracy(set=1, kept=1, missed=1),
        "enhancement": LiveAccuracy(set=2, removed=2),
        "performance": LiveAccuracy(missed=3),
        "question": LiveAccuracy(set=1, removed=1),
        "security": LiveAccuracy(missed=2),
        "stale": LiveAccuracy(set=3, kept=3),
    }


def test_drift_is_the_share_without_a_close_neighbour() -> None:
    """Below the floor, or without any neighbour; at the floor is close enough."""
    assert drift(np.array([0.9, 0.5, 0.49, np.nan]), 0.5) == Drift(share=0.5, issues=4, floor=0.5)
    assert drift(np.array([]), 0.5) == Drift(share=0.0, issues=0, floor=0.5)
