"""The files that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

import fer_edge
from fer_edge.errors import ModelError
from fer_edge.runtime.formats import model_files as module
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
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


def test_a_missing_file_says_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.BUNDLED, "model", "none.onnx")
    with pytest.raises(ModelError, match="the bundled model is missing: reinstall fer-edge"):
        bundled("model")
