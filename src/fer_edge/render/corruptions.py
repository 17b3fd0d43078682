"""Show a model under corruptions in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fer_edge.render.table import Table

if TYPE_CHECKING:
    from fer_edge.train.evaluation.corruption_report import CorruptionReport

_MAX_COLUMNS = 60
"""Maximum width of the labels' columns in the terminal."""


def corruption_tables(report: CorruptionReport) -> Iterator[Table | str]:
    """Accuracy, unchanged labels and calibration error by corruption, and the predicted labels."""
    table = Table("corruption", "accuracy", "unchanged labels", "calibration error")
    labels = Table("corruption", *report.labels, title="predicted labels, %")
    for one in (table, labels):
        for column in one.columns[1:]:
            column.justify = "right"
    for number, row in enumerate(report.all_rows):
        if number in (1, len(report.rows) + 1):
            table.add_section()
            labels.add_section()
        table.add_row(row.name, f"{row.accuracy:.2%}", f"{row.unchanged:.1%}", f"{row.ece:.3f}")
        labels.add_row(row.name, *(f"{100 * value:.1f}" for value in row.predicted))
    yield table
    if sum(len(label) + 3 for label in report.labels) <= _MAX_COLUMNS:
        yield labels
    else:
        yield "there are too many labels for the terminal: report.json has what is predicted"
