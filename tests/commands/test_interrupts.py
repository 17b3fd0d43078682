"""Signals, each test in a process of its own: one that goes wrong would end pytest."""

from __future__ import annotations

import signal

import pytest

from fer_edge.commands.interrupts import SIGNALS
from tests.support.processes import run_python

START = """
import signal, sys
from fer_edge.commands.interrupts import SIGNALS, finish_first, handle_signals

send = signal.raise_signal  # handled before it returns, unlike os.kill's
for number in SIGNALS:
    signal.signal(number, signal.SIG_DFL)
handle_signals()
"""

FIRST = """
try:
    send(int(sys.argv[1]))
except KeyboardInterrupt:
    print("interrupted")
for again in SIGNALS:
    send(again)
print("finished")
"""

HANGS = """
import time

times = iter((1, 2, 3, 9))
time.monotonic = lambda: next(times)
with finish_first():
    for count in range(9):
        print(count, flush=True)
        send((signal.SIGHUP, signal.SIGINT, signal.SIGTERM)[count % 3])
"""

NESTED = """
try:
    with finish_first():
        with finish_first():
            send(signal.SIGHUP)
            send(signal.SIGTERM)
            print("inner")
        print("outer")
except KeyboardInterrupt:
    print("interrupted")
with finish_first():
    send(signal.SIGINT)
print("finished")
"""

FAILS = """
try:
    with finish_first():
        send(signal.SIGTERM)
        raise OSError("disk full")
except OSError as error:
    print(error)
try:
    with finish_first():
        pass
except KeyboardInterrupt:
    print("interrupted")
"""

IGNORED = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
handle_signals()
send(signal.SIGHUP)
print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)
"""


def run(script: str, *arguments: object) -> tuple[int, list[str]]:
    """The exit code and the lines of a script that begins with `START`."""
    done = run_python("-c", START + script, *arguments)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_interrupts_and_the_next_ones_do_not(number: signal.Signals) -> None:
    assert run(FIRST, int(number)) == (0, ["interrupted", "finished"])


def test_a_signal_long_after_the_first_lets_the_next_end_what_hangs() -> None:
    assert run(HANGS) == (-signal.SIGINT, ["0", "1", "2", "3", "4"])


def test_a_signal_waits_for_the_end_of_the_outer_block() -> None:
    assert run(NESTED) == (0, ["inner", "outer", "interrupted", "finished"])


def test_an_error_is_not_hidden_by_a_signal() -> None:
    assert run(FAILS) == (0, ["disk full", "interrupted"])


def test_an_ignored_signal_stays_ignored() -> None:
    """As nohup starts a command."""
    assert run(IGNORED) == (0, ["True"])
