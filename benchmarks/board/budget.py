"""The allowed number of instructions of a call, by board and file: `budget.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("budget.json")
MAX_INCREASE = 0.05
"""Fraction by which a count may exceed its budget; counts repeat to 0.1 %."""

Counts = dict[str, dict[str, int]]
"""By board, then by file: instructions of one call."""


def check_budget(count: int, allowed: int | None) -> tuple[bool, str]:
    """Whether a count is within its budget, and a message."""
    message = f"{count / 1e6:.2f} M instructions"
    if allowed is None:
        return False, f"{message} without a budget: save it with --write-budget"
    more = count / allowed - 1
    message += f", {more:+.1%} of the budget"
    if more < -MAX_INCREASE:
        message += ": save it with --write-budget"
    return count - allowed <= MAX_INCREASE * allowed, message


def load(path: Path = PATH) -> dict[str, Any]:
    """`counts`, and the `versions` they were counted with; empty where there is no file."""
    if not path.is_file():
        return {"versions": {}, "counts": {}}
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def write(counts: Counts, versions: dict[str, str], path: Path = PATH) -> None:
    """Update the counts; those of boards and files that weren't run remain."""
    old: Counts = load(path)["counts"]
    boards = sorted(old.keys() | counts.keys())
    new = {board: {**old.get(board, {}), **counts.get(board, {})} for board in boards}
    document = {"versions": versions, "counts": new}
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
