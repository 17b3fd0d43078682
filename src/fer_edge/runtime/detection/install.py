"""Where the detector's file lies, and how it gets there: only ever because the user asks."""

from __future__ import annotations

import os
from pathlib import Path

from fer_edge.atomic import whole_file
from fer_edge.errors import ConfigError, ModelError
from fer_edge.paths import data_folder

VARIABLE = "FER_EDGE_DETECTOR"
NAME = "face_detection_yunet_2026may.onnx"
ADDRESS = f"https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/{NAME}"
SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
"""Of YuNet's edition of May 2026, 229,738 bytes, MIT licence."""
_LARGEST = 4_000_000
_SECONDS = 60


def installed_path() -> Path:
    """Where `install` puts the detector.

    Raises:
        ConfigError: see `data_folder`.
    """
    return data_folder() / NAME


def find_detector() -> Path | None:
    """The detector that the environment names, else the one that is installed, else None.

    Raises:
        ModelError: `FER_EDGE_DETECTOR` names no file.
    """
    if named := os.environ.get(VARIABLE):
        path = Path(named)
        if not path.is_file():
            raise ModelError(f"{VARIABLE}={named}: there is no such file")
        return path
    try:
        return installed_path() if installed_path().is_file() else None
    except (OSError, ConfigError):  # another user's home folder, or none: nothing is installed
        return None


def install(source: Path | None = None) -> Path:
    """Put the detector into its place, from a file or from OpenCV Zoo's published address.

    Returns:
        Where it lies now.

    Raises:
        ModelError: it can't be read or reached, or its SHA-256 isn't the published one; what was
            installed before stays.
        OSError: the place can't be written to.
    """
    import hashlib  # here, as urllib below: together they take a sixth of a run with one face

    where = ADDRESS if source is None else str(source)
    content = _download() if source is None else _read(source)
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ModelError(
            f"{where}: not the detector: its SHA-256 is {found[:12]}..., not {SHA256[:12]}...; "
            f"nothing was installed"
        )
    with whole_file(installed_path()) as beside:
        beside.write_bytes(content)
    return installed_path()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None


def _download() -> bytes:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(ADDRESS, timeout=_SECONDS) as stream:
            content: bytes = stream.read(_LARGEST)
            return content
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        raise ModelError(
            f"{ADDRESS}: can't be reached ({reason}): download it elsewhere, then "
            f"fer detector install --from {NAME}"
        ) from None
