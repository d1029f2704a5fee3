"""Generates the pages of docs/reference/ from the program: `python -m docs.make_reference`."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import yaml

from triage import errors
from triage.cli import COMMANDS, parser
from triage.cli.init import SCHEMA_URL, inline, sections
from triage.config import Config
from triage.rows import GH, CommentRow, IssueRow, LabelEventRow, TextEditRow

DOCS = Path(__file__).parent
ROOT = DOCS.parent
OURS = "triage-bot/triage"

ACTION_HEAD = """\
# The action

Use an action of triage in a step of a workflow, as in [examples/workflows](../../examples/workflows). The job summary
then shows what was done and why; the log gives the same reasons as text.
"""

ACTION_TAIL = """\
## Permissions

Give the job these permissions. Give none at the top of the workflow (`permissions: {}`):

| what the job does | it needs |
|---|---|
| label issues, apply or undo a backfill | `contents: read`, `issues: write`; for pull requests `pull-requests: write` |
| retrain, plan a backfill | `contents: read`, `issues: read` |
| publish, promote, roll back | `contents: write`, for git refs under `refs/triage/` |
| check | the permissions of the jobs that it checks for |

`triage check --repo OWNER/NAME` reports which of them the token lacks.

## Outputs

Outputs are JSON. They contain numbers of issues and names of labels, but never text of an issue. They are keyed by the
number of the issue, because a run may label several issues:

```yaml
- id: triage
  uses: triage-bot/triage@v0
- if: contains(fromJSON(steps.triage.outputs.labels || '{}')[github.event.issue.number], 'security')
  run: echo "look at this soon"
```

GitHub limits the outputs of a job to 1 MB. In a run over hundreds of issues, `scores` therefore has only the highest
scores of each issue, and `neighbours` only the nearest. If this is still too long, the last issues are left out, with a
warning.

## When it fails

