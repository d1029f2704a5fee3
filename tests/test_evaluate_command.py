"""`triage evaluate` from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.live import FERRY, Step
from tests.sample import CONFIG, LEARNT_FROM, Trained
from triage.cli import main
from triage.learn.vectors import NAME
from triage.study.plots import Plot

CHEAP = (
    "--methods",
    "naive-bayes,embedding,neighbours",
    "--slices",
    "8,32",
    "--seeds",
    "2",
    "--min-examples",
    "10",
)
HOSTILE = '<script>alert("title")</script> & $\\frac{1}{$ ::error::x'
HOSTILE_LABEL = "<img src=x onerror=alert(1)> $^$ | `x`"


def evaluate(out: Path, *options: str, source: Path = LEARNT_FROM) -> int:
    """Run the command on the sample."""
    return main(
        ["evaluate", "--from", str(source), "--config", str(CONFIG), "--out", str(out), *CHEAP, *options]
    )


@pytest.fixture(scope="module")
def out(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of the sample, its texts embedded already."""
    folder = tmp_path_factory.mktemp("study")
    kept = trained.store.get(NAME)
    assert kept is not None
    (folder / "kept").mkdir()
    (folder / "kept" / f"{NAME}.npz").write_bytes(kept)
    assert evaluate(folder) == 0
    return folder


