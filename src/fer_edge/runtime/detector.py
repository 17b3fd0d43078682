"""YuNet: where the faces are.

The network is OpenCV Zoo's (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine
Intelligence Research 20, 2023); its answer is decoded as OpenCV's FaceDetectorYN does.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.errors import ConfigError, MissingExtraError, ModelError
from fer_edge.runtime.preprocess import Box

STRIDES = (8, 16, 32)
KINDS = ("cls", "obj", "bbox", "kps")
OUTPUTS = [f"{kind}_{stride}" for kind in KINDS for stride in STRIDES]
LEAST_SCORE = 0.6
"""Of sqrt(class x objectness), in [0, 1]."""
MOST_OVERLAP = 0.3
"""Of intersection over union: of two boxes that overlap more, the likelier stays."""

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], Mapping[str, Floats]]
Opened = tuple[Collection[str], Run]
"""The outputs' names, and what gives them."""


@dataclass(frozen=True)
class Detection:
    """One face.

    Attributes:
        box: x, y, width, height in pixels, cut at the picture's edge.
        score: how sure the detector is, in [0, 1].
        landmarks: x and y, in pixels, of the right eye, the left eye, the tip of the nose, the
            right and the left corner of the mouth: right and left as the person shown has them.
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...]


class Detector:
    """Finds faces. May be called from several threads.

    Args:
        path: YuNet's `.onnx`.
        side: the longer side that a larger picture is shrunk to, in pixels: more finds smaller
            faces and takes longer.
        least: the shorter side of the smallest face that counts, in pixels of the picture.
        threads: for one call; 0 takes every core.
        engine: a name of `ENGINES`; both read the same file and find the same faces.

    Raises:
        ConfigError: there is no such engine.
        MissingExtraError: the engine isn't installed.
        ModelError: the file is missing or isn't YuNet.
        ValueError: a side isn't positive.
    """

    def __init__(
        self,
        path: Path,
        *,
        side: int = 640,
        least: int = 20,
        threads: int = 1,
        engine: str = "onnxruntime",
    ) -> None:
        if side < 32 or least < 1:
            raise ValueError(f"side {side} or least {least} is too small: 32 and 1 or more")
        self.path, self.side, self.least = path, side, least
        self._run = open_network(path, threads=threads, engine=engine)

    def __call__(self, image: Image.Image) -> tuple[Detection, ...]:
        """The faces of an upright picture, the likeliest first."""
        image = image.convert("RGB")
        share = min(1.0, self.side / max(image.size))
        if share < 1.0:
            size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
            shrunk = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        else:
            shrunk = image
        rows = detect(self._run, np.asarray(shrunk))
        scale = np.array([image.width / shrunk.width, image.height / shrunk.height] * 7)
        rows[:, :14] *= scale
        found = (_detection(row, image.size) for row in rows)
        return tuple(one for one in found if min(one.box[2:]) >= self.least)


def detect(run: Run, pixels: npt.NDArray[np.uint8]) -> Floats:
    """Faces in RGB pixels, uint8 `[H, W, 3]`: float32 `[faces, 15]`, the likeliest first.

    A row is x, y, width, height, five landmarks' x and y, and the score: FaceDetectorYN's order.
    """
    height, width = pixels.shape[:2]
    padded = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), np.float32)
    padded[:height, :width] = pixels[:, :, ::-1]
    answer = run(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))
    rows = np.concatenate([_decoded(answer, stride, padded.shape[1]) for stride in STRIDES])
    rows = rows[rows[:, 14] >= LEAST_SCORE]
    rows = rows[np.argsort(-rows[:, 14], kind="stable")]
    return rows[_apart(rows[:, :4])]


def tilt(detection: Detection) -> float:
    """How far the eyes' line is turned, in degrees in [-180, 180]: clockwise is positive."""
    (right_x, right_y), (left_x, left_y) = detection.landmarks[:2]
    return math.degrees(math.atan2(left_y - right_y, left_x - right_x))


