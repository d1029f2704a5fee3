"""What a retraining says of itself, in the log and in the job summary."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from tests.learning import Material, bundle_of
from triage.bundle.bundle import Bundle
from triage.config import Config, LabelsConfig, VoteConfig
from triage.decide.rules import OperatingPoint
from triage.learn.gate import GateResult
from triage.learn.provenance import LiveAccuracy
from triage.learn.retrain import Drift, RetrainAdvice, TrainedBundle
from triage.metrics import Bin
from triage.reports import retrain_report


@pytest.fixture(scope="module")
def learnt(material: Material) -> TrainedBundle:
    """The sample under a target that only some labels reach."""
    study = material.study(Config(vote=VoteConfig(precision_target=0.7)))
    return TrainedBundle(bundle_of(study), study)


def terminal(trained: TrainedBundle, advice: RetrainAdvice | None = None) -> list[str]:
    """The lines for the terminal, of a bundle that passed."""
    return retrain_report.terminal("it", trained, GateResult(), advice or RetrainAdvice(), 0)


def markdown(
    trained: TrainedBundle,
    advice: RetrainAdvice | None = None,
    bins: tuple[Bin, ...] = (),
    active: Bundle | None = None,
) -> str:
    """The job summary, of a bundle that passed; addresses try to end their attribute."""
    advice = advice or RetrainAdvice()
    return retrain_report.markdown(
        "it", trained, GateResult(), active, advice, bins, lambda _, number: f'https://h/"{number}'
    )


def test_labels_that_miss_the_target_are_named_in_both(learnt: TrainedBundle) -> None:
    """The others have votes, the probability needed, and the precision that was measured."""
    short = {rule.name for rule in learnt.bundle.rules.voted if rule.precision is None}
    assert 0 < len(short) < len(learnt.bundle.rules.voted)
    words = "which no newer issue reached"
    lines = retrain_report.terminal_labels(learnt)
    assert {line.split("  ")[1] for line in lines if words in line} == short
    rows = [row for row in markdown(learnt).splitlines() if row.startswith("| ")]
    assert sum(words in row for row in rows) == len(short)
    set_from = re.compile(r"from \d+&#46;\d votes and a probability of 0&#46;70 \| <code>")
    assert sum(bool(set_from.search(row)) for row in rows) >= 1


def test_each_target_is_shown_with_what_it_gives(learnt: TrainedBundle) -> None:
    """The one in force is marked, with the reason for it; without one, the recommended takes its place."""
    points, text = learnt.bundle.rules.points, markdown(learnt)
    reached = next(point for point in points if point.labels)
    assert (
        f"  target         at {reached.target:.2f}: {reached.coverage:.0%} of issues labelled, "
        in "\n".join(terminal(learnt))
    )
    assert "Precision target: **0.7** (set in the configuration)." in text
    assert "| 0.70 ← |" in text
    free = replace(learnt, recipe=replace(learnt.recipe, config=Config()))
    best = learnt.bundle.rules.recommended
    assert (
        f"  target         {best:g}, the highest at which at least 33% of the issues get a label"
        in terminal(free)
    )
    low = replace(
        learnt.bundle.rules,
        points=tuple(replace(point, coverage=0.1) for point in learnt.bundle.rules.points),
    )
    shy = replace(free, bundle=replace(learnt.bundle, rules=low))
    assert f"  target         {best:g}, the lowest one; none labels 33% of the issues" in terminal(shy)
    f1 = replace(learnt, recipe=replace(learnt.recipe, config=Config(vote=VoteConfig(precision_target=0))))
    assert "Precision target: none, thresholds for the best F1 (set in the configuration)." in markdown(f1)


def test_one_line_says_what_the_bundle_does(learnt: TrainedBundle) -> None:
    """How many labels, on how many issues, how often right, and the same of the bundle that was active before."""
    rules = learnt.bundle.rules
    point = OperatingPoint(0.7, 0.6, 0.7, labels=100, right=87)
    points = (point, OperatingPoint(0.8, 0.7, 0.3, labels=50, right=48))
    now = replace(learnt, bundle=replace(learnt.bundle, rules=replace(rules, points=points)))
    assert rules.zero_shot.rare is not None
    able = sum(rule.precision is not None or rule.examples < rules.min_examples for rule in rules.labels)
    line = f"**It sets {able} of {len(rules.labels)} labels, on 70% of issues, 9 in 10 right**"
    assert markdown(now).splitlines()[2] == f"{line}."
    bare = replace(learnt.bundle, rules=replace(rules, points=(), labels=rules.labels[:2]))
    assert markdown(now, active=bare).splitlines()[2] == (
        f"{line} (until now: 2 of 2 labels; how many of them are right could not be measured yet)."
    )
    other = replace(learnt.bundle, rules=replace(rules, points=points, recommended=0.8))
    free = replace(now, recipe=replace(learnt.recipe, config=Config()))
    free = replace(free, bundle=replace(free.bundle, rules=replace(free.bundle.rules, recommended=0.7)))
    assert (
        markdown(free, active=other)
        .splitlines()[2]
        .endswith(
            "on 30% of issues, more than 9 in 10 right, with a precision target of 0.8 instead of 0.7)."
        )
    )
    sure = replace(now, recipe=replace(learnt.recipe, config=Config(vote=VoteConfig(precision_target=0.8))))
    assert markdown(sure).splitlines()[2].endswith("on 30% of issues, more than 9 in 10 right**.")


def test_all_but_that_line_and_what_asks_for_a_person_is_folded(learnt: TrainedBundle) -> None:
    """The tables of the labels and of the targets are a click away."""
    advice = RetrainAdvice({"bug": LiveAccuracy(3, 2, 1, 4)}, Drift(0.25, 8, 0.3), (("o/r", 7),))
    page = markdown(learnt, advice, (Bin(0.8, 0.75, 9),))
    open_part = re.sub(r"(?s)<details>.*?</details>", "", page)
    rows = [line for line in open_part.splitlines() if line.startswith("|")]
    assert rows[0] == "| label | set by the bot | kept | removed by people | missed |"
    assert len(rows) == 4
    assert "Precision target:" not in open_part
    assert page.count("<details>") == page.count("</details>") == 3


def test_the_newest_issues_are_told_also_of_the_first_bundle(learnt: TrainedBundle) -> None:
    """There is nothing to compare with yet, and maintainers want to know all the same."""
    text = markdown(learnt)
    figures = learnt.recipe.result.figures
    words = f"earnt from the older issues alone, {figures['coverage']:.0%} of the newest {figures['issues']:.0f} got "
    right = f"{figures['precision']:.0%} of these labels were right; counting missed labels too, "
    assert f". L{words}a label, and {right}" in text
    assert f"  newest issues  l{words}" in "\n".join(terminal(learnt))
    nothing = replace(learnt.bundle.manifest, figures={**figures, "coverage": 0.0})
    idle = replace(learnt, bundle=replace(learnt.bundle, manifest=nothing))
    assert ". Learnt from the older issues alone, none of the newest 33 got a label.</sub>" in markdown(idle)


def test_a_fine_tuned_encoder_is_told(learnt: TrainedBundle) -> None:
    """Beside the adaptation that was chosen on top of it."""
    for how, words in (("none", "encoder"), ("head", "encoder and head")):
        manifest = replace(learnt.bundle.manifest, adaptation=how)
        tuned = replace(learnt, bundle=replace(learnt.bundle, manifest=manifest, encoder={"model.onnx": b""}))
        assert f"  adaptation     {words}" in terminal(tuned)
        assert re.search(rf"adaptation {words}\. Learnt from the older issues alone, ", markdown(tuned))


def test_a_label_that_may_not_be_set_is_not_blamed_for_its_precision(learnt: TrainedBundle) -> None:
    """The reason that is given is the configuration's."""
    name = next(rule.name for rule in learnt.bundle.rules.voted if rule.precision is None)
    denied = replace(learnt, recipe=replace(learnt.recipe, config=Config(LabelsConfig(deny=(name,)))))
    assert "never: only people set it (labels.deny)" in "\n".join(retrain_report.terminal_labels(denied))
    assert "never: only people set it (labels.deny)" in html.unescape(markdown(denied))


def test_advice_holds_what_there_is_and_no_more(learnt: TrainedBundle) -> None:
    """Nothing known, nothing said; hostile label names and addresses are text."""
    advice = RetrainAdvice({"a|b @x": LiveAccuracy(3, 2, 1, 4)}, Drift(0.25, 8, 0.3), (("o/r", 7),))
    assert terminal(learnt, advice) == [
        *terminal(learnt),
        "  live           3 labels set since the active bundle was made, 2 kept, 1 removed by people; 4 missed",
        "  drift          25% of the newest 8 issues resemble no learnt issue and get no label (usually below 1%)",
        "  label next     o/r#7",
    ]
    usual, page = markdown(learnt), markdown(learnt, advice, (Bin(0.8, 0.75, 9),))
    assert set(usual.splitlines()) <= set(page.splitlines())
    assert "| <code>a&#124;b &#64;x</code> | 3 | 2 | 1 | 4 |\n" in page
    assert 'the bot would learn most from them: <a href="https://h/%227">#7</a>\n' in page
    assert (
        "| <code>████████\u00a0\u00a0\u00a00.80</code> | <code>███████▌\u00a0\u00a0\u00a00.75</code> | 9 |\n"
        in page
    )
