"""The models that all repositories share: what may teach them, what they learn, and how they are served."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.killing import Killed, killed_after
from tests.toy_encoder import FILLER, TELLING, save_bert
from triage.cli import main
from triage.engine.encoder import Encoder
from triage.errors import DataError
from triage.finetune.training_loop import TrainingStep
from triage.finetune.weights import Weights
from triage.issue import Issue
from triage.rows import to_row
from triage.training import train
from triage.training.corpus import Group, corpus, halves, varied
from triage.training.held_out import EVALUATED, kept_aside
from triage.training.train import EncoderSchedule

# Whether a name is kept aside hangs on a hash of it alone.
TAUGHT = [name for name in (f"team/project-{i}" for i in range(40)) if not kept_aside(name)][:4]
ASIDE = [name for name in (f"team/project-{i}" for i in range(40)) if kept_aside(name)][:2]
NAMES = ("crash", "wish", "how")
SHORT = EncoderSchedule(steps=60, batch=16, max_tokens=32, rate=2e-3, seed=1)


def issues_of(repo: str, count: int, seed: int) -> list[Issue]:
    """Issues whose text names what they are about: the label's name and another word for it."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(1, count + 1):
        label = int(rng.integers(len(NAMES)))
        words = [str(word) for word in rng.choice(FILLER, size=18)]
        words[int(rng.integers(4))] = TELLING[label][0]
        words[4 + int(rng.integers(9))] = TELLING[label][1]
        found.append(Issue(repo, number, " ".join(words[:4]), " ".join(words[4:]), labels=(NAMES[label],)))
    return found


