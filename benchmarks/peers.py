"""What a user would pick instead of triage, on the same rows and windows: quality, time to learn, cost to label.

    python benchmarks/peers.py FILE... [--methods none,head,svm] [--cache DIR]
    python benchmarks/peers.py FILE... --peer-python PATH --methods none,head,svm,boosting,fasttext
    python benchmarks/peers.py FILE --repository facebook/react --peer-python PATH --minilm FOLDER \\
        --methods none,head,svm,setfit-minilm

Each method is learnt on the tuning window's blocks for its setting and its one threshold of best micro-F1, as in
`quality.py`, then on everything before the judged window. PATH is a Python with the packages of the peers that are
asked for; those of the product are not needed there. FOLDER holds PyTorch weights as sentence-transformers saves them.

Seconds to learn are of the processor, tuning included; the product's are all of `triage retrain` but reading, with the
time of encoding measured on some issues, since --cache keeps vectors. Labelling is a process from start to end for one
issue: seconds of the processor, peak memory, medians; then the processor's milliseconds for one issue more.

The folder of --work keeps texts of issues and the figures of the peers. An interrupted run resumes from it, and a later
run measures only the product again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve import in_turn

# This process stays small, since a child's peak of memory counts from its parent's size: it imports nothing large.
HERE = Path(__file__).parent
OURS, THEIRS = str(HERE / "peers_ours.py"), str(HERE / "peers_methods.py")
PRODUCT = ("none", "head")
RIVAL = "head"
MANY = 50
TITLES = (
    "data",
    "method",
    "setting",
    "micro-F1",
    "macro-F1",
    "macro-F1, a threshold per label",
    "precision",
    "coverage",
    "to learn, s",
    "to label: process, s",
    "MiB",
    "one more issue, ms",
)
HEAD = f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}"
SHOWN = ("micro_f1", "macro_f1", "each", "precision", "coverage")


@dataclass(frozen=True)
class Peer:
    """A peer's title, the modules that it needs, how pip calls them, and the option with its weights, if any."""

    title: str
    modules: tuple[str, ...]
    packages: str
    weights: str = ""


SETFIT = (("setfit", "torch"), 'setfit torch "transformers<4.58"')
PEERS: Mapping[str, Peer] = {
    "svm": Peer("linear SVM on TF-IDF", ("sklearn",), "scikit-learn"),
    "boosting": Peer("LightGBM on TF-IDF", ("lightgbm", "sklearn"), "lightgbm scikit-learn"),
    "fasttext": Peer("fastText", ("fasttext",), "fasttext-wheel"),
    "setfit-minilm": Peer("SetFit, all-MiniLM-L6-v2", *SETFIT, weights="minilm"),
    "setfit-mpnet": Peer("SetFit, all-mpnet-base-v2", *SETFIT, weights="mpnet"),
}


def work(*command: str) -> str:
    """What a process prints; what it says on standard error is shown."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {' '.join(command)}")
    return done.stdout


def check(given: argparse.Namespace) -> None:
    """Exit with what to install or to name, before any work, where a method that was asked for lacks something."""
    look = "import sys; from importlib.util import find_spec; print(*(m for m in sys.argv[1:] if not find_spec(m)))"
    for method in given.methods:
        if method in PRODUCT:
            continue
        peer, python = PEERS[method], given.peer_python
        folder = getattr(given, peer.weights) if peer.weights else None
        if peer.weights and not (folder and (folder / "modules.json").is_file()):
            raise SystemExit(
                f"{method} needs --{peer.weights} FOLDER, weights as sentence-transformers saves them (modules.json "
                f"and the rest). Next step: see benchmarks/README.md, or leave {method} out of --methods"
            )
        try:
            missing = work(python, "-c", look, *peer.modules).split()
        except OSError as error:
            raise SystemExit(f"--peer-python {python}: {error.strerror}") from None
        if missing:
            raise SystemExit(
                f"{method} needs {' and '.join(missing)}, which {python} does not have. Next step: make a Python for "
                f"the peers (python -m venv peers; peers/bin/pip install {peer.packages}) and pass --peer-python "
                f"peers/bin/python, or leave {method} out of --methods"
            )


def learn(method: str, folder: Path, task: Path, given: argparse.Namespace) -> None:
    """Have a method learn and be judged, in `folder`."""
    place = (str(task), str(folder))
    if method in PRODUCT:
        work(sys.executable, OURS, "learn", method, str(given.cache or ""), *place)
        return
    options = json.dumps(options_of(method, given))
    work(given.peer_python, THEIRS, "tune", method, options, *place)
    work(sys.executable, OURS, "choose", *place)
    work(given.peer_python, THEIRS, "fit", method, options, *place)
    work(sys.executable, OURS, "judge", *place)


def options_of(method: str, given: argparse.Namespace) -> dict[str, Any]:
    """The options of SetFit, as the peer's process reads them."""
    if not PEERS[method].weights:
        return {}
    return {
        "weights": str(getattr(given, PEERS[method].weights)),
        "pairs": given.setfit_pairs,
        "tokens": given.setfit_tokens,
        "blocks": given.setfit_blocks,
        "bfloat16": given.setfit_bfloat16,
    }


