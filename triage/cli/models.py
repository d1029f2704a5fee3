"""`triage models`: list, verify, pull, export and train models; a hub model is pinned in the configuration."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.open import need
from triage.cli import arguments
from triage.console import bar, log, log_json, stage, status
from triage.engine import model_folder as models
from triage.errors import ConfigError, MissingExtra, UsageError
from triage.files import write
from triage.issue import Issue
from triage.options import ExportOptions, TrainOptions
from triage.schema import decoded_yaml

if TYPE_CHECKING:
    from triage.finetune.training_loop import TrainingStep

KEYS = ("model", "revision", "sha256")
TRAINED = ("encoder", "concepts")
STEPS_BETWEEN_LINES = 25
VECTORS_FILE = "concept-vectors.npz"
Action = Callable[[], int]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = arguments.add_action(actions, "list", "show the models on this machine")
    arguments.add(listed, "--json", "the models")
    listed.set_defaults(parse=lambda args: partial(_list, as_json=args.json))
    verify = arguments.add_action(actions, "verify", "compare the files of the models with their manifests")
    verify.add_argument("name", nargs="?", metavar="NAME", help="model to verify (default: all)")
    verify.set_defaults(parse=lambda args: partial(_verify, args.name))
    _configure_pull(arguments.add_action(actions, "pull", "download a hub model and pin it"))
    _configure_export(arguments.add_action(actions, "export", "make a model folder from PyTorch weights"))
    _configure_train(
        arguments.add_action(actions, "train", "train an encoder for all repositories, or its concept head")
    )


def _configure_pull(pull: argparse.ArgumentParser) -> None:
    pull.add_argument("model", metavar="MODEL", help="hub model, `org/name`, with ONNX files")
    pull.add_argument("--revision", default="main", help="branch, tag or commit (default: main)")
    pull.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration file to write the pins to (default: print them)",
    )
    pull.set_defaults(parse=lambda args: partial(_pull, args.model, args.revision, args.config))


def _configure_export(export: argparse.ArgumentParser) -> None:
    export.add_argument("source", metavar="SOURCE", help="folder of weights, or a hub model `org/name`")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="model folder to make")
    export.add_argument("--name", help="name of the model (default: the name of the folder)")
    export.add_argument(
        "--kind", choices=models.KINDS, default="encoder", help="kind of model (default: encoder)"
    )
    export.add_argument(
        "--max-tokens", type=int, default=256, metavar="N", help="tokens read of each text (default: 256)"
    )
    export.add_argument("--revision", default="main", help="revision of a hub model (default: main)")
    export.add_argument("--origin", default="", help="hub model that a folder of weights comes from")
    export.add_argument("--licence", default="unknown", help="licence of the weights (default: unknown)")
    export.add_argument("--note", default="", help="sentence for the model card")
    export.add_argument("--fp32", action="store_true", help="keep the weights in fp32 instead of int8")
    export.set_defaults(parse=_parse_export)


def _parse_export(args: argparse.Namespace) -> Action:
    name = args.name or args.out.name
    options = arguments.build(ExportOptions, args, name=name, int8=not args.fp32)
    return partial(_export, options, args.out)


def _configure_train(train: argparse.ArgumentParser) -> None:
    train.add_argument("kind", choices=TRAINED, help="kind of model to train")
    train.add_argument(
        "--from",
        dest="files",
        action="append",
        type=Path,
        required=True,
        metavar="FILE",
        help="issues of many repositories in a file of rows; may be repeated",
    )
    train.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="model folder to make; for concepts the folder of an encoder, which gets a concept head",
    )
    train.add_argument(
        "--work",
        type=Path,
        default=Path("training"),
        metavar="DIR",
        help="folder for checkpoints, losses and PyTorch weights, from which an interrupted run resumes (default: "
        "training)",
    )
    train.add_argument("--weights", help="PyTorch weights to start from, a folder or org/name@COMMIT")
    train.add_argument(
        "--topics",
        metavar="WEIGHTS",
        help="PyTorch weights whose topics are held, when training is continued (default: those to start from)",
    )
    train.add_argument("--origin", help="origin of a folder of weights, for the model card")
    train.add_argument("--licence", help="licence of a folder of weights, for the model card")
    train.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="number of training steps (default: as for the shipped encoder)",
    )
    train.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    train.set_defaults(parse=lambda args: partial(_train, arguments.build(TrainOptions, args)))


def parse(args: argparse.Namespace) -> Action:
    """The action of a command line with its options."""
    action: Action = args.parse(args)
    return action


def run(action: Action) -> int:
    """Carry out the action; raises ModelError and what the action raises."""
    return action()


def _list(*, as_json: bool) -> int:
    found = [
        {
            "name": manifest.name,
            "kind": manifest.kind,
            "dimension": manifest.dimension,
            "max_tokens": manifest.max_tokens,
            "bytes": sum(path.stat().st_size for path in folder.iterdir()),
            "licence": manifest.licence,
            "folder": str(folder),
        }
        for folder, manifest in ((folder, models.read_manifest(folder)) for folder in models.folders())
    ]
    if as_json:
        log_json(found, indent=2)
    for model in found if not as_json else ():
        log(
            "{name}  {kind}  {dimension} out  {max_tokens} tokens  {size:.1f} MB  {licence}  {folder}".format(
                **model, size=int(str(model["bytes"])) / 1e6
            )
        )
    return 0


def _verify(name: str | None) -> int:
    # Several may have the same name: each encoder that was fine-tuned for a bundle.
    present = [(models.read_manifest(folder).name, folder) for folder in models.folders()]
    chosen = [(title, folder) for title, folder in present if name in (None, title)]
    if not chosen:
        raise UsageError(
            f"no model {name!r} here; known: {', '.join(sorted({title for title, _ in present})) or 'none'}",
            next_step="see `triage models list`",
        )
    for title, folder in chosen:
        models.verify(folder)
        log(f"{title}: unchanged ({folder})")
    return 0


def _pull(model: str, revision: str, config: Path | None) -> int:
    from triage.engine import hub

    if not models.HUB_ID.fullmatch(model):
        raise UsageError(f"{model!r} is not a hub model `org/name`")
    with stage(f"downloading {model}"):
        pins = hub.pull(model, revision)
    folder = models.pulled_folder(model, pins.revision or "")
    section = "encoder" if models.verify(folder).kind == "encoder" else "zero_shot"
    if config is None:
        log("\n".join([f"{section}:", *pinning_lines(model, pins)]))
        return 0
    pin(config, section, model, pins)
    log(f"{model} at {pins.revision}: pinned in {config}, files in {folder}")
    return 0


def _export(options: ExportOptions, out: Path) -> int:
    try:
        from triage.finetune.export import export
    except ModuleNotFoundError as error:
        raise MissingExtra(f"`triage models export` needs {error.name}", "train") from error
    with stage(f"exporting {options.source}"):
        manifest, parity = export(options, out)
    log(f"{manifest.name}: {out}, cosine to PyTorch {parity.mean:.4f} (least {parity.least:.4f})")
    return 0


def _train(options: TrainOptions) -> int:
    """Train and export; raises DataError, ModelError and MissingExtra."""
    from triage.sources.issue_file import iter_issues

    issues = (issue for path in options.files for issue in iter_issues(path))
    return (_train_concepts if options.kind == "concepts" else _train_encoder)(issues, options)


def _train_encoder(issues: Iterable[Issue], options: TrainOptions) -> int:
    try:
        from triage.finetune.weights import find_weights
        from triage.training import train
    except ModuleNotFoundError as error:
        raise MissingExtra(f"`triage models train` needs {error.name}", "train") from error

    weights = find_weights(options.weights or None)
    weights = replace(
        weights,
        origin=options.origin or weights.origin,
        licence=options.licence or weights.licence,
    )
    plan = train.EncoderSchedule(seed=options.seed)
    if options.steps is not None:
        plan = replace(plan, steps=options.steps)
    topics = find_weights(options.topics) if options.topics else None
    training = train.TrainingRun(weights, plan, options.work, _print_step, topics)
    manifest = train.train_encoder(issues, training, options.out)
    log(f"{manifest.name}: {options.out}; losses and weights in {options.work}")
    return 0


def _train_concepts(issues: Iterable[Issue], options: TrainOptions) -> int:
    need("learn", "sklearn", "scipy", to="`triage models train concepts`")
    from triage.training import concepts

    options.work.mkdir(parents=True, exist_ok=True)
    head = concepts.train(issues, options.out, options.work / VECTORS_FILE, partial(bar, "encoding"))
    log(f"{options.out}: a head of {len(head.names)} concepts: {', '.join(head.names)}")
    return 0


def _print_step(step: TrainingStep) -> None:
    if step.number % STEPS_BETWEEN_LINES and step.number < step.total:
        return
    left = (step.total - step.number) * step.seconds / step.number
    losses = ", ".join(f"loss {loss:.3f} ({objective})" for objective, loss in step.losses.items())
    status(f"training: step {step.number} of {step.total}, {losses}, {step.seconds:.0f} s, {left:.0f} s left")


def pinning_lines(model: str, pins: models.Pins) -> list[str]:
    """The pinning lines of a section, indented by two spaces."""
    hashes = [f'    "{path}": "{sha}"' for path, sha in sorted(pins.sha256.items())]
    return [f"  model: {model}", f'  revision: "{pins.revision}"', "  sha256:", *hashes]


def pin(path: Path, section: str, model: str, pins: models.Pins) -> None:
    """Write the pins to `section` of the YAML file at `path`, which is created if it is missing.

    Other lines and comments stay as they are. Raises ConfigError, and writes nothing, where the way the file is
    written does not allow that.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = pinning_lines(model, pins)
    changed = _changed(text, section, lines)
    before = _parsed(text, path)
    after = None
    # A section in braces leaves the new one as a second of its name.
    with suppress(ConfigError):
        after = _parsed(changed, path)
    pinned = _parsed("\n".join([f"{section}:", *lines]), path)[section]
    old = before.get(section) or {}
    expected = before | {
        section: (old | pinned) if isinstance(old, dict) and isinstance(pinned, dict) else None
    }
    if after != expected:
        raise ConfigError(
            f"cannot pin {model} in {path}: its section `{section}` does not have one key per line",
            likely="it is written in braces",
            next_step="add these lines yourself:\n" + "\n".join([f"{section}:", *lines]),
        )
    write(path, changed.encode())


