"""A preview of a backfill while a repository is set up: a sample of its newest issues, and nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from triage.backfill.plan import Promise, promises
from triage.backfill.planner import Planner
from triage.backfill.selection import Selection, of_repository
from triage.bundle.open import need, open_engines, open_serving
from triage.config import Config
from triage.decide import Policy
from triage.decide.policy import followed
from triage.errors import DataError, MissingExtra, NothingToLabelWith
from triage.github.graphql import IssueFilter
from triage.github.open import open_store
from triage.issue import Names, format_time
from triage.progress import bar

if TYPE_CHECKING:
    from triage.bundle.model import ServingModel
    from triage.bundle.store import Store, StoreName
    from triage.decide.rules import OperatingPoint
    from triage.github.client import Tracker

# Pages of a hundred issues, to learn from and to look for unlabelled ones.
LEARN_PAGES, LOOK_PAGES = 5, 10
SHOWN = 50


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
    basis = f"by the bundle in {home}"
    try:
        if store.role("active"):
            model = open_serving(config, store, repo=tracker.ids(here))
            config = followed(config, model.renamed, here)
        else:
            model, basis = _learnt(tracker, config, store)
    except NothingToLabelWith:
        return FirstLook(
            "A backfill has nothing to go by: no issue has a label to learn from, and no label a description."
        )
    later = f"triage backfill --from {tracker.repo} --store {home} --unlabelled"
    words = "\n".join([*preview(tracker, model, config, basis), f"To plan it for all issues: {later}"])
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
        yield "A backfill has nothing to do: no issue is without a label that the bot may set."
        return
    labelled = sum(bool(entry.labels) for entry in entries)
    yield f"Of the newest {len(entries)} issues without a label, a backfill would label {labelled}, {basis}."
    promised = promises(model.rules, planner.names)
    for name, count in Counter(name for entry in entries for name in entry.labels).most_common():
        yield f"  {count:4}  {name} ({promised.get(name, Promise()).describe()})"
    if aim := model.rules.point(policy.target):
        yield (
            f"At a precision target of {aim.target:g}, {aim.coverage:.0%} of issues newer than those learnt from got a "
            f"label, and {aim.right} of {aim.labels} labels were right."
        )
    if short := [rule for rule in model.rules.voted if rule.precision is None and model.rules.points]:
        voted = len(model.rules.voted)
        yield f"{len(short)} of {voted} labels were set on none of these issues; more labelled issues change that."


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
        lambda total: bar("embedding", total),
    )
    now = format_time(tracker.now()) or ""
    vectors, left = embedded.vectors[: len(data)], embedded.vectors[len(data) :]
    context = RetrainContext(now)
    bundle = learn(data, vectors, config, engines, context, unlabelled_vectors=left).bundle
    model = open_model(bundle, "", engines.encoder, engines.zero_shot, config.labels.descriptions)
    return model, f"as learnt for this look alone from {len(data)} of the newest issues"
