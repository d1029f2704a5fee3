"""Before anything is learnt: few labels by their descriptions, and only those that stand out from all others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sample import Trained
from triage.bundle.model import untaught_rule
from triage.bundle.open import open_serving
from triage.config import PEOPLE_ONLY, PROCESS, Config, LabelsConfig, VoteConfig, ZeroShotConfig
from triage.decide import Decision, Evidence, Policy, Recorded, Rules, case_of, decide
from triage.decide.rules import COMMON, RAREST, LabelRule, contrast, rarity, zero_shot_scores
from triage.issue import Issue, matches
from triage.text import names_kind

pytestmark = pytest.mark.real_models

# GitHub's labels of a new repository.
DEFAULTS = {
    "bug": "Something isn't working",
    "documentation": "Improvements or additions to documentation",
    "duplicate": "This issue or pull request already exists",
    "enhancement": "New feature or request",
    "good first issue": "Good for newcomers",
    "help wanted": "Extra attention is needed",
    "invalid": "This doesn't seem right",
    "question": "Further information is requested",
    "wontfix": "This will not be worked on",
}
PLAIN = {
    "bug": "Crash when saving\nThe application crashes with a segmentation fault whenever I save a file.",
    "enhancement": "Add a dark theme\nIt would be nice to have a dark theme, please add an option for it.",
    "documentation": "Typo in the README\nThe documentation of the install command has a typo in its first example.",
    "question": "How do I change the port?\nHow can I configure which port the server listens on?",
}
AREAS = (
    *(
        "auth",
        "billing",
        "search",
        "upload",
        "download",
        "parser",
        "renderer",
        "cache",
        "queue",
        "scheduler",
        "network",
    ),
    *(
        "storage",
        "database",
        "migrations",
        "i18n",
        "mobile",
        "desktop",
        "web",
        "cli",
        "sdk",
        "installer",
        "packaging",
    ),
    *("plugins", "themes", "editor", "terminal", "debugger", "profiler", "tracing", "metrics"),
)


@dataclass(frozen=True)
class Scale:
    """What the rule takes from a zero-shot model."""

    slope: float = 1.0
    intercept: float = 0.0


def first_day(raw: Mapping[str, float], config: Config | None = None) -> Decision:
    """The decision on an issue with these log-odds of its labels."""
    config = config or Config()
    rule = untaught_rule(config.zero_shot, Scale())  # type: ignore[arg-type]
    issue = Issue("o/r", 1, "Lost in space")
    model = Recorded(Rules(zero_shot=rule), {issue.key: Evidence(issue.key, zero_shot=raw)})
    return next(decide([case_of(issue)], model, Policy.of(config)))


def test_a_label_must_stand_out_from_all_others() -> None:
    """The same score sets a label that nothing rivals, and none of many that are as close."""
    assert first_day({"a": 5.0, "b": -3.0, "c": -3.0}).labels == ("a",)
    assert first_day({f"area {i}": 5.0 for i in range(20)}).labels == ()
    assert first_day({"a": -4.0, "b": -9.0, "c": -9.0}).labels == ()


def test_a_label_must_reach_the_precision_target() -> None:
    """0.8 where the configuration has none; a label that does not is held back with its probability."""
    close = {"a": 0.5, "b": -3.0, "c": -3.0}
    decision = first_day(close)
    assert 0.5 < decision.scores["a"] < 0.7
    assert decision.labels == ()
    assert "below 0.80, which its precision target needs" in decision.held_back["a"]
    assert first_day(close, Config(vote=VoteConfig(precision_target=0.5))).labels == ("a",)
    assert first_day(close, Config(labels=LabelsConfig(targets={"a": 0.5}))).labels == ("a",)
    strict = VoteConfig(precision_target=0.99)
    assert first_day({"a": 4.0, "b": -3.0, "c": -3.0}, Config(vote=strict)).labels == ()


def test_at_most_two_labels_are_set() -> None:
    """Unless the configuration says how many."""
    rivals = {"a": 9.0, "b": 9.0, "c": 9.0, "d": -9.0}
    lenient = ZeroShotConfig(threshold=0.0)
    assert len(first_day(rivals, Config(zero_shot=lenient)).sources) == 2
    assert len(first_day(rivals, Config(zero_shot=ZeroShotConfig(threshold=0.0, top_k=3))).sources) == 3


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=30), st.floats(-30, 30))
def test_one_more_rival_never_makes_a_label_likelier(scores: list[float], rival: float) -> None:
    """However many labels are described; a higher score of the label itself does."""
    rule = untaught_rule(ZeroShotConfig(), Scale())  # type: ignore[arg-type]
    alone = contrast(rule, np.array(scores), np.ones(len(scores), dtype=bool))
    among = contrast(rule, np.array([*scores, rival]), np.ones(len(scores) + 1, dtype=bool))
    assert (among[:-1] <= alone + 1e-6).all()
    assert np.isfinite(among).all()
    raised = contrast(rule, np.array([scores[0] + 1, *scores[1:]]), np.ones(len(scores), dtype=bool))
    assert raised[0] >= alone[0] - 1e-6


def test_what_else_is_asked_changes_no_score_of_a_rare_label() -> None:
    """Labels with examples are asked for only where the vote is silent, so rare ones are compared with each other."""
    rule = untaught_rule(ZeroShotConfig(), Scale())  # type: ignore[arg-type]
    rules = Rules(labels=(LabelRule("bug", 50, 0.5, 1.0), LabelRule("web", 3, 0.1, None)), zero_shot=rule)
    apart = zero_shot_scores(rules, {"web": 1.0, "new": 0.0})
    both = zero_shot_scores(rules, {"web": 1.0, "new": 0.0, "bug": 9.0})
    assert {name: both[name] for name in apart} == pytest.approx(apart)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_the_first_labelled_issues_make_no_label_common(count: int) -> None:
    """Whoever labels a few bugs first does not find `bug` on everything, nor everything else unlikely."""
    rule = untaught_rule(ZeroShotConfig(), Scale())  # type: ignore[arg-type]
    raw = {"bug": -2.0, "question": 1.0}
    before = zero_shot_scores(Rules(zero_shot=rule), raw)
    labels = (LabelRule("bug", count, 1.0, None),)
    after = zero_shot_scores(Rules(labels=labels, zero_shot=rule), raw)
    assert before["bug"] == after["bug"]
    assert after["question"] > 0.8 * before["question"]


def test_many_labelled_issues_tell_how_common_a_label_is() -> None:
    """What was assumed before is a small part of them."""
    labels = (LabelRule("bug", 1800, 0.9, 1.0), LabelRule("web", 400, 0.2, 1.0))
    rules = Rules(labels=labels)
    odds = [math.log(prior / (1 - prior)) - math.log(COMMON / (1 - COMMON)) for prior in (0.9, 0.2, RAREST)]
    assert [rarity(rules, name) for name in ("bug", "web", "new")] == pytest.approx(odds, abs=0.1)


@pytest.mark.parametrize(
    "name", ["bug", "Bug", "kind/bug", "type: bug", "C-bug", "🐛 bug", "kind/feature", "Docs"]
)
def test_labels_that_name_a_kind_are_known_by_their_names(name: str) -> None:
    """However a project sorts and decorates them."""
    assert names_kind(name)


@pytest.mark.parametrize("name", ["not a bug", "bug hunt", "area: docs site", "sig/network", "kind", "web"])
def test_other_labels_name_no_kind(name: str) -> None:
    """A word in a longer name is not enough."""
    assert not names_kind(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "duplicate",
            "Duplicate",
            "kind/duplicate",
            "resolution: duplicate",
            "wontfix",
            "Won't fix",
            "wont-fix",
        ),
        *(
            "status: wontfix",
            "invalid",
            "type: invalid",
            "good first issue",
            "Good First Issue",
            "good-first-issue",
        ),
        *(
            "good first issue :tada:",
            "help wanted",
            "help-wanted",
            "Status: Help Wanted",
            "E-help-wanted",
            "spam",
            ":raised_hand: Up for Grabs",
            "up-for-grabs",
            "Contributions welcome",
            "contribution-welcome",
        ),
    ],
)
def test_what_only_people_decide_is_never_set(name: str) -> None:
    """Under the names that projects give it."""
    assert matches(name, PEOPLE_ONLY)


@pytest.mark.parametrize(
    "name", ["bug", "invalid data", "area: duplicates finder", "helpers", "first issue wizard"]
)
def test_labels_of_a_subject_are_no_decisions(name: str) -> None:
    """Names that only sound alike stay settable."""
    assert not matches(name, PEOPLE_ONLY)


@pytest.mark.parametrize(
    "name",
    [
        "Stale",
        "never-stale",
        "inactive",
        "no-issue-activity",
        "no-recent-activity",
        "📌 Pinned",
        "📍 Assigned",
        "needs-triage",
        "need repro",
        "triaged",
        "awaiting: user response",
        "pending clarification",
        "blocked",
        "on hold",
        "work in progress",
        "state: confirmed",
        "status/waiting",
    ],
)
def test_labels_for_the_state_of_an_issue_are_not_learnt(name: str) -> None:
    """Under the names that projects give it, with a picture or a prefix too."""
    assert matches(name, PROCESS)


@pytest.mark.parametrize(
    "name",
    ["bug", "progress bar", "area: activity", "note-editor-activity", "hold-to-record", "statement", "pins"],
)
def test_labels_of_a_subject_are_no_states(name: str) -> None:
    """Names that only sound alike are learnt."""
    assert not matches(name, PROCESS)


def test_githubs_default_labels_are_right_without_any_setting() -> None:
    """The best of them is the right one on plain issues, and those that people decide are not even asked for."""
    model = open_serving(Config(labels=LabelsConfig(descriptions=DEFAULTS)), None)
    assert set(model.labels) == {"bug", "documentation", "enhancement", "question"}
    assert model.labels == open_serving(Config(), None, described=DEFAULTS).labels
    issues = [Issue("o/r", n, *text.split("\n")) for n, text in enumerate(PLAIN.values(), start=1)]
    decisions = list(decide(map(case_of, issues), model, Policy()))
    assert [max(d.scores, key=lambda name: d.scores[name]) for d in decisions] == list(PLAIN)
    assert all(set(d.labels) <= {name} for d, name in zip(decisions, PLAIN, strict=True))
    assert sum(map(len, (d.labels for d in decisions))) >= 2


def test_what_is_never_set_is_not_asked_about_where_it_was_learnt(trained: Trained) -> None:
    """A rare label that the policy bars would rival those that it allows."""
    config = Config(labels=LabelsConfig(deny=("packaging",)))
    rare = {"security", "accessibility", "packaging"}
    model = open_serving(config, trained.store)
    assert set(model.rules.rare) == rare
    [found] = model.evidence([Issue("o/r", 5001, *PLAIN["bug"].split("\n"))])
    assert rare & set(found.zero_shot) == rare - {"packaging"}


def test_many_described_areas_set_hardly_any_label() -> None:
    """On issues about none of them in particular."""
    areas = {f"area/{name}": f"Issues about {name}" for name in AREAS}
    model = open_serving(Config(labels=LabelsConfig(descriptions=areas)), None)
    issues = [Issue("o/r", n, *text.split("\n")) for n, text in enumerate(PLAIN.values(), start=1)]
    assert [d.labels for d in decide(map(case_of, issues), model, Policy())] == [()] * len(issues)
