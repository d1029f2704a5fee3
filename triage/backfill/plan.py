"""The plan of a backfill: a file of JSON lines with a header, an entry for each issue, and an end.

    {"kind": "triage-plan", "format": 3, "repo": …}   what the plan was made with, and the precision to expect
    {"number": 7, "labels": ["bug"], …}               one issue; without `labels` nothing is set
    {"complete": true}                                the end: the file was not cut short

Lines of entries may be deleted by hand. `plan.jsonl` is complete; `plan.jsonl.partial` is being written, with a mark
`{"place": …}` after each batch, at which an interrupted run continues.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO, TypeVar

from triage.config import Config
from triage.decide import Decision, Neighbour, Policy, Rules
from triage.errors import DataError, made_by
from triage.files import append, lock, replacing
from triage.issue import MAX_NUMBER, Issue, Names, distinct, fold, folded
from triage.options import MOST_SHARDS
from triage.schema import SchemaError, build, decoded, is_utf8, option, parse_time

KIND, FORMAT = "triage-plan", 3
END = json.dumps({"complete": True}) + "\n"
MAX_TITLE = 120
# A share of fewer issues says nothing.
ENOUGH = 10
# Of the issues that voted, those that a reviewer gets to see.
NEIGHBOURS_SHOWN = 8
COLOR = re.compile("[0-9a-fA-F]{6}")
# Names of labels and a short title fit easily.
MAX_LINE = 1_000_000
# A row of a file; a count and a number; a kind, a count and a cursor (see backfill/selection.py).
PLACE = re.compile(r"[0-9]{1,18}|[0-9]{1,18} [0-9]{1,18}|[a-z_]+ [0-9]{1,18} .*")
SHARD = re.compile("([0-9]{1,5})/([0-9]{1,5})")
MARK = b'{"place"'
# Settings that change neither which issues are labelled nor which labels they get.
WITHOUT_EFFECT = ("comment", "max_rate_limit_wait")
REMAKE = "make the plan again with `triage backfill --from`"

T = TypeVar("T")


@dataclass(frozen=True)
class Promise:
    """The precision of a label on issues newer than those learnt from, over `predicted` issues; None: not measured."""

    precision: float | None = None
    predicted: int = 0

    @property
    def reliable(self) -> float | None:
        """The precision, or None if it was measured on fewer than ENOUGH issues."""
        return self.precision if self.predicted >= ENOUGH else None

    def describe(self) -> str:
        """The precision in words, with the number of issues it was measured on."""
        if self.precision is None:
            return "never measured"
        few = ", too few to tell" if self.reliable is None else ""
        return f"{self.precision:.0%} right of {self.predicted}{few}"


@dataclass(frozen=True)
class Header:
    """The conditions of a plan: headers that differ only in `created_at` give equal plans.

    `policy` is the configuration's `fingerprint`, `source` the digest of the file read (empty: GitHub), `filters` are
    the options that chose the issues, `shard` is "i/n" or empty. Of `measured` labels, set under the target in force on
    issues newer than those learnt from, `right` were right. `figures` are the bundle's, measured on its newest
    window. `repo_id` and `ids`, by the names of labels that can be set, are GitHub's, where it was read; `renamed` are
    the new names of labels that were renamed since the bundle was learnt. `colors` are the labels' own, as six
    hexadecimal digits.
    """

    repo: str
    bundle: str
    created_at: str
    policy: str
    source: str = ""
    filters: dict[str, str] = field(default_factory=dict)
    shard: str = ""
    promises: dict[str, Promise] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    repo_id: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    colors: dict[str, str] = field(default_factory=dict)
    measured: int = 0
    right: int = 0
    kind: str = option(KIND, "", choices=(KIND,))
    format: int = FORMAT


@dataclass(frozen=True)
class Entry:
    """The plan for one issue.

    `labels` would be set, best first, with their `scores`; `rules` has the fixed rules that set some of them.
    `existing` are there, and of these nothing would have set `missed`. `held_back` maps elected labels that are not set
    and not there to the reason. `locked` is None if the source does not say; `note` is the reason why the issue is left
    alone, `unjudged` the one why there is nothing to judge it by. `neighbours` are the most similar issues that voted;
    their `repo` is empty where it is the plan's.
    """

    number: int = option(1, "", low=1, high=MAX_NUMBER)
    title: str = ""
    labels: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    existing: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    held_back: dict[str, str] = field(default_factory=dict)
    locked: bool | None = None
    note: str = ""
    unjudged: str = ""
    neighbours: tuple[Neighbour, ...] = ()
    rules: dict[str, str] = field(default_factory=dict)


def entry_of(issue: Issue, decision: Decision, known: Collection[str], locked: bool | None) -> Entry:
    """The entry of a decision; `known` are the labels that the bot can set."""
    if decision.left_alone or (decision.unjudged and not decision.labels):
        return Entry(
            issue.number,
            title_of(issue),
            existing=issue.labels,
            note=decision.left_alone,
            unjudged=decision.unjudged,
        )
    names, sources = Names(dict.fromkeys(known)), folded(decision.sources)
    existing = tuple(map(names.spelt, issue.labels))
    carried = folded(existing)
    held_back = {name: why for name, why in decision.held_back.items() if fold(name) not in carried}
    missed = tuple(name for name in existing if name in names and fold(name) not in sources)
    return Entry(
        number=issue.number,
        title=title_of(issue),
        labels=decision.labels,
        # What a fixed rule sets is right by its maintainers' word.
        scores={
            name: 1.0 if name in decision.ruled else round(decision.scores[name], 4)
            for name in decision.labels
        },
        existing=existing,
        missed=missed,
        held_back=held_back,
        locked=locked,
        unjudged=decision.unjudged,
        rules={name: decision.ruled[name] for name in decision.labels if name in decision.ruled},
        neighbours=_shown(decision) if decision.labels or missed else (),
    )


def _shown(decision: Decision) -> tuple[Neighbour, ...]:
    repo = decision.key[0]
    return tuple(
        replace(near, repo="" if near.repo == repo else near.repo, similarity=round(near.similarity, 2))
        for near in decision.voters[:NEIGHBOURS_SHOWN]
    )


def title_of(issue: Issue) -> str:
    """The title on one line, shortened, without what UTF-8 cannot carry."""
    title = " ".join(issue.title.split())
    if len(title) > MAX_TITLE:
        title = title[: MAX_TITLE - 1] + "…"
    return title if is_utf8(title) else title.encode(errors="replace").decode()


def fingerprint(config: Config) -> str:
    """A hash of the settings that affect which labels are set on which issues."""
    act = dataclasses.asdict(config.act)
    issues = [value for name, value in act.items() if name not in WITHOUT_EFFECT]
    settings: list[object] = [dataclasses.asdict(Policy.of(config)), config.labels.create, issues]
    settings += [dataclasses.asdict(rule) for rule in config.rules]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def settable(rules: Rules, described: Collection[str], policy: Policy) -> frozenset[str]:
    """The labels that can be elected and that the policy allows."""
    names = [rule.name for rule in rules.labels if rule.votes is not None or rule.name in rules.rare]
    return frozenset(policy.settable(distinct((*names, *described))))


def promises(rules: Rules, names: Collection[str]) -> dict[str, Promise]:
    """The precision of each of these labels, measured in tuning on issues that were not in the index."""
    learnt = rules.by_name.among(names)
    return {
        name: Promise(learnt[name].precision, learnt[name].predicted) if name in learnt else Promise()
        for name in sorted(names)
    }


def line(value: Header | Entry) -> str:
    """The value as a line."""
    return json.dumps(to_dict(value), ensure_ascii=False) + "\n"


def to_dict(value: Header | Entry) -> dict[str, object]:
    """The value as a JSON object; fields of an entry with default values are left out."""
    data = dataclasses.asdict(value)
    if isinstance(value, Entry):
        blank = dataclasses.asdict(Entry())
        data = {name: item for name, item in data.items() if name == "number" or item != blank[name]}
    return data


def read_header(text: str, where: str) -> Header:
    """The header in a plan's first line. Raises DataError with `where`."""
    data = _decoded(text, where)
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise DataError(f"{where}: not the first line of a plan", likely="another file", next_step=REMAKE)
    if data.get("format") != FORMAT:
        raise DataError(
            f"{where}: the plan's format is {data.get('format')!r:.20}, and this version of triage reads {FORMAT}",
            likely=made_by(),
            next_step=f"{REMAKE}, or apply it with the version that made it",
        )
    header = _built(Header, data, where)
    with _field("created_at", "a date in ISO 8601", header.created_at, where):
        parse_time(header.created_at)
    with _field("shard", f"i/n, n at most {MOST_SHARDS:,}", header.shard, where):
        i, n = map(int, SHARD.fullmatch(header.shard or "1/1").groups())  # type: ignore[union-attr]  # caught
        if not 1 <= i <= n <= MOST_SHARDS:
            raise ValueError
    for name, color in header.colors.items():
        with _field(f"colors.{name:.60}", "six hexadecimal digits", color, where):
            if not COLOR.fullmatch(color):
                raise ValueError
    return header


