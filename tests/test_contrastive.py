"""Contrastive training: the loss by its formula, what is learnt from it, and runs that stop on the way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.killing import Killed, killed_after
from tests.toy_encoder import save_bert, toy_issues
from triage.errors import ModelError
from triage.finetune import training_loop as checkpoint
from triage.finetune import training_loop as loop
from triage.finetune.fine_tune import ContrastiveTraining, Labelled, contrast
from triage.finetune.tokenization import unit_vectors
from triage.finetune.training_loop import (
    LIKE_LENGTH,
    Batches,
    TrainingSchedule,
    TrainingStep,
)
from triage.finetune.weights import Weights

SHORT = TrainingSchedule(epochs=2, max_tokens=16, batch=8, rate=1e-3, seed=3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return Weights(save_bert(tmp_path_factory.mktemp("weights")), "toy", "toy")


def training_on(weights: Weights, issues: Labelled, plan: TrainingSchedule) -> ContrastiveTraining:
    model, tokenizer = weights.open()
    return ContrastiveTraining(model, tokenizer, issues, plan)


def training(weights: Weights, plan: TrainingSchedule = SHORT) -> ContrastiveTraining:
    return training_on(weights, Labelled(*toy_issues(40, seed=1)), plan)


def state(run: ContrastiveTraining) -> dict[str, torch.Tensor]:
    return dict(run.model.state_dict())


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def brute_force(
    vectors: npt.NDArray[np.float64], targets: npt.NDArray[np.bool_], temperature: float
) -> float:
    """The loss by its definition, one pair of texts after the other."""
    n, losses = len(vectors), []
    labels = [set(np.flatnonzero(row)) for row in targets]
    for i in range(n):
        others = [j for j in range(n) if j != i]
        jaccard = {j: len(labels[i] & labels[j]) / max(1, len(labels[i] | labels[j])) for j in others}
        if sum(jaccard.values()) == 0:
            continue
        among = sum(math.exp(vectors[i] @ vectors[j] / temperature) for j in others)
        chance = {j: math.exp(vectors[i] @ vectors[j] / temperature) / among for j in others}
        losses.append(
            -sum(jaccard[j] / sum(jaccard.values()) * math.log(chance[j]) for j in others if jaccard[j])
        )
    return sum(losses) / max(1, len(losses))


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_the_one_of_the_formula(seed: int) -> None:
    """With several labels, with none and with one that nobody shares, it is the double sum written out."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(9, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    targets = rng.random((9, 4)) < 0.4
    targets[0] = False
    targets[:, 3] = np.arange(9) == 1
    found = contrast(torch.from_numpy(vectors), torch.from_numpy(targets.astype(float)), 0.2)
    assert found.item() == pytest.approx(brute_force(vectors, targets, 0.2), abs=1e-9)


def test_texts_without_a_common_label_cost_nothing() -> None:
    """A batch in which no two texts share a label has the loss zero and gradients that are numbers."""
    vectors = torch.eye(3, requires_grad=True)
    loss = contrast(vectors, torch.eye(3))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(vectors.grad, torch.zeros(3, 3))


def test_an_epoch_holds_every_text_once_in_batches_of_one_repository_and_like_length() -> None:
    """Each row is in one batch; lengths within a batch overlap with few others'; no batch mixes groups."""
    rng = np.random.default_rng(0)
    lengths, groups = rng.integers(3, 200, size=101).tolist(), rng.integers(3, size=101).tolist()
    batches = Batches(lengths, groups, size=8, seed=1)
    first, second = batches.epoch(0), batches.epoch(1)
    for epoch in (first, second):
        assert len(epoch) == len(batches)
        assert sorted(row for rows in epoch for row in rows) == list(range(101))
        assert all(len(rows) <= 8 and len({groups[row] for row in rows}) == 1 for rows in epoch)
    assert [rows.tolist() for rows in first] != [rows.tolist() for rows in second]
    assert [rows.tolist() for rows in first] == [rows.tolist() for rows in batches.epoch(0)]
    for one, other in itertools.combinations([rows for rows in first if groups[rows[0]] == 0], 2):
        short, long = sorted((one, other), key=lambda rows: float(np.mean([lengths[i] for i in rows])))
        assert min(lengths[i] for i in short) <= LIKE_LENGTH**2 * max(lengths[i] for i in long)


def accuracy(run: ContrastiveTraining, texts: Sequence[str], targets: npt.NDArray[np.bool_], n: int) -> float:
    """Share of the labels of the texts from the `n`th on that a majority of the 5 nearest of the first n tells."""
    run.model.eval()
    with torch.inference_mode():
        vectors = unit_vectors(run.model, run.texts).numpy()
    nearest = np.argsort(-(vectors[n:] @ vectors[:n].T), axis=1)[:, :5]
    return float(((targets[nearest].mean(axis=1) > 0.5) == targets[n:]).mean())


def test_new_texts_find_neighbours_with_their_labels(weights: Weights) -> None:
    """The losses fall, and the vote on texts never trained on rises from poor to nearly always right."""
    texts, targets = toy_issues(300, seed=2)
    plan = TrainingSchedule(epochs=20, max_tokens=16, batch=20, rate=3e-3, seed=1)
    trained = training_on(weights, Labelled(texts[:200], targets[:200]), plan)
    poor = accuracy(training_on(weights, Labelled(texts, targets), plan), texts, targets, 200)
    steps: list[TrainingStep] = []
    trained.run(progress=steps.append)
    judged = ContrastiveTraining(trained.model, weights.open()[1], Labelled(texts, targets), plan)
    good = accuracy(judged, texts, targets, 200)
    assert [step.number for step in steps] == list(range(1, 201))
    first, last = steps[:10], steps[-10:]
    assert (
        np.mean([step.losses["contrast"] for step in last])
        < np.mean([step.losses["contrast"] for step in first]) - 0.3
    )
    assert np.mean([step.losses["labels"] for step in last]) < 0.5 * np.mean(
        [step.losses["labels"] for step in first]
    )
    assert poor < 0.7
    assert good > 0.9


