from __future__ import annotations

import shlex
import signal
import subprocess
import sys

import pytest

from tests.support.files import ROOT
from tests.support.processes import run_process, run_python, start_process

INTERRUPTED = """
import signal, subprocess, sys
from tests.support.processes import restore_interrupts

restore_interrupts()
child = subprocess.Popen(["sleep", "60"])
child.send_signal(signal.SIGINT)
sys.exit(child.wait() != -signal.SIGINT)
"""


def test_children_can_be_interrupted_in_a_background_job() -> None:
    command = f"trap '' INT; exec {shlex.join([sys.executable, '-c', INTERRUPTED])}"
    done = run_process("sh", "-c", command, cwd=ROOT, timeout=30)
    assert done.returncode == 0, done.stderr


def test_a_child_has_a_time_limit() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_python("-c", "import time; time.sleep(60)", timeout=0.2)


def test_a_started_child_ends_with_its_block() -> None:
    with start_process("sleep", "60") as process:
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL  # it was killed, it didn't end by itself
