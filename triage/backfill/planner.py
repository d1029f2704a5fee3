"""Planning a backfill: past issues go through the same `decide`, and nothing is written to GitHub.

While a repository is set up, a sample of its newest issues shows what a backfill would do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.backfill.plan import (
    COLOR,
    Draft,
    Entry,
    Header,
    Plan,
    Promise,
    drafting,
    entry_of,
    fingerprint,
    promises,
    settable,
)
from triage.backfill.selection import Batch, FileRows, PastIssue, Selection, grouped, of_file, of_repository
from triage.bundle.open import (
    check_engine,
    deciding,
    need,
    open_engines,
    open_serving,
    warn_if_untaught,
    workers,
)
from triage.concurrency import prefetch
from triage.config import Config
from triage.console import bar, stage, warning
from triage.decide import Evidence, Policy, Rules, case_of, decide
from triage.decide.case import Attribution
from triage.decide.policy import followed
from triage.errors import DataError, MissingExtra, NothingToLabelWith
from triage.github.graphql import IssueFilter
from triage.github.open import AN_HOUR, open_repository, open_store
from triage.issue import Issue, Names, RepositoryIds, format_time
from triage.options import PlanOptions, ranges
from triage.patterns import NAME
from triage.sources.issue_file import is_file, lasting, no_source, shown

if TYPE_CHECKING:
    from triage.bundle.model import ServingModel
    from triage.bundle.store import Store, StoreName
    from triage.decide.rules import OperatingPoint
    from triage.engine.ray_backend import Cluster, RemoteJob
    from triage.github.client import Tracker

# Pages of a hundred issues, to learn from and to look for unlabelled ones.
LEARN_PAGES, LOOK_PAGES = 5, 10
SHOWN = 50

# The batches of issues from a place on.
Batches = Callable[[str], Iterator[Batch]]


@dataclass(frozen=True)
class Planner:
    """Decides past issues. `available` are the repository's labels (None: unknown).

    With `remote`, the workers of a cluster gather the evidence.
    """

    model: ServingModel
    config: Config
    available: frozenset[str] | None = None
    remote: RemoteModel | None = None

    @cached_property
    def policy(self) -> Policy:
        return self.model.policy(self.config)

    @cached_property
    def names(self) -> frozenset[str]:
        """The labels that can be set."""
        return settable(self.model.rules, self.model.descriptions, self.policy)

    @property
    def proposed(self) -> frozenset[str]:
        """The labels that can be set, and those of fixed rules."""
        ruled = (name for rule in self.config.rules for name in rule.set)
        return self.names.union(self.policy.settable(ruled, ruled=True))

    @property
    def bots(self) -> Sequence[str]:
        """The logins under which this bot labelled what the bundle was learnt from."""
        return self.model.bundle.manifest.bots if self.model.bundle else ()

    def entries(self, items: Sequence[PastIssue]) -> list[Entry]:
        """The entries of these issues, in order."""
        names = self.names
        who = Attribution.of(self.config, self.bots)
        cases = [
            case_of(past.issue, self.config, proposed=names, available=self.available, who=who)
            for past in items
        ]
        decisions = decide(cases, self.remote or self.model, self.policy, batch=len(cases))
        return [
            entry_of(past.issue, decision, names, past.locked)
            for past, decision in zip(items, decisions, strict=True)
        ]


@dataclass(frozen=True)
class RemoteModel:
    """A model whose evidence the workers of a cluster gather."""

    rules: Rules
    name: str
    evidence: RemoteJob[Issue, Evidence]


def make_plan(options: PlanOptions, path: Path) -> Plan:
    """The plan for these options, at `path`; continues that of an interrupted run. Raises TriageError."""
    from_file = is_file(options.source)
    if not from_file and not NAME.fullmatch(options.source):
        raise no_source(options.source)
    check_engine(options.engine)
    with workers(options.engine) as cluster, lasting(options.source) if from_file else nullcontext() as file:
        planner, header, batches = (
            _from_file(options, cluster, file) if file else _from_github(options, cluster)
        )
        with drafting(path, header) as draft:
            _draft(draft, planner, grouped(batches(draft.place), cluster.round if cluster else 0))
            return draft.finish()


def _draft(draft: Draft, planner: Planner, batches: Iterable[Batch]) -> None:
    progress: Callable[[int], None] | None = None
    with stage("planning"):
        for batch in batches:
            progress = progress or bar("planning", batch.total, start=draft.planned)
            draft.add(planner.entries(batch.items), batch.place)
            progress(draft.planned)


def _from_file(options: PlanOptions, cluster: Cluster | None, file: Path) -> tuple[Planner, Header, Batches]:
    config = configuration.load(options.config.file)
    now = datetime.now(UTC)
    rows = FileRows(file, shown(options.source), options.repo, options.skip_bad)
    issues = of_file(rows, _selection(options, now), Policy.of(config).may_set)
    store = open_store(options.store, config) if options.store else None
    planner = _planner(config, store, cluster)
    if silence := planner.model.silence(issues.repo):
        warning(f"bundle {planner.model.name}: {silence}")
    return planner, _header(options, planner, config, issues.repo, now, issues.digest), issues.batches


def _from_github(options: PlanOptions, cluster: Cluster | None) -> tuple[Planner, Header, Batches]:
    tracker, config = open_repository(options.source, options.config, patience=AN_HOUR, store=options.store)
    labels = tracker.labels()
    # By GitHub's clock, so that everything that people do from here on is younger than the plan.
    now = tracker.now()
    described = {name: label.description for name, label in labels.items()}
    store = open_store(options.store, config, tracker) if options.store else None
    planner = _planner(config, store, cluster, described, tracker.ids(labels))
    tracker.most_files = max(tracker.most_files, planner.model.rules.files)
    tracker.bots = (*tracker.bots, *planner.bots)
    selection = _selection(options, now)
    selection = replace(selection, labels=tuple(map(labels.spelt, selection.labels)))

    def batches(place: str) -> Iterator[Batch]:
        may_set = planner.policy.may_set
        return prefetch(of_repository(tracker, selection, may_set, place, config.act.kinds))

    ids = tracker.ids(labels.among(planner.proposed))
    header = _header(options, planner, config, tracker.repository.name, now)
    colors = {name: label.color for name, label in labels.items() if COLOR.fullmatch(label.color)}
    renamed = dict(planner.model.renamed)
    header = replace(header, repo_id=ids.id, ids=ids.labels, renamed=renamed, colors=colors)
    return planner, header, batches


def _planner(
    config: Config,
    store: Store | None,
    cluster: Cluster | None,
    described: Mapping[str, str] | None = None,
    repo: RepositoryIds | None = None,
) -> Planner:
    model = open_serving(config, store, described=described, repo=repo)
    warn_if_untaught(model, store)
    job = deciding(cluster, model)
    return Planner(
        model,
        followed(config, model.renamed, repo.labels if repo else ()),
        frozenset(repo.labels) if repo else None,
        RemoteModel(model.rules, model.name, job) if job else None,
    )


def _header(
    options: PlanOptions, planner: Planner, config: Config, repo: str, now: datetime, source: str = ""
) -> Header:
    model = planner.model
    point = model.rules.point(config.vote.precision_target)
    return Header(
        repo=repo,
        bundle=model.name,
        created_at=format_time(now) or "",
        policy=fingerprint(config),
        source=source,
        filters=_filters(options),
        shard="{}/{}".format(*options.shard) if options.shard else "",
        promises=promises(model.rules, planner.proposed),
        figures=dict(model.bundle.manifest.figures) if model.bundle else {},
        measured=point.labels if point else 0,
        right=point.right if point else 0,
    )


def _filters(options: PlanOptions) -> dict[str, str]:
    """The options that choose the issues, for the plan's header; only plans with the same ones can be merged."""
    filters = {
        "since": options.since.text if options.since else "",
        "until": options.until.text if options.until else "",
        "state": "" if options.state == "all" else options.state,
        "label": ", ".join(options.labels),
        "unlabelled": str(options.unlabelled or ""),
        "limit": str(options.limit or ""),
        "issue": ranges(options.issues),
    }
    return {name: value for name, value in filters.items() if value}


