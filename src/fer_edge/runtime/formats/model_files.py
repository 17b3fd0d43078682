"""Which files one exported model consists of."""

from __future__ import annotations

from pathlib import Path

COMPANIONS: dict[str, tuple[str, ...]] = {".xml": (".bin",), ".param": (".bin", ".json")}
"""By the suffix of the file that the engine is given: of those that belong beside it."""


def size(path: Path) -> int:
    """Bytes of the file and of what belongs to it, where it is there."""
    suffixes = (path.suffix, *COMPANIONS.get(path.suffix, ()))
    files = [path.with_suffix(suffix) for suffix in suffixes]
    return sum(file.stat().st_size for file in files if file.is_file())


def described_in(path: Path) -> Path:
    """The file at whose end the model's spec lies."""
    return path.with_suffix(".json") if path.suffix == ".param" else path
