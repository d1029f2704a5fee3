"""Writing the pins of a hub model into the user's configuration without touching the rest of its text."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from triage.engine.model_folder import Pins
from triage.errors import ConfigError

KEYS = ("model", "revision", "sha256")


def block(model: str, pins: Pins) -> list[str]:
    """The pinning lines of a section, indented by two spaces."""
    hashes = [f'    "{path}": {sha}' for path, sha in sorted(pins.sha256.items())]
    return [f"  model: {model}", f'  revision: "{pins.revision}"', "  sha256:", *hashes]


def write(path: Path, section: str, model: str, pins: Pins) -> None:
    """Put the pins into `section` of the YAML file at `path`, made where it is missing.

    Other lines, comments among them, stay as they are. Raises ConfigError, and writes nothing, where that
    cannot be done to the file as it is written.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = block(model, pins)
    changed = _changed(text, section, lines)
    before, after = _parsed(text, path), _parsed(changed, path)
    pinned = _parsed("\n".join([f"{section}:", *lines]), path)[section]
    old = before.get(section) or {}
    expected = before | {
        section: (old | pinned) if isinstance(old, dict) and isinstance(pinned, dict) else None
    }
    if after != expected:
        raise ConfigError(
            f"cannot pin {model} in {path}: its section `{section}` is not written one key a line",
            likely="it is in braces",
            next_step="write there yourself:\n" + "\n".join([f"{section}:", *lines]),
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(changed, encoding="utf-8")


def _parsed(text: str, path: Path) -> dict[str, object]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no mapping")
    return data


def _changed(text: str, section: str, pinned: list[str]) -> str:
    lines = text.splitlines()
    head = next((at for at, line in enumerate(lines) if re.match(rf"{section}:\s*(#.*)?$", line)), None)
    if head is None:
        return "\n".join([*lines, *([""] if lines else []), f"{section}:", *pinned]) + "\n"
    end = next((at for at in range(head + 1, len(lines)) if re.match(r"[^\s#]", lines[at])), len(lines))
    return "\n".join([*lines[: head + 1], *pinned, *_others(lines[head + 1 : end]), *lines[end:]]) + "\n"


def _others(body: list[str]) -> list[str]:
    """The lines of a section that do not belong to a pinning key; keys get its two spaces."""
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
