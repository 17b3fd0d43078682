"""The tables of benchmarks/model_card.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.model_card import Shipped, headline, per_label, rewrite, summary

from fer_edge.train.evaluation.metrics import Report

SPLITS = (
    "PublicTest (validation)",
    "PrivateTest (test)",
    "PrivateTest without near copies of train",
)


def shipped(title: str, right: int) -> Shipped:
    """A model of two labels that predicts `right` of ten faces, always at 0.9."""
    truth = np.arange(10) % 2
    predicted = np.where(np.arange(10) < right, truth, 1 - truth)
    probabilities = np.where(np.eye(2)[predicted] > 0, 0.9, 0.1).astype(np.float32)
    report = Report(title, "test", ("happy", "sad"), truth.astype(np.int64), probabilities)
    return Shipped(title, dict.fromkeys(SPLITS, report))


def cells(table: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in table.splitlines()]


def test_one_row_for_each_model_and_split() -> None:
    models = [shipped("base 3", 8), shipped("small 1", 6)]
    head = cells(headline(models))
    assert [row[:3] for row in head[2:]] == [
        ["base 3", "80.00%", "80.00%"],
        ["small 1", "60.00%", "60.00%"],
    ]
    assert head[2][-1] == "0.100"
    rows = cells(summary(models))[2:]
    assert [row[:3] for row in rows] == [[m.title, s, "10"] for m in models for s in SPLITS]
    assert all(len(row) == len(rows[0]) for row in rows)


def test_each_label_has_its_most_frequent_error() -> None:
    rows = cells(per_label([shipped("base 3", 8)]))[2:]
    assert [(row[1], row[3], row[-1]) for row in rows] == [
        ("happy", "80.0%", "sad (1)"),
        ("sad", "80.0%", "happy (1)"),
    ]


def test_only_the_named_block_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "card.md"
    path.write_text("a\n<!-- figures -->\nold\n<!-- end -->\n<!-- labels -->\nx\n<!-- end -->\n")
    rewrite(path, {"figures": "| 5% |"})
    assert path.read_text() == (
        "a\n<!-- figures -->\n| 5 % |\n<!-- end -->\n<!-- labels -->\nx\n<!-- end -->\n"
    )
    with pytest.raises(SystemExit, match="expected one block '<!-- people -->', found 0"):
        rewrite(path, {"people": ""})
