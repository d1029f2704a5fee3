"""The sample project of `examples/`, and a bundle learnt from it once for all tests, by the program itself."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sharing import made_once
from triage import config as configuration
from triage.bundle.bundle import Bundle
from triage.bundle.local_store import LocalStore
from triage.bundle.model import ServingModel
from triage.bundle.open import open_serving
from triage.cli import main
from triage.config import Config
from triage.issue import Issue
from triage.sources.issue_file import read_issues

SAMPLE = Path(__file__).parent.parent / "examples" / "sample"
LEARNT_FROM, NEW, CONFIG = SAMPLE / "issues.jsonl", SAMPLE / "new.jsonl", SAMPLE / "triage.yml"


@dataclass(frozen=True)
class Trained:
    """What `triage retrain` did with the sample issues: its exit code, its words and its store."""

    code: int
    out: str
    folder: Path

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.folder)

    @property
    def name(self) -> str:
        name = self.store.role("active")
        assert name is not None
        return name

    @property
    def bundle_folder(self) -> Path:
        return self.folder / "bundles" / self.name


@pytest.fixture(scope="session")
def trained(shared_folder: Path) -> Trained:
    """The sample issues, learnt once in a run; to be read only, `own_store` is a copy to spoil."""

    def learn(folder: Path) -> None:
        argv = ["retrain", f"--from={LEARNT_FROM}", f"--store={folder / 'store'}", f"--config={CONFIG}"]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = main(argv)
        (folder / "said.json").write_text(json.dumps([code, out.getvalue()]), "utf-8")

    folder = made_once(shared_folder / "sample", learn)
    code, out = json.loads((folder / "said.json").read_text("utf-8"))
    return Trained(code, out, folder / "store")


@pytest.fixture
def own_store(trained: Trained, tmp_path: Path) -> Trained:
    """A copy of the learnt store that a test may change."""
    shutil.copytree(trained.folder, tmp_path / "store")
    return Trained(trained.code, trained.out, tmp_path / "store")


@pytest.fixture(scope="session")
def sample_config() -> Config:
    """The configuration of the sample project."""
    return configuration.load(CONFIG)


@pytest.fixture(scope="session")
def bundle(trained: Trained) -> Bundle:
    """The learnt bundle, loaded."""
    return trained.store.load(trained.name)


@pytest.fixture(scope="session")
def model(trained: Trained, sample_config: Config) -> ServingModel:
    """The learnt bundle and the engines, opened as the program opens them."""
    return open_serving(sample_config, trained.store)


@pytest.fixture(scope="session")
def new_issues() -> list[Issue]:
    """The sample's unlabelled issues."""
    return read_issues(NEW)
