from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from fer_edge.export.html_report import render_html_report
from fer_edge.export.int8_savings import Savings
from fer_edge.export.judge import check_thresholds
from fer_edge.export.parity import Parity, measure
from fer_edge.export.thresholds import DEFAULT_THRESHOLDS, Thresholds
from fer_edge.spec import GateState, ModelSpec, Quantization

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 7)).astype(np.float32)
TRUTH = LOGITS.argmax(1).astype(np.int64)
OTHER = LOGITS.copy()
OTHER[7, (TRUTH[7] + 1) % 7] = 99
SIZES = {"file": 2_500_000, "checkpoint": 9_100_000}


class Reader(HTMLParser):
    """Tags that stay open, attributes, and the text of every table row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def page_of(spec: ModelSpec, *parities: Parity, gate: GateState = "default") -> str:
    spec = replace(spec, parity=parities[-1].summary(gate))
    return render_html_report("m.onnx", spec, parities, SIZES)


def test_the_figures_are_there(spec: ModelSpec) -> None:
    spec = replace(
        spec,
        quantization=Quantization("int8", "int8", method="static", calibration="500 of train"),
        tools={"onnx": "1.23"},
    )
    golden = check_thresholds(measure(LOGITS, LOGITS, spec, "golden"), DEFAULT_THRESHOLDS["int8"])
    test = check_thresholds(
        measure(LOGITS, OTHER, spec, "test", TRUTH),
        replace(DEFAULT_THRESHOLDS["int8"], max_chance_losses=0),
    )
    page = page_of(spec, golden, test)
    reader = Reader(page)
    assert reader.open == []
    for row in (
        ["Model", "fer-mobilenet_v3_small (mobilenet_v3_small)"],
        ["Size of the file", "2.50 MB"],
        ["Size of the checkpoint", "9.10 MB"],
        ["Precision", "int8"],
        ["Quantization", "static"],
        ["Calibration", "500 of train"],
        ["Tools", "onnx 1.23"],
        ["Same label", "100.0000%", "at least 97.00%"],
        ["Same label", "98.0000%", "at least 97.00%"],
        ["Accuracy in PyTorch", "100.00%", ""],
        ["Accuracy of the file", "98.00%", "at most 0.50% lost"],
        ["7", f"{test.max_abs_logit_diff:.3g}"],
    ):
        assert row in reader.rows, row
    label = spec.labels[TRUTH[7]]
    after = test.recall_exported[label]
    assert [label, "100.00%", f"{after:.2%}", f"{after - 1:+.2%}"] in reader.rows
    matrix = reader.rows[reader.rows.index(["", *spec.labels]) + 1 :][:7]
    found = {
        f"{row[0]} > {b}": int(cell)
        for row in matrix
        for b, cell in zip(spec.labels, row[1:], strict=True)
        if cell
    }
    assert found == test.disagreements
    assert page.count(">Passed<") == page.count(">Failed<") == 1
    assert page.index(">Failed: ") < page.index("2.50 MB") < page.index("Split test: 50 faces")
    assert page.index("Split test: 50 faces") < page.index("Golden samples: 50 faces")
    assert all(page.count(failure) == 1 for failure in test.failures)


def test_allowed_mismatches_are_in_the_threshold(spec: ModelSpec) -> None:
    few = check_thresholds(
        measure(LOGITS[:16], OTHER[:16], spec, "golden"), DEFAULT_THRESHOLDS["int8"]
    )
    page = page_of(spec, few)
    assert ["Same label", "93.7500%", "at least 97.00%, or all but 1 of the faces"] in Reader(
        page
    ).rows
    assert ">Passed: the file reaches every threshold.<" in page


def test_savings_of_int8_are_shown(spec: ModelSpec) -> None:
    parity = check_thresholds(measure(LOGITS, LOGITS, spec, "test"), DEFAULT_THRESHOLDS["int8"])
    spec = replace(spec, parity=parity.summary())
    savings = Savings(2_500_000, 4_800_000, 1.0, 0.8)
    rows = Reader(render_html_report("m.onnx", spec, [parity], SIZES, savings)).rows
    assert ["Savings", str(savings)] in rows
    assert "not faster than fp32 (0.80 times as fast) on this machine" in str(savings)


def test_the_float_model_is_shown_where_there_is_one(spec: ModelSpec) -> None:
    parity = check_thresholds(
        measure(OTHER, OTHER, spec, "test", TRUTH, LOGITS), DEFAULT_THRESHOLDS["int8-qat"]
    )
    reader = Reader(page_of(spec, parity))
    assert ["Accuracy in PyTorch, float model", "100.00%", ""] in reader.rows
    assert ["label", "float model", "quantized model", "file", "change"] in reader.rows
    label = spec.labels[TRUTH[7]]
    after = f"{parity.recall_exported[label]:.2%}"
    change = f"{parity.recall_exported[label] - 1:+.2%}"
    assert [label, "100.00%", after, after, change] in reader.rows


def test_values_are_escaped_and_nothing_is_fetched(spec: ModelSpec) -> None:
    evil = "<script src=//x>&\"'"
    spec = replace(
        spec,
        name="a <script>",
        labels=(evil, *spec.labels[1:]),
        tools={evil: evil},
        quantization=Quantization("int8", "int8", method=evil),
    )
    parity = check_thresholds(
        measure(LOGITS, OTHER, spec, evil, TRUTH), Thresholds(1.0, recall_loss=0.0)
    )
    page = render_html_report(evil, replace(spec, parity=parity.summary()), [parity], {evil: 1})
    reader = Reader(page)
    assert reader.open == []
    assert not reader.tags & {"script", "link", "img", "iframe", "object"}
    assert reader.attributes <= {"lang", "charset", "name", "content", "class"}
    assert "url(" not in page
    assert "@import" not in page
    assert [f"Size of the {evil}", "0.00 MB"] in reader.rows
    assert any(row[0] == evil for row in reader.rows)


def test_a_gate_that_was_off_is_shown(spec: ModelSpec) -> None:
    parity = check_thresholds(
        measure(LOGITS, LOGITS * np.nan, spec, "test", TRUTH), DEFAULT_THRESHOLDS["fp32"]
    )
    warning = "The gate was off (--no-gate): the file was kept whether or not it passed."
    page = page_of(spec, parity, gate="off")
    assert warning in page
    assert ">Failed<" in page
    assert warning not in page_of(spec, parity)
