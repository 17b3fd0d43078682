"""Runs commands in turn and measures each, for `benchmarks/peers/run.py`, in a small process.

It is a process of its own because the system counts a parent's memory for its children, until they
start another program (see `benchmarks/cold_start.py`).
Standard input: {"runs": N, "commands": {name: [argument, ...]}}. Standard output: by name a list of
[seconds, megabytes, last word printed], or an error message.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time


def run(command: list[str]) -> list[float | str]:
    """Seconds from start to end, peak memory in megabytes, the last word printed."""
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        words = out.read().decode(errors="replace").split() or ["nothing"]
    if process.returncode:
        raise ChildProcessError(f"ended with {process.returncode}")
    return [seconds, usage.ru_maxrss / 1024, words[-1]]


if __name__ == "__main__":
    request = json.load(sys.stdin)
    figures: dict[str, list[list[float | str]] | str] = {name: [] for name in request["commands"]}
    for turn in range(request["runs"] + 1):
        for name, command in request["commands"].items():
            rows = figures[name]
            if isinstance(rows, str):
                continue
            try:
                figure = run(command)
            except OSError as error:
                figures[name] = str(error)
                continue
            if turn:  # the first one only warms the disk's cache
                rows.append(figure)
    print(json.dumps(figures))
