"""Where the tests find the repository's files, and how they write small ones."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
EXAMPLE = ROOT / "examples" / "astronaut.png"
"""A photograph that is cropped to the face."""
PHOTO = ROOT / "examples" / "astronaut.jpg"
"""The whole photograph."""


def write_files(root: Path, contents: dict[str, str]) -> Path:
    """Write texts to paths relative to `root`; missing folders are made."""
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
