"""`triage retrain --adapt encoder`: from issues to a bundle with an encoder of its own, and to labels by it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.learning import NOW, Material
from tests.toy_encoder import save_bert, toy_issues
from triage.arrays import Ints
from triage.bundle.local_store import LocalStore
from triage.cli import main
from triage.config import Config
from triage.engine.model_folder import BUILTIN_ENCODER, shipped
from triage.finetune.fine_tune import learn_tuned
from triage.learn.dataset import split
from triage.learn.retrain import RetrainContext

LABELS = "bug", "enhancement", "question"
COUNT = 120


def write(path: Path) -> Path:
    """A day between each issue and the next."""
    texts, targets = toy_issues(COUNT, seed=3)
    rows = [
        {
            "repo": "octo/toys",
            "number": number,
            "title": text,
            "body": "",
            "labels": [LABELS[j] for j in np.flatnonzero(carried)],
            "created_at": (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number)).isoformat(),
        }
        for number, (text, carried) in enumerate(zip(texts, targets, strict=True), start=1)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def argv(tmp_path: Path) -> list[str]:
    """Learning from such issues into a store, with the tiny weights to start from."""
    (tmp_path / "weights").mkdir()
    weights = save_bert(tmp_path / "weights")
    file, store = write(tmp_path / "issues.jsonl"), tmp_path / "store"
    return ["retrain", f"--from={file}", f"--store={store}", "--adapt=encoder", f"--weights={weights}"]


def test_a_bundle_brings_its_own_encoder_and_labels_by_it(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told so, whole when verified, and kept by the gate against a retraining without one."""
    store = LocalStore(tmp_path / "store")
    assert main([*argv, "--time-limit=30m"]) == 0
    name = store.role("active") or ""
    bundle, said = store.load(name), capsys.readouterr()
    assert bundle.manifest.recipe["own_encoder"] is True
    assert bundle.manifest.encoder.endswith("-tuned")
    assert "  adaptation     encoder" in said.out
    assert "fine-tuning (early): step " in said.err
    assert "fine-tuning (final): step " in said.err
    assert main(["bundle", "verify", f"--store={store.folder}"]) == 0
    new = tmp_path / "new.jsonl"
    row = {"repo": "octo/toys", "number": 999, "title": "crash panic", "body": "", "labels": []}
    new.write_text(json.dumps(row), "utf-8")
    assert main(["label", f"--from={new}", f"--store={store.folder}"]) == 0
    assert "bug" in capsys.readouterr().out
    assert main([*argv[:3], "--adapt=none", "--always"]) == 10
    assert "the active bundle has an encoder of its own: learn with --adapt encoder, as before" in (
        capsys.readouterr().err
    )
    assert store.role("active") == name
    assert store.role("staged") is not None


def test_under_an_own_encoder_duplicates_are_looked_for_only_if_asked(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The similarity that was measured is one of the shipped encoder, which the configuration names all the same."""
    assert main([*argv, "--time-limit=30m"]) == 0
    old = json.loads((tmp_path / "issues.jsonl").read_text("utf-8").splitlines()[0])
    new, config = tmp_path / "new.jsonl", tmp_path / "triage.yml"
    new.write_text(json.dumps(old | {"number": 999, "labels": []}), "utf-8")
    label = ["label", f"--from={new}", f"--store={tmp_path / 'store'}", "--json"]
    capsys.readouterr()
    assert main(label) == 0
    assert json.loads(capsys.readouterr().out)["duplicates"] == []
    config.write_text("act: {duplicates: 0.999}", "utf-8")
    assert main([*label, f"--config={config}"]) == 0
    nearest, *_ = json.loads(capsys.readouterr().out)["duplicates"]
    assert nearest == {"number": old["number"], "similarity": 1.0}
    for act, missed in (("", True), (", duplicates: 0.9", False)):
        config.write_text(f"act: {{comment_duplicates: true{act}}}", "utf-8")
        assert main(["check", f"--config={config}", f"--store={tmp_path / 'store'}"]) == 0
        assert (
            "under the bundle's own encoder, they are looked for only" in capsys.readouterr().out
        ) == missed


@pytest.mark.parametrize(
    ("budget", "lacking", "code", "words"),
    [
        ("soon", "", 2, "error: 'soon' is not a time limit\n"),
        ("30m", "torch", 11, "error: --adapt encoder needs torch\n"),
        ("30m", "sklearn", 11, "error: learning needs sklearn\n"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_read(
    argv: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    budget: str,
    lacking: str,
    code: int,
    words: str,
) -> None:
    """Not after an hour of embedding."""
    if lacking:
        monkeypatch.setitem(sys.modules, lacking, None)
    (tmp_path / "issues.jsonl").write_text("no issues\n", "utf-8")
    assert main([*argv, f"--time-limit={budget}"]) == code
    assert capsys.readouterr().err.startswith(words)
    assert not (tmp_path / "store").exists()


def test_what_is_measured_was_not_tuned_on(material: Material) -> None:
    """One encoder sees only what is older than the issues that it is measured on, the other sees everything."""
    tuned: dict[str, Ints] = {}

    def tune(_: object, rows: Ints, name: str) -> Path:
        tuned[name] = rows
        return shipped(BUILTIN_ENCODER)

    data, context = material.data, RetrainContext(NOW)
    learnt, rival = learn_tuned(data, material.vectors, Config(), material.engines, context, tune)
    windows = learnt.recipe.split
    measured = np.concatenate([fold.query for fold in (*windows.tune, windows.test)])
    assert tuned["early"].max() < measured.min()
    assert tuned["final"].tolist() == list(range(len(data)))
    assert rival.split is windows
    whole = split(data, None)
    assert len(windows.tune) == len(whole.tune) / 2
    assert windows.test.query.tolist() == whole.test.query.tolist()
