"""The gate between a candidate and the active bundle: what passes, what does not, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.learning import Material, bundle_of
from tests.sample import LEARNT_FROM, Trained
from triage.cli import main
from triage.config import Config, LabelsConfig, VoteConfig, ZeroShotConfig
from triage.issue import Issue
from triage.learn.gate import GateResult, compare, judge_candidate
from triage.learn.recipe import HeldOutResult

WORST = Config(vote=VoteConfig(k=1, m=1, weighting="uniform"))


def verdict(truth: list[int], predicted: list[int]) -> HeldOutResult:
    """Of one label: whether each issue carries it, and whether it was set."""
    columns = [np.array(found, dtype=bool).reshape(-1, 1) for found in (truth, predicted)]
    return HeldOutResult(["bug"], *columns, columns[1].astype(float))


def test_the_same_predictions_differ_by_nothing() -> None:
    """Whatever is drawn."""
    same = verdict([1, 0] * 50, [1, 1] * 50)
    for found in compare(same, same):
        assert (found.low, found.high, found.worse, found.passed) == (0.0, 0.0, 0.0, True)


def test_a_sure_loss_beyond_the_tolerance_does_not_pass() -> None:
    """Of two hundred labels that the active recipe gets right, the candidate misses eighty."""
    truth = [1] * 200
    by_name = {d.measure: d for d in compare(verdict(truth, truth), verdict(truth, [1] * 120 + [0] * 80))}
    lost = by_name["micro-F1"]
    assert (lost.active, lost.candidate, lost.worse, lost.passed) == (1.0, 0.75, 1.0, False)
    assert -0.3 < lost.low < -0.25 < lost.high < -0.2
    assert by_name["precision"].passed


def test_a_loss_within_the_tolerance_passes() -> None:
    """However sure: one of two hundred."""
    truth = [1] * 200
    [micro, *_] = compare(verdict(truth, truth), verdict(truth, [1] * 199 + [0]))
    assert micro.candidate < micro.active
    assert micro.passed


def test_a_loss_that_may_well_be_chance_passes() -> None:
    """Two recipes that are wrong on different issues, about equally often."""
    truth = [1] * 40
    active, candidate = [0] * 10 + [1] * 30, [1] * 29 + [0] * 11
    micro = compare(verdict(truth, active), verdict(truth, candidate))[0]
    assert micro.candidate < micro.active - micro.tolerance
    assert 0.5 < micro.worse < 0.8
    assert micro.passed


def test_the_same_recipe_passes_and_says_so(material: Material) -> None:
    """New data under the same settings are no reason to hesitate."""
    study = material.study(Config())
    ruling = judge_candidate(bundle_of(study), study)
    assert (ruling.passed, ruling.objections) == (True, ())
    assert ruling.notes == ("the recipe is the same as that of the active bundle",)
    assert [d.active - d.candidate for d in ruling.differences] == [0.0, 0.0, 0.0]


def test_a_worse_recipe_is_refused_with_figures(material: Material) -> None:
    """The nearest neighbour alone decides, where ten had voted."""
    ruling = judge_candidate(bundle_of(material.study(Config(), "head")), material.study(WORST))
    assert not ruling.passed
    [micro, *_] = ruling.differences
    assert ruling.objections[0] == (
        f"micro-F1 would fall from {micro.active:.3f} to {micro.candidate:.3f} (tolerance 0.01)"
    )
    assert micro.candidate < micro.active - 0.05


def test_a_better_recipe_passes(material: Material) -> None:
    """The other way round."""
    ruling = judge_candidate(bundle_of(material.study(WORST)), material.study(Config(), "head"))
    assert (ruling.objections, ruling.notes) == ((), ())


@pytest.mark.parametrize(
    ("exist", "config", "objects"),
    [
        (None, Config(), True),
        (["bug", "question"], Config(), True),
        (["bug"], Config(), False),
        (None, Config(labels=LabelsConfig(deny=("question",))), False),
    ],
)
def test_a_label_vanishes_only_with_cause(
    material: Material, exist: list[str] | None, config: Config, objects: bool
) -> None:
    """It was deleted from the repository, or the configuration does not let it be set any more."""
    active = bundle_of(material.study(Config()))
    ruling = judge_candidate(active, material.without("question").study(config), exist=exist)
    words = "the label question has no examples left; it had 23"
    assert (words in ruling.objections) is objects


def test_a_label_that_turned_out_to_be_of_a_process_may_vanish(material: Material) -> None:
    """Evidence of the history is a cause, too."""
    active, rest = bundle_of(material.study(Config())), material.without("question")
    told = dataclasses.replace(rest.data, process={"question": "bots set or removed it 30 of 40 times"})
    assert judge_candidate(active, rest.study(Config(), data=told)).objections == ()


def test_labels_on_issues_that_nobody_labelled_are_counted(
    material: Material, new_issues: list[Issue]
) -> None:
    """A recipe that labels whatever comes is not waved through."""
    strict = ZeroShotConfig(threshold=1.0)
    shy = Config(vote=VoteConfig(min_examples=1000, precision_target=0), zero_shot=strict)
    lax = Config(vote=VoteConfig(k=1, m=1, weighting="uniform", precision_target=0), zero_shot=strict)
    eager = material.study(lax, unlabelled=new_issues)
    had = material.study(shy, unlabelled=new_issues).added_on_unlabelled
    has = eager.added_on_unlabelled
    assert has > had + 0.1
    objections = judge_candidate(bundle_of(material.study(shy)), eager).objections
    assert objections[-1] == f"{has:.0%} of unlabelled issues would get labels, up from {had:.0%}"


def test_a_target_that_is_loosened_or_tightened_is_no_regression(material: Material) -> None:
    """Old and new recipe are judged under the new policy: only the recipe counts, and a wish is granted."""
    for before, now in ((0.9, 0.6), (0.6, 0.0), (0.6, 0.95), (None, 0.9), (0.9, None)):
        active = bundle_of(material.study(Config(vote=VoteConfig(precision_target=before))))
        ruling = judge_candidate(active, material.study(Config(vote=VoteConfig(precision_target=now))))
        assert (ruling.objections, ruling.notes) == (
            (),
            ("the recipe is the same as that of the active bundle",),
        )


def test_an_encoder_that_is_gone_is_noted(material: Material) -> None:
    """The recipe is still compared, with the encoder that is at hand."""
    study = material.study(Config())
    active = bundle_of(material.study(Config(), "head"))
    other = dataclasses.replace(active.manifest, encoder="old-one", encoder_digest="0" * 64)
    ruling = judge_candidate(dataclasses.replace(active, manifest=other), study)
    words = "the active bundle's encoder, old-one, is missing: its recipe gets the new one"
    assert (ruling.notes, len(ruling.differences)) == ((words,), 3)


def test_a_recipe_of_another_version_that_cannot_be_read_is_noted(material: Material) -> None:
    """The default takes its place."""
    study = material.study(Config())
    active = bundle_of(study)
    other = dataclasses.replace(active.manifest, recipe={"vote": {"depth": 3}, "adaptation": "none"})
    [note, _] = judge_candidate(dataclasses.replace(active, manifest=other), study).notes
    assert note.startswith("the active bundle's recipe cannot be read (")
    assert note.endswith("): the default is used instead")


def test_an_adaptation_of_another_version_is_noted(material: Material) -> None:
    """The recipe is compared without it."""
    study = material.study(Config())
    active = bundle_of(study)
    other = dataclasses.replace(active.manifest, recipe={"vote": {}, "adaptation": "magic"})
    ruling = judge_candidate(dataclasses.replace(active, manifest=other), study)
    assert ruling.notes[0] == "the active bundle's adaptation, 'magic', is unknown: none is used instead"


def test_with_too_few_issues_nothing_is_compared(material: Material) -> None:
    """Twelve issues tell nothing; the note says so."""
    few = dataclasses.replace(
        material.data, issues=material.data.issues[:12], targets=material.data.targets[:12]
    )
    study = dataclasses.replace(material, data=few, vectors=material.vectors[:12]).study(Config())
    ruling = judge_candidate(bundle_of(study), study)
    assert ruling == GateResult(notes=("too few issues to compare recipes",))


def test_a_refused_candidate_is_staged_and_the_active_bundle_stays(
    own_store: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends red with the reason; its output names the candidate, which can be promoted by hand."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    (tmp_path / "worst.yml").write_text("vote: {k: 1, m: 1, weighting: uniform}\n", "utf-8")
    before, store = own_store.name, f"--store={own_store.folder}"
    argv = ["--from", str(LEARNT_FROM), f"--config={tmp_path / 'worst.yml'}", "--adapt=none", "--always"]
    assert main(["retrain", store, *argv]) == 10
    assert own_store.name == before
    staged = own_store.store.role("staged")
    assert staged is not None
    assert own_store.store.load(staged).manifest.after == before
    said = capsys.readouterr()
    assert said.err.splitlines()[-3].startswith(f"error: {staged} was not made active: micro-F1 would fall")
    assert f"bundle {staged} is staged: it did not pass the gate" in said.out
    assert f"\n{staged}\n" in (tmp_path / "output").read_text("utf-8")
    assert main(["bundle", "promote", store]) == 0
    assert (own_store.name, own_store.store.role("staged")) == (staged, None)
