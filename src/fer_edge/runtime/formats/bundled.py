"""The model that comes with the package."""

from __future__ import annotations

from pathlib import Path

import fer_edge
from fer_edge.errors import ModelError

NAMES = {"model": "default.onnx", "checkpoint": "default.safetensors"}


def bundled(kind: str) -> Path:
    """Path of the bundled "model" or "checkpoint".

    Raises:
        ModelError: this installation lacks it.
    """
    path = Path(fer_edge.__file__).parent / "models" / NAMES[kind]
    if not path.is_file():
        raise ModelError(f"{path}: the bundled {kind} is missing: reinstall fer-edge")
    return path
