"""Renders parity reports as self-contained HTML: no scripts, no external resources."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from string import Template

from fer_edge.export.int8_savings import Savings
from fer_edge.export.parity import Parity
from fer_edge.export.thresholds import Thresholds
from fer_edge.spec import ModelSpec
from fer_edge.text import printable

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --good: #176b2c; --bad: #b3131d; --line: #8886 }
@media (prefers-color-scheme: dark) { :root { --good: #6fd38a; --bad: #ff8a80 } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto }
th, td { padding: .2rem .8rem; border-bottom: 1px solid var(--line); text-align: right }
th:first-child, td:first-child { text-align: left }
h3 { font-size: 1rem; margin: 0 }
.facts td { text-align: left }
.facts td:last-child { overflow-wrap: anywhere }
.good { color: var(--good) }
.bad { color: var(--bad); font-weight: 600 }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")
_NO_LIMIT = "no limit"
_INTRODUCTION = (
    "Each comparison predicts the same faces with the checkpoint in PyTorch and with the exported "
    "file. Δ is the absolute difference between the two."
)
_GATES = {
    "default": "default thresholds, enforced",
    "changed": "changed thresholds, enforced",
    "off": "off",
}


def render_html_report(
    name: str,
    spec: ModelSpec,
    parities: Sequence[Parity],
    sizes: Mapping[str, int],
    savings: Savings | None = None,
) -> str:
    """The report as HTML: the result, the file, then each comparison, the largest first.

    Args:
        name: of the exported file.
        spec: the file's spec.
        parities: the comparisons, with their thresholds checked.
        sizes: bytes of the file, the checkpoint and so on, by their name in the report.
        savings: what an int8 file saves against fp32.
    """
    parts = [_result([failure for parity in parities for failure in parity.failures])]
    parts += [_paragraph(_INTRODUCTION), _facts(spec, sizes, savings)]
    for parity in reversed(parities):
        parts += [_heading(parity), _figures(parity), _recall(parity)]
        parts += [_disagreements(parity, spec.labels), _worst(parity)]
    title = _escape(f"Parity of {name} with PyTorch")
    return _PAGE.substitute(title=title, body="\n".join(parts))


def _escape(text: object) -> str:
    return html.escape(printable(text))


def _table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[object]], style: str = ""
) -> str:
    """A table whose cells are all escaped."""
    top = f'<h3>{_escape(title)}</h3>\n<table class="{style}">'
    lines = [_row("th", header)] if header else []
    return "\n".join([top, *lines, *(_row("td", row) for row in rows), "</table>"])


def _row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _paragraph(text: str, style: str = "") -> str:
    return f'<p class="{style}">{_escape(text)}</p>'


def _result(failures: Sequence[str]) -> str:
    if not failures:
        return _paragraph("Passed: the file reaches every threshold.", "good")
    items = "".join(f"<li>{_escape(failure)}</li>" for failure in failures)
    return f"{_paragraph('Failed: the file misses these thresholds.', 'bad')}\n<ul>{items}</ul>"


def _facts(spec: ModelSpec, sizes: Mapping[str, int], savings: Savings | None) -> str:
    quantization = spec.quantization
    details = {
        "Precision": quantization.precision,
        "Stored weights": quantization.weights,
        "Quantization": quantization.method,
        "Calibration": quantization.calibration,
    }
    if quantization.int8:
        details["Layers in float"] = ", ".join(quantization.int8.float_layers) or "none"
    gate = spec.parity.gate if spec.parity else "default"
    rows = [
        ("Model", f"{spec.title} ({spec.architecture})"),
        *((f"Size of the {name}", f"{size / 1e6:.2f} MB") for name, size in sizes.items()),
        *((name, value) for name, value in details.items() if value),
        *([("Savings", str(savings))] if savings else []),
        ("Gate", _GATES[gate]),
        ("Checkpoint", f"SHA-256 {spec.source_sha256}"),
        ("Tools", ", ".join(f"{tool} {version}" for tool, version in spec.tools.items())),
    ]
    table = _table("The file", (), rows, "facts")
    warning = "The gate was off (--no-gate): the file was kept whether or not it passed."
    return f"{table}\n{_paragraph(warning, 'bad') if gate == 'off' else ''}"


def _heading(parity: Parity) -> str:
    result = _paragraph("Passed", "good") if parity.passed else _paragraph("Failed", "bad")
    name = "Golden samples" if parity.faces == "golden" else f"Split {parity.faces}"
    return f"<h2>{_escape(name)}: {parity.n:,} faces</h2>\n{result}"


def _figures(parity: Parity) -> str:
    thresholds = parity.thresholds
    if thresholds is None:
        raise ValueError("the report needs thresholds: see judge.check_thresholds")
    diff = thresholds.max_abs_logit_diff
    diff_limit = _NO_LIMIT if diff is None else f"at most {diff:g}"
    rows = [
        ("Same label", f"{parity.agreement:.4%}", _agreement_limit(thresholds, parity.n)),
        ("Max |Δlogit|", f"{parity.max_abs_logit_diff:.3g}", diff_limit),
        ("Max |Δprobability|", f"{parity.max_abs_probability_diff:.3g}", ""),
        ("Mean |Δprobability|", f"{parity.mean_abs_probability_diff:.3g}", ""),
    ]
    before = parity.baseline_recall.items()
    losses = [recall - parity.recall_exported[label] for label, recall in before]
    if losses:
        n = thresholds.max_chance_losses
        chance = f", or up to {n} faces if chance explains it" if n else ""
        quantized = "" if parity.accuracy_float is None else ", quantized model"
        accuracy_limit = _limit(thresholds.accuracy_loss, " lost") + chance
        recall_limit = _limit(thresholds.recall_loss) + chance
        rows += [
            ("Accuracy in PyTorch, float model", _percent(parity.accuracy_float), ""),
            (f"Accuracy in PyTorch{quantized}", _percent(parity.accuracy_reference), ""),
            ("Accuracy of the file", _percent(parity.accuracy_exported), accuracy_limit),
            ("Largest loss of recall", f"{max(losses):.2%}", recall_limit),
        ]
    return _table("Figures", ("", "measured", "threshold"), [row for row in rows if row[1]])


def _agreement_limit(thresholds: Thresholds, n: int) -> str:
    """The allowed mismatches are named where they are more than the fraction allows."""
    text, allowed = f"at least {thresholds.agreement:.2%}", thresholds.allowed_mismatches
    is_more = allowed > (1 - thresholds.agreement) * n
    return f"{text}, or all but {allowed} of the faces" if is_more else text


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _limit(value: float | None, what: str = "") -> str:
    return _NO_LIMIT if value is None else f"at most {value:.2%}{what}"


def _recall(parity: Parity) -> str:
    if not parity.recall_exported:
        return ""
    rows = []
    for label, after in parity.recall_exported.items():
        before = parity.baseline_recall[label]
        recalls = [parity.recall_reference[label], after]
        if parity.recall_float:
            recalls.insert(0, before)
        rows.append([label, *(f"{recall:.2%}" for recall in recalls), f"{after - before:+.2%}"])
    models = ["float model", "quantized model"] if parity.recall_float else ["PyTorch"]
    return _table("Recall", ["label", *models, "file", "change"], rows)


def _disagreements(parity: Parity, labels: Sequence[str]) -> str:
    if not parity.disagreements:
        return _paragraph("PyTorch and the file predict the same label for every face.")
    rows = [[a, *(parity.disagreements.get(f"{a} > {b}", 0) or "" for b in labels)] for a in labels]
    title = "Faces with different labels (rows: PyTorch, columns: file)"
    return _table(title, ["", *labels], rows)


def _worst(parity: Parity) -> str:
    diffs = (f"{diff:.3g}" for diff in parity.worst_abs_logit_diff)
    return _table(
        "Faces with the largest differences",
        ("face (index from 0)", "max |Δlogit|"),
        zip(parity.worst, diffs, strict=True),
    )
