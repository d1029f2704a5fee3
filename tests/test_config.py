"""The configuration is parsed once, every key is known, and what is wrong is named with its path."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from triage.config import (
    ActConfig,
    Config,
    EncoderConfig,
    LabelsConfig,
    LearnConfig,
    VoteConfig,
    ZeroShotConfig,
    from_dict,
    from_text,
    load,
)
from triage.errors import ConfigError

# Every key there is, with a value other than the default.
EVERY_KEY = {
    "labels": {
        "allow": ["area:*"],
        "deny": ["x"],
        "descriptions": {"bug": "It broke"},
        "exclusive": [["bug", "question"], ["a", "b"]],
        "max": 3,
        "abstain": "untriaged",
        "create": True,
    },
    "vote": {"k": 8, "m": 3, "weighting": "uniform", "min_examples": 5, "precision_target": 0.8},
    "zero_shot": {
        "model": "embedding",
        "revision": "abc",
        "sha256": {"model.onnx": "0f"},
        "template": "It is {}",
        "threshold": 0.4,
        "top_k": 2,
    },
    "encoder": {"model": "o/m", "revision": "def", "sha256": {"model.onnx": "1f"}, "budget": 128},
    "learn": {
        "ignore": ["stale"],
        "pull_requests": True,
        "repositories": ["o/r", "org/*", "!org/archive-*"],
        "shared": ["kind/*"],
        "trusted_bots": ["robot"],
        "bots": ["thing"],
        "min_new": 3,
        "publishers": ["me"],
        "max_rate_limit_wait": 60,
    },
    "act": {
        "pull_requests": True,
        "skip_authors": ["a*"],
        "skip_bots": False,
        "comment": True,
        "max_rate_limit_wait": 5,
    },
}


def plain(value: object) -> object:
    """A configuration as YAML would hold it."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_every_key_is_read() -> None:
    """What the mapping says is what the configuration holds, for every key that there is."""
    config = from_dict(EVERY_KEY)
    assert plain(dataclasses.asdict(config)) == EVERY_KEY
    for room, default in dataclasses.asdict(Config()).items():
        assert all(plain(default[key]) != value for key, value in EVERY_KEY[room].items())


@pytest.mark.parametrize(
    "cls", [Config, LabelsConfig, VoteConfig, ZeroShotConfig, EncoderConfig, LearnConfig, ActConfig]
)
def test_configurations_are_frozen(cls: type) -> None:
    """No part of a configuration can be changed once it is parsed."""
    field = dataclasses.fields(cls)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(cls(), field, None)


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "{}", "labels: {}\nvote: {}", "labels:\nvote: {}"]
)
def test_nothing_said_is_the_default(text: str) -> None:
    """An empty file, and empty sections, are the default configuration."""
    assert from_text(text, where="f") == Config() == load(None)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "lables: {}",
            ": in 'lables': unknown key; known here: labels, vote, zero_shot, encoder, learn, act",
        ),
        (
            "vote: {n: 3}",
            ": in 'vote.n': unknown key; known here: k, m, weighting, min_examples, precision_target",
        ),
        ("7: x", ": in '7': unknown key; known here: labels, vote, zero_shot, encoder, learn, act"),
        ("[]", ": in '(top)': expected a mapping, found []"),
        ("labels: bug", ": in 'labels': expected a mapping, found 'bug'"),
        ("labels: {allow: bug}", ": in 'labels.allow': expected a list, found 'bug'"),
        ("labels: {allow: [bug, 3]}", ": in 'labels.allow[1]': expected a string, found 3"),
        ("labels: {exclusive: [[a], b]}", ": in 'labels.exclusive[1]': expected a list, found 'b'"),
        ("labels: {exclusive: [[a, true]]}", ": in 'labels.exclusive[0][1]': expected a string, found True"),
        ("labels: {max: 0}", ": in 'labels.max': expected at least 1, found 0"),
        ("labels: {max: 2.5}", ": in 'labels.max': expected a whole number, found 2.5"),
        ("labels: {max: true}", ": in 'labels.max': expected a whole number, found True"),
        ("labels: {create: 1}", ": in 'labels.create': expected true or false, found 1"),
        ("labels: {descriptions: [bug]}", ": in 'labels.descriptions': expected a mapping, found ['bug']"),
        (
            "labels: {descriptions: {bug: 1}}",
            ": in 'labels.descriptions.bug': expected a string, found 1",
        ),
        ("labels: {descriptions: {404: x}}", ": in 'labels.descriptions': expected a string, found 404"),
        ("labels: {descriptions: {' ': x}}", ": in 'labels.descriptions': a description has no label"),
        ("vote: {k: 51}", ": in 'vote.k': expected at most 50, found 51"),
        ("vote: {k: 3, m: 4}", ": in 'vote.m': 4 votes cannot be reached with 3 neighbours"),
        (
            "vote: {weighting: none}",
            ": in 'vote.weighting': expected one of similarity, uniform, found 'none'",
        ),
        ("vote: {precision_target: 1.5}", ": in 'vote.precision_target': expected at most 1, found 1.5"),
        (
            "vote: {precision_target: .nan}",
            ": in 'vote.precision_target': expected a finite number, found nan",
        ),
        ("vote: {precision_target: high}", ": in 'vote.precision_target': expected a number, found 'high'"),
        ("zero_shot: {threshold: -0.1}", ": in 'zero_shot.threshold': expected at least 0, found -0.1"),
        (
            "zero_shot: {template: About}",
            ": in 'zero_shot.template': `{}`, the place of the label, is missing",
        ),
        ("encoder: {budget: 8}", ": in 'encoder.budget': expected at least 16, found 8"),
        (
            'labels: {abstain: "\\ud800"}',
            ": in 'labels.abstain': expected text that UTF-8 can carry, found '\\ud800'",
        ),
        ("a: b: c", ", line 1: not valid YAML"),
        ("labels:\n  max: [", ", line 2: not valid YAML"),
        ("labels: {max: 2024-13-45}", ": not valid YAML"),
        ("[" * 5000, ": not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", ", line 1: not valid YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(text: str, wrong: str) -> None:
    """Unknown keys, other types and values out of bounds are refused, with the file, the path and what is there."""
    with pytest.raises(ConfigError) as refused:
        from_text(text, where="triage.yml")
    assert refused.value.what == f"triage.yml{wrong}"
    assert refused.value.exit_code == 4


def test_an_error_tells_the_likely_cause_and_the_next_step() -> None:
    """The whole message of a refused configuration has three lines."""
    with pytest.raises(ConfigError) as refused:
        from_dict({"vote": {"k": 0}})
    assert str(refused.value).split("\n") == [
        "the configuration: in 'vote.k': expected at least 1, found 0",
        "  likely cause: a typing mistake, or a key of another version",
        "  next step: compare with docs/config.md, then run `triage check --config FILE`",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, and one that is not UTF-8, are refused with their path."""
    missing, foreign = tmp_path / "none.yml", tmp_path / "latin.yml"
    foreign.write_bytes("labels: {abstain: é}".encode("latin-1"))
    for path in (missing, foreign):
        with pytest.raises(ConfigError) as refused:
            load(path)
        assert refused.value.what.startswith(f"{path}: cannot be read (")
        assert (refused.value.likely, refused.value.next_step) == ("the path is wrong", "check --config")


def test_every_key_is_documented() -> None:
    """Each option of each section says in a sentence what it does."""
    for room in dataclasses.fields(Config):
        for field in dataclasses.fields(type(getattr(Config(), room.name))):
            assert field.metadata["doc"].endswith("."), field.name
