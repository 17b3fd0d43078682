from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from fer_edge.export.html_report import parity_page
from fer_edge.export.int8_savings import Worth
from fer_edge.export.judge import judge
from fer_edge.export.parity import Parity, measure
from fer_edge.export.thresholds import BARS, Bars
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
    return parity_page("m.onnx", spec, parities, SIZES)


def test_the_figures_are_there(spec: ModelSpec) -> None:
    spec = replace(
        spec,
        quantization=Quantization("int8", "int8", method="static", calibration="500 of train"),
        tools={"onnx": "1.23"},
    )
    golden = judge(measure(LOGITS, LOGITS, spec, "golden"), BARS["int8"])
    test = judge(measure(LOGITS, OTHER, spec, "test", TRUTH), replace(BARS["int8"], few=0))
    page = page_of(spec, golden, test)
    reader = Reader(page)
    assert reader.open == []
    for row in (
        ["architecture", "fer-mobilenet_v3_small (mobilenet_v3_small)"],
        ["size of the file", "2.50 MB"],
        ["size of the checkpoint", "9.10 MB"],
        ["precision", "int8"],
        ["quantized by", "static"],
        ["calibrated with", "500 of train"],
        ["made with", "onnx 1.23"],
        ["same label", "100.0000%", "at least 97.00%"],
        ["same label", "98.0000%", "at least 97.00%"],
        ["accuracy in PyTorch", "100.00%", ""],
        ["accuracy of the file", "98.00%", "may fall by 0.50%"],
        ["7", f"{test.max_abs_logit_diff:.3g}"],
    ):
        assert row in reader.rows, row
    label = spec.labels[TRUTH[7]]
    after = test.recall_exported[label]
    assert [label, "100.00%", f"{after:.2%}", f"{after - 1:+.2%}"] in reader.rows
    matrix = reader.rows[reader.rows.index(["PyTorch \\ file", *spec.labels]) + 1 :][:7]
    found = {
        f"{row[0]} > {b}": int(cell)
        for row in matrix
        for b, cell in zip(spec.labels, row[1:], strict=True)
        if cell
    }
    assert found == test.disagreements
    assert page.count(">passed<") == page.count(">FAILED<") == 1
    assert page.index(">Missed a bar:<") < page.index("2.50 MB") < page.index("test: 50 faces")
    assert page.index("test: 50 faces") < page.index("golden: 50 faces")
    assert all(page.count(failure) == 1 for failure in test.failures)


def test_one_face_of_a_few_that_may_differ_is_in_the_bar(spec: ModelSpec) -> None:
    few = judge(measure(LOGITS[:16], OTHER[:16], spec, "golden"), BARS["int8"])
    page = page_of(spec, few)
    assert ["same label", "93.7500%", "at least 97.00%, or all but 1"] in Reader(page).rows
    assert ">Passed every bar.<" in page


def test_what_int8_saves_is_on_the_page(spec: ModelSpec) -> None:
    parity = judge(measure(LOGITS, LOGITS, spec, "test"), BARS["int8"])
    spec = replace(spec, parity=parity.summary())
    worth = Worth(2_500_000, 4_800_000, 1.0, 0.8)
    rows = Reader(parity_page("m.onnx", spec, [parity], SIZES, worth)).rows
    assert ["beside fp32", str(worth)] in rows
    assert "int8 isn't faster here (0.80 times as fast)" in str(worth)


def test_the_float_model_is_shown_where_there_is_one(spec: ModelSpec) -> None:
    parity = judge(measure(OTHER, OTHER, spec, "test", TRUTH, LOGITS), BARS["int8-qat"])
    reader = Reader(page_of(spec, parity))
    assert ["accuracy of the float model", "100.00%", ""] in reader.rows
    assert ["label", "float model", "PyTorch, rounded", "file", "change"] in reader.rows
    label = spec.labels[TRUTH[7]]
    after = f"{parity.recall_exported[label]:.2%}"
    change = f"{parity.recall_exported[label] - 1:+.2%}"
    assert [label, "100.00%", after, after, change] in reader.rows


def test_nothing_from_outside_is_markup_and_nothing_is_fetched(spec: ModelSpec) -> None:
    evil = "<script src=//x>&\"'"
    spec = replace(
        spec,
        name="a <script>",
        labels=(evil, *spec.labels[1:]),
        tools={evil: evil},
        quantization=Quantization("int8", "int8", method=evil),
    )
    parity = judge(measure(LOGITS, OTHER, spec, evil, TRUTH), Bars(1.0, recall_loss=0.0))
    page = parity_page(evil, replace(spec, parity=parity.summary()), [parity], {evil: 1})
    reader = Reader(page)
    assert reader.open == []
    assert not reader.tags & {"script", "link", "img", "iframe", "object"}
    assert reader.attributes <= {"lang", "charset", "name", "content", "class"}
    assert "url(" not in page
    assert "@import" not in page
    assert [f"size of the {evil}", "0.00 MB"] in reader.rows
    assert any(row[0] == evil for row in reader.rows)


def test_a_gate_that_was_off_is_said(spec: ModelSpec) -> None:
    parity = judge(measure(LOGITS, LOGITS * np.nan, spec, "test", TRUTH), BARS["fp32"])
    said = "The gate was off: nothing was refused."
    page = page_of(spec, parity, gate="off")
    assert said in page
    assert ">FAILED<" in page
    assert said not in page_of(spec, parity)