@contextmanager
def _field(name: str, expected: str, value: str, where: str) -> Iterator[None]:
    """Turns a value that cannot be read into a DataError with `where` and the field."""
    try:
        yield
    except (ValueError, OverflowError, AttributeError):
        raise DataError(
            f"{where}: in '{name}': expected {expected}, found {value!r:.60}", next_step=REMAKE
        ) from None


def read_entry(text: str, where: str) -> Entry:
    """The entry in a line. Raises DataError with `where` and the field."""
    data = _decoded(text, where)
    if isinstance(data, dict) and "number" not in data:
        raise DataError(f"{where}: in 'number': missing", next_step=REMAKE)
    entry = _built(Entry, data, where)
    if bare := [name for name in entry.labels if name not in entry.scores]:
        raise DataError(f"{where}: in 'scores': the label {bare[0]!r:.60} has none", next_step=REMAKE)
    return entry


def _built(cls: type[T], data: object, where: str) -> T:
    try:
        return build(cls, data)
    except SchemaError as error:
        raise DataError(f"{where}: {error}", next_step=REMAKE) from None


def _decoded(text: str, where: str) -> object:
    try:
        return decoded(text)
    except SchemaError:
        raise DataError(f"{where}: not valid JSON", next_step=REMAKE) from None


@dataclass(frozen=True)
class Plan:
    """A complete plan on disk; `digest` is of the whole file, `total` counts its entries."""

    path: Path
    header: Header
    digest: str
    total: int

    def entries(self) -> Iterator[Entry]:
        """The entries, one at a time."""
        lines = _lines(self.path)
        next(lines)
        for where, text in lines:
            if text != END:
                yield read_entry(text, f"{self.path}, line {where}")


