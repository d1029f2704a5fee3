"""Parts, slices and what goes into them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluating import material
from triage.arrays import Ints, Mask
from triage.config import Config
from triage.decide.case import Attribution
from triage.errors import DataError
from triage.issue import Issue
from triage.learn.dataset import stratify
from triage.study.data import SHARES, DataLimits, divide, load_data, select, sizes, slices, without_labels


def skewed(n: int = 400, labels: int = 12, *, seed: int = 0) -> Mask:
    """Labels from one in two issues to one in fifty."""
    shares = np.geomspace(0.5, 0.02, labels)
    found: Mask = np.random.default_rng(seed).random((n, labels)) < shares
    return found


def astray(targets: Mask, parts: list[Ints]) -> float:
    """How far the labels' counts in the parts are from their shares, over all labels."""
    wanted = np.outer(SHARES, targets.sum(axis=0))
    return float(np.abs(np.array([targets[part].sum(axis=0) for part in parts]) - wanted).sum())


def test_iterative_stratification_keeps_label_shares_better_than_chance() -> None:
    """On each of five random data sets, and by far: less than a third of the deviation of random parts."""
    for seed in range(5):
        targets = skewed(seed=seed)
        order = np.random.default_rng(seed).permutation(len(targets))
        chance = astray(targets, np.split(order, [200, 300]))
        assert astray(targets, stratify(targets, SHARES, seed=seed)) < chance / 3


def test_by_time_every_part_is_newer_than_the_one_before() -> None:
    """Half, a quarter and a quarter, in the order of the dates."""
    found = material(120)
    parts = divide(found.data)
    assert (parts.kind, len(parts.train), len(parts.validation), len(parts.test)) == ("time", 60, 30, 30)
    assert np.concatenate([parts.train, parts.validation, parts.test]).tolist() == list(range(120))
    assert parts.horizon == 60


def test_stratified_parts_are_disjoint_and_hold_every_issue() -> None:
    """Whatever the dates."""
    parts = divide(material(120).data, "stratified")
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together.tolist()) == list(range(120))
    assert parts.horizon is None


def test_undated_issues_cannot_be_split_by_time() -> None:
    """The failure says what to do; without a wish they are stratified."""
    data = material(60).data
    undated = replace(data, issues=[replace(issue, created_at=None) for issue in data.issues])
    with pytest.raises(DataError, match="cannot be split by time"):
        divide(undated, "time")
    assert divide(undated).kind == "stratified"


def test_a_few_undated_issues_are_only_learnt_from() -> None:
    """They come first; their number is told beside the span of the others."""
    found = material(60)
    issues = [*(replace(issue, created_at=None) for issue in found.data.issues[:24]), *found.data.issues[24:]]
    found = replace(found, data=replace(found.data, issues=issues))
    assert divide(found.data).kind == "time"
    about = found.describe()
    assert about["undated"] == 24
    assert about["from"] == f"{issues[24].created_at:%Y-%m-%d}"


@pytest.mark.parametrize("seed", range(3))
def test_each_slice_contains_the_one_before(seed: int) -> None:
    """At exactly the sizes asked for, in the order of time, drawn alike under equal seeds."""
    targets, train = skewed(seed=seed), np.arange(50, 350)
    found = slices(targets, train, sizes(300), seed)
    assert list(found) == [8, 16, 32, 64, 128, 256, 300]
    for size, rows in found.items():
        assert len(set(rows.tolist())) == size
        assert rows.tolist() == sorted(rows.tolist())
    for smaller, larger in zip(found.values(), list(found.values())[1:], strict=False):
        assert set(smaller.tolist()) <= set(larger.tolist())
    assert found[300].tolist() == train.tolist()
    again = slices(targets, train, sizes(300), seed)
    assert all((again[size] == rows).all() for size, rows in found.items())
    other = slices(targets, train, sizes(300), seed + 1)
    assert set(other[8].tolist()) != set(found[8].tolist())


def test_sizes_that_are_given_end_with_everything() -> None:
    """What is larger than everything is everything."""
    assert sizes(100, [10, 50, 5000]) == [10, 50, 100]
    assert sizes(20) == [8, 16, 20]
    assert sizes(20, []) == [20]


def test_what_is_studied_has_labels_that_can_be_judged_by() -> None:
    """Rare labels and repeated texts go, issues without labels are kept apart, and both are counted."""
    issues = list(material(120).data.issues)
    issues.append(Issue("toy/box", 500, "only a rare one", labels=("rare",), created_at=issues[0].created_at))
    issues.append(replace(issues[3], number=501))
    issues += [
        Issue("toy/box", 600 + i, f"nobody looked {i}", created_at=issues[0].created_at) for i in range(5)
    ]
    data, known, dropped = select(issues, Config(), Attribution(), DataLimits(least=20))
    assert (len(data), list(data.names)) == (120, ["bug", "feature", "question"])
    assert [issue.number for issue in without_labels(issues, known, 3, None)] == [602, 603, 604]
    assert dropped["with rare labels alone"] == 1
    assert dropped["repeated texts"] == 1
    newest, _, dropped = select(issues, Config(), Attribution(), DataLimits(least=5, issues=50))
    assert [issue.number for issue in newest.issues][-1] in {120, 501}
    assert (len(newest), dropped["older than the newest asked for"]) == (50, 70)


def test_too_few_issues_are_refused() -> None:
    """With how many there are and how many it takes."""
    with pytest.raises(DataError, match="30 labelled issues are left to study"):
        select(material(30).data.issues, Config(), Attribution(), DataLimits(least=2))


def test_unlabelled_issues_are_older_than_what_is_chosen_and_judged_on() -> None:
    """The newest of those before the validation part, where issues are split by time; the newest of all where not."""
    labelled = material(120).data.issues
    quiet = [
        Issue("toy/box", 200 + i, f"quiet {i}", created_at=one.created_at) for i, one in enumerate(labelled)
    ]

    def study(split: str | None) -> list[int]:
        limits = DataLimits(least=5, unlabelled=10)
        found = load_data(
            [*labelled, *quiet],
            Config(),
            Attribution(),
            limits,
            lambda i: np.zeros((len(i), 4), np.float32),
            split,
        )
        return [issue.number for issue in found.unlabelled]

    assert study(None) == list(range(250, 260))
    assert study("stratified") == list(range(310, 320))
