"""The user's folders, as the XDG Base Directory Specification has them.

Each function raises `ConfigError` where no variable is set and the user has no home folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from fer_edge.errors import ConfigError

NAME = "fer-edge"


def data_folder() -> Path:
    """Folder for what the user installs: `$XDG_DATA_HOME/fer-edge`."""
    return base_folder("XDG_DATA_HOME", ".local/share") / NAME


def state_folder() -> Path:
    """Folder for what was measured on this machine: `$XDG_STATE_HOME/fer-edge`."""
    return base_folder("XDG_STATE_HOME", ".local/state") / NAME


def cache_folder() -> Path:
    """Folder for what can be made again: `$FER_EDGE_CACHE`, else `$XDG_CACHE_HOME/fer-edge`."""
    named = os.environ.get("FER_EDGE_CACHE")
    return Path(named) if named else base_folder("XDG_CACHE_HOME", ".cache") / NAME


def base_folder(variable: str, default: str) -> Path:
    """The folder that an environment variable names, else `default` in the home folder."""
    if named := os.environ.get(variable):
        return Path(named)
    try:
        return Path.home() / default
    except RuntimeError:
        raise ConfigError(f"this user has no home folder: set HOME or {variable}") from None
