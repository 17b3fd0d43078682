"""A parity report as one HTML page: no scripts, nothing fetched, dark and light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template

from fer_edge.export.parity import Parity
from fer_edge.spec import ModelSpec

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
caption { text-align: left; font-weight: 600 }
.facts td { text-align: left; overflow-wrap: anywhere }
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
_GATES = {
    "default": "the default bars",
    "changed": "bars that were changed",
    "off": "off: the file was kept whatever it reached",
}


def parity_page(
    name: str, spec: ModelSpec, parities: Sequence[Parity], sizes: Mapping[str, int]
) -> str:
    """The page for a file called `name`.

    Args:
        name: of the file.
        spec: that the file carries.
        parities: the comparisons.
        sizes: bytes of what is named, for example of the file and its checkpoint.
    """
    parts = [_facts(spec, sizes)]
    for parity in parities:
        parts += [_verdict(parity), _figures(parity), _recall(parity)]
        parts += [_disagreements(parity, spec.labels), _worst(parity)]
    return _PAGE.substitute(title=escape(f"{name} against PyTorch"), body="\n".join(parts))


def _table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[object]], kind: str = ""
) -> str:
    """A table whose every cell is escaped."""
    top = f'<table class="{kind}"><caption>{escape(title)}</caption>'
    lines = [_row("th", header)] if header else []
    return "\n".join([top, *lines, *(_row("td", row) for row in rows), "</table>"])


def _row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>'


def _facts(spec: ModelSpec, sizes: Mapping[str, int]) -> str:
    quantization = spec.quantization
    made = {
        "precision": quantization.precision,
        "weights": quantization.weights,
        "quantized by": quantization.method,
        "calibrated with": quantization.calibration,
    }
    if quantization.int8:
        made["layers in float"] = ", ".join(quantization.int8.float_layers) or "none"
    gate = spec.parity.gate if spec.parity else "default"
    rows = [
        ("architecture", f"{spec.name} ({spec.architecture})"),
        *((f"size of the {what}", f"{size / 1e6:.2f} MB") for what, size in sizes.items()),
        *((name, value) for name, value in made.items() if value),
        ("gate", _GATES[gate]),
        ("checkpoint", f"sha256 {spec.source_sha256}"),
        ("made with", ", ".join(f"{tool} {version}" for tool, version in spec.tools.items())),
    ]
    table = _table("The file", (), rows, "facts")
    off = _paragraph("The gate was off: nothing was refused.", "bad") if gate == "off" else ""
    return f"{table}\n{off}"


def _verdict(parity: Parity) -> str:
    verdict = _paragraph("passed", "good") if parity.passed else _paragraph("FAILED", "bad")
    failures = "".join(f"<li>{escape(failure)}</li>" for failure in parity.failures)
    heading = f"<h2>{escape(parity.faces)}: {parity.n:,} faces</h2>"
    return f"{heading}\n{verdict}\n" + (f"<ul>{failures}</ul>" if failures else "")


def _figures(parity: Parity) -> str:
    bars = parity.bars
    if bars is None:
        raise ValueError("a page shows what was judged: see compare.judge")
    diff = bars.max_abs_logit_diff
    pairs = parity.recall_before.items()
    lost = max((before - parity.recall_exported[label] for label, before in pairs), default=None)
    rows = [
        ("same label", f"{parity.agreement:.4%}", _bar("at least", bars.agreement)),
        (
            "max |Δlogit|",
            f"{parity.max_abs_logit_diff:.3g}",
            "any" if diff is None else f"at most {diff:g}",
        ),
        ("max |Δprobability|", f"{parity.max_abs_probability_diff:.3g}", ""),
        ("mean |Δprobability|", f"{parity.mean_abs_probability_diff:.3g}", ""),
    ]
    if lost is not None:
        may = _bar("may fall by", bars.accuracy_loss)
        rows += [
            ("accuracy of the float model", _share(parity.accuracy_float), ""),
            ("accuracy of the checkpoint", _share(parity.accuracy_reference), ""),
            ("accuracy of the file", _share(parity.accuracy_exported), may),
            ("recall falls at most by", _share(lost), _bar("at most", bars.recall_loss)),
        ]
    return _table("Figures", ("", "measured", "bar"), [row for row in rows if row[1]])


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _bar(words: str, value: float | None) -> str:
    return "any" if value is None else f"{words} {value:.2%}"


def _recall(parity: Parity) -> str:
    if not parity.recall_exported:
        return ""
    rows = []
    for label, after in parity.recall_exported.items():
        before = parity.recall_before[label]
        sides = [parity.recall_reference[label], after]
        if parity.recall_float:
            sides.insert(0, before)
        rows.append([label, *(f"{side:.2%}" for side in sides), f"{after - before:+.2%}"])
    header = ["label", *(["float model"] if parity.recall_float else []), "checkpoint", "file"]
    return _table("Recall", [*header, "change"], rows)


def _disagreements(parity: Parity, labels: Sequence[str]) -> str:
    if not parity.disagreements:
        return _paragraph("Both sides give every face the same label.")
    rows = [[a, *(parity.disagreements.get(f"{a} > {b}", 0) or "" for b in labels)] for a in labels]
    return _table("Disagreements", ["checkpoint \\ file", *labels], rows)


def _worst(parity: Parity) -> str:
    diffs = (f"{diff:.3g}" for diff in parity.worst_abs_logit_diff)
    return _table(
        "Largest differences, by the face's place among those compared, counted from 0",
        ("face", "max |Δlogit|"),
        zip(parity.worst, diffs, strict=True),
    )
