"""The spec inside every model: its input, its output, and how it was made.

A spec is one JSON document under the key `fer_edge`: in ONNX `metadata_props`, in OpenVINO IR
`rt_info`, in the header of a safetensors checkpoint; an ncnn model has it as a file of its own.
Nothing is inferred from a file name.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from fer_edge.spec_document import KEY as KEY
from fer_edge.spec_document import SCHEMA as SCHEMA
from fer_edge.spec_document import SpecDocument
from fer_edge.spec_limits import (
    check_count,
    check_entries,
    check_fraction,
    check_labels,
    check_logits,
    check_name,
    check_temperature,
    check_texts,
)

Precision = Literal["fp32", "fp16", "int8"]
Weights = Literal["fp32", "fp16-exact", "fp16", "int8"]
Ranges = Literal["minmax", "percentile", "mse", "answer"]
GateState = Literal["default", "changed", "off"]


@dataclasses.dataclass(frozen=True)
class CropSpec:
    """How a face box becomes the square that is resized to the input side.

    Attributes:
        margin: added on each side, as a fraction of the square's side, in [0, 2].
        square: "longer": the square's side is the longer side of the box; both have one centre.
        outside: "edge": pixels outside the image repeat the nearest pixel of the image.
        resize: Pillow's resampling filter, antialiased.
    """

    margin: float = 0.0
    square: Literal["longer"] = "longer"
    outside: Literal["edge"] = "edge"
    resize: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= 2:
            raise ValueError(f"margin must be in [0, 2], not {self.margin}")


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """The graph's input `faces`, uint8 `[N, side, side]`, and how the graph normalizes it.

    Attributes:
        side: side of the square input, in pixels.
        network_side: side that the graph resizes to (bilinear, half-pixel centres, no
            antialiasing) before its first convolution, in pixels.
        mean, std: of pixel / 255; the graph computes (pixel / 255 - mean) / std.
    """

    side: int
    network_side: int
    mean: float
    std: float
    colour: Literal["gray"] = "gray"
    dtype: Literal["uint8"] = "uint8"
    layout: Literal["NHW"] = "NHW"

    def __post_init__(self) -> None:
        for name in ("side", "network_side"):
            if not 16 <= getattr(self, name) <= 512:
                raise ValueError(f"{name} must be in [16, 512], not {getattr(self, name)}")
        if not (0 <= self.mean <= 1 and 1e-3 <= self.std <= 2):
            raise ValueError(
                f"mean {self.mean} or std {self.std} is out of range ([0, 1], [0.001, 2])"
            )


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """The data a model was trained on."""

    name: str
    licence: str
    faces: dict[str, int]
    """Number of faces by split."""
    teachers: tuple[str, ...] = ()
    """What the teachers were trained on, one text for each."""
    unlabelled: dict[str, int] = dataclasses.field(default_factory=dict)
    """Number of faces without labels in train, which teachers labelled, by their origin."""

    def __post_init__(self) -> None:
        check_texts(name=self.name, licence=self.licence)
        check_texts(**{f"teachers[{i}]": text for i, text in enumerate(self.teachers)})
        check_entries(faces=self.faces, unlabelled=self.unlabelled)
        for name, counts in (("faces", self.faces), ("unlabelled", self.unlabelled)):
            if min(counts.values(), default=0) < 0:
                raise ValueError(f"{name} must be 0 or more, not {min(counts.values())}")


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Metrics of a model on a split, each in [0, 1], and the number of faces `n`."""

    split: str
    n: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    ece: float

    def __post_init__(self) -> None:
        check_texts(split=self.split)
        check_count(self.n)
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "ece"):
            check_fraction(name, getattr(self, name))


@dataclasses.dataclass(frozen=True)
class Int8Recipe:
    """How a float network is quantized to int8.

    Attributes:
        ranges: how the range of an activation is chosen: "minmax", the extremes; "percentile",
            their 0.05 and 99.95 % points; "mse", the range with the smallest squared error;
            "answer", that range halved or doubled where this brings the network's logits closer to
            the float network's.
        float_layers: names of convolutions and linear layers that stay in float32.
        trained: epochs of quantization-aware training; 0: post-training quantization.
    """

    ranges: Ranges = "answer"
    float_layers: tuple[str, ...] = ()
    trained: int = 0

    def __post_init__(self) -> None:
        if self.trained < 0:
            raise ValueError(f"trained must be 0 epochs or more, not {self.trained}")
        check_texts(**{f"float_layers[{i}]": one for i, one in enumerate(self.float_layers)})


@dataclasses.dataclass(frozen=True)
class Quantization:
    """How the numbers of a file are stored and computed.

    Attributes:
        precision: the precision that the export was given.
        weights: how the weights are stored; "fp16-exact" are float32 weights that half precision
            holds without loss, "fp16" were rounded to it.
        method: name of the quantization method, or None.
        calibration: the faces that the ranges were taken from, or None.
        int8: of an int8 file: how it was quantized; of a checkpoint: how the trained quantized
            model was made that it holds beside its float weights.
        temperature: of a checkpoint with a quantized model: that model's softmax temperature, which
            an int8 export of it gets as its own; None: the spec's temperature serves both.
    """

    precision: Precision = "fp32"
    weights: Weights = "fp32"
    method: str | None = None
    calibration: str | None = None
    int8: Int8Recipe | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        check_texts(method=self.method or "", calibration=self.calibration or "")
        if self.temperature is not None:
            check_temperature(self.temperature)


