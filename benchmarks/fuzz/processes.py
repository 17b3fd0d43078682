"""What another process does, by `/proc`."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process: int) -> float:
    """CPU time of a process and its threads so far; 0: it has ended."""
    fields = _read_fields(Path(f"/proc/{process}/stat"))
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def is_waiting_for_cpu(process: int) -> bool:
    """Whether a thread could run, or waits for the disk, rather than for something else."""
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
    except FileNotFoundError:
        return False
    states = (_read_fields(thread / "stat")[:1] for thread in threads)
    return any(state and state[0] in "RD" for state in states)


def _read_fields(path: Path) -> list[str]:
    """Fields from the state on, which follows the name in parentheses; [] where it has ended."""
    try:
        return path.read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
