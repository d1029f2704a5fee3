"""What a retraining says of itself, in the log and in the job summary."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.learning import Material, bundle_of
from triage.config import Config, VoteConfig
from triage.learn.gate import GateResult
from triage.learn.retrain import TrainedBundle
from triage.reports.retrain_report import markdown, plain


@pytest.fixture(scope="module")
def learnt(material: Material) -> TrainedBundle:
    """The sample under a target that only some labels reach."""
    study = material.study(Config(vote=VoteConfig(precision_target=0.6)))
    return TrainedBundle(bundle_of(study), study, {})


def test_labels_that_miss_the_target_are_named_in_both(learnt: TrainedBundle) -> None:
    """They are suggestions; the others have votes and the precision that was measured."""
    short = {rule.name for rule in learnt.bundle.rules.voted if rule.votes is None}
    assert 0 < len(short) < len(learnt.bundle.rules.voted)
    lines = plain("it", learnt, GateResult(), 0)
    assert {line[17:] for line in lines if line.startswith("  never set      ")} == {
        f"{name}: it does not reach the precision target" for name in short
    }
    text = markdown("it", learnt, GateResult(), None)
    rows = [row for row in text.splitlines() if row.startswith("| ")]
    assert sum("a suggestion: it does not reach the precision target" in row for row in rows) == len(short)
    assert sum(bool(re.search(r"from [\d.]+ votes \| <code>", row)) for row in rows) >= 1


def test_the_newest_issues_are_told_also_of_the_first_bundle(learnt: TrainedBundle) -> None:
    """There is nothing to compare with yet, and maintainers want to know all the same."""
    text = markdown("it", learnt, GateResult(), None)
    figures = learnt.study.verdict.figures
    assert f"looked at once: micro-F1 {figures['micro_f1']:.3f}, " in text
    assert f"precision {figures['precision']:.3f} at " in text


def test_a_fine_tuned_encoder_is_told(learnt: TrainedBundle) -> None:
    """Beside the adaptation that was chosen on top of it."""
    for how, words in (("none", "encoder"), ("head", "encoder and head")):
        manifest = replace(learnt.bundle.manifest, adaptation=how)
        tuned = replace(learnt, bundle=replace(learnt.bundle, manifest=manifest, encoder={"model.onnx": b""}))
        assert f"  adaptation     {words}" in plain("it", tuned, GateResult(), 0)
        assert f"adaptation {words}.\n" in markdown("it", tuned, GateResult(), None)
