"""The rows of benchmarks/parity_table.py."""

from __future__ import annotations

from typing import Any

from benchmarks.parity_table import COLUMNS, row


def exported(**changes: object) -> dict[str, Any]:
    parity = {
        "n": 3589,
        "agreement": 3588 / 3589,
        "max_abs_logit_diff": 0.00123,
        "accuracy_exported": 0.6966,
        "accuracy_float": 0.7,
        "accuracy_reference": 0.69,
        "metrics": {"macro_f1": 0.6738},
        "passed": True,
    }
    return {"format": "onnx", "precision": "int8", "bytes": 2_460_000, "parity": parity | changes}


def test_a_row_has_a_cell_for_each_column() -> None:
    cells = row("base 3", exported())
    assert len(cells) == len(COLUMNS)
    assert cells[:6] == ["base 3", "onnx", "int8", "2.46 MB", "3,588 of 3,589", "0.0012"]
    assert cells[6:] == ["69.66 %", "70.00 %", "0.674", "met"]


def test_a_file_of_a_float_network_that_missed() -> None:
    cells = dict(zip(COLUMNS, row("m", exported(accuracy_float=None, passed=False)), strict=True))
    assert (cells["of the float network"], cells["thresholds"]) == ("69.00 %", "missed")