@dataclasses.dataclass(frozen=True)
class NcnnOptions:
    """Options of ncnn that the model needs; the host chooses the number of threads.

    Attributes:
        packing: store several channels side by side in a vector register.
        winograd: compute 3x3 convolutions by Winograd's transforms, which need fewer
            multiplications and round differently.
        arithmetic: "fp32", or "fp16" on a CPU that computes in half precision (ARM v8.2 and later;
            not x86).
    """

    packing: bool = True
    winograd: bool = True
    arithmetic: Literal["fp32", "fp16"] = "fp32"


@dataclasses.dataclass(frozen=True)
class ParitySummary:
    """The exported file compared with its checkpoint on the same faces.

    Attributes:
        faces: "golden" for the golden samples, or the name of a split.
        n: number of faces.
        agreement: fraction of faces with the same label, in [0, 1].
        max_abs_logit_diff: largest |difference of a logit|; None: a logit was not finite.
        accuracy_reference, accuracy_exported: in [0, 1]; None: the faces have no labels.
        passed: whether every threshold was met, on the golden samples as well.
        gate: "default": the thresholds of its precision; "changed": thresholds set by the user;
            "off": the file was kept whatever the comparison gave.
    """

    faces: str
    n: int
    agreement: float
    max_abs_logit_diff: float | None
    accuracy_reference: float | None
    accuracy_exported: float | None
    passed: bool
    gate: GateState = "default"

    def __post_init__(self) -> None:
        check_texts(faces=self.faces)
        check_count(self.n)
        for name in ("agreement", "accuracy_reference", "accuracy_exported"):
            if (value := getattr(self, name)) is not None:
                check_fraction(name, value)
        if self.max_abs_logit_diff is not None and not 0 <= self.max_abs_logit_diff < math.inf:
            raise ValueError(f"max_abs_logit_diff must be 0 or more, not {self.max_abs_logit_diff}")


@dataclasses.dataclass(frozen=True)
class GoldenSample:
    """A synthetic face and PyTorch's logits for it: a self-test that needs no data.

    Attributes:
        face: base64 of side x side uint8 pixels, row by row.
        logits: PyTorch's logits, one float32 per label.
    """

    face: str
    logits: tuple[float, ...]

    def __post_init__(self) -> None:
        check_logits(self.logits)


@dataclasses.dataclass(frozen=True)
class ModelSpec(SpecDocument):
    """Everything a host needs to run a model and to read its output; validated when made.

    Raises:
        ValueError: at construction, when the values contradict each other.
    """

    name: str
    architecture: str
    labels: tuple[str, ...]
    input: InputSpec
    crop: CropSpec
    temperature: float
    data: DataSpec
    metrics: tuple[Metrics, ...]
    intended_use: str
    tools: dict[str, str]
    quantization: Quantization = Quantization()
    parity: ParitySummary | None = None
    golden: tuple[GoldenSample, ...] = ()
    source_sha256: str | None = None
    """Of an exported file: SHA-256 of its checkpoint."""
    ncnn: NcnnOptions | None = None
    """Of an ncnn model: its options."""
    version: str = ""
    """Of the model, such as "2"; empty: it has none."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        check_name(self.name)
        check_labels(self.labels)
        check_texts(
            name=self.name,
            version=self.version,
            architecture=self.architecture,
            intended_use=self.intended_use,
            source_sha256=self.source_sha256 or "",
            **{f"tools.{tool[:99]}": tool + version for tool, version in self.tools.items()},
        )
        check_entries(metrics=self.metrics, golden=self.golden, tools=self.tools)
        check_temperature(self.temperature)
        for i, sample in enumerate(self.golden):
            if len(sample.logits) != len(self.labels):
                raise ValueError(
                    f"golden[{i}] has {len(sample.logits)} logits for {len(self.labels)} labels"
                )
            if _decoded_size(sample.face) != self.input.side**2:
                raise ValueError(
                    f"golden[{i}] is not a face of {self.input.side} x {self.input.side} pixels"
                )

    @property
    def title(self) -> str:
        """The name with the version, such as `base 2`."""
        return f"{self.name} {self.version}".rstrip()

    def golden_faces(self) -> npt.NDArray[np.uint8]:
        """Faces of the golden samples, uint8 `[N, side, side]`."""
        raw = b"".join(base64.b64decode(sample.face) for sample in self.golden)
        return np.frombuffer(raw, np.uint8).reshape(-1, self.input.side, self.input.side)

    def golden_logits(self) -> npt.NDArray[np.float32]:
        """Expected logits of the golden samples, float32 `[N, labels]`."""
        logits = [sample.logits for sample in self.golden]
        return np.array(logits, np.float32).reshape(-1, len(self.labels))


def _decoded_size(text: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except ValueError:
        return -1