def test_the_same_seed_gives_the_same_weights(weights: Weights) -> None:
    """Two runs agree to the last bit; with another seed they do not; the embeddings of words stay."""
    one, two, other = (
        training(weights),
        training(weights),
        training(weights, TrainingSchedule(**{**vars(SHORT), "seed": 4})),
    )
    for run in (one, two, other):
        assert run.run() == 10
    assert same(state(one), state(two))
    assert not same(state(one), state(other))
    before = weights.open()[0].get_input_embeddings().weight
    assert torch.equal(one.model.get_input_embeddings().weight, before)


@pytest.mark.parametrize("number", [2, 7])
def test_a_killed_run_ends_as_one_never_killed(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Taken up in the middle of the first epoch or of the second, the weights are those of a whole run."""
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    whole = training(weights)
    whole.run()
    with pytest.raises(Killed):
        training(weights).run("toy", tmp_path, killed_after(number))
    steps: list[TrainingStep] = []
    resumed = training(weights)
    assert resumed.run("toy", tmp_path, steps.append) == 10
    assert [step.number for step in steps] == list(range(number, 11))
    assert same(state(resumed), state(whole))


def test_a_checkpoint_of_another_run_is_not_taken_up(weights: Weights, tmp_path: Path) -> None:
    """A run of another name starts at its first step."""
    training(weights).run("one", tmp_path)
    steps: list[TrainingStep] = []
    training(weights).run("other", tmp_path, steps.append)
    assert steps[0].number == 1


def test_a_finished_run_taken_up_has_nothing_left_to_do(weights: Weights, tmp_path: Path) -> None:
    """No step is taken, and the weights are the trained ones."""
    done = training(weights)
    done.run("toy", tmp_path)
    steps: list[TrainingStep] = []
    again = training(weights)
    assert again.run("toy", tmp_path, steps.append) == 10
    assert steps == []
    assert same(state(again), state(done))


def test_a_damaged_checkpoint_is_refused(weights: Weights, tmp_path: Path) -> None:
    """A file cut short stops the run with the way out."""
    training(weights).run("toy", tmp_path)
    path = tmp_path / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError) as caught:
        training(weights).run("toy", tmp_path)
    assert caught.value.what.startswith(f"cannot read {path}: ")
    assert caught.value.next_step == "delete it; training then starts again"


def test_a_checkpoint_is_one_file_of_tensors(weights: Weights, tmp_path: Path) -> None:
    """Nothing else lies in the folder, and nothing in it is a pickle or a zip of pickles."""
    training(weights).run("toy", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]
    head = (tmp_path / checkpoint.FILE).read_bytes()
    assert head[8:9] == b"{"
    assert b"pickle" not in head[:200]


class Clock:
    """Ten seconds pass between two looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


def test_a_budget_ends_training_in_time_at_a_rate_of_nearly_nothing(weights: Weights) -> None:
    """Steps are planned to fit, so that the rate has fallen when time is up, and the last step ends in time."""
    plan = TrainingSchedule(**{**vars(SHORT), "epochs": 20, "seconds": 400.0})
    steps: list[TrainingStep] = []
    done = training(weights, plan).run(progress=steps.append, clock=Clock())
    assert done == len(steps) == steps[-1].total < 100
    assert 300 < steps[-1].seconds <= 400
    assert steps[-1].rate < 0.1 * plan.rate


def test_a_budget_that_suffices_changes_nothing(weights: Weights) -> None:
    """With time to spare the weights are those of a run without a budget."""
    bounded, free = training(weights, TrainingSchedule(**{**vars(SHORT), "seconds": 1e6})), training(weights)
    assert bounded.run() == free.run() == 10
    assert same(state(bounded), state(free))


def test_time_spent_before_a_kill_counts(weights: Weights, tmp_path: Path) -> None:
    """A run whose budget was spent before it was killed takes one step more at most."""
    plan = TrainingSchedule(**{**vars(SHORT), "epochs": 20, "seconds": 400.0})
    first = training(weights, plan).run("toy", tmp_path, clock=Clock())
    assert training(weights, plan).run("toy", tmp_path, clock=Clock()) <= first + 1


def test_a_long_text_is_cut_to_what_the_model_has_positions_for(weights: Weights) -> None:
    """Asked for more tokens than the model can read, training reads as many as it can."""
    texts, targets = toy_issues(8, seed=0)
    issues = Labelled([" ".join(texts) * 3, *texts[1:]], targets)
    assert training_on(weights, issues, TrainingSchedule(epochs=1, max_tokens=256)).run() == 1


def test_texts_and_labels_out_of_step_are_refused() -> None:
    """A row of labels too few, or of groups, does not make a training set."""
    texts, targets = toy_issues(3, seed=0)
    with pytest.raises(ValueError, match="a row for each issue"):
        Labelled(texts, targets[:2])
    with pytest.raises(ValueError, match="a row for each issue"):
        Labelled(texts, targets, ["one"])
