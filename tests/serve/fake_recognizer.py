"""A recognizer that a test holds up."""

from __future__ import annotations

import threading
from typing import Any

from fer_edge.runtime.recognizer import Recognizer
from fer_edge.runtime.results import Result


class HeldRecognizer:
    """A recognizer whose calls wait until `go` is set.

    Attributes:
        waiting: calls that have begun.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer, self.spec = recognizer, recognizer.spec
        self.go = threading.Event()
        self.waiting = 0

    def __call__(self, source: Any) -> Result:
        self.waiting += 1
        assert self.go.wait(60)
        return self._recognizer(source)
