from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fer_edge.export.web_page import PAGE
from tests.support.files import ROOT
from tests.support.networks import make_checkpoint


@pytest.fixture(autouse=True, scope="session")
def _exporter(exporter: None) -> None:
    """The tests of this folder share one cache of exported graphs."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny architecture."""
    return make_checkpoint("tiny", tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def call() -> Iterator[Callable[..., Any]]:
    """Calls a function of the page: its name, and its arguments by name."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node isn't installed: apt-get install nodejs")
    script = ROOT / "tests" / "support" / "web_calls.js"
    command = [node, str(script), str(PAGE)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def ask(name: str, pixels: npt.NDArray[np.uint8] | None = None, **values: Any) -> Any:
            assert process.stdin
            assert process.stdout
            if pixels is not None:
                height, width = pixels.shape[:2]
                data = base64.b64encode(pixels.tobytes()).decode()
                values = {**values, "data": data, "width": width, "height": height}
            process.stdin.write(json.dumps({"name": name, **values}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()
