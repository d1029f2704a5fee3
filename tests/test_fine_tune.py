"""From labelled issues to an encoder in a model folder: served, checked, bounded, taken up after a kill."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from tests.killing import Killed, killed_after
from tests.toy_encoder import save_bert, toy_issues
from triage.engine import model_folder as models
from triage.engine.encoder import Encoder
from triage.engine.model_folder import BUILTIN_ENCODER, read_manifest, shipped, write_manifest
from triage.errors import DataError, ModelError
from triage.finetune import export, fine_tune
from triage.finetune import training_loop as checkpoint
from triage.finetune import training_loop as loop
from triage.finetune.fine_tune import Labelled
from triage.finetune.training_loop import LOSSES_FILE, TrainingSchedule, TrainingStep
from triage.finetune.weights import Weights, find_weights, weights_of

SHORT = TrainingSchedule(epochs=2, max_tokens=16)
ISSUES = Labelled(*toy_issues(70, seed=1))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return find_weights(str(save_bert(tmp_path_factory.mktemp("toy"))))


def losses(folder: Path) -> list[int]:
    """The numbers of the steps in the log."""
    return [json.loads(line)["number"] for line in (folder / LOSSES_FILE).read_text().splitlines()]


def test_the_folder_serves_the_tuned_encoder(weights: Weights, tmp_path: Path) -> None:
    """It is verified, says what it was made of, and is no longer the model that it started from."""
    manifest = fine_tune.fine_tune(ISSUES, weights, tmp_path / "tuned", plan=replace(SHORT, seed=7))
    assert manifest == models.verify(tmp_path / "tuned")
    assert (manifest.kind, manifest.dimension, manifest.max_tokens) == ("encoder", 32, 16)
    assert (manifest.name, manifest.source) == (f"{weights.name}-tuned", weights.name)
    card = (tmp_path / "tuned" / "MODEL_CARD.md").read_text()
    assert "Fine-tuned on 70 labelled issues with 3 labels, in 6 steps of at most 32 issues, seed 7" in card
    start, _ = export.export(
        export.ExportOptions(str(weights.folder), "toy", max_tokens=16), tmp_path / "start"
    )
    assert manifest.files[models.MODEL_FILE] != start.files[models.MODEL_FILE]
    assert manifest.files[models.TOKENIZER_FILE] == start.files[models.TOKENIZER_FILE]
    vectors = Encoder.load(tmp_path / "tuned").encode(ISSUES.texts)
    assert vectors.shape == (70, 32)


def test_the_same_seed_gives_the_same_model(weights: Weights, tmp_path: Path) -> None:
    """Two runs give files with the same hashes."""
    one = fine_tune.fine_tune(ISSUES, weights, tmp_path / "one", plan=replace(SHORT, seed=7))
    two = fine_tune.fine_tune(ISSUES, weights, tmp_path / "two", plan=replace(SHORT, seed=7))
    assert one == two


def test_a_killed_run_gives_the_model_of_one_never_killed(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken up from its checkpoint: the same hashes, each step once in the log, and no tensors left over."""
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    whole = fine_tune.fine_tune(ISSUES, weights, tmp_path / "whole", plan=SHORT)

    kept = tmp_path / "kept"
    with pytest.raises(Killed):
        fine_tune.fine_tune(
            ISSUES, weights, tmp_path / "tuned", plan=SHORT, checkpoint=kept, progress=killed_after(4)
        )
    assert losses(kept) == [1, 2, 3, 4]
    assert not (tmp_path / "tuned").exists()
    seen: list[TrainingStep] = []
    resumed = fine_tune.fine_tune(
        ISSUES, weights, tmp_path / "tuned", plan=SHORT, checkpoint=kept, progress=seen.append
    )
    assert [step.number for step in seen] == [4, 5, 6]
    assert resumed == whole
    assert losses(kept) == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in kept.iterdir()] == [LOSSES_FILE]


def test_a_budget_of_nothing_still_gives_a_model(weights: Weights, tmp_path: Path) -> None:
    """Training stops after its first step, and the export is made all the same."""
    seen: list[TrainingStep] = []
    manifest = fine_tune.fine_tune(
        ISSUES, weights, tmp_path / "tuned", plan=TrainingSchedule(seconds=0.0), progress=seen.append
    )
    assert [(step.number, step.total) for step in seen] == [(1, 1)]
    assert manifest == models.verify(tmp_path / "tuned")


@pytest.mark.parametrize(("seconds", "training"), [(1800.0, 1740.0), (40.0, 30.0)])
def test_a_budget_keeps_time_for_the_export(seconds: float, training: float) -> None:
    """A minute of it, of a small one a quarter."""
    assert fine_tune.before_export(seconds) == training


