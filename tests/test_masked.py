"""Masked language modelling: what is learnt from texts alone, how it is kept, and what a gap is filled with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.killing import Killed, killed_after
from tests.toy_language import PAIRS, pairs_of, save_toy
from triage.errors import ConfigError, DataError, ModelError
from triage.finetune import training_loop as loop
from triage.finetune.training_loop import TrainingSchedule, TrainingStep
from triage.finetune.weights import Weights, find_weights
from triage.study.masked_lm import CHECKPOINT, MODEL, Masked, adapt, logits_at, open_masked
from triage.study.methods.fill_mask import FillMaskScorer

PLAN = TrainingSchedule(epochs=30, max_tokens=16, batch=16, rate=5e-3, seed=1)
SHORT = replace(PLAN, epochs=1)
TEXTS = pairs_of(160, seed=1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Two threads of so small a model mostly wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return find_weights(str(save_toy(tmp_path_factory.mktemp("toy"))))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def adapted(weights: Weights, home: Path) -> Weights:
    """The toy after it has read the texts."""
    return adapt(TEXTS, weights, home, plan=PLAN)


def test_the_words_of_new_texts_become_less_surprising(weights: Weights, adapted: Weights) -> None:
    """Before, a masked word costs more than a guess by shares; after, its partner tells it nearly always."""
    held_out = pairs_of(40, seed=2)
    before = Masked(weights, TEXTS, PLAN).loss(held_out)
    after = Masked(adapted, TEXTS, PLAN).loss(held_out)
    assert before > 2.0
    assert after < 0.8


def test_a_gap_is_filled_with_the_partner(weights: Weights, adapted: Weights) -> None:
    """Asked for what follows a word, the adapted model names its partner for each of the pairs."""
    words = [[second] for _, second in PAIRS]
    firsts = [f"salt pepper {first}" for first, _ in PAIRS]
    right = np.arange(len(PAIRS))
    found = FillMaskScorer(adapted, words, "{} lock key").scores(firsts, [])
    assert (found.argmax(axis=1) == right).all()
    untrained = FillMaskScorer(weights, words, "{} lock key").scores(firsts, [])
    assert (untrained.argmax(axis=1) == right).mean() <= 0.6


def test_the_head_is_run_where_it_is_needed_alone(weights: Weights) -> None:
    """The logits at chosen places are those that the whole model gives there, padding or not."""
    model, tokenizer, _ = open_masked(weights)
    model.eval()
    read = tokenizer(["salt pepper lock", "cup"], padding=True, return_tensors="pt")
    chosen = torch.tensor([[False, True, False, True, False], [False, True, False, False, False]])
    with torch.inference_mode():
        whole = model(input_ids=read["input_ids"], attention_mask=read["attention_mask"]).logits
        found = logits_at(model, read["input_ids"], read["attention_mask"], chosen)
    assert found.shape == (3, len(tokenizer))
    assert torch.allclose(found, whole[chosen], atol=0.15)


def test_the_same_texts_are_learnt_once(weights: Weights, adapted: Weights, home: Path) -> None:
    """A second run takes no step; another seed, text or weights is another model."""
    steps: list[TrainingStep] = []
    again = adapt(TEXTS, weights, home, plan=PLAN, progress=steps.append)
    assert (again.folder, steps) == (adapted.folder, [])
    others = {
        adapt(texts, start, home, plan=plan).folder
        for texts, start, plan in [
            (TEXTS[:20], weights, SHORT),
            (TEXTS[:21], weights, SHORT),
            (TEXTS[:20], adapted, SHORT),
            (TEXTS[:20], weights, replace(SHORT, seed=2)),
        ]
    }
    assert len(others) == 4
    assert adapted.name == f"{weights.name}-adapted"
    assert [path.name for path in adapted.folder.parent.iterdir()] == [MODEL]


def test_a_killed_adaptation_ends_as_one_never_killed(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken up from its checkpoint, the model has the same weights, and the checkpoint is gone."""
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    whole = adapt(TEXTS, weights, tmp_path / "whole", plan=SHORT)

    with pytest.raises(Killed):
        adapt(TEXTS, weights, tmp_path / "killed", plan=SHORT, progress=killed_after(4))
    [folder] = (tmp_path / "killed").iterdir()
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT]
    steps: list[TrainingStep] = []
    resumed = adapt(TEXTS, weights, tmp_path / "killed", plan=SHORT, progress=steps.append)
    assert [done.number for done in steps] == [4, 5, 6, 7, 8, 9, 10]
    assert resumed.digest() == whole.digest()
    assert [path.name for path in folder.iterdir()] == [MODEL]


