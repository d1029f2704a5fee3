"""The rings of the package, the one home of each library, and what a start of the program costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from triage.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1] / "triage"
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
# Each imports from itself and from those before it; single modules of the package's root are values or `options`.
RINGS = (
    "values",
    "decide",
    "engine",
    "bundle",
    "options",
    "github",
    "actions",
    "sources",
    "learn",
    "finetune",
    "label",
    "backfill",
    "api",
    "reports",
    "study",
    "training",
    "cli",
)
# Library → where alone it is imported.
HOMES = {
    "onnxruntime": ("engine/encoder.py", "finetune/", "training/", "study/"),
    "tokenizers": ("engine/encoder.py",),
    "faiss": ("engine/index.py", "engine/ivf_build.py"),
    "github": ("github/http.py",),
    "re2": ("patterns.py",),
    "requests": ("github/transport.py",),
    "torch": ("finetune/", "training/", "study/"),
    "transformers": ("finetune/", "training/", "study/"),
    "optimum": ("finetune/", "training/"),
    "onnx": ("finetune/", "training/"),
    "sklearn": ("learn/", "study/", "training/"),
    "scipy": ("learn/", "study/", "training/"),
    "ray": ("engine/ray_backend.py",),
    "jinja2": ("reports/__init__.py",),
    "matplotlib": ("figures.py", "study/plots.py"),
}


@cache
def imported(module: str) -> frozenset[str]:
    """The full names that a file imports, within functions and for types too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def ring_of(name: str) -> int:
    """The ring of `decide.rules` or `decide/rules.py`, as a number that grows outwards."""
    first = name.replace("/", ".").split(".")[0]
    return RINGS.index("cli" if first == "__main__" else first if first in RINGS else "values")


def inner(module: str) -> Iterator[str]:
    """The package's own modules that a file imports."""
    for name in imported(module):
        if name.startswith("triage."):
            yield "__init__" if name == "triage.__version__" else name.removeprefix("triage.")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_own_ring_and_those_above(module: str) -> None:
    """Wherever in the file it does."""
    assert [name for name in inner(module) if ring_of(name) > ring_of(module.removesuffix(".py"))] == []


LABORATORY = ("triage.study", "triage.training")
# The commands `evaluate` and `models train`.
DOORS = ("cli/evaluate.py", "cli/models.py")


def test_a_class_name_stands_once_in_the_package() -> None:
    """Whoever searches for a class finds one."""
    homes: dict[str, list[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_the_product_does_without_the_laboratory() -> None:
    """Only two commands import it, and they do so when they run."""
    users = [m for m in MODULES if any(name.startswith(LABORATORY) for name in imported(m))]
    assert {m for m in users if not m.startswith(("study/", "training/"))} == set(DOORS)
    loaded = loaded_after("import triage.cli.evaluate, triage.cli.models")
    assert {name for name in loaded if name.startswith(LABORATORY)} == set()


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    """It can be exchanged there, and nothing else waits for it to load."""
    users = [m for m in MODULES if any(name.split(".")[0] == library for name in imported(m))]
    assert users, "nothing imports it"
    assert [module for module in users if not module.startswith(HOMES[library])] == []


def loaded_after(code: str) -> set[str]:
    """The names of all modules that are loaded after `code`, in an interpreter of its own."""
    program = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    return set(
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_the_command_line_is_read_without_any_engine() -> None:
    """With the options of every command, as for `triage --help`."""
    found = loaded_after("from triage.cli import parser; parser()")
    assert {name.split(".")[0] for name in found} & set(HOMES) == set()


@pytest.mark.parametrize("given", ["--help", "--version", "lable"])
def test_help_loads_no_command_and_nothing_that_takes_long(given: str) -> None:
    """It shows names and a line each."""
    found = loaded_after(
        f"import contextlib\nfrom triage.cli import main\nwith contextlib.suppress(SystemExit): main([{given!r}])"
    )
    modules = {f"triage.cli.{module}" for module, _ in COMMANDS.values()}
    assert found & modules == set()
    assert {name.split(".")[0] for name in found} & {
        "numpy",
        "yaml",
        "tqdm",
        "dataclasses",
        "inspect",
        *HOMES,
    } == set()


def test_one_command_does_not_load_the_others() -> None:
    """A tenth of labelling one issue would go into them."""
    found = loaded_after("from triage.cli import parser; parser('label').parse_args(['label', '--json'])")
    others = {f"triage.cli.{module}" for module, _ in COMMANDS.values()} - {"triage.cli.label"}
    assert "triage.cli.label" in found
    assert found & (others | {"numpy", "tqdm"}) == set()


@pytest.mark.parametrize("given", ["--help", "nonsense"])
def test_help_and_mistakes_show_every_command(given: str) -> None:
    """Whatever was not imported."""
    done = subprocess.run(
        [sys.executable, "-m", "triage", given], capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if given == "--help" else 2)
    assert [name for name in COMMANDS if name not in done.stdout + done.stderr] == []


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_pickled_by_us(module: str) -> None:
    """What is read back could run anything."""
    pickling = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    assert not pickling & {name.split(".")[0] for name in imported(module)}
