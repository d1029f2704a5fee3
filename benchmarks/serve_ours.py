"""The product's side of `serve.py`: makes a bundle, labels with it, embeds texts; each in a process of its own.

python serve_ours.py prepare FOLDER ISSUES TEXTS NUMBER   a store in FOLDER and the same rows for the peer
python serve_ours.py label ARGUMENTS...                   `triage label ARGUMENTS...`
python serve_ours.py embed WEIGHTS TEXTS.json             WEIGHTS: "builtin" or a model folder
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from numpy.random import Generator

    from triage.bundle.bundle import Bundle

    Floats = npt.NDArray[np.float32]
    Arrays = dict[str, npt.NDArray[np.generic]]

# numpy and the engines are loaded where they are used: what is measured starts with this file.
SAMPLE = Path(__file__).parent.parent / "examples" / "sample"
WARM_UP, SEED = 8, 0
# The length of the noise added to a unit row: its cosine to the row that it was made from is about 0.96.
NOISE = 0.3
NOW, REPO = "2026-01-01T00:00:00Z", "example/large"


def prepare(folder: str, issues: str, texts: str, number: str) -> None:
    """A store with a bundle of so many rows, made of the sample's by noise, and what the peer reads instead."""
    import numpy as np

    from triage.bundle.local_store import LocalStore
    from triage.sources.issue_file import read_issues

    home = Path(folder)
    bundle, vectors = large_bundle(int(number), np.random.default_rng(SEED))
    store = LocalStore(home / "store")
    store.set_role("active", store.save(bundle))
    np.save(home / "vectors.npy", vectors)
    (home / "labels.json").write_text(json.dumps(bundle.rows.labels))
    (home / "issue.jsonl").write_text((SAMPLE / "new.jsonl").read_text().splitlines()[0] + "\n")
    wanted = [issue.text for issue in read_issues(Path(issues))][: int(texts)]
    (home / "texts.json").write_text(json.dumps(wanted))


def large_bundle(number: int, rng: Generator) -> tuple[Bundle, Floats]:
    """The bundle, with a head, and the encoder's vectors of its rows."""
    import numpy as np

    from triage import __version__
    from triage.bundle.bundle import Bundle, BundleManifest, Rows
    from triage.bundle.open import open_engines
    from triage.config import Config
    from triage.learn.dataset import prepare as ready
    from triage.learn.dataset import split
    from triage.learn.head import fit
    from triage.learn.recipe import Engines, Recipe
    from triage.sources.issue_file import read_issues

    config = Config()
    data = ready(read_issues(SAMPLE / "issues.jsonl"), config)
    encoder, zero_shot = open_engines(config)
    texts = [issue.text for issue in data.issues]
    vectors = encoder.encode(texts)
    study = Recipe(data, vectors, split(data, None), config, Engines(encoder, zero_shot), "head")
    head, points = fit(data.counts, vectors, data.targets)
    origin = rng.integers(len(data), size=number)
    manifest = BundleManifest(
        created_at=NOW,
        triage_version=__version__,
        encoder=encoder.name,
        encoder_digest=encoder.digest,
        adaptation="head",
        issues=number,
        sources=(REPO,),
        split={},
        figures={},
        head=head.settings(),
    )
    rules = study.rules_for(np.arange(len(data)))
    rows = Rows([(REPO, i + 1) for i in range(number)], data.labels(origin))
    prior, large = vectors.mean(axis=0), widened(head.arrays(), rng)
    bundle = Bundle(manifest, rules, noisy(points[origin], rng), rows, prior, large)
    return bundle, noisy(vectors[origin], rng)


def noisy(rows: Floats, rng: Generator) -> Floats:
    """Unit rows, each turned in a direction of its own."""
    import numpy as np

    step = rng.standard_normal(rows.shape) / rows.shape[1] ** 0.5
    moved = rows + NOISE * step
    unit: Floats = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return unit


def widened(arrays: Arrays, rng: Generator) -> Arrays:
    """The head with as many features as learning ever keeps: those added weigh nothing."""
    import numpy as np

    from triage.engine.head import BUCKETS
    from triage.learn.head import MAX_FEATURES

    old = arrays["buckets"]
    fresh = rng.permutation(np.setdiff1d(np.arange(BUCKETS), old))[: MAX_FEATURES - len(old)]
    buckets = np.sort(np.concatenate([old, fresh.astype(old.dtype)]))
    at = np.searchsorted(buckets, old)
    idf = np.ones(len(buckets), dtype=arrays["idf"].dtype)
    words = np.zeros((len(buckets), arrays["words"].shape[1]), dtype=arrays["words"].dtype)
    idf[at], words[at] = arrays["idf"], arrays["words"]
    return {**arrays, "buckets": buckets, "idf": idf, "words": words}


def label(*arguments: str) -> None:
    """The command. PyGithub is loaded as on the peer's side, though an issue in a file does not need it."""
    import github  # noqa: F401

    from triage.cli import main

    sys.exit(main(["label", *arguments]))


def embed(weights: str, texts: str) -> None:
    """Seconds and processor seconds of embedding all texts."""
    from triage.engine.encoder import Encoder

    encoder = Encoder.load(weights)
    wanted = json.loads(Path(texts).read_text())
    encoder.encode(wanted[:WARM_UP])
    start, used = time.perf_counter(), processor_seconds()
    encoder.encode(wanted)
    print(json.dumps({"seconds": time.perf_counter() - start, "processor": processor_seconds() - used}))


def processor_seconds() -> float:
    """Of this process and its threads, so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


COMMANDS: dict[str, Callable[..., None]] = {"prepare": prepare, "label": label, "embed": embed}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
