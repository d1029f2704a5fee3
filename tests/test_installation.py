"""The plain installation labels, and loads nothing of learning: with the packages of the small image and no others."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.live import FERRY, STORAGE, Step
from tests.sample import CONFIG, NEW
from tests.test_action_files import locked
from triage.errors import DISTRIBUTION, install

ROOT = Path(__file__).resolve().parents[1]
# Runs the program where only some packages can be found, and writes down what it loaded.
PROGRAM = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {barred!r} else super().find_spec(name, path, target)

before = set(sys.modules)
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Installed]
from triage.cli import main
code = main(sys.argv[1:])
with open({loaded!r}, "w") as file:
    print(*(sys.modules.keys() - before), sep="\\n", file=file)
sys.exit(code)
"""
LEARNING = {"sklearn", "scipy", "matplotlib", "torch", "transformers", "optimum", "ray"}
# Of use for a page, and for nothing that an event does.
PAGES = {"jinja2", "markupsafe"}


@pytest.fixture(scope="module")
def barred() -> set[str]:
    """The modules of this environment that the small image does not have."""
    there = {*locked("label")}
    return {
        module
        for module, homes in packages_distributions().items()
        if module != "triage" and not there & set(map(canonicalize_name, homes))
    }


def run(folder: Path, barred: set[str], *argv: str) -> tuple[set[str], str]:
    """(the top-level modules that a command loads where the barred ones are missing, what it prints)."""
    loaded = folder / "loaded"
    program = PROGRAM.format(barred=barred, loaded=str(loaded))
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name.partition(".")[0] for name in loaded.read_text("utf-8").split()}, done.stdout


def test_an_event_is_labelled_without_learning_pages_or_what_is_left_out(
    step: Step, barred: set[str]
) -> None:
    """The bundle comes from the store on GitHub, the labels go there."""
    assert LEARNING | {"cryptography", "huggingface_hub"} <= barred
    step.configure(CONFIG.read_text("utf-8"))
    assert step.run("bundle", "publish", f"--of={step.store}", f"--store=github:{FERRY}") == 0
    step.happen(step.repository.issues[STORAGE])
    modules, _ = run(step.folder, barred, "action")
    assert step.repository.issues[STORAGE].label_names == ["bug", "area: storage"]
    assert {"numpy", "onnxruntime", "tokenizers", "triage"} <= modules
    assert modules & (barred | LEARNING | PAGES) == set()


def test_past_issues_are_planned_applied_and_undone_without_learning(step: Step, barred: set[str]) -> None:
    """The page of the plan takes a template library, and nothing else is new."""
    step.configure(CONFIG.read_text("utf-8"))
    folder = step.folder / "plan"
    plan = ("backfill", f"--from={FERRY}", f"--store={step.store}", f"--out={folder}", f"--issue={STORAGE}")
    modules, _ = run(step.folder, barred, *plan)
    assert modules & (barred | LEARNING | PAGES) == PAGES
    modules, _ = run(step.folder, barred, "backfill", f"--apply={folder / 'plan.jsonl'}")
    assert step.repository.issues[STORAGE].label_names
    assert modules & (barred | LEARNING | PAGES) == set()
    modules, _ = run(step.folder, barred, "undo", str(folder / "plan.journal.jsonl"))
    assert step.repository.issues[STORAGE].label_names == []
    assert modules & (barred | LEARNING | PAGES | {"onnxruntime", "faiss"}) == set()


def test_a_setup_is_checked_without_learning(step: Step, barred: set[str]) -> None:
    """With the token, the configuration and the bundle."""
    step.configure(CONFIG.read_text("utf-8"))
    modules, said = run(step.folder, barred, "check", f"--repo={FERRY}", f"--store={step.store}")
    assert "is undamaged and fits the encoder" in said
    assert modules & (barred | LEARNING | PAGES) == set()


def test_learning_without_its_packages_says_what_to_install(tmp_path: Path, barred: set[str]) -> None:
    """Before any work, and in one sentence."""
    program = PROGRAM.format(barred=barred, loaded=str(tmp_path / "loaded"))
    argv = ("retrain", f"--from={NEW}", f"--store={tmp_path / 'store'}", f"--config={CONFIG}")
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 11
    assert "the extra `learn` is not installed" in done.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("METADATA", 'pip install "issue-triage-action[learn]"'),
        ("direct_url.json", 'pip install -e ".[learn]" in a checkout of this repository'),
    ],
)
def test_an_extra_is_installed_as_the_package_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, command: str
) -> None:
    """From the package index by its name there; otherwise from a checkout."""
    installed = tmp_path / f"{DISTRIBUTION.replace('-', '_')}-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Name: {DISTRIBUTION}\nVersion: 0.1.0\n", "utf-8")
    (installed / file).touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert install("learn") == command


def test_the_distribution_is_the_one_that_errors_name() -> None:
    """And it is not the name of the package, which another project has on the index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == DISTRIBUTION != "triage"
    assert {"authors", "classifiers", "keywords", "urls"} <= project.keys()
    assert (ROOT / "triage" / "py.typed").is_file()


def test_the_page_on_the_package_index_has_no_link_that_leads_nowhere() -> None:
    """Pictures and pages of the repository get the addresses of the release; a picture may be a link itself."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]
    text = (ROOT / "README.md").read_text("utf-8")
    links = set(re.findall(r"\]\(([^)\s]+)\)", text))
    for each in build["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    found = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text)
    assert all(link.startswith(("https://", "#")) for link in re.findall(r"\]\(([^)\s]+)\)", text))
    ours = {link.rpartition("/v$HFPR_VERSION/")[2] for _, link in found if "$HFPR_VERSION" in link}
    assert {link for link in links if not link.startswith(("https://", "#"))} >= ours != set()
    pictures = [link for mark, link in found if mark and "$HFPR_VERSION" in link]
    assert (
        all(link.startswith("https://raw.githubusercontent.com/triage-bot/triage/v") for link in pictures)
        and pictures
    )
