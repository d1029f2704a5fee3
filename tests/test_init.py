"""`triage init`: files that work as they are written, and nobody's own files lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.live import FERRY, Step
from tests.tracking import HOSTILE
from triage.cli import main
from triage.cli.init import WORKFLOWS, chosen, exclusive, sections, template
from triage.config import Config, LabelsConfig, from_text, load

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty repository."""
    (tmp_path / "repo").mkdir()
    return tmp_path / "repo"


def test_the_written_configuration_is_valid(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is the default, so that each retraining chooses the target; the next steps are told."""
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    assert main(["init", f"--dir={folder}"]) == 0
    assert load(folder / ".github" / "triage.yml") == Config()
    assert "  1. No labels were read; " in capsys.readouterr().out


def test_the_workflows_are_those_of_the_examples(folder: Path) -> None:
    """Byte by byte."""
    assert main(["init", f"--dir={folder}"]) == 0
    written = {path.name: path.read_bytes() for path in (folder / ".github" / "workflows").iterdir()}
    assert written == {name: (ROOT / "examples" / "workflows" / name).read_bytes() for name in WORKFLOWS}


def test_labels_and_descriptions_are_read_from_github(step: Step, folder: Path) -> None:
    """Those that only people set are left out; the ones without a description wait for one."""
    repository = step.repository
    repository.labels["bug"].description = "Something isn't working: it's broken #1"
    repository.labels["area: web"].description = "The dashboard"
    repository.add_label("wontfix", "This will not be worked on")
    assert step.run("init", f"--dir={folder}", f"--repo={FERRY}") == 0
    text = (folder / ".github" / "triage.yml").read_text("utf-8")
    descriptions = {"area: web": "The dashboard", "bug": "Something isn't working: it's broken #1"}
    groups = (("bug", "enhancement", "question"),)
    labels = LabelsConfig(descriptions=descriptions, exclusive=groups)
    assert from_text(text, where="it") == Config(labels=labels)
    assert "    #packaging: ''\n" in text
    assert "wontfix: " not in text
    assert step.writes == []


@pytest.mark.parametrize(
    "name",
    [*HOSTILE, "? key", "- item", "{x}", "null", "#1", "a: b: c", "yes", "x" * 50, "a\\b"]
    + [f"a{separator}b" for separator in "\n\r\t\x0b\x0c\x1c\x85\u2028\u2029\ufeff\uffff\U000e0001\x00"],
)
def test_labels_of_any_name_are_written_so_that_they_are_read_back(name: str) -> None:
    """With their descriptions, which may say anything."""
    text = template(chosen({name: f"It is {name}: 'x' \"y\" #z\n- a", f"{name} kind: bug": "Broken"}))
    described = from_text(text, where="it").labels.descriptions
    assert described[name] == f"It is {name}: 'x' \"y\" #z\n- a"
    groups = from_text(
        template(chosen({f"{name} bug": "", f"{name} feature": ""})), where="it"
    ).labels.exclusive
    assert groups in ((), ((f"{name} bug", f"{name} feature"),))


def test_a_file_that_is_there_is_kept_unless_forced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are written all the same."""
    config = folder / ".github" / "triage.yml"
    config.parent.mkdir()
    config.write_text("labels: {max: 2}\n", "utf-8")
    assert main(["init", f"--dir={folder}"]) == 0
    out = capsys.readouterr().out
    assert f"kept     {config} (it exists; --force overwrites it)\n" in out
    assert f"wrote    {folder}/.github/workflows/triage.yml\n" in out
    assert load(config).labels.max == 2
    assert main(["init", f"--dir={folder}", "--force"]) == 0
    assert f"replaced {config}\n" in capsys.readouterr().out
    assert load(config) == Config()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be a mistyped one."""
    assert main(["init", f"--dir={tmp_path / 'none'}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'none'} is not a folder\n")


def test_every_key_stands_in_the_configuration_with_its_meaning() -> None:
    """What is commented out shows the default: uncommented, it is the same configuration."""
    text = template({})
    lines = text.splitlines()
    for section, doc, keys in sections():
        assert all(f"# {line}".rstrip() in lines for line in doc.split("\n"))
        listed = {f"#{section}: []", f"#{section}: {{}}"} & {*lines}
        assert listed or f"{section}:" in lines
        assert listed or all(f"  # {key.doc}" in lines for key in keys)
    live = "\n".join(line.replace("  #", "  ", 1) for line in lines if not line.startswith(("#", "  # ")))
    assert from_text(live, where="it") == from_text(text, where="it") == Config()
    assert all(isinstance(section, dict) for section in yaml.safe_load(live).values())


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        (["bug", "enhancement", "question", "docs"], [["bug", "enhancement", "question"]]),
        (["type: bug", "Type: Bug", "type: feature", "bug"], [["type: bug", "type: feature"]]),
        (["type: bug", "Type: Feature"], [["type: bug", "Type: Feature"]]),
        (["kind/bug", "kind/feature", "kind/flake"], [["kind/bug", "kind/feature"]]),
        (["bug", "docs"], []),
        ([], []),
    ],
)
def test_labels_that_say_what_an_issue_is_exclude_each_other(
    labels: list[str], groups: list[list[str]]
) -> None:
    """By their usual names, under one prefix."""
    assert exclusive(labels) == groups