@pytest.fixture(scope="module")
def everything() -> list[Issue]:
    return [issue for at, repo in enumerate([*TAUGHT, *ASIDE]) for issue in issues_of(repo, 60, at)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return Weights(save_bert(tmp_path_factory.mktemp("weights")), "toy", "toy", "MIT")


@pytest.mark.parametrize("repo", [*(name.replace("*", "runtime") for name in EVALUATED), "FACEBOOK/React"])
def test_no_repository_that_results_are_checked_on_teaches(repo: str, everything: list[Issue]) -> None:
    """Whatever the spelling, its issues never reach a training; nor do those drawn to be kept aside."""
    groups = corpus([*everything, *issues_of(repo, 40, 9)])
    assert [group.repo for group in groups] == sorted(TAUGHT)


def test_a_group_kept_aside_is_refused_even_so(everything: list[Issue]) -> None:
    """Were the door left open, training would stop before its first step."""
    [group, *_] = corpus(everything)
    stranger = dataclasses.replace(group, repo=ASIDE[0])
    with pytest.raises(DataError, match="held out"):
        train.checked([group, stranger], SHORT)


def test_nothing_to_train_on_is_said(everything: list[Issue]) -> None:
    """A file of kept-aside repositories alone teaches nothing."""
    with pytest.raises(DataError, match="no repository has enough"):
        train.checked(corpus(issues_of(ASIDE[0], 40, 0)), SHORT)


def test_about_one_repository_in_five_is_kept_aside() -> None:
    """The draw is by the name alone, so that it is the same for everybody."""
    share = np.mean([kept_aside(f"owner-{i}/name") for i in range(2000)])
    assert 0.17 < share < 0.23


def group_of(bodies: Sequence[str], title: str = "[Bug]: it ends early") -> Group:
    rows = [Issue(TAUGHT[0], at, title, body, labels=("bug",)) for at, body in enumerate(bodies, 1)]
    [group] = corpus(rows)
    return group


def test_templates_and_tags_are_left_out_half_of_the_time() -> None:
    """The line that a form puts into every issue, and the tag before a title, are seen and not seen."""
    group = group_of([f"### What happened\nthing {i} broke in its own way" for i in range(20)])
    texts = [varied(group, 0, np.random.default_rng(seed)) for seed in range(40)]
    assert 8 < sum("What happened" in text for text in texts) < 32
    assert 8 < sum(text.startswith("[Bug]") for text in texts) < 32
    assert all("thing 0 broke" in text and "it ends early" in text for text in texts)


def test_a_title_finds_its_body_only_where_both_say_something() -> None:
    """Pairs of next to nothing would teach noise."""
    group = group_of(
        ["short", "a body that is long enough to say what went wrong and where it did so, twice"]
    )
    rng = np.random.default_rng(0)
    assert halves(group, 0, rng) is None
    found = halves(group_of(["b " * 60], title="a title that says what it is about"), 0, rng)
    assert found is not None and found[0].startswith("a title")


def test_the_encoder_learns_to_bring_labels_together(
    weights: Weights, everything: list[Issue], tmp_path: Path
) -> None:
    """On a repository it never saw, issues of one label are closer to each other after training than before."""
    out, steps = tmp_path / "model", list[TrainingStep]()
    run = train.TrainingRun(weights, SHORT, tmp_path / "work", steps.append)
    manifest = train.train_encoder(everything, run, out)
    assert [step.number for step in steps] == list(range(1, 61))
    assert {name for step in steps for name in step.losses} == {"labels", "titles"}
    assert manifest.kind == "encoder" and (tmp_path / "work" / "losses.png").stat().st_size > 1000
    assert f"{TAUGHT[0]} (60)" in (out / "MODEL_CARD.md").read_text()
    unseen = issues_of(ASIDE[0], 45, 77)
    model, tokenizer = weights.open()
    with torch.inference_mode():
        before = np.array(
            [
                model.eval()(**tokenizer(issue.text, return_tensors="pt"))
                .last_hidden_state[0]
                .mean(dim=0)
                .numpy()
                for issue in unseen
            ]
        )
    before /= np.linalg.norm(before, axis=1, keepdims=True)
    after = Encoder.load(out).encode([issue.text for issue in unseen])
    assert apart(after, unseen) > apart(before, unseen) + 0.1


def test_a_continued_training_holds_the_topics_of_another_encoder(
    weights: Weights, everything: list[Issue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held to another encoder's topics, training starts with a loss that it lacks when it is held to its own."""
    # The toy encoder has fewer dimensions than are free otherwise.
    monkeypatch.setattr("triage.training.train.FREE", 4)
    changed, other = tmp_path / "other", weights.open()[0]
    with torch.no_grad():
        for at, weight in enumerate(other.parameters()):
            generator = torch.Generator().manual_seed(at)
            weight.add_(weight.std() * torch.randn(weight.shape, generator=generator))
    other.save_pretrained(changed)
    weights.open()[1].save_pretrained(changed)
    plan, firsts = dataclasses.replace(SHORT, steps=1), []
    for name, topics in (("own", None), ("another", Weights(changed, "other", "other"))):
        steps = list[TrainingStep]()
        run = train.TrainingRun(weights, plan, tmp_path / name, steps.append, topics)
        train.train_encoder(everything, run, tmp_path / name / "model")
        firsts.append(steps[0].losses["labels"])
    own, another = firsts
    assert another > own + 0.5


def apart(vectors: npt.NDArray[np.float32], issues: Sequence[Issue]) -> float:
    """How much closer issues of one label are to each other than to the others, as cosines."""
    same = np.array([[a.labels == b.labels for b in issues] for a in issues])
    cosines, others = vectors @ vectors.T, ~np.eye(len(issues), dtype=bool)
    return float(cosines[same & others].mean() - cosines[~same].mean())


def test_a_killed_training_ends_as_one_never_killed(
    weights: Weights, everything: list[Issue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint, and draws that hang on the step alone, make both runs the same to the last bit."""
    monkeypatch.setattr("triage.finetune.training_loop.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    plan = dataclasses.replace(SHORT, steps=8)
    with pytest.raises(Killed):
        train.train_encoder(
            everything, train.TrainingRun(weights, plan, tmp_path / "a", killed_after(5)), tmp_path / "m"
        )
    train.train_encoder(everything, train.TrainingRun(weights, plan, tmp_path / "a"), tmp_path / "m")
    train.train_encoder(everything, train.TrainingRun(weights, plan, tmp_path / "b"), tmp_path / "n")
    numbers = [
        json.loads(line)["number"] for line in (tmp_path / "a" / "losses.jsonl").read_text().splitlines()
    ]
    assert numbers == list(range(1, 9))
    assert (tmp_path / "m" / "model.onnx").read_bytes() == (tmp_path / "n" / "model.onnx").read_bytes()


def test_training_from_the_command_line(
    weights: Weights, everything: list[Issue], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file goes in; a model folder that verifies and the losses come out."""
    file = tmp_path / "issues.jsonl"
    file.write_text("".join(json.dumps(to_row(issue)) + "\n" for issue in everything))
    command = [
        "models",
        "train",
        "encoder",
        "--from",
        str(file),
        "--weights",
        str(weights.folder),
        "--steps",
        "3",
    ]
    code = main([*command, "--out", str(tmp_path / "m"), "--work", str(tmp_path / "w")])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "step 3 of 3" in said.err
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert (manifest["kind"], manifest["licence"]) == ("encoder", "unknown")
    assert "Trained in 3 steps" in (tmp_path / "m" / "MODEL_CARD.md").read_text()
