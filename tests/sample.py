"""The sample project of `examples/`, and a bundle learnt from it once for all tests, by the program itself."""

from __future__ import annotations

import contextlib
import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

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
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The sample issues, learnt; to be read only, `own_store` is a copy to spoil."""
    folder = tmp_path_factory.mktemp("sample") / "store"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["retrain", "--from", str(LEARNT_FROM), "--store", str(folder), "--config", str(CONFIG)])
    return Trained(code, out.getvalue(), folder)


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
