from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from fer_edge.commands.interrupts import SIGNALS, finish_first, handle_signals
from tests.support.processes import run_python


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handle_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    signal.raise_signal(number)  # handled before it returns, unlike os.kill's


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_interrupts_and_the_next_ones_do_not(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        send(number)
    for again in SIGNALS:
        send(again)


HANGS = """
import signal, time
from fer_edge.commands.interrupts import finish_first, handle_signals

times = iter((1, 2, 3, 9))
time.monotonic = lambda: next(times)
handle_signals()
with finish_first():
    for count in range(9):
        print(count, flush=True)
        signal.raise_signal((signal.SIGHUP, signal.SIGINT, signal.SIGTERM)[count % 3])
"""


def test_a_signal_long_after_the_first_lets_the_next_end_what_hangs() -> None:
    done = run_python("-c", HANGS)
    assert (done.returncode, done.stdout.split()) == (-signal.SIGINT, ["0", "1", "2", "3", "4"])


def test_a_signal_waits_for_the_end_of_the_outer_block() -> None:
    done = []

    def work() -> None:
        with finish_first():
            with finish_first():
                send(signal.SIGHUP)
                send(signal.SIGTERM)
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]
    with finish_first():
        send(signal.SIGINT)


def test_an_error_is_not_hidden_by_a_signal() -> None:
    def fail() -> None:
        with finish_first():
            send(signal.SIGTERM)
            raise OSError("disk full")

    def go_on() -> None:
        with finish_first():
            pass

    with pytest.raises(OSError, match="disk full"):
        fail()
    with pytest.raises(KeyboardInterrupt):
        go_on()


def test_an_ignored_signal_stays_ignored() -> None:
    """As nohup starts a command."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handle_signals()
    send(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
