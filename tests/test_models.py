"""Model folders: manifests, proofs, where they lie, and pulling them from a hub."""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import shutil
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from triage.cli import models as command
from triage.cli.models import pin
from triage.engine import hub as hub_models
from triage.engine import model_folder as models
from triage.engine.encoder import Encoder
from triage.engine.model_folder import ModelManifest, Pins
from triage.errors import ConfigError, ModelError, TriageError, UnavailableError, UsageError

COMMIT = "a" * 40
GOOD: dict[str, object] = {
    "name": "small",
    "kind": "encoder",
    "source": "org/small",
    "revision": COMMIT,
    "licence": "Apache-2.0",
    "opset": 18,
    "dimension": 4,
    "max_tokens": 16,
    "quantisation": "none",
    "files": {"model.onnx": "0" * 64, "tokenizer.json": "1" * 64},
    "versions": {},
}


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.run(command.parse(parser.parse_args(words)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped encoder that a test may damage."""
    return shutil.copytree(models.shipped(models.BUILTIN_ENCODER), tmp_path / "shipped" / "copy")


def test_a_manifest_survives_the_way_through_json() -> None:
    """Writing a manifest and reading it again gives the same one."""
    manifest = ModelManifest.from_dict(GOOD)
    assert ModelManifest.from_dict(json.loads(json.dumps(manifest.to_dict()))) == manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimension": "4"}, "in 'manifest.dimension': expected a whole number, found '4'"),
        ({"dimension": 0}, "in 'manifest.dimension': expected at least 1, found 0"),
        ({"kind": "other"}, "in 'manifest.kind': expected one of encoder, zero-shot, found 'other'"),
        (
            {"files": {"../x": "0" * 64}},
            "in 'manifest.files': '../x' is not the name of a file in the model folder",
        ),
        ({"files": {"a": "0" * 64}}, "in 'manifest.files': model.onnx is missing"),
        ({"files": {"a": "xyz"}}, "in 'manifest.files.a': expected 64 hex digits, found 'xyz'"),
        ({"kind": "zero-shot"}, "in 'manifest.entailment': expected an index into 'manifest.labels'"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_place(change: dict[str, object], message: str) -> None:
    """Each error names the key that is wrong and what was expected there."""
    with pytest.raises(ModelError) as caught:
        ModelManifest.from_dict(GOOD | change)
    assert caught.value.what == message


def test_a_missing_key_is_named() -> None:
    """A manifest without a key is refused with that key."""
    with pytest.raises(ModelError) as caught:
        ModelManifest.from_dict({key: value for key, value in GOOD.items() if key != "licence"})
    assert caught.value.what == "in 'manifest.licence': missing"


def test_the_shipped_models_are_unchanged() -> None:
    """Every file of every shipped model has the hash that its manifest names, and a card lies beside it."""
    shipped = sorted(models.shipped_root().iterdir())
    assert models.BUILTIN_ENCODER in [folder.name for folder in shipped]
    for folder in shipped:
        assert models.verify(folder).name == folder.name
        assert (folder / "MODEL_CARD.md").read_text(encoding="utf-8").startswith(f"# {folder.name}\n")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_flipped_bit_is_found(folder: Path, name: str) -> None:
    """One bit changed in any file is refused, with the file and both hashes."""
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)
    expected, found = models.read_manifest(folder).files[name], hashlib.sha256(raw).hexdigest()
    with pytest.raises(ModelError) as caught:
        Encoder.load(folder)
    assert caught.value.what == f"{folder / name} was changed: expected sha256 {expected}, found {found}"


def test_a_missing_file_is_named(folder: Path) -> None:
    """A file that the manifest names and the folder lacks is refused by name."""
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError) as caught:
        models.verify(folder)
    assert caught.value.what == f"cannot read {folder / 'tokenizer.json'}: No such file or directory"


def test_the_environment_names_the_shipped_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRIAGE_MODEL_CACHE moves the home of the shipped models, and what is not there is said so."""
    monkeypatch.setenv("TRIAGE_MODEL_CACHE", str(folder.parent))
    assert models.shipped("copy") == folder
    with pytest.raises(ModelError) as caught:
        models.resolve("builtin", Pins())
    assert caught.value.what == f"no shipped model 'issue-encoder' in {folder.parent}"


def test_a_wheel_carries_the_shipped_models() -> None:
    """The build copies the one home of the models to the place where an installed package looks."""
    root = Path(models.__file__).parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"]["model_cache"] == "triage/_model_cache"


def test_every_model_of_a_name_is_verified(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle's own encoder is often called as the shipped one, which is not passed over for it."""
    shutil.copytree(folder, folder.parent / "copy too")
    monkeypatch.setenv("TRIAGE_MODEL_CACHE", str(folder.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parents[1]))
    assert run("verify") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"issue-encoder: unchanged ({folder.parent / name})" for name in ("copy", "copy too")
    ]
    (folder / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError):
        run("verify", "issue-encoder")


def test_an_installed_package_finds_its_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package holds a folder of models, as in a wheel, that one is used."""
    package = folder.parents[1] / "site" / "triage"
    (package / "_model_cache").mkdir(parents=True)
    monkeypatch.setattr(models, "__file__", str(package / "engine" / "models.py"))
    assert models.shipped_root() == package / "_model_cache"


def test_list_and_verify_tell_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands name the shipped encoder; an unknown name is a mistake of the user."""
    assert run("list") == 0
    assert run("verify", "issue-encoder") == 0
    line, folder = capsys.readouterr().out.splitlines()[0], models.shipped("issue-encoder")
    assert line.startswith("issue-encoder  encoder  384 out  256 tokens  23.9 MB  Apache-2.0  ")
    assert line.endswith(str(folder))
    with pytest.raises(UsageError) as caught:
        run("verify", "nothing")
    assert caught.value.what.startswith("no model 'nothing' here; known: issue-encoder")


class Hub(http.server.SimpleHTTPRequestHandler):
    """A hub of one model, served from a folder; paths under `busy` answer that there were too many calls."""

    def do_GET(self) -> None:
        if "/busy/" in self.path:
            self.send_error(429)
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests look at what arrives."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of org/small at COMMIT, served over loopback; pulled models go to a fresh cache."""
    root = tmp_path / "hub"
    files = root / "org" / "small" / "resolve" / COMMIT
    (files / "onnx").mkdir(parents=True)
    shipped = models.shipped(models.BUILTIN_ENCODER)
    shutil.copy(shipped / "model.onnx", files / "onnx" / "model.onnx")
    shutil.copy(shipped / "tokenizer.json", files)
    (files / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "hidden_size": 384}))
    (files / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128}))
    names = ["onnx/model.onnx", "tokenizer.json", "config.json", "sentence_bert_config.json", "README.md"]
    about = root / "api" / "models" / "org" / "small" / "revision"
    about.mkdir(parents=True)
    answer = {"sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
    (about / "main").write_text(json.dumps(answer))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(root))) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield files
        server.shutdown()
        thread.join()


