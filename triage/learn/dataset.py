"""Labelled issues ready to learn from: filtered, de-duplicated, in time order, as a matrix of labels, and split.

Rows with dates are split by time, as in production: all rows for tuning and judging are newer than the rows they are
compared with. Rows without a date count as the oldest, and are only compared with. Where most lack dates, all are
split by iterative stratification (Sechidis et al., 2011), which keeps each label's share, rare ones first.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from triage.arrays import Ints, Mask
from triage.config import Config
from triage.decide.case import NO_ACTOR, Attribution
from triage.engine.head import FeatureCounts, count
from triage.errors import DataError
from triage.issue import TYPE, Issue, Key, fold, folded, matching, with_one_spelling
from triage.learn.provenance import (
    Provenance,
    edited_since_labelled,
    process_by_evidence,
    provenance_of,
    with_present_names,
)
from triage.text import language

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle

# More unlabelled issues than this would take longer to embed than they tell.
MOST_UNLABELLED = 5_000
# The newest issues that the bot labelled, of which it is looked at what people did with the labels.
MOST_REVIEWED = 300
# Texts are near copies where at most this share of their words is in only one of them; numbers do not count.
ALIKE = 0.2
WORD = re.compile(r"[^\W\d_]+")
# An issue is compared with so many of its author's later ones.
COMPARED = 200
Content = tuple[str, frozenset[str]]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reviewed:
    """An issue on which the bot set labels: those `kept` when people dealt with it, and those that they `removed`."""

    issue: Issue
    kept: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Labelled issues, oldest first, and which of `names` each has: `targets` [n, L].

    `dropped` counts the rows left out, by reason; `process` maps each process label that was left out to the evidence.
    `unlabelled` are the issues without a label to learn, oldest first, of all dates; `handled` says of each whether
    people dealt with it, for example by setting another label. `reviewed` are the issues that the bot labelled,
    oldest first: nothing is learnt from its labels, but they show whether its promise holds.
    """

    issues: Sequence[Issue]
    names: Sequence[str]
    targets: Mask
    dropped: dict[str, int]
    process: dict[str, str] = field(default_factory=dict)
    unlabelled: Sequence[Issue] = field(default=(), repr=False)
    reviewed: Sequence[Reviewed] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.issues)

    @property
    def undated(self) -> int:
        """How many issues have no date."""
        return sum(issue.created_at is None for issue in self.issues)

    @property
    def dated(self) -> bool:
        """Whether every issue has a date but for some of the oldest, on which nothing is tuned or judged."""
        return self.undated <= len(self) * TUNE_FROM

    def with_unlabelled(self, most: int) -> Dataset:
        """With at most so many of the unlabelled issues, see `_thinned`."""
        return replace(self, unlabelled=_thinned(self.unlabelled, most))

    def keys(self, rows: Iterable[int]) -> list[Key]:
        """(repository, number) of each of these rows."""
        return [self._keys[i] for i in rows]

    @cached_property
    def _keys(self) -> list[Key]:
        return [issue.key for issue in self.issues]

    @cached_property
    def files(self) -> list[tuple[str, ...]]:
        """The files that each issue changes; none where they were not read."""
        return [issue.files or () for issue in self.issues]

    @cached_property
    def counts(self) -> FeatureCounts:
        """The features of all issues, counted once for every head that is learnt from some of them."""
        return count([issue.text for issue in self.issues], self.files)

    @cached_property
    def languages(self) -> list[str]:
        """The language of each issue, see `triage.text.language`."""
        return [language(issue.text) for issue in self.issues]

    def labels(self, rows: Iterable[int]) -> list[tuple[str, ...]]:
        """The label names of each of these rows."""
        return [self.issues[i].labels for i in rows]

    def count_new(self, active: Bundle) -> int:
        """How many issues the active bundle does not hold with these labels."""
        rows = zip(active.rows.keys, active.rows.labels, strict=True)
        held = {(fold(repo), number): folded(labels) for (repo, number), labels in rows}
        now = ((fold(issue.repo), issue.number, folded(issue.labels)) for issue in self.issues)
        return sum(held.get((repo, number)) != labels for repo, number, labels in now)