def open_plan(path: Path) -> Plan:
    """The plan at `path`, with every line checked. Raises DataError for the first broken line."""
    header, seen, ended, digest = None, set[int](), False, hashlib.sha256()
    for where, text in _lines(path):
        place = f"{path}, line {where}"
        digest.update(text.encode())
        if ended:
            raise DataError(f"{place}: follows the end of the plan", next_step=REMAKE)
        if header is None:
            header = read_header(text, place)
        elif text == END:
            ended = True
        else:
            number = read_entry(text, place).number
            if number in seen:
                raise DataError(f"{place}: issue {number} is planned twice", next_step=REMAKE)
            seen.add(number)
    if header is None or not ended:
        raise DataError(
            f"{path}: the plan is incomplete: its last line is missing",
            likely="the file was cut short",
            next_step=REMAKE,
        )
    return Plan(path, header, digest.hexdigest(), len(seen))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, as this program writes them: editors may leave a BOM, CRLF and no last line end."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, text in enumerate(iter(lambda: file.readline(MAX_LINE), ""), start=1):
                if len(text) == MAX_LINE:
                    raise DataError(
                        f"{path}, line {number}: longer than {MAX_LINE:,} characters", next_step=REMAKE
                    )
                if text.strip():
                    yield number, text.rstrip("\r\n") + "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})",
            likely="the path is wrong",
            next_step=REMAKE,
        ) from None


