"""The spec inside a model as a table."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from fer_edge.detector_spec import DetectorSpec
from fer_edge.render.table import Table
from fer_edge.spec import GateState, Metrics, ModelSpec, ParitySummary, Quantization
from fer_edge.text import printable
from fer_edge.train.evaluation.metrics import wilson_interval


def spec_table(spec: ModelSpec, where: str) -> Table:
    """The spec inside a model as a table."""
    face, quantization = spec.input, spec.quantization
    rows: dict[str, str | Text] = {
        "name": f"{spec.name} ({spec.architecture}), schema {spec.schema}",
        **({"version": spec.version} if spec.version else {}),
        "labels": ", ".join(spec.labels),
        "input": f"faces {face.dtype} [N, {face.side}, {face.side}] {face.colour}",
        "inside the graph": f"resize to {face.network_side} px, "
        f"mean {face.mean:g}, std {face.std:g}",
        "crop": f"square of the {spec.crop.square} side, margin {spec.crop.margin:g}, "
        f"{spec.crop.resize}",
        "temperature": f"{spec.temperature:.4f}"
        + (
            f", of its QAT model {quantization.temperature:.4f}" if quantization.temperature else ""
        ),
        "precision": describe_precision(quantization),
        "trained on": f"{spec.data.name}: {format_counts(spec.data.faces)}",
        "data licence": spec.data.licence,
        **({"teachers trained on": "; ".join(spec.data.teachers)} if spec.data.teachers else {}),
        **(
            {"unlabelled faces": format_counts(spec.data.unlabelled)}
            if spec.data.unlabelled
            else {}
        ),
        **{f"on {m.split}": _metrics(m) for m in spec.metrics},
        **closing_rows(spec, _parity(spec.parity) if spec.parity else None),
    }
    return rows_table(rows, where)


def closing_rows(spec: ModelSpec | DetectorSpec, parity: Text | None) -> dict[str, str | Text]:
    """The last rows of either spec's table."""
    rows: dict[str, str | Text] = {
        "golden samples": str(len(spec.golden)),
        "made with": _tools(spec.tools),
        "intended use": spec.intended_use,
    }
    if parity:
        rows["parity"] = parity
    if spec.source_sha256:
        rows["checkpoint"] = f"sha256 {spec.source_sha256}"
    return rows


def rows_table(rows: Mapping[str, str | Text], where: str) -> Table:
    """A table of names and texts, with the file's path as its title."""
    table = Table("", "", title=printable(where), show_header=False, title_justify="left")
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def format_counts(counts: Mapping[str, int]) -> str:
    """Numbers of faces by split or origin."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _tools(tools: Mapping[str, str]) -> str:
    """Packages and their versions."""
    return ", ".join(f"{name} {version}" for name, version in tools.items())


def describe_precision(quantization: Quantization) -> str:
    """Precision, weights, and the method of quantization."""
    method = f", {quantization.method}" if quantization.method else ""
    return f"{quantization.precision}, weights {quantization.weights}{method}"


def show_verdict(text: str, gate: GateState, *, passed: bool) -> Text:
    """A comparison with its result; red where it is no proof."""
    thresholds = {
        "default": "",
        "changed": " changed thresholds",
        "off": ", gate off: no threshold was enforced",
    }[gate]
    result = f"{text}, {'passed' if passed else 'FAILED'}{thresholds}"
    return Text(result, style="" if passed and gate != "off" else "red")


def _parity(parity: ParitySummary) -> Text:
    diff = parity.max_abs_logit_diff
    text = (
        f"{parity.agreement:.2%} of {parity.n} {parity.faces} faces, max |Δlogit| "
        f"{'not a number' if diff is None else f'{diff:.2g}'}"
    )
    return show_verdict(text, parity.gate, passed=parity.passed)


def _metrics(metrics: Metrics) -> str:
    low, high = wilson_interval(metrics.accuracy, metrics.n)
    return (
        f"accuracy {metrics.accuracy:.2%} of {metrics.n} ({low:.1%} to {high:.1%}), balanced "
        f"{metrics.balanced_accuracy:.2%}, macro F1 {metrics.macro_f1:.3f}, "
        f"calibration error {metrics.ece:.3f}"
    )
