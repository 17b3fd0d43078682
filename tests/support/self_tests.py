"""Results of `fer doctor`'s child processes, made up by a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fer_edge.runtime.diagnostics import detectors, doctor, self_test
from fer_edge.runtime.diagnostics.detectors import Opened
from fer_edge.runtime.diagnostics.self_test import EngineState, Measured, describe_engine
from fer_edge.runtime.diagnostics.worker import WorkerError

RIGHT: dict[str, Any] = {
    "samples": 16, "labels_differ": 0, "max_abs_logit_diff": 1e-7, "ms": 1.0,
}  # fmt: skip


def fake_self_tests(
    monkeypatch: pytest.MonkeyPatch, result: Callable[[str, int], dict[str, Any] | str]
) -> list[str]:
    """Give a result by engine and threads: values other than `RIGHT`'s, or the reason of a failure.

    Returns:
        The log of the tests: engine and threads.
    """
    log: list[str] = []

    def run(function: object, *, backend: str, **arguments: Any) -> object:
        if function is describe_engine:
            return EngineState(backend, "1.0", ("cpu",))
        log.append(f"{backend} {arguments['threads']}")
        found = result(backend, arguments["threads"])
        if isinstance(found, str):
            raise WorkerError(found)
        return Measured(**{**RIGHT, **found})

    monkeypatch.setattr(detectors, "run_in_process", lambda *_, **__: Opened(0))
    monkeypatch.setattr(doctor, "run_in_process", run)
    monkeypatch.setattr(self_test, "run_in_process", run)
    return log