def pinned(config: Path) -> Pins:
    section = yaml.safe_load(config.read_text(encoding="utf-8"))["encoder"]
    return Pins(section["revision"], section["sha256"])


def test_a_pulled_model_is_pinned_and_works(hub: Path, tmp_path: Path) -> None:
    """Pulling writes commit and hashes into the configuration, and the pinned model encodes."""
    config = tmp_path / "triage.yml"
    assert run("pull", "org/small", "--config", str(config)) == 0
    pins = pinned(config)
    assert pins.revision == COMMIT
    assert pins.sha256["onnx/model.onnx"] == models.sha256_of(hub / "onnx" / "model.onnx")
    encoder = Encoder.load(models.resolve("org/small", pins))
    assert (encoder.name, encoder.max_tokens) == ("org/small", 128)
    np.testing.assert_array_equal(encoder.encode(["a crash"]), Encoder.load().encode(["a crash"]))


def test_a_pinned_model_is_downloaded_once(hub: Path, tmp_path: Path) -> None:
    """On another machine the pins alone bring the model, and then the hub is not needed."""
    config = tmp_path / "triage.yml"
    run("pull", "org/small", "--config", str(config))
    shutil.rmtree(tmp_path / "cache")
    folder = models.resolve("org/small", pinned(config))
    shutil.rmtree(hub)
    assert models.resolve("org/small", pinned(config)) == folder
    assert [path.name for path in folder.parent.iterdir()] == [COMMIT]


def test_a_model_that_differs_from_its_pins_is_refused(hub: Path, tmp_path: Path) -> None:
    """Other bytes at the hub, or in the cache, are refused by name, and nothing is kept of them."""
    config = tmp_path / "triage.yml"
    run("pull", "org/small", "--config", str(config))
    folder = models.resolve("org/small", pinned(config))
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json was changed: expected sha256 9"):
        models.resolve("org/small", pinned(config))
    shutil.rmtree(folder)
    (hub / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json was changed"):
        models.resolve("org/small", pinned(config))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("spec", "pins", "what", "next_step"),
    [
        (
            "org/small",
            Pins(),
            "the hub model org/small is not pinned by a revision of 40 hex digits and the sha256 of its "
            "files",
            "`triage models pull org/small --config FILE` writes them",
        ),
        (
            "org/small",
            Pins(COMMIT, {"config.json": "0" * 64}),
            "the pins of org/small lack the sha256 of model.onnx, tokenizer.json",
            "`triage models pull org/small --config FILE` writes them",
        ),
        (
            "small",
            Pins(),
            "no model 'small': neither `builtin`, nor a model folder, nor a hub model `org/name`",
            "run `triage models list` to see what is there",
        ),
    ],
)
def test_a_model_without_pins_is_refused(spec: str, pins: Pins, what: str, next_step: str) -> None:
    """No hub model is used that is not pinned, and the message says which command pins it."""
    with pytest.raises(ModelError) as caught:
        models.resolve(spec, pins)
    assert (caught.value.what, caught.value.next_step) == (what, next_step)


