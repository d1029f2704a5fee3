"""The benchmarks of learning over time run on the sample project: their figures are for reading, not for asserting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sample import LEARNT_FROM
from tests.test_benchmarks import bench

PNG = b"\x89PNG\r\n"


def cells(table: str) -> list[list[str]]:
    """The rows of a Markdown table below its head."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("script", ["backfill.py", "promise.py", "replay.py", "retrain.py"])
def test_every_benchmark_of_learning_tells_its_options(script: str) -> None:
    """Each program answers --help with how it is called."""
    done = bench(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {script} [-h]")


def test_replay_labels_every_later_issue_once(tmp_path: Path) -> None:
    """The periods cover all 85 issues from the first month on; in the first both bundles are the same one."""
    plot = tmp_path / "replay.png"
    options = ("--from", "2025-02", "--every", "6", "--adapt", "none", "--least", "10", "--plot", str(plot))
    done = bench("replay.py", str(LEARNT_FROM), *options)
    assert done.returncode == 0, done.stderr
    title, table, *_ = done.stdout.split("\n\n")
    assert title == (
        "lanternfish-io/ferry, 2024-02 to 2026-02: 155 issues, 9 labels, --adapt none; "
        "70 issues before the first period"
    )
    *periods, total = cells(table)
    assert [period[0] for period in periods] == ["2025-02", "2025-08", "2026-02"]
    assert sum(int(period[1]) for period in periods) == int(total[1]) == 85
    assert periods[0][2::2] == periods[0][3::2]
    assert periods[1][2::2] != periods[1][3::2]
    assert plot.read_bytes().startswith(PNG)


def test_replay_by_number_leaves_no_issue_out() -> None:
    """Windows of 40 issues: one of them, and the other 45 in a last one rather than in a third of five."""
    options = ("--from", "2025-02", "--issues", "40", "--adapt", "none", "--least", "10")
    done = bench("replay.py", str(LEARNT_FROM), *options)
    assert done.returncode == 0, done.stderr
    assert [row[1] for row in cells(done.stdout.split("\n\n")[1])] == ["40", "45", "85"]


def test_replay_needs_a_past_and_a_future() -> None:
    """A first month after the last issue, or before the first one, ends the program with a sentence."""
    for month in ("2030-01", "2020-01"):
        done = bench("replay.py", str(LEARNT_FROM), "--from", month)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"{LEARNT_FROM}: there must be issues both before {month} and from then on\n"


def test_retrain_encodes_the_new_issues_alone() -> None:
    """Of 100 issues, a full run encodes the 95 old ones and the weekly run the five new ones."""
    done = bench("retrain.py", str(LEARNT_FROM), "--issues", "100", "--new", "0.05")
    assert done.returncode == 0, done.stderr
    full, weekly = cells(done.stdout.split("\n\n")[0])
    assert full[:3] == ["full", "95", "95"]
    assert weekly[:3] == ["a week later, 5% new", "100", "5"]


def test_retrain_measures_the_whole_command() -> None:
    """Twice, in a process of its own: from nothing on 90 issues, then on 100, of which it encodes the new ones."""
    done = bench("retrain.py", str(LEARNT_FROM), "--whole", "--parts", "--issues", "100", "--new", "0.1")
    assert done.returncode == 0, done.stderr
    table, verdict = done.stdout.split("\n\n")
    full, weekly = cells(table)
    assert full[:2] == ["full", "90"]
    assert weekly[:2] == ["a week later, 10% new", "100"]
    assert 0 < int(weekly[2]) <= 10 < int(full[2]) <= 90
    assert "seconds passed without a line" in verdict


def test_retrain_refuses_a_week_without_news() -> None:
    """So few issues that none of them is new are told, not divided by."""
    done = bench("retrain.py", str(LEARNT_FROM), "--issues", "10")
    assert done.returncode == 1
    assert done.stderr == "0.01 of 10 issues are 0: there must be both old and new ones\n"


def test_promise_sets_fewer_labels_where_more_is_promised(tmp_path: Path) -> None:
    """A row for the recommended target and one for each; a higher target takes labels away, and never adds any."""
    plot = tmp_path / "promise.png"
    options = ("--target", "0.5,0.8,0.999", "--adapt", "none", "--least", "10", "--plot", str(plot))
    done = bench("promise.py", str(LEARNT_FROM), *options)
    assert done.returncode == 0, done.stderr
    rows = cells(done.stdout.split("\n\n")[0])
    assert rows[0][1].startswith("recommended (mean 0.")
    assert [row[1] for row in rows[1:]] == ["0.5", "0.8", "0.999"]
    applied = [int(row[3]) for row in rows[1:]]
    assert applied == sorted(applied, reverse=True)
    assert applied[0] > applied[-1] == 0
    assert plot.read_bytes().startswith(PNG)


def test_growing_labels_more_with_more_labelled_issues(tmp_path: Path) -> None:
    """From no labelled issue to many, under the name of a repository that no model was trained on."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text(LEARNT_FROM.read_text("utf-8").replace("lanternfish-io/ferry", "dotnet/ferry"), "utf-8")
    done = bench("growing.py", str(rows), "--fit")
    assert done.returncode == 1
    assert done.stderr.endswith("--fit needs repositories besides those that results are checked on\n")
    everything, title, evaluated = done.stdout.split("\n\n")[1:]
    assert title == "Those that results are checked on:"
    assert everything == evaluated.rstrip()
    found = cells(everything)
    assert [row[0] for row in found] == ["0", "12", "25", "50", "75", "100"]
    assert {row[1] for row in found} == {"1"}
    assert float(found[-1][3]) > float(found[0][3])
    assert float(found[-1][5]) > 0.5


def test_backfill_plans_for_the_newest_third_at_each_target() -> None:
    """The hidden third is planned for at each target; more labels are set where nothing is promised."""
    done = bench("backfill.py", str(LEARNT_FROM))
    assert done.returncode == 0, done.stderr
    none, recommended, high = cells(done.stdout)
    assert [none[1], recommended[1], high[1]] == ["none", "recommended", "0.9"]
    assert none[2] == recommended[2] == high[2] == "54"
    assert int(none[4]) > int(high[4])
