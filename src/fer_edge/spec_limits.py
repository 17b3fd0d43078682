"""The limits of a spec's values: a damaged or hostile one costs neither memory nor patience."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized

from fer_edge.text import shorten

MAX_LABELS, MAX_LABEL = 1000, 255
"""Largest number of labels, and of characters in one."""
MAX_TEXT, MAX_ENTRIES = 5000, 256
"""Largest number of characters in any other text, and of entries in any other list."""
TEMPERATURES = (1e-3, 1e3)
"""Smallest and largest softmax temperature; fitted ones lie in [0.1, 10]. Beyond, probabilities
lose their meaning: all are equal, or one is exactly 1."""
MAX_FLOAT32 = 3.4028234e38


def check_labels(labels: Sequence[str]) -> None:
    """Check the names of a model's classes.

    Raises:
        ValueError: they are too few, too many, too long, empty, or two are equal.
    """
    if not all(labels):
        raise ValueError("a label must not be empty")
    if len(labels) > MAX_LABELS:
        raise ValueError(f"{len(labels):,} labels are too many: at most {MAX_LABELS:,}")
    if longest := [label for label in labels if len(label) > MAX_LABEL]:
        raise ValueError(f"the label {longest[0][:20]!r}... is over {MAX_LABEL} characters long")
    if len(labels) < 2 or len(set(labels)) != len(labels):
        shown = shorten(", ".join(labels), 100)
        raise ValueError(f"labels must be two or more different names, not {shown}")


def check_name(name: str) -> None:
    """Check that a model's name can begin a file's name. Raises `ValueError`."""
    if not name or any(mark in name for mark in "/\\\0"):
        raise ValueError(f"name must be a plain name, not {name!r}")


def check_texts(**texts: str) -> None:
    """Check the number of characters of texts, by name. Raises `ValueError`."""
    for name, text in texts.items():
        if len(text) > MAX_TEXT:
            raise ValueError(f"{name} is over {MAX_TEXT:,} characters long")


def check_entries(**lists: Sized) -> None:
    """Check the number of entries of lists, by name. Raises `ValueError`."""
    for name, entries in lists.items():
        if len(entries) > MAX_ENTRIES:
            raise ValueError(f"{name} has {len(entries):,} entries: at most {MAX_ENTRIES}")


def check_logits(logits: Iterable[float]) -> None:
    """Check that float32 holds each logit. Raises `ValueError`."""
    if not all(abs(logit) <= MAX_FLOAT32 for logit in logits):
        raise ValueError("a logit isn't a finite float32")


def check_count(n: int) -> None:
    """Check a number of faces. Raises `ValueError`."""
    if n < 0:
        raise ValueError(f"n must be 0 or more, not {n}")


def check_fraction(name: str, value: float) -> None:
    """Check a number in [0, 1]. Raises `ValueError`."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], not {value}")


def check_temperature(temperature: float) -> None:
    """Check a softmax temperature. Raises `ValueError`."""
    low, high = TEMPERATURES
    if not low <= temperature <= high:
        raise ValueError(f"temperature must be in [{low:g}, {high:g}], not {temperature}")
