"""What retraining is tested with: the sample's issues, embedded once, and the same issues on the fake GitHub."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.fake_github.repository import Repository
from tests.live import FERRY, Step
from tests.sample import CONFIG, LEARNT_FROM, SAMPLE, Trained
from tests.tracking import tracker_of
from triage.arrays import Floats
from triage.bundle.bundle import Bundle
from triage.bundle.open import open_engines
from triage.config import Config
from triage.github.git_store import GitStore
from triage.issue import Issue
from triage.learn.dataset import Dataset, prepare, split
from triage.learn.recipe import Engines, Recipe
from triage.learn.retrain import RetrainContext, assemble
from triage.learn.vectors import NAME, embed
from triage.sources.issue_file import read_issues

HOME = f"github:{FERRY}"
RETRAIN = ("retrain", f"--from={FERRY}", f"--store={HOME}", "--adapt=none")
NOW = "2026-02-01T00:00:00Z"
LATER = timedelta(hours=1)
# On GitHub's clock, when all of the sample has happened.
AFTERWARDS = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Material:
    """The sample's issues and their vectors, and the engines that made these."""

    data: Dataset
    vectors: Floats
    engines: Engines

    def study(self, config: Config, adaptation: str = "none", **changes: object) -> Recipe:
        """A recipe on this material."""
        made = Recipe(self.data, self.vectors, split(self.data, None), config, self.engines, adaptation)
        return dataclasses.replace(made, **changes)  # type: ignore[arg-type] # whatever the test changes

    def without(self, label: str) -> Material:
        """The same issues, as if nobody had ever set the label."""
        issues = [
            dataclasses.replace(issue, labels=tuple(name for name in issue.labels if name != label))
            for issue in self.data.issues
        ]
        rows = [i for i, issue in enumerate(issues) if issue.labels]
        data = prepare([issues[i] for i in rows], Config())
        at = {issue.key: i for i, issue in enumerate(issues)}
        return dataclasses.replace(self, data=data, vectors=self.vectors[[at[i.key] for i in data.issues]])


@pytest.fixture(scope="session")
def material(trained: Trained, sample_config: Config) -> Material:
    """The sample, with the vectors that the trained store keeps."""
    data = prepare(read_issues(LEARNT_FROM), sample_config)
    engines = Engines(*open_engines(sample_config))
    embedded = embed(data.issues, engines.encoder, trained.store.get(NAME), lambda _: None)
    assert embedded.computed == 0
    return Material(data, embedded.vectors, engines)


def bundle_of(study: Recipe) -> Bundle:
    """What would have been saved of a study."""
    return assemble(study, RetrainContext(NOW))


@functools.cache
def histories() -> tuple[Issue, ...]:
    """The sample's issues, those with a history in its place."""
    told = {issue.number: issue for issue in read_issues(SAMPLE / "events.jsonl")}
    return tuple(told.get(issue.number, issue) for issue in read_issues(LEARNT_FROM))


def populate(repository: Repository, issues: Iterable[Issue]) -> None:
    """Put issues and who labelled them when into a repository; without a history, a maintainer did, an hour later."""
    for issue in issues:
        for name in {*issue.labels, *(event.label for event in issue.events or ())}:
            if name.casefold() not in repository.labels:
                repository.add_label(name)
        made = repository.add_issue(
            issue.title, issue.body, issue.author, at=issue.created_at, number=issue.number
        )
        if issue.events is None and issue.created_at:
            made.add_labels(issue.labels, "marit-oh", at=issue.created_at + LATER)
        for event in issue.events or ():
            change = made.add_labels if event.added else made.remove_labels
            change([event.label], event.actor, at=event.at)


@pytest.fixture
def past(step: Step, trained: Trained) -> Step:
    """The sample's repository with its past: issues, who labelled them, its configuration, and embedded texts."""
    populate(step.repository, histories())
    step.github.world.clock.set(AFTERWARDS)
    step.configure(CONFIG.read_text("utf-8") + "learn: {trusted_bots: [ferry-ci-robot], min_new: 5}\n")
    kept = trained.store.get(NAME)
    assert kept is not None
    GitStore(tracker_of(step.github, repo=FERRY)).put(NAME, kept)
    step.github.requests.clear()
    return step


def active(step: Step) -> Bundle:
    """The active bundle as another process reads it."""
    store = GitStore(tracker_of(step.github, repo=FERRY))
    return store.load(store.role("active") or "")
