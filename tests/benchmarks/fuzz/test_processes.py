from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.fuzz.processes import cpu_seconds, is_waiting_for_cpu

from tests.support.processes import start_process


def test_a_process_that_works_and_one_that_waits() -> None:
    code = "print(flush=True)\nwhile True: {}"
    for action, works in {"pass": True, "input()": False}.items():
        command = [sys.executable, "-c", code.format(action)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with start_process(*command, **pipes) as process:
            process.stdout.readline()
            begun = cpu_seconds(process.pid)
            if works:
                while cpu_seconds(process.pid) < begun + 0.05:
                    time.sleep(0.01)
            else:
                while is_waiting_for_cpu(process.pid):
                    time.sleep(0.01)
            assert is_waiting_for_cpu(process.pid) == works


def test_a_process_that_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert cpu_seconds(process.pid) == 0
    assert not is_waiting_for_cpu(process.pid)