@pytest.mark.parametrize(
    ("model", "failure", "what"),
    [
        ("org/none", ModelError, "/api/models/org/none/revision/main: HTTP 404"),
        ("busy/model", UnavailableError, "/api/models/busy/model/revision/main: HTTP 429"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_a_hub_that_refuses_is_quoted(model: str, failure: type[TriageError], what: str) -> None:
    """A missing model is the user's to mend; a busy hub asks for patience."""
    with pytest.raises(failure) as caught:
        run("pull", model)
    assert caught.value.what.endswith(what)


def test_without_a_configuration_the_pins_are_shown(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pulling without a configuration prints the section to paste."""
    assert run("pull", "org/small") == 0
    section = yaml.safe_load(capsys.readouterr().out)["encoder"]
    assert (section["model"], section["revision"]) == ("org/small", COMMIT)
    assert section["sha256"]["tokenizer.json"] == models.sha256_of(hub / "tokenizer.json")


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["model.safetensors"], "org/small holds no ONNX file (onnx/model.onnx or model.onnx)"),
        (["onnx/model.onnx", "1_Pooling/config.json"], "org/small does not use mean pooling"),
    ],
)
def test_a_model_that_cannot_serve_is_refused(hub: Path, names: list[str], what: str) -> None:
    """A hub model without ONNX, or one that pools otherwise, is refused before its weights are downloaded."""
    (hub / "1_Pooling").mkdir()
    (hub / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    about = hub.parents[3] / "api" / "models" / "org" / "small" / "revision" / "main"
    about.write_text(json.dumps({"sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}))
    with pytest.raises(ModelError) as caught:
        run("pull", "org/small")
    assert caught.value.what == what


@pytest.mark.parametrize(
    ("limit", "value", "failure", "what"),
    [
        ("MAX_BYTES", 1000, ModelError, "is longer than 1,000 bytes"),
        ("MOST_JSON", 10, ModelError, "is longer than 10 bytes"),
        ("GRACE", -1e9, UnavailableError, "less than 64 kB a second"),
    ],
)
def test_a_hub_cannot_send_without_end(
    hub: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: float,
    failure: type[TriageError],
    what: str,
) -> None:
    """Size and time of an answer are bounded, and nothing of it is kept."""
    monkeypatch.setattr(f"triage.engine.hub.{limit}", value)
    with pytest.raises(failure, match=what):
        hub_models.pull("org/small")
    assert not models.pulled_folder("org/small", hub.name).exists()


def test_a_hub_without_encryption_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP is for a hub on the same machine only."""
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    with pytest.raises(ModelError) as caught:
        run("pull", "org/small")
    assert str(caught.value) == "HF_ENDPOINT is 'http://hub.example': expected an https:// address"


PINS = Pins(COMMIT, {"model.onnx": "0" * 64})
PINNED = f'  model: org/small\n  revision: "{COMMIT}"\n  sha256:\n    "model.onnx": "{"0" * 64}"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"encoder:\n{PINNED}"),
        ("vote:\n  k: 5  # mine\n", f"vote:\n  k: 5  # mine\n\nencoder:\n{PINNED}"),
        (
            "# top\nencoder:  # which\n  max_tokens: 128 # few\n  model: builtin\nvote:\n  k: 5\n",
            f"# top\nencoder:  # which\n{PINNED}  max_tokens: 128 # few\nvote:\n  k: 5\n",
        ),
        (
            "encoder:\n    sha256: {a: b}\n\n    # why\n    max_tokens: 64\n    revision: x\n\nvote: {k: 5}\n",
            f"encoder:\n{PINNED}\n  # why\n  max_tokens: 64\n\nvote: {{k: 5}}\n",
        ),
    ],
)
def test_pinning_keeps_the_rest_of_the_configuration(tmp_path: Path, before: str, after: str) -> None:
    """Only the pinning keys change: other keys, comments and order stay."""
    config = tmp_path / "triage.yml"
    config.write_text(before, encoding="utf-8")
    pin(config, "encoder", "org/small", PINS)
    assert config.read_text(encoding="utf-8") == after
    pin(config, "encoder", "org/small", PINS)
    assert config.read_text(encoding="utf-8") == after


def test_a_section_in_braces_is_left_alone(tmp_path: Path) -> None:
    """A section that cannot be edited line by line is not touched; the message shows what to write."""
    config = tmp_path / "triage.yml"
    config.write_text("encoder: {max_tokens: 64}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        pin(config, "encoder", "org/small", PINS)
    assert caught.value.what.startswith(f"cannot pin org/small in {config}: its section `encoder` does not")
    assert caught.value.next_step == f"add these lines yourself:\nencoder:\n{PINNED}".rstrip()
    assert config.read_text(encoding="utf-8") == "encoder: {max_tokens: 64}\n"
