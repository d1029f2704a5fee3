"""The command line's arguments: each is a field of its command's options, and values read back as they are written."""

from __future__ import annotations

import argparse
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.cli import arguments, parser
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


def names_of(command: argparse.ArgumentParser) -> set[str]:
    """The names of all arguments of a command and its actions."""
    names: set[str] = set()
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            names |= {action.dest}.union(*map(names_of, action.choices.values()))
        elif not isinstance(action, argparse._HelpAction):
            names.add(action.dest)
    return names


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


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("30m", 1800.0), (" 2h ", 7200.0)])
def test_a_duration_is_in_seconds_minutes_or_hours(text: str, seconds: float) -> None:
    """As budgets are."""
    assert arguments.duration(text) == seconds
