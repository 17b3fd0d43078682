"""How many instructions a call may take: `budget.json`, by board and file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("budget.json")
MOST = 0.05
"""Share by which a count may be above its budget: counts repeat to 0.1 %."""

Counts = dict[str, dict[str, int]]
"""By board, then by file: instructions of one call."""


def verdict(count: int, allowed: int | None) -> tuple[bool, str]:
    """Whether a count is within its budget, and a sentence."""
    said = f"{count / 1e6:.2f} M instructions"
    if allowed is None:
        return False, f"{said}, and no budget: --write-budget makes one"
    more = count / allowed - 1
    said += f", {more:+.1%} of the budget"
    if more < -MOST:
        said += ": --write-budget keeps the gain"
    return count - allowed <= MOST * allowed, said


def load(path: Path = PATH) -> dict[str, Any]:
    """`counts`, and the `versions` they were counted with; empty before the first was written."""
    if not path.is_file():
        return {"versions": {}, "counts": {}}
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def write(counts: Counts, versions: dict[str, str], path: Path = PATH) -> None:
    """Put counts in; those of boards and files that weren't run stay."""
    old: Counts = load(path)["counts"]
    boards = sorted(old.keys() | counts.keys())
    new = {board: {**old.get(board, {}), **counts.get(board, {})} for board in boards}
    document = {"versions": versions, "counts": new}
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