def test_the_report_has_every_part(out: Path) -> None:
    """A page that loads nothing, a summary, all numbers, and each figure in three forms."""
    page = (out / "report.html").read_text("utf-8")
    for part in ("Use ", "Learning curves", "Sweeps: ", "k and m", "Precision and coverage", "Calibration"):
        assert part in page
    for part in (
        "A map of the issues",
        "Confusion matrix",
        "Labels, by ",
        "Cost",
        "The data",
        "How to repeat this",
        "Votes:",
    ):
        assert part in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    figures = sorted(path.name for path in (out / "figures").iterdir())
    stems = {name.partition(".")[0] for name in figures}
    assert figures == sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "svg", "json"))
    assert {"learning-curves", "sweep-embedding", "neighbours-k-m", "calibration", "map", "data"} <= stems
    for stem in stems:
        assert (out / "figures" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        json.loads((out / "figures" / f"{stem}.json").read_text("utf-8"))


def test_the_page_has_the_test_issues_and_what_each_method_says_of_them(out: Path) -> None:
    """At a method's own threshold the page's data give the figures that were measured."""
    results = json.loads((out / "results.json").read_text("utf-8"))
    text = (out / "report.html").read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
    data = json.loads(text)
    newest = [json.loads(line) for line in LEARNT_FROM.read_text("utf-8").splitlines()]
    titles = {(row["repo"], row["number"]): row["title"] for row in newest}
    assert len(data["issues"]) == results["split"]["test"]
    assert all(titles[issue["repo"], issue["number"]] == issue["title"] for issue in data["issues"])
    runs = {results["titles"][run["method"]]: run for run in results["runs"] if run["size"] == 78}
    assert {method["title"] for method in data["methods"]} == set(runs)
    for method in data["methods"]:
        run = runs[method["title"]]
        pairs = [
            (label in issue["labels"], score >= 10_000 * run["common"])
            for issue, scores in zip(data["issues"], method["scores"], strict=True)
            for label, score in scores
        ]
        chosen = [right for right, is_set in pairs if is_set]
        assert sum(chosen) / len(chosen) == pytest.approx(run["one"]["precision"], abs=0.002)
        assert all(scores == sorted(scores, key=lambda pair: -pair[1]) for scores in method["scores"])


def test_the_numbers_are_those_of_the_runs(out: Path) -> None:
    """Three sizes for what learns, one for what does not; the summary quotes them."""
    results = json.loads((out / "results.json").read_text("utf-8"))
    cells = {(run["method"], run["size"], run["seed"]) for run in results["runs"]}
    assert cells == {
        *(
            (name, size, seed)
            for name in ("naive-bayes", "neighbours")
            for size in (8, 32)
            for seed in (0, 1)
        ),
        *((name, 78, 0) for name in ("naive-bayes", "embedding", "neighbours")),
    }
    summary = (out / "report.md").read_text("utf-8")
    for run in results["runs"]:
        if run["size"] == 78:
            assert f"| {run['one']['micro_f1']:.3f} | {run['each']['macro_f1']:.3f} |" in summary
    assert results["split"]["kind"] == "time"
    assert sum(results["split"][part] for part in ("train", "validation", "test")) == 155


def test_a_second_run_measures_nothing_again(
    out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It gives the same numbers, and the job summary in a workflow."""
    before = (out / "results.json").read_text("utf-8")
    written = {path: path.stat().st_mtime_ns for path in (out / "kept" / "runs").iterdir()}
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert evaluate(out) == 0
    assert (out / "results.json").read_text("utf-8") == before
    assert {path: path.stat().st_mtime_ns for path in (out / "kept" / "runs").iterdir()} == written
    assert (tmp_path / "summary.md").read_text("utf-8") == (out / "report.md").read_text("utf-8")
    assert capsys.readouterr().out.startswith("Use ")


def hostile(folder: Path) -> Path:
    """Some of the sample, with titles and a label that would do something if they were not escaped."""
    rows = [json.loads(line) for line in LEARNT_FROM.read_text("utf-8").splitlines()][:100]
    for row in rows:
        row["title"] = HOSTILE + row["title"]
        row["labels"] = [HOSTILE_LABEL if name == "bug" else name for name in row["labels"]]
    path = folder / "hostile.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


def test_hostile_titles_and_labels_do_nothing(tmp_path: Path) -> None:
    """They are escaped in the page, in its data and in the summary, and draw as they stand in the figures."""
    assert evaluate(tmp_path, source=hostile(tmp_path)) == 0
    page, summary = ((tmp_path / name).read_text("utf-8") for name in ("report.html", "report.md"))
    for text in (page, summary):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;alert(&#34;title&#34;)&lt;/script&gt;" in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert all("<script" not in path.read_text("utf-8") for path in (tmp_path / "figures").glob("*.svg"))


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--methods", "magic"), 2, "'magic' is not a method"),
        (("--slices", "8,many"), 2, "are not slice sizes"),
        (("--model", "nli"), 2, "is not of the form NAME=WHERE"),
        (("--model", "nil=there"), 2, "did you mean 'nli'? choose from nli, masked, "),
        (("--time-limit", "soon"), 2, "is not a time limit"),
        (("--min-examples", "150"), 5, "labelled issues are left to study"),
    ],
)
def test_what_cannot_be_measured_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: int, words: str
) -> None:
    """With the exit code of its kind."""
    assert evaluate(tmp_path, *options) == code
    assert words in capsys.readouterr().err


def test_a_source_that_is_neither_file_nor_repository_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is opened."""
    assert main(["evaluate", "--from", "no-such-file.jsonl"]) == 2
    assert "neither a file nor of the form OWNER/NAME" in capsys.readouterr().err


def test_the_issues_of_a_repository_are_downloaded_once(
    past: Step, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as retraining reads them, with the repository's configuration; nothing is written there; a second run
    asks for what changed since alone."""
    # To draw the figures takes longer than all the rest.
    monkeypatch.setattr(Plot, "save", lambda plot, folder: (folder / f"{plot.name}.svg").touch())
    kept = trained.store.get(NAME)
    assert kept is not None
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / f"{NAME}.npz").write_bytes(kept)
    command = ("evaluate", f"--from={FERRY}", f"--out={tmp_path}", *CHEAP, "--methods=naive-bayes")
    assert past.run(*command) == 0
    assert past.summary.startswith("## Methods compared on lanternfish&#45;io&#47;ferry")
    first = len(past.github.requests)
    assert not any(request.method in {"PUT", "PATCH", "DELETE"} for request in past.github.requests)
    past.github.requests.clear()
    assert past.run(*command) == 0
    assert len(past.github.requests) < first
