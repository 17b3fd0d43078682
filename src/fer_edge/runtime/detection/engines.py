"""YuNet's network under each engine, and which engine reads a detector."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.detector_spec import DetectorSpec
from fer_edge.errors import ConfigError, FerEdgeError, MissingExtraError, ModelError
from fer_edge.runtime.backends import registry
from fer_edge.runtime.backends.registry import unsupported_reason
from fer_edge.runtime.device import packages
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.runtime.formats.model_files import check_file, model_type
from fer_edge.runtime.formats.spec_reader import read_detector_spec
from fer_edge.spec import NcnnOptions
from fer_edge.text import one_line, shorten

STRIDES = (8, 16, 32)
KINDS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
"""The kinds of outputs: how many numbers each gives for an anchor."""
MAX_VALUE = 1e6
"""Limit of the absolute value of an output; YuNet's are under 100."""
OUTPUTS = [f"{kind}_{stride}" for kind in KINDS for stride in STRIDES]

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], Mapping[str, Floats]]
"""From BGR pixels, float32 `[1, 3, H, W]`, sides multiples of 32, to the outputs by name, each
`[1, anchors, numbers]`."""
Opened = tuple[Collection[str], Run]
"""The outputs' names, and the function that computes them."""


def open_network(path: Path, *, threads: int = 1, engine: str = "onnxruntime") -> Run:
    """YuNet under an engine of `ENGINES`, for `detect_faces`. Safe to share between threads."""
    check_engine(engine)
    check_file(path, "run fer detector install")
    try:
        with requires_engine(engine):
            names, run = ENGINES[engine](path, threads)
    except ModelError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ModelError(f"{path}: not a face detector ({reason})") from None
    if missing := set(OUTPUTS).difference(names):
        raise ModelError(f"{path}: not YuNet: it has no output {min(missing)!r}")
    return partial(_run_checked, path, run)


def check_engine(engine: str) -> None:
    """Raise a `ConfigError` where there is no such engine."""
    if engine not in ENGINES:
        raise ConfigError(f"the detector's engine {engine!r} is none of {', '.join(ENGINES)}")