def prepare(issues: Iterable[Issue], config: Config, attribution: Attribution | None = None) -> Dataset:
    """Keep labels that people set; drop pull requests (unless they are learnt from), process labels and repeated texts.

    If the issues have a history, `attribution` separates people from bots. An issue from which people only removed
    labels stays, without labels: it is a neighbour that votes against them. An issue is dropped if bots set labels to
    learn on it that no person confirmed, because its missing labels are unknown, or if its author changed the text
    after people had labelled it. Of issues with the same rendered text and changed files, and of nearly identical
    issues by one author, only the newest stays, because its labels are current practice. Raises DataError if no
    labelled issue is left.
    """
    attribution, given = attribution or Attribution.of(config), with_one_spelling(list(issues))
    kinds = config.learn.kinds
    eligible = with_present_names([issue for issue in given if issue.kind in kinds])
    process = process_by_evidence(eligible, attribution)
    never = (config.labels.abstain, config.act.off_label, "" if config.act.types else f"{TYPE}*")
    ignored = matching((*config.learn.ignore, *filter(None, never)))

    def learnable(names: Iterable[str]) -> tuple[str, ...]:
        kept = (name for name in names if name not in process and not ignored.match(fold(name)))
        return tuple(sorted(kept, key=fold))

    dropped = Counter(f"{issue.kind}s" for issue in given if issue.kind not in kinds)
    by_text: dict[Content, Issue] = {}
    without: dict[Content, Issue] = {}
    reviewed: list[Reviewed] = []
    for issue in sorted(eligible, key=_age):
        said = provenance_of(issue, attribution)
        reviewed += _reviewed(issue, said, attribution)
        labels = learnable(said.positive)
        if not learnable((*said.positive, *said.negative, *said.unjudged)):
            # A person who labels an issue with something else has dealt with it.
            handled = bool(attribution.by_people(issue)) or attribution.handled(issue)
            without[_content(issue)] = replace(issue, labels=(), handled=handled)
        unjudged = {said.unjudged[name] for name in learnable(said.unjudged)}
        if unjudged & {"bot", "me"}:
            dropped["with a bot's label that no person confirmed"] += 1
        elif not labels and not learnable(said.negative):
            dropped["with labels of an issue form only" if unjudged else "without a label to learn"] += 1
        elif edited_since_labelled(issue, attribution):
            dropped["changed by their authors after people had labelled them"] += 1
        else:
            dropped["repeated texts"] += by_text.pop(_content(issue), None) is not None
            by_text[_content(issue)] = replace(issue, labels=labels)
    kept = _once_by_author(list(by_text.values()))
    dropped["near copies by one author"] = len(by_text) - len(kept)
    names = sorted({name for issue in kept for name in issue.labels}, key=fold)
    if not names:
        raise _nothing(dropped)
    at = {name: j for j, name in enumerate(names)}
    targets = np.zeros((len(kept), len(names)), dtype=bool)
    for i, issue in enumerate(kept):
        targets[i, [at[name] for name in issue.labels]] = True
    reasons = {reason: n for reason, n in dropped.items() if n}
    unlabelled = sorted((issue for text, issue in without.items() if text not in by_text), key=_age)
    left = _thinned(_once_by_author(unlabelled, kept), MOST_UNLABELLED)
    return Dataset(kept, names, targets, reasons, process, left, reviewed[-MOST_REVIEWED:])


def _reviewed(issue: Issue, said: Provenance, attribution: Attribution) -> list[Reviewed]:
    """What happened to the labels that the bot set on the issue, if people dealt with it."""
    mine = {fold(e.label) for e, voice in attribution.voices(issue) if e.added and voice == "me"}
    if not mine:
        return []
    removed = tuple(name for name in said.negative if fold(name) in mine)
    handled = attribution.handled(issue) or bool(said.positive) or bool(removed)
    kept = tuple(name for name in issue.labels if fold(name) in mine and handled)
    return [Reviewed(issue, kept, removed)] if kept or removed else []


def _nothing(dropped: Counter[str]) -> DataError:
    """The failure if no label is left, with the reasons why issues were left out."""
    likely = ", ".join(f"{n} {reason}" for reason, n in dropped.most_common() if n)
    return DataError(
        "no labelled issue is left to learn from",
        likely=f"of the issues, these were left out: {likely}"
        if likely
        else "there are no issues, or people only removed labels from them",
        next_step="let people label some issues (`learn` in the configuration says whose labels count), or "
        "describe labels there and use no bundle",
    )


def _once_by_author(issues: Sequence[Issue], among: Sequence[Issue] = ()) -> list[Issue]:
    """The issues, except those of which the same author opened a nearly identical one later, or has one `among` others.

    `issues` are oldest first.
    """
    kept: list[Issue] = []
    by_author: dict[str, list[frozenset[str]]] = defaultdict(list)
    opened = Counter(fold(issue.author) for issue in (*issues, *among) if issue.author not in NO_ACTOR)
    for issue in among:
        if opened[fold(issue.author)] > 1:
            by_author[fold(issue.author)].append(_words(issue))
    for issue in reversed(issues):
        # Words are looked for only where there is another issue to compare with.
        words = _words(issue) if opened[fold(issue.author)] > 1 else frozenset()
        others = by_author[fold(issue.author)] if words and issue.author not in NO_ACTOR else []
        if not any(len(words ^ other) <= ALIKE * len(words | other) for other in others[-COMPARED:]):
            others.append(words)
            kept.append(issue)
    return kept[::-1]


def _content(issue: Issue) -> Content:
    """What an issue repeats another one by."""
    return issue.digest, frozenset(issue.files or ())


def _words(issue: Issue) -> frozenset[str]:
    """The words of an issue, and the files that it changes."""
    return frozenset(WORD.findall(issue.text.casefold())).union(issue.files or ())


def _thinned(issues: Sequence[Issue], most: int) -> Sequence[Issue]:
    """At most `most` of the issues, in their order: those with the lowest digests, which is a random sample.

    A week later, the sample is almost the same, so that most vectors are cached.
    """
    if len(issues) <= most:
        return issues
    drawn = sorted(range(len(issues)), key=lambda i: issues[i].digest)[:most]
    return [issues[i] for i in sorted(drawn)]


