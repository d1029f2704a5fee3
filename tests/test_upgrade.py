"""What another version of the program wrote, newer or older, is refused with what to do, or passed over; never misread.

A layout that changes brings other keys, so the number of the format is read before anything else.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.backfilling import entry, write_plan
from tests.sample import Trained
from triage import __version__
from triage.bundle.bundle import FORMAT, FORMAT_COMPRESSED, MANIFEST, name_of
from triage.bundle.model import open_model
from triage.bundle.open import open_engines
from triage.cli import main
from triage.config import Config
from triage.errors import BundleError, made_by

AT = "2999-01-31T12:00:00Z"
RELEARN = "run `triage retrain`, or the workflow `triage-retrain`, with this version"


def of_another_version(folder: Path, version: str = "9.1.0") -> str:
    """Make a bundle active that has another format, with a key that this version does not know."""
    stated = {"created_at": AT, "triage_version": version, "format": 99, "files": {}, "novel": True}
    manifest = json.dumps(stated).encode()
    name = name_of(manifest, AT)
    home = folder / "bundles" / name
    home.mkdir(parents=True)
    (home / MANIFEST).write_bytes(manifest)
    (folder / "active").write_text(name, "utf-8")
    return name


def refusal(name: str, folder: Path, version: str) -> str:
    """What is said of such a bundle."""
    return (
        f"error: {folder / 'bundles' / name}: its format is 99, and this version of triage reads {FORMAT} and "
        f"{FORMAT_COMPRESSED}\n"
        f"  likely cause: {version} made it; this is {__version__}\n"
        f"  next step: {RELEARN}\n"
    )


@pytest.mark.parametrize(
    ("version", "maker"), [("9.1.0", "triage 9.1.0"), (__version__, "another version of triage")]
)
def test_a_bundle_of_another_version_is_refused(
    version: str, maker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both versions are named where they differ, as between two releases, and the way out is."""
    store = tmp_path / "store"
    name = of_another_version(store, version)
    (tmp_path / "new.jsonl").write_text('{"title": "It crashes", "body": "at the start"}\n', "utf-8")
    assert main(["label", f"--from={tmp_path / 'new.jsonl'}", f"--store={store}"]) == 7
    assert capsys.readouterr().err == refusal(name, store, maker)


def test_an_older_version_goes_on_with_the_bundle_that_it_can_read(
    own_store: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a pin was set back: labelling warns, and uses the bundle before."""
    before, name = own_store.name, of_another_version(own_store.folder)
    (tmp_path / "new.jsonl").write_text('{"title": "It crashes", "body": "at the start"}\n', "utf-8")
    assert main(["label", f"--from={tmp_path / 'new.jsonl'}", f"--store={own_store.folder}"]) == 0
    said = capsys.readouterr().err
    assert f"warning: {own_store.folder / 'bundles' / name}: its format is 99, and this" in said
    assert f"; continuing with the previous bundle, {before}. Next step: {RELEARN}\n" in said


def test_the_list_says_once_which_bundles_cannot_be_used(
    own_store: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """`list` in the row of the bundle, `verify` beside its mark; neither calls it damaged."""
    before, name = own_store.name, of_another_version(own_store.folder)
    problem = f"its format is 99, and this version of triage reads {FORMAT} and {FORMAT_COMPRESSED}"
    assert main(["bundle", "list", f"--store={own_store.folder}"]) == 0
    assert re.search(rf"^{name} .* active; {problem}$", capsys.readouterr().out, re.MULTILINE)
    assert main(["bundle", "verify", f"--store={own_store.folder}"]) == 7
    said = capsys.readouterr()
    assert said.out == f"✗ {name}: {problem}\n✓ {before}\n"
    assert said.err == (
        "error: 1 of 2 bundles cannot be used\n"
        f"  likely cause: triage 9.1.0 made it; this is {__version__}\n"
        "  next step: if the active one is among them, run `triage retrain`; until then, an older one is used\n"
    )


def test_another_model_of_the_same_name_is_no_riddle(trained: Trained) -> None:
    """A release may include another model under the name of the one before."""
    from dataclasses import replace

    bundle = trained.store.load(trained.name)
    manifest = replace(bundle.manifest, encoder_digest="0" * 64, triage_version="9.1.0")
    with pytest.raises(BundleError) as raised:
        open_model(replace(bundle, manifest=manifest), "b", *open_engines(Config()), {})
    assert str(raised.value) == (
        "bundle b was learnt with another version of issue-encoder\n"
        f"  likely cause: triage 9.1.0 made it; this is {__version__}, which includes another model\n"
        f"  next step: {RELEARN}"
    )


def test_a_plan_of_another_version_is_refused_before_anything_is_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan waits for a review, and the version may change meanwhile."""
    path = write_plan(tmp_path / "plan.jsonl", [entry(1, "bug")])
    path.write_text(path.read_text("utf-8").replace('"format": 3', '"format": 4, "novel": 1', 1), "utf-8")
    assert main(["backfill", f"--apply={path}"]) == 5
    assert capsys.readouterr().err == (
        f"error: {path}, line 1: the plan's format is 4, and this version of triage reads 3\n"
        f"  likely cause: {made_by()}\n"
        "  next step: make the plan again with `triage backfill --from`, or apply it with the version that made it\n"
    )


def test_a_journal_of_another_version_is_refused_before_anything_is_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its labels can be undone without it."""
    path = tmp_path / "plan.journal.jsonl"
    path.write_text('{"kind": "triage-journal", "format": 4, "novel": 1}\n', "utf-8")
    assert main(["undo", str(path)]) == 5
    assert capsys.readouterr().err == (
        f"error: {path}: the journal's format is 4, and this version of triage reads 3\n"
        f"  likely cause: {made_by()}\n"
        "  next step: use the version that made it; to undo without the journal, use `triage undo --since`\n"
    )
