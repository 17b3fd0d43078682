"""Compare a model's logits with the golden ones in its spec: the thresholds of every such check.

Every backend is checked on one sample when it is opened; `fer doctor` checks all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from fer_edge.errors import ModelError
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.spec import ModelSpec, Precision

if TYPE_CHECKING:
    from fer_edge.runtime.backends import Backend

Floats = npt.NDArray[np.float32]
Match = Literal["right", "close", "wrong", "untested"]
"""Result of a comparison. "close": an int8 model of which some sums are rounded differently;
"untested": the model has no golden samples."""

MAX_DIFF: dict[Precision, float] = {"fp32": 1e-4, "fp16": 0.05, "int8": 0.05}
"""Largest |Δlogit| that is "right". Measured over the golden samples of MobileNetV2 and V3: 9e-6
for float files under each engine, 5e-7 for int8 under ONNX Runtime and 0.13 to 0.18 under OpenVINO,
which rounds elsewhere. Weights that were rounded to fp16 change the logits a little."""
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


def judge(difference: Difference, precision: Precision) -> Match:
    """The result of a comparison for a model of that precision."""
    labels, diff = difference.labels_differ, difference.max_abs_logit_diff
    if not difference.samples:
        return "untested"
    if diff is not None and labels == 0 and diff <= MAX_DIFF[precision]:
        return "right"
    is_near = diff is not None and diff <= MAX_DIFF_CLOSE and labels <= MAX_LABELS_CLOSE
    return "close" if is_near and precision == "int8" else "wrong"


def start_sample(spec: ModelSpec) -> int:
    """Index of the golden sample that a backend predicts when it is opened: the middle one.

    It is a drawn face. Of 134 copies of the bundled model, each with one number changed, it differs
    from PyTorch's logits by more than `MAX_DIFF` in 108, the black face at index 0 in 56.
    """
    return len(spec.golden) // 2


def check_contract(backend: Backend, path: Path) -> Floats:
    """Predict the start sample, or a black face where the model has no golden samples.

    Returns:
        Its logits, float32 `[1, labels]`.

    Raises:
        ModelError: the graph doesn't take or give what its spec describes.
    """
    spec = backend.spec
    side, labels = spec.input.side, len(spec.labels)
    black = np.zeros((1, side, side), np.uint8)
    face = spec.golden_faces()[start_sample(spec)][None] if spec.golden else black
    try:
        logits = backend(face)
    # each engine has exceptions of its own
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: its graph doesn't take what its spec says: {reason}") from None
    if logits.shape != (1, labels):
        raise ModelError(
            f"{path}: its graph gives logits {logits.shape}, its spec has {labels} labels"
        )
    return logits


class VerifiedBackend:
    """A backend that gave the golden logits, and whose every prediction is finite.

    Raises:
        ModelError: the logits of its start sample aren't within the threshold, or aren't finite.
    """

    def __init__(self, backend: Backend, path: Path, device: str) -> None:
        self.engine: str = backend.engine
        self.spec: ModelSpec = backend.spec
        self._backend, self._path = backend, path
        logits = self._check_finite(check_contract(backend, path))
        if not self.spec.golden:
            return
        expected = self.spec.golden_logits()[start_sample(self.spec)]
        diff = float(np.abs(logits - expected).max())
        threshold = _threshold(self.engine, self.spec.quantization.precision, device)
        if not diff <= threshold:
            raise ModelError(
                f"{path}: gives wrong logits under {self.engine}: they differ from PyTorch's by "
                f"{diff:.2g}, where {threshold:g} is allowed: {_ADVICE}"
            )

    def __call__(self, faces: npt.NDArray[np.uint8]) -> Floats:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`.

        Raises:
            ModelError: a logit isn't finite.
        """
        return self._check_finite(self._backend(faces))

    def _check_finite(self, logits: Floats) -> Floats:
        if not np.isfinite(logits).all():
            raise ModelError(
                f"{self._path}: gives logits under {self.engine} that aren't numbers: {_ADVICE}"
            )
        return logits


_ADVICE = "copy the file again, or export it again; fer doctor tests it under each engine"


def _threshold(engine: str, precision: Precision, device: str) -> float:
    """Largest |Δlogit|; devices other than the CPU may compute with less precision."""
    is_inexact = precision == "int8" and not ENGINES[engine].is_exact_int8
    return MAX_DIFF_CLOSE if is_inexact or device != "cpu" else MAX_DIFF[precision]
