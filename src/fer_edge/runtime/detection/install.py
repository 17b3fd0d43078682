"""Where the face detector is installed, and its installation, which the user starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_edge.atomic import check_writable, write_bytes
from fer_edge.errors import ConfigError, ModelError
from fer_edge.paths import data_folder

VARIABLE = "FER_EDGE_DETECTOR"
NAME = "face_detection_yunet_2026may.onnx"
ADDRESS = f"https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/{NAME}"
SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
"""Of YuNet's version of May 2026: 229,738 bytes, MIT licence."""
_MAX_BYTES = 4_000_000
_TIMEOUT = 60
"""Seconds."""


def installed_path() -> Path:
    """Where `install` writes the detector; raises `ConfigError` as `data_folder` does."""
    return data_folder() / NAME


def is_installed() -> bool:
    """Whether the published detector is installed: its SHA-256 is the known one."""
    import hashlib

    try:
        return hashlib.sha256(installed_path().read_bytes()).hexdigest() == SHA256
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False  # `install` reports a folder that it cannot write to


def install(source: Path | None = None) -> Path:
    """Install the detector from a file, or download it from OpenCV Zoo unless it is installed.

    Raises:
        ConfigError: there is no folder to write to, or the file cannot be written.
        ModelError: it cannot be read or downloaded, or its SHA-256 isn't the published one; what
            was installed before stays.
    """
    import hashlib  # late, as urllib below: together they take a sixth of a run with one face

    if source is None and is_installed():
        return installed_path()
    path = installed_path()
    with _advising():
        check_writable(path.parent)
    where = ADDRESS if source is None else str(source)
    content = _download() if source is None else _read(source)
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ModelError(
            f"{where}: not the detector: its SHA-256 is {found[:12]}..., not {SHA256[:12]}...; "
            "nothing was installed"
        )
    with _advising():
        write_bytes(path, content)
    return path


@contextmanager
def _advising() -> Iterator[None]:
    """Say what to set where the user's folder can't be written to, as that of a service."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: {error.strerror}: set XDG_DATA_HOME to a folder that can be "
            f"written to, or {VARIABLE} to the detector's file"
        ) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None


def _download() -> bytes:
    import urllib.request

    try:
        with urllib.request.urlopen(ADDRESS, timeout=_TIMEOUT) as stream:
            content: bytes = stream.read(_MAX_BYTES)
            return content
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ModelError(
            f"{ADDRESS}: cannot be downloaded ({reason}): download it elsewhere, then "
            f"fer detector install --from {NAME}"
        ) from None
