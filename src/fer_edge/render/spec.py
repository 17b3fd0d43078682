"""The spec inside a model as a table."""

from __future__ import annotations

from rich.text import Text

from fer_edge.render.table import Table
from fer_edge.spec import Metrics, ModelSpec, ParitySummary
from fer_edge.text import printable
from fer_edge.train.evaluation.metrics import wilson_interval


def spec_table(spec: ModelSpec, where: str) -> Table:
    """The spec inside a model as a table."""
    table = Table("", "", title=printable(where), show_header=False, title_justify="left")
    face, quantization = spec.input, spec.quantization
    counts = ", ".join(f"{name} {count:,}" for name, count in spec.data.faces.items())
    unlabelled = ", ".join(f"{name} {count:,}" for name, count in spec.data.unlabelled.items())
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
        "precision": f"{quantization.precision}, weights {quantization.weights}"
        + (f", {quantization.method}" if quantization.method else ""),
        "trained on": f"{spec.data.name}: {counts}",
        "data licence": spec.data.licence,
        **({"teachers trained on": "; ".join(spec.data.teachers)} if spec.data.teachers else {}),
        **({"unlabelled faces": unlabelled} if unlabelled else {}),
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
    """The parity result in one line; red where it is no proof."""
    gate = {
        "default": "",
        "changed": " changed thresholds",
        "off": ", gate off: no threshold was enforced",
    }[parity.gate]
    diff = parity.max_abs_logit_diff
    text = (
        f"{parity.agreement:.2%} of {parity.n} {parity.faces} faces, max |Δlogit| "
        f"{'not a number' if diff is None else f'{diff:.2g}'}, "
        f"{'passed' if parity.passed else 'FAILED'}{gate}"
    )
    return Text(text, style="" if parity.passed and parity.gate != "off" else "red")


def _metrics(metrics: Metrics) -> str:
    low, high = wilson_interval(metrics.accuracy, metrics.n)
    return (
        f"accuracy {metrics.accuracy:.2%} of {metrics.n} ({low:.1%} to {high:.1%}), balanced "
        f"{metrics.balanced_accuracy:.2%}, macro F1 {metrics.macro_f1:.3f}, "
        f"calibration error {metrics.ece:.3f}"
    )
