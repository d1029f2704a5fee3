"""Every reader of a file: a valid sample, and a function that reads a file and does with it what the program does.

A function raises a class of `triage.errors` for what is wrong, and AssertionError where something wrong was believed
or something was half applied.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from io import StringIO
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np

from tests.backfilling import entry, header, write_plan
from tests.fuzz.mutations import mutated
from tests.sample import CONFIG, LEARNT_FROM
from triage import config as configuration
from triage.actions import read_event
from triage.arrays import Data, Floats
from triage.backfill.journal import JournalRecord, JournalTask, journal, read_journal
from triage.backfill.plan import Plan, drafting, merge, open_plan
from triage.bundle import ivf_files
from triage.bundle.bundle import (
    FORMAT_COMPRESSED,
    MANIFEST,
    Bundle,
    BundleManifest,
    Compression,
    Rows,
    from_files,
    to_files,
    under_present_names,
)
from triage.bundle.ivf_files import MAPPED, RepositorySlice
from triage.bundle.local_store import LocalStore
from triage.bundle.model import ServingModel, open_model
from triage.bundle.open import usable_bundle
from triage.cli.init import template
from triage.config import Config
from triage.decide import Policy, case_of, decide
from triage.decide.rules import Calibration, LabelRule, OperatingPoint, Rules
from triage.engine import model_folder
from triage.engine.head import FORMAT, Head, Propensity
from triage.engine.index import hash_of
from triage.engine.ivf_build import compress
from triage.errors import BundleError, DataError
from triage.files import npy, view
from triage.github.git_store import StoredFiles, packed
from triage.issue import Issue, RepositoryIds
from triage.learn import vectors as embeddings
from triage.reports.bundle_report import BundleLine, listing, shown
from triage.sources.collect import Cache, Reading, Row, State, due, opened, since
from triage.sources.issue_file import read_issues

REPO = "o/r"
ISSUES = [
    Issue(
        REPO, i + 1, f"Title {i}", "It crashes when I push. " * 3, labels=("bug",) if i % 2 else ("question",)
    )
    for i in range(40)
]
KNOWN = RepositoryIds(REPO, "R_1", {"bug": "L_1", "question": "L_2"})
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DIGEST = "0" * 64


@dataclass(frozen=True)
class Reader:
    """`samples` are valid; `read` is given a mutated one in a file in a folder of its own."""

    name: str
    samples: Callable[[], Sequence[bytes]]
    read: Callable[[Path, Random], object]


def _config() -> list[bytes]:
    return [CONFIG.read_bytes(), template({"vote.precision_target": " 0.9"}).encode()]


def _read_config(path: Path, _: Random) -> None:
    Policy.of(configuration.load(path))


def _rows() -> list[bytes]:
    lines = LEARNT_FROM.read_bytes().splitlines(keepends=True)[:12]
    gh = [
        {
            "number": 1,
            "title": "x",
            "body": None,
            "labels": [{"name": "bug"}],
            "createdAt": "2026-01-01T00:00:00Z",
        }
    ]
    history = [
        {
            "label": "bug",
            "action": "labeled",
            "actor": "ann",
            "actor_type": "User",
            "created_at": "2026-01-01T00:00:00Z",
        }
    ]
    row = {"repo": REPO, "number": 3, "title": "x", "body": "y", "labels": ["bug"], "label_events": history}
    plain = b"".join(lines) + json.dumps(row).encode() + b"\n"
    return [plain, json.dumps(gh).encode(), gzip.compress(plain), plain.decode().encode("utf-16")]


def _read_rows(path: Path, random: Random) -> None:
    skip = random.random() < 0.5
    issues = read_issues(path, repo=REPO, skip_bad=skip, warn=lambda _: None)
    for issue in issues:
        assert issue.text is not None
        case_of(issue)


@cache
def _plan_bytes() -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        entries = [entry(9, "bug", title="é"), entry(7, "docs", "bug", note=""), entry(3), entry(1, "bug")]
        return write_plan(Path(folder) / "plan.jsonl", entries, shard="1/1").read_bytes()


def _read_plan(path: Path, _: Random) -> None:
    plan = open_plan(path)
    assert sum(1 for _ in plan.entries()) == plan.total
    merged = merge([plan], path.with_name("merged.jsonl"))
    assert list(merged.entries()) == list(plan.entries())


TASK = JournalTask("backfill", REPO, "d" * 64, "bot")


def _journal() -> list[bytes]:
    records = [
        JournalRecord(7, "intent", ("bug",), "2026-01-01T00:00:00Z"),
        JournalRecord(7, "done", ("bug",)),
    ]
    records.append(JournalRecord(8, "skipped", why="it was deleted"))
    return [b"".join(json.dumps(asdict(value)).encode() + b"\n" for value in (TASK, *records))]


def _read_journal(path: Path, _: Random) -> None:
    before = path.read_bytes()
    try:
        with journal(path, TASK) as again:
            again.add(JournalRecord(9, "failed", why="refused"))
    except DataError:
        assert path.read_bytes() == before, "a journal that was refused was changed"
        raise
    assert path.read_bytes().startswith(before[: before.rfind(b"\n") + 1]), "records were lost"
    assert 9 in read_journal(path).last


ENTRIES = [entry(9, "bug"), entry(7, "docs"), entry(5), entry(3, "bug")]


@cache
def _partial() -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "plan.jsonl"
        with drafting(path, header()) as draft:
            draft.add(ENTRIES[:2], "2")
            draft.add(ENTRIES[2:3], "3")
        return path.with_name("plan.jsonl.partial").read_bytes()


def _read_partial(path: Path, _: Random) -> None:
    target = path.with_name("plan.jsonl")
    path.rename(path.with_name("plan.jsonl.partial"))
    with drafting(target, header()) as draft:
        start = int(draft.place or 0)
        assert start in (0, 2, 3), f"an unknown place {draft.place!r} was believed"
        draft.add(ENTRIES[start:], str(len(ENTRIES)))
        plan: Plan = draft.finish()
    assert list(plan.entries()) == ENTRIES, "the plan is another one"


@cache
def _collected() -> dict[str, bytes]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as name:
        folder = Path(name)
        cache_ = Cache(folder, State("R_1", counted_at="2026-05-01T00:00:00Z"))
        reading = Reading("2026-05-01T00:00:00Z", "cursor", "2026-05-02T00:00:00Z", 2)
        cache_.advance(
            "issue", [Row(issue, f"I_{issue.number}", {"bug": "L_1"}) for issue in ISSUES[:6]], reading
        )
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def _read_collected(changed: str) -> Callable[[Path, Random], None]:
    def read(path: Path, _: Random) -> None:
        folder = path.with_name("cache")
        folder.mkdir()
        for name, data in _collected().items():
            (folder / name).write_bytes(path.read_bytes() if name == changed else data)
        with opened(folder, "R_1") as held:
            for reading in (held.state.issues, held.state.pull_requests):
                since(reading)
            due(held.state.counted_at, NOW)
            held.rewrite(held.rows().values(), "2026-06-01T00:00:00Z")

    return read


NUMBERS = np.eye(3, 4, dtype=np.float32)


def _embeddings() -> list[bytes]:
    return [embeddings._write([issue.digest for issue in ISSUES[:3]], NUMBERS, "stamp")]


def _read_embeddings(path: Path, _: Random) -> None:
    digests, found = embeddings._read(path.read_bytes(), "stamp", 4)
    assert not digests or np.array_equal(found, NUMBERS), "wrong vectors were believed"


def _events() -> list[bytes]:
    payload: dict[str, object] = {
        "action": "edited",
        "issue": {"number": 7, "title": "x", "body": None, "labels": [{"name": "bug"}]},
        "changes": {"title": {"from": "y"}, "body": {"from": None}},
        "repository": {"full_name": REPO, "private": False},
        "sender": {"login": "ann", "type": "User"},
    }
    comment = {"comment": {"id": 1}} | payload
    return [
        json.dumps(payload).encode(),
        json.dumps(comment, indent=1).encode(),
        b'{"schedule": "0 4 * * 1"}',
    ]


def _read_event(path: Path, _: Random) -> None:
    read_event(path)


class _Encoder:
    """Of vectors of four numbers, for every text the same."""

    name, digest, dimension = "tiny", DIGEST, 4

    def encode(self, texts: Sequence[str], **_: Any) -> Floats:
        return np.tile(np.float32([0.5, 0.5, 0.5, 0.5]), (len(texts), 1))


class _ZeroShot:
    """A score of nought for everything."""

    name, digest, threshold, costly, slope, intercept = "none", DIGEST, 0.5, False, 1.0, 0.0

    def raw(
        self, texts: Sequence[str], _vectors: Floats, labels: Sequence[Any], *_: Any, **__: Any
    ) -> Floats:
        return np.zeros((len(texts), len(labels)), np.float32)


def _unit(rows: int, wide: int) -> Floats:
    found = np.random.default_rng(5).normal(size=(rows, wide)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _bundle(date: str = "2026-01-02T00:00:00Z") -> Bundle:
    """Of forty issues, with a head."""
    head = Head(
        buckets=np.array([3, 70, 140_000], np.int32),
        idf=np.array([1, 2, 3], np.float16),
        words=np.ones((3, 2), np.float16),
        dense=np.ones((4, 2), np.float32),
        intercept=np.zeros(2, np.float32),
        balance=np.ones(1, np.float32),
    )
    return Bundle(
        manifest=BundleManifest(
            created_at=date,
            triage_version="0",
            encoder="tiny",
            encoder_digest=DIGEST,
            adaptation="head",
            issues=len(ISSUES),
            sources=(REPO,),
            split={"kind": "none"},
            figures={"micro_f1": 0.5},
            head={"format": FORMAT},
            recipe={"adaptation": "head", "vote": {"k": 10}},
            bots=("triage[bot]",),
        ),
        rules=Rules(
            calibration=Calibration(1.0, 0.5, 0.2, 0.1, -0.3),
            labels=(
                LabelRule("bug", 20, 0.5, 3.0, 0.4, 0.1, 0.9, 10),
                LabelRule("question", 20, 0.5, None),
                LabelRule("rare", 1, 0.01, None),
            ),
            scored=("bug", "question"),
            points=(OperatingPoint(0.8, 0.82, 0.5, 20, 18, 0.7), OperatingPoint(0.9, None)),
            recommended=0.8,
        ),
        vectors=_unit(len(ISSUES), 6),
        rows=Rows([issue.key for issue in ISSUES], [issue.labels for issue in ISSUES]),
        prior=np.full(4, 0.1, np.float32),
        head=head.arrays(),
        ids=(KNOWN,),
        propensity=Propensity(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], np.float32)),
    )


def _compressed() -> Bundle:
    """Of three hundred issues of two repositories, of which each is searched by itself."""
    n = 300
    points = _unit(n, 4)
    built = compress(points, np.arange(n) % 2)
    keys = [("o/a" if i % 2 == 0 else REPO, i + 1) for i in built.order.tolist()]
    plain = _bundle()
    return replace(
        plain,
        manifest=replace(
            plain.manifest,
            adaptation="none",
            head={},
            issues=n,
            format=FORMAT_COMPRESSED,
            index=Compression(built.codes.probes, built.recall, built.queries, n),
        ),
        rules=replace(plain.rules, shared=(), scored=()),
        vectors=np.empty((0, 0), np.float32),
        rows=Rows(keys, [("bug",) if number % 3 else ("question", "bug") for _, number in keys]),
        prior=points.mean(axis=0),
        head={},
        codes=built.codes,
    )


@cache
def _bundle_files(kind: str) -> Mapping[str, bytes]:
    made = {"small": _bundle, "large": _compressed, "before": partial(_bundle, "2026-01-01T00:00:00Z")}
    return to_files(made[kind]())


def of_bundle(
    kind: str, mutate: Callable[[dict[str, bytes], Random], None]
) -> Callable[[Path, Random], None]:
    """Reads a bundle with a mutation; where it is refused, the one before must be used."""

    def read(path: Path, random: Random) -> None:
        store = LocalStore(path.with_name("store"))
        before = _put(store, _bundle_files("before"), "20260101T000000Z")
        files = dict(_bundle_files(kind))
        mutate(files, random)
        name = _put(store, files, "20260102T000000Z")
        (store.folder / "active").write_text(name)
        try:
            bundle = store.load(name)
        except BundleError:
            with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
                assert (usable_bundle(store) or ("",))[0] == before, "the bundle before is not used"
            raise
        _use(bundle, name)
        bundle.verify()
        line = BundleLine(name, "active", store.manifest(name))
        json.dumps([line.to_dict(), listing([line]), shown(name, "active", bundle)])
        if kind == "large":
            _use_slice(files)

    return read


def _name(files: Mapping[str, bytes], stamp: str) -> str:
    return f"{stamp}-{hashlib.sha256(files[MANIFEST]).hexdigest()[:10]}"


def _put(store: LocalStore, files: Mapping[str, bytes], stamp: str) -> str:
    """The name of a bundle with these files, in the store without the care of `save`."""
    name = _name(files, stamp)
    folder = store.folder / "bundles" / name
    folder.mkdir(parents=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return name


def _use(bundle: Bundle, name: str) -> None:
    """Labels two issues by the bundle, under the present names of its labels."""
    bundle, _ = under_present_names(bundle, replace(KNOWN, labels={"Bug": "L_1", "question": "L_9"}))
    model: ServingModel = open_model(bundle, name, _Encoder(), _ZeroShot(), {"bug": "It crashes"})  # type: ignore[arg-type]  # stand-ins
    cases = [case_of(issue) for issue in (ISSUES[0], Issue(REPO, 999, "New", "x"))]
    for decision in decide(cases, model, Policy.of(Config())):
        text = json.dumps(decision.to_dict(), allow_nan=False)
        assert len(text) < 100_000


class _Git:
    """Blobs by their paths, as `StoredFiles` reads them."""

    def __init__(self, blobs: Mapping[str, bytes]) -> None:
        self.blobs = blobs

    def get_blobs(self, paths: Sequence[str]) -> list[bytes]:
        return [self.blobs[path] for path in paths]


def _stored(blobs: Mapping[str, bytes]) -> StoredFiles:
    return StoredFiles(_Git(blobs), "store", [(path, path) for path in blobs])  # type: ignore[arg-type]  # a stand-in


def _use_pack(pack: bytes) -> None:
    """A pack beside the parts of one large file."""
    stored = _stored({"pack": pack, "large.0000": b"x" * 20, "large.0001": b"x" * 5})
    for data in stored.read(stored.names).values():
        assert len(data) <= len(pack) + 25


def _packs() -> list[bytes]:
    with patch("triage.github.git_store.SMALL", 10), patch("triage.github.git_store.PART", 20):
        files = {"a": b"small", "b": b"", "large": b"x" * 25}
        return [dict(packed(files))["pack"]]


def _use_slice(files: Mapping[str, bytes]) -> None:
    """The part of a large index that one repository needs, as the store in git refs reads it."""
    with patch("triage.github.git_store.SMALL", 0):
        tree = _stored(dict(packed(files)))
    small: dict[str, Data] = {name: data for name, data in files.items() if name not in MAPPED}
    if span := RepositorySlice.of(KNOWN, small, "here"):
        part = from_files(small | tree.within(span, small, "here"), where="here").within(span)
        part.verify()
        _use(part, "part")


def _one_file(files: dict[str, bytes], random: Random) -> None:
    name = random.choice(sorted(files))
    files[name] = mutated(files[name], random)


def _with_right_hashes(files: dict[str, bytes], random: Random) -> None:
    """A file is another one, and the manifest vouches for it."""
    _one_file(files, random)
    try:
        stated = json.loads(files[MANIFEST])
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != MANIFEST}
        if random.random() < 0.9:
            files[MANIFEST] = json.dumps(stated | {"files": hashes}).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, RecursionError):
        pass


def _other_numbers(files: dict[str, bytes], random: Random) -> None:
    """Some numbers of an array are others, in the right form."""
    name = random.choice([name for name in sorted(files) if name.endswith(".npy")])
    array = np.array(view(files[name], name))
    flat = array.reshape(-1)
    for _ in range(random.choice((1, 3)) if len(flat) else 0):
        wrong = random.choice(
            (0, -1, 1, 7, 255, 2**31 - 1, -(2**31), 10**6, 1e30, float("nan"), float("inf"))
        )
        with np.errstate(all="ignore"):
            at = random.randrange(len(flat))
            flat[at] = np.array([wrong], dtype=np.float64).astype(flat.dtype, casting="unsafe")[0]
    how = random.randrange(6)
    changed = array[:-1] if how == 0 else array[..., :-1] if how == 1 and array.ndim > 1 else array
    files[name] = npy(changed)
    if name in MAPPED and random.random() < 0.8:
        _rehash(files)
    stated = json.loads(files[MANIFEST])
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != MANIFEST}
    files[MANIFEST] = json.dumps(stated | {"files": hashes}).encode()


def _rehash(files: dict[str, bytes]) -> None:
    """Hashes of lists and blocks that vouch for what is in them."""
    rows, labels, offsets, bounds, codes = (
        np.array(view(files[f"index-{name}.npy"], name))
        for name in ("rows", "labels", "offsets", "bounds", "codes")
    )
    spans = list(pairwise(bounds.tolist()))
    lists = [hash_of(codes[a:b]) for a, b in spans]
    try:
        blocks = [ivf_files._hash_of(*ivf_files._copied(rows, labels, offsets, a, b)) for a, b in spans]
    except IndexError:
        return
    files["index-hashes.npy"] = npy(np.frombuffer(b"".join(lists), np.uint8).reshape(-1, 32))
    files["index-blocks.npy"] = npy(np.frombuffer(b"".join(blocks), np.uint8).reshape(-1, 32))


def _read_role(path: Path, _: Random) -> None:
    store = LocalStore(path.with_name("store"))
    name = _put(store, _bundle_files("small"), "20260102T000000Z")
    shutil.copy(path, store.folder / "active")
    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        found = usable_bundle(store)
    assert found is None or found[0] == name


def _model() -> list[bytes]:
    encoder = model_folder.read_manifest(model_folder.shipped(model_folder.BUILTIN_ENCODER))
    classes = ("contradiction", "entailment")
    judging = replace(encoder, kind="zero-shot", concepts=(), labels=classes, entailment=1)
    return [json.dumps(manifest.to_dict()).encode() for manifest in (encoder, judging)]


def _read_model(path: Path, _: Random) -> None:
    folder = path.with_name("model")
    folder.mkdir()
    (folder / "manifest.json").write_bytes(path.read_bytes())
    for name in ("model.onnx", "tokenizer.json"):
        (folder / name).write_bytes(b"{}")
    model_folder.read_manifest(folder).digest()
    model_folder.verify(folder)


def _arrays() -> list[bytes]:
    return [
        npy(_unit(3, 4)),
        npy(np.arange(5)),
        npy(np.zeros((2, 2), np.uint8)),
        npy(np.zeros(3, np.float16)),
    ]


def _read_array(path: Path, _: Random) -> None:
    view(path.read_bytes(), "here").sum()


READERS = [
    Reader("configuration", _config, _read_config),
    Reader("rows", _rows, _read_rows),
    Reader("plan", lambda: [_plan_bytes()], _read_plan),
    Reader("journal", _journal, _read_journal),
    Reader("partial plan", lambda: [_partial()], _read_partial),
    Reader("collection state", lambda: [_collected()["state.json"]], _read_collected("state.json")),
    Reader(
        "collection part",
        lambda: [_collected()["issues-000001.jsonl"]],
        _read_collected("issues-000001.jsonl"),
    ),
    Reader("embeddings", _embeddings, _read_embeddings),
    Reader("event", _events, _read_event),
    Reader("bundle, damaged", lambda: [b""], of_bundle("small", _one_file)),
    Reader("bundle, right hashes", lambda: [b""], of_bundle("small", _with_right_hashes)),
    Reader("bundle, other numbers", lambda: [b""], of_bundle("small", _other_numbers)),
    Reader("large bundle, right hashes", lambda: [b""], of_bundle("large", _with_right_hashes)),
    Reader("large bundle, other numbers", lambda: [b""], of_bundle("large", _other_numbers)),
    Reader("pack", _packs, lambda path, _: _use_pack(path.read_bytes())),
    Reader("role", lambda: [_name(_bundle_files("small"), "20260102T000000Z").encode()], _read_role),
    Reader("model folder", _model, _read_model),
    Reader("array", _arrays, _read_array),
]
