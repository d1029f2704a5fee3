"""The options of each command as frozen values, built by the command line or from the action's inputs.

The parsers are in `triage/cli/`; nothing here reads a file or reaches GitHub.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from triage.bundle.store import StoreName
    from triage.issue import Kind, TextBeforeEdit

CONFIG_PATH = ".github/triage.yml"
OTHER_CONFIG_PATH = ".github/triage.yaml"
PER_MINUTE = 30.0
MOST_SHARDS = 10_000


LOCAL = "local"
ADAPTATIONS = ("none", "head", "encoder")


@dataclass(frozen=True)
class EventComment:
    """A new comment on an issue, or one that was `edited`: its id for GraphQL, the login of its author, its text."""

    node_id: str
    author: str
    body: str = field(default="", repr=False)
    is_bot: bool = False
    edited: bool = False


@dataclass(frozen=True)
class Event:
    """What started the workflow: an item of `repo`, and what was done to it.

    `comment` is the one that started it, if one did: with text where it is new or edited, else without. `type` is the
    name of the issue's type, empty without one; None: not told.
    """

    repo: str
    number: int
    action: str
    before: TextBeforeEdit
    comment: EventComment | None = None
    kind: Kind = "issue"
    type: str | None = None


@dataclass(frozen=True)
class When:
    """A moment as the user wrote it in `text`: a date, or a time span before now."""

    text: str
    moment: datetime | None = None
    ago: timedelta | None = None

    def at(self, now: datetime) -> datetime:
        """The moment, relative to `now`."""
        if self.moment is not None:
            return self.moment
        return now - (self.ago or timedelta())


@dataclass(frozen=True)
class ConfigSource:
    """Where the configuration is: a local file, or else a path in the repository on GitHub.

    What is named must exist. Without a path, it is at CONFIG_PATH or OTHER_CONFIG_PATH, or there is none.
    """

    file: Path | None = None
    path: str = ""


@dataclass(frozen=True)
class LabelOptions:
    """`triage label`: issues of a file, by number, open ones since a moment that an event missed, or that of an event.

    `unattended`: nobody waits for the result, since an event or a schedule started the run.
    """

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
    unattended: bool = False


@dataclass(frozen=True)
class RetrainOptions:
    """`triage retrain`. `budget` is in seconds; the gate compares with the active bundle of `against`."""

    sources: tuple[str, ...]
    store: StoreName
    against: StoreName | None = None
    config: ConfigSource = ConfigSource()
    repo: str = ""
    adapt: str = "head"
    budget: float = 1800.0
    weights: str | None = None
    split: str | None = None
    cache: Path | None = None
    plots: Path | None = None
    engine: str = LOCAL
    always: bool = False
    skip_bad: bool = False
    json: bool = False


@dataclass(frozen=True)
class PlanOptions:
    """`triage backfill --from`: the past issues to plan for, and the folder of the plan. `shard` is (i, n)."""

    source: str
    out: Path
    config: ConfigSource = ConfigSource()
    store: StoreName | None = None
    repo: str = ""
    since: When | None = None
    until: When | None = None
    state: Literal["open", "closed", "all"] = "all"
    labels: tuple[str, ...] = ()
    unlabelled: bool = False
    issues: tuple[int, ...] = ()
    limit: int | None = None
    shard: tuple[int, int] | None = None
    engine: str = LOCAL
    json: bool = False
    skip_bad: bool = False


@dataclass(frozen=True)
class ApplyOptions:
    """`triage backfill --apply`: the plan, and the highest number of issues changed per minute."""

    plan: Path
    config: ConfigSource = ConfigSource()
    repo: str = ""
    journal: Path | None = None
    per_minute: float = PER_MINUTE
    dry_run: bool = False
    json: bool = False


@dataclass(frozen=True)
class MergeOptions:
    """`triage backfill --merge`: the plans of all shards, and the folder of the merged plan."""

    plans: tuple[Path, ...]
    out: Path
    json: bool = False


@dataclass(frozen=True)
class UndoOptions:
    """`triage undo`: the journal of the backfill to undo, and the journal to write.

    Without `undone`, what the account `by` (empty: the token's) has set in `repo` `since` a moment.
    """

    undone: Path | None = None
    journal: Path | None = None
    per_minute: float = PER_MINUTE
    dry_run: bool = False
    json: bool = False
    repo: str = ""
    since: When | None = None
    by: str = ""


@dataclass(frozen=True)
class BundleOptions:
    """`triage bundle ACTION`: the store, the name of a bundle, and for `publish` the store to copy from."""

    action: str
    store: StoreName
    config: ConfigSource = ConfigSource()
    name: str | None = None
    source: StoreName | None = None
    json: bool = False


@dataclass(frozen=True)
class CheckOptions:
    """`triage check`."""

    config: ConfigSource = ConfigSource()
    repo: str = ""
    store: StoreName | None = None
    json: bool = False


@dataclass(frozen=True)
class OwnersOptions:
    """`triage owners`: the table of `repo`, or with `suggest` who answered its issues since a moment."""

    config: ConfigSource = ConfigSource()
    repo: str = ""
    suggest: bool = False
    since: When = When("365 days", ago=timedelta(days=365))
    json: bool = False


@dataclass(frozen=True)
class InitOptions:
    """`triage init`: the folder to write to, the repository whose labels are read, and files of rules to import."""

    folder: Path = Path()
    repo: str = ""
    imports: tuple[Path, ...] = ()
    force: bool = False


@dataclass(frozen=True)
class EvaluateOptions:
    """`triage evaluate`. `budget` is in seconds; `slices` are numbers of labelled issues (None: 8, 16, 32, …).

    `models` are the models that methods need, by name; `command` is the command line, for the report.
    """

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


@dataclass(frozen=True)
class ExportOptions:
    """`triage models export`: `source` is a folder of weights or a hub model, the latter at `revision`.

    `origin` and `licence` say where the weights come from; `note` goes to the model card. `int8` False keeps fp32.
    """

    source: str
    name: str
    kind: str = "encoder"
    revision: str = "main"
    origin: str = ""
    licence: str = "unknown"
    note: str = ""
    max_tokens: int = 256
    int8: bool = True


@dataclass(frozen=True)
class TrainOptions:
    """`triage models train`: the files to train on, and where model, checkpoints and losses go.

    `weights` and `topics` are a folder or org/name@COMMIT; `topics` None: the same as `weights`. `origin` and `licence`
    describe a folder. `steps` None: the schedule of the shipped encoder.
    """

    kind: str
    files: tuple[Path, ...]
    out: Path
    work: Path
    weights: str | None = None
    origin: str | None = None
    licence: str | None = None
    topics: str | None = None
    steps: int | None = None
    seed: int = 0


def ranges(numbers: Sequence[int]) -> str:
    """Issue numbers as on the command line: "7,9-12"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
