"""How long work of the library reports its progress."""

from collections.abc import Callable

ProgressCallback = Callable[[str, int, int], None]
"""Called as `callback(stage, done, total)`: a stage's name, and how many of its steps are done."""


def ignore_progress(stage: str, done: int, total: int) -> None:
    """Report nothing."""
