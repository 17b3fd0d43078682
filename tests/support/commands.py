"""What `fer` did when a test ran it, and its tables without their frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class CommandResult:
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Fer = Callable[..., CommandResult]
"""What the fixture `fer` gives: it runs `fer` with these arguments in this process."""


def plain_text(text: str) -> str:
    """A table's text without its lines and line breaks."""
    return " ".join("".join(" " if mark in "│┃" else mark for mark in text).split())
