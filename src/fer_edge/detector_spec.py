"""The spec inside a face detector: its input, its output, its thresholds, and how it was made.

It lies in a file where that of a model of expressions does, under the same key, and has a task.
"""

from __future__ import annotations

import base64
import dataclasses
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from fer_edge.spec import SCHEMA, DataSpec, GateState, NcnnOptions, Quantization
from fer_edge.spec_document import SpecDocument
from fer_edge.spec_limits import (
    check_count,
    check_entries,
    check_fraction,
    check_name,
    check_texts,
)

STRIDES = (8, 16, 32)
"""Pixels between two cells of each grid."""
VALUES = 9
"""Of a cell: x, y, width and height of the box, x and y of both eyes, score."""
MULTIPLE = max(STRIDES)
"""An image's sides are multiples of this; it is padded below and on the right."""
_MAX_SIDE = 512

Floats = npt.NDArray[np.float32]


def count_cells(height: int, width: int) -> int:
    """Cells of all grids for an image whose sides are multiples of `MULTIPLE`."""
    return sum((height // stride) * (width // stride) for stride in STRIDES)


@dataclasses.dataclass(frozen=True)
class DetectorInput:
    """The graph's input `images`, uint8 `[N, H, W]`, and how the graph normalizes it.

    Attributes:
        mean, std: of pixel / 255; the graph computes (pixel / 255 - mean) / std.
        multiple: the sides are multiples of this number of pixels.
        padding: value of the pixels that fill the sides up, below and on the right.
    """

    mean: float
    std: float
    multiple: Literal[32] = 32
    padding: Literal[0] = 0
    colour: Literal["gray"] = "gray"
    dtype: Literal["uint8"] = "uint8"
    layout: Literal["NHW"] = "NHW"

    def __post_init__(self) -> None:
        if not (0 <= self.mean <= 1 and 1e-3 <= self.std <= 2):
            raise ValueError(
                f"mean {self.mean} or std {self.std} is out of range ([0, 1], [0.001, 2])"
            )


@dataclasses.dataclass(frozen=True)
class DetectorMetrics:
    """Metrics of a detector on the photographs of a split.

    Attributes:
        split: name of the split.
        side: longer side of the photographs, in pixels.
        photographs: number of them.
        marked: number of faces that people marked.
        recall: fraction of these that were found, in [0, 1].
        average_precision: against all certain faces at an IoU of 0.5, in [0, 1].
        empty: number of photographs without a person.
        false_faces: faces found in these, for each of them.
    """

    split: str
    side: int
    photographs: int
    marked: int
    recall: float
    average_precision: float
    empty: int
    false_faces: float

    def __post_init__(self) -> None:
        check_texts(split=self.split)
        for count in (self.side, self.photographs, self.marked, self.empty):
            check_count(count)
        check_fraction("recall", self.recall)
        check_fraction("average_precision", self.average_precision)
        if not 0 <= self.false_faces <= 1e6:
            raise ValueError(f"false_faces must be 0 or more, not {self.false_faces}")


@dataclasses.dataclass(frozen=True)
class DetectorParity:
    """An exported detector compared with its checkpoint on the same photographs.

    Attributes:
        photographs: number of them, of the split val; 0: the golden samples alone were compared.
        faces: number of faces that the checkpoint finds in them.
        same: fraction of the faces of both that have a counterpart, in [0, 1].
        max_box_difference: largest difference of a box's edge, in pixels, over faces of both.
        recall_lost: recall of the faces that people marked, of the float checkpoint less that of
            the file, in [-1, 1]; None: there were no photographs.
        passed: whether every threshold was met.
        gate: as in `fer_edge.spec.ParitySummary`.
    """

    photographs: int
    faces: int
    same: float
    max_box_difference: float
    recall_lost: float | None
    passed: bool
    gate: GateState = "default"

    def __post_init__(self) -> None:
        check_count(self.photographs)
        check_count(self.faces)
        check_fraction("same", self.same)
        if not 0 <= self.max_box_difference <= 1e9:
            raise ValueError(f"max_box_difference must be 0 or more, not {self.max_box_difference}")
        if self.recall_lost is not None and not -1 <= self.recall_lost <= 1:
            raise ValueError(f"recall_lost must be in [-1, 1], not {self.recall_lost}")


@dataclasses.dataclass(frozen=True)
class DetectorSample:
    """A synthetic image and PyTorch's output for it: a self-test that needs no data.

    Attributes:
        height, width: of the image, in pixels; multiples of 32.
        image: base64 of its uint8 pixels, row by row.
        output: base64 of little-endian float32 `[9, cells]`, as the graph gives it.
    """

    height: int
    width: int
    image: str
    output: str

    def __post_init__(self) -> None:
        for side in (self.height, self.width):
            if side % MULTIPLE or not MULTIPLE <= side <= _MAX_SIDE:
                raise ValueError(f"the side of a sample must be 32, 64, ... {_MAX_SIDE}: {side}")
        for text, size in (
            (self.image, self.height * self.width),
            (self.output, 4 * VALUES * count_cells(self.height, self.width)),
        ):
            try:
                found = len(base64.b64decode(text, validate=True))
            except ValueError:
                found = -1
            if found != size:
                raise ValueError(f"a sample of {self.height} x {self.width} pixels is damaged")

    @classmethod
    def encode(cls, image: npt.NDArray[np.uint8], output: Floats) -> DetectorSample:
        """Make one of an image, uint8 `[H, W]`, and the output for it, float32 `[9, cells]`."""
        height, width = image.shape
        return cls(
            height,
            width,
            base64.b64encode(image.tobytes()).decode(),
            base64.b64encode(output.astype("<f4").tobytes()).decode(),
        )

    def decode(self) -> tuple[npt.NDArray[np.uint8], Floats]:
        """The image, uint8 `[H, W]`, and the output, float32 `[9, cells]`."""
        image = np.frombuffer(base64.b64decode(self.image), np.uint8)
        output = np.frombuffer(base64.b64decode(self.output), "<f4").astype(np.float32)
        return image.reshape(self.height, self.width), output.reshape(VALUES, -1)


@dataclasses.dataclass(frozen=True)
class DetectorSpec(SpecDocument):
    """Everything a host needs to run a face detector; validated when made.

    The graph's output `faces` is float32 `[N, 9, cells]`, for each cell of the grids of
    `strides`, row by row: x and y of the box's upper left corner, width and height, x and y of the
    eye on the left of the image and of the other one, in pixels of the input; the score in [0, 1].

    Attributes:
        widths: channels of the network's maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the sides.
        side: longer side in pixels to which a larger photograph is shrunk by default.
        score_threshold: lowest score of a face, in [0, 1].
        nms_threshold: largest IoU of two faces: of two that overlap more, the one with the higher
            score is kept.
        min_face, max_face: shorter side of the faces that it was trained for, in pixels of the
            input.
        parity: of an exported file.
        golden: samples for a self-test.
        source_sha256: of an exported file: SHA-256 of its checkpoint.
        ncnn: of an ncnn model: its options.
    """

    TASK: ClassVar[str | None] = "face-detection"

    name: str
    widths: tuple[int, ...]
    input: DetectorInput
    score_threshold: float
    nms_threshold: float
    min_face: int
    max_face: int
    side: int
    data: DataSpec
    metrics: tuple[DetectorMetrics, ...]
    intended_use: str
    tools: dict[str, str]
    quantization: Quantization = dataclasses.field(default_factory=Quantization)
    parity: DetectorParity | None = None
    golden: tuple[DetectorSample, ...] = ()
    source_sha256: str | None = None
    ncnn: NcnnOptions | None = None
    strides: tuple[int, ...] = STRIDES
    version: str = ""
    task: Literal["face-detection"] = "face-detection"
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        check_name(self.name)
        check_texts(
            name=self.name,
            version=self.version,
            intended_use=self.intended_use,
            source_sha256=self.source_sha256 or "",
            **{f"tools.{tool[:99]}": tool + version for tool, version in self.tools.items()},
        )
        check_entries(metrics=self.metrics, golden=self.golden, tools=self.tools)
        check_fraction("score_threshold", self.score_threshold)
        check_fraction("nms_threshold", self.nms_threshold)
        if self.strides != STRIDES:
            raise ValueError(f"strides must be {STRIDES}, not {self.strides}")
        if len(self.widths) != 5 or not all(1 <= width <= 4096 for width in self.widths):
            raise ValueError(f"widths must be five numbers in [1, 4096], not {self.widths}")
        if not 1 <= self.min_face <= self.max_face <= 1 << 20:
            raise ValueError(f"min_face {self.min_face} and max_face {self.max_face} are no range")
        if not MULTIPLE <= self.side <= 1 << 16:
            raise ValueError(f"side must be in [{MULTIPLE}, 65536], not {self.side}")

    @property
    def title(self) -> str:
        """The name with the version, such as `faces 1`."""
        return f"{self.name} {self.version}".rstrip()