The log and the page of the run show what happened, the likely cause and the next step. The [exit
code](cli.md#exit-codes) tells the kind of failure. Labels that were set before the failure stay.

If there is neither a bundle nor a described label, a run that was started by an event or a schedule succeeds with a
notice. An issue that was deleted or transferred in the meantime is reported and skipped.
"""

CONFIG_HEAD = """\
# Configuration

The configuration is the file `.github/triage.yml` (or `.yaml`) on the default branch. Every key is optional.
Without the file, the defaults below apply.

`triage init` writes a file with every key and its meaning, and `triage check` finds errors in it. Unknown keys and
duplicate keys are errors. Quote text that YAML could read as something else, such as `no` or `2024`.

**Patterns.** `*` stands for any text and `?` for any character. Brackets have no special meaning.

**Names of labels.** Case is ignored, as on GitHub: `Bug` here means the repository's `bug`. After a label is renamed,
its old name still works until the next retraining, and `triage check` reports the old name.

**Editors.** [config.schema.json](config.schema.json) is the JSON Schema. Editors with a YAML language server check
and complete the file if it begins with this line, which `triage init` writes:

```yaml
# yaml-language-server: $schema={SCHEMA_URL}
```
"""

CLI_HEAD = """\
# Command line

`triage COMMAND --help` prints the same text. [Install](../start/own-machine.md#install) explains how to get the
command.

| variable | meaning |
|---|---|
| `GITHUB_TOKEN` | the token for GitHub, for commands that use it |
| `GITHUB_API_URL`, `GITHUB_GRAPHQL_URL`, `GITHUB_SERVER_URL` | the addresses of a GitHub Enterprise Server |
| `HTTPS_PROXY`, `SSL_CERT_FILE` and others | [certificates and proxies](../how-to/certificates-and-proxies.md) |

Results go to standard output; progress, warnings and errors go to standard error. Work that takes more than five
seconds reports its progress. `--quiet` (`-q`), before or after the command, omits progress and notices. With `--json`,
standard output is JSON and nothing else.
"""

CLI_TAIL = """\
Code 13 means that the work is done, but could not be reported everywhere. A command that changes issues or a store
continues to its end even if nobody reads its output any more (`triage backfill --apply … | head`), or if its report
cannot be written. The journal, the job summary and the outputs, if they can be written, then contain everything that
was done.

`triage label --from` changes nothing, so it stops with code 13 when its reader is gone.
"""

CODES = {
    0: "done",
    1: "a defect of triage",
    130: "interrupted (Ctrl-C); run the same command again",
}


def action_page() -> str:
    """docs/reference/action.md."""
    lines = [ACTION_HEAD]
    for path in (ROOT / "action.yml", *sorted(ROOT.glob("*/action.yml"))):
        action = yaml.safe_load(path.read_text("utf-8"))
        name = OURS if path.parent == ROOT else f"{OURS}/{path.parent.name}"
        lines += [f"## `{name}`", "", action["description"].strip(), ""]
        lines += ["| input | default | meaning |", "|---|---|---|"]
        for key, entry in action.get("inputs", {}).items():
            lines.append(f"| `{key}` | {_default(entry)} | {_cell(entry['description'])} |")
        if outputs := action.get("outputs", {}):
            lines += ["", "| output | meaning |", "|---|---|"]
        lines += [f"| `{key}` | {_cell(entry['description'])} |" for key, entry in outputs.items()]
        lines.append("")
    return "\n".join([*lines, ACTION_TAIL])


def _default(entry: dict[str, str]) -> str:
    default = entry.get("default", "")
    return "the workflow's token" if "${{" in default else f"`{default}`" if default else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")


def config_page() -> str:
    """docs/reference/config.md."""
    lines = [CONFIG_HEAD.replace("{SCHEMA_URL}", SCHEMA_URL)]
    for name, doc, keys in sections():
        lines += [f"## `{name}`", "", doc, ""]
        lines += ["| key | default | meaning |", "|---|---|---|"] if keys else []
        for key in keys:
            bounds = f" Allowed: {key.bounds}." if key.bounds else ""
            lines.append(
                f"| `{key.name}` | {_code(inline(key.default))} | {key.doc.replace('|', '&#124;')}{bounds} |"
            )
        lines.append("")
    return "\n".join(lines)


def cli_page() -> str:
    """docs/reference/cli.md."""
    lines = [CLI_HEAD]
    commands = _children(parser())
    for name, command in commands.items():
        lines += [f"## `triage {name}`", "", f"{COMMANDS[name][1][:1].upper()}{COMMANDS[name][1][1:]}.", ""]
        if command.epilog:
            lines += [command.epilog, ""]
        lines += _options(command)
        for action, inner in _children(command).items():
            lines += [f"### `triage {name} {action}`", "", *_about(command, action), *_options(inner)]
    lines += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {words} |" for code, words in sorted(exit_codes().items())]
    return "\n".join([*lines, "", CLI_TAIL])


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
    hidden = argparse._SubParsersAction
    shown = [a for a in shown if a.help != argparse.SUPPRESS and not isinstance(a, hidden)]
    if shown:
        yield from ("| option | meaning |", "|---|---|")
    for action in shown:
        spelt = (
            ", ".join(f"`{name}`" for name in action.option_strings)
            or f"`{action.metavar or action.dest.upper()}`"
        )
        choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
        help_text = str(action.help) % {"default": action.default, "prog": command.prog}
        yield f"| {spelt} | {help_text.replace('|', '&#124;')}{choices} |"
    if shown:
        yield ""


def _code(text: str) -> str:
    return "`` " + text + " ``" if "`" in text else f"`{text}`"


LEARNT = json.dumps(
    {
        "repo": "OWNER/NAME",
        "number": 8,
        "title": "No sound",
        "body": "",
        "labels": ["bug"],
        "created_at": "2026-01-31T10:00:00Z",
        "label_events": [
            {"label": "bug", "action": "labeled", "actor": "ben", "created_at": "2026-01-31T12:00:00Z"}
        ],
    }
)
ROWS_HEAD = f"""\
# Rows

`--from FILE` reads issues as rows: one JSON object for each issue. The commands `label`, `retrain`, `evaluate`,
`backfill` and `models train` take it. [rows.schema.json](rows.schema.json) is the JSON Schema of a row.

## Files

| what | supported |
|---|---|
| format | one row on each line (JSON Lines), or an array of rows |
| compression | none or gzip, whatever the name of the file |
| encoding | UTF-8 with or without a byte order mark, or UTF-16 with one; Unix or Windows line ends |
| instead of a file | `-` for standard input, or a pipe such as `<(…)` |

Empty lines are ignored. If there are several rows of one issue, the last one counts. At the first invalid row, the
command ends with an error that names the place, the field and the expected value. `--skip-bad` skips invalid rows with
a warning.

## Rows from GitHub's own tools

triage reads what these commands print, without conversion:

```console
$ {GH},closedAt,assignees,milestone \\
    --state all --limit 10000 | triage retrain --from - --repo-of-rows OWNER/NAME --store bundles
$ gh search issues --owner OWNER --json number,title,body,labels,createdAt,repository > issues.json
$ gh api --paginate 'repos/OWNER/NAME/issues?state=all' > issues.json
$ jq -c '.[] | {{number, title, body, labels}}' issues.json > issues.jsonl
```

## Rows to label

`triage label` needs a title and a body:

```console
$ triage label --from - --store bundles < issues.jsonl
```

```jsonl
{{"title": "Crash at start", "body": "It crashes with a trace."}}
{{"number": 7, "title": "Add a dark mode", "body": null, "labels": ["enhancement"], "repo": "OWNER/NAME"}}
```

If a row has no `number`, triage identifies it by its place in the file, and all issues of the bundle may vote on it. If
it has a number, the issue with that number in the same repository does not vote.

## Rows to learn from

Learning also needs `number` and `labels`. With `created_at`, the issues are split by time. With `label_events`, triage
distinguishes labels that people set from labels that bots set:

```jsonl
{LEARNT}
```

## Fields

Other fields are ignored, and null counts as missing. Dates are in ISO 8601, and in UTC if they have no time zone. If a
row has a field under several of its names, the first one counts.

"""


def rows_page() -> str:
    """docs/reference/rows.md."""
    inner = {"label_events": LabelEventRow, "text_edits": TextEditRow, "comments": CommentRow}
    parts = list(_fields(IssueRow))
    for name, cls in inner.items():
        parts += [f"## Fields of `{name}`", "", *_fields(cls)]
    return ROWS_HEAD + "\n".join(parts)


def _fields(cls: type) -> Iterator[str]:
    """A table with the fields of a row."""
    yield from ("| field | also | type | meaning |", "|---|---|---|---|")
    for field in dataclasses.fields(cls):
        also = ", ".join(f"`{name}`" for name in field.metadata["also"])
        choices = f" One of {', '.join(f'`{one}`' for one in field.metadata.get('choices', ()))}."
        doc = field.metadata["doc"] + (choices if "choices" in field.metadata else "")
        yield f"| `{field.name}` | {also} | {_kinds(cls, field.name)} | {doc} |"
    yield ""


def _kinds(cls: type, name: str) -> str:
    """The types that a field may have, in words."""
    words = {"boolean": "true or false", "integer": "whole number", "array": "list"}
    schema = _schema(cls, name, name)
    ways = [one for one in schema.get("anyOf", [schema]) if one != NULL and "not" not in one]
    kinds = ["date" if "format" in one else one.get("type", "any") for one in ways]
    return " or ".join(words.get(kind, kind) for kind in kinds)


Schema = dict[str, typing.Any]
# What fields may hold beside their type, by name.
LOGIN: Schema = {
    "type": "object",
    "properties": {"login": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["login"],
}
OBJECT: Schema = {"type": "object"}
WAYS: dict[str, Schema] = {
    **dict.fromkeys(("author", "user", "closed_by", "closedBy"), LOGIN),
    **dict.fromkeys(("is_pull_request", "isPullRequest", "pull_request", "repository"), OBJECT),
    "url": {},
    "html_url": {},
    "comments": {"not": {"type": "array"}},
}
NULL: Schema = {"type": "null"}
TEXT: Schema = {"type": "string", "minLength": 1}


def _with_text(key: str) -> Schema:
    """An object that stands for the text under a key."""
    return {"type": "object", "properties": {key: {"anyOf": [TEXT, NULL]}}, "required": [key]}


def rows_schema() -> str:
    """docs/reference/rows.schema.json."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An issue, as triage reads it from a row of a file",
        "description": "Without `number` and `labels` it can be labelled, but not learnt from.",
    }
    return json.dumps(head | _object(IssueRow), indent=2) + "\n"


def _object(cls: type) -> Schema:
    fields = dataclasses.fields(cls)
    missing = dataclasses.MISSING
    properties: Schema = {}
    for field in fields:
        for name in (field.name, *field.metadata["also"]):
            properties[name] = {"description": field.metadata["doc"]} | _schema(cls, field.name, name)
    return {
        "type": "object",
        "properties": properties,
        "required": [f.name for f in fields if f.default is missing and f.default_factory is missing],
    }


def _schema(cls: type, own: str, name: str) -> Schema:
    """What the field `own` may hold under this `name`, null included where it has a default."""
    field = next(field for field in dataclasses.fields(cls) if field.name == own)
    hint = typing.get_type_hints(cls)[own]
    if hint is typing.Any:
        return {}
    ways = [_of_type(hint, field.metadata), *([WAYS[name]] if name in WAYS else [])]
    if field.default is not dataclasses.MISSING or type(None) in typing.get_args(hint):
        ways.append(NULL)
    return ways[0] if len(ways) == 1 else {"anyOf": ways}


def _of_type(hint: typing.Any, rules: typing.Mapping[str, typing.Any]) -> Schema:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _of_type(typing.get_args(hint)[0], rules)
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        ways = [TEXT, _with_text(rules["inside"])] if item is str else [_object(item)]
        return {"type": "array", "items": {"anyOf": [*ways, NULL]}}
    plain = {str: "string", bool: "boolean", int: "integer"}
    schema: Schema = {"type": "string", "format": "date-time"} if hint is datetime else {"type": plain[hint]}
    bounds = {"minimum": rules.get("low"), "maximum": rules.get("high"), "enum": rules.get("choices")}
    return schema | {key: value for key, value in bounds.items() if value}


def config_schema() -> str:
    """docs/reference/config.schema.json: what editors check `.github/triage.yml` against."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_URL,
        "title": "The configuration of triage, .github/triage.yml",
    }
    whole = _section(Config)
    # What stands at the top is null where all below it is commented out.
    for name, one in whole["properties"].items():
        ways = {key: value for key, value in one.items() if key != "description"}
        whole["properties"][name] = {"description": one["description"], "anyOf": [ways, NULL]}
    return json.dumps(head | whole, indent=2) + "\n"


def _section(cls: typing.Any) -> Schema:
    """A dataclass of the configuration as an object with these keys and no others."""
    hints = typing.get_type_hints(cls)
    properties: Schema = {}
    for field in dataclasses.fields(cls):
        rules = field.metadata
        doc = rules.get("doc") or inspect.getdoc(_item(hints[field.name]))
        properties[field.name] = {"description": doc} | _value(hints[field.name], rules)
    whole: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"anyOf": [{"type": "string"}, whole]} if getattr(cls, "short", "") else whole


def _item(hint: typing.Any) -> typing.Any:
    """The dataclass in a type."""
    return next(one for one in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(one))


def _value(hint: typing.Any, rules: typing.Mapping[str, typing.Any]) -> Schema:
    """What a key may hold."""
    args, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_value(args[0], rules), NULL]}
    if dataclasses.is_dataclass(hint):
        return _section(hint)
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(args[1], rules)}
    if origin is tuple:
        several: Schema = {"type": "array", "items": _value(args[0], {} if rules.get("single") else rules)}
        if not rules.get("single"):
            return several
        one = _value(args[0], {name: value for name, value in rules.items() if name != "single"})
        return {"anyOf": [one, several | {"items": one}]}
    plain = {str: "string", bool: "boolean", int: "integer", float: "number"}
    bounds = {"minimum": rules.get("low"), "maximum": rules.get("high"), "enum": rules.get("choices")}
    return {"type": plain[hint]} | {name: value for name, value in bounds.items() if value not in (None, ())}


PAGES = {
    "reference/action.md": action_page,
    "reference/config.md": config_page,
    "reference/config.schema.json": config_schema,
    "reference/cli.md": cli_page,
    "reference/rows.md": rows_page,
    "reference/rows.schema.json": rows_schema,
}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write(), "utf-8")
