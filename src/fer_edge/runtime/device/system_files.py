"""Text of the system's files under `/proc` and `/sys`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def read_text(path: Path, max_chars: int = -1) -> str:
    """A system file's text, up to `max_chars` characters; "" where it can't be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(max_chars)
    except OSError:
        return ""


def find_values(text: str, *keys: str) -> list[str]:
    """The values of all lines `key : value` with one of the keys, without the empty ones."""
    pairs = (line.partition(":") for line in text.splitlines())
    return [value.strip() for key, _, value in pairs if key.strip() in keys and value.strip()]