def test_an_untrue_export_is_refused_and_training_is_kept(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where int8 is too far from PyTorch no model folder appears, and the checkpoint lies there for another try."""
    monkeypatch.setattr(export, "LEAST_COSINE", 1.1)
    with pytest.raises(ModelError) as caught:
        fine_tune.fine_tune(ISSUES, weights, tmp_path / "tuned", plan=SHORT, checkpoint=tmp_path / "kept")
    assert "differs too much from it: cosine 0.9" in caught.value.what
    assert not (tmp_path / "tuned").exists()
    assert (tmp_path / "kept" / checkpoint.FILE).is_file()


@pytest.mark.parametrize("carried", [np.zeros(6), np.ones(6), np.arange(6) == 0])
def test_labels_that_part_nothing_are_refused(weights: Weights, tmp_path: Path, carried: np.ndarray) -> None:
    """No label at all, one that every issue carries, or one issue's alone: there is nothing to learn."""
    issues = Labelled(ISSUES.texts[:6], carried.astype(np.bool_)[:, None])
    with pytest.raises(DataError) as caught:
        fine_tune.fine_tune(issues, weights, tmp_path / "tuned")
    assert caught.value.what == "no label is carried by two of the 6 issues and lacking on another"


def test_the_fingerprint_tells_runs_apart(weights: Weights, tmp_path: Path) -> None:
    """Other texts, labels, groups, seeds or weights make another run; another budget of time does not."""
    plan = SHORT
    base = fine_tune.fingerprint(ISSUES, weights, plan)
    shutil.copytree(weights.folder, tmp_path / "other")
    with (tmp_path / "other" / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    texts, targets = ISSUES.texts, ISSUES.targets
    others = [
        fine_tune.fingerprint(Labelled([*texts[:-1], "other"], targets), weights, plan),
        fine_tune.fingerprint(Labelled(texts, ~targets), weights, plan),
        fine_tune.fingerprint(Labelled(texts, targets, ["a"] * 70), weights, plan),
        fine_tune.fingerprint(ISSUES, weights, replace(plan, seed=1)),
        fine_tune.fingerprint(ISSUES, find_weights(str(tmp_path / "other")), plan),
    ]
    assert len({base, *others}) == 6
    assert fine_tune.fingerprint(ISSUES, weights, replace(plan, seconds=60.0)) == base


def test_a_pickle_is_not_read(weights: Weights, tmp_path: Path) -> None:
    """A folder whose weights are a pickle is refused before anything of it runs."""
    folder = tmp_path / "pickled"
    shutil.copytree(weights.folder, folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError) as caught:
        find_weights(str(folder)).open()
    assert caught.value.what.startswith(f"cannot read the weights in {folder}: ")
    assert caught.value.likely == "the folder holds no model, or its weights are a pickle"


def test_without_a_name_the_weights_are_those_of_the_shipped_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are made of the int8 model that labelling runs, once, and encode texts as it does."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = find_weights()
    assert (found.name, found.licence) == (BUILTIN_ENCODER, "Apache-2.0")
    assert find_weights().folder == found.folder
    model, tokenizer = found.open()
    text = "Crash when the file is empty: a message would be better"
    with torch.inference_mode():
        states = model.eval()(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    ours, theirs = Encoder.load().encode([text])[0], states.mean(dim=0).numpy()
    assert ours @ theirs / np.linalg.norm(theirs) > 0.99


def test_what_training_moves_survives_the_way_through_int8() -> None:
    """Moved by a fifth of a step of int8, one weight in five comes out a step further; from the steps, none would."""
    graph = onnx.load(shipped(BUILTIN_ENCODER) / "model.onnx")
    stored = {each.name: numpy_helper.to_array(each) for each in graph.graph.initializer}
    path = "encoder/layer.3/output/dense"
    [product] = [node for node in graph.graph.node if node.name == f"/{path}/MatMul_quant"]
    name = product.input[1].removesuffix("_quantized")
    steps = weights_of(graph)[f"{path.replace('/', '.')}.weight"].numpy().T / stored[f"{name}_scale"]
    whole = stored[f"{name}_quantized"].astype(float)
    assert np.abs(steps - whole).max() < 0.501
    assert (np.round(steps + 0.2) - whole).mean() == pytest.approx(0.2, abs=0.01)


def test_a_model_folder_without_its_configuration_gives_no_weights(tmp_path: Path) -> None:
    """How many heads its attention has cannot be seen in the graph, and is not guessed."""
    folder = tmp_path / "model"
    shutil.copytree(shipped(BUILTIN_ENCODER), folder)
    manifest = read_manifest(folder)
    files = {name: sha for name, sha in manifest.files.items() if name != "config.json"}
    write_manifest(folder, dataclasses.replace(manifest, files=files))
    with pytest.raises(ModelError) as caught:
        find_weights(str(folder))
    assert caught.value.what == f"{folder} holds no encoder that PyTorch weights can be made of"


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("no such folder", "no weights 'no such folder': neither a folder nor a hub model `org/name`"),
        ("org/name", "the weights org/name are not pinned by a revision of 40 hex digits"),
        ("org/name@main", "the weights org/name are not pinned by a revision of 40 hex digits"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(spec: str, what: str) -> None:
    """Neither a guess nor a branch that may move is accepted."""
    with pytest.raises(ModelError) as caught:
        find_weights(spec)
    assert caught.value.what == what
