"""Work is done to its end when what it did cannot be printed or reported, and the exit code says so."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backfilling import FAST, Desk, entry
from tests.live import CONFIG_PATH, QUESTION, STORAGE, SYNC, Step
from tests.sample import CONFIG, NEW, Trained
from triage.cli import main


class Failing(io.TextIOBase):
    """A stream that fails at each write."""

    encoding = "utf-8"

    def __init__(self, error: OSError) -> None:
        self.error = error

    def write(self, _: str) -> int:
        raise self.error


GONE, FULL = BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.ENOSPC, "No space left on device")
NUMBERS = (STORAGE, SYNC, QUESTION)


@pytest.mark.parametrize(("error", "code"), [(GONE, 0), (FULL, 13)])
@pytest.mark.parametrize("as_json", [True, False])
def test_issues_are_labelled_to_the_last_though_nothing_can_be_printed(
    step: Step, monkeypatch: pytest.MonkeyPatch, error: OSError, code: int, as_json: bool
) -> None:
    """Outputs and summary have them all; a reader who has gone is no failure, a full disk is."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Failing(error))
        options = ["--json"] if as_json else []
        assert step.label(f"--issue={STORAGE},{SYNC},{QUESTION}", *options) == code
    labelled = {str(number): sorted(step.repository.issues[number].label_names) for number in NUMBERS}
    assert all(labelled.values())
    assert {number: sorted(names) for number, names in step.outputs["labels"].items()} == labelled
    assert all(f"#{number}" in step.summary for number in NUMBERS)
    words = (
        "error: standard output cannot be written (No space left on device)\n  likely cause: the disk is full"
    )
    assert (words in step.err) == (code == 13)


@pytest.mark.parametrize("name", ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"])
def test_a_report_that_cannot_be_written_is_told_after_the_labels_are_set(
    step: Step, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The log has them, and the other report."""
    monkeypatch.setenv(name, str(step.folder / "missing" / "file"))
    assert step.label(f"--issue={STORAGE},{QUESTION}") == 13
    assert step.repository.issues[STORAGE].label_names
    assert step.repository.issues[QUESTION].label_names
    assert f"#{STORAGE}: " in step.out
    assert f"#{QUESTION}: " in step.out
    assert "missing/file) cannot be written (No such file or directory)\n" in step.err
    assert step.outputs if name == "GITHUB_STEP_SUMMARY" else step.summary


def test_a_run_that_fails_and_cannot_report_gives_the_failure(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be reported is a warning before it."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step.folder))
    step.configure("act: {comment: true}")
    step.repository.put_file(CONFIG_PATH, "labels: {allow: [1]}")
    assert step.label(f"--issue={STORAGE}") == 4
    step.configure("")
    assert step.label("--issue=99999") == 8
    assert (
        f"warning: the job summary ({step.folder}) cannot be written (Is a directory)\nerror: issue 99999 of"
        in step.err
    )


def test_the_action_annotates_a_report_that_cannot_be_written(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any other failure."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step.folder))
    monkeypatch.setenv("INPUT_STORE", str(step.store))
    step.happen(step.repository.issues[QUESTION])
    assert step.run("action") == 13
    assert step.repository.issues[QUESTION].label_names
    assert f"::error::the job summary ({step.folder}) cannot be written (Is a directory)%0A" in step.out


def to_nobody(desk: Desk, *argv: str) -> int:
    """The exit code of a process whose output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "triage", *argv]
        done = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, env=os.environ | desk.environment, check=False
        )
    finally:
        os.close(writer)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    return done.returncode


def test_a_plan_is_applied_to_its_end_though_nobody_reads(desk: Desk) -> None:
    """`triage backfill --apply … | head`: every issue gets its label, and the journal has them all."""
    issues = desk.issues(5)
    gone = entry(99, "bug")
    plan = desk.plan(gone, *(entry(issue.number, "bug") for issue in issues))
    assert to_nobody(desk, "backfill", f"--apply={plan}", FAST) == 0
    assert [issue.label_names for issue in issues] == [["bug"]] * 5
    steps = [json.loads(line).get("step") for line in desk.journal.read_text("utf-8").splitlines()]
    assert steps.count("done") == 5


def test_decisions_for_a_file_end_when_nobody_reads_them(desk: Desk, trained: Trained) -> None:
    """`triage label --from … | head`: they are all it does, and the exit code says that they were not all read."""
    options = [f"--from={NEW}", f"--store={trained.folder}", f"--config={CONFIG}"]
    assert to_nobody(desk, "label", *options) == 13


def test_help_that_nobody_reads_is_no_failure(desk: Desk) -> None:
    """Nor is any other page."""
    assert to_nobody(desk, "backfill", "--help") == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_encoding_gets_escapes(trained: Trained, encoding: str) -> None:
    """What it cannot show is written with a backslash; JSON stays the same JSON."""

    def said(*argv: str) -> str:
        environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        command = [sys.executable, "-m", "triage", *argv]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode(encoding)

    assert said("check", f"--config={CONFIG}").startswith("\\u2713 the configuration is valid")
    shown = json.loads(said("bundle", "show", "--json", f"--store={trained.folder}"))
    assert shown["name"] == trained.name


def test_a_closed_output_is_a_failure(trained: Trained) -> None:
    """Nothing could be read of what was asked for."""
    command = f"exec '{sys.executable}' -m triage bundle list '--store={trained.folder}' >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 13
    assert done.stderr.startswith("error: standard output cannot be written (it is closed)\n")


def test_an_undo_that_is_run_again_says_that_nothing_was_left(desk: Desk) -> None:
    """What an earlier run undid is told apart; so it is with a plan."""
    issues = desk.issues(3)
    desk.plan(*(entry(issue.number, "bug") for issue in issues))
    assert desk.apply() == 0
    assert "3 of 3 issues labelled, 0 left alone" in desk.out
    assert desk.apply() == 0
    assert "0 of 3 issues labelled and 3 by an earlier run, 0 left alone" in desk.out
    assert desk.undo() == 0
    assert "3 of 3 issues undone, 0 left alone" in desk.out
    assert desk.undo() == 0
    assert "0 of 3 issues undone and 3 by an earlier run, 0 left alone" in desk.out


def test_a_file_that_is_no_journal_stays_as_it_is(desk: Desk, tmp_path: Path) -> None:
    """Also one without an end of a line, which a journal cut short has not either."""
    notes = tmp_path / "notes"
    notes.write_text("precious", "utf-8")
    desk.plan(entry(desk.issues(1)[0].number, "bug"))
    assert desk.apply(f"--journal={notes}") == 5
    assert notes.read_text("utf-8") == "precious"


def test_the_models_are_listed_without_a_home(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that are shipped."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    assert main(["models", "list"]) == 0
    assert "issue-encoder  encoder" in capsys.readouterr().out
    assert main(["models", "verify"]) == 0


def test_a_file_that_nothing_answers_for_is_an_error_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever a disk fails, there is no traceback."""

    def failing() -> list[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", "/models")

    monkeypatch.setattr("triage.engine.model_folder.folders", failing)
    assert main(["models", "list"]) == 5
    assert capsys.readouterr().err == (
        "error: /models: cannot be used (Permission denied)\n"
        "  likely cause: the path is wrong, the disk is full, or the file may not be read or written\n"
        "  next step: check the path, make room, and run the same command again\n"
    )
