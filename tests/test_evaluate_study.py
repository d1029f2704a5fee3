"""The study: what is measured, kept, left out, and what it must not depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.clock import Clock
from tests.evaluating import NAMES, Counting, material, study
from tests.test_entailment import THREE, exported
from tests.test_entailment import build as build_entailment
from tests.toy_encoder import WORDS, save_bert
from tests.toy_language import save_causal
from triage.config import Config
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import open_zero_shot
from triage.errors import DataError
from triage.learn.recipe import Engines
from triage.study.data import StudyData
from triage.study.methods import METHODS, build, build_all
from triage.study.protocol import Fitted, LabellingTask, MethodContext
from triage.study.study import StudyOutcome


@pytest.fixture(scope="module")
def means(tmp_path_factory: pytest.TempPathFactory) -> MethodContext:
    """The shipped engines under the default configuration; models of the extra `train` are tiny."""
    encoder = Encoder.load()
    # Threads that wait for one another cost a tiny model more than its work.
    torch.set_num_threads(1)
    entailment = tmp_path_factory.mktemp("entailment") / "weights"
    build_entailment(entailment, THREE, seed=5).save_pretrained(entailment)
    exported(entailment, entailment.parent / "tiny")
    models = {
        "nli": str(entailment.parent / "tiny"),
        "weights": str(save_bert(tmp_path_factory.mktemp("toy"))),
        "causal": save_causal(tmp_path_factory.mktemp("causal"), 0, [*WORDS, *NAMES]),
    }
    engines = Engines(encoder, open_zero_shot(Config().zero_shot, encoder))
    return MethodContext(Config(), engines, models=models, folder=tmp_path_factory.mktemp("adapted"))


def permuted(found: StudyData, rows: np.ndarray) -> StudyData:
    """The same issues with the labels of these rows handed round."""
    targets = found.data.targets.copy()
    targets[rows] = np.roll(targets[rows], 1, axis=0)
    return replace(found, data=replace(found.data, targets=targets))


@pytest.mark.parametrize("name", METHODS)
def test_scores_never_depend_on_the_labels_that_are_judged_by(
    name: str, means: MethodContext, tmp_path: Path
) -> None:
    """With the labels of the test part permuted, every method gives the same scores there."""
    built, left_out = build_all([name], means)
    assert not left_out
    found = material(120)
    one = study(found, tmp_path / "one", given=(60,), seeds=(0,))
    other = study(permuted(found, one.parts.test), tmp_path / "other", given=(60,), seeds=(0,))
    first, second = one.run(built), other.run(built)
    assert first.answers[name].test.shape == (30, 3)
    assert (first.answers[name].test == second.answers[name].test).all()
    assert (first.answers[name].validation == second.answers[name].validation).all()
    assert [run.one for run in first.runs] != [run.one for run in second.runs]


def test_a_study_is_the_same_twice(means: MethodContext, tmp_path: Path) -> None:
    """Slices, settings, thresholds and figures; times may differ."""
    outcomes = [
        study(material(120), tmp_path / str(i), given=(8, 32)).run(
            build_all(["naive-bayes", "neighbours", "naive-bayes-augmented"], means)[0]
        )
        for i in range(2)
    ]
    first, second = (
        [
            replace(run, fit_seconds=0, score_seconds=0, fit_cpu=0, score_cpu=0, memory=None)
            for run in outcome.runs
        ]
        for outcome in outcomes
    )
    assert first == second
    assert len(first) == 3 * (2 * 2 + 1)


def test_everything_is_measured_once_and_slices_under_every_seed(tmp_path: Path) -> None:
    """A method that learns nothing from labels is measured on everything alone."""
    learning, knowing = Counting(), Counting(learns=False)
    study(material(120), tmp_path).run({"a": learning, "b": knowing})
    assert learning.fits == [(60, 0), (8, 0), (8, 1), (16, 0), (16, 1), (32, 0), (32, 1)]
    assert knowing.fits == []  # the same name, identity and slice: the result is kept already


def test_a_killed_study_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was measured before the kill is not measured again, and the outcome is that of an undisturbed run."""
    with pytest.raises(KeyboardInterrupt):
        study(material(120), tmp_path / "killed").run({"m": Counting(dies_at=3)})
    rest = Counting()
    resumed = study(material(120), tmp_path / "killed").run({"m": rest})
    assert rest.fits == [(16, 0), (16, 1), (32, 0), (32, 1)]
    whole = study(material(120), tmp_path / "whole").run({"m": Counting()})
    assert [(r.size, r.seed, r.one) for r in resumed.runs] == [(r.size, r.seed, r.one) for r in whole.runs]
    assert (resumed.answers["m"].test == whole.answers["m"].test).all()


