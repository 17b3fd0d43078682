"""What commands print for people; `--json` is each result's own `to_dict`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from fer_edge.runtime.results import Face, Result
from fer_edge.spec import Metrics, ModelSpec, ParitySummary

if TYPE_CHECKING:
    from fer_edge.export.parity import Parity
    from fer_edge.train.metrics import Report

BAR = 24
VIDEO_COLUMNS = ("frame", "time", "track", "track_emotion")
"""At the end of each row of `--csv`; empty for pictures."""


def bar(share: float) -> str:
    """A share in [0, 1] as a bar of 24 cells, in eighths of a cell."""
    eighths = round(share * BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(BAR, "·")


def result_text(result: Result) -> str:
    """A picture's faces with a bar for each label, the likeliest marked; a video's in a line."""
    if result.frame is not None:
        shown = ", ".join(_followed(face) for face in result.faces) or "no face"
        return f"{result.source}  frame {result.frame}  {result.time:.2f} s  {shown}"
    lines = [f"{result.source}  ({result.width} x {result.height})"]
    if not result.faces:
        lines.append("  no face")
    for face in result.faces:
        width = max(len(label) for label in face.probabilities)
        lines.append(f"  {face.emotion}, {face.confidence:.0%} sure")
        for label, share in face.probabilities.items():
            mark = ">" if label == face.emotion else " "
            lines.append(f"  {mark} {label:<{width}} {bar(share)} {share:6.1%}")
    return "\n".join(lines)


def _followed(face: Face) -> str:
    track = face.track
    if track is None:
        return f"{face.emotion} {face.confidence:.0%}"
    return f"#{track.number} {track.emotion} {track.confidence:.0%}"


def csv_header(spec: ModelSpec) -> str:
    """The header of `--csv`."""
    place = ["source", "face", "x", "y", "w", "h", "emotion", "confidence"]
    return _csv_row([*place, *spec.labels, *VIDEO_COLUMNS])


def result_csv(result: Result) -> str:
    """One row a face, probabilities at six decimals; empty for a picture without one."""
    return "\n".join(
        _csv_row(
            [
                result.source,
                number,
                *face.box,
                face.emotion,
                f"{face.confidence:.6f}",
                *(f"{share:.6f}" for share in face.probabilities.values()),
                "" if result.frame is None else result.frame,
                "" if result.time is None else f"{result.time:.3f}",
                face.track.number if face.track else "",
                face.track.emotion if face.track else "",
            ]
        )
        for number, face in enumerate(result.faces)
    )


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
        lines.append(
            f"        accuracy: checkpoint {parity.accuracy_reference:.2%}, "
            f"file {parity.accuracy_exported:.2%}"
        )
        if parity.accuracy_float is not None:
            lines[-1] += f", float model {parity.accuracy_float:.2%}"
    lines += [f"        {failure}" for failure in parity.failures]
    return "\n".join(lines)


def spec_table(spec: ModelSpec, where: str) -> Table:
    """The contract inside a model, readable."""
    table = Table("", "", title=where, show_header=False, title_justify="left")
    face, quantization = spec.input, spec.quantization
    rows: dict[str, str | Text] = {
        "name": f"{spec.name} ({spec.architecture}), schema {spec.schema}",
        "labels": ", ".join(spec.labels),
        "input": f"faces {face.dtype} [N, {face.side}, {face.side}] {face.colour}",
        "inside the graph": f"resize to {face.network_side} px, "
        f"mean {face.mean:g}, std {face.std:g}",
        "crop": f"square of the {spec.crop.square} side, margin {spec.crop.margin:g}, "
        f"{spec.crop.resize}",
        "temperature": f"{spec.temperature:.4f}",
        "precision": f"{quantization.precision}, weights {quantization.weights}"
        + (f", {quantization.method}" if quantization.method else ""),
        "trained on": f"{spec.data.name}: {_counts(spec.data.faces)}",
        "data licence": spec.data.licence,
        **{f"on {m.split}": _metrics(m) for m in spec.metrics},
        "golden samples": str(len(spec.golden)),
        "made with": ", ".join(f"{k} {v}" for k, v in spec.tools.items()),
        "intended use": spec.intended_use,
    }
    if spec.parity:
        rows["parity"] = _parity(spec.parity)
    if spec.source_sha256:
        rows["checkpoint"] = f"sha256 {spec.source_sha256}"
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _parity(parity: ParitySummary) -> Text:
    """The proof in a line, red where it isn't one."""
    gate = {
        "default": "",
        "changed": " bars that were changed",
        "off": ", gate off: nothing was refused",
    }[parity.gate]
    diff = parity.max_abs_logit_diff
    text = (
        f"{parity.agreement:.2%} of {parity.n} {parity.faces} faces, max |Δlogit| "
        f"{'not a number' if diff is None else f'{diff:.2g}'}, "
        f"{'passed' if parity.passed else 'FAILED'}{gate}"
    )
    return Text(text, style="" if parity.passed and parity.gate != "off" else "red")


def _metrics(metrics: Metrics) -> str:
    return (
        f"accuracy {metrics.accuracy:.2%} of {metrics.n}, balanced "
        f"{metrics.balanced_accuracy:.2%}, macro F1 {metrics.macro_f1:.3f}, "
        f"calibration error {metrics.ece:.3f}"
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _csv_row(values: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(list(values))
    return line.getvalue()