def test_without_a_text_nothing_can_be_adapted(weights: Weights, tmp_path: Path) -> None:
    """The message says that no labels are needed."""
    with pytest.raises(DataError) as caught:
        adapt([], weights, tmp_path)
    assert caught.value.what == "there is no text to adapt a language model to"
    assert caught.value.next_step == "collect more issues; labels are not needed"


def test_texts_of_nothing_to_guess_are_survived(weights: Weights) -> None:
    """A batch without a word teaches nothing, and no weight becomes anything but a number."""
    run = Masked(weights, ["", "[SEP]"], SHORT)
    assert run.run() == 1
    assert all(torch.isfinite(weight).all() for weight in run.model.parameters())
    assert run.loss([""]) == 0.0


def test_a_model_without_a_mask_is_refused(weights: Weights, tmp_path: Path) -> None:
    """A tokenizer that has no mask token belongs to no masked language model."""
    model, tokenizer = weights.open()
    tokenizer.mask_token = None
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError) as caught:
        open_masked(find_weights(str(tmp_path)))
    assert caught.value.what == f"{tmp_path} has no mask token"


def by_chain(model: object, tokenizer: object, prompt: str, words: list[str]) -> float:
    """The words' logarithm of probability in a gap of as many masks, the likeliest filled in first, for each."""
    ids = tokenizer(prompt.replace("{}", " ".join(["[MASK]"] * len(words))), return_tensors="pt")["input_ids"]  # type: ignore[operator]
    places = (ids[0] == tokenizer.mask_token_id).nonzero()[:, 0].tolist()  # type: ignore[attr-defined]
    wanted, total = dict(zip(places, tokenizer.convert_tokens_to_ids(words), strict=True)), 0.0  # type: ignore[attr-defined]
    while wanted:
        with torch.inference_mode():
            logs = model(input_ids=ids).logits[0].log_softmax(-1)  # type: ignore[operator]
        at = max(wanted, key=lambda place: logs[place, wanted[place]].item())
        total += logs[at, wanted[at]].item()
        ids[0, at] = wanted.pop(at)
    return total / len(words)


def test_words_of_several_tokens_are_scored_by_the_chain_rule(
    adapted: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each score is that of filling the gap's masks one after the other, less the same after no text."""
    monkeypatch.setattr("triage.finetune.tokenization.fast_halves", lambda: False)
    model, tokenizer, _ = open_masked(adapted)
    model.eval()
    words = [["salt pepper"], ["key"], ["rain thunder rain"]]
    found = FillMaskScorer(adapted, words, "{} cup").scores(["bread butter lock"], [])
    expected = [
        by_chain(model, tokenizer, "bread butter lock {} cup", said.split())
        - by_chain(model, tokenizer, "{} cup", said.split())
        for [said] in words
    ]
    assert found[0] == pytest.approx(expected, abs=1e-4)


def test_the_best_way_to_say_a_label_counts(adapted: Weights) -> None:
    """With several words a label scores as the best of them; without any it is least likely of all."""
    texts = ["salt pepper lock"]
    single = FillMaskScorer(adapted, [["key"], ["rain"]], "{}").scores(texts, [])[0]
    found = FillMaskScorer(adapted, [["rain", "key"], ["key"]], "{}").scores(texts, [])[0]
    assert found.tolist() == pytest.approx([single.max(), single[0]], abs=1e-9)


def test_a_score_in_a_gap_depends_on_no_other_text(adapted: Weights) -> None:
    """A text alone gets, bit for bit, what it gets among others; a long one is cut, a hostile one is read."""
    cloze = FillMaskScorer(adapted, [["key"], ["salt pepper"]], "this issue is about {} .")
    texts = ["lock", "cup " * 100, "", "[MASK] [MASK] \ud800 [SEP]"]
    together = cloze.scores(texts, ["bread"])
    assert np.isfinite(together).all()
    for at, text in enumerate(texts):
        assert cloze.scores([text], ["bread"])[0].tolist() == together[at].tolist()


def test_words_that_fill_the_model_are_refused(adapted: Weights) -> None:
    """A whole description is no label word."""
    with pytest.raises(ConfigError) as caught:
        FillMaskScorer(adapted, [["salt " * 40]], "{}")
    assert caught.value.what == "a label's words take 40 of the 48 tokens that the model reads"
