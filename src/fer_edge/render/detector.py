"""The table of a detector's evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from fer_edge.render.table import Table
from fer_edge.train.detector.evaluate import DetectorReport


def detector_table(reports: Sequence[DetectorReport]) -> Table:
    """One row for each side; recall of faces that people marked, also by their size."""
    sizes = list(dict.fromkeys(size for one in reports for size in one.recall_by_size))
    kinds = list(dict.fromkeys(kind for one in reports for kind in one.false_by_kind))
    table = Table(
        "side",
        "recall",
        *(f"{size} px" for size in sizes),
        "average precision",
        *(f"false in {kind}" for kind in kinds),
        title=f"{reports[0].detector}, score {reports[0].score_threshold:g}",
    )
    for column in table.columns:
        column.justify = "right"
    for one in reports:
        by_size = (one.recall_by_size.get(size) for size in sizes)
        table.add_row(
            str(one.metrics.side),
            f"{one.metrics.recall:.2%}",
            *(f"{found[1]:.1%} of {found[0]}" if found else "" for found in by_size),
            f"{one.metrics.average_precision:.2%}",
            *(f"{one.false_by_kind.get(kind, 0):.3f}" for kind in kinds),
        )
    return table