class Draft:
    """A plan that is being written; `drafting` opens it. Each mark has the sha256 of all that stands before it.

    `place` is where to continue reading issues ("": at the beginning), `planned` the number of entries written.
    """

    def __init__(self, path: Path, header: Header, file: IO[bytes]) -> None:
        self.path, self.header, self._file = path, header, file
        self.place, self.planned, self._digest = "", 0, hashlib.sha256()
        keep = self._continued()
        file.truncate(keep)
        file.seek(0, os.SEEK_END)
        if not keep:
            append(file, line(header))
            self._digest = hashlib.sha256(line(header).encode())

    def add(self, entries: Sequence[Entry], place: str) -> None:
        """Write a batch together with the place after it: after a power cut, both are there or neither."""
        self.planned += len(entries)
        text = "".join(map(line, entries))
        self._digest.update(text.encode())
        mark = json.dumps(_sealed(place, self.planned, self._digest)) + "\n"
        append(self._file, text + mark)
        self._digest.update(mark.encode())
        self.place = place

    def finish(self) -> Plan:
        """Put the complete plan in the place of an earlier one."""
        self._file.seek(0)
        plan = _write(self.path, (text for text in self._file if not text.startswith(MARK)))
        Path(self._file.name).unlink()
        return plan

    def _continued(self) -> int:
        """Continue an interrupted run, under its date: returns the size in bytes up to its last sound mark."""
        self._file.seek(0)
        first = self._file.readline(MAX_LINE)
        try:
            earlier = read_header(first.decode("utf-8", "replace"), str(self.path))
        except DataError:
            return 0
        same = replace(earlier, created_at=self.header.created_at) == self.header
        if not same or not first.endswith(b"\n"):
            return 0
        self.header, self._digest, seen = earlier, hashlib.sha256(first), hashlib.sha256(first)
        keep = end = len(first)
        entries = 0
        for text in iter(lambda: self._file.readline(MAX_LINE), b""):
            end += len(text)
            is_mark = text.startswith(MARK)
            place = _place(text, entries, seen) if is_mark else None
            seen.update(text)
            if place is not None:
                self.place, self.planned, self._digest, keep = place, entries, seen.copy(), end
            elif is_mark:
                # It was changed, or something before it: entries would be wrong, skipped or doubled.
                break
            else:
                entries += 1
        return keep


def _sealed(place: str, planned: int, before: hashlib._Hash) -> dict[str, object]:
    """A mark: where to continue, and a hash of that and of all that stands before it."""
    mark: dict[str, object] = {"place": place, "planned": planned}
    seal = before.copy()
    seal.update(json.dumps(mark).encode())
    return mark | {"seal": seal.hexdigest()}


def _place(mark: bytes, entries: int, before: hashlib._Hash) -> str | None:
    """The place in a mark that follows so many entries; None if it or anything before it is damaged."""
    try:
        data = decoded(mark)
    except SchemaError:
        return None
    place = data.get("place") if isinstance(data, dict) else None
    if not isinstance(place, str) or not PLACE.fullmatch(place) or not mark.endswith(b"\n"):
        return None
    return place if data == _sealed(place, entries, before) else None


@contextmanager
def drafting(path: Path, header: Header) -> Iterator[Draft]:
    """The draft of the plan at `path`: that of an interrupted run with the same header, or a new one.

    Raises UsageError if another run is writing it, DataError if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(path.name + ".partial").open("a+b") as file:
            lock(file, f"{path}: another run is making this plan")
            yield Draft(path, header, file)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error})",
            likely="the disk is full, or the folder may not be written to",
            next_step="make room or choose another --out, and run the same command again",
        ) from None


def merge(plans: Sequence[Plan], out: Path) -> Plan:
    """Merge the plans of all shards into one at `out`. Raises DataError if they do not belong together."""
    first = plans[0].header
    merged = replace(first, shard="", created_at=min(p.header.created_at for p in plans))
    for plan in plans:
        if replace(plan.header, shard="", created_at=merged.created_at) != merged:
            raise _mismatch(f"{plan.path}: made under other conditions than {plans[0].path}")
    count = int(first.shard.partition("/")[2] or 1)
    shards = [plan.header.shard for plan in plans]
    wanted = [f"{i}/{count}" for i in range(1, count + 1)] if first.shard else [""]
    if missing := [shard for shard in wanted if shard not in shards]:
        raise _mismatch(f"the plan of shard {missing[0]} is missing")
    if len(shards) != len(wanted):
        raise _mismatch("the plan of a shard is given twice")
    entries = (entry for plan in sorted(plans, key=_shard) for entry in plan.entries())
    return _write(out, (text.encode() for text in chain([line(merged)], map(line, entries))))


def _shard(plan: Plan) -> int:
    return int(plan.header.shard.partition("/")[0] or 1)


def _write(path: Path, lines: Iterable[bytes]) -> Plan:
    """Replace the plan at `path` by these lines and an end, after checking them."""
    with replacing(path) as draft:
        draft.writelines(lines)
        append(draft, END)
        plan = open_plan(Path(draft.name))
    return replace(plan, path=path)


def _mismatch(what: str) -> DataError:
    return DataError(
        what, likely="plans of different runs", next_step="make all shards' plans with the same options"
    )
