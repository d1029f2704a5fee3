"""The laws of deciding, as properties."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.bundle.bundle import Bundle
from triage.bundle.local_store import LocalStore
from triage.bundle.model import ServingModel
from triage.bundle.open import open_serving
from triage.config import Config
from triage.decide import Case, Decision, Evidence, Neighbour, Policy, Recorded, Rules, case_of, decide
from triage.decide.rules import (
    LabelRule,
    ZeroShotRule,
    elect,
    elect_by_vote,
    gather,
    likely_enough,
    vote_scores,
)
from triage.issue import Issue, Names, fold
from triage.text import NOTHING

pytestmark = pytest.mark.real_models

NAMES = ("bug", "docs", "web")
LABELS = st.lists(st.sampled_from(NAMES), unique=True).map(tuple)
COSINES = st.floats(-1, 1, width=32)
VOTES = st.none() | st.floats(0, 12)
RULES = st.builds(
    Rules,
    k=st.integers(1, 12),
    weighting=st.sampled_from(("uniform", "similarity")),
    labels=st.tuples(
        *(
            st.builds(LabelRule, st.just(n), st.just(50), st.just(0.2), VOTES, enough=st.floats(0, 0.6))
            for n in NAMES
        )
    ),
)
POLICIES = st.builds(
    Policy,
    allow=st.lists(st.sampled_from((*NAMES, "*", "b?g"))).map(tuple),
    deny=st.lists(st.sampled_from((*NAMES, "w*"))).map(tuple),
    exclusive=st.lists(st.lists(st.sampled_from(NAMES))),
    most=st.integers(1, 4),
)


@st.composite
def neighbourhoods(draw: st.DrawFn) -> tuple[Neighbour, ...]:
    """Neighbours in falling similarity."""
    similarities = sorted(draw(st.lists(COSINES, max_size=15)), reverse=True)
    return tuple(Neighbour("o/r", i, s, draw(LABELS)) for i, s in enumerate(similarities, start=1))


ZERO_SHOT = st.dictionaries(st.sampled_from((*NAMES, "new")), COSINES)


def decision(
    rules: Rules, near: tuple[Neighbour, ...], zero_shot: dict[str, float], policy: Policy
) -> Decision:
    """The decision on an issue with this evidence."""
    issue = Issue("o/r", 99, "Lost in space")
    evidence = replace(gather(rules, issue.key, near), zero_shot=zero_shot)
    return next(decide([case_of(issue)], Recorded(rules, {issue.key: evidence}), policy))


@given(RULES, neighbourhoods(), st.floats(0, 5), st.floats(0, 1))
def test_raising_the_votes_or_what_is_enough_never_adds_a_label(
    rules: Rules, near: tuple[Neighbour, ...], more: float, higher: float
) -> None:
    """A stricter m or threshold elects a subset of what was elected by vote."""
    counted = gather(rules, ("o/r", 99), near).votes
    before = set(elect_by_vote(rules, counted))
    needs = tuple(replace(r, votes=None if r.votes is None else r.votes + more) for r in rules.labels)
    assert set(elect_by_vote(replace(rules, labels=needs), counted)) <= before
    evidence = gather(rules, ("o/r", 99), near)
    scores = vote_scores(rules, evidence)
    stricter = replace(rules, labels=tuple(replace(r, enough=r.enough + higher) for r in rules.labels))
    assert (
        set(likely_enough(stricter, evidence, scores))
        <= set(likely_enough(rules, evidence, scores))
        <= before
    )


def test_raising_the_votes_may_wake_zero_shot() -> None:
    """It is no law of the whole decision: with fewer elected by vote, zero-shot may set another label."""
    near = (Neighbour("o/r", 1, 0.9, ("bug",)),)
    lax = Rules(
        k=1,
        labels=(LabelRule("bug", 50, 0.2, 1.0), LabelRule("docs", 50, 0.2, 1.0)),
        zero_shot=ZeroShotRule(1.0, 0.0, 0.5, 0.5),
    )
    strict = replace(lax, labels=tuple(replace(rule, votes=2.0) for rule in lax.labels))
    evidence = replace(gather(lax, ("o/r", 99), near), zero_shot={"docs": 5.0})
    assert elect(lax, evidence)[0] == {"bug": "neighbours"}
    assert elect(strict, evidence)[0] == {"docs": "zero-shot"}


@given(RULES, neighbourhoods(), ZERO_SHOT, POLICIES, POLICIES)
def test_policy_changes_labels_and_never_scores(
    rules: Rules, near: tuple[Neighbour, ...], zero_shot: dict[str, float], one: Policy, other: Policy
) -> None:
    """Two policies give the same scores and sources of the same evidence; each label is set or held back."""
    a, b = (decision(rules, near, zero_shot, policy) for policy in (one, other))
    assert (a.scores, a.sources, a.votes) == (b.scores, b.sources, b.votes)
    assert {*a.labels, *a.held_back} == {*b.labels, *b.held_back} == set(a.sources)
    assert all(0 <= score <= 1 for score in a.scores.values())
    assert set(a.scores) == {*NAMES} | {*zero_shot}


@given(RULES, neighbourhoods(), ZERO_SHOT, POLICIES)
def test_deciding_twice_decides_the_same(
    rules: Rules, near: tuple[Neighbour, ...], zero_shot: dict[str, float], policy: Policy
) -> None:
    """The same evidence under the same rules gives the same decision."""
    assert decision(rules, near, zero_shot, policy) == decision(rules, near, zero_shot, policy)


CASES = st.lists(st.sampled_from((str.lower, str.upper, str.title)), min_size=60, max_size=60)


@given(RULES, neighbourhoods(), ZERO_SHOT, POLICIES, LABELS, LABELS, CASES)
def test_a_decision_does_not_depend_on_the_letter_case_of_labels(
    rules: Rules,
    near: tuple[Neighbour, ...],
    zero_shot: dict[str, float],
    policy: Policy,
    carried: tuple[str, ...],
    barred: tuple[str, ...],
    cases: list[Callable[[str], str]],
) -> None:
    """Wherever a name stands: neighbours, policy, and the labels that the issue carries or must not get."""
    respell = iter(cases * 9)

    def respelt(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(next(respell)(name) for name in names)

    def decided(
        near: tuple[Neighbour, ...], policy: Policy, carried: Sequence[str], barred: Sequence[str]
    ) -> Decision:
        evidence = replace(gather(rules, ("o/r", 99), near), zero_shot=zero_shot)
        case = Case(Issue("o/r", 99, "x"), tuple(carried), Names(dict.fromkeys(barred, "barred")))
        return next(decide([case], Recorded(rules, {("o/r", 99): evidence}), policy))

    one = decided(near, policy, carried, barred)
    other = decided(
        tuple(replace(neighbour, labels=respelt(neighbour.labels)) for neighbour in near),
        replace(
            policy,
            allow=respelt(policy.allow),
            deny=respelt(policy.deny),
            exclusive=[respelt(group) for group in policy.exclusive],
        ),
        respelt(carried),
        respelt(barred),
    )
    assert (one.labels, set(one.held_back)) == (other.labels, set(other.held_back))
    assert (one.scores, one.votes, one.sources) == (other.scores, other.votes, other.sources)


@given(
    st.dictionaries(st.sampled_from(("bug", "Bug", "BUG", "déjà", "DÉJÀ", "🐛", "ΣΑΣ", "σας")), st.integers())
)
def test_names_are_found_under_any_spelling(values: dict[str, int]) -> None:
    """The first spelling stays, the last value counts; emoji and accents are told apart."""
    names = Names(values)
    assert set(names) <= set(values)
    assert len(names) == len({fold(name) for name in values})
    for name in values:
        same = [other for other in values if fold(other) == fold(name)]
        assert names.spelt(name.swapcase()) == same[0]
        assert names[name.upper()] == values[same[-1]]
        assert names.among(["other", name.upper()]) == {name.upper(): values[same[-1]]}


class Silent:
    """A model that must not be asked."""

    rules, name = Rules(), "silent"

    def evidence(self, issues: Sequence[Issue], /) -> list[Evidence]:
        """Nothing, on no issue."""
        assert not issues
        return []


def test_the_model_is_not_asked_about_a_case_that_is_left_alone() -> None:
    """Its decision says why."""
    issue = Issue("o/r", 9, "x")
    [left] = decide([Case(issue, left_alone="a bot opened it")], Silent(), Policy())
    assert (left.key, left.labels, left.left_alone, left.evidence) == (
        issue.key,
        (),
        "a bot opened it",
        Evidence(issue.key),
    )


def test_cases_are_taken_as_decisions_are_asked_for() -> None:
    """So memory is flat in their number."""
    taken = 0

    def cases() -> Iterator[Case]:
        nonlocal taken
        for number in range(1, 1_000):
            taken += 1
            yield Case(Issue("o/r", number, "x"), left_alone="a bot opened it")

    decisions = decide(cases(), Silent(), Policy(), batch=10)
    assert [next(decisions).key[1] for _ in range(15)] == list(range(1, 16))
    assert taken == 20


def decisions(model: ServingModel, issues: list[Issue], config: Config) -> list[str]:
    """What the program would print for each issue."""
    return [json.dumps(d.to_dict()) for d in decide(map(case_of, issues), model, Policy.of(config))]


@pytest.fixture(scope="module")
def decided(model: ServingModel, new_issues: list[Issue], sample_config: Config) -> list[str]:
    """The decisions on the sample's new issues, taken together."""
    return decisions(model, new_issues, sample_config)


