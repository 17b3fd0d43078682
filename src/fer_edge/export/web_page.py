"""The files of a web page that reads expressions in the browser.

Its own files lie in `web/`; it shares others with the page of `fer serve`. The engine is npm's
package onnxruntime-web, which the user installs: its WebAssembly has 14 MB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from fer_edge.atomic import write_bytes
from fer_edge.errors import ConfigError
from fer_edge.runtime.formats.model_files import DETECTOR, bundled

PAGE = Path(__file__).parent / "web"
SERVER_PAGE = Path(__file__).parents[1] / "serve" / "page"
SHARED = (
    *("chart.js", "colours.js", "device.js", "dom.js", "faces.js", "images.js", "picture.js"),
    *("texts.js", "theme.js", "view.js", "icon.svg", "style.css"),
)
"""Files of the server's page."""
ENGINE = Path("node_modules", "onnxruntime-web")
"""Where npm installs the engine."""
ENGINE_FILES = {
    "ort.wasm.bundle.min.mjs": "onnxruntime/ort.wasm.bundle.min.js",
    "ort-wasm-simd-threaded.wasm": "onnxruntime/ort-wasm-simd-threaded.wasm",
}
"""By the engine's file: its name in the page. Some servers don't know the suffix .mjs."""
MODEL_NAME, DETECTOR_NAME, LIST_NAME = "model.onnx", "detector.onnx", "files.js"
UNCACHED = ("package.json", "service_worker.js")
"""Files that the page doesn't load: Node's, and the one that keeps the others."""


def find_engine(folder: Path | None = None) -> Path:
    """The folder with the engine's files.

    Args:
        folder: of npm's package, or its `dist`; None: `ENGINE`.

    Raises:
        ConfigError: a file is missing; the message says how to install it.
    """
    given = folder or ENGINE
    dist = given if given.name == "dist" else given / "dist"
    missing = [name for name in ENGINE_FILES if not (dist / name).is_file()]
    if missing:
        raise ConfigError(
            f"{given}: has no dist/{missing[0]}: run npm install onnxruntime-web, and give its "
            f"folder by --onnxruntime-web where it isn't {ENGINE}"
        )
    return dist


def read_page(engine: Path) -> dict[str, bytes]:
    """The page's files by name, without the model and the list of the files.

    Args:
        engine: as `find_engine` returns it.

    Raises:
        ModelError: this installation lacks the detector.
        OSError: a file can't be read.
    """
    own = {path.name: path for path in sorted(PAGE.iterdir()) if path.is_file()}
    paths = {
        **own,
        **{name: SERVER_PAGE / name for name in SHARED},
        **{name: engine / file for file, name in ENGINE_FILES.items()},
        DETECTOR_NAME: bundled("model", DETECTOR),
    }
    return {name: path.read_bytes() for name, path in paths.items()}


def write_page(folder: Path, files: Mapping[str, bytes]) -> int:
    """Write a page's files, and the script that tells the service worker which ones to keep.

    Args:
        folder: need not exist.
        files: those of `read_page`, and the model under `MODEL_NAME`.

    Returns:
        Number of bytes written.

    Raises:
        OSError: a file can't be written.
    """
    for name, content in files.items():
        write_bytes(folder / name, content)
    kept = sorted(set(files) - set(UNCACHED))
    digest = hashlib.sha256()
    for name in kept:
        digest.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    version, names = digest.hexdigest()[:16], json.dumps(kept, indent=2)
    # the last one: a browser that has kept the page looks here for a new version
    listed = f'self.VERSION = "{version}";\nself.FILES = {names};\n'.encode()
    write_bytes(folder / LIST_NAME, listed)
    return sum(map(len, files.values())) + len(listed)
