"""The C++ reader, built with sanitizers: the same predictions as Python, and bad files by name.

Where FER_EDGE_NCNN_SOURCE names ncnn's source, the reader is built with ncnn as well.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from benchmarks.lib.cpp_reader import (
    NCNN_SOURCE,
    SOURCE,
    build_reader,
    ncnn_options,
    openvino_folder,
)

from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.model_files import BUNDLED, bundled
from fer_edge.runtime.results import softmax
from fer_edge.spec import KEY
from fer_edge.train.data.fer2013 import read_fer2013
from tests.support.processes import run_process, run_python

openvino = pytest.importorskip("openvino", reason="openvino isn't installed")
onnx = pytest.importorskip("onnx", reason="onnx isn't installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FACES = 256
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover")
C_PROGRAM = """
#include <stdio.h>
#include <stdlib.h>

#include "fer_edge.hpp"

int main(int count, char** paths) {
    size_t side = 0, i;
    float found[7];
    uint8_t* face;
    void* reader = fer_open(count > 1 ? paths[1] : NULL, 1, &side);
    if (!reader) {
        puts(fer_error());
        return 1;
    }
    face = calloc(side, side);
    if (fer_predict(reader, face, 1, found)) puts(fer_error());
    for (i = 0; fer_label(reader, i); ++i) printf("%s %.6f\\n", fer_label(reader, i), found[i]);
    fer_close(reader);
    free(face);
    return 0;
}
"""


def sanitized(leaks: bool) -> dict[str, str]:
    """The environment of a program that is built with sanitizers.

    Libraries loaded with RTLD_DEEPBIND, as oneTBB's are by default, can't be sanitized. OpenVINO
    leaks 1 KB of its own when the program ends.
    """
    options = {"ASAN_OPTIONS": f"detect_leaks={int(leaks)}", "TBB_ENABLE_SANITIZERS": "1"}
    return {**os.environ, **options}


@pytest.fixture(scope="module")
def compiler() -> str:
    """The C++ compiler; skips where the build lacks something."""
    for program in ("cmake", "c++", "cc"):
        if not shutil.which(program):
            pytest.skip(f"{program} isn't installed: apt-get install cmake g++")
    header = ("-x", "c++", "-fsyntax-only", "-include", "nlohmann/json.hpp", os.devnull)
    if run_process("c++", *header).returncode:
        pytest.skip("nlohmann/json isn't installed: apt-get install nlohmann-json3-dev")
    return "c++"


@pytest.fixture(scope="module")
def ncnn_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base's checkpoint as it is exported for ncnn."""
    if NCNN_SOURCE is None:
        pytest.skip("FER_EDGE_NCNN_SOURCE isn't set: the folder of ncnn's source")
    pytest.importorskip("pnnx", reason="pnnx isn't installed")
    path = tmp_path_factory.mktemp("ncnn") / "base.ncnn.param"
    done = run_python("-m", "fer_edge", "export", "--format", "ncnn", "--output", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def reader(
    compiler: str,  # noqa: ARG001 - skips
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Any]:
    """Runs `fer_reader`."""
    options: dict[str, object] = {"OpenVINO_DIR": openvino_folder() / "cmake", "SANITIZE": "ON"}
    if NCNN_SOURCE is not None:
        options |= ncnn_options(request.getfixturevalue("ncnn_model"))
    program = build_reader(tmp_path_factory.mktemp("build"), **options)

    def run(*arguments: object, **options: Any) -> Any:
        is_ncnn = any(str(argument).endswith(".param") for argument in arguments)
        return run_process(program, *arguments, env=sanitized(leaks=is_ncnn), **options)

    return run


@pytest.fixture(params=[*BUNDLED, "ncnn"])
def model(request: pytest.FixtureRequest) -> Path:
    """A model in the package, or base for ncnn."""
    if request.param == "ncnn":
        return request.getfixturevalue("ncnn_model")  # type: ignore[no-any-return]
    return bundled("model", request.param)


def check_predictions(reader: Callable[..., Any], path: Path, faces: npt.NDArray[np.uint8]) -> None:
    """Its labels are those of Python under the same engine, and its probabilities nearly."""
    engine = "ncnn" if path.suffix == ".param" else "openvino"
    backend = open_backend(path, backend=engine)
    labels = list(backend.spec.labels)
    expected = softmax(backend(faces), backend.spec.temperature)
    done = reader(path, "-", input=faces.tobytes(), text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    for i, line in enumerate(done.stdout.decode().splitlines()):
        number, label, *pairs = line.split()
        names, values = zip(*(pair.split("=") for pair in pairs), strict=True)
        assert (int(number), label) == (i, labels[expected[i].argmax()])
        assert list(names) == labels
        np.testing.assert_allclose(np.array(values, float), expected[i], rtol=0, atol=1e-5)
    assert i + 1 == len(faces)


def test_golden_samples(reader: Callable[..., Any], model: Path) -> None:
    engine = "ncnn" if model.suffix == ".param" else "openvino"
    spec = open_backend(model, backend=engine).spec
    check_predictions(reader, model, spec.golden_faces())
    done = reader(model, "--self-test")
    assert (done.returncode, done.stderr) == (0, "")
    title, _, rest = done.stdout.partition(": ")
    assert title == spec.title
    assert rest.startswith("16 golden samples, largest difference of a logit ")
    assert float(rest.split()[-1]) < 1e-4


def test_real_faces(reader: Callable[..., Any], model: Path, fer2013: Path) -> None:
    faces = read_fer2013(fer2013).splits["val"].pixels[:FACES]
    assert len(faces) == FACES
    check_predictions(reader, model, faces)


def test_an_ir_of_openvino(reader: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "base.xml"
    openvino.save_model(openvino.Core().read_model(bundled("model")), path)
    check_predictions(reader, path, np.zeros((2, 48, 48), np.uint8))
    path.with_suffix(".bin").unlink()
    check_refused(reader, path, "")


def write_pgm(path: Path, header: bytes, pixels: bytes = bytes(48 * 48)) -> Path:
    path.write_bytes(header + pixels)
    return path


def test_faces_from_files(reader: Callable[..., Any], tmp_path: Path) -> None:
    plain = write_pgm(tmp_path / "plain.pgm", b"P5 48 48 255\n")
    other = write_pgm(tmp_path / "other.pgm", b"P5\n# a comment\n48 48\n# more\n255\n")
    done = reader(bundled("model"), plain, other)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = (line.split(" ", 1) for line in done.stdout.splitlines())
    assert (first[0], second[0]) == (str(plain), str(other))
    assert first[1] == second[1]


@pytest.mark.parametrize(
    ("header", "pixels", "message"),
    [
        (b"P2 48 48 255\n", bytes(48 * 48), "can't be read as a binary PGM"),
        (b"P5 48 48 65535\n", bytes(2 * 48 * 48), "can't be read as a binary PGM"),
        (b"P5 48", b"", "can't be read as a binary PGM"),
        (b"P5 64 48 255\n", bytes(64 * 48), "isn't of 48 x 48 pixels"),
        (b"P5 99999999999999999999 48 255\n", b"", "can't be read as a binary PGM"),
        (b"P5 48 48 255\n", bytes(99), "cut off"),
    ],
)
def test_a_bad_face(
    reader: Callable[..., Any], tmp_path: Path, header: bytes, pixels: bytes, message: str
) -> None:
    path = write_pgm(tmp_path / "bad.pgm", header, pixels)
    done = reader(bundled("model"), path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path}: ")
    assert message in done.stderr


def test_a_stream_that_ends_within_a_face(reader: Callable[..., Any]) -> None:
    done = reader(bundled("model"), "-", input=bytes(48 * 48 + 1), text=False)
    assert done.returncode == 1
    assert done.stdout.startswith(b"0 ")
    assert done.stderr == b"standard input: ends within face 1\n"


def test_wrong_usage(reader: Callable[..., Any]) -> None:
    done = reader()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: fer_reader MODEL ")


def check_refused(reader: Callable[..., Any], path: Path, message: str) -> None:
    """One line names the file, and no sanitizer reports anything."""
    done = reader(path, "--self-test")
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"{path}: ")
    assert message in line


def write_model(path: Path, change: Callable[[dict[str, Any]], object] | None) -> Path:
    """A copy of small with another spec; None: without one."""
    model = onnx.load(bundled("model", "small"))
    (entry,) = (one for one in model.metadata_props if one.key == KEY)
    if change:
        document = json.loads(entry.value)
        change(document)
        entry.value = json.dumps(document)
    else:
        model.metadata_props.remove(entry)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "it holds no spec"),
        (lambda spec: spec.update(schema=2), "its spec has schema 2, fer_edge.hpp reads 1"),
        (lambda spec: spec.update(task="face-detection"), "it isn't a model of expressions"),
        (lambda spec: spec.update(golden=[]), "golden samples of its spec are missing"),
        (lambda spec: spec.update(labels=["a", "b"]), "contradict"),
        (lambda spec: spec["input"].update(side=-1), "contradict"),
        (lambda spec: spec["input"].update(side=1 << 32), "contradict"),
        (lambda spec: spec["golden"][3].update(face="AAAA"), "contradict"),
        (lambda spec: spec["golden"][3].update(face=None), "type must be string"),
        (lambda spec: spec.pop("temperature"), "key 'temperature' not found"),
        (lambda spec: spec["golden"][0]["logits"].reverse(), "differ from PyTorch's by up to"),
        (lambda spec: spec["golden"][8]["logits"].reverse(), "differ from PyTorch's by up to"),
    ],
)
def test_a_wrong_spec(
    reader: Callable[..., Any],
    tmp_path: Path,
    change: Callable[[dict[str, Any]], object] | None,
    message: str,
) -> None:
    check_refused(reader, write_model(tmp_path / "model.onnx", change), message)


