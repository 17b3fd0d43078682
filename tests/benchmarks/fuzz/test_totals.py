from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from benchmarks.fuzz.kinds import KINDS
from benchmarks.fuzz.supervisor import Counts
from benchmarks.fuzz.totals import COLUMNS, find_faults, load_totals, make_rows, save_totals

TOTALS = {
    "images": Counts(Counter(ok=1200, named=30, hang=1), Counter({"hang: x": 1}), 3.0, 30.0, 1231),
    "openvino_models": Counts(Counter(named=5, signal=2), Counter(), 1.0, 0.5, 7),
    "arrays": Counts(),
}


def test_the_table_has_a_row_for_each_kind_with_cases_and_their_sum() -> None:
    images, openvino, every = make_rows(TOTALS)
    assert images == [
        "image files of every documented format",
        *("1,231", "1,200", "30", "0", "0", "1", "0", "30.0 s"),
    ]
    assert openvino[0] == "OpenVINO models (IR) (the engine may die)"
    assert every[1:4] == ["1,238", "1,200", "35"]
    assert {len(row) for row in (images, openvino, every)} == {len(COLUMNS)}


def test_signals_of_engines_that_may_die_are_no_faults() -> None:
    assert find_faults(TOTALS) == {"hang": 1}
    assert find_faults({"images": Counts(Counter(signal=1))}) == {"signal": 1}
    assert not KINDS["images"].may_die


def test_counts_are_read_again(tmp_path: Path) -> None:
    save_totals(tmp_path / "totals.json", 3, TOTALS)
    assert load_totals(tmp_path / "totals.json", 3) == TOTALS
    with pytest.raises(ValueError, match="seed 3, not 4"):
        load_totals(tmp_path / "totals.json", 4)