def _age(issue: Issue) -> tuple[datetime, str, int]:
    return issue.created_at or LONG_AGO, issue.repo, issue.number


# The first 40% are only ever neighbours; the last 20% are judged once, when everything is chosen.
TUNE_FROM, TEST_FROM = 0.4, 0.8
# At most this many of the newest rows are judged, and twice as many tuned on; more would add little precision.
MOST_JUDGED = 20_000
BLOCKS = 6
FOLDS = 5
SEED = 0


@dataclass(frozen=True)
class Fold:
    """Rows `query` to predict from other rows, `known`; they are disjoint."""

    known: Ints
    query: Ints


@dataclass(frozen=True)
class Split:
    """`tune` covers the tuning window piece by piece; `test.known` is everything outside the test window."""

    kind: str
    tune: tuple[Fold, ...]
    test: Fold

    def describe(self, data: Dataset) -> dict[str, str]:
        """For the manifest: the kind, the sizes and, by time, the dates at which the windows begin."""
        tuned = np.concatenate([fold.query for fold in self.tune])
        facts = {
            "kind": self.kind,
            "seed": str(SEED),
            "tune": str(len(tuned)),
            "test": str(len(self.test.query)),
            "train": str(len(data) - len(tuned) - len(self.test.query)),
        }
        if self.kind == "time":
            facts["tune_from"] = str(data.issues[int(tuned[0])].created_at)
            facts["test_from"] = str(data.issues[int(self.test.query[0])].created_at)
        if data.undated:
            facts["undated"] = str(data.undated)
        return facts


def split_kind(data: Dataset, kind: str | None) -> str:
    """`kind`, "time" or "stratified"; None is time where the rows are `dated`, else stratified.

    Raises DataError where others are to be split by time.
    """
    if kind is None:
        return "time" if data.dated else "stratified"
    if kind == "time" and not data.dated:
        raise DataError(
            f"{data.undated} of {len(data)} issues have no `created_at`, so they cannot be split by time",
            likely="the file was written without dates",
            next_step="add the dates, or pass --split stratified",
        )
    return kind


def split(data: Dataset, kind: str | None) -> Split:
    """The windows to tune and to judge on; `kind` as in `split_kind`, which may raise DataError."""
    kind = split_kind(data, kind)
    whole = _by_time(len(data)) if kind == "time" else _stratified(data.targets)
    labelled: Mask = np.asarray(data.targets.any(axis=1))

    def judged(fold: Fold) -> Fold:
        # The right labels of an issue without any are unknown: it serves as a neighbour only.
        return Fold(fold.known, fold.query[labelled[fold.query]])

    return Split(whole.kind, tuple(map(judged, whole.tune)), judged(whole.test))


def _by_time(n: int) -> Split:
    rows = np.arange(n)
    last = max(int(n * TEST_FROM), n - MOST_JUDGED)
    first = max(int(n * TUNE_FROM), last - 2 * MOST_JUDGED)
    blocks = [block for block in np.array_split(rows[first:last], BLOCKS) if len(block)]
    tune = tuple(Fold(rows[: block[0]], block) for block in blocks)
    nothing = Fold(rows[:0], rows[:0])
    return Split("time", tune or (nothing,), Fold(rows[:last], rows[last:]))


def _stratified(targets: Mask) -> Split:
    shares = [1 / FOLDS] * FOLDS
    parts = stratify(targets, shares, seed=SEED)
    test, seen = parts[0], np.sort(np.concatenate(parts[1:]))
    most = MOST_JUDGED // (FOLDS - 1) * 2
    tune = tuple(Fold(np.setdiff1d(seen, part), part[:most]) for part in parts[1:])
    return Split("stratified", tune, Fold(seen, test[:MOST_JUDGED]))


def stratify(targets: Mask, shares: Sequence[float], *, seed: int) -> list[Ints]:
    """Disjoint parts of the rows of `targets` [n, L] with about the given shares of rows and of each label.

    Iterative stratification: the rarest label still open is dealt out first, each of its rows to the part that
    lacks it most; rows without labels come last. Deterministic under `seed`.
    """
    rng = np.random.default_rng(seed)
    part_of = np.full(len(targets), -1)
    room = np.array(shares, dtype=float) * len(targets)
    wanted = np.outer(shares, targets.sum(axis=0)).astype(float)
    open_rows = rng.permutation(len(targets))
    while len(open_rows):
        counts = targets[open_rows].sum(axis=0)
        if counts.max(initial=0) == 0:
            chosen, label = open_rows, None
        else:
            label = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
            chosen = open_rows[targets[open_rows, label]]
        for row in chosen:
            lack = room if label is None else wanted[:, label]
            best = np.lexsort((rng.random(len(room)), -room, -lack))[0]
            part_of[row] = best
            room[best] -= 1
            wanted[best] -= targets[row]
        open_rows = open_rows[part_of[open_rows] < 0]
    return [np.flatnonzero(part_of == part) for part in range(len(room))]