def test_only_the_self_test_compares_every_golden_sample(
    reader: Callable[..., Any], tmp_path: Path
) -> None:
    face = write_pgm(tmp_path / "face.pgm", b"P5 48 48 255\n")
    path = tmp_path / "model.onnx"
    write_model(path, lambda spec: spec["golden"][1]["logits"].reverse())
    assert reader(path, face).returncode == 0
    check_refused(reader, path, "differ from PyTorch's by up to")


def test_a_file_that_is_no_model(reader: Callable[..., Any], tmp_path: Path) -> None:
    content = bundled("model").read_bytes()
    (tmp_path / "folder.onnx").mkdir()
    for name, data, message in (
        ("empty.onnx", b"", "it can't be read, or is empty"),
        ("cut.onnx", content[: len(content) // 2], ""),
        ("zeros.onnx", bytes(1000), ""),
        ("model.txt", content, "no engine of this program reads such a file"),
        ("model", content, "no engine of this program reads such a file"),
        ("missing.onnx", None, "it can't be read, or is empty"),
        ("folder.onnx", None, "it can't be read, or is empty"),
    ):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        check_refused(reader, tmp_path / name, message)


@pytest.mark.parametrize(
    ("suffix", "change", "message"),
    [
        (".json", lambda _: None, "its .json isn't beside it"),
        (".json", lambda content: content[:-99], "parse error"),
        (".bin", lambda _: None, "ncnn can't load it or its .bin"),
        (".bin", lambda content: content[:-99], "ncnn can't load it or its .bin"),
        (".bin", lambda content: content[::-1], ""),
        (".param", lambda content: content[: len(content) // 2], "ncnn can't load it or its .bin"),
        (".param", lambda content: content.replace(b"InnerProduct", b"Inner"), "ncnn can't load"),
        (".param", lambda _: b"", "it can't be read, or is empty"),
    ],
)
def test_bad_files_of_ncnn(
    reader: Callable[..., Any],
    ncnn_model: Path,
    tmp_path: Path,
    suffix: str,
    change: Callable[[bytes], bytes | None],
    message: str,
) -> None:
    for end in (".param", ".bin", ".json"):
        content: bytes | None = ncnn_model.with_suffix(end).read_bytes()
        if end == suffix:
            assert content is not None
            content = change(content)
        if content is not None:
            (tmp_path / f"m.ncnn{end}").write_bytes(content)
    check_refused(reader, tmp_path / "m.ncnn.param", message)


def test_the_functions_for_c(compiler: str, tmp_path: Path) -> None:
    """No exception leaves them: they return NULL or 1, and the message is kept."""
    (tmp_path / "main.c").write_text(C_PROGRAM)
    (tmp_path / "interface.cpp").write_text('#include "fer_edge.hpp"\n')
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{SOURCE}", *SANITIZERS]
    package = openvino_folder()
    (library,) = (package / "libs").glob("libopenvino.so.*")
    defined = ["-DFER_EDGE_OPENVINO", "-DFER_EDGE_C_INTERFACE", "-isystem", package / "include"]
    program = tmp_path / "program"
    for command in (
        ["cc", "-std=c99", *strict, "-c", tmp_path / "main.c", "-o", tmp_path / "main.o"],
        [
            *(compiler, "-std=c++17", *strict, *defined, tmp_path / "interface.cpp"),
            *(tmp_path / "main.o", library, f"-Wl,-rpath,{library.parent}", "-o", program),
        ],
    ):
        done = run_process(*command)
        assert done.returncode == 0, done.stderr
    done = run_process(program, bundled("model"), env=sanitized(leaks=False))
    assert (done.returncode, done.stderr) == (0, "")
    backend = open_backend(bundled("model"), backend="openvino")
    black = backend(np.zeros((1, 48, 48), np.uint8))
    (expected,) = softmax(black, backend.spec.temperature)
    found = dict(line.split() for line in done.stdout.splitlines())
    assert list(found) == list(backend.spec.labels)
    np.testing.assert_allclose([float(one) for one in found.values()], expected, atol=1e-5)
    for arguments, message in (
        ((), "(null): no engine of this program reads such a file"),
        (("none.onnx",), "none.onnx: it can't be read, or is empty"),
    ):
        done = run_process(program, *arguments)
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.strip() == message
