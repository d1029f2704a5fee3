"""`triage models train`: the two models that all repositories share, from public issues of many."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from triage.errors import MissingExtra

if TYPE_CHECKING:
    from triage.training.multitask import MultitaskStep

STEPS_BETWEEN_LINES = 25
KINDS = ("encoder", "zero-shot")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("kind", choices=KINDS, help="the encoder, or the zero-shot model")
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="issues of many repositories, one JSON object a line",
    )
    parser.add_argument("--out", type=Path, required=True, help="the model folder to make")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("training"),
        help="a folder for checkpoints, losses and PyTorch weights; a killed run goes on from it (default: training)",
    )
    parser.add_argument("--weights", help="PyTorch weights to start from, a folder or org/name@COMMIT")
    parser.add_argument("--origin", help="where a folder of weights comes from, for the model card")
    parser.add_argument("--licence", help="the licence of a folder of weights, for the model card")
    parser.add_argument("--steps", type=int, help="how many steps (default: that of the shipped models)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    parser.set_defaults(act=run)


def run(args: argparse.Namespace) -> int:
    """Train, export, calibrate; raises DataError, ModelError and MissingExtra."""
    try:
        from triage.finetune.weights import find_weights
        from triage.training import train
    except ModuleNotFoundError as error:
        raise MissingExtra(f"`triage models train` needs {error.name}", "train") from error
    from triage.sources.issue_file import iter_issues

    spec, _, revision = (args.weights or "").partition("@")
    weights = find_weights(spec or None, revision or None)
    said = {"origin": args.origin, "licence": args.licence}
    weights = replace(weights, **{name: words for name, words in said.items() if words})
    plan = train.planned(args.kind, args.steps, args.seed)
    running = train.TrainingRun(weights, plan, args.work, _say)
    issues = (issue for path in args.files for issue in iter_issues(path))
    if args.kind == "encoder":
        manifest = train.train_encoder(issues, running, args.out)
    else:
        manifest, found = train.train_zero_shot(issues, running, args.out)
        print(found.words)
    print(f"{manifest.name}: {args.out}; losses and weights in {args.work}")
    return 0


def _say(step: MultitaskStep) -> None:
    if step.number % STEPS_BETWEEN_LINES == 0 or step.number == step.total:
        left = (step.total - step.number) * step.seconds / step.number
        print(
            f"training: step {step.number} of {step.total}, loss {step.loss:.3f} ({step.objective}), "
            f"{step.seconds:.0f} s, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
