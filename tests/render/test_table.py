"""Tables and reports of texts that may come from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.text import Text

from fer_edge.commands.console import complain, show
from fer_edge.errors import SourceError
from fer_edge.export.html_report import render_html_report
from fer_edge.render.reports import report_tables
from fer_edge.render.spec import spec_table
from fer_edge.render.table import Table
from fer_edge.spec import ModelSpec
from fer_edge.train.evaluation.metrics import Report

HARMFUL = "[red]x[/red] :smile:\x1b[2J\x9b1m\u202e\nnext"
SHOWN = r"[red]x[/red] :smile:\x1b[2J\x9b1m\u202e\nnext"


def _report(label: str) -> list[Any]:
    truth = np.array([0, 1, 1])
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1]], np.float32)
    return list(report_tables(Report(label, "test", (label, "b"), truth, probabilities)))


def _table(text: str) -> list[Any]:
    table = Table(text, "b", title=text)
    table.add_row(text, Text(text, "red"))
    return [table, text, Text(text, "red")]


def _spec(spec: ModelSpec) -> list[Any]:
    labels, tools = (HARMFUL, *spec.labels[1:]), {HARMFUL: HARMFUL}
    texts = {"architecture": HARMFUL, "intended_use": HARMFUL}
    return [spec_table(replace(spec, labels=labels, tools=tools, **texts), HARMFUL)]


PARTS: dict[str, Callable[[ModelSpec], list[Any]]] = {
    "a table": lambda _: _table(HARMFUL),
    "a spec": _spec,
    "a report": lambda _: _report(HARMFUL),
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_tables_show_names_and_labels_as_they_are(
    parts: Callable[[ModelSpec], list[Any]], spec: ModelSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    show(parts(spec))
    printed = capsys.readouterr().out
    assert all(one.isprintable() or one == "\n" for one in printed)
    shown = "".join(one for one in printed if one not in "\n │┃")
    assert r"[red]x[/red]:smile:\x1b[2J\x9b1m\u202e" in shown


def test_an_error_is_printed_as_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain(SourceError(f"{HARMFUL}: not an image"))
    complain(RuntimeError("first\n  second \x1b[2J"))
    complain(OSError(2, "No such file", HARMFUL))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == f"SourceError: {SHOWN}: not an image"
    assert second == r"RuntimeError: first second \x1b[2J"
    assert SHOWN in third


def test_an_html_report_escapes_markup_and_control_characters(spec: ModelSpec) -> None:
    label = "<script>\x1b\u202e</script>"
    text = render_html_report(label, replace(spec, architecture=label), [], {})
    assert r"&lt;script&gt;\x1b\u202e&lt;/script&gt;" in text
    assert "<script" not in text
    assert "\x1b" not in text
