from __future__ import annotations

import logging
import sys

import pytest

from fer_edge.commands.training_output import show_training


@pytest.mark.parametrize("is_terminal", [False, True])
def test_log_and_progress_are_shown_and_the_logger_restored(
    is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    monkeypatch.setenv("TERM", "xterm")
    logger = logging.getLogger("fer_edge")
    before = (logger.level, list(logger.handlers))
    with show_training() as on_progress:
        on_progress("calibration", 3, 7)
        logging.getLogger("fer_edge.train.fit").info("epoch 1/2  [loss] %s", 1.5)
        on_progress("epoch 1/2", 1, 4)
    output = capsys.readouterr()
    assert output.out == ""
    assert "epoch 1/2  [loss] 1.5\n" in output.err
    assert ("1/4" in output.err) == is_terminal
    assert (logger.level, list(logger.handlers)) == before
