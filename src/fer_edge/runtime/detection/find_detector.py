"""Which file finds the faces: the package's own detector, YuNet, or the user's."""

from __future__ import annotations

import os
from pathlib import Path

from fer_edge.errors import ConfigError, ModelError
from fer_edge.runtime.detection.engines import has_engine
from fer_edge.runtime.detection.install import VARIABLE, installed_path
from fer_edge.runtime.formats.model_files import DETECTOR, bundled

BUILT_IN, YUNET = "built-in", "yunet"
"""The detectors that have a name, which `FER_EDGE_DETECTOR` may give as well."""


def find_detector(given: str | Path | None = None) -> Path:
    """The detector's file.

    Args:
        given: `BUILT_IN`, `YUNET`, or a file; None: the one that the environment names, else the
            built-in one. Where no installed engine reads that, it is YuNet, if it is installed.

    Raises:
        ModelError: YuNet isn't installed, the environment names no file, or this installation
            lacks the built-in detector.
    """
    if given is None:
        return _find_named() or _find_default()
    return _resolve(given)


def find_yunet(given: Path | None = None) -> Path:
    """YuNet's file: the given one, else the installed one, unless the environment gives a path.

    Raises:
        ModelError: there is none.
    """
    return given or (_find_named() if names_file() else None) or _require_installed()


def names_file() -> bool:
    """Whether the environment names a file, rather than a detector that has a name, or none."""
    return os.environ.get(VARIABLE, "") not in ("", BUILT_IN, YUNET)


def _find_named() -> Path | None:
    if not (named := os.environ.get(VARIABLE)):
        return None
    path = _resolve(named)
    if not path.is_file():
        raise ModelError(f"{VARIABLE}={named}: there is no such file: correct or unset it")
    return path


def _resolve(given: str | Path) -> Path:
    if given == BUILT_IN:
        return bundled("model", DETECTOR)
    return _require_installed() if given == YUNET else Path(given)


def _find_default() -> Path:
    built_in, yunet = bundled("model", DETECTOR), _find_installed()
    return yunet if yunet and not has_engine(built_in) else built_in


def _require_installed() -> Path:
    if path := _find_installed():
        return path
    raise ModelError("YuNet isn't installed: run fer detector install")


def _find_installed() -> Path | None:
    try:
        return installed_path() if installed_path().is_file() else None
    except (OSError, ConfigError):  # another user's home folder, or none: nothing is installed
        return None