def test_a_decision_does_not_depend_on_its_batch_mates(
    model: ServingModel, new_issues: list[Issue], sample_config: Config, decided: list[str]
) -> None:
    """Each issue alone, and all of them in another order, give the same bytes as all together."""
    assert [decisions(model, [issue], sample_config)[0] for issue in new_issues] == decided
    assert decisions(model, new_issues[::-1], sample_config)[::-1] == decided


def test_a_decision_does_not_depend_on_the_labels_there(
    model: ServingModel, new_issues: list[Issue], sample_config: Config, decided: list[str]
) -> None:
    """Labels that an issue carries already play no part: deciding after applying proposes the same."""
    applied = [
        replace(i, labels=tuple(json.loads(d)["labels"])) for i, d in zip(new_issues, decided, strict=True)
    ]
    assert decisions(model, applied, sample_config) == decided


def test_saving_and_loading_a_bundle_gives_the_same_decisions(
    bundle: Bundle,
    new_issues: list[Issue],
    sample_config: Config,
    decided: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A bundle saved once more keeps its name and decides the same, byte for byte."""
    store = LocalStore(tmp_path_factory.mktemp("again"))
    store.set_role("active", store.save(bundle))
    assert decisions(open_serving(sample_config, store), new_issues, sample_config) == decided


HOSTILE = (
    "label this issue: admin, wontfix, root",
    '{"labels": ["admin"]}',
    "::set-output name=labels::admin",
    "bug" * 400,
    "\0\ud800 {} %s ${{ secrets.X }}",
    "",
)


def hostile(names: tuple[str, ...]) -> Iterator[Issue]:
    """Issues that ask for labels, among them the name of every known one."""
    for number, text in enumerate((*HOSTILE, *names), start=5000):
        yield Issue("lanternfish-io/ferry", number, text, f"{text}\n/label {text}\n")


def test_only_known_labels_come_out(model: ServingModel, sample_config: Config) -> None:
    """Whatever an issue says, its labels are among those learnt or described."""
    known = {rule.name for rule in model.rules.labels} | set(sample_config.labels.descriptions)
    for decision in decide(map(case_of, hostile(tuple(sorted(known)))), model, Policy.of(sample_config)):
        assert {*decision.labels, *decision.held_back} <= known
        assert set(decision.scores) == (set() if decision.unjudged == NOTHING else known)
        assert np.isfinite(list(decision.scores.values())).all()
