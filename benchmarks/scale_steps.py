"""One step of `scale.py`, in a process of its own: prints its figures as JSON.

python benchmarks/scale_steps.py vectors WORK ROWS REAL SEED
python benchmarks/scale_steps.py truth|build|search|cold|alone WORK ...
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scale_indexes import kinds

from triage.arrays import Floats

Figures = dict[str, Any]
HELD = 500
BLOCK = 50_000
K = 25


def vectors(work: Path, rows: int, real: int, seed: int) -> Figures:
    """The rows, real ones first, and the queries."""
    rng = np.random.default_rng(seed)
    known = _real(work, real)
    rng.shuffle(known)
    held = max(1, min(HELD, len(known) // 4))
    base, queries = known[held:], known[:held]
    out = np.lib.format.open_memmap(
        work / "vectors.npy", mode="w+", dtype=np.float32, shape=(rows, base.shape[1])
    )
    first = min(rows, len(base))
    out[:first] = base[:first]
    for start in range(first, rows, BLOCK):
        count = min(BLOCK, rows - start)
        out[start : start + count] = _made(base, count, rng)
    out.flush()
    np.save(work / "queries.npy", np.concatenate([queries, _made(base, held, rng)]))
    threads = int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
    return {"real": len(base), "queries": held, "threads": threads}


def _real(work: Path, most: int) -> Floats:
    """Vectors of distinct texts, those that are known already before others."""
    from shared import embedded

    from triage.engine.encoder import Encoder
    from triage.sources.issue_file import read_issues

    sources = json.loads((work / "sources.json").read_text())
    cache = Path(sources["cache"]) if sources["cache"] else None
    encoder = Encoder.load()
    file = cache / f"vectors-{encoder.digest[:16]}.npz" if cache else None
    known: set[str] = set()
    if file and file.is_file():
        with np.load(file, allow_pickle=False) as kept:
            known = set(kept["digests"].tolist())
    issues = {issue.digest: issue for path in sources["files"] for issue in read_issues(Path(path))}
    first = sorted(issues.values(), key=lambda issue: (issue.digest not in known, issue.digest))
    found = embedded(encoder, first[:most], cache)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _made(base: Floats, count: int, rng: np.random.Generator) -> Floats:
    a, b, c = (base[rng.integers(len(base), size=count)] for _ in range(3))
    moved = a + rng.uniform(0.3, 0.5, size=(count, 1)).astype(np.float32) * (b - c)
    unit: Floats = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return unit


def truth(work: Path, rows: int) -> Figures:
    """What exact search finds for the queries."""
    import faiss

    queries, known = np.load(work / "queries.npy"), _rows(work, rows)
    _, found = faiss.knn(queries, known, min(K, rows), metric=faiss.METRIC_INNER_PRODUCT)
    np.save(work / f"truth-{rows}.npy", found)
    return {}


def build(work: Path, kind: str, rows: int) -> Figures:
    """Make an index of rows that lie in memory, and write it."""
    folder = _folder(work, kind, rows)
    folder.mkdir(exist_ok=True)
    known = np.array(_rows(work, rows))
    start, used = time.perf_counter(), time.process_time()
    how = kinds()[kind].build(known, folder)
    took, processor = time.perf_counter() - start, time.process_time() - used
    files = {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return {"build": took, "processor": processor, "files": files, "how": how}


def search(work: Path, kind: str, rows: int) -> Figures:
    """Each query alone, and again: the second time is timed. Of exact search, which is slow and right, a tenth."""
    index, queries = kinds()[kind](_folder(work, kind, rows)), np.load(work / "queries.npy")
    right, half = np.load(work / f"truth-{index.searched(rows)}.npy"), len(queries) // 2
    how = index.prepare(queries[:half], right[:half])
    asked = range(0, len(queries), 10 if kind == "flat" and rows > BLOCK else 1)
    shares = [len({*index.find(queries[i])[:K]} & {*right[i].tolist()}) / right.shape[1] for i in asked]
    took = []
    for i in asked:
        start, used = time.perf_counter(), time.process_time()
        index.find(queries[i])
        took.append((time.perf_counter() - start, time.process_time() - used))
    seconds, processor = np.median(took, axis=0).tolist()
    real = sum(i < half for i in asked)
    return {
        "search": 1000 * seconds,
        "search_processor": 1000 * processor,
        "recall": float(np.mean(shares[:real])),
        "recall_made": float(np.mean(shares[real:])),
        **({"how": how} if how else {}),
    }


def cold(work: Path, kind: str, rows: int) -> Figures:
    """Open the index and search once."""
    query = np.load(work / "queries.npy", mmap_mode="r")[0].copy()
    opening = kinds()[kind]
    opening.libraries()
    before, start = _bytes_read(), time.perf_counter()
    index = opening(_folder(work, kind, rows))
    index.find(query)
    took = 1000 * (time.perf_counter() - start)
    return {"loading": took, "read": (_bytes_read() - before + index.mapped()) / 1e6}


def alone(work: Path) -> Figures:
    """The compressed index of the real vectors alone, and what it finds for real queries held out of it."""
    import faiss

    from triage.engine.index import IvfIndex
    from triage.engine.ivf_build import compress

    done = json.loads(next(work.glob("vectors-*.json")).read_text())
    known = np.array(_rows(work, done["real"]))
    queries = np.load(work / "queries.npy")[: done["queries"]]
    built = compress(known)
    _, right = faiss.knn(queries, known, min(K, len(known)), metric=faiss.METRIC_INNER_PRODUCT)
    _, rows = IvfIndex(built.codes, range(len(known))).search(queries)
    shares = [
        len({*built.order[a[: len(b)]].tolist()} & {*b.tolist()}) / len(b)
        for a, b in zip(rows, right, strict=True)
    ]
    lists = len(built.codes.centroids)
    return {
        "rows": len(known),
        "recall": float(np.mean(shares)),
        "probes": built.codes.probes,
        "lists": lists,
    }


def _rows(work: Path, rows: int) -> Floats:
    known: Floats = np.load(work / "vectors.npy", mmap_mode="r")[:rows]
    return known


def _folder(work: Path, kind: str, rows: int) -> Path:
    return work / f"{kind}-{rows}"


def _bytes_read() -> int:
    """What this process has read by system calls."""
    try:
        return int(Path("/proc/self/io").read_text().split()[1])
    except OSError:
        return 0


STEPS: dict[str, Callable[..., Figures]] = {
    "vectors": vectors,
    "truth": truth,
    "build": build,
    "search": search,
    "cold": cold,
    "alone": alone,
}

if __name__ == "__main__":
    name, place, *rest = sys.argv[1:]
    print(json.dumps(STEPS[name](Path(place), *(int(x) if x.isdigit() else x for x in rest))))