@contextmanager
def requires_engine(engine: str, otherwise: str = "") -> Iterator[None]:
    """Turn a missing import of an engine's package into a `MissingExtraError`.

    Args:
        engine: a key of `ENGINES`.
        otherwise: ends the error: what else helps.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        registered = registry.ENGINES[engine]
        if error.name != registered.package:
            raise
        missing = MissingExtraError(registered.package, registered.extra)
        raise MissingExtraError(missing.package, missing.extra, f"{missing}{otherwise}") from None


def _run_checked(path: Path, run: Run, faces: Floats) -> Mapping[str, Floats]:
    """Compute the outputs.

    Raises:
        ModelError: the engine fails, or an output isn't what YuNet gives for such an image.
    """
    try:
        outputs = run(faces)
    except (ModelError, MemoryError):
        raise
    # each engine has exceptions of its own
    except Exception as error:
        raise ModelError(f"{path}: can't be computed: {one_line(error)}: {_ADVICE}") from None
    pixels = faces.shape[2] * faces.shape[3]
    for name, output in outputs.items():
        kind, _, stride = name.partition("_")
        expected = (1, pixels // int(stride) ** 2, KINDS[kind])
        if output.shape != expected or output.dtype != np.float32:
            given = f"{output.dtype} {shorten(str(output.shape), 100)}"
            raise ModelError(f"{path}: its output {name} is {given}, not {expected}: {_ADVICE}")
        # beyond, a box lies outside every image, and sums overflow
        if not (np.abs(output) < MAX_VALUE).all():
            raise ModelError(f"{path}: its output {name} isn't numbers: {_ADVICE}")
    return outputs


_ADVICE = "damaged, or not YuNet: fer detector install"


def _onnxruntime(path: Path, threads: int) -> Opened:
    from fer_edge.runtime.backends.onnxruntime_backend import open_session

    session = open_session(path, threads=threads)
    input_name = session.get_inputs()[0].name

    def run(faces: Floats) -> dict[str, Floats]:
        return dict(zip(OUTPUTS, session.run(OUTPUTS, {input_name: faces}), strict=True))

    return [output.name for output in session.get_outputs()], run


def _openvino(path: Path, threads: int) -> Opened:
    from fer_edge.runtime.backends.openvino_backend import (
        Request,
        configuration,
        make_core,
        read_model,
    )

    core = make_core()
    try:
        model = read_model(core, path)
        compiled = core.compile_model(model, "CPU", configuration(core, "cpu", threads))
    except RuntimeError as error:
        raise ModelError(f"OpenVINO can't load it: {one_line(error)}") from None
    request = Request(compiled, threads)

    def run(faces: Floats) -> dict[str, Floats]:
        return dict(zip(OUTPUTS, request(faces, OUTPUTS), strict=True))

    # OpenVINO lists the node's name beside the output's own
    return [name for output in compiled.outputs for name in output.names], run


def _ncnn(path: Path, threads: int) -> Opened:
    from tempfile import TemporaryDirectory  # late: the other engines need none

    from fer_edge.runtime.backends.ncnn_backend import Network
    from fer_edge.runtime.detection.yunet_to_ncnn import translate
    from fer_edge.runtime.formats.onnx_reader import read_graph

    translated = translate(read_graph(path))
    # as files: ncnn's binding would keep a pointer into memory that the call frees
    with TemporaryDirectory() as folder:
        graph, weights = Path(folder, "detector.param"), Path(folder, "detector.bin")
        graph.write_text(translated.param, "utf-8")
        weights.write_bytes(translated.weights)
        network = Network(graph, weights, NcnnOptions(), threads or count_usable_cores())

    def run(faces: Floats) -> dict[str, Floats]:
        blobs = network(translated.input, faces[0], [translated.outputs[name] for name in OUTPUTS])
        flat = (blob.reshape(len(blob), -1).T[None] for blob in blobs)
        return dict(zip(OUTPUTS, flat, strict=True))

    return translated.outputs, run


ENGINES: dict[str, Callable[[Path, int], Opened]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "ncnn": _ncnn,
}
"""How each engine opens the file with a number of threads."""


def choose_engine(requested: str, beside: str, path: Path) -> str:
    """The engine for detection.

    The requested one, or, if that is "auto", ncnn beside ncnn and else ONNX Runtime where that is
    installed: OpenVINO compiles the network again for each image size. One that doesn't read the
    file, or gives wrong results for it on this machine, is left out: YuNet's file is read by all.

    Args:
        requested: a key of `ENGINES`, or "auto".
        beside: the engine that reads expressions.
        path: the detector's file.
    """
    readers = _find_readers(path)
    order = [requested, *(["ncnn"] if beside == "ncnn" else []), "onnxruntime", beside, *ENGINES]
    order = [name for name in order if name in readers]
    for name in order:
        if name == requested or _is_installed(name):
            return name
    return order[0] if order else beside


def has_engine(path: Path) -> bool:
    """Whether an installed engine reads a detector's file, and is right on this machine."""
    return any(_is_installed(name) for name in _find_readers(path))


def _find_readers(path: Path) -> list[str]:
    """The engines that read a detector's file, and are right on this machine.

    Those are all of them for YuNet, and for a file that is no detector, which an engine says.
    """
    try:
        spec = read_detector_spec(path)
    except FerEdgeError:
        return list(ENGINES)
    return [name for name in ENGINES if is_offered(name, path, spec, platform.machine())]


def _is_installed(engine: str) -> bool:
    return packages.find_package(registry.ENGINES[engine].package) is not None


def is_offered(engine: str, path: Path, spec: DetectorSpec, machine: str) -> bool:
    """Whether an engine reads a detector of fer-edge, and is right on a `platform.machine()`."""
    precision = spec.quantization.precision
    is_right = unsupported_reason(engine, precision, machine) is None
    return is_right and model_type(path) in registry.ENGINES[engine].suffixes
