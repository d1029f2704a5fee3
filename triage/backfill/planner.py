"""Making the plan of a backfill: past issues through the same `judge`, and nothing written to GitHub."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.backfill.plan import Entry, Header, entry_of, fingerprint, promises, settable
from triage.backfill.selection import Batch, PastIssue, Selection, grouped, of_file, of_repository
from triage.bundle.open import knowledge, serving
from triage.bundle.store import StoreName
from triage.bundle.workers import check_engine, deciding, workers
from triage.concurrency import prefetch
from triage.config import Config
from triage.decide import Evidence, Policy, Rules, case_of, decide
from triage.errors import UsageError
from triage.github.open import connect, numbers_of, open_store, open_tracker, since_of
from triage.issue import Issue, format_time
from triage.patterns import NAME
from triage.progress import bar

if TYPE_CHECKING:
    from triage.backfill.plan import Draft, Plan
    from triage.bundle.model import ServingModel
    from triage.bundle.store import Store
    from triage.engine.ray_backend import Cluster, RemoteJob

# The options that choose the issues; plans of the same options can be merged.
FILTERS = ("since", "until", "state", "label", "unlabelled", "limit", "issue")
# A backfill has time: GitHub's allowance is refilled within an hour.
PATIENCE = 3_700.0


@dataclass(frozen=True)
class Planner:
    """Decides about past issues; `there` are the repository's labels, where they are known, `figures` what was measured
    when the model was learnt.

    `remote` gathers the evidence in the place of the model in this process.
    """

    model: ServingModel
    config: Config
    there: frozenset[str] | None = None
    remote: RemoteModel | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The labels that can come out."""
        return settable(self.model.rules, self.model.descriptions, Policy.of(self.config))

    def entries(self, items: Sequence[PastIssue]) -> list[Entry]:
        """The entries of these issues, in order."""
        names = self.names
        cases = [case_of(past.issue, self.config, proposed=names, available=self.there) for past in items]
        decisions = decide(cases, self.remote or self.model, Policy.of(self.config), batch=len(cases))
        return [
            entry_of(past.issue, decision, names, past.locked)
            for past, decision in zip(items, decisions, strict=True)
        ]


@dataclass(frozen=True)
class RemoteModel:
    """The model, with the workers of a cluster gathering the evidence."""

    rules: Rules
    name: str
    evidence: RemoteJob[Issue, Evidence]


def make_plan(args: argparse.Namespace, path: Path) -> Plan:
    """The plan that the options mean, at `path`; goes on where an interrupted run was. Raises TriageError."""
    from triage.backfill.plan import drafting

    given = args.source
    if not Path(given).is_file() and not NAME.fullmatch(given):
        raise UsageError(f"{given!r} is neither a file nor of the form OWNER/NAME", next_step="check --from")
    check_engine(args.engine)
    with workers(args.engine) as cluster:
        source = _from_file if Path(given).is_file() else _from_github
        planner, header, batches = source(args, cluster)
        with drafting(path, header) as draft:
            _draft(draft, planner, grouped(batches(draft.place), cluster.round if cluster else 0))
            return draft.finish()


def _draft(draft: Draft, planner: Planner, batches: Iterable[Batch]) -> None:
    told: Callable[[int], None] | None = None
    for batch in batches:
        told = told or bar("planning", batch.total, start=draft.planned)
        draft.add(planner.entries(batch.items), batch.place)
        told(draft.planned)


Batches = Callable[[str], Iterator[Batch]]


def _from_file(args: argparse.Namespace, cluster: Cluster | None) -> tuple[Planner, Header, Batches]:
    config = configuration.load(args.config)
    now = datetime.now(UTC)
    found = of_file(Path(args.source), args.repo, _selection(args, now), Policy.of(config).may_set)
    store = open_store(StoreName.parse(args.store), config) if args.store else None
    planner = _planner(config, store, cluster)
    return planner, _header(args, planner, found.repo, now, found.digest), found.batches


def _from_github(args: argparse.Namespace, cluster: Cluster | None) -> tuple[Planner, Header, Batches]:
    quick, config = connect(args.source, args)
    tracker = open_tracker(quick.repository.name, max(PATIENCE, config.act.max_rate_limit_wait))
    labels = tracker.labels()
    # What people do from here on is younger than the plan, and is told by GitHub's clock.
    now = tracker.now()
    described = {name: label.description for name, label in labels.items() if label.description}
    store = open_store(StoreName.parse(args.store), config, tracker) if args.store else None
    planner = _planner(config, store, cluster, described, frozenset(labels))
    wanted, may_set = _selection(args, now), Policy.of(config).may_set

    def batches(place: str) -> Iterator[Batch]:
        found = of_repository(tracker, wanted, may_set, place, config.act.kinds)
        return prefetch(found)

    return planner, _header(args, planner, tracker.repo, now), batches


def _planner(
    config: Config,
    store: Store | None,
    cluster: Cluster | None,
    described: Mapping[str, str] | None = None,
    there: frozenset[str] | None = None,
) -> Planner:
    found, descriptions = knowledge(config, store, described)
    model = serving(config, found, descriptions)
    figures = found[1].manifest.figures if found else {}
    job = deciding(cluster, model, found, config.zero_shot)
    return Planner(model, config, there, RemoteModel(model.rules, model.name, job) if job else None, figures)


def _header(args: argparse.Namespace, planner: Planner, repo: str, now: datetime, source: str = "") -> Header:
    model, config = planner.model, planner.config
    given = {name: getattr(args, name) for name in FILTERS}
    return Header(
        repo=repo,
        bundle=model.name,
        created_at=format_time(now) or "",
        policy=fingerprint(config),
        source=source,
        filters={name: str(value) for name, value in given.items() if value},
        shard=args.shard or "",
        promises=promises(model.rules, planner.names),
        figures=dict(planner.figures),
    )


def _selection(args: argparse.Namespace, now: datetime) -> Selection:
    return Selection(
        since=since_of(args.since, now) if args.since else None,
        until=since_of(args.until, now) if args.until else None,
        state=args.state or "all",
        labels=tuple(args.label or ()),
        unlabelled=args.unlabelled,
        numbers=frozenset(numbers_of(args.issue)) if args.issue else None,
        limit=args.limit,
        shard=shard_of(args.shard) if args.shard else (1, 1),
    )


def shard_of(text: str) -> tuple[int, int]:
    """(i, n) of "i/n". Raises UsageError."""
    first, slash, last = text.partition("/")
    if not (slash and first.isdecimal() and last.isdecimal() and len(text) < 12):
        raise UsageError(f"{text!r:.20} is no shard", next_step="write 1/4, 2/4, 3/4 and 4/4")
    i, n = int(first), int(last)
    if not 1 <= i <= n:
        raise UsageError(f"there is no shard {i} of {n}", next_step="write 1/4, 2/4, 3/4 and 4/4")
    return i, n