def cost(method: str, folder: Path, task: Path, given: argparse.Namespace) -> dict[str, float]:
    """Processor seconds and peak MiB of a process that labels one issue, and milliseconds of one issue more."""
    if method in PRODUCT:
        command = [sys.executable, OURS, "label", str(folder), str(task.parent / "issues.jsonl")]
    else:
        texts = str(task.parent / "texts.json")
        command = [given.peer_python, THEIRS, "label", method, str(folder), texts]
    (one,) = in_turn([[*command, "1"]], given.runs)
    many = json.loads(work(*command, str(MANY)).splitlines()[-1])
    return {
        "process": statistics.median([run.processor for run in one]),
        "memory": statistics.median([run.memory for run in one]),
        "more": many["milliseconds"],
    }


def measured(method: str, home: Path, task: Path, given: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """The folder and figures of a method. Those of a peer are kept; the product is measured in every run."""
    folder = home / method
    if method not in PRODUCT:
        told = json.dumps(options_of(method, given)).encode()
        folder = home / f"{method}-{hashlib.sha256(told + Path(THEIRS).read_bytes()).hexdigest()[:16]}"
    kept = folder / "measured.json"
    if method in PRODUCT or not kept.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        learn(method, folder, task, given)
        found = {**read(folder / "figures.json"), **cost(method, folder, task, given)}
        # The model of SetFit takes hundreds of MiB.
        shutil.rmtree(folder / "model", ignore_errors=True)
        kept.write_text(json.dumps(found))
    return folder, read(kept)


def title(method: str) -> str:
    """The method as the table names it."""
    return f"**triage, `--adapt {method}`**" if method in PRODUCT else PEERS[method].title


def measure(file: Path, repository: str, home: Path, given: argparse.Namespace) -> list[str]:
    """Print the rows of a file, or of one of its repositories; the lines of the table of differences."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        task = Path(folder) / "task.json"
        name = work(
            sys.executable, OURS, "prepare", str(file), str(given.least), repository, str(task)
        ).strip()
        home /= hashlib.sha256(task.read_bytes()).hexdigest()[:16]
        shutil.copytree(folder, home, dirs_exist_ok=True)
    task, folders = home / "task.json", {}
    for method in given.methods:
        folders[method], figures = measured(method, home, task, given)
        quality = " | ".join("" if figures[key] is None else f"{figures[key]:.3f}" for key in SHOWN)
        spent = f"{figures['seconds']:.1f} | {figures['process']:.2f} | {figures['memory']:.0f} | {figures['more']:.2f}"
        print(f"| {name} | {title(method)} | {figures['setting']} | {quality} | {spent} |", flush=True)
    if RIVAL not in given.methods:
        return []
    lines = []
    for method in (name for name in given.methods if name != RIVAL):
        found = work(sys.executable, OURS, "compare", str(folders[RIVAL]), str(folders[method]), str(task))
        d = json.loads(found)
        apart = f"{d['gain']:+.3f} | {d['low']:+.3f} to {d['high']:+.3f}"
        lines.append(f"| {name} | {title(method)} | {apart} |")
    return lines


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def methods(text: str) -> Sequence[str]:
    """The value of --methods."""
    names = text.split(",")
    if unknown := [name for name in names if name not in {*PRODUCT, *PEERS}]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join([*PRODUCT, *PEERS])}")
    return names


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="What a user would pick instead, on the same rows and windows."
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="labelled issues")
    known = ", ".join([*PRODUCT, *PEERS])
    parser.add_argument(
        "--methods", type=methods, default=[*PRODUCT, "svm"], help=f"of {known} (default: none,head,svm)"
    )
    parser.add_argument(
        "--repository",
        action="append",
        metavar="NAME",
        help="only its issues, by themselves; may be repeated",
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="a folder that keeps vectors between runs")
    parser.add_argument(
        "--least", type=int, default=20, metavar="N", help="the uses a label needs (default: 20)"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="a folder that keeps what peers learnt and cost"
    )
    parser.add_argument(
        "--peer-python", default=sys.executable, metavar="PATH", help="runs the peers (default: this one)"
    )
    for name, model in (("minilm", "all-MiniLM-L6-v2"), ("mpnet", "all-mpnet-base-v2")):
        parser.add_argument(f"--{name}", type=Path, metavar="FOLDER", help=f"PyTorch weights of {model}")
    parser.add_argument("--runs", type=int, default=3, help="processes that label one issue (default: 3)")
    parser.add_argument(
        "--setfit-pairs", type=int, default=20, help="pairs of each kind for an issue (default: 20)"
    )
    parser.add_argument("--setfit-tokens", type=int, default=256, help="read of an issue (default: 256)")
    parser.add_argument("--setfit-blocks", type=int, metavar="N", help="of the tuning window (default: all)")
    parser.add_argument(
        "--setfit-bfloat16", action="store_true", help="train in bfloat16, where it is faster"
    )
    return parser


def main() -> None:
    """The command line."""
    given = options().parse_args()
    check(given)
    # As pip installs: each process would compile what it imports again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print(HEAD)
    differences = []
    if given.work:
        given.work.mkdir(parents=True, exist_ok=True)
    with contextlib.nullcontext(given.work) if given.work else tempfile.TemporaryDirectory() as folder:
        for file in given.files:
            for repository in given.repository or [""]:
                differences += measure(file, repository, Path(folder), given)
    if differences:
        print(
            f"\nmicro-F1 of {title(RIVAL)} minus that of another method, and its 95% interval over 1000 resamples"
        )
        print("of the judged issues, seed 0:\n")
        print("| data | method | difference | 95% interval |\n|---|---|---|---|")
        print("\n".join(differences))


if __name__ == "__main__":
    main()
