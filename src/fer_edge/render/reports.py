"""Show an evaluation, a parity report and the inspection of a data set in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from fer_edge.render.table import Table
from fer_edge.text import printable
from fer_edge.train.evaluation.metrics import wilson_interval

if TYPE_CHECKING:
    from fer_edge.export.exporter import Exported
    from fer_edge.export.parity import Parity
    from fer_edge.export.web_exporter import WebExport
    from fer_edge.train.data.inspection import Inspection
    from fer_edge.train.evaluation.annotator_agreement import AnnotatorAgreement, VoteSupport
    from fer_edge.train.evaluation.metrics import Report
    from fer_edge.train.evaluation.seed_variance import Variation

_MAX_COLUMNS = 80
"""Maximum width of a confusion matrix in the terminal."""
_MAX_ITEMS = 20
"""Maximum number of bad items, and of pairs of copies, in the terminal."""
_FRACTIONS = ("macro_f1", "ece")
"""Metrics that are shown as fractions, not in percent."""


def report_tables(report: Report) -> Iterable[Table | str]:
    """An evaluation: metrics, labels, the confusion matrix and the most frequent errors."""
    metrics = report.metrics()
    calibrated = report.ece_if_calibrated
    classes = len(report.present())
    where = f" ({report.scope})" if report.scope else ""
    yield printable(
        f"{metrics.n:,} image{'s' * (metrics.n > 1)} of {classes} class{'es' * (classes > 1)} "
        f"evaluated{where}, "
        f"{report.left_out}"
    )
    for item in report.left_out.items[:_MAX_ITEMS]:
        yield printable(f"  left out: {item.location}: {item.reason}")
    if len(report.left_out.items) > _MAX_ITEMS:
        yield f"  and {len(report.left_out.items) - _MAX_ITEMS:,} more: report.json lists all"
    size = f" ({report.size / 1e6:.2f} MB)" if report.size else ""
    yield (
        f"{printable(report.model)}{size} on {report.split}: "
        f"{round(metrics.accuracy * metrics.n)} of {metrics.n} correct, "
        f"accuracy {metrics.accuracy:.2%} (95 % interval {_range(report.accuracy_interval)})"
    )
    yield (
        f"balanced {metrics.balanced_accuracy:.2%}, calibration error {metrics.ece:.3f} "
        f"(a perfectly calibrated model: {calibrated.mean:.3f} on average, 95 % below "
        f"{calibrated.p95:.3f})"
    )
    table = Table("label", "precision", "recall", "95 % interval", "F1", "support")
    per_class = report.per_class()
    for label in report.labels:
        row = per_class.get(label)
        if row is None:
            table.add_row(label, "-", "-", "-", "-", "0")
            continue
        ends = _range(wilson_interval(row["recall"], int(row["support"])))
        percents = [f"{row[name]:.1%}" for name in ("precision", "recall", "f1")]
        table.add_row(label, *percents[:2], ends, percents[2], f"{row['support']:.0f}")
    table.add_section()
    for kind, row in report.averages().items():
        percents = [f"{row[name]:.1%}" for name in ("precision", "recall", "f1")]
        table.add_row(kind, *percents[:2], "", percents[2], str(metrics.n))
    yield table
    if len(per_class) < len(report.labels):
        yield "averages are over the classes that have images"
    if len("".join(report.labels)) + 3 * len(report.labels) <= _MAX_COLUMNS:
        matrix = Table("true \\ predicted", *report.labels, title="confusion")
        for label, counts in zip(report.labels, report.confusion.tolist(), strict=True):
            matrix.add_row(label, *map(str, counts))
        yield matrix
    else:
        yield "the confusion matrix is too wide for the terminal: see confusion.png"
    errors = [f"{truth} as {predicted} {n}" for truth, predicted, n in report.top_confusions()]
    yield "most frequent errors: " + printable(", ".join(errors))


def annotator_tables(agreement: AnnotatorAgreement) -> Iterable[Table | str]:
    """A model against FER+'s ten annotators."""
    left_out = ", ".join(f"{reason} {n}" for reason, n in agreement.left_out.items())
    yield (
        f"on the majority label of FER+'s ten annotators, {agreement.n} faces: accuracy "
        f"{agreement.accuracy:.2%} (95 % interval {_range(agreement.accuracy_interval)})"
    )
    yield f"  faces without a majority label: {left_out}"
    yield (
        f"  for comparison: the data's own labels {agreement.label_accuracy:.2%}, one random "
        f"annotator {agreement.annotator_accuracy:.2%}; on the data's labels, all faces, one "
        f"random annotator {agreement.annotator_label_accuracy:.2%}"
    )
    yield (
        f"{agreement.errors} predictions differ from the data's label; "
        f"{agreement.errors_on_majority:.1%} of them are the majority label"
    )
    table = Table("on those faces", "chosen by 1 or more of 10", "by 2 or more", "mean of votes")
    rows: dict[str, VoteSupport] = {
        "the model's predictions": agreement.error_support,
        "the same predictions on any face of that label": agreement.chance_support,
        "the data's labels": agreement.label_support,
    }
    for name, row in rows.items():
        table.add_row(name, f"{row.by_one:.1%}", f"{row.by_two:.1%}", f"{row.votes:.1%}")
    yield table


