"""The methods that take torch: each learns a tiny task, repeats itself, and says what it lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from tests.toy_language import (
    LABELS,
    agreement,
    context_of,
    labelled_texts,
    pairs_of,
    save_causal,
    save_toy,
    task_of,
    texts_of,
    train,
)
from triage.finetune.training_loop import TrainingSchedule
from triage.finetune.weights import find_weights
from triage.study import masked_lm as masked
from triage.study.augment import BackTranslation, Contextual
from triage.study.masked_lm import adapt
from triage.study.methods import few_shot
from triage.study.methods import fine_tuned as classify
from triage.study.methods.few_shot import FewShot
from triage.study.methods.fill_mask import FillMask
from triage.study.methods.fine_tuned import DomainAdapted, FineTuned

KNOWN, TRUTH = labelled_texts(120, seed=1)
NEW, WANTED = labelled_texts(60, seed=2)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans that suit a model of 32 numbers."""
    torch.set_num_threads(1)
    monkeypatch.setattr(classify, "PLAN", TrainingSchedule(epochs=12, max_tokens=16, batch=16, rate=3e-3))
    monkeypatch.setattr(masked, "PLAN", TrainingSchedule(epochs=2, max_tokens=24, batch=16, rate=5e-3))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_toy(tmp_path_factory.mktemp("toy")))


@pytest.mark.parametrize("kind", ["fine-tuned", "domain-adapted"])
def test_fine_tuning_tells_the_labels_of_new_texts(kind: str, weights: str, tmp_path: Path) -> None:
    """With the labels of the issues it is nearly always right, with shuffled ones it is not; twice it is the same."""
    method = (FineTuned if kind == "fine-tuned" else DomainAdapted)(context_of(tmp_path, weights=weights))
    task, queries = task_of(KNOWN, TRUTH, pairs_of(30, seed=3)), texts_of(NEW)
    found = method.fit(task).scores(queries)
    assert agreement(found, WANTED) > 0.9
    assert ((found >= 0) & (found <= 1)).all()
    assert method.fit(task).scores(queries).tolist() == found.tolist()
    shuffled = np.random.default_rng(0).permutation(TRUTH)
    assert agreement(method.fit(replace(task, targets=shuffled)).scores(queries), WANTED) < 0.8


def test_a_score_depends_on_no_other_query(weights: str) -> None:
    """A text alone gets, bit for bit, what it gets among others."""
    fitted = FineTuned(context_of(weights=weights)).fit(task_of(KNOWN[:30], TRUTH[:30]))
    together = fitted.scores(texts_of(NEW[:4]))
    for at in range(4):
        assert fitted.scores(texts_of([NEW[at]]))[0].tolist() == together[at].tolist()


def save_guesser(folder: Path) -> str:
    """A masked language model that learnt to put one of its labels into the gap after a text."""
    folder.mkdir()
    save_toy(folder, with_head=True)
    model = transformers.BertForMaskedLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts, targets = labelled_texts(400, seed=4)

    def batch(step: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng(step)
        rows = rng.choice(len(texts), size=32)
        labels = [LABELS[rng.choice(np.flatnonzero(targets[row]))] for row in rows]
        read = tokenizer(
            [f"{texts[row]} this issue is about [MASK] ." for row in rows], padding=True, return_tensors="pt"
        )
        answer = torch.full_like(read["input_ids"], -100)
        answer[read["input_ids"] == tokenizer.mask_token_id] = torch.tensor(
            tokenizer.convert_tokens_to_ids(labels)
        )
        return {**read, "labels": answer}

    train(model, 200, batch)
    model.save_pretrained(folder)
    return str(folder)


def test_a_gap_tells_labels_without_an_example(weights: str, tmp_path: Path) -> None:
    """A model that fills "this issue is about …" names the labels; untrained it cannot; labels play no part."""
    method, task, queries = (
        FillMask(context_of(masked=save_guesser(tmp_path / "guesser"))),
        task_of(KNOWN, TRUTH, NEW[:20]),
        texts_of(NEW),
    )
    found = method.fit(task).scores(queries)
    assert agreement(found, WANTED) > 0.8
    untrained = FillMask(context_of(masked=weights)).fit(task).scores(queries)
    assert agreement(untrained, WANTED) < 0.7
    assert method.fit(replace(task, targets=~TRUTH)).scores(queries).tolist() == found.tolist()


def test_a_prompt_follows_its_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels of the nearest issues come out; of an untrained model they do not; twice it is the same."""
    (tmp_path / "trained").mkdir()
    (tmp_path / "raw").mkdir()
    single = [at for at in range(len(KNOWN)) if TRUTH[at].sum() == 1]
    texts, truth = [f"{KNOWN[at]} zo" for at in single], TRUTH[single]
    task = replace(task_of(texts, truth), unlabelled=texts_of([]))
    queries = texts_of(["zo ba", "tu mi"] * 2, np.eye(2, dtype=bool)[[0, 1, 0, 1]])
    wanted = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    monkeypatch.setattr(few_shot, "SHOTS", 1)
    method = FewShot(context_of(causal=save_causal(tmp_path / "trained", 120)))
    found = method.fit(task).scores(queries)
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).all()
    assert agreement(found, wanted) == 1.0
    assert method.fit(task).scores(queries).tolist() == found.tolist()
    shown = method.fit(task).examples("zo ba", queries.vectors[0])
    assert [example.labels for example in shown] == [["kitchen"]]


@pytest.mark.parametrize("insert", [False, True])
def test_words_in_context_are_other_words_that_fit(insert: bool, weights: str, tmp_path: Path) -> None:
    """Lines stay, words are replaced or added out of the vocabulary, and a seed repeats itself."""
    head = adapt(pairs_of(80, seed=1), find_weights(weights), tmp_path, plan=masked.PLAN)
    augmenter = Contextual(context_of(masked=str(head.folder)), insert)
    assert augmenter.unavailable() == ""
    texts = ["salt pepper\nlock key cup saucer", "", "12 ?"]
    found = augmenter.augment(texts, seed=3)
    assert found == augmenter.augment(texts, seed=3)
    assert found[1:] == ["", "12 ?"]
    assert found[0].count("\n") == 1
    assert len(found[0].split()) == 6 + insert
    assert found[0] != texts[0]


def test_what_is_not_at_hand_is_named() -> None:
    """Without a model there is a reason in words, and no number."""
    assert FewShot(context_of()).unavailable() == "no causal language model was named"
    assert BackTranslation(context_of()).unavailable().startswith("no translation models were named")
    assert Contextual(context_of(), True).unavailable().startswith("no masked language model was named")
    assert (
        FineTuned(context_of(weights="no such folder"))
        .unavailable()
        .startswith("no weights 'no such folder'")
    )
