"""`fer detector install`: replace the face detector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fer_edge.commands.options import INPUT, command, group, option
from fer_edge.text import printable

app = group("Install the face detector, which finds the faces in photographs and video.")


@command(
    app, "fer detector install", "fer detector install --from face_detection_yunet_2026may.onnx"
)
def install(
    source: Annotated[
        Path | None,
        option(
            INPUT,
            "--from",
            help="The detector's file. By default it is downloaded from OpenCV Zoo.",
        ),
    ] = None,
) -> None:
    """Install the face detector YuNet (OpenCV Zoo, MIT licence, 230 KB)."""
    from fer_edge.runtime.detection.install import install, is_installed

    message = "already installed" if source is None and is_installed() else "installed"
    print(printable(f"{message} {install(source)}"))
