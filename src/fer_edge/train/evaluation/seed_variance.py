"""How far the figures of several models lie apart, as those of runs with other seeds do."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fer_edge.train.evaluation.metrics import Report


@dataclass(frozen=True)
class Spread:
    """One figure of several models; `deviation` is the sample's, by n - 1."""

    mean: float
    deviation: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of two or more values."""
        return cls(statistics.fmean(values), statistics.stdev(values), min(values), max(values))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def spreads(reports: Sequence[Report]) -> dict[str, Spread]:
    """The spread of each figure of two or more reports on one split, and of each label's recall."""
    metrics = [report.metrics() for report in reports]
    names = ("accuracy", "balanced_accuracy", "macro_f1", "ece")
    rows = [report.per_class() for report in reports]
    values = {name: [getattr(one, name) for one in metrics] for name in names}
    recalls = {
        f"recall of {label}": [row[label]["recall"] for row in rows]
        for label in rows[0]
        if all(label in row for row in rows)
    }
    return {name: Spread.of(found) for name, found in {**values, **recalls}.items()}


def folder_names(models: Sequence[Path]) -> list[str]:
    """A name for each path that tells it from the others: its parts that they don't share.

    Of `runs/a/model.safetensors` and `runs/b/model.safetensors`: `a-model.safetensors`, `b-...`.
    """
    parts = [path.absolute().parts for path in models]
    shared = 0
    while all(len(one) > shared + 1 for one in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return ["-".join(one[shared:]) for one in parts]
