"""How much the metrics of several models vary, such as runs that differ in their seed only."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fer_edge.train.evaluation.metrics import Report

_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "ece")


@dataclass(frozen=True)
class Variation:
    """One metric over several models; `std` is the sample standard deviation (n - 1)."""

    mean: float
    std: float
    min: float
    max: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def measure_variation(reports: Sequence[Report]) -> dict[str, Variation]:
    """Variation of each metric and of each label's recall over two or more reports on one split."""
    metrics = [report.metrics() for report in reports]
    rows = [report.per_class() for report in reports]
    values = {name: [getattr(one, name) for one in metrics] for name in _METRICS}
    recalls = {
        f"recall of {label}": [row[label]["recall"] for row in rows]
        for label in rows[0]
        if all(label in row for row in rows)
    }
    return {
        name: Variation(statistics.fmean(found), statistics.stdev(found), min(found), max(found))
        for name, found in {**values, **recalls}.items()
    }


def distinct_names(models: Sequence[Path]) -> list[str]:
    """Name each path by the parts that it doesn't share with all others, joined by "-".

    `runs/a/model.safetensors`, `runs/b/model.safetensors`: `a-model.safetensors`, `b-...`.
    """
    parts = [path.absolute().parts for path in models]
    shared = 0
    while all(len(one) > shared + 1 for one in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return ["-".join(one[shared:]) for one in parts]
