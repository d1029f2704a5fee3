"""The benchmarks run: their figures are for reading, not for asserting."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sample import LEARNT_FROM

FOLDER = Path(__file__).parent.parent / "benchmarks"


def bench(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script as the README says, but within this process."""
    command, before = [str(FOLDER / script), *arguments], set(sys.modules)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", command)
        patch.syspath_prepend(FOLDER)
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=err)
    # Their names are short, and `benchmarks` has them as well.
    for name in set(sys.modules) - before:
        if (file := getattr(sys.modules[name], "__file__", None)) and Path(file).parent == FOLDER:
            del sys.modules[name]
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def bench_apart(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, which it changes or measures."""
    command = [sys.executable, str(FOLDER / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.parametrize(
    "script",
    [
        "duplicates.py",
        "encoding.py",
        "files.py",
        "peers.py",
        "quality.py",
        "scale.py",
        "serve.py",
        "speed.py",
        "sweep.py",
        "zero_shot.py",
    ],
)
def test_every_benchmark_tells_its_options(script: str) -> None:
    """Each program of the folder answers --help with how it is called."""
    done = bench(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {script} [-h]")


def test_duplicates_are_counted_and_judged_by_similarity(tmp_path: Path) -> None:
    """A sample to judge is written, and the precision follows from what a reader filled in."""
    pairs = tmp_path / "pairs.csv"
    options = (str(LEARNT_FROM), "--cache", str(tmp_path))
    done = bench("duplicates.py", *options, "--sample", "16", "--out", str(pairs))
    assert (done.returncode, done.stdout) == (0, f"{pairs}\n"), done.stderr
    head, *rows = pairs.read_text("utf-8").splitlines()
    assert head == "repo,number,other,similarity,duplicate"
    assert rows
    pairs.write_text("\n".join([head, *(f"{row}1" for row in rows)]), "utf-8")
    done = bench("duplicates.py", *options, "--judged", str(pairs))
    assert done.returncode == 0, done.stderr
    counted, judged, named = done.stdout.strip().split("\n\n")
    assert counted.splitlines()[2].startswith("| lanternfish-io/ferry, 2024-02 to 2026-02 | 0.7 |")
    assert all(line.endswith("| 1.00 |") for line in judged.splitlines()[2:])
    assert named.startswith("| threshold | originals named in the text |")


def test_files_are_measured_on_histories_of_both_kinds(tmp_path: Path) -> None:
    """A GNU change log and one of `git log --stat`, newest first, whose titles do not tell the area."""
    areas = [("doc", "doc/manual.texi"), ("cp", "src/copy.c")]
    subjects = [(*areas[i % 2], f"say more of what was asked for in number {i // 2}") for i in range(90)]
    logs = {
        "gnu": "2020-01-01  A Writer  <a@example.org>\n\n"
        + "\n".join(f"\t{area}: {title}\n\n\t* {file} (main): Likewise.\n" for area, file, title in subjects),
        "git": "\n".join(
            f"commit {i:040x}\nAuthor: A Writer <a@example.org>\nDate: today\n\n    [{area}] {title}\n\n"
            f" {file} | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n"
            for i, (area, file, title) in enumerate(subjects)
        ),
    }
    files = [tmp_path / name / "changelog.gz" for name in logs]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(gzip.compress(logs[file.parent.name].encode()))
    done = bench("files.py", *map(str, files), "--cache", str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
    assert [row[:4] for row in rows] == [["gnu", "90", "2", "18"], ["git", "90", "2", "18"]]
    text, both = ([float(row[at].split(" / ")[0]) for row in rows] for at in (4, 5))
    assert all(after > before + 0.2 for before, after in zip(text, both, strict=True))


def test_quality_measures_every_method_on_the_same_issues(tmp_path: Path) -> None:
    """One row for each method, all of the same 31 newest issues, and the vectors are kept for the next run."""
    done = bench("quality.py", str(LEARNT_FROM), "--least", "10", "--cache", str(tmp_path))
    assert done.returncode == 0, done.stderr
    table, _, differences, _, windows = done.stdout.strip().split("\n\n")
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert header[-2:] == ["issues", "labels"]
    assert [row[1] for row in rows] == [
        "naive Bayes",
        "TF-IDF logistic regression",
        "TF-IDF logistic regression, a threshold per label",
        "vector logistic regression",
        "vector logistic regression, a threshold per label",
        "plain k/m vote",
        "**triage, `--adapt none`**",
        "**triage, `--adapt head`**",
    ]
    assert {(row[0], *row[-2:]) for row in rows} == {("lanternfish-io/ferry, 2024-02 to 2026-02", "31", "9")}
    assert all(0 < float(cell) <= 1 for row in rows for cell in row[2:-2])
    assert [line.split("|")[2].strip() for line in differences.splitlines()[2:]] == ["`none`", "`head`"]
    assert windows.splitlines()[2].startswith(
        "| lanternfish-io/ferry, 2024-02 to 2026-02 | 155 | time | 62 | 62 from "
    )
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_peers_are_learnt_on_the_rows_of_the_product(tmp_path: Path) -> None:
    """A row for each method, all of them better than the best answer that is the same for every issue."""
    options = ("--least", "10", "--cache", str(tmp_path), "--work", str(tmp_path / "work"), "--runs", "1")
    done = bench_apart("peers.py", str(LEARNT_FROM), *options, "--methods", "head,svm")
    assert done.returncode == 0, done.stderr
    table, _, differences = done.stdout.strip().split("\n\n")
    _, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [row[1] for row in rows] == ["**triage, `--adapt head`**", "linear SVM on TF-IDF"]
    always = always_the_same(LEARNT_FROM, tmp_path / "task.json")
    assert all(float(row[3]) > always + 0.1 for row in rows)
    assert all(float(cell) > 0 for row in rows for cell in row[6:])
    assert [line.split("|")[2].strip() for line in differences.splitlines()[2:]] == ["linear SVM on TF-IDF"]
    # What the peer learnt and cost is kept.
    again = bench_apart("peers.py", str(LEARNT_FROM), *options, "--methods", "svm")
    assert again.stdout.splitlines()[2:] == table.splitlines()[3:]


def always_the_same(file: Path, task: Path) -> float:
    """The micro-F1 of the one label that is best to answer for every judged issue."""
    done = bench("peers_ours.py", "prepare", str(file), "10", "", str(task))
    assert done.returncode == 0, done.stderr
    given = json.loads(task.read_text("utf-8"))
    truth = [given["labels"][i] for i in given["test"]["query"]]
    counts = [sum(column) for column in zip(*truth, strict=True)]
    return 2 * max(counts) / (len(truth) + sum(counts))


@pytest.mark.parametrize(
    ("method", "missing", "packages"),
    [
        ("boosting", "lightgbm", "lightgbm scikit-learn"),
        ("fasttext", "fasttext", "fasttext-wheel"),
        ("setfit-minilm", "setfit", 'setfit torch "transformers<4.58"'),
    ],
)
def test_peers_say_what_to_install(method: str, missing: str, packages: str, tmp_path: Path) -> None:
    """Packages that are no dependency of this project are asked for before any work."""
    (tmp_path / "modules.json").touch()
    weights = ("--minilm", str(tmp_path))
    done = bench("peers.py", str(LEARNT_FROM), "--methods", f"head,{method}", *weights)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{method} needs {missing}, which {sys.executable} does not have. Next step: make a Python for the peers "
        f"(python -m venv peers; peers/bin/pip install {packages}) and pass --peer-python peers/bin/python, or leave "
        f"{method} out of --methods\n"
    )


def test_peers_say_which_weights_or_python_they_lack(tmp_path: Path) -> None:
    """A folder without weights and a Python that is not there are named before any work."""
    done = bench("peers.py", str(LEARNT_FROM), "--methods", "setfit-mpnet", "--mpnet", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "setfit-mpnet needs --mpnet FOLDER, weights as sentence-transformers saves them (modules.json and the rest). "
        "Next step: see benchmarks/README.md, or leave setfit-mpnet out of --methods\n"
    )
    done = bench("peers.py", str(LEARNT_FROM), "--methods", "svm", "--peer-python", str(tmp_path / "python"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"--peer-python {tmp_path / 'python'}: No such file or directory\n"


def test_sweep_gives_the_same_answers_both_ways(tmp_path: Path) -> None:
    """One search and slices of it, in either order, and a search for each k and m: no figure differs."""
    done = bench("sweep.py", str(LEARNT_FROM), "--issues", "150", "--k", "8", "--cache", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("120 issues in the index, 30 ask, 7 labels, 36 pairs of k and m\n")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[4:]]
    assert [row[3:] for row in rows] == [["0", ""]] * 3


def test_scale_measures_every_index_on_the_same_rows(tmp_path: Path) -> None:
    """A row for each kind and size; exact search finds all, the compressed index what it was built to find."""
    out, kinds = tmp_path / "scale.png", "triage,flat,lists"
    arguments = ("--sizes", "30,300", "--real", "60", "--runs", "1", "--kinds", kinds, "--out", str(out))
    done = bench("scale.py", str(LEARNT_FROM), *arguments)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.with_suffix(".json").read_text())
    assert [(row["kind"], row["size"], row["real"]) for row in rows] == [
        (kind, size, real) for size, real in ((30, 30), (300, 45)) for kind in kinds.split(",")
    ]
    assert {row["recall"] for row in rows if row["kind"] == "flat"} == {1}
    assert all(row["recall"] > 0.9 and row["recall_made"] > 0.9 for row in rows)
    assert [row["how"] for row in rows][:2] == ["exact", "exact"]
    table = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in table] == ["issues", *["30"] * 3, *["300"] * 3]
    assert out.stat().st_size > 0


def test_serve_labels_and_embeds_with_what_it_prepared(tmp_path: Path) -> None:
    """As many known issues as were asked for, in a store that labels, and the texts."""
    done = bench("serve_ours.py", "prepare", str(tmp_path), str(LEARNT_FROM), "2", "60")
    assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "labels.json").read_text())) == 60
    asked = ("--from", str(tmp_path / "issue.jsonl"), "--store", str(tmp_path / "store"), "--json")
    done = bench("serve_ours.py", "label", *asked)
    assert done.returncode == 0, done.stderr
    assert "labels" in json.loads(done.stdout)
    done = bench("serve_ours.py", "embed", "builtin", str(tmp_path / "texts.json"))
    assert json.loads(done.stdout).keys() == {"seconds", "processor"}


def test_serve_names_the_program_that_failed(tmp_path: Path) -> None:
    """A Python that fails ends the benchmark with that command, not with figures."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    few = ("--number", "2", "--issues", "60", "--runs", "1")
    done = bench_apart(
        "serve.py", "--weights", "w", "--peer-python", str(broken), "--texts", str(LEARNT_FROM), *few
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"exit code 3: {broken} ")


def test_collecting_counts_what_an_organisation_costs() -> None:
    """Two points more for each page of issues; a second run reads one page of each repository."""
    command = [sys.executable, "-m", "benchmarks.collecting", "--repositories=3", "--issues=330"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, cwd=FOLDER.parent
    )
    assert done.returncode == 0, done.stderr
    _, _, first, later = ([cell.strip() for cell in row.split("|")[1:-1]] for row in done.stdout.splitlines())
    # 180, 90 and 60 issues on four pages; three requests for each repository, two for all.
    assert first[1:4] == ["330", "15", "23"]
    assert later[1:4] == ["330", "14", "20"]


def test_encoding_is_measured_beside_the_bare_loop() -> None:
    """Three ways, the bare loop first and as one; memory of two processes."""
    done = bench_apart("encoding.py", str(LEARNT_FROM), "--issues", "8", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    _, _, *rows, _, told, memory = done.stdout.strip().splitlines()
    assert next(row.split("|")[3].strip() for row in rows) == "1.000"
    assert len(rows) == 3
    assert told == "8 issues, medians of 1, 1 thread(s), 256 tokens."
    assert "MiB for 2 issues" in memory and "MiB for 8." in memory
