"""Which files a model consists of, and which models are in the package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from fer_edge.errors import ModelError

BUNDLED = {
    "base": "MobileNetV2 at 96 px, int8, 2.46 MB",
    "small": "MobileNetV2 of 9 blocks at 48 px, int8, 0.59 MB",
}
"""The models in the package, by name, with a description of each; the first is the default.

Each has three files in `FOLDER`: `NAME.onnx`, the checkpoint that it was exported from and the
report of their comparison. Everything that takes a model takes these names.
"""
DEFAULT_MODEL = next(iter(BUNDLED))
DETECTOR = "detector"
"""Name of the face detector in the package: its model and the report of its comparison."""
FileKind = Literal["model", "checkpoint", "report"]
SUFFIXES: dict[FileKind, str] = {
    "model": ".onnx",
    "checkpoint": ".safetensors",
    "report": ".onnx.parity.json",
}
FOLDER = Path(__file__).parents[2] / "models"
DIGESTS = "SHA256SUMS"
"""Name of the table of these files' SHA-256, as `sha256sum` writes and checks it."""
COMPANIONS: dict[str, tuple[str, ...]] = {".xml": (".bin",), ".param": (".bin", ".json")}
"""By the suffix of the file that the engine opens: suffixes of the files that belong beside it."""
MAX_BYTES = 1 << 30
"""Largest file that is opened as a model: engines hold it in memory, and a board has little."""
_LFS_POINTER = b"version https://git-lfs."


def bundled(kind: FileKind, name: str = DEFAULT_MODEL) -> Path:
    """Path of a file of a model in the package.

    Args:
        kind: which of its files.
        name: a key of `BUNDLED`, or `DETECTOR`.

    Raises:
        ModelError: this installation lacks it.
    """
    path = FOLDER / f"{name}{SUFFIXES[kind]}"
    if not path.is_file():
        raise ModelError(f"{path}: the {kind} of {name} is missing: reinstall fer-edge")
    return path


def resolve_model(given: str | Path | None, kind: FileKind = "model") -> Path:
    """Path of a model that is given by name or as a file.

    Args:
        given: a key of `BUNDLED`, or the path of a file or folder, which is returned as it is; None
            for the first of `BUNDLED`. A file that has the name of a model in the package is given
            as a `Path`, or with its folder, as `./base`.
        kind: which file of a model in the package.

    Raises:
        ModelError: a text of letters, digits and "-" is neither such a name nor a file or folder,
            or this installation lacks the file.
    """
    if given is None or (isinstance(given, str) and given in (*BUNDLED, DETECTOR)):
        return bundled(kind, given or DEFAULT_MODEL)
    is_word = isinstance(given, str) and re.fullmatch(r"[\w-]{1,40}", given)
    if is_word and not Path(given).exists():
        raise ModelError(
            f"{given}: there is no such file, and the models in the package are "
            f"{', '.join(BUNDLED)}"
        )
    return Path(given)


def check_bundled(path: Path) -> None:
    """Check the SHA-256 of a file if it is of a model in the package; 1 ms per megabyte.

    Raises:
        ModelError: it differs from the one in `DIGESTS`, or that can't be read.
    """
    names = (*BUNDLED, DETECTOR)
    files = (FOLDER / f"{name}{end}" for name in names for end in SUFFIXES.values())
    if path.resolve() not in {file.resolve() for file in files}:
        return
    import hashlib  # here: the start doesn't check

    try:
        table = (FOLDER / DIGESTS).read_text("ascii")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise ModelError(f"{FOLDER}: can't be read ({error}): reinstall fer-edge") from None
    if f"{found}  {path.resolve().name}" not in table.splitlines():
        raise ModelError(f"{path}: damaged or changed since its release: reinstall fer-edge")


def model_type(path: Path) -> str:
    """The suffix of a model's file in lower case: `M.ONNX` is an ONNX file too."""
    return path.suffix.lower()


def companion(path: Path, suffix: str) -> Path:
    """The file with another suffix beside a model's, in capitals if the model's is."""
    return path.with_suffix(suffix.upper() if path.suffix.isupper() else suffix)


def check_file(path: Path, advice: str = "", *, may_be_empty: bool = False) -> None:
    """Check what every model file has to be, without reading all of it.

    Args:
        path: the file.
        advice: what to do where it is missing or empty.
        may_be_empty: whether the format has empty files.

    Raises:
        ModelError: it isn't there, isn't a file, is empty, too large, or only a pointer of Git LFS.
    """
    try:
        if path.is_dir():
            raise ModelError(f"{path}: a folder, not a model file")
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file" + (advice and f": {advice}"))
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(len(_LFS_POINTER))
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{path}: can't be read: {reason}") from None
    if not (size or may_be_empty):
        raise ModelError(f"{path}: damaged or cut off, it is empty: {advice or 'copy it again'}")
    if size > MAX_BYTES:
        raise ModelError(f"{path}: {size / 1e9:.1f} GB, no model of fer-edge is so large")
    if head == _LFS_POINTER:
        raise ModelError(f"{path}: only Git LFS's pointer to the file: git lfs pull fetches it")


def model_files(path: Path) -> list[Path]:
    """A model's file and its companions, those that exist."""
    files = [path, *(companion(path, suffix) for suffix in COMPANIONS.get(model_type(path), ()))]
    return [file for file in files if file.is_file()]


def model_size(path: Path) -> int:
    """Bytes of a model's file and of its companions that exist."""
    return sum(file.stat().st_size for file in model_files(path))


def spec_file(path: Path) -> Path:
    """The file whose end holds the spec of the model at `path`."""
    return companion(path, ".json") if model_type(path) == ".param" else path
