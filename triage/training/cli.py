"""`triage models train`: train the encoder that all repositories share, and its concept head."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.open import need
from triage.console import log, status
from triage.errors import MissingExtra
from triage.options import TrainOptions
from triage.progress import bar

if TYPE_CHECKING:
    from triage.finetune.training_loop import TrainingStep

STEPS_BETWEEN_LINES = 25
VECTORS_FILE = "concept-vectors.npz"
KINDS = ("encoder", "concepts")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("kind", choices=KINDS, help="kind of model to train")
    parser.add_argument(
        "--from",
        dest="files",
        action="append",
        type=Path,
        required=True,
        metavar="FILE",
        help="issues of many repositories in a file of rows; may be repeated",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="model folder to make; for concepts the folder of an encoder, which gets a concept head",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("training"),
        metavar="DIR",
        help="folder for checkpoints, losses and PyTorch weights, from which an interrupted run resumes (default: "
        "training)",
    )
    parser.add_argument("--weights", help="PyTorch weights to start from, a folder or org/name@COMMIT")
    parser.add_argument(
        "--topics",
        metavar="WEIGHTS",
        help="PyTorch weights whose topics are held, when training is continued (default: those to start from)",
    )
    parser.add_argument("--origin", help="origin of a folder of weights, for the model card")
    parser.add_argument("--licence", help="licence of a folder of weights, for the model card")
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="number of training steps (default: as for the shipped encoder)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")


def parse(args: argparse.Namespace) -> TrainOptions:
    """The options of a command line."""
    return TrainOptions(
        kind=args.kind,
        files=tuple(args.files),
        out=args.out,
        work=args.work,
        weights=args.weights,
        origin=args.origin,
        licence=args.licence,
        topics=args.topics,
        steps=args.steps,
        seed=args.seed,
    )


def run(options: TrainOptions) -> int:
    """Train and export; raises DataError, ModelError and MissingExtra."""
    if options.kind == "concepts":
        return _train_concepts(options)
    try:
        from triage.finetune.weights import named_weights
        from triage.training import train
        from triage.training.multitask import EncoderSchedule
    except ModuleNotFoundError as error:
        raise MissingExtra(f"`triage models train` needs {error.name}", "train") from error
    from triage.sources.issue_file import iter_issues

    weights = named_weights(options.weights or None)
    weights = replace(
        weights,
        origin=options.origin or weights.origin,
        licence=options.licence or weights.licence,
    )
    plan = EncoderSchedule(seed=options.seed)
    if options.steps is not None:
        plan = replace(plan, steps=options.steps)
    topics = named_weights(options.topics) if options.topics else None
    training = train.TrainingRun(weights, plan, options.work, _print_step, topics)
    issues = (issue for path in options.files for issue in iter_issues(path))
    manifest = train.train_encoder(issues, training, options.out)
    log(f"{manifest.name}: {options.out}; losses and weights in {options.work}")
    return 0


def _train_concepts(options: TrainOptions) -> int:
    need("learn", "sklearn", "scipy", to="`triage models train concepts`")
    from triage.sources.issue_file import iter_issues
    from triage.training import concepts

    options.work.mkdir(parents=True, exist_ok=True)
    issues = (issue for path in options.files for issue in iter_issues(path))
    head = concepts.train(issues, options.out, options.work / VECTORS_FILE, partial(bar, "encoding"))
    log(f"{options.out}: a head of {len(head.names)} concepts: {', '.join(head.names)}")
    return 0


def _print_step(step: TrainingStep) -> None:
    if step.number % STEPS_BETWEEN_LINES and step.number < step.total:
        return
    left = (step.total - step.number) * step.seconds / step.number
    losses = ", ".join(f"loss {loss:.3f} ({objective})" for objective, loss in step.losses.items())
    status(f"training: step {step.number} of {step.total}, {losses}, {step.seconds:.0f} s, {left:.0f} s left")
