"""`triage completion`: what the shell offers is what the parser takes."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from triage.cli import COMMANDS, main, parser
from triage.cli.completion import SHELLS


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def offered(path: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    line = " ".join(f"'{word}'" for word in ("triage", *words))
    run = f"source {path}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _triage; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_offers_commands_actions_options_and_choices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the place that the words lead to; where nothing fits, bash goes on to file names."""
    path = tmp_path / "completion"
    path.write_text(script("bash", capsys), "utf-8")
    assert set(offered(path, "")) >= {*COMMANDS, "--quiet", "--help"}
    assert offered(path, "ret") == ["retrain"]
    assert offered(path, "--quiet", "bundle", "ro") == ["rollback"]
    assert offered(path, "bundle", "show", "--js") == ["--json"]
    assert offered(path, "retrain", "--adapt", "enc") == ["encoder"]
    assert offered(path, "label", "--store", "x", "--dr") == ["--dry-run"]
    assert offered(path, "models", "train", "con") == ["concepts"]
    assert offered(path, "label", "--file") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_every_option_that_is_shown_is_completed_and_no_other(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A former spelling is not."""
    text = script(shell, capsys)
    names = set(
        re.findall(r" -l ([a-z0-9-]+)", text) if shell == "fish" else re.findall(r"--([a-z0-9-]+)", text)
    )
    assert names == set(shown(parser()))


def shown(command: argparse.ArgumentParser) -> list[str]:
    names = []
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            names += [name for below in action.choices.values() for name in shown(below)]
        elif action.help != argparse.SUPPRESS:
            names += [name[2:] for name in action.option_strings[-1:] if name.startswith("--")]
    return names
