"""What each command was asked to do: frozen, built once at the door, by the command line or by the action's inputs.

Values only: the parsers stand in `triage/cli/`, and nothing here reads a file or reaches GitHub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from triage.actions.runner import Event
from triage.bundle.store import StoreName

CONFIG_PATH = ".github/triage.yml"
PER_MINUTE = 30.0


@dataclass(frozen=True)
class When:
    """A moment as it was written: a date, or a span of time before now."""

    text: str
    moment: datetime | None = None
    ago: timedelta | None = None

    def at(self, now: datetime) -> datetime:
        """The moment, seen from `now`."""
        if self.moment is not None:
            return self.moment
        return now - (self.ago or timedelta())


@dataclass(frozen=True)
class ConfigSource:
    """Where the configuration is read: a local file, or else a path in the repository on GitHub."""

    file: Path | None = None
    path: str = CONFIG_PATH


@dataclass(frozen=True)
class LabelOptions:
    """`triage label`: issues of a file, of an event, by number, or open ones without a label since a moment."""

    config: ConfigSource = ConfigSource()
    store: StoreName | None = None
    file: Path | None = None
    event: Event | None = None
    repo: str = ""
    issues: tuple[int, ...] = ()
    since: When | None = None
    json: bool = False
    dry_run: bool = False
    skip_bad: bool = False


@dataclass(frozen=True)
class RetrainOptions:
    """`triage retrain`. `budget` is in seconds; `against` is the store whose active bundle is compared with."""

    sources: tuple[str, ...]
    store: StoreName
    against: StoreName | None = None
    config: ConfigSource = ConfigSource()
    repo: str = ""
    adapt: str = "auto"
    budget: float = 1800.0
    weights: str | None = None
    split: str | None = None
    cache: Path | None = None
    plots: Path | None = None
    engine: str = "local"
    always: bool = False
    skip_bad: bool = False


@dataclass(frozen=True)
class PlanOptions:
    """`triage backfill --from`: which past issues, out of a file or a repository. `shard` is (i, n), 1 <= i <= n."""

    source: str
    out: Path
    config: ConfigSource = ConfigSource()
    store: StoreName | None = None
    repo: str = ""
    since: When | None = None
    until: When | None = None
    state: str = "all"
    labels: tuple[str, ...] = ()
    unlabelled: bool = False
    issues: tuple[int, ...] = ()
    limit: int | None = None
    shard: tuple[int, int] | None = None
    engine: str = "local"


@dataclass(frozen=True)
class ApplyOptions:
    """`triage backfill --apply`: the plan, and how many issues a minute are written to."""

    plan: Path
    config: ConfigSource = ConfigSource()
    repo: str = ""
    journal: Path | None = None
    per_minute: float = PER_MINUTE
    dry_run: bool = False


@dataclass(frozen=True)
class MergeOptions:
    """`triage backfill --merge`: plans of all shards, and the folder of the one made out of them."""

    plans: tuple[Path, ...]
    out: Path


@dataclass(frozen=True)
class UndoOptions:
    """`triage undo`: the journal of what is taken back, and where the undoing is journalled."""

    undone: Path
    journal: Path | None = None
    per_minute: float = PER_MINUTE
    dry_run: bool = False


@dataclass(frozen=True)
class BundleOptions:
    """`triage bundle ACTION`: the store, a bundle's name, and for `publish` the store to copy from."""

    action: str
    store: StoreName
    config: ConfigSource = ConfigSource()
    name: str | None = None
    source: StoreName | None = None


@dataclass(frozen=True)
class CheckOptions:
    """`triage check`."""

    config: ConfigSource = ConfigSource()
    repo: str = ""
    store: StoreName | None = None


@dataclass(frozen=True)
class InitOptions:
    """`triage init`: the folder that is written into, and the repository whose labels are read."""

    folder: Path = Path()
    repo: str = ""
    force: bool = False


@dataclass(frozen=True)
class EvaluateOptions:
    """`triage evaluate`. `budget` is in seconds; `slices` are numbers of labelled issues (None: by rule)."""

    sources: tuple[str, ...]
    out: Path
    config: ConfigSource = ConfigSource()
    repo: str = ""
    methods: tuple[str, ...] | None = None
    slices: tuple[int, ...] | None = None
    seeds: int = 3
    budget: float | None = None
    split: str | None = None
    least: int = 20
    issues: int | None = None
    unlabelled: int = 1_000
    models: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    skip_bad: bool = False
    command: str = ""
