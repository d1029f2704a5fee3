"""The command line's arguments: each is a field of its command's options, and values read back as they are written."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.cli import COMMANDS, arguments, main, parser
from triage.cli.action import Inputs, command_of
from triage.errors import UsageError
from triage.options import (
    ApplyOptions,
    BundleOptions,
    CheckOptions,
    EvaluateOptions,
    InitOptions,
    LabelOptions,
    MergeOptions,
    PlanOptions,
    RetrainOptions,
    UndoOptions,
    ranges,
)
from triage.study.methods import chosen

FROM = ("--from=x", "--store=s")


def names_of(command: argparse.ArgumentParser) -> set[str]:
    """The names of all arguments of a command and its actions."""
    names: set[str] = set()
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            names |= {action.dest}.union(*map(names_of, action.choices.values()))
        elif not isinstance(action, argparse._HelpAction):
            names.add(action.dest)
    return names


def leaves(name: str, command: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands that have no actions of their own."""
    inner = [a.choices for a in command._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield name, command
    for choice, below in inner[0].items() if inner else ():
        yield from leaves(f"{name} {choice}", below)


@pytest.mark.parametrize(
    ("command", "options", "combined"),
    [
        ("label", [LabelOptions], set()),
        ("retrain", [RetrainOptions], set()),
        ("backfill", [PlanOptions, ApplyOptions, MergeOptions], set()),
        ("undo", [UndoOptions], set()),
        ("bundle", [BundleOptions], {"of"}),
        ("check", [CheckOptions], set()),
        ("init", [InitOptions], set()),
        ("evaluate", [EvaluateOptions], {"model"}),
    ],
)
def test_every_argument_is_a_field_of_the_options(
    command: str, options: list[type], combined: set[str]
) -> None:
    """An argument under another name would be ignored in silence; `combined` ones go into another field."""
    [commands] = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    fields = {field.name for kind in options for field in dataclasses.fields(kind)}
    from_config = {"config_path"} if "config" in fields else set()
    assert names_of(commands.choices[command]) - fields == combined | from_config


@given(st.lists(st.integers(1, 60), min_size=1, unique=True))
def test_issue_numbers_read_back_as_they_are_written(numbers: list[int]) -> None:
    """In their order, for plans and messages."""
    assert arguments.issue_numbers(ranges(numbers)) == tuple(numbers)


@pytest.mark.parametrize(
    "text", ["1,2", "1 2", "1, 2", "1\n2", "1\r\n2\n", "1\t2", "1 ,\n 2,", " 1-2 ", "1 - 2"]
)
def test_commas_spaces_and_new_lines_separate_issue_numbers(text: str) -> None:
    """Never merged into one number: "1 2" is not issue 12."""
    assert arguments.issue_numbers(text) == (1, 2)


@pytest.mark.parametrize("text", ["", " ", ",", "1.2", "1;2", "-1", "1-", "#1", "1--2", "0", "2-1", "²", "٣"])
def test_anything_else_is_no_issue_number(text: str) -> None:
    """It is refused, and not read as another number."""
    with pytest.raises(UsageError, match=r"are not issue numbers|is not a range"):
        arguments.issue_numbers(text)


@pytest.mark.parametrize("text", [str(2**31), str(2**64), "9" * 400, f"1-{2**31}"])
def test_an_issue_number_that_github_cannot_have_is_refused_without_a_request(text: str) -> None:
    """GitHub answers them with an error that reads like a limit of requests."""
    with pytest.raises(UsageError):
        arguments.issue_numbers(text)


def test_lists_of_other_things_are_separated_likewise() -> None:
    """Slices and methods of a study, and the repositories of the action's `retrain`."""
    assert arguments.slice_sizes("8 16, all") == (8, 16)
    assert chosen("tfidf,nli\nadapted") == chosen("tfidf, nli, adapted")
    inputs = Inputs({"INPUT_REPOSITORY": "o/a, o/b\no/c", "GITHUB_REPOSITORY": "o/a"}, "retrain")
    _, options = command_of(inputs)
    assert isinstance(options, RetrainOptions)
    assert options.sources == ("o/a", "o/b", "o/c")


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0000-01-01", "2026-13-01"]
)
def test_a_time_outside_the_calendar_is_refused_in_words(text: str) -> None:
    """A zone can move a date before year 1 or behind year 9999."""
    with pytest.raises(UsageError, match="is not a time"):
        arguments.when(text)


