"""What an evaluation and a comparison found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from fer_edge.train.evaluation.metrics import interval

if TYPE_CHECKING:
    from fer_edge.export.parity import Parity
    from fer_edge.train.evaluation.annotator_agreement import Named, People
    from fer_edge.train.evaluation.metrics import Report
    from fer_edge.train.evaluation.seed_variance import Spread

_WIDE = 80
"""Columns for all labels side by side, up to which they can be read; else a picture has them."""
_PLAIN = ("macro_f1", "ece")
"""Figures that nobody reads in percent."""


def report_tables(report: Report) -> Iterable[Table | str]:
    """An evaluation: figures, labels, the confusion matrix and the commonest errors."""
    metrics = report.metrics()
    chance = report.ece_by_chance
    size = f" ({report.size / 1e6:.2f} MB)" if report.size else ""
    yield (
        f"{report.model}{size} on {report.split}: {round(metrics.accuracy * metrics.n)} of "
        f"{metrics.n} right, accuracy {metrics.accuracy:.2%} "
        f"(95 % interval {_range(report.accuracy_interval)})"
    )
    yield (
        f"balanced {metrics.balanced_accuracy:.2%}, calibration error {metrics.ece:.3f} "
        f"(if every confidence were right, chance would make {chance.mean:.3f}, seldom more than "
        f"{chance.most:.3f})"
    )
    table = Table("label", "precision", "recall", "its 95 % interval", "F1", "support")
    for label, row in report.per_class().items():
        ends = _range(interval(row["recall"], int(row["support"])))
        shares = [f"{row[name]:.1%}" for name in ("precision", "recall", "f1")]
        table.add_row(label, *shares[:2], ends, shares[2], f"{row['support']:.0f}")
    table.add_section()
    for label, row in report.averages().items():
        shares = [f"{row[name]:.1%}" for name in ("precision", "recall", "f1")]
        table.add_row(label, *shares[:2], "", shares[2], str(metrics.n))
    yield table
    if len("".join(report.labels)) + 3 * len(report.labels) <= _WIDE:
        matrix = Table("truth \\ answer", *report.labels, title="confusion")
        for label, counts in zip(report.labels, report.confusion.tolist(), strict=True):
            matrix.add_row(label, *map(str, counts))
        yield matrix
    else:
        yield "the confusion matrix is too wide for here: confusion.png has it"
    yield "commonest errors: " + ", ".join(
        f"{truth} as {answer} {count}" for truth, answer, count in report.top_confusions()
    )


def people_tables(people: People) -> Iterable[Table | str]:
    """A model beside FER+'s ten people."""
    left_out = ", ".join(f"{why} {n}" for why, n in people.left_out.items())
    yield (
        f"by the label that most of FER+'s ten people gave, {people.n} faces: accuracy "
        f"{people.accuracy:.2%} (95 % interval {_range(people.accuracy_interval)})"
    )
    yield f"  without a label of most people: {left_out}"
    yield (
        f"  the data's own labels reach {people.label_accuracy:.2%}, one of the ten, drawn by "
        f"chance, {people.person_accuracy:.2%}; by the data's labels, on all faces, such a one "
        f"reaches {people.person_on_labels:.2%}"
    )
    yield (
        f"{people.errors} answers aren't the data's label; {people.error_is_majority:.1%} of them "
        "are the label that most people gave"
    )
    table = Table("on those faces", "given by 1 or more of ten", "by 2 or more", "share of votes")
    rows: dict[str, Named] = {
        "the model's answers": people.error,
        "the same answers on any face of that label": people.error_by_chance,
        "the data's labels": people.label_of_errors,
    }
    for name, row in rows.items():
        table.add_row(name, f"{row.by_one:.1%}", f"{row.by_two:.1%}", f"{row.votes:.1%}")
    yield table


def spread_table(reports: Sequence[Report], found: dict[str, Spread]) -> Table:
    """Several models: every figure's mean, deviation and ends."""
    table = Table("figure", "mean", "deviation", "least", "most", title=f"{len(reports)} models")
    for name, spread in found.items():
        values = (spread.mean, spread.deviation, spread.least, spread.most)
        shares = [f"{value:.4f}" if name in _PLAIN else f"{value:.2%}" for value in values]
        table.add_row(name.replace("_", " "), *shares)
    return table


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.1%} to {ends[1]:.1%}"


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
