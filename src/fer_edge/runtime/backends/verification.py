"""Compare a model's logits with the golden ones in its spec: the thresholds of every such check.

Every backend is checked on two samples when it is opened; `fer doctor` checks all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from fer_edge.errors import FerEdgeError, ModelError
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.spec import ModelSpec, Precision
from fer_edge.text import one_line, shorten

if TYPE_CHECKING:
    from fer_edge.runtime.backends import Backend

Floats = npt.NDArray[np.float32]
Match = Literal["right", "close", "wrong", "untested"]
"""Result of a comparison. "close": the engine or the device rounds some sums differently than
PyTorch; "untested": the model has no golden samples."""

MAX_DIFF: dict[Precision, float] = {"fp32": 1e-4, "fp16": 0.05, "int8": 0.05}
"""Largest |Δlogit| that is "right". Measured over the golden samples of MobileNetV2 and V3: 9e-6
for float files under each engine, 5e-7 for int8 under ONNX Runtime. OpenVINO's int8 is as exact for
MobileNetV2, but not for MobileNetV3, whose gates are in float. Weights that were rounded to fp16
change the logits a little."""
MAX_DIFF_CLOSE = 0.5
"""Largest |Δlogit| that is "close"."""
MAX_LABELS_CLOSE = 1
"""Number of samples whose label may differ in a "close" result."""


@dataclass(frozen=True)
class Difference:
    """Logits of the golden samples under an engine, compared with PyTorch's.

    Attributes:
        samples: number of golden samples that were compared.
        labels_differ: number of samples with another label than PyTorch's.
        max_abs_logit_diff: largest |Δlogit|; None: a logit isn't finite, or there are no samples.
    """

    samples: int
    labels_differ: int
    max_abs_logit_diff: float | None


def compare_logits(logits: Floats, expected: Floats) -> Difference:
    """Compare logits float32 `[N, labels]` with the expected ones of the same shape."""
    largest = float(np.abs(logits - expected).max()) if len(expected) else math.nan
    return Difference(
        samples=len(expected),
        labels_differ=int((logits.argmax(1) != expected.argmax(1)).sum()),
        max_abs_logit_diff=largest if math.isfinite(largest) else None,
    )


def judge(difference: Difference, precision: Precision, engine: str, device: str = "cpu") -> Match:
    """The result of a comparison for a model of that precision under an engine on a device.

    "close" is possible on devices other than the CPU, and for int8 under an engine that rounds
    otherwise than PyTorch.
    """
    labels, diff = difference.labels_differ, difference.max_abs_logit_diff
    if not difference.samples:
        return "untested"
    if diff is None:
        return "wrong"
    if labels == 0 and diff <= MAX_DIFF[precision]:
        return "right"
    is_inexact = device != "cpu" or (precision == "int8" and not ENGINES[engine].is_exact_int8)
    is_near = diff <= MAX_DIFF_CLOSE and labels <= MAX_LABELS_CLOSE
    return "close" if is_inexact and is_near else "wrong"


def start_samples(spec: ModelSpec) -> list[int]:
    """Indices of the golden samples that a backend predicts when it is opened; [] without samples.

    They are the first, a black face, and the middle one, a drawn face.
    `benchmarks/changed_numbers.py` counts the damaged copies of a model that they reveal, and those
    that all samples reveal. The second sample takes 0.7 ms under ONNX Runtime and 1.5 ms under
    OpenVINO on x86-64.
    """
    return sorted({0, len(spec.golden) // 2}) if spec.golden else []


def check_contract(backend: Backend, path: Path) -> Floats:
    """Predict the start samples, or a black face where the model has no golden samples.

    Each is a call of its own: engines allocate memory and take longer when the batch size changes.

    Returns:
        Their logits, float32 `[N, labels]`.

    Raises:
        ModelError: the graph doesn't take or give what its spec describes.
    """
    spec = backend.spec
    side, labels = spec.input.side, len(spec.labels)
    black = np.zeros((1, side, side), np.uint8)
    faces = spec.golden_faces()[start_samples(spec)] if spec.golden else black
    results = []
    for face in faces:
        try:
            logits = backend(face[None])
        # each engine has exceptions of its own
        except Exception as error:
            reason = one_line(error)
            raise ModelError(
                f"{path}: its graph doesn't take what its spec says: {reason}"
            ) from None
        if logits.shape != (1, labels) or logits.dtype != np.float32:
            given = f"logits {shorten(str(logits.shape), 100)} {logits.dtype}"
            raise ModelError(f"{path}: its graph gives {given}, its spec has {labels} labels")
        results.append(logits)
    return np.concatenate(results)


class NamedErrorsBackend:
    """A backend whose failures are errors by name."""

    def __init__(self, backend: Backend, path: Path) -> None:
        self.engine: str = backend.engine
        self.spec: ModelSpec = backend.spec
        self._backend, self._path = backend, path

    def __call__(self, faces: npt.NDArray[np.uint8]) -> Floats:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`.

        Raises:
            ModelError: the engine failed, or gave logits of another shape.
        """
        try:
            logits = self._backend(faces)
        except (FerEdgeError, MemoryError):
            raise
        # each engine has exceptions of its own
        except Exception as error:
            reason = one_line(error)
            raise ModelError(f"{self._path}: {self.engine} can't compute it: {reason}") from None
        if logits.shape != (expected := (len(faces), len(self.spec.labels))):
            raise ModelError(f"{self._path}: gives logits {logits.shape} instead of {expected}")
        return logits


class VerifiedBackend(NamedErrorsBackend):
    """A backend that gave the golden logits, and whose every prediction is finite.

    Raises:
        ModelError: the logits of its start samples are wrong, or aren't finite.
    """

    def __init__(self, backend: Backend, path: Path, device: str) -> None:
        super().__init__(backend, path)
        logits = self._check_finite(check_contract(backend, path))
        if not self.spec.golden:
            return
        samples = start_samples(self.spec)
        difference = compare_logits(logits, self.spec.golden_logits()[samples])
        if judge(difference, self.spec.quantization.precision, self.engine, device) == "wrong":
            raise ModelError(
                f"{path}: gives wrong logits under {self.engine}: they differ from PyTorch's by up "
                f"to {difference.max_abs_logit_diff:.2g}, and {difference.labels_differ} of "
                f"{difference.samples} labels differ: {_ADVICE}"
            )

    def __call__(self, faces: npt.NDArray[np.uint8]) -> Floats:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`.

        Raises:
            ModelError: a logit isn't finite, or the engine failed.
        """
        return self._check_finite(super().__call__(faces))

    def _check_finite(self, logits: Floats) -> Floats:
        if not np.isfinite(logits).all():
            raise ModelError(
                f"{self._path}: gives logits under {self.engine} that aren't numbers: {_ADVICE}"
            )
        return logits


_ADVICE = "copy the file again, or export it again; fer doctor tests it under each engine"
