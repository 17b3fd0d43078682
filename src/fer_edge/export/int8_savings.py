"""What an int8 file saves against the fp32 file of the same checkpoint: bytes and latency."""

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
class Savings:
    """An int8 file compared with the fp32 file; batch size 1, one thread.

    Attributes:
        bytes, bytes_fp32: size on disk.
        milliseconds, milliseconds_fp32: median latency of 200 alternating calls in one process.
            Only their ratio carries over to another machine.
    """

    bytes: int
    bytes_fp32: int
    milliseconds: float
    milliseconds_fp32: float

    @property
    def speedup(self) -> float:
        """fp32 latency divided by int8 latency, on this machine."""
        return self.milliseconds_fp32 / self.milliseconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values, including the speed-up."""
        return {**asdict(self), "speedup": self.speedup}

    def __str__(self) -> str:
        sizes = f"{self.bytes / 1e6:.2f} MB (fp32: {self.bytes_fp32 / 1e6:.2f} MB)"
        latency = f"{self.milliseconds:.2f} ms/face (fp32: {self.milliseconds_fp32:.2f} ms/face)"
        verdict = (
            f"{self.speedup:.2f} times as fast as fp32"
            if self.speedup > 1
            else f"not faster than fp32 ({self.speedup:.2f} times as fast)"
        )
        return f"int8: {sizes}, {latency}; {verdict} on this machine, one thread"


def measure_latencies(models: Sequence[Model]) -> list[float]:
    """Median latency of each model in ms/face; calls alternate, so that noise affects all alike.

    Args:
        models: with the same input side, each opened with one thread.
    """
    side = models[0].spec.input.side
    face = np.random.default_rng(0).integers(0, 256, (1, side, side)).astype(np.uint8)
    times: list[list[float]] = [[] for _ in models]
    for run in range(_WARM_UP + _RUNS):
        for model, measured in zip(models, times, strict=True):
            start = time.perf_counter()
            model.predict(face)
            if run >= _WARM_UP:
                measured.append(1000 * (time.perf_counter() - start))
    return [median(measured) for measured in times]
