"""The files that come with the package."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import fer_edge
from fer_edge.errors import ModelError
from fer_edge.runtime.formats import model_files as module
from fer_edge.runtime.formats.model_files import BUNDLED, bundled, resolve_model
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.runtime.recognizer import Recognizer
from tests.support.commands import Fer
from tests.support.files import EXAMPLE, ROOT


@pytest.fixture(params=BUNDLED)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a model in the package, each in turn."""
    return str(request.param)


def test_the_model_came_from_the_checkpoint_beside_it(name: str) -> None:
    from fer_edge.train.networks.checkpoint import sha256

    assert read_spec(bundled("model", name)).source_sha256 == sha256(bundled("checkpoint", name))


def test_both_files_have_the_name_and_one_version(name: str) -> None:
    specs = [read_spec(bundled(kind, name)) for kind in ("model", "checkpoint")]
    assert {spec.name for spec in specs} == {name}
    (version,) = {spec.version for spec in specs}
    assert version


def test_the_folder_holds_the_files_of_the_table_alone() -> None:
    expected = [f"{name}{suffix}" for name in BUNDLED for suffix in module.SUFFIXES.values()]
    expected += ["detector.onnx", "detector.onnx.parity.json"]
    found = [path.name for path in module.FOLDER.iterdir() if path.name != module.DIGESTS]
    assert sorted(found) == sorted(expected)


def test_the_files_are_small(name: str) -> None:
    folder = Path(fer_edge.__file__).parent / "models"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12_000_000
    assert bundled("model", name).stat().st_size <= 2_500_000


def test_the_parity_of_the_whole_test_split_is_in_the_spec(name: str) -> None:
    parity = read_spec(bundled("model", name)).parity
    assert parity is not None
    assert (parity.faces, parity.n, parity.agreement) == ("test", 3_589, 1.0)
    report = json.loads(bundled("report", name).read_text("utf-8"))
    assert (report["path"], report["report"]) == (f"{name}.onnx", f"{name}.onnx.parity.json")
    assert report["bytes"] == bundled("model", name).stat().st_size


@pytest.mark.parametrize("document", ["README.md", "docs/model-card.md"])
def test_the_documents_say_what_the_spec_says(document: str, name: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    metrics = {m.split: m for m in read_spec(bundled("model", name)).metrics}
    assert f"{metrics['test'].accuracy:.2%}".replace("%", " %") in text


def test_the_table_of_digests_is_current() -> None:
    table = (module.FOLDER / module.DIGESTS).read_text("ascii").splitlines()
    found = {path.name: path for path in module.FOLDER.iterdir() if path.name != module.DIGESTS}
    assert sorted(line.split()[1] for line in table) == sorted(found)
    for line in table:
        digest, name = line.split("  ")
        assert hashlib.sha256(found[name].read_bytes()).hexdigest() == digest


@pytest.fixture
def damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of the package's model files, each with a bit flipped where a weight is."""
    for path in module.FOLDER.iterdir():
        content = bytearray(path.read_bytes())
        if path.suffix in (".onnx", ".safetensors"):
            content[len(content) // 2] ^= 1
        (tmp_path / path.name).write_bytes(content)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ("doctor", "--no-probe"),
        ("export", "--format", "onnx", "-o", "{0}/out.onnx"),
        ("parity", "{0}/base.safetensors", "{0}/base.onnx"),
        ("parity", "base", "base"),
        ("evaluate", "base", "--data", "{0}"),
    ],
    ids=lambda command: command[0],
)
def test_a_damaged_file_of_the_package_is_named(
    command: tuple[str, ...], fer: Fer, damaged: Path
) -> None:
    ran = fer(*(part.format(damaged) for part in command))
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"ModelError: {damaged}/base.")
    assert line.endswith("damaged or changed since its release: reinstall fer-edge")


def test_other_files_have_no_digest(tmp_path: Path) -> None:
    (tmp_path / "base.onnx").write_bytes(b"own")
    module.check_bundled(tmp_path / "base.onnx")
    module.check_bundled(bundled("model"))


def test_a_table_of_digests_that_cannot_be_read(damaged: Path) -> None:
    (damaged / module.DIGESTS).unlink()
    with pytest.raises(ModelError, match=r"can't be read .*reinstall fer-edge"):
        module.check_bundled(bundled("model"))


def test_a_missing_file_says_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.BUNDLED, "tiny", "a model without files")
    with pytest.raises(ModelError, match=r"tiny\.onnx: the model of tiny is missing: reinstall"):
        bundled("model", "tiny")


def test_a_model_is_given_by_name_or_by_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_model(None) == resolve_model("base") == bundled("model", "base")
    assert resolve_model("base", "checkpoint") == bundled("checkpoint")
    for path in ("./base", Path("base"), "base.onnx", "runs/base", ""):
        assert resolve_model(path) == Path(path)
    for word in ("smal", "Base"):
        with pytest.raises(ModelError, match=f"{word}: there is no such file, and the .* are base"):
            resolve_model(word)
    Path("smal").mkdir()
    assert resolve_model("smal") == Path("smal")


def test_a_model_of_the_table_is_known_by_name_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fer: Fer
) -> None:
    """Another model needs a line of the table and its files."""
    for path in module.FOLDER.iterdir():
        (tmp_path / path.name).symlink_to(path)
        if path.name.startswith("base"):
            (tmp_path / path.name.replace("base", "copy")).symlink_to(path)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setitem(module.BUNDLED, "copy", "a copy of base")
    assert Recognizer.load("copy").spec == Recognizer.load("base").spec
    for command in (
        ("info", "copy"),
        ("doctor", "copy", "--no-probe"),
        ("infer", str(EXAMPLE), "--faces", "whole", "--model", "copy"),
        ("parity", "copy", "copy"),
    ):
        assert fer(*command).code == 0, command
