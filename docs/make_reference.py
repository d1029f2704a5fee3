"""Generates docs/config.md and docs/cli.md from the program: `python -m docs.make_reference`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from triage import errors
from triage.cli import COMMANDS, parser
from triage.cli.init import inline, sections

DOCS = Path(__file__).parent

CONFIG_HEAD = """\
# The configuration

The configuration is the file `.github/triage.yml` (or `.yaml`) on the default branch, read through the API. Every key
is optional; without the file, the defaults below apply. `triage init` writes a file with every key and its meaning,
`triage check` reports errors in it. Unknown keys and keys that are there twice are errors, so that a typing mistake
does not go unnoticed; text that YAML could read as something else, such as `no` or `2024`, needs quotes.

In a pattern, `*` matches any text and `?` any character. Case is ignored, and brackets have no special meaning.
"""

CLI_HEAD = """\
# The command line

`triage COMMAND --help` has the same text. Commands that use GitHub read the token from `GITHUB_TOKEN` and the addresses
from `GITHUB_API_URL`, `GITHUB_GRAPHQL_URL` and `GITHUB_SERVER_URL`, which the runner sets.
"""

CODES = {
    0: "done",
    1: "a defect of triage",
    130: "interrupted (Ctrl-C); run the same command again",
}


def config_page() -> str:
    """docs/config.md."""
    lines = [CONFIG_HEAD]
    for name, doc, keys in sections():
        lines += [f"## `{name}`", "", doc, "", "| key | default | |", "|---|---|---|"]
        for key in keys:
            bounds = f" Allowed: {key.bounds}." if key.bounds else ""
            lines.append(
                f"| `{key.name}` | {_code(inline(key.default))} | {key.doc.replace('|', '&#124;')}{bounds} |"
            )
        lines.append("")
    return "\n".join(lines)


def cli_page() -> str:
    """docs/cli.md."""
    lines = [CLI_HEAD]
    commands = _children(parser())
    for name, command in commands.items():
        lines += [f"## `triage {name}`", "", f"{COMMANDS[name][1][:1].upper()}{COMMANDS[name][1][1:]}.", ""]
        if command.epilog:
            lines += [command.epilog, ""]
        lines += _options(command)
        for action, inner in _children(command).items():
            lines += [f"### `triage {name} {action}`", "", *_about(command, action), *_options(inner)]
    lines += ["## Exit codes", "", "| code | |", "|---|---|"]
    lines += [f"| {code} | {words} |" for code, words in sorted(exit_codes().items())]
    return "\n".join([*lines, ""])


def exit_codes() -> dict[int, str]:
    """What each exit code says, out of the tree of errors."""
    tree = (errors.__doc__ or "").splitlines()
    found = {
        int(words[2]): " ".join(words[3:])
        for line in tree
        if len(words := line.split()) > 3 and words[2].isdecimal()
    }
    return found | CODES


def _children(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    groups = [a for a in command._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(groups[0].choices) if groups else {}


def _about(command: argparse.ArgumentParser, action: str) -> Iterator[str]:
    for group in command._actions:
        if isinstance(group, argparse._SubParsersAction):
            for choice in group._choices_actions:
                if choice.dest == action and choice.help:
                    yield from (f"{choice.help[:1].upper()}{choice.help[1:]}.", "")


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    shown = [a for a in command._actions if a.help and not isinstance(a, argparse._HelpAction)]
    shown = [a for a in shown if not isinstance(a, argparse._SubParsersAction)]
    if shown:
        yield from ("| | |", "|---|---|")
    for action in shown:
        spelt = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.dest.upper()}`"
        choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
        help_text = str(action.help) % {"default": action.default, "prog": command.prog}
        yield f"| {spelt} | {help_text.replace('|', '&#124;')}{choices} |"
    if shown:
        yield ""


def _code(text: str) -> str:
    return "`` " + text + " ``" if "`" in text else f"`{text}`"


PAGES = {"config.md": config_page, "cli.md": cli_page}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write(), "utf-8")
