"""Our own face detector under each engine: from a gray image to faces."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.detector_spec import MULTIPLE, VALUES, DetectorSpec, count_cells
from fer_edge.errors import ConfigError, ModelError
from fer_edge.runtime.boxes import non_maximum_suppression
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.runtime.formats.model_files import companion, model_type
from fer_edge.text import one_line, shorten

INPUT, OUTPUT = "images", "faces"
"""Names in the graph."""
MAX_CANDIDATES = 2000
"""Cells of the highest scores that are compared with each other."""
MAX_VALUE = 1e6
"""Limit of the absolute value of an output; a box in an image of 8,000 pixels is under it."""
MAX_SCORE_DIFFERENCE, MAX_PIXEL_DIFFERENCE = 5e-3, 0.5
"""Largest difference from the golden samples' scores, and of a box's or an eye's place in pixels
where the score is at least `SURE`. Float engines differ by 1e-5 and 1e-3."""
SURE = 0.05

Floats = npt.NDArray[np.float32]
Run = Callable[[npt.NDArray[np.uint8]], Floats]
"""From gray images, uint8 `[1, H, W]` with sides that are multiples of 32, to `[1, 9, cells]`."""


def open_cells(path: Path, spec: DetectorSpec, *, threads: int = 1, engine: str) -> Run:
    """Our detector under an engine of `OPENERS`. Safe to share between threads.

    Raises:
        ConfigError: the engine doesn't read such a file.
        ModelError: the engine can't load it, or it doesn't compute what its golden samples say; on
            a call: it can't be computed.
        ModuleNotFoundError: the engine isn't installed.
    """
    run = partial(_run_checked, path, _open(path, spec, threads, engine))
    for sample in spec.golden:
        image, expected = sample.decode()
        if not is_same_output(run(image[None])[0], expected):
            raise ModelError(
                f"{path}: computes otherwise than its spec says under {engine}: copy it again, or "
                "export it again"
            )
    return run


def is_same_output(output: Floats, expected: Floats) -> bool:
    """Whether an output, float32 `[9, cells]`, is that of PyTorch, but for rounding."""
    difference = np.abs(output - expected)
    is_sure = expected[-1] >= SURE
    return bool(
        (difference[-1] <= MAX_SCORE_DIFFERENCE).all()
        and (difference[:-1, is_sure] <= MAX_PIXEL_DIFFERENCE).all()
    )


def find_faces(run: Run, spec: DetectorSpec, image: Image.Image) -> Floats:
    """The faces in an image of any mode: rows of `select_faces`, in pixels of the image."""
    gray = np.asarray(image if image.mode == "L" else image.convert("L"))
    output = run(pad_image(gray))[0]
    return select_faces(output, spec.score_threshold, spec.nms_threshold)


def pad_image(gray: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Fill an image, uint8 `[H, W]`, up with black below and on the right: `[1, H', W']`.

    Its sides are then multiples of `MULTIPLE`.
    """
    height, width = (-(-side // MULTIPLE) * MULTIPLE for side in gray.shape)
    padded = np.zeros((1, height, width), np.uint8)
    padded[0, : gray.shape[0], : gray.shape[1]] = gray
    return padded


def select_faces(output: Floats, score_threshold: float, nms_threshold: float) -> Floats:
    """The faces in the output for one image.

    Args:
        output: float32 `[9, cells]`, as `DetectorSpec` describes it.
        score_threshold: lowest score of a face.
        nms_threshold: largest IoU of two faces.

    Returns:
        float32 `[faces, 9]`, in order of falling score: x, y, width, height, x and y of both eyes,
        score.
    """
    rows = output.T[output[-1] >= score_threshold]
    return keep_best(rows, MAX_CANDIDATES, nms_threshold)


def keep_best(rows: Floats, limit: int, nms_threshold: float) -> Floats:
    """Each face once, in order of falling score.

    Args:
        rows: float32 `[faces, columns]`: x, y, width, height, others, and last the score.
        limit: number of rows, those of the highest scores, that are compared with each other.
        nms_threshold: largest IoU of two faces.
    """
    rows = rows[np.argsort(-rows[:, -1], kind="stable")][:limit]
    kept: Floats = rows[non_maximum_suppression(rows[:, :4], nms_threshold)]
    return kept


def _run_checked(path: Path, run: Run, images: npt.NDArray[np.uint8]) -> Floats:
    try:
        output = run(images)
    except (ModelError, MemoryError):
        raise
    # each engine has exceptions of its own
    except Exception as error:
        raise ModelError(f"{path}: can't be computed: {one_line(error)}") from None
    expected = (len(images), VALUES, count_cells(*images.shape[1:]))
    if output.shape != expected or output.dtype != np.float32:
        given = f"{output.dtype} {shorten(str(output.shape), 100)}"
        raise ModelError(f"{path}: its output is {given}, not {expected}: export it again")
    if not (np.abs(output) < MAX_VALUE).all():
        raise ModelError(f"{path}: its output isn't numbers: copy it again, or export it again")
    return output


def _open(path: Path, spec: DetectorSpec, threads: int, engine: str) -> Run:
    suffixes, opener = OPENERS[engine]
    if model_type(path) not in suffixes:
        raise ConfigError(
            f"{path}: {engine} reads detectors that end in {' or '.join(suffixes)}: "
            "fer detector export makes one, or choose another engine"
        )
    return opener(path, spec, threads)


def _onnxruntime(path: Path, _: DetectorSpec, threads: int) -> Run:
    from fer_edge.runtime.backends.onnxruntime_backend import open_session

    session = open_session(path, threads=threads)

    def run(images: npt.NDArray[np.uint8]) -> Floats:
        output: Floats = session.run([OUTPUT], {INPUT: images})[0]
        return output

    return run


def _openvino(path: Path, _: DetectorSpec, threads: int) -> Run:
    from fer_edge.runtime.backends.openvino_backend import (
        Request,
        configuration,
        make_core,
        read_model,
    )
    from fer_edge.runtime.backends.openvino_rounding import round_terms

    core = make_core()
    try:
        model = read_model(core, path)
        round_terms(model)
        compiled = core.compile_model(model, "CPU", configuration(core, "cpu", threads))
    except RuntimeError as error:
        raise ModelError(f"{path}: OpenVINO can't load it: {one_line(error)}") from None
    request = Request(compiled, threads)

    def run(images: npt.NDArray[np.uint8]) -> Floats:
        return request(images, [OUTPUT])[0]

    return run


def _ncnn(path: Path, spec: DetectorSpec, threads: int) -> Run:
    from fer_edge.runtime.backends.ncnn_backend import Network
    from fer_edge.runtime.formats.ncnn_files import read_verified_spec

    assert spec == read_verified_spec(path, DetectorSpec)
    assert spec.ncnn is not None
    network = Network(path, companion(path, ".bin"), spec.ncnn, threads or count_usable_cores())

    def run(images: npt.NDArray[np.uint8]) -> Floats:
        outputs = [network(INPUT, one[None].astype(np.float32), [OUTPUT])[0] for one in images]
        return np.stack(outputs)

    return run


OPENERS: dict[str, tuple[tuple[str, ...], Callable[[Path, DetectorSpec, int], Run]]] = {
    "onnxruntime": ((".onnx",), _onnxruntime),
    "openvino": ((".xml", ".onnx"), _openvino),
    "ncnn": ((".param",), _ncnn),
}
"""By engine: the suffixes of the files that it reads, and how it opens one."""
