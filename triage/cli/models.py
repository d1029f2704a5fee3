"""`triage models`: what is shipped and pulled, whether it is unchanged, and how to get another."""

from __future__ import annotations

import argparse
from pathlib import Path

from triage.engine import model_folder as models
from triage.errors import MissingExtra, UsageError
from triage.training import cli as training


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="show the models on this machine").set_defaults(act=_list)
    verify = actions.add_parser("verify", help="compare the files of the models with their manifests")
    verify.add_argument("name", nargs="?", help="one model (default: all of them)")
    verify.set_defaults(act=_verify)
    _configure_pull(actions.add_parser("pull", help="download a hub model and pin it"))
    _configure_export(actions.add_parser("export", help="make a model folder from PyTorch weights"))
    training.configure(actions.add_parser("train", help="train a model that all repositories share"))


def _configure_pull(pull: argparse.ArgumentParser) -> None:
    pull.add_argument("model", help="a hub model, `org/name`, that holds ONNX")
    pull.add_argument("--revision", default="main", help="branch, tag or commit (default: main)")
    pull.add_argument(
        "--config", type=Path, help="the configuration to write the pins into (default: show them)"
    )
    pull.set_defaults(act=_pull)


def _configure_export(export: argparse.ArgumentParser) -> None:
    export.add_argument("source", help="a folder of weights, or a hub model `org/name`")
    export.add_argument("--out", type=Path, required=True, help="the model folder to make")
    export.add_argument("--name", help="what to call it (default: the name of the folder to make)")
    export.add_argument(
        "--kind", choices=models.KINDS, default="encoder", help="what it does (default: encoder)"
    )
    export.add_argument("--max-tokens", type=int, default=256, help="tokens read of a text (default: 256)")
    export.add_argument("--revision", default="main", help="of a hub model (default: main)")
    export.add_argument("--origin", default="", help="the hub model that a folder of weights comes from")
    export.add_argument("--licence", default="unknown", help="the licence of the weights")
    export.add_argument("--note", default="", help="a sentence for the model card")
    export.add_argument("--fp32", action="store_true", help="leave the weights in fp32 instead of int8")
    export.set_defaults(act=_export)


def run(args: argparse.Namespace) -> int:
    """Carry out the action that was chosen; raises ModelError and what the action raises."""
    code: int = args.act(args)
    return code


def _list(_args: argparse.Namespace) -> int:
    for folder in models.folders():
        manifest = models.read_manifest(folder)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(
            f"{manifest.name}  {manifest.kind}  {manifest.dimension} out  {manifest.max_tokens} tokens  "
            f"{size:.1f} MB  {manifest.licence}  {folder}"
        )
    return 0


def _verify(args: argparse.Namespace) -> int:
    found = [(models.read_manifest(folder).name, folder) for folder in models.folders()]
    chosen = [row for row in found if args.name in (None, row[0])]
    if not chosen:
        known = ", ".join(name for name, _ in found) or "none"
        raise UsageError(f"no model {args.name!r} here; there: {known}", next_step="see `triage models list`")
    for name, folder in chosen:
        models.verify(folder)
        print(f"{name}: unchanged ({folder})")
    return 0


def _pull(args: argparse.Namespace) -> int:
    from triage.cli.pins import block, write
    from triage.engine import hub

    if not models.HUB_ID.fullmatch(args.model):
        raise UsageError(f"{args.model!r} is not a hub model `org/name`")
    pins = hub.pull(args.model, args.revision)
    folder = models.pulled_folder(args.model, pins.revision or "")
    section = "encoder" if models.verify(folder).kind == "encoder" else "zero_shot"
    if args.config is None:
        print("\n".join([f"{section}:", *block(args.model, pins)]))
        return 0
    write(args.config, section, args.model, pins)
    print(f"{args.model} at {pins.revision}: pinned in {args.config}, files in {folder}")
    return 0


def _export(args: argparse.Namespace) -> int:
    try:
        from triage.finetune.export import Recipe, export
    except ModuleNotFoundError as error:
        raise MissingExtra(f"`triage models export` needs {error.name}", "train") from error
    recipe = Recipe(
        source=args.source,
        name=args.name or args.out.name,
        kind=args.kind,
        revision=args.revision,
        origin=args.origin,
        licence=args.licence,
        note=args.note,
        max_tokens=args.max_tokens,
        int8=not args.fp32,
    )
    manifest, parity = export(recipe, args.out)
    print(f"{manifest.name}: {args.out}, cosine to PyTorch {parity.mean:.4f} (least {parity.least:.4f})")
    return 0
