from __future__ import annotations

import importlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from fer_edge.errors import MissingExtraError, MissingSpecError, ModelError
from fer_edge.runtime import backends
from fer_edge.runtime.backends import ENGINES, open_backend
from fer_edge.runtime.bundled import bundled
from fer_edge.spec import KEY


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("threads", [0, 1, 2])
@pytest.mark.parametrize("count", [1, 7, 64])
def test_every_engine_gives_the_golden_answers(name: str, threads: int, count: int) -> None:
    backend = open_backend(bundled("model"), backend=name, threads=threads)
    faces = np.resize(backend.spec.golden_faces(), (count, 48, 48))
    expected = np.resize(backend.spec.golden_logits(), (count, 7))
    answers = backend(faces)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ENGINES)
def test_answers_are_kept_when_the_next_faces_come(name: str) -> None:
    backend = open_backend(bundled("model"), backend=name)
    faces = backend.spec.golden_faces()
    first = backend(faces[:1])
    before = first.copy()
    backend(faces[5:6])
    assert np.array_equal(first, before)


@pytest.mark.parametrize("name", ENGINES)
def test_files_that_cannot_be_used(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ModelError, match="no such file"):
        open_backend(path, backend=name)
    for content in (b"", b"hello", bundled("model").read_bytes()[:10_000]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"m\.onnx: .* can't load it"):
            open_backend(path, backend=name)
    stripped = onnx.load(bundled("model"))
    del stripped.metadata_props[:]
    onnx.save(stripped, path)
    with pytest.raises(MissingSpecError, match=r"m\.onnx: no 'fer_edge' spec inside"):
        open_backend(path, backend=name)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("labels", ["a", "b"], "gives logits .*, its spec has 2 labels"),
        (
            "input",
            {"side": 64, "network_side": 64, "mean": 0.5, "std": 0.5},
            "its graph (doesn't take what|gives logits)",
        ),
    ],
)
def test_a_graph_that_breaks_its_spec(
    name: str, key: str, value: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    model = onnx.load(bundled("model"))
    (entry,) = (p for p in model.metadata_props if p.key == KEY)
    entry.value = json.dumps({**json.loads(entry.value), "golden": [], key: value})
    onnx.save(model, path)
    with pytest.raises(ModelError, match=message):
        open_backend(path, backend=name)


@pytest.mark.parametrize("name", ENGINES)
def test_one_backend_serves_several_threads(name: str) -> None:
    backend = open_backend(bundled("model"), backend=name)
    faces, expected = backend.spec.golden_faces(), backend.spec.golden_logits()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: backend(faces[i : i + 1])[0], [*range(16)] * 4))
    np.testing.assert_allclose(answers, np.tile(expected, (4, 1)), rtol=0, atol=1e-4)


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise ModuleNotFoundError("No module named 'openvino'", name="openvino")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install 'fer-edge\[openvino\]'"):
        open_backend(bundled("model"), backend="openvino")
    with pytest.raises(ModuleNotFoundError):
        backends.open_backend(bundled("model"), backend="onnxruntime")
