"""A parity report as one HTML page: no scripts, nothing fetched, dark and light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template

from fer_edge.export.int8_savings import Worth
from fer_edge.export.parity import Parity
from fer_edge.export.thresholds import Bars
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
_GATES = {
    "default": "the default bars",
    "changed": "bars that were changed",
    "off": "off: the file was kept whatever it reached",
}


def parity_page(
    name: str,
    spec: ModelSpec,
    parities: Sequence[Parity],
    sizes: Mapping[str, int],
    worth: Worth | None = None,
) -> str:
    """The page for a file called `name`: the verdict, the file, the comparison over most faces.

    Args:
        name: of the file.
        spec: that the file carries.
        parities: the comparisons.
        sizes: bytes of what is named, for example of the file and its checkpoint.
        worth: of an int8 file: what it saves against fp32.
    """
    parts = [_verdict([failure for parity in parities for failure in parity.failures])]
    parts += [_facts(spec, sizes, worth)]
    for parity in reversed(parities):
        parts += [_heading(parity), _figures(parity), _recall(parity)]
        parts += [_disagreements(parity, spec.labels), _worst(parity)]
    return _PAGE.substitute(title=escape(f"{name} against PyTorch"), body="\n".join(parts))


def _table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[object]], kind: str = ""
) -> str:
    """A table whose every cell is escaped."""
    top = f'<h3>{escape(title)}</h3>\n<table class="{kind}">'
    lines = [_row("th", header)] if header else []
    return "\n".join([top, *lines, *(_row("td", row) for row in rows), "</table>"])


def _row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>'


def _facts(spec: ModelSpec, sizes: Mapping[str, int], worth: Worth | None) -> str:
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
        *([("beside fp32", str(worth))] if worth else []),
        ("gate", _GATES[gate]),
        ("checkpoint", f"sha256 {spec.source_sha256}"),
        ("made with", ", ".join(f"{tool} {version}" for tool, version in spec.tools.items())),
    ]
    table = _table("The file", (), rows, "facts")
    off = _paragraph("The gate was off: nothing was refused.", "bad") if gate == "off" else ""
    return f"{table}\n{off}"


def _verdict(failures: Sequence[str]) -> str:
    if not failures:
        return _paragraph("Passed every bar.", "good")
    items = "".join(f"<li>{escape(failure)}</li>" for failure in failures)
    return f"{_paragraph('Missed a bar:', 'bad')}\n<ul>{items}</ul>"


def _heading(parity: Parity) -> str:
    verdict = _paragraph("passed", "good") if parity.passed else _paragraph("FAILED", "bad")
    return f"<h2>{escape(parity.faces)}: {parity.n:,} faces</h2>\n{verdict}"


def _figures(parity: Parity) -> str:
    bars = parity.bars
    if bars is None:
        raise ValueError("a page shows what was judged: see compare.judge")
    diff = bars.max_abs_logit_diff
    pairs = parity.recall_before.items()
    lost = max((before - parity.recall_exported[label] for label, before in pairs), default=None)
    rows = [
        ("same label", f"{parity.agreement:.4%}", _least(bars, parity.n)),
        (
            "max |Δlogit|",
            f"{parity.max_abs_logit_diff:.3g}",
            "any" if diff is None else f"at most {diff:g}",
        ),
        ("max |Δprobability|", f"{parity.max_abs_probability_diff:.3g}", ""),
        ("mean |Δprobability|", f"{parity.mean_abs_probability_diff:.3g}", ""),
    ]
    if lost is not None:
        few = f", or up to {bars.few} faces by chance" if bars.few else ""
        may = _bar("may fall by", bars.accuracy_loss) + few
        rounded = "" if parity.accuracy_float is None else ", rounded"
        rows += [
            ("accuracy of the float model", _share(parity.accuracy_float), ""),
            (f"accuracy in PyTorch{rounded}", _share(parity.accuracy_reference), ""),
            ("accuracy of the file", _share(parity.accuracy_exported), may),
            ("recall falls at most by", _share(lost), _bar("at most", bars.recall_loss) + few),
        ]
    return _table("Figures", ("", "measured", "bar"), [row for row in rows if row[1]])


def _least(bars: Bars, n: int) -> str:
    """The spare faces are named where they are more than the share lets differ."""
    spare = f", or all but {bars.spare}" if bars.spare > (1 - bars.agreement) * n else ""
    return _bar("at least", bars.agreement) + spare


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _bar(words: str, value: float | None) -> str:
    return "any" if value is None else f"{words} {value:.2%}"


def _recall(parity: Parity) -> str:
    if not parity.recall_exported:
        return ""
    rows = []
    for label, after in parity.recall_exported.items():
        first = parity.recall_before[label]
        sides = [parity.recall_reference[label], after]
        if parity.recall_float:
            sides.insert(0, first)
        rows.append([label, *(f"{side:.2%}" for side in sides), f"{after - first:+.2%}"])
    before = ["float model", "PyTorch, rounded"] if parity.recall_float else ["PyTorch"]
    header = ["label", *before, "file"]
    return _table("Recall", [*header, "change"], rows)


def _disagreements(parity: Parity, labels: Sequence[str]) -> str:
    if not parity.disagreements:
        return _paragraph("Both sides give every face the same label.")
    rows = [[a, *(parity.disagreements.get(f"{a} > {b}", 0) or "" for b in labels)] for a in labels]
    return _table("Disagreements", ["PyTorch \\ file", *labels], rows)


def _worst(parity: Parity) -> str:
    diffs = (f"{diff:.3g}" for diff in parity.worst_abs_logit_diff)
    return _table(
        "Largest differences, by the face's place among those compared, counted from 0",
        ("face", "max |Δlogit|"),
        zip(parity.worst, diffs, strict=True),
    )
