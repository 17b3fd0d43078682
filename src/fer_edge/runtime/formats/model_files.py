"""Which files a model consists of, and where the bundled ones are."""

from __future__ import annotations

from pathlib import Path

from fer_edge.errors import ModelError

FOLDER = Path(__file__).parents[2] / "models"
BUNDLED = {"model": "default.onnx", "checkpoint": "default.safetensors"}
DIGESTS = "SHA256SUMS"
"""Name of the table of the bundled files' SHA-256, as `sha256sum` writes and checks it."""
COMPANIONS: dict[str, tuple[str, ...]] = {".xml": (".bin",), ".param": (".bin", ".json")}
"""By the suffix of the file that the engine opens: suffixes of the files that belong beside it."""
MAX_BYTES = 1 << 30
"""Largest file that is opened as a model: engines hold it in memory, and a board has little."""
_LFS_POINTER = b"version https://git-lfs."


def bundled(kind: str) -> Path:
    """Path of the bundled "model" or "checkpoint".

    Raises:
        ModelError: this installation lacks it.
    """
    path = FOLDER / BUNDLED[kind]
    if not path.is_file():
        raise ModelError(f"{path}: the bundled {kind} is missing: reinstall fer-edge")
    return path


def check_bundled(path: Path) -> None:
    """Check the SHA-256 of a model's file if it is a bundled one; it takes 1 ms per megabyte.

    Raises:
        ModelError: it differs from the one in `DIGESTS`, or that can't be read.
    """
    if path.resolve() not in {(FOLDER / name).resolve() for name in BUNDLED.values()}:
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
