"""Files with the names of npm's package onnxruntime-web."""

from __future__ import annotations

from pathlib import Path

from fer_edge.export.web_page import ENGINE_FILES
from tests.support.files import write_files


def write_engine(folder: Path) -> Path:
    """Write a package that has the names alone, which no browser can run; returns it."""
    return write_files(folder, {f"dist/{name}": "" for name in ENGINE_FILES})
