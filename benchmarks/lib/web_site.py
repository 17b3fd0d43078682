"""The page of `fer export --format web`, served on this machine to Debian's Chromium."""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.export.web_page import MODEL_NAME, find_engine, read_page, write_page

ENGINE = os.environ.get("FER_EDGE_ONNXRUNTIME_WEB")
"""The folder of npm's package onnxruntime-web."""
PHOTOGRAPHS = os.environ.get("FER_EDGE_PHOTOGRAPHS")
"""A folder of photographs with faces."""
BATCH = 256
"""Faces that are sent to the browser at once."""
PREDICT = """async (text) => {
  const { opened } = await import("./api.js");
  const reader = await opened;
  const { side, length } = { side: reader.spec.input.side, length: reader.spec.labels.length };
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const began = performance.now();
  const logits = [];
  for (let at = 0; at < bytes.length; at += side * side) {
    logits.push(...(await reader.predict(bytes.slice(at, at + side * side))));
  }
  return [logits, (performance.now() - began) / 1000];
}"""
"""Predicts faces one by one, and measures how long that takes, in seconds."""


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing: the requests are of no interest."""


def write_site(folder: Path, model: Path) -> Path:
    """Write the page with an ONNX file as its model; returns the folder.

    Raises:
        ConfigError: FER_EDGE_ONNXRUNTIME_WEB doesn't name the engine.
    """
    engine = find_engine(Path(ENGINE) if ENGINE else None)
    write_page(folder, {**read_page(engine), MODEL_NAME: model.read_bytes()})
    return folder


@contextmanager
def serve_folder(folder: Path) -> Iterator[tuple[str, ThreadingHTTPServer]]:
    """Serve a folder on a free port of this machine: its address, and the server."""
    handler = partial(_Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", server
        finally:
            server.shutdown()
            thread.join()


def chromium_options(*arguments: str) -> dict[str, Any]:
    """What playwright's `chromium.launch` needs for Debian's Chromium.

    Raises:
        FileNotFoundError: it isn't installed.
    """
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("chromium isn't installed: apt-get install chromium")
    # the sandbox refuses root
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": program, "args": [*arguments, *root], "timeout": 300_000}


def predict_in_page(
    page: Any, faces: npt.NDArray[np.uint8], labels: int
) -> tuple[npt.NDArray[np.float32], float]:
    """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`, and seconds for all of them.

    Args:
        page: playwright's page, which shows the site.
        faces: are predicted one by one.
        labels: number of the model's labels.
    """
    logits, seconds = list[float](), 0.0
    for i in range(0, len(faces), BATCH):
        text = base64.b64encode(faces[i : i + BATCH].tobytes()).decode()
        found, took = page.evaluate(PREDICT, text)
        logits += found
        seconds += took
    return np.array(logits, np.float32).reshape(len(faces), labels), seconds
