"""The part of `peers.py` that needs this project; each command runs in a process of its own.

python peers_ours.py prepare FILE LEAST REPOSITORY TASK     what all methods learn from: texts, labels, windows
python peers_ours.py choose TASK FOLDER                     a peer's setting and thresholds, from FOLDER/tuned.json
python peers_ours.py judge TASK FOLDER                      a peer's figures, from FOLDER/fitted.json
python peers_ours.py learn ADAPT CACHE TASK FOLDER          the product's figures, and a store with its bundle
python peers_ours.py label FOLDER ISSUES COUNT              on standard output: the labels of the first issues
python peers_ours.py compare OURS THEIRS TASK               the difference of their micro-F1, and its interval
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triage.arrays import Array, Mask
    from triage.learn.dataset import Dataset, Fold

# Issues that are encoded to know what encoding costs: their vectors may have been kept from an earlier run.
TIMED = 64
# Issues of the judged window that are labelled one after the other.
LABELLED = 50
NOW = "2026-01-01T00:00:00Z"


def prepare(file: str, least: str, repository: str, task: str) -> None:
    """All of the file, or one repository's issues by themselves."""
    from shared import described

    from triage.learn.dataset import split
    from triage.rows import to_row

    data = opened(file, least, repository)
    windows = split(data, None)
    judged = [data.issues[i] for i in windows.test.query[:LABELLED]]
    name = described(data)
    home = Path(task).parent
    write(home / "texts.json", [issue.text for issue in judged])
    (home / "issues.jsonl").write_text("".join(json.dumps(to_row(issue)) + "\n" for issue in judged))
    write(
        Path(task),
        {
            "file": file,
            "least": least,
            "repository": repository,
            "name": name,
            "names": data.names,
            "texts": [issue.text for issue in data.issues],
            "labels": data.targets.astype(int).tolist(),
            "tune": [rows(fold) for fold in windows.tune],
            "test": rows(windows.test),
        },
    )
    print(name)


def opened(file: str, least: str, repository: str) -> Dataset:
    """The labelled issues; DataError where the repository has none."""
    from shared import labelled

    from triage.sources.issue_file import read_issues

    if not repository:
        return labelled(Path(file), int(least))
    return labelled([issue for issue in read_issues(Path(file)) if issue.repo == repository], int(least))


def rows(fold: Fold) -> dict[str, list[int]]:
    """As JSON."""
    return {"known": fold.known.tolist(), "query": fold.query.tolist()}


def choose(task: str, folder: str) -> None:
    """The setting with the best micro-F1 of its one threshold, as for the methods of `quality.py`."""
    import numpy as np

    from triage.study.run import choose as thresholds_of

    given, tuned = read(Path(task)), read(Path(folder) / "tuned.json")
    truth = np.array(given["labels"], dtype=bool)[tuned["rows"]]
    found = {setting: thresholds_of(truth, np.array(rows)) for setting, rows in tuned["scores"].items()}
    best = max(found, key=lambda setting: found[setting][1])
    thresholds = found[best][0]
    write(
        Path(folder) / "chosen.json",
        {
            "setting": best,
            "threshold": thresholds.common,
            "thresholds": thresholds.per_label.tolist(),
            "names": given["names"],
        },
    )


def judge(task: str, folder: str) -> None:
    """The judged window by the chosen thresholds."""
    import numpy as np

    from triage.metrics import macro_f1

    home = Path(folder)
    tuned, chosen, fitted = (read(home / f"{name}.json") for name in ("tuned", "chosen", "fitted"))
    scores, truth = np.array(fitted["scores"]), truth_of(read(Path(task)))
    each = macro_f1(truth, scores >= np.array(chosen["thresholds"]))
    seconds = tuned["seconds"] + fitted["seconds"]
    more = {"seconds": seconds, "each": each, "setting": chosen["setting"]}
    judged(home, truth, scores >= chosen["threshold"], scores, more)


def judged(home: Path, truth: Mask, predicted: Mask, scores: Array, more: Mapping[str, Any]) -> None:
    """Write a method's figures and `more`: seconds, setting, and macro-F1 with a threshold for each label."""
    import numpy as np

    from triage.metrics import summary

    np.save(home / "predicted.npy", predicted)
    write(home / "figures.json", {**summary(truth, predicted, scores), **more})


def truth_of(given: Mapping[str, Any]) -> Mask:
    """The labels [n, L] of the judged window."""
    import numpy as np

    truth: Mask = np.array(given["labels"], dtype=bool)[given["test"]["query"]]
    return truth


def learn(adapt: str, cache: str, task: str, folder: str) -> None:
    """All that `triage retrain` does once the issues are read; encoding is timed on some and counted for all."""
    from shared import BEST_F1, embedded, shipped_engines

    from triage.bundle.local_store import LocalStore
    from triage.learn.retrain import RetrainContext
    from triage.learn.retrain import learn as learnt

    given = read(Path(task))
    data, engines = opened(given["file"], given["least"], given["repository"]), shipped_engines()
    vectors = embedded(engines.encoder, data.issues, Path(cache) if cache else None)
    some = [issue.text for issue in data.issues[:: max(1, len(data) // TIMED)]]
    engines.encoder.encode(some[:1])
    start = time.process_time()
    engines.encoder.encode(some)
    encoding = (time.process_time() - start) / len(some) * len(data)
    start = time.process_time()
    trained = learnt(data, vectors, BEST_F1, engines, RetrainContext(NOW, adapt=adapt))
    seconds = encoding + time.process_time() - start
    store = LocalStore(Path(folder) / "store")
    store.set_role("active", store.save(trained.bundle))
    result = trained.recipe.result
    # Its rules have thresholds of their own.
    more = {"seconds": seconds, "each": None, "setting": ""}
    judged(Path(folder), result.truth, result.predicted, result.scores, more)


def label(folder: str, issues: str, count: str) -> None:
    """As `peers_methods.label` does."""
    from itertools import islice

    from triage.api import Config, from_row, open_model
    from triage.config import VoteConfig

    with Path(issues).open(encoding="utf-8") as file:
        wanted = [from_row(json.loads(line), where=issues) for line in islice(file, int(count))]
    model = open_model(Path(folder) / "store", Config(vote=VoteConfig(precision_target=0.0)))
    labels, used = [], []
    for issue in wanted:
        start = time.process_time()
        (decision,) = model.decide([issue])
        used.append(1000 * (time.process_time() - start))
        labels.append(list(decision.labels))
    print(json.dumps({"labels": labels, "milliseconds": statistics.median(used[1:] or used)}))


def compare(ours: str, theirs: str, task: str) -> None:
    """On standard output: a paired bootstrap over the judged issues."""
    import numpy as np

    from triage.study.analysis import paired

    left, right = (np.load(Path(folder) / "predicted.npy") for folder in (ours, theirs))
    found = paired(truth_of(read(Path(task))), left, right)
    print(json.dumps({"gain": found.gain, "low": found.low, "high": found.high}))


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def write(path: Path, data: object) -> None:
    """As JSON."""
    path.write_text(json.dumps(data))


COMMANDS: Mapping[str, Callable[..., None]] = {
    "prepare": prepare,
    "choose": choose,
    "judge": judge,
    "learn": learn,
    "label": label,
    "compare": compare,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
