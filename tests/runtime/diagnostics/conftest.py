from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.support.processes import Interpreter


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Interpreter:
    """Make child processes run these shell commands first; $5 is the function, $6 its arguments."""

    def put(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(
            f'#!/bin/sh\nulimit -c 0\n{script}\nexec {shlex.quote(sys.executable)} "$@"\n'
        )
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return put