def _parsed(text: str, path: Path) -> dict[str, object]:
    data = decoded_yaml(text, str(path)).data
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path} does not contain a mapping")
    return data


def _changed(text: str, section: str, pinned: list[str]) -> str:
    lines = text.splitlines()
    head = next((at for at, line in enumerate(lines) if re.match(rf"{section}:\s*(#.*)?$", line)), None)
    if head is None:
        return "\n".join([*lines, *([""] if lines else []), f"{section}:", *pinned]) + "\n"
    end = next((at for at in range(head + 1, len(lines)) if re.match(r"[^\s#]", lines[at])), len(lines))
    return "\n".join([*lines[: head + 1], *pinned, *_others(lines[head + 1 : end]), *lines[end:]]) + "\n"


def _others(body: list[str]) -> list[str]:
    """The lines of a section that do not belong to a pinning key, indented by two spaces."""
    first = next((line for line in body if re.match(r"\s+[^\s#]", line)), "")
    indent = len(first) - len(first.lstrip())
    kept, dropping = [], False
    for line in body:
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth <= indent:
            dropping = bool(re.match(rf"\s*({'|'.join(KEYS)})\s*:", line))
        if not (dropping and line.strip()):
            kept.append("  " + line[indent:] if line.strip() and depth >= indent else line)
    return kept