def test_a_damaged_result_counts_as_none(tmp_path: Path) -> None:
    """It is measured again rather than believed."""
    study(material(120), tmp_path).run({"m": Counting()})
    for path in tmp_path.glob("*.json"):
        path.write_text(path.read_text("utf-8")[:50])
    again = Counting()
    study(material(120), tmp_path).run({"m": again})
    assert len(again.fits) == 7


def test_other_issues_or_labels_are_measured_anew(tmp_path: Path) -> None:
    """Results are kept under the content of what they were measured on."""
    study(material(120), tmp_path).run({"m": Counting()})
    for other in (material(121), material(120, seed=3), permuted(material(120), np.arange(10))):
        again = Counting()
        study(other, tmp_path).run({"m": again})
        assert len(again.fits) == 7


def test_what_does_not_fit_the_budget_is_left_out_and_named(clock: Clock, tmp_path: Path) -> None:
    """A method that would take longer than what is left is not begun; the others are measured."""
    slow = Counting(clock=clock, slow=0.5)
    slow.identity = "slow"
    outcome = study(material(120), tmp_path, budget=6.0).run({"quick": Counting(), "slow": slow})
    assert {run.method for run in outcome.runs} == {"quick"}
    assert list(outcome.left_out) == ["slow"]
    assert "would take about 30 s" in outcome.left_out["slow"]
    assert "of the budget are left" in outcome.left_out["slow"]


class Adapting(Counting):
    """A method that spends a second of the clock on something that it keeps."""

    made = 0

    def prepare(self, task: LabellingTask) -> None:
        """Once."""
        if not self.made and self._clock:
            self._clock.pass_(1.0)
        self.made += 1

    def fit(self, task: LabellingTask) -> Fitted:
        """As the others, from what was made."""
        self.prepare(task)
        return super().fit(task)


def test_what_is_made_once_does_not_count_for_every_issue(clock: Clock, tmp_path: Path) -> None:
    """A guess from the smallest slice leaves out what is made before, which takes no longer for more issues."""
    method = Adapting(clock=clock)
    outcome = study(material(120), tmp_path, budget=4.0).run({"adapting": method})
    assert not outcome.left_out
    assert len(outcome.runs) == 7


class Failing(Counting):
    """A method that cannot learn from little."""

    def fit(self, task: LabellingTask) -> None:  # type: ignore[override]
        raise DataError("there is too little to learn from")


def test_a_method_that_fails_is_named_with_its_reason(tmp_path: Path) -> None:
    """And gives no number."""
    outcome: StudyOutcome = study(material(120), tmp_path).run({"m": Failing(), "n": Counting()})
    assert outcome.left_out == {"m": "there is too little to learn from"}
    assert {run.method for run in outcome.runs} == {"n"}


def test_an_unavailable_method_is_named(tmp_path: Path) -> None:
    """Without being asked for anything."""
    absent = Counting()
    absent.unavailable = lambda: "its model is not here"  # type: ignore[method-assign]
    outcome = study(material(120), tmp_path).run({"m": absent})
    assert (outcome.left_out, outcome.runs, absent.fits) == ({"m": "its model is not here"}, [], [])


@pytest.mark.parametrize("name", ["naive-bayes", "tfidf", "neighbours", "adapted", "naive-bayes-augmented"])
def test_methods_learn_what_labels_hang_on(name: str, means: MethodContext, tmp_path: Path) -> None:
    """On issues whose labels hang on a word and a direction, each is far better with all of them than by chance."""
    outcome = study(material(400), tmp_path, given=(8,), seeds=(0,)).run({name: build(name, means)})
    everything = outcome.at(name, 200)[0]
    assert everything.one["micro_f1"] > 0.85
    assert everything.one["micro_f1"] > outcome.at(name, 8)[0].one["micro_f1"]
