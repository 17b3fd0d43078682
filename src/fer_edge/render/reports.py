"""What an evaluation and a comparison found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from fer_edge.export.parity import Parity
    from fer_edge.train.metrics import Report


def report_tables(report: Report) -> Iterable[Table | str]:
    """An evaluation: figures, labels, the confusion matrix and the commonest errors."""
    metrics = report.metrics()
    yield (
        f"{report.model} on {report.split}: {round(metrics.accuracy * metrics.n)} of {metrics.n} "
        f"right, accuracy {metrics.accuracy:.2%}, balanced {metrics.balanced_accuracy:.2%}, "
        f"calibration error {metrics.ece:.3f}"
    )
    table = Table("label", *("precision", "recall", "F1", "support"))
    for label, row in {**report.per_class(), **report.averages()}.items():
        if label == "macro":
            table.add_section()
        support = row.get("support", metrics.n)
        shares = [f"{row[name]:.1%}" for name in ("precision", "recall", "f1")]
        table.add_row(label, *shares, f"{support:.0f}")
    yield table
    matrix = Table("truth \\ answer", *report.labels, title="confusion")
    for label, counts in zip(report.labels, report.confusion.tolist(), strict=True):
        matrix.add_row(label, *map(str, counts))
    yield matrix
    yield "commonest errors: " + ", ".join(
        f"{truth} as {answer} {count}" for truth, answer, count in report.top_confusions()
    )


def parity_text(parity: Parity) -> str:
    """One comparison in a few lines."""
    same = round(parity.agreement * parity.n)
    lines = [
        f"{'passed' if parity.passed else 'FAILED'}  {parity.faces}: {same:,}/{parity.n:,} same "
        f"label, max |Δlogit| {parity.max_abs_logit_diff:.2g}, max |Δprobability| "
        f"{parity.max_abs_probability_diff:.2g}"
    ]
    if parity.accuracy_reference is not None and parity.accuracy_exported is not None:
        float_model = parity.accuracy_float
        before = "PyTorch" if float_model is None else f"float {float_model:.2%}, PyTorch's int8"
        lines.append(
            f"        accuracy: {before} {parity.accuracy_reference:.2%}, "
            f"file {parity.accuracy_exported:.2%}"
        )
    lines += [f"        {failure}" for failure in parity.failures]
    return "\n".join(lines)
