"""The program that makes background vectors: what it draws, what it writes and what it says of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from triage.engine import model_folder as models
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import BACKGROUND_FILE, SimilarityZeroShot
from triage.issue import Issue
from triage.rows import from_row
from triage.training.background import MOST, OF_EACH, by_repository, choose, describe, main

CARD = "# issue-encoder\n\n- Kind: encoder\n"


def row(repo: str, number: int, **more: object) -> dict[str, object]:
    """An issue as a file holds it, with a text of its own."""
    title = f"Problem {number} of {repo}"
    return {"repo": repo, "number": number, "title": title, "body": None, "labels": []} | more


def groups(repos: int, each: int) -> dict[str, list[Issue]]:
    issues = (from_row(row(f"o/r{r:03}", n + 1), where="here") for r in range(repos) for n in range(each))
    return by_repository(issues)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped encoder without background vectors, with a short card."""
    made, shipped = tmp_path / "model", models.shipped(models.BUILTIN_ENCODER)
    made.mkdir()
    names = (models.MODEL_FILE, models.TOKENIZER_FILE)
    for name in names:
        (made / name).symlink_to(shipped / name)
    manifest = json.loads((shipped / "manifest.json").read_text())
    manifest["files"] = {name: manifest["files"][name] for name in names}
    (made / "manifest.json").write_text(json.dumps(manifest))
    (made / "MODEL_CARD.md").write_text(CARD)
    return made


@pytest.fixture
def issues(tmp_path: Path) -> Path:
    """Seven issues of a repository, one a pull request and one said twice, and one of an evaluated one."""
    rows = [row("o/a", n, created_at=f"2024-05-0{n}T00:00:00Z") for n in range(1, 5)]
    rows.append(row("o/a", 5, is_pull_request=True))
    rows.append(row("o/a", 6, title="Problem 1 of o/a"))
    rows.append(row("o/b", 7))
    rows.append(row("golang/go", 8))
    path = tmp_path / "issues.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(each) + "\n" for each in rows)
    return path


def test_the_program_adds_vectors_hash_and_origin(
    folder: Path, issues: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Vectors lie beside the model, their hash in the manifest, their origin in the card; no text does."""
    assert main([str(issues), "--model", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / BACKGROUND_FILE}: 5 vectors of 2 repositories\n"
    encoder = Encoder.load(folder)
    vectors = np.load(folder / BACKGROUND_FILE, allow_pickle=False)
    texts = [f"Problem {n} of o/a" for n in range(1, 5)] + ["Problem 7 of o/b"]
    expected = encoder.encode(texts).astype(np.float16)
    assert sorted(vectors.tolist()) == sorted(expected.tolist())
    assert set(models.verify(folder).files) == {"background.npy", "model.onnx", "tokenizer.json"}
    assert SimilarityZeroShot.load(encoder).digest != SimilarityZeroShot(encoder, None).digest
    card = (folder / "MODEL_CARD.md").read_text()
    assert card.startswith(CARD + "\n## Background vectors\n\n`background.npy` holds the vectors of 5 public")
    assert "opened 2024-05-01 to 2024-05-04 (1 without a date)" in card
    assert card.endswith("with seed 20 from: o/a (4), o/b (1).\n")
    assert "Problem" not in card


def test_running_it_twice_changes_nothing(folder: Path, issues: Path) -> None:
    """The same issues give the same bytes, and the card gets one section, not two."""
    main([str(issues), "--model", str(folder)])
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    main([str(issues), "--model", str(folder)])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_no_repository_outweighs_another() -> None:
    """At most five issues of each repository are drawn and 512 in all, the same ones each time."""
    few, many = choose(groups(3, 40)), choose(groups(130, 6))
    assert [i.repo for i in few] == [f"o/r{r:03}" for r in range(3) for _ in range(OF_EACH)]
    assert len({i.key for i in few}) == 3 * OF_EACH
    assert len(many) == len({i.key for i in many}) == MOST
    assert choose(groups(3, 40)) == few


def test_evaluated_repositories_stay_out() -> None:
    """What is measured on a repository was not shaped by it, however its name is spelt."""
    rows = [row("Golang/Go", 1), row("dotnet/runtime", 2), row("o/a", 3)]
    assert list(by_repository(from_row(r, where="here") for r in rows)) == ["o/a"]
    kept = by_repository((from_row(r, where="here") for r in rows), exclude=["o/*"])
    assert list(kept) == ["Golang/Go", "dotnet/runtime"]


def test_undated_issues_are_said_to_be_so() -> None:
    """Where no issue has a date the card says so."""
    assert "1 public GitHub issues without dates, at most" in describe(
        [from_row(row("o/a", 1), where="here")]
    )


def test_a_broken_file_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not JSON lines ends with the exit code of bad data, and the model is left alone."""
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps(row("o/a", 1)) + '\n{"labels": []}\n')
    assert main([str(broken), "--model", str(folder)]) == 5
    assert f"{broken}, line 2: in 'title': missing" in capsys.readouterr().err
    broken.write_text("")
    assert main([str(broken), "--model", str(folder)]) == 5
    assert capsys.readouterr().err.startswith("error: no issue is left to make background vectors from\n")
    assert not (folder / BACKGROUND_FILE).exists()