def _selection(options: PlanOptions, now: datetime) -> Selection:
    return Selection(
        since=options.since.at(now) if options.since else None,
        until=options.until.at(now) if options.until else None,
        state=options.state,
        labels=options.labels,
        unlabelled=options.unlabelled,
        numbers=frozenset(options.issues) or None,
        limit=options.limit,
        shard=options.shard or (1, 1),
    )


@dataclass(frozen=True)
class FirstLook:
    """What a backfill would do, in words, and what the recommended precision target gives (None: not measured)."""

    words: str
    recommended: OperatingPoint | None = None


def first_look(tracker: Tracker, config: Config, home: StoreName) -> FirstLook:
    """What a backfill with the bundle in `home` would do.

    Without a bundle, one is learnt from the newest issues and dropped afterwards; if these are too few, the labels'
    descriptions decide. Raises BundleError, ModelError, and what the tracker raises.
    """
    here = tracker.labels()
    names = {name: label.description for name, label in here.items()}
    able = Policy.of(config).settable(names)
    described = {name: names[name] for name in able if names[name]}
    described = dict(Names(described | config.labels.descriptions))
    labels = replace(config.labels, descriptions=described)
    config = replace(config, labels=labels)
    store = open_store(home, config, tracker)
    basis, step = f"by the bundle in {home}", "To plan it for all issues"
    try:
        if store.role("active"):
            model = open_serving(config, store, repo=tracker.ids(here))
            config = followed(config, model.renamed, here)
        else:
            model, basis = _learnt(tracker, config, store)
            if model.neighbourhood is not None:
                step = "To plan it for all issues once `triage-retrain` has run"
    except NothingToLabelWith:
        return FirstLook(
            "A backfill has nothing to work with: no issue has a label to learn from, and no label has a description."
        )
    later = f"triage backfill --from {tracker.repo} --store {home} --unlabelled"
    words = "\n".join([*preview(tracker, model, config, basis), f"{step}: {later}"])
    rules = model.rules
    return FirstLook(words, None if rules.recommended is None else rules.point(rules.recommended))


