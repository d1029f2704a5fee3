"""The configuration is parsed once, every key is known, and what is wrong is named with its path."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from triage.cli.init import template
from triage.config import (
    ActConfig,
    ConditionConfig,
    Config,
    EncoderConfig,
    LabelsConfig,
    LearnConfig,
    RuleConfig,
    VoteConfig,
    ZeroShotConfig,
    from_dict,
    from_text,
    load,
)
from triage.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
# Every key there is, with a value other than the default.
EVERY_KEY = {
    "labels": {
        "allow": ["area:*"],
        "deny": ["x"],
        "descriptions": {"bug": "It broke"},
        "targets": {"bug": 0.95, "area/*": 0.5},
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
    "encoder": {"model": "o/m", "revision": "def", "sha256": {"model.onnx": "1f"}, "max_tokens": 128},
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
    "rules": [
        {
            "name": "sync",
            "when": {
                "title": ["sync"],
                "body": ["a", "b"],
                "form": {"Component": ["Sync"]},
                "association": ["NONE"],
                "files": ["src/**"],
                "all_files": ["!docs/**"],
            },
            "set": ["area/sync"],
            "bar": ["docs"],
            "require": ["bug"],
        }
    ],
    "extends": {"config": "o/r:triage.yml", "append": ["labels.deny", "rules"]},
    "act": {
        "pull_requests": True,
        "discussions": True,
        "types": True,
        "categories": ["General"],
        "skip_authors": ["a*"],
        "skip_bots": False,
        "comment": True,
        "off_label": "leave-me",
        "commands": True,
        "duplicates": 0.7,
        "comment_duplicates": True,
        "suggest": 0.5,
        "suggest_in": "github",
        "max_rate_limit_wait": 5,
    },
    "owners": {"area/sync": ["alice", "org/sync-team"]},
    "assign": {"choose": "all", "max": 2},
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
        given = EVERY_KEY[room]
        keys = given.items() if isinstance(given, dict) else []
        assert plain(default) != given
        assert all(plain(default.get(key)) != value for key, value in keys)


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
            ", line 1: in 'lables': unknown key; did you mean 'labels'? known keys: labels, vote, zero_shot, encoder, "
            "learn, act, rules, owners, assign, extends",
        ),
        (
            "vote: {n: 3}",
            ", line 1: in 'vote.n': unknown key; known keys: k, m, weighting, min_examples, precision_target",
        ),
        ("7: x", ", line 1: in '7': the key '7' has no quotes, and YAML reads it as a number"),
        ("[]", ", line 1: in '(top)': expected a mapping, found []"),
        ("labels: bug", ", line 1: in 'labels': expected a mapping, found 'bug'"),
        ("labels: {allow: bug}", ", line 1: in 'labels.allow': expected a list, found 'bug'"),
        ("labels: {allow: [bug, 3]}", ", line 1: in 'labels.allow[1]': expected a string, found 3"),
        ("labels: {exclusive: [[a], b]}", ", line 1: in 'labels.exclusive[1]': expected a list, found 'b'"),
        (
            "labels: {exclusive: [[a, true]]}",
            ", line 1: in 'labels.exclusive[0][1]': expected a string, found True",
        ),
        ("labels: {max: 0}", ", line 1: in 'labels.max': expected at least 1, found 0"),
        ("labels: {max: 2.5}", ", line 1: in 'labels.max': expected a whole number, found 2.5"),
        ("labels: {max: true}", ", line 1: in 'labels.max': expected a whole number, found True"),
        ("labels: {create: 1}", ", line 1: in 'labels.create': expected true or false, found 1"),
        (
            "labels: {descriptions: [bug]}",
            ", line 1: in 'labels.descriptions': expected a mapping, found ['bug']",
        ),
        (
            "labels: {descriptions: {bug: 1}}",
            ", line 1: in 'labels.descriptions.bug': expected a string, found 1",
        ),
        (
            "labels: {descriptions: {404: x}}",
            ", line 1: in 'labels.descriptions.404': the key '404' has no quotes, and YAML reads it as a number",
        ),
        (
            "labels: {descriptions: {' ': x}}",
            ", line 1: in 'labels.descriptions': a description has no label",
        ),
        (
            "labels: {descriptions: {bug: x, docs: y, Bug: z}}",
            ", line 1: in 'labels.descriptions': 'Bug' and 'bug' are one label",
        ),
        ("vote: {k: 51}", ", line 1: in 'vote.k': expected at most 50, found 51"),
        ("vote: {k: 3, m: 4}", ", line 1: in 'vote.m': 4 votes cannot be reached with 3 neighbours"),
        (
            "vote: {weighting: none}",
            ", line 1: in 'vote.weighting': expected one of similarity, uniform, found 'none'",
        ),
        (
            "vote: {precision_target: 1.5}",
            ", line 1: in 'vote.precision_target': expected at most 1, found 1.5",
        ),
        (
            "vote: {precision_target: .nan}",
            ", line 1: in 'vote.precision_target': expected a finite number, found nan",
        ),
        (
            "vote: {precision_target: high}",
            ", line 1: in 'vote.precision_target': expected a number, found 'high'",
        ),
        (
            "zero_shot: {threshold: -0.1}",
            ", line 1: in 'zero_shot.threshold': expected at least 0, found -0.1",
        ),
        (
            "zero_shot: {template: About}",
            ", line 1: in 'zero_shot.template': `{}`, the place of the label, is missing",
        ),
        ("encoder: {max_tokens: 8}", ", line 1: in 'encoder.max_tokens': expected at least 16, found 8"),
        (
            'labels: {abstain: "\\ud800"}',
            ", line 1: in 'labels.abstain': expected text that UTF-8 can carry, found '\\ud800'",
        ),
        ("a: b: c", ", line 1: not valid YAML after the key 'a': mapping values are not allowed here"),
        (
            "labels:\n  max: [",
            ", line 2: not valid YAML after the key 'max': expected the node content, but found '<stream end>'",
        ),
        ("labels: {max: 2024-13-45}", ", line 1: in 'labels.max': YAML reads '2024-13-45' as a date"),
        ("[" * 5000, ", line 1: not valid YAML: nested more than 20 levels deep"),
        (
            "a: !!python/object/apply:os.system [ls]",
            ", line 1: in 'a': the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not read",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path(text: str, wrong: str) -> None:
    """Unknown keys, other types and values out of bounds are refused, with the file, the path and what is there."""
    with pytest.raises(ConfigError) as refused:
        from_text(text, where="triage.yml")
    assert refused.value.what == f"triage.yml{wrong}"
    assert refused.value.exit_code == 4


@pytest.mark.parametrize(
    ("given", "step"),
    [
        ("vote: {precision_target: 90}", "write 0.9 for 90%"),
        ("labels: {targets: {bug: 0.5, docs: 99.5}}", "write 0.995 for 99.5%"),
        ("act: {suggest: 100}", "write 1 for 100%"),
        ("zero_shot: {threshold: 30}", "write 0.3 for 30%"),
        ("vote: {precision_target: 101}", None),
        ("vote: {precision_target: -90}", None),
        ("vote: {k: 51}", None),
    ],
)
def test_a_percentage_in_place_of_a_share_is_told_as_a_share(given: str, step: str | None) -> None:
    """Of every number from 0 to 1, and of no other."""
    with pytest.raises(ConfigError) as refused:
        from_text(given, where="triage.yml")
    assert refused.value.next_step == (step or ConfigError.next_step)


def test_an_error_tells_the_likely_cause_and_the_next_step() -> None:
    """The whole message of a refused configuration has three lines."""
    with pytest.raises(ConfigError) as refused:
        from_dict({"vote": {"k": 0}})
    assert str(refused.value).split("\n") == [
        "the configuration: in 'vote.k': expected at least 1, found 0",
        "  likely cause: a typing mistake, or a key of another version",
        "  next step: compare with docs/reference/config.md, then run `triage check --config FILE`",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, and one that is not UTF-8, are refused with their path."""
    missing, foreign = tmp_path / "none.yml", tmp_path / "latin.yml"
    with pytest.raises(ConfigError, match="there is no such file"):
        load(missing)
    foreign.write_bytes("labels: {abstain: é}".encode("latin-1"))
    for path in (tmp_path, foreign):
        with pytest.raises(ConfigError) as refused:
            load(path)
        assert refused.value.what.startswith(f"{path}: cannot be read (")
        assert (refused.value.likely, refused.value.next_step) == ("the path is wrong", "check --config")


