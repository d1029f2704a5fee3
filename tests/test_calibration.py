"""One probability for each label on each issue, and what a precision target gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.learning import Material
from tests.test_tune import window as tuning_window
from triage.config import Config
from triage.decide import Evidence, Policy
from triage.decide.rules import (
    FLOOR,
    NEVER,
    UNMEASURED,
    WITH_HEAD,
    Calibration,
    LabelRule,
    OperatingPoint,
    Rules,
)
from triage.engine.head import Propensity, sigmoid
from triage.errors import BundleError
from triage.issue import Issue
from triage.learn.calibration import (
    CONFIDENCE,
    NEWEST,
    SEEN_ENOUGH,
    Judged,
    Logistic,
    best_f1,
    calibrated,
    elected,
    fit,
    judged,
    least_after,
    operating_points,
    propensity,
    recent_shares,
    recommended,
    surely,
    walk,
)
from triage.learn.dataset import Reviewed, split
from triage.metrics import f1_per_label, macro_f1, micro_f1


def drawn(issues: int, labels: int = 4, seed: int = 0, *, skill: float = 2.0) -> tuple[Judged, np.ndarray]:
    """Issues whose labels were drawn by a logistic of the evidence, and the probabilities they were drawn by."""
    rng = np.random.default_rng(seed)
    known = rng.normal(size=(issues, labels, 4))
    chance = np.asarray(sigmoid(skill * known[..., 0] + known[..., 1] - 1.0))
    truth = rng.random((issues, labels)) < chance
    return Judged(known, truth, np.ones_like(truth), np.ones(issues)), chance


def test_the_probabilities_are_those_by_which_labels_were_set() -> None:
    """The curve that drew the labels is found again, whichever label it is."""
    past, chance = drawn(4_000)
    logistic = fit(past, by_age=False, typical=Calibration())
    assert np.abs(logistic.probabilities(past.known) - chance).mean() < 0.02
    assert np.abs(logistic.offsets).max() < 0.2


def test_a_label_that_people_set_more_often_gets_an_offset_and_one_with_few_issues_next_to_none() -> None:
    """Many issues that disagree with the common curve move a label, a handful hardly does."""
    past, _ = drawn(3_000)
    truth = past.truth.copy()
    truth[:, 0] |= np.random.default_rng(1).random(len(truth)) < 0.5
    assert fit(replace(past, truth=truth), by_age=False, typical=Calibration()).offsets[0] > 0.5
    few, _ = drawn(3_000, labels=40)
    many = few.truth.copy()
    many[:, 0] = False
    many[:3, 0] = True
    alone = fit(replace(few, truth=many).part(slice(10)), by_age=False, typical=Calibration())
    assert abs(alone.offsets[0]) < 0.5


def test_the_newest_issues_count_most() -> None:
    """After a change of practice the curve follows it, unless issues have no order."""
    past, _ = drawn(2_000)
    truth = past.truth.copy()
    truth[-500:, 0] = False
    changed = replace(past, truth=truth)
    assert (
        fit(changed, by_age=True, typical=Calibration()).offsets[0]
        < fit(changed, by_age=False, typical=Calibration()).offsets[0] - 0.3
    )


def test_evidence_that_never_varies_or_misleads_is_not_used() -> None:
    """Without a head its column is constant; where more votes mean less, the votes count as they are."""
    past, _ = drawn(500)
    known = past.known.copy()
    known[..., 1] = 3.0
    assert fit(replace(past, known=known), by_age=False, typical=Calibration()).calibration.head == 0.0
    backwards = replace(past, known=-past.known)
    assert fit(backwards, by_age=False, typical=Calibration()).calibration == Calibration()


def test_few_issues_are_judged_as_in_other_repositories() -> None:
    """A handful of labelled issues hardly moves the typical calibration; thousands replace it."""
    past, chance = drawn(4_000)
    typical = Logistic(WITH_HEAD, np.zeros(4)).probabilities(past.known)

    def distances(issues: int) -> tuple[float, float]:
        found = fit(past.part(slice(issues)), by_age=False, typical=WITH_HEAD).probabilities(past.known)
        return float(np.abs(found - typical).mean()), float(np.abs(found - chance).mean())

    assert distances(0)[0] == 0.0
    assert distances(4)[0] < distances(4)[1] / 2
    assert distances(4_000)[1] < distances(4_000)[0] / 2
    # Nobody has set any label yet.
    none = replace(past, truth=np.zeros_like(past.truth)).part(slice(20))
    assert fit(none, by_age=False, typical=WITH_HEAD).probabilities(past.known).mean() < typical.mean()


def test_each_block_is_judged_by_those_before_it() -> None:
    """Changing the labels of the last block changes no probability."""
    past, _ = drawn(600)
    before = walk(past, by_age=True, typical=Calibration())
    truth = past.truth.copy()
    truth[-40:] = ~truth[-40:]
    after = walk(replace(past, truth=truth), by_age=True, typical=Calibration())
    assert np.array_equal(after, before)
    assert len(before) == 600
    first = Logistic(Calibration(), np.zeros(4)).probabilities(past.known[:80])
    assert np.array_equal(before[:80], first)
    assert walk(past.part(slice(0)), by_age=True, typical=Calibration()).shape == (0, 4)


@pytest.mark.parametrize("seed", range(5))
def test_what_reaches_a_target_is_right_as_often(seed: int) -> None:
    """At each target the labels set are right at least as often, and fewer are set at a higher one."""
    past, _ = drawn(2_000, seed=seed)
    probabilities = walk(past, by_age=True, typical=Calibration())
    points = [p for p in operating_points(past, probabilities) if p.threshold]
    assert len(points) >= 6
    for point in points:
        assert (point.threshold or 0) >= point.target
        assert point.right / point.labels >= point.target
        assert point.low >= point.target - 1e-4
    assert [p.labels for p in points] == sorted((p.labels for p in points), reverse=True)


def test_a_threshold_rises_where_probabilities_promise_too_much() -> None:
    """Labels shown at 0.8 that are right half of the time do not reach a target of 0.8; those at 0.95 do."""
    n = 200
    probabilities = np.repeat([[0.95], [0.85]], n, axis=0)
    truth = np.concatenate([np.ones(n), np.arange(n) % 2])[:, None].astype(bool)
    past = Judged(np.zeros((2 * n, 1, 4)), truth, np.ones_like(truth), np.ones(2 * n))
    points = {p.target: p for p in operating_points(past, probabilities)}
    assert points[0.7].threshold == 0.7
    assert points[0.8].threshold == pytest.approx(0.9)
    assert points[0.8].labels == points[0.8].right == n


def test_a_few_labels_neither_reach_a_target_nor_miss_it() -> None:
    """Probabilities are believed until enough labels that were as likely turned out wrong."""

    def threshold(right: int, wrong: int) -> float | None:
        truth = np.array([[True]] * right + [[False]] * wrong)
        past = Judged(np.zeros((len(truth), 1, 4)), truth, np.ones_like(truth), np.ones(len(truth)))
        points = operating_points(past, np.full(truth.shape, 0.9))
        return next(point.threshold for point in points if point.target == 0.8)

    assert threshold(2, 0) == threshold(4, 1) == threshold(90, 10) == 0.8
    assert threshold(0, 3) is None
    assert threshold(14, 6) is None


def test_no_threshold_is_found_where_labels_are_drawn_by_lot() -> None:
    """Evidence that says nothing reaches no target, and nothing can be recommended."""
    truth = np.random.default_rng(0).random((400, 1)) < 0.4
    past = Judged(np.zeros((400, 1, 4)), truth, np.ones_like(truth), np.ones(400))
    points = operating_points(past, np.full(truth.shape, 0.99))
    assert {p.threshold for p in points} == {None}
    assert recommended(points) is None


def test_only_labels_that_could_be_set_are_measured() -> None:
    """What was not elected, or is denied, neither counts as right nor as wrong."""
    past, chance = drawn(500)
    none = replace(past, eligible=np.zeros_like(past.eligible))
    points = operating_points(none, chance)
    assert {p.labels for p in points} == {0}
    assert recommended(points) is None


def point(target: float, coverage: float, *, low: float = 0.0) -> OperatingPoint:
    """A target at which a hundred labels were measured."""
    return OperatingPoint(target, target, coverage, labels=100, low=low)


def test_the_highest_target_that_still_labels_enough_issues_is_recommended() -> None:
    """Else the lowest one: it labels most."""
    curve = [point(0.6, 0.9), point(0.8, 0.5), point(0.9, 0.3), OperatingPoint(0.95, None)]
    assert recommended(curve) == 0.8
    assert recommended([point(0.7, 0.2), point(0.9, 0.1)]) == 0.7
    assert recommended([]) is None


def test_a_lower_target_that_keeps_as_much_is_recommended() -> None:
    """Labels are right more often than the least likely of them; but none less likely than UNMEASURED is added."""
    curve = [
        point(0.7, 0.9, low=0.96),
        point(0.8, 0.8, low=0.89),
        point(0.9, 0.6, low=0.91),
        point(0.95, 0.5),
    ]
    assert recommended(curve) == 0.9
    assert recommended([curve[0], replace(curve[1], low=0.9), *curve[2:]]) == 0.8
    assert recommended([*curve[:2], replace(curve[2], coverage=0.3)]) == 0.8


def test_a_low_target_needs_more_than_a_few_labels_to_be_recommended() -> None:
    """A repository's first labels do not lower the target that holds until there is something to measure on."""
    curve = [replace(point(0.6, 0.9), labels=19), OperatingPoint(0.8, None)]
    assert recommended(curve) is None
    assert recommended([replace(curve[0], labels=20), curve[1]]) == 0.6
    assert recommended([replace(point(0.8, 0.9), labels=5)]) == 0.8