def _decoded(answer: Mapping[str, Floats], stride: int, width: int) -> Floats:
    """All anchors of one stride as rows."""
    score, sure, box, points = (answer[f"{kind}_{stride}"][0] for kind in KINDS)
    place = np.arange(len(score))
    anchor = np.stack([place % (width // stride), place // (width // stride)], 1)
    rows = np.empty((len(score), 15), np.float32)
    size = np.exp(box[:, 2:]) * stride
    rows[:, 0:2] = (anchor + box[:, :2]) * stride - size / 2
    rows[:, 2:4] = size
    rows[:, 4:14] = (points + np.tile(anchor, 5)) * stride
    rows[:, 14] = np.sqrt(score.clip(0, 1) * sure.clip(0, 1))[:, 0]
    return rows


def _apart(boxes: Floats) -> list[int]:
    """Non-maximum suppression: places of boxes that overlap no likelier one; sorted by score.

    On whole pixels, as OpenCV does.
    """
    x, y, w, h = np.trunc(boxes).T
    area = w * h
    kept: list[int] = []
    for i in range(len(boxes)):
        wide = np.minimum(x[i] + w[i], x[kept] + w[kept]) - np.maximum(x[i], x[kept])
        high = np.minimum(y[i] + h[i], y[kept] + h[kept]) - np.maximum(y[i], y[kept])
        shared = wide.clip(0) * high.clip(0)
        if not (shared > MOST_OVERLAP * (area[i] + area[kept] - shared)).any():
            kept.append(i)
    return kept


def _detection(row: Floats, size: tuple[int, int]) -> Detection:
    left, top = (max(0, round(float(v))) for v in row[:2])
    right, bottom = (
        min(most, round(float(at + length)))
        for at, length, most in zip(row[:2], row[2:4], size, strict=True)
    )
    points = tuple((float(x), float(y)) for x, y in row[4:14].reshape(5, 2))
    return Detection((left, top, right - left, bottom - top), float(row[14]), points)


def open_network(path: Path, *, threads: int = 1, engine: str = "onnxruntime") -> Run:
    """YuNet under an engine of `ENGINES`: what `detect` runs. Safe to share between threads.

    Raises:
        ConfigError, MissingExtraError, ModelError: see `Detector`.
    """
    if engine not in ENGINES:
        raise ConfigError(f"the detector's engine {engine!r} is none of {', '.join(ENGINES)}")
    if not path.is_file():
        raise ModelError(f"{path}: there is no such detector: fer detector install puts one there")
    try:
        names, run = ENGINES[engine](path, threads)
    except ModelError as error:
        raise ModelError(f"{path}: not a detector ({error})") from None
    if missing := set(OUTPUTS).difference(names):
        raise ModelError(f"{path}: not YuNet: it has no output {min(missing)!r}")
    return run


def _onnxruntime(path: Path, threads: int) -> Opened:
    from fer_edge.runtime.backends.onnxruntime_backend import open_session

    session = open_session(path, threads=threads)
    entry = session.get_inputs()[0].name

    def run(faces: Floats) -> dict[str, Floats]:
        return dict(zip(OUTPUTS, session.run(OUTPUTS, {entry: faces}), strict=True))

    return [output.name for output in session.get_outputs()], run


def _openvino(path: Path, threads: int) -> Opened:
    try:
        import openvino

        from fer_edge.runtime.backends.openvino_backend import configuration, read_model, reason_of
    except ModuleNotFoundError as error:
        if error.name != "openvino":
            raise
        raise MissingExtraError("openvino", "openvino") from None

    core = openvino.Core()
    try:
        compiled = core.compile_model(
            read_model(core, path), "CPU", configuration(core, "cpu", threads)
        )
    except RuntimeError as error:
        raise ModelError(f"OpenVINO can't load it: {reason_of(error)}") from None
    request = compiled.create_infer_request()
    lock = threading.Lock()  # a request serves one call at a time

    def run(faces: Floats) -> dict[str, Floats]:
        with lock:
            answer = request.infer([faces])
            return {name: np.array(answer[name]) for name in OUTPUTS}

    # an output has its node's name beside its own
    return [name for output in compiled.outputs for name in output.names], run


ENGINES: dict[str, Callable[[Path, int], Opened]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
"""What opens the file and takes a number of threads."""
