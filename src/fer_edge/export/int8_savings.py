"""Is int8 worth it? Its file beside the fp32 file: bytes, and milliseconds in the same process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from fer_edge.train.evaluation.evaluate import Model

_WARM_UP = 20
_RUNS = 200


@dataclass(frozen=True)
class Worth:
    """One file beside the fp32 file of the same checkpoint, one face a call, one thread.

    Attributes:
        bytes, bytes_fp32: on disk.
        milliseconds, milliseconds_fp32: medians of 200 calls each, taken in turns. Only their ratio
            says something about another machine.
    """

    bytes: int
    bytes_fp32: int
    milliseconds: float
    milliseconds_fp32: float

    @property
    def speedup(self) -> float:
        """How many times as fast as fp32, on this machine."""
        return self.milliseconds_fp32 / self.milliseconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the speed-up among them."""
        return {**asdict(self), "speedup": self.speedup}

    def __str__(self) -> str:
        smaller = f"{self.bytes / 1e6:.2f} MB, fp32 {self.bytes_fp32 / 1e6:.2f} MB"
        faster = f"{self.milliseconds:.2f} ms a face, fp32 {self.milliseconds_fp32:.2f} ms"
        verdict = (
            f"{self.speedup:.2f} times as fast here"
            if self.speedup > 1
            else f"int8 isn't faster here ({self.speedup:.2f} times as fast)"
        )
        return f"{smaller}; {faster}: {verdict} (one thread)"


def race(models: Sequence[Model]) -> list[float]:
    """Median milliseconds of each model for one face, taken in turns so that noise hits them all.

    Args:
        models: of one input side, each opened with one thread.
    """
    side = models[0].spec.input.side
    face = np.random.default_rng(0).integers(0, 256, (1, side, side)).astype(np.uint8)
    times: list[list[float]] = [[] for _ in models]
    for turn in range(_WARM_UP + _RUNS):
        for model, taken in zip(models, times, strict=True):
            start = time.perf_counter()
            model.predict(face)
            if turn >= _WARM_UP:
                taken.append(1000 * (time.perf_counter() - start))
    return [median(taken) for taken in times]
