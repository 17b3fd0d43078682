"""A kind of input that fails in every way."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from benchmarks.fuzz.judge import CommandOutput

from fer_edge.errors import DataError


def _raise(error: Exception) -> None:
    raise error


def _leave_file() -> None:
    Path(tempfile.gettempdir(), "left").write_text("left")


def _allocate() -> None:
    np.ones(500 << 20, np.uint8)


WAYS: dict[str, tuple[str, Callable[[], object]]] = {
    "nothing": ("ok", lambda: None),
    "a named error": ("named", lambda: _raise(DataError("x.csv: row 2 has no label"))),
    "a system's error": ("named", lambda: Path("/nowhere/x").read_text()),
    "a command's named error": (
        "named",
        lambda: CommandOutput(1, "", "DataError: x\n", ("DataError: x\n",)),
    ),
    "a bug": ("unexpected", lambda: _raise(ValueError("what"))),
    "several lines": ("unexpected", lambda: _raise(OSError(5, "one\ntwo", "x"))),
    "no message": ("unexpected", lambda: _raise(DataError(""))),
    "an error without a file": ("unexpected", lambda: _raise(OSError("what"))),
    "a warning": ("unexpected", lambda: warnings.warn("look", stacklevel=1)),
    "a file left": ("unexpected", _leave_file),
    "a socket": ("unexpected", lambda: socket.socket(socket.AF_INET).close()),
    "NaN": ("unexpected", lambda: CommandOutput(0, "a.png,nan\n", "")),
    "an escape sequence": ("unexpected", lambda: CommandOutput(0, "\x1b[31mred\n", "")),
    "a silent failure": ("unexpected", lambda: CommandOutput(1, "", "")),
    "a wrong exit code": ("unexpected", lambda: CommandOutput(3, "", "Error\n")),
    "a signal": ("signal", os.abort),
    "an exit": ("signal", lambda: os._exit(3)),
    "a hang": ("hang", lambda: time.sleep(60)),
    "memory": ("memory", _allocate),
    "no memory": ("memory", lambda: np.ones(sys.maxsize // 2, np.uint8)),
}
"""By name: the right outcome, and what leads to it."""


class Target:
    """Each case goes one of the ways."""

    def __init__(self, _: Path) -> None:
        pass

    def write(self, random: Random, folder: Path) -> str:
        way = random.choice(list(WAYS))
        (folder / "input").write_text(way)
        return way

    def run(self, case: str) -> object:
        return WAYS[case][1]()