def preview(
    tracker: Tracker, model: ServingModel, config: Config, basis: str, limit: int = SHOWN
) -> Iterator[str]:
    """Lines on what a backfill of the newest `limit` issues would do; `basis` describes the model.

    Only issues without a label that the bot may set count, which a backfill is for.
    """
    wanted, policy = Selection(unlabelled=True, limit=limit), Policy.of(config)
    batches = of_repository(tracker, wanted, policy.may_set, "", config.act.kinds)
    items = list(islice((past for batch in islice(batches, LOOK_PAGES) for past in batch.items), limit))
    planner = Planner(model, config, frozenset(tracker.labels()))
    entries = [entry for entry in planner.entries(items) if not entry.note]
    if not entries:
        yield "A backfill has nothing to do: every issue has a label that the bot may set."
        return
    labelled = sum(bool(entry.labels) for entry in entries)
    yield f"Of the newest {len(entries)} issues without a label, a backfill would label {labelled}, {basis}."
    promised = promises(model.rules, planner.names)
    for name, count in Counter(name for entry in entries for name in entry.labels).most_common():
        yield f"  {count:4}  {name} ({promised.get(name, Promise()).describe()})"
    if aim := model.rules.point(policy.target):
        yield (
            f"At a precision target of {aim.target:g}, {aim.coverage:.0%} of issues newer than the learnt ones got a "
            f"label, and {aim.right} of {aim.labels} labels were right."
        )
    if short := [rule for rule in model.rules.voted if rule.precision is None and model.rules.points]:
        voted = len(model.rules.voted)
        yield (
            f"At this target, {len(short)} of {voted} labels would have been set on none of these, so that their "
            "precision was never measured; more labelled issues may change that."
        )


def _learnt(tracker: Tracker, config: Config, store: Store) -> tuple[ServingModel, str]:
    """A model learnt from the newest issues, which is not stored, and its description."""
    from triage.bundle.model import open_model
    from triage.learn.dataset import prepare
    from triage.learn.vectors import NAME, embed

    try:
        need("learn", "sklearn", to="learning")
        pages = islice(tracker.pages(IssueFilter()), LEARN_PAGES)
        data = prepare((live.issue for page in pages for live in page.items), config)
        data = data.with_unlabelled(len(data))
    except (MissingExtra, DataError):
        return open_serving(config, None), "by the descriptions of labels alone"
    from triage.learn.recipe import Engines
    from triage.learn.retrain import RetrainContext, learn

    engines = Engines(*open_engines(config), progress=bar)
    embedded = embed(
        [*data.issues, *data.unlabelled],
        engines.encoder,
        store.get(NAME),
        lambda _: None,
        lambda total: bar("encoding", total),
    )
    now = format_time(tracker.now()) or ""
    vectors, left = embedded.vectors[: len(data)], embedded.vectors[len(data) :]
    context = RetrainContext(now)
    bundle = learn(data, vectors, config, engines, context, unlabelled_vectors=left).bundle
    model = open_model(bundle, "", engines.encoder, engines.zero_shot, config.labels.descriptions)
    return model, f"with a temporary bundle, learnt from {len(data)} of the newest issues"