def variation_table(reports: Sequence[Report], variation: dict[str, Variation]) -> Table:
    """Several models: mean, standard deviation, minimum and maximum of each metric."""
    table = Table("metric", "mean", "std", "min", "max", title=f"{len(reports)} models")
    for name, row in variation.items():
        values = (row.mean, row.std, row.min, row.max)
        cells = [f"{value:.4f}" if name in _FRACTIONS else f"{value:.2%}" for value in values]
        table.add_row(name.replace("_", " "), *cells)
    return table


def inspection_tables(inspection: Inspection) -> Iterator[Table | str]:
    """A data set: class counts, copies across splits, FER+'s votes, and what can't be read."""
    counts = inspection.counts
    table = Table("label", *counts, title=f"{inspection.name}: {inspection.side} px faces")
    for label in inspection.labels:
        table.add_row(label, *(f"{by_label[label]:,}" for by_label in counts.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(by_label.values()):,}" for by_label in counts.values()))
    yield table
    if inspection.derived_splits:
        missing = " and no ".join(inspection.derived_splits)
        yield printable(
            f"{inspection.path} has no {missing} split: taken from train, class by class"
        )
    copies = Table("faces of", "also in", "exact copies", "near copies", title="duplicates")
    for one in inspection.copies:
        near = "-" if one.near is None else str(one.near)
        copies.add_row(one.split, one.of, str(one.exact), near)
    yield copies
    lines = [
        printable(f"  {one.split} {pair.face} = {one.of} {pair.copy_of}")
        + ("" if pair.labels[0] == pair.labels[1] else " (other label)")
        + ("" if pair.exact else f" (near, correlation {pair.correlation:.3f})")
        for one in inspection.copies
        for pair in sorted(one.pairs, key=lambda pair: pair.labels[0] == pair.labels[1])
    ]
    yield from _limited(lines, "pairs")
    if inspection.votes:
        votes = Table("split", "label has most votes", "called no face", title="FER+")
        for row in inspection.votes:
            votes.add_row(row.split, f"{row.agreement:.1%}", str(row.no_face))
        yield votes
    yield f"unreadable rows or images: {len(inspection.bad)}"
    yield from _limited(
        [printable(f"  {bad.location}: {bad.reason}") for bad in inspection.bad], "items"
    )


def _limited(lines: list[str], what: str) -> Iterator[str]:
    yield from lines[:_MAX_ITEMS]
    if len(lines) > _MAX_ITEMS:
        yield f"  and {len(lines) - _MAX_ITEMS:,} more {what}: --json lists all"


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
        before = parity.accuracy_float
        pytorch = "PyTorch" if before is None else f"float model {before:.2%}, quantized model"
        lines.append(
            f"        accuracy: {pytorch} {parity.accuracy_reference:.2%}, "
            f"file {parity.accuracy_exported:.2%}"
        )
    lines += [f"        {printable(failure)}" for failure in parity.failures]
    return "\n".join(lines)


def exported_text(done: Exported) -> str:
    """One export: its comparisons, what int8 saves, and the files."""
    lines = [parity_text(parity) for parity in done.parities]
    if done.savings:
        lines.append(str(done.savings))
    size = f"{done.size / 1e6:.1f} MB"
    lines.append(printable(f"wrote {done.path} ({size}), {done.report} and {done.html_report}"))
    return "\n".join(lines)


def exported_page_text(done: WebExport) -> str:
    """A page for browsers: its model as `exported_text` has it, the folder, and how to serve it."""
    engine = f" under Node {done.node.version}" if done.node else ""
    size = f"{done.size / 1e6:.1f} MB"
    lines = [
        exported_text(done.model),
        f"wrote {done.path} ({size}), compared{engine}",
        f"to look at it: python -m http.server --bind 127.0.0.1 --directory {done.path}",
    ]
    return "\n".join([lines[0], *map(printable, lines[1:])])


def export_table(results: Mapping[Path, Exported | Exception | str]) -> Table:
    """Several exports: the file and its comparison, or why there is none."""
    table = Table("file", "result", "MB", "faces", "same label", "max |Δlogit|")
    for column in table.columns[2:]:
        column.justify = "right"
    for path, result in results.items():
        if isinstance(result, Exception):
            table.add_row(str(path), Text(f"failed: {result}", "red"))
        elif isinstance(result, str):
            table.add_row(str(path), result)
        else:
            parity = result.parities[-1]
            kept = Text("written") if parity.passed else Text("written, misses thresholds", "red")
            figures = (f"{result.size / 1e6:.1f}", f"{parity.n:,}", f"{parity.agreement:.2%}")
            table.add_row(str(path), kept, *figures, f"{parity.max_abs_logit_diff:.2g}")
    return table
