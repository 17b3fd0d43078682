"""The C++ reader's check on a board fails where a label differs; instructions are per face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.board import cpp
from benchmarks.board.cpp import Run, check_board

FACES = np.zeros((9, 48, 48), np.uint8)


class FakeMachine:
    """A machine whose Python has a name."""

    def command(self, board: str) -> tuple[list[str], list[str]]:
        return [f"qemu for {board}"], ["python3"]


def test_a_label_that_differs_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "fer_reader"
    program.write_bytes(bytes(1_230_000))

    def run(*given: Any) -> Run:
        command = given[2]
        if command[-1] == "--self-test":
            return Run(["base 3: 16 golden samples"], [1])
        start = {str(program): 5_000_000, "python3": 2_000_000_000}[command[0]]
        count = len(given[3]) // (48 * 48)
        lines = [f"{i} happy happy=1" for i in range(count)]
        return Run(lines, [start + 2_000_000 * i for i in range(count)])

    monkeypatch.setattr(cpp, "run", run)
    given: Any = (FakeMachine(), "a72", program, tmp_path, FACES)
    first, second = check_board(*given, ["happy"] * 9)
    assert first[1:6] == ["C++", "1.23", "9 of 9", "5", "2.00"]
    assert second[1:6] == ["Python", "–", "8 of 8", "2000", "2.00"]
    assert "golden samples" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"a72, C\+\+: a label differs"):
        check_board(*given, [*["happy"] * 8, "sad"])
