"""Which files a model consists of, and where the bundled ones are."""

from __future__ import annotations

from pathlib import Path

from fer_edge.errors import ModelError

FOLDER = Path(__file__).parents[2] / "models"
BUNDLED = {"model": "default.onnx", "checkpoint": "default.safetensors"}
COMPANIONS: dict[str, tuple[str, ...]] = {".xml": (".bin",), ".param": (".bin", ".json")}
"""By the suffix of the file that the engine opens: suffixes of the files that belong beside it."""


def bundled(kind: str) -> Path:
    """Path of the bundled "model" or "checkpoint".

    Raises:
        ModelError: this installation lacks it.
    """
    path = FOLDER / BUNDLED[kind]
    if not path.is_file():
        raise ModelError(f"{path}: the bundled {kind} is missing: reinstall fer-edge")
    return path


def model_files(path: Path) -> list[Path]:
    """A model's file and its companions, those that exist."""
    suffixes = (path.suffix, *COMPANIONS.get(path.suffix, ()))
    files = [path.with_suffix(suffix) for suffix in suffixes]
    return [file for file in files if file.is_file()]


def model_size(path: Path) -> int:
    """Bytes of a model's file and of its companions that exist."""
    return sum(file.stat().st_size for file in model_files(path))


def spec_file(path: Path) -> Path:
    """The file whose end holds the spec of the model at `path`."""
    return path.with_suffix(".json") if path.suffix == ".param" else path