def test_every_key_is_documented() -> None:
    """Each option of each section says in a sentence what it does, those of a rule and of its condition too."""
    rooms = [getattr(Config(), room.name) for room in dataclasses.fields(Config)]
    for room in [*filter(dataclasses.is_dataclass, rooms), RuleConfig(), ConditionConfig()]:
        for field in dataclasses.fields(room):
            assert field.metadata["doc"].endswith("."), field.name


BOMB = "\n".join(
    ["learn:", "  ignore:", "    - &a0 [x,x,x,x,x,x,x,x,x]"]
    + [f"    - &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
)


@pytest.mark.parametrize(
    ("text", "line", "path"),
    [
        ("labels: {max: !!bool x}", 1, "labels.max"),
        ("labels:\n  max: !!timestamp x", 2, "labels.max"),
        ("labels:\n  max: !!int ''", 2, "labels.max"),
        ("labels: {max: !!float x}", 1, "labels.max"),
        ("labels: {abstain: !!null x}", 1, "labels.abstain"),
        ("labels: {abstain: !!binary x}", 1, "labels.abstain"),
        ("labels: {allow: !!set {a, b}}", 1, "labels.allow"),
        ("labels: {allow: !!omap [a: 1]}", 1, "labels.allow"),
        ("vote: {precision_target: " + "9" * 400 + "}", 1, "vote.precision_target"),
        ("vote: {k: 0x" + "f" * 5000 + "}", 1, "vote.k"),
        ("vote: {k: 0b" + "1" * 5000 + "}", 1, "vote.k"),
        ("vote: {k: " + "7" * 5000 + "}", 1, "vote.k"),
        ("vote: {k: 1:30}", 1, "vote.k"),
        ("vote: {precision_target: 190:20:30.15}", 1, "vote.precision_target"),
        ("labels: {max: 2024-01-01}", 1, "labels.max"),
        ("labels: {abstain: =}", 1, "labels.abstain"),
        ("vote: {<<: {k: 3}}", 1, "vote.<<"),
        ("{[a]: 1}", 1, "(top)"),
        ("{{a: 1}: 1}", 1, "(top)"),
        ("labels: &a {allow: *a}", 1, "labels.allow"),
        (BOMB, 3, "learn.ignore["),
    ],
)
def test_yaml_that_cannot_be_meant_is_refused_at_its_place_within_bounds(
    text: str, line: int, path: str
) -> None:
    """Tags whose values do not fit, numbers without end, and aliases that multiply: no traceback, no memory."""
    with pytest.raises(ConfigError) as refused:
        from_text(text, where="triage.yml")
    assert refused.value.what.startswith(f"triage.yml, line {line}: in '{path}")
    assert len(str(refused.value)) < 1000
    assert refused.value.next_step


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("labels:\n  deny: [security]\nvote:\n  k: 5\nlabels:\n  max: 3\n", 5),
        ("labels:\n  max: 3\n  max: 3\n", 3),
        ("labels: {descriptions: {bug: a, bug: b}}", 1),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_both_lines(text: str, line: int) -> None:
    """YAML keeps the last: the deny list of the first section would be gone."""
    with pytest.raises(ConfigError, match=rf"line {line}: .* is there twice, first in line 1|2"):
        from_text(text, where="triage.yml")


@pytest.mark.parametrize(
    ("text", "key", "quoted"),
    [
        ("labels: {descriptions: {no: Declined}}", "'labels.descriptions.no'", '"no"'),
        ("labels: {descriptions: {2024: x}}", "'labels.descriptions.2024'", '"2024"'),
        ("labels: {descriptions: {null: x}}", "'labels.descriptions.null'", '"null"'),
        ("labels: {descriptions: {2024-01-01: x}}", "'labels.descriptions.2024-01-01'", '"2024-01-01"'),
        ("labels: {descriptions: {bug: yes}}", "'labels.descriptions.bug'", '"yes"'),
        ("labels: {descriptions: {bug: null}}", "'labels.descriptions.bug'", '"null"'),
        ("labels: {abstain: off}", "'labels.abstain'", '"off"'),
        ("labels: {abstain: 12:30}", "'labels.abstain'", '"12:30"'),
        ("labels: {abstain: 2024-01-01}", "'labels.abstain'", '"2024-01-01"'),
        ("labels: {abstain: 1.0}", "'labels.abstain'", '"1.0"'),
        ("labels: {deny: [bug, 404]}", "'labels.deny[1]'", '"404"'),
        ("labels: {deny: [bug, 0x1f]}", "'labels.deny[1]'", '"0x1f"'),
        ("learn:\n  repositories: [org/*, !org/old]", "'repositories'", "quote text"),
        ("labels:\n  descriptions:\n    area: sync: Watching", "'area'", '"area: sync"'),
        ("labels:\n  deny: [*]", "'deny'", "quote text"),
        ("labels:\n  abstain: @me", "'abstain'", "quote text"),
        ("labels:\n  abstain: %x", "'abstain'", "quote text"),
    ],
)
def test_text_without_quotes_that_yaml_reads_as_something_else_names_the_key_and_says_quote_it(
    text: str, key: str, quoted: str
) -> None:
    """`no` is false, 2024 a number, and what follows a second colon or begins with a special character no text."""
    with pytest.raises(ConfigError) as refused:
        from_text(text, where="triage.yml")
    assert key in refused.value.what
    assert ", line " in refused.value.what
    assert "quote" in refused.value.next_step
    assert quoted in refused.value.next_step


@pytest.mark.parametrize(
    ("text", "meant"),
    [("lables: {}", "labels"), ("vote: {min_example: 3}", "min_examples"), ("labels: {Deny: []}", "deny")],
)
def test_a_mistyped_key_gets_a_suggestion(text: str, meant: str) -> None:
    """Before the list of all keys."""
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        from_text(text, where="triage.yml")


def test_anchors_that_do_not_multiply_are_read() -> None:
    """A list may be written once and used twice."""
    config = from_text("labels: {allow: &a [x, y], deny: *a}", where="f")
    assert config.labels.allow == config.labels.deny == ("x", "y")


@pytest.mark.parametrize("text", ["\ufefflabels: {max: 3}", "labels:\r\n  max: 3\r\n", "labels:\n  max: 3"])
def test_a_configuration_may_have_a_bom_and_windows_line_ends(text: str, tmp_path: Path) -> None:
    """As editors on Windows write them."""
    path = tmp_path / "triage.yml"
    path.write_bytes(text.encode())
    assert load(path).labels.max == from_text(text, where="f").labels.max == 3


@pytest.mark.parametrize("text", ["x" * 300_000, "\x00", "labels: {}\n---\nvote: {}", "\tlabels: {}", "*a"])
def test_what_is_no_configuration_at_all_is_refused_in_words(text: str) -> None:
    """Too long, binary, several documents, tabs, an unknown alias."""
    with pytest.raises(ConfigError) as refused:
        from_text(text, where="triage.yml")
    assert refused.value.likely
    assert refused.value.next_step


def test_a_device_without_end_is_no_configuration() -> None:
    """No more is read of it than a configuration may have."""
    with pytest.raises(ConfigError, match="longer than"):
        load(Path("/dev/zero"))


def test_a_key_cannot_begin_a_line_of_an_error() -> None:
    """It could be a workflow command."""
    with pytest.raises(ConfigError) as refused:
        from_text('"x\\n::add-mask::pwn": 1', where="f")
    assert "\n" not in refused.value.what


# The JSON Schema of the configuration, for editors.


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """The published schema."""
    text = (ROOT / "docs" / "reference" / "config.schema.json").read_text("utf-8")
    Draft202012Validator.check_schema(json.loads(text))
    return Draft202012Validator(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "labels:\nrules:\n",
        "encoder: {max_tokens: 64}",
        "rules: [{when: {title: a}, set: b}]",
        template({}),
        json.dumps(EVERY_KEY),
    ],
)
def test_the_schema_takes_what_the_program_takes(schema: Draft202012Validator, text: str) -> None:
    """Every key, the template of `init`, and one text in place of a list."""
    from_text(text, where="it", fetch=lambda _: ("base", "{}"))
    assert [error.message for error in schema.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "lables: {}",
        "labels: {allow: bug}",
        "labels: {max: 0}",
        "vote: {weighting: other}",
        "labels: {targets: {bug: 2}}",
        "rules: {}",
        "rules: [{when: {association: GUEST}, set: x}]",
        "rules: [{when: {titel: a}, set: x}]",
        "learn: []",
    ],
)
def test_the_schema_refuses_what_the_program_refuses(schema: Draft202012Validator, text: str) -> None:
    """Mistyped keys, wrong kinds and values out of bounds."""
    with pytest.raises(ConfigError):
        from_text(text, where="it")
    assert not schema.is_valid(yaml.safe_load(text))
