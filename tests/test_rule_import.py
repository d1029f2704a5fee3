"""`triage init --import`: other actions' rules as fixed rules that mean the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from triage.cli import main
from triage.cli.rule_import import as_data, read_rules
from triage.config import ConditionConfig, RuleConfig, load
from triage.decide.fixed_rules import FixedRules
from triage.issue import Issue


def imported(
    tmp_path: Path, text: str, name: str = "labeler.yml"
) -> tuple[str, list[dict[str, Any]], list[str]]:
    """The action that a file was written for, its rules without names, and what was left out."""
    path = tmp_path / name
    path.write_text(text, "utf-8")
    found = read_rules(path)
    rules: list[dict[str, Any]] = as_data(found.rules)
    for rule in rules:
        del rule["name"]
    return found.action, rules, found.left_out


def files(label: str, **when: Any) -> dict[str, Any]:
    """A rule as plain data."""
    return {"when": when, "set": [label]}


VERSION_5 = """
docs:
- changed-files:
  - any-glob-to-any-file: ['docs/*', guides/*]
loose:
- changed-files:
  - any-glob-to-any-file: 'a/**'
- changed-files:
  - any-glob-to-any-file: 'b/**'
source:
- all:
  - changed-files:
    - any-glob-to-any-file: 'src/**/*'
    - all-globs-to-all-files: '!src/docs/*'
only-docs:
- changed-files:
  - any-glob-to-all-files: ['docs/**', '*.md']
one-file:
- changed-files:
  - all-globs-to-any-file: ['src/**', '!src/gen/**']
negated:
- changed-files:
  - any-glob-to-any-file: ['a', '!b']
two-groups:
- any:
  - changed-files: [{any-glob-to-any-file: 'x/**'}]
  - changed-files: [{any-glob-to-any-file: 'y/**'}]
- all:
  - changed-files: [{all-globs-to-all-files: '!z/**'}]
release:
- base-branch: main
both-files:
- all:
  - changed-files:
    - any-glob-to-any-file: 'p/**'
    - any-glob-to-any-file: 'q/**'
changed-files-labels-limit: 3
"""


def test_version_5_of_actions_labeler(tmp_path: Path) -> None:
    """Conditions outside of a group are alternatives; groups must each hold."""
    action, rules, left_out = imported(tmp_path, VERSION_5)
    assert action == "actions/labeler"
    assert rules == [
        files("docs", files=["docs/*", "guides/*"]),
        files("loose", files=["a/**", "b/**"]),
        files("source", files="src/**/*", all_files="!src/docs/*"),
        files("only-docs", all_files="docs/**"),
        files("only-docs", all_files="*.md"),
        files("one-file", files=["src/**", "!src/gen/**"]),
        files("negated", files="a"),
        files("negated", files="!b"),
        files("two-groups", files=["x/**", "y/**"], all_files="!z/**"),
    ]
    assert left_out == [
        "'release': conditions on 'base-branch' are not supported",
        "'both-files': that several files match, each a glob of its own, is not read",
    ]


VERSION_4 = """
docs: docs/*
tests:
- '**/*.spec.js'
- test/**
source:
- any: ['src/**/*', '!src/docs/*']
frontend:
- any: ['src/**/*.js']
  all: ['!src/main.js']
two:
- any: ['a/**', '*.js']
"""


def test_version_4_of_actions_labeler(tmp_path: Path) -> None:
    """Globs are alternatives; those within `any` and `all` are about one file."""
    _, rules, left_out = imported(tmp_path, VERSION_4)
    assert rules == [
        files("docs", files="docs/*"),
        files("tests", files=["**/*.spec.js", "test/**"]),
        files("source", files=["src/**/*", "!src/docs/*"]),
        files("frontend", files="src/**/*.js", all_files="!src/main.js"),
    ]
    assert left_out == ["'two': that one file matches all of a/**, *.js is not read"]


@pytest.mark.parametrize(
    "pattern", ["src/app/(auth)/**", "My Project/**/*", "src/**/+page.svelte", "/**/$id.tsx", "/src/**/a"]
)
def test_a_glob_may_look_like_a_regular_expression(tmp_path: Path, pattern: str) -> None:
    """What JavaScript could not read as one shows that the file has globs, and the others beside it too."""
    action, rules, _ = imported(tmp_path, f"docs: docs/*\napp: '{pattern}'\n")
    assert action == "actions/labeler"
    assert rules[0] == files("docs", files="docs/*")


def test_regular_expressions_of_issue_labeler(tmp_path: Path) -> None:
    """All of a label's must match; JavaScript's flags become RE2's; what RE2 cannot read is left out."""
    text = "bug:\n  - '/(crash|error)/i'\n  - 'version \\d+'\nany: '.*'\nlook: '(?=a)b'\n"
    action, rules, left_out = imported(tmp_path, text)
    assert action == "github/issue-labeler"
    assert rules == [
        files("bug", body=["(?i)(crash|error)", r"version \d+"]),
        files("any", body=".*"),
    ]
    assert left_out == ["'look': the pattern '(?=a)b' cannot be read: invalid perl operator: (?="]


POLICY = """
policy:
  - template: [bug.yml]
    section:
      - id: [component]
        block-list: [Other, None of these]
        label:
          - name: area/sync
            keys: [Sync, Mirroring]
          - name: area/other
            keys: [Other]
  - section:
      - id: severity
        block-list: ['None']
      - id: gone
        label: [{name: x, keys: [y]}]
"""
FORM = """
name: Bug
body:
  - type: markdown
    attributes: {value: Thanks}
  - type: dropdown
    id: component
    attributes: {label: 'Which component?', options: [Sync, Mirroring, Other]}
  - type: checkboxes
    id: severity
    attributes: {label: Severity, options: [{label: High}, {label: None}, {label: Low}]}
"""


def test_policies_of_advanced_issue_labeler(tmp_path: Path) -> None:
    """Ids become the labels of the form's fields; without a map, options are labels."""
    folder = tmp_path / "ISSUE_TEMPLATE"
    folder.mkdir()
    (folder / "bug.yml").write_text(FORM.replace("label: None", "label: 'None'"), "utf-8")
    action, rules, left_out = imported(tmp_path, POLICY, "advanced-issue-labeler.yml")
    assert action == "advanced-issue-labeler"
    assert rules == [
        files("area/sync", form={"Which component?": ["Sync", "Mirroring"]}),
        files("High", form={"Severity": "High"}),
        files("Low", form={"Severity": "Low"}),
        files("x", form={"gone": "y"}),
    ]
    assert left_out == [
        f"the field 'gone': no form in {folder} has it; its id stands for its label: correct it"
    ]


@pytest.mark.parametrize("text", ["- a\n- b\n", "{}\n", "just text\n"])
def test_another_file_is_refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is written."""
    path = tmp_path / "labeler.yml"
    path.write_text(text, "utf-8")
    assert main(["init", f"--dir={tmp_path}", f"--import={path}"]) == 5
    assert f"error: {path}: no rules that can be imported: it is not a mapping" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_init_writes_the_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several files, with what was left out as comments; the configuration is valid and means the same."""
    globs, texts = tmp_path / "globs.yml", tmp_path / "texts.yml"
    globs.write_text("docs: 'docs/**'\nrelease: [{base-branch: main}]\n", "utf-8")
    texts.write_text("'bug: \"x\"': '/crash\\b/i'\n", "utf-8")
    assert main(["init", f"--dir={tmp_path}", f"--import={globs}", f"--import={texts}"]) == 0
    out = capsys.readouterr().out
    assert f"read     {globs}: 1 rule of actions/labeler\n" in out
    assert "left out 'release': conditions on 'base-branch' are not supported\n" in out
    assert "set act.pull_requests to true, and uncomment pull_request_target and pull-requests" in out
    written = tmp_path / ".github" / "triage.yml"
    assert load(written).rules == (
        RuleConfig(ConditionConfig(files=("docs/**",)), "docs", ("docs",)),
        RuleConfig(ConditionConfig(body=(r"(?i)crash\b",)), 'bug: "x"', ('bug: "x"',)),
    )
    assert "  # Left out: 'release': conditions on 'base-branch' are not supported\n" in written.read_text(
        "utf-8"
    )
    thing = Issue("o/r", 1, "It broke", "a CRASH at start")
    assert dict(FixedRules(load(written).rules).on(thing).set) == {'bug: "x"': 'bug: "x"'}