@pytest.mark.parametrize("read", [arguments.count, arguments.slice_sizes, arguments.shard])
@pytest.mark.parametrize("text", ["9" * 5000, "²", "٣"])
def test_a_number_out_of_range_is_refused_in_words(read: Callable[[str], object], text: str) -> None:
    """Python itself refuses to read a number of more than 4,300 digits."""
    with pytest.raises(UsageError):
        read(text)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("30m", 1800.0), (" 2h ", 7200.0)])
def test_a_duration_is_in_seconds_minutes_or_hours(text: str, seconds: float) -> None:
    """As budgets are."""
    assert arguments.duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/o-x/r.y",
        "https://github.com/o-x/r.y.git",
        "https://github.com/o-x/r.y/issues?q=1#x",
        "http://www.github.com/o-x/r.y/",
        "github.com/o-x/r.y",
        "git@github.com:o-x/r.y.git",
        "ssh://git@github.com/o-x/r.y",
        "o-x/r.y",
    ],
)
def test_a_repository_may_be_named_by_its_address(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line, and in the action's input."""
    monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
    assert arguments.repository(text) == arguments.source(text) == "o-x/r.y"
    for command in ("check", "backfill"):
        _, options = command_of(Inputs({"INPUT_REPOSITORY": text, "INPUT_STORE": "s"}, command))
        assert (options.repo if isinstance(options, CheckOptions) else options.source) == "o-x/r.y"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", ["https://elsewhere.example/o/r", "https://github.com/o", "git@gitlab.com:o/r.git"]
)
def test_another_address_is_refused_with_the_right_form(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of the same name on the configured server would be another."""
    monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
    with pytest.raises(UsageError) as refused:
        arguments.repository(text)
    assert "write OWNER/NAME" in refused.value.next_step


@pytest.mark.parametrize("text", ["", "o/r", "org/*", "!org/old", "data/issues.jsonl", "../x/issues.jsonl"])
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    """Names, patterns and files."""
    assert arguments.source(text) == text


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["lable"], "did you mean 'label'?"),
        (["bundle", "lsit"], "did you mean 'list'?"),
        (["retrain", "--form=x", "--store=y"], "unrecognized arguments: --form; did you mean '--from'?"),
        (["retrain", "--from=x", "--stroe", "y"], "unrecognized arguments: --stroe; did you mean '--store'?"),
        (["bundle", "show", "--sotre=x"], "unrecognized arguments: --sotre; did you mean '--store'?"),
        (["retrain", "--from=x", "--store=y", "--adapt=encodr"], "did you mean 'encoder'?"),
        (["models", "train", "encodr", "x", "--out=y"], "did you mean 'encoder'?"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_one_that_is_meant(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, actions, options and choices."""
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_word_that_is_like_nothing_is_refused_without_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    """So is one option of many that begin alike."""
    with pytest.raises(SystemExit):
        main(["label", "--xyzzy"])
    assert capsys.readouterr().err.endswith("triage label: error: unrecognized arguments: --xyzzy\n")


def test_every_option_has_one_meaning() -> None:
    """Where an option of the same name is shown by several commands, it takes the same kind of value."""
    kinds: dict[str, dict[tuple[object, ...], str]] = {}
    for name, command in leaves("triage", parser()):
        for action in command._actions:
            if action.option_strings and action.help != argparse.SUPPRESS:
                kind = type(action).__name__, action.nargs, action.metavar, str(action.type)
                kinds.setdefault(action.option_strings[-1], {}).setdefault(kind, name)
    # Where issues come from: files alone for some commands, for others repositories too.
    assert {option for option, found in kinds.items() if len(found) > 1} == {"--from"}


def test_without_a_command_the_commands_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, as an error of usage."""
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert all(re.search(rf"^  +{name}\b", said.err, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("more", ["--issue=5", "--since=2 days", "--event=event.json"])
def test_a_file_is_labelled_whole_or_not_at_all(more: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that chooses issues on GitHub is not passed over."""
    assert main(["label", "--from=issues.jsonl", more]) == 2
    name = more.partition("=")[0]
    assert capsys.readouterr().err == (
        f"error: {name} chooses issues on GitHub, and --from labels all rows of a file\n"
        "  next step: leave one of them out\n"
    )
