"""The Python interface: open a store of bundles, decide on issues, and read the evidence.

    from triage.api import Issue, open_model

    model = open_model("bundles")
    for decision in model.decide([Issue("OWNER/NAME", 7, "It crashes", "It crashes at start with a trace.")]):
        print(decision.labels, decision.scores, decision.voters)

What is exported here keeps its names and types between releases of one major version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.bundle.open import open_serving
from triage.bundle.store import StoreName
from triage.config import Config
from triage.decide import Decision, Evidence, Neighbour, case_of, decide
from triage.decide.case import with_rules
from triage.errors import TriageError, UsageError
from triage.github.open import open_store
from triage.issue import Issue
from triage.rows import from_row

if TYPE_CHECKING:
    from triage.bundle.model import ServingModel

__all__ = [
    "Config",
    "Decision",
    "Evidence",
    "Issue",
    "LoadedModel",
    "Neighbour",
    "TriageError",
    "from_row",
    "open_model",
]


@dataclass(frozen=True)
class LoadedModel:
    """What labels issues: a bundle with its engines, and the configuration that it is used under.

    `name` is that of the bundle, or "none" where labels are judged by their descriptions alone.
    """

    config: Config
    serving: ServingModel

    @property
    def name(self) -> str:
        return self.serving.name

    @property
    def labels(self) -> frozenset[str]:
        """The labels that can be elected."""
        return frozenset(self.serving.labels)

    def decide(self, issues: Iterable[Issue]) -> Iterator[Decision]:
        """A decision for each issue, in order, taken as they are asked for; nothing is written anywhere.

        Labels that an issue carries are not considered: it is decided by its text, and by the fixed rules.
        """
        cases = (with_rules(case_of(issue), self.config.rules) for issue in issues)
        return decide(cases, self.serving, self.serving.policy(self.config))


def open_model(
    store: str | PathLike[str] | None = None, config: str | PathLike[str] | Config | None = None
) -> LoadedModel:
    """The active bundle of a store, ready to decide.

    `store` is a folder, or `github:OWNER/NAME` (which needs GITHUB_TOKEN); without one, labels are judged by the
    descriptions in the configuration. `config` is a configuration, or the path of its file; the default otherwise.

    Raises TriageError: UsageError for a store that does not exist, ConfigError, BundleError, ModelError, AccessError,
    and NothingToLabelWith where there is neither a bundle nor a description nor a fixed rule.
    """
    settings = (
        config if isinstance(config, Config) else configuration.load(None if config is None else Path(config))
    )
    if store is None:
        return LoadedModel(settings, open_serving(settings, None))
    name = StoreName.parse(str(store))
    if name.is_missing:
        raise UsageError(
            f"{name} is not a store", next_step="give a folder that `triage retrain --store` wrote"
        )
    return LoadedModel(settings, open_serving(settings, open_store(name, settings)))