def test_a_label_is_set_from_half_the_best_f1() -> None:
    """Where probabilities hold, a label is worth setting where it is likelier than half of the F1 that it reaches."""
    past, chance = drawn(4_000, labels=1)
    [least] = best_f1(past, chance)
    [f1] = f1_per_label(past.truth, chance >= least)
    assert least == pytest.approx(f1 / 2, abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_are_best_for_micro_and_macro_f1_together(seed: int) -> None:
    """No common threshold has a better sum where some labels are rarer and less well found."""
    past, chance = drawn(4_000, labels=6, seed=seed)
    rarer = np.array([0.0, 0.0, 1.0, 1.5, 2.0, 2.5])
    chance = np.asarray(sigmoid(np.log(chance / (1 - chance)) / (1 + rarer) - rarer))
    past = replace(past, truth=np.random.default_rng(seed).random(chance.shape) < chance)

    def worth(predicted: np.ndarray) -> float:
        return micro_f1(past.truth, predicted) + macro_f1(past.truth, predicted)

    assert len(past) > 10 * SEEN_ENOUGH
    best = worth(chance >= best_f1(past, chance))
    assert best >= max(worth(chance >= t) for t in np.arange(0.2, 0.6, 0.02)) - 0.002


def test_a_few_lucky_issues_do_not_move_a_labels_threshold() -> None:
    """Of a label with three issues the probabilities are believed; three hundred issues are believed themselves."""
    rng = np.random.default_rng(0)
    likely = np.sort(rng.uniform(0, 0.6, (600, 1)), axis=0)
    past, _ = drawn(600, labels=1)
    none = replace(past, truth=np.zeros_like(past.truth))
    few, many = none.truth.copy(), none.truth.copy()
    few[-3:], many[-300:] = True, True
    plain, lucky, clear = (best_f1(replace(past, truth=t), likely)[0] for t in (none.truth, few, many))
    assert abs(lucky - plain) < 0.02
    assert abs(clear - float(likely[-300, 0])) < abs(plain - float(likely[-300, 0]))


def test_thresholds_hold_for_what_could_be_set_alone() -> None:
    """Never below the floor, and a half where there is nothing to go by; labels that are never set count nothing."""
    past, chance = drawn(1_000, labels=3)
    others = replace(past, eligible=past.eligible & np.array([True, True, False]))
    with_all, without = best_f1(past, chance), best_f1(others, chance)
    assert (with_all >= FLOOR).all()
    assert without[2] == 0.5
    two = Judged(past.known[:, :2], past.truth[:, :2], past.eligible[:, :2], past.propensity)
    assert without[:2].tolist() == best_f1(two, chance[:, :2]).tolist()
    assert best_f1(past.part(slice(0)), chance[:0]).tolist() == [0.5] * 3


def test_what_the_rules_elect_is_what_is_measured() -> None:
    """A label needs its votes and a probability that is enough, on the newest issues as when labelling."""
    many = tuning_window(queries=400)
    labels = tuple(LabelRule(name, 60, 0.3, 2.0) for name in many.names)
    rules = Rules(k=10, labels=labels, scored=tuple(many.names))
    past = judged(rules, many)
    alone = calibrated(replace(rules, scored=()), many.names, past, Policy(), by_age=True)
    assert {rule.enough for rule in alone.labels} == {0.0}
    rules = calibrated(rules, many.names, past, Policy(), by_age=True)
    assert all(rule.enough >= FLOOR for rule in rules.labels)
    taken = elected(rules, many)
    assert taken.any()
    assert not (taken & ~past.eligible).any()
    strict = replace(rules, labels=tuple(replace(rule, enough=NEVER) for rule in rules.labels))
    assert not elected(strict, many).any()


def test_confidence_needs_issues() -> None:
    """Three of three say little, three hundred of three hundred much."""
    three, many = surely(np.array([3, 300]), np.array([3, 300]), CONFIDENCE)
    assert three < 0.9
    assert many > 0.99


def test_a_label_that_began_lately_counts_by_its_newest_share() -> None:
    """The share of the newest issues is pulled towards that of all, and covers few issues too."""
    targets = np.zeros((1_000, 2), dtype=bool)
    targets[-100:, 0] = True
    assert recent_shares(targets) == pytest.approx([(100 + 20 * 0.1) / 220, 0.0])
    assert recent_shares(targets[-10:]) == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize(("kind", "ordered"), [("time", True), ("stratified", False)])
def test_without_an_order_in_time_no_issue_is_newer(material: Material, kind: str, ordered: bool) -> None:
    """Rows of a file without dates are often sorted by label: the last of them say nothing about the next issue."""
    window = material.study(Config(), split=split(material.data, kind)).window
    assert np.array_equal(window.recent, window.priors) != ordered


def test_the_rules_say_what_each_label_reached() -> None:
    """`precision` and `predicted` are those under the targets of the policy, the label's own included."""
    past, _ = drawn(4_000)
    names = ["a", "b", "c", "d"]
    rules = Rules(labels=tuple(LabelRule(name, 50, 0.2, 1.0) for name in names))
    common = calibrated(rules, names, past, Policy(target=0.7), by_age=True)
    strict = calibrated(rules, names, past, Policy(target=0.7, targets={"a": 0.95}), by_age=True)
    assert strict.by_name["a"].predicted < common.by_name["a"].predicted
    assert strict.by_name["b"] == common.by_name["b"]
    assert (strict.by_name["a"].precision or 0) > 0.9


def vectors(count: int, about: int, seed: int = 0) -> np.ndarray:
    """Unit vectors about one of two topics."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(0, 0.2, (count, 16))
    drawn[:, about] += 1
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_issues_like_those_left_without_a_label_are_left() -> None:
    """People who label one topic and leave the other are followed, on new issues too."""
    model, own = propensity(vectors(80, 0), vectors(90, 1))
    assert model is not None
    assert model.of(vectors(20, 0, seed=1)).mean() > 0.9
    assert model.of(vectors(20, 1, seed=1)).mean() < 0.1
    assert own.mean() > 0.9


def test_issues_that_nobody_has_read_yet_say_nothing() -> None:
    """Where labelling stopped half-way the unlabelled ones look like the others, and all may get labels."""
    model, _ = propensity(vectors(200, 0), vectors(200, 0, seed=5))
    assert model is not None
    assert model.of(vectors(50, 0, seed=2)).mean() > 0.9


def test_few_labelled_issues_say_nothing_of_many_others() -> None:
    """Where only a handful is labelled, an issue is as likely to be labelled as they are rare."""
    model, own = propensity(vectors(5, 0), vectors(95, 1))
    assert model is not None
    assert model.of(vectors(3, 0, seed=1)) == pytest.approx(0.05, abs=1e-4)
    assert own == pytest.approx([0.05] * 5)
    assert propensity(vectors(50, 0), vectors(3, 1))[0] is None


def test_the_propensity_of_an_issue_does_not_depend_on_the_others() -> None:
    """One by one or together, to the last bit; a mean that is no probability is refused."""
    model, _ = propensity(vectors(80, 0), vectors(90, 1))
    assert model is not None
    asked = vectors(9, 1, seed=4)
    assert np.array_equal(model.of(asked), np.concatenate([model.of(one[None]) for one in asked]))
    with pytest.raises(BundleError, match="propensity"):
        Propensity(np.zeros(18, np.float32))


RULES = Rules(
    points=(OperatingPoint(0.7, 0.7), OperatingPoint(0.8, 0.85), OperatingPoint(0.9, None)), recommended=0.8
)


@pytest.mark.parametrize(
    ("target", "needed"),
    [
        (None, 0.85),
        (0.0, FLOOR),
        (0.5, 0.5),
        (0.7, 0.7),
        (0.75, 0.75),
        (0.8, 0.85),
        (0.86, 0.86),
        (0.9, NEVER),
    ],
)
def test_a_label_needs_the_probability_that_reaches_its_target(target: float | None, needed: float) -> None:
    """Never less than the target, more where that was not enough; without a target a floor stays."""
    assert RULES.threshold(target) == needed


def test_what_was_never_measured_needs_a_high_probability() -> None:
    """Without issues to measure on, a cautious target takes the place of a recommended one."""
    assert Rules().threshold(None) == UNMEASURED
    assert Rules().point(None) is None
    assert RULES.point(0.85) == RULES.points[1]


def test_what_people_removed_makes_the_promise_more_careful() -> None:
    """Labels that the bot set and people left or removed count as right or wrong; without them nothing changes."""
    past, _ = drawn(1_000)
    names = ["a", "b", "c", "d"]
    rules = Rules(k=1, labels=tuple(LabelRule(name, 50, 0.2, 1.0, recent=0.2) for name in names))
    votes = dict.fromkeys(names, 1.0)

    def reviewed(kept: int, removed: int) -> list[tuple[Evidence, Reviewed]]:
        issues = [Issue("o/r", number, "", "", None) for number in range(1, kept + removed + 1)]
        return [
            (
                Evidence(issue.key, similarity_votes=votes, head=dict.fromkeys(names, 0.99)),
                Reviewed(issue, ("a",) if i < kept else (), () if i < kept else ("A",)),
            )
            for i, issue in enumerate(issues)
        ]

    def points(seen: list[tuple[Evidence, Reviewed]]) -> dict[float, OperatingPoint]:
        found = calibrated(rules, names, past, Policy(), by_age=True, reviewed=seen)
        return {point.target: point for point in found.points}

    usual, praised, blamed = points([]), points(reviewed(200, 0)), points(reviewed(0, 200))
    assert praised[0.8].right > usual[0.8].right
    # What the bot set before says nothing of how many new issues get a label.
    assert praised[0.5].coverage == usual[0.5].coverage
    assert (blamed[0.8].threshold or 2) > (usual[0.8].threshold or 0)


def test_a_label_that_breaks_its_promise_loses_its_licence_and_earns_it_back() -> None:
    """By its own newest issues: surely below the target it needs more, or is not set at all, whatever the others do."""
    sure = np.full(100, 0.95)
    wrong, right = np.zeros(100, dtype=bool), np.ones(100, dtype=bool)
    half = np.arange(100) % 2 == 0
    assert least_after(wrong, sure, RULES, 0.7) == NEVER
    assert least_after(right, sure, RULES, 0.7) == 0.0
    assert least_after(wrong[:2], sure[:2], RULES, 0.7) == 0.0
    assert least_after(np.concatenate([wrong, right]), np.concatenate([sure, sure]), RULES, 0.7) == 0.0
    mixed = np.where(half, 0.95, 0.8)
    assert least_after(half, mixed, RULES, 0.7) == pytest.approx(0.875)
    assert least_after(wrong, sure, RULES, 0.0) == 0.0
    assert least_after(wrong, np.full(100, 0.1), RULES, 0.7) == 0.0


def test_a_label_without_a_licence_is_held_back_only_under_a_target() -> None:
    """The best F1 is a choice that is respected."""
    rules = replace(RULES, labels=(LabelRule("bug", 50, 0.2, 1.0, least=NEVER),))
    assert rules.threshold_of("BUG", 0.7) == NEVER
    assert rules.threshold_of("docs", 0.7) == 0.7
    assert rules.threshold_of("bug", 0.0) == FLOOR


def test_the_calibration_takes_no_longer_than_the_newest_issues_need() -> None:
    """Of many queries only the newest count."""
    many = tuning_window(queries=NEWEST + 50)
    rules = Rules(k=10, labels=tuple(LabelRule(name, 60, 0.3, 2.0) for name in many.names))
    past = judged(rules, many)
    assert len(past) == NEWEST
    assert np.array_equal(past.truth, many.truth[50:])
