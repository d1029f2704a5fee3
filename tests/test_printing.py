"""Whatever a command prints goes through `triage/console.py`: no line is a workflow command or holds a control."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sample import Trained
from tests.storing import activate, tiny
from tests.test_console import COMMAND, CONTROL
from triage.bundle.local_store import LocalStore
from triage.cli import main

PACKAGE = Path(__file__).parents[1] / "triage"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "console.py")
# Other uses of the streams than writing to them.
USES = {
    "cli/__init__.py": {"sys.stdout", "sys.stderr"},
    "engine/ray_backend.py": {"sys.stderr"},
}
CONFIGS = {
    "key": '"x\\n::add-mask::pwn": 1\n',
    "label": 'labels: {exclusive: [["a\\n::stop-commands::pwn"]]}\n',
    "v1": 'labels: {exclusive: [["##[add-mask]pwn"]]}\n',
    "escape": 'labels: {exclusive: [["\\e]0;pwn\\a\\u202Ex\\u009b31m"]]}\n',
    "description": 'labels: {descriptions: {"a\\r\\n::error::\\u2028::x": "y"}, deny: ["*"]}\n',
}


def harmful(text: str) -> list[str]:
    """The lines that a runner would obey, or that would reach a terminal with a control."""
    return [line for line in text.split("\n") if COMMAND.search(line) or CONTROL.search(line)]


def printing(path: Path) -> set[str]:
    """What a module uses to print: `print`, the streams and their methods, and parsers that write by themselves."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    named = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute) and id(node) not in inner}
    return {name for name in named if re.match(r"sys\.(__)?std(out|err)", name)} | called & {
        "print",
        "os.write",
        "argparse.ArgumentParser",
    }


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(PACKAGE)) for path in SOURCES])
def test_a_module_prints_by_the_console_alone(path: Path) -> None:
    """Nothing else writes to a stream, and every parser prints its help and errors by it."""
    assert printing(path) <= USES.get(str(path.relative_to(PACKAGE)), set())


@pytest.mark.parametrize("runner", ["true", "false"])
@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
def test_a_configuration_reaches_neither_the_runner_nor_the_terminal(
    text: str,
    runner: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By `check`, which repeats what it complains about."""
    monkeypatch.setenv("GITHUB_ACTIONS", runner)
    config = tmp_path / "triage.yml"
    config.write_text(text, "utf-8")
    main(["check", f"--config={config}"])
    out, err = capsys.readouterr()
    assert out + err
    assert harmful(out + err) == []


@pytest.mark.parametrize("command", ["list", "list --json", "show", "show --json", "verify"])
def test_what_a_bundle_holds_reaches_neither_the_runner_nor_the_terminal(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The JSON that is shown is the same."""
    hostile = "x\n::stop-commands::y ##[add-path]/tmp \x1b[31m\u202e\x9b\x7f"
    store, bundle = LocalStore(tmp_path / "store"), tiny(1)
    rule = replace(bundle.rules.labels[0], name=hostile)
    name = activate(
        store,
        replace(
            bundle,
            manifest=replace(bundle.manifest, encoder=hostile),
            rules=replace(bundle.rules, labels=(rule,)),
        ),
    )
    if command == "verify":
        rules = tmp_path / "store" / "bundles" / name / "rules.json"
        rules.write_text('{"\\n::stop-commands::y\\u001b##[a]": 1}', "utf-8")
    code = main(["bundle", *command.split(), f"--store={tmp_path / 'store'}"])
    out, err = capsys.readouterr()
    assert out
    assert harmful(out + err) == []
    assert code == (7 if command == "verify" else 0)
    if command == "show --json":
        assert json.loads(out)["manifest"]["encoder"] == hostile


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_an_issue_reaches_neither_the_runner_nor_the_terminal(
    as_json: list[str], trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither its repository nor its title."""
    row = {"repo": "\x1b]0;pwn\x07\x1b[31mo/##[x]", "number": 1, "title": "::add-mask::\u202et", "body": ""}
    file = tmp_path / "issues.jsonl"
    file.write_text(json.dumps(row | {"labels": []}) + "\n", "utf-8")
    main(["label", f"--from={file}", f"--store={trained.folder}", *as_json])
    out, err = capsys.readouterr()
    assert out + err
    assert harmful(out + err) == []


@pytest.mark.parametrize(
    "argv",
    [["\n::add-mask::x"], ["check", "--\n::add-mask::x\x1b[31m"], ["label", "##[x]\u202e\n::error::y"]],
)
def test_a_wrong_argument_reaches_neither_the_runner_nor_the_terminal(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse repeats what it does not know."""
    with pytest.raises(SystemExit):
        main(argv)
    err = capsys.readouterr().err
    assert "usage: triage" in err
    assert harmful(err) == []


@pytest.mark.parametrize("defect", ["raise ValueError(text)", "logging.getLogger('urllib3').warning(text)"])
def test_a_defect_and_a_library_reach_neither_the_runner_nor_the_terminal(defect: str) -> None:
    """Tracebacks and log records that nothing else handles are printed by the console too."""
    program = (
        "import logging\nfrom triage import console\nconsole.guard()\n"
        f"text = 'x\\n::stop-commands::y ##[a] \\x1b[31m'\n{defect}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "stop-commands" in done.stderr
    assert harmful(done.stderr) == []
