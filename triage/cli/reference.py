"""The configuration's keys in words, out of the dataclasses themselves: for `triage init` and docs/config.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from triage.config import Config

HEADER = """\
# How triage behaves in this repository. Every key there is stands here; those behind a `#` without a space
# show the default. Check changes with `triage check --config FILE`.
"""


@dataclass(frozen=True)
class Key:
    """One key of the configuration, `section.name`."""

    section: str
    name: str
    doc: str
    default: object
    choices: tuple[str, ...]
    low: float | None
    high: float | None

    @property
    def bounds(self) -> str:
        """What values are taken, where that is bounded."""
        if self.choices:
            return ", ".join(f"`{choice}`" for choice in self.choices)
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return f"at least {self.low:g}" if self.low is not None else ""


def sections() -> Iterator[tuple[str, str, list[Key]]]:
    """(name, one sentence, keys) of each section, in order."""
    for section in dataclasses.fields(Config):
        default = getattr(Config(), section.name)
        keys = [
            Key(
                section.name,
                option.name,
                option.metadata["doc"],
                getattr(default, option.name),
                option.metadata["choices"],
                option.metadata["low"],
                option.metadata["high"],
            )
            for option in dataclasses.fields(default)
        ]
        yield section.name, str(type(default).__doc__), keys


def template(chosen: Mapping[str, str]) -> str:
    """A configuration that explains itself: `chosen` maps `section.name` to its YAML, all else is the default.

    A chosen value may be a block: lines indented by four below the key.
    """
    return "\n".join([HEADER, *(line for section in sections() for line in _section(*section, chosen))])


def _section(name: str, doc: str, keys: list[Key], chosen: Mapping[str, str]) -> Iterator[str]:
    yield from (f"# {doc}", f"{name}:")
    for key in keys:
        yield f"  # {key.doc}"
        value = chosen.get(f"{name}.{key.name}")
        yield f"  #{key.name}: {inline(key.default)}" if value is None else f"  {key.name}:{value}"
    yield ""


def inline(value: object) -> str:
    """A value as YAML on one line."""
    import yaml

    plain = _plain(value)
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _plain(value: object) -> object:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
