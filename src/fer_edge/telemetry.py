"""Telemetry of other libraries, disabled before they are imported: `import fer_edge` does it.

A user who has chosen otherwise is obeyed: by an environment variable that is already set, or by
OpenVINO's own `opt_in_out --opt_in`. A library that was imported before fer_edge has already
decided.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

ENVIRONMENT = {
    # from 1.29 on Linux: a device id and events under ~/.cache/Microsoft, and uploads. It is read
    # when the library is loaded. https://github.com/microsoft/onnxruntime/pull/27379
    "ORT_DISABLE_TELEMETRY": "1",
    # a cluster that a process starts would report its versions and sizes once an hour.
    # https://docs.ray.io/en/latest/cluster/usage-stats.html
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Variables that disable a library's telemetry."""

OPENVINO_CONSENT = Path("intel", "openvino_telemetry")
"""File in the home folder in which OpenVINO stores the user's choice, 1 or 0."""


def disable_telemetry() -> None:
    """Disable the telemetry of every library that fer-edge may import, unless the user wants it."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # `import openvino` sends an event to Google Analytics and stores a client id in ~/intel. No
    # variable prevents it, but OpenVINO goes on without the package that does it, which None
    # makes unimportable. https://github.com/openvinotoolkit/openvino/pull/23832
    if not _has_opted_in(OPENVINO_CONSENT):
        sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))


def _has_opted_in(consent: Path) -> bool:
    try:
        return (Path.home() / consent).read_bytes().strip() == b"1"
    except (OSError, RuntimeError):  # there is no such file, or the user has no home folder
        return False
