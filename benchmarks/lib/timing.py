"""Paired timing: all candidates have a turn in each round, so a busy machine slows all alike."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

WARM_UP, CALLS = 3, 10
"""Calls of a turn: those that are not timed, and those whose median counts."""


@dataclass(frozen=True)
class Latency:
    """Seconds per call, and the ratio to a reference with its quartiles: medians over rounds."""

    seconds: float
    ratio: float
    low: float
    high: float

    def format_ratio(self) -> str:
        """The ratio as a cell of a table."""
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"


def time_call(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def time_in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> list[dict[str, float]]:
    """By name: the median seconds per call in each round, in which the order is random."""
    found = []
    for _ in range(rounds):
        turn = {}
        for name, call in random.sample(list(calls.items()), len(calls)):
            times = [time_call(call) for _ in range(WARM_UP + CALLS)]
            turn[name] = median(times[WARM_UP:])
        found.append(turn)
    return found


def compare(rounds: Sequence[Mapping[str, float]], reference: str) -> dict[str, Latency]:
    """Latencies by name; each ratio is taken within a round.

    Args:
        rounds: at least two; each has the seconds per call of every candidate still running.
        reference: the candidate that the others are divided by.
    """
    found = {}
    for name in {name: None for turns in rounds for name in turns}:
        times = [turns[name] for turns in rounds if name in turns]
        ratios = [turns[name] / turns[reference] for turns in rounds if name in turns]
        low, middle, high = quantiles(ratios, n=4, method="inclusive")
        found[name] = Latency(median(times), middle, low, high)
    return found


def open_session(model: Path | bytes, **options: Any) -> Any:
    """An `onnxruntime.InferenceSession` on one thread.

    Args:
        model: a file or its content.
        options: attributes of `SessionOptions`, or session config entries: names with a dot.
    """
    import onnxruntime

    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = session_options.inter_op_num_threads = 1
    session_options.log_severity_level = 3
    for name, value in options.items():
        if "." in name:
            session_options.add_session_config_entry(name, value)
        else:
            setattr(session_options, name, value)
    return onnxruntime.InferenceSession(model, session_options, providers=["CPUExecutionProvider"])


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> None:
    """Print a table whose first column is wide; `width` is that of the others."""
    for row in [columns, *rows]:
        print(f"{row[0]:<44}" + "".join(f"{value:>{width}}" for value in row[1:]))
