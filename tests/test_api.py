"""The Python interface: what the documentation shows runs, and gives what the command line gives."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.sample import CONFIG, Trained
from triage import api
from triage.cli import main
from triage.config import load

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_what_the_page_shows_runs(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the store and the configuration under the names that the page gives them."""
    monkeypatch.chdir(tmp_path)
    Path("bundles").symlink_to(trained.folder)
    Path(".github").mkdir()
    Path(".github/triage.yml").write_text(CONFIG.read_text("utf-8"), "utf-8")
    assert len(SNIPPETS) == 2
    for snippet in SNIPPETS:
        names: dict[str, object] = {}
        exec(compile(snippet, "docs/reference/python.md", "exec"), names)
        assert isinstance(names["decision"], api.Decision)
    out = capsys.readouterr().out
    assert "area: storage" in out
    assert "no store" not in out


def test_it_decides_as_the_command_line_does(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For every new issue of the sample, with rules."""
    config = tmp_path / "triage.yml"
    config.write_text("rules: [{name: all, when: {title: .}, set: seen}]", "utf-8")
    rows = (ROOT / "examples" / "sample" / "new.jsonl").read_text("utf-8").splitlines()
    argv = [f"--from={ROOT / 'examples' / 'sample' / 'new.jsonl'}", f"--store={trained.folder}"]
    assert main(["label", *argv, f"--config={config}", "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    model = api.open_model(trained.folder, load(config))
    issues = [api.from_row(json.loads(row) | {"labels": []}, where="a row") for row in rows]
    found = [decision.to_dict() for decision in model.decide(issues)]
    assert json.loads(json.dumps(found)) == printed
    assert all("seen" in decision["labels"] for decision in printed)
    assert model.labels >= {"bug", "area: storage"}
    assert model.name == printed[0]["bundle"]


def test_without_a_store_descriptions_and_rules_decide(tmp_path: Path) -> None:
    """A configuration is sufficient."""
    config = tmp_path / "triage.yml"
    config.write_text("rules: [{name: all, when: {title: zebra}, set: seen}]", "utf-8")
    model = api.open_model(config=config)
    decision = next(model.decide([api.Issue("o/r", 1, "A zebra", "It ran over the road.")]))
    assert (decision.labels, dict(decision.ruled)) == (("seen",), {"seen": "all"})


def test_a_store_that_is_not_there_is_an_error() -> None:
    """Descriptions do not stand in for it."""
    with pytest.raises(api.TriageError) as refused:
        api.open_model("mistyped")
    assert refused.value.what == "mistyped is not a store"


def test_every_name_is_documented_and_typed() -> None:
    """The package says that it has types."""
    assert files("triage").joinpath("py.typed").is_file()
    assert [name for name in api.__all__ if name not in PAGE] == []
