"""Three files that belong together; no engine is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fer_edge.errors import (
    DamagedSpecError,
    FerEdgeError,
    MissingSpecError,
    ModelError,
    NewerSpecError,
)
from fer_edge.runtime.formats import spec_reader
from fer_edge.runtime.formats.model_files import model_size
from fer_edge.runtime.formats.ncnn_files import format_document, read_spec, read_verified_spec
from fer_edge.spec import ModelSpec, NcnnOptions
from tests.support.commands import Fer

ALL = r"copy all three files again \(\*\.ncnn\.param, \.bin and \.json\), or export again"


def write(folder: Path, spec: ModelSpec, name: str = "m", *, weights: bytes = b"weights") -> Path:
    """A model whose graph and weights nobody computes."""
    path = folder / f"{name}.ncnn.param"
    contents = {".param": b"graph of " + name.encode(), ".bin": weights}
    digests = {suffix: hashlib.sha256(data).hexdigest() for suffix, data in contents.items()}
    for suffix, data in contents.items():
        path.with_suffix(suffix).write_bytes(data)
    path.with_suffix(".json").write_text(format_document(spec, digests), "utf-8")
    return path


@pytest.fixture
def ncnn_spec(spec: ModelSpec) -> ModelSpec:
    return replace(spec, ncnn=NcnnOptions(winograd=False))


@pytest.fixture
def model(ncnn_spec: ModelSpec, tmp_path: Path) -> Path:
    return write(tmp_path, ncnn_spec)


def test_the_spec_comes_back(model: Path, ncnn_spec: ModelSpec) -> None:
    assert (
        read_verified_spec(model, ModelSpec)
        == read_spec(model, ModelSpec)
        == spec_reader.read_spec(model)
        == ncnn_spec
    )
    document = json.loads(model.with_suffix(".json").read_text("utf-8"))
    assert document.keys() - json.loads(ncnn_spec.to_json()).keys() == {"sha256"}
    assert model_size(model) == sum(path.stat().st_size for path in model.parent.iterdir())


@pytest.mark.parametrize("suffix", [".param", ".bin", ".json"])
def test_one_that_is_missing(suffix: str, model: Path) -> None:
    model.with_suffix(suffix).unlink()
    message = {
        ".param": rf"m\.ncnn\.param: there is no such file: {ALL}",
        ".bin": rf"m\.ncnn\.bin: there is no such file: {ALL}",
        ".json": rf"m\.ncnn\.param: m\.ncnn\.json isn't beside it, .*: {ALL}",
    }[suffix]
    error = MissingSpecError if suffix == ".json" else ModelError
    with pytest.raises(error, match=message):
        read_verified_spec(model, ModelSpec)


@pytest.mark.parametrize("suffix", [".param", ".bin"])
def test_one_of_another_model(suffix: str, model: Path, ncnn_spec: ModelSpec) -> None:
    other = write(model.parent, ncnn_spec, "n", weights=b"weightz")  # of the same length
    other.with_suffix(suffix).rename(model.with_suffix(suffix))
    with pytest.raises(
        ModelError, match=rf"m\.ncnn\{suffix}: damaged, or of another model than m\.ncnn\.json"
    ):
        read_verified_spec(model, ModelSpec)


@pytest.mark.parametrize("suffix", [".param", ".bin", ".json"])
@pytest.mark.parametrize("kept", [0, 1, 5])
def test_one_that_was_cut_off(suffix: str, kept: int, model: Path) -> None:
    file = model.with_suffix(suffix)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(FerEdgeError, match=rf"m\.ncnn\{suffix}: damaged.*{ALL}"):
        read_verified_spec(model, ModelSpec)


@pytest.mark.parametrize("suffix", [".param", ".bin", ".json"])
def test_a_folder_in_its_place(suffix: str, model: Path) -> None:
    model.with_suffix(suffix).unlink()
    model.with_suffix(suffix).mkdir()
    with pytest.raises(ModelError, match=r"Is a directory|a folder, not a model file"):
        read_verified_spec(model, ModelSpec)


def without(name: str) -> Callable[[dict[str, object]], object]:
    return lambda document: {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (without("sha256"), DamagedSpecError, "doesn't name the files"),
        (lambda _: {"sha256": {".bin": "0"}}, DamagedSpecError, "doesn't name the files"),
        (lambda _: [1], DamagedSpecError, "doesn't name the files"),
        (without("ncnn"), DamagedSpecError, "isn't of an ncnn model"),
        (without("temperature"), DamagedSpecError, "temperature"),
        (lambda d: {**d, "ncnn": {"arithmetic": "int4"}}, DamagedSpecError, "arithmetic"),
        (lambda d: {**d, "schema": 99}, NewerSpecError, "99"),
    ],
)
def test_a_document_that_is_no_spec(
    change: Callable[[object], object], error: type[Exception], message: str, model: Path
) -> None:
    file = model.with_suffix(".json")
    file.write_text(json.dumps(change(json.loads(file.read_text("utf-8")))), "utf-8")
    with pytest.raises(error, match=rf"m\.ncnn\.json: .*{message}"):
        read_verified_spec(model, ModelSpec)


def test_info_needs_no_engine(fer: Fer, model: Path) -> None:
    ran = fer("info", model, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["ncnn"] == {
        "packing": True, "winograd": False, "arithmetic": "fp32",
    }  # fmt: skip
    model.with_suffix(".json").unlink()
    ran = fer("info", model)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("MissingSpecError: ")
