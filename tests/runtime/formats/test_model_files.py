"""The files that come with the package."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import fer_edge
from fer_edge.errors import ModelError
from fer_edge.runtime.formats import model_files as module
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from tests.support.commands import Fer
from tests.support.files import ROOT


def test_the_model_came_from_the_checkpoint_beside_it() -> None:
    from fer_edge.train.networks.checkpoint import sha256

    assert read_spec(bundled("model")).source_sha256 == sha256(bundled("checkpoint"))


def test_the_files_are_small() -> None:
    folder = Path(fer_edge.__file__).parent / "models"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12_000_000
    assert bundled("model").stat().st_size <= 2_500_000


def test_the_parity_of_the_whole_test_split_is_in_the_spec() -> None:
    parity = read_spec(bundled("model")).parity
    assert parity is not None
    assert (parity.faces, parity.n, parity.agreement) == ("test", 3_589, 1.0)


@pytest.mark.parametrize("document", ["README.md", "docs/model-card.md"])
def test_the_documents_say_what_the_spec_says(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    metrics = {m.split: m for m in read_spec(bundled("model")).metrics}
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
    """A folder of the bundled files, each with a bit flipped where a weight is."""
    for path in module.FOLDER.iterdir():
        content = bytearray(path.read_bytes())
        if path.name in module.BUNDLED.values():
            content[len(content) // 2] ^= 1
        (tmp_path / path.name).write_bytes(content)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ("doctor", "--no-probe"),
        ("export", "--format", "onnx", "-o", "{0}/out.onnx"),
        ("parity", "{0}/default.safetensors", "{0}/default.onnx"),
        ("evaluate", "{0}/default.safetensors", "--data", "{0}"),
    ],
    ids=lambda command: command[0],
)
def test_a_damaged_bundled_file_is_named(command: tuple[str, ...], fer: Fer, damaged: Path) -> None:
    ran = fer(*(part.format(damaged) for part in command))
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"ModelError: {damaged}/default.")
    assert line.endswith("damaged or changed since its release: reinstall fer-edge")


def test_other_files_have_no_digest(tmp_path: Path) -> None:
    (tmp_path / "default.onnx").write_bytes(b"own")
    module.check_bundled(tmp_path / "default.onnx")
    module.check_bundled(bundled("model"))


def test_a_table_of_digests_that_cannot_be_read(damaged: Path) -> None:
    (damaged / module.DIGESTS).unlink()
    with pytest.raises(ModelError, match=r"can't be read .*reinstall fer-edge"):
        module.check_bundled(bundled("model"))


def test_a_missing_file_says_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.BUNDLED, "model", "none.onnx")
    with pytest.raises(ModelError, match="the bundled model is missing: reinstall fer-edge"):
        bundled("model")
