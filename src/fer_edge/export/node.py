"""Runs an exported model under Node, as the web page does in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from fer_edge.errors import ModelError
from fer_edge.spec import ModelSpec
from fer_edge.text import one_line

SCRIPT = Path(__file__).parent / "web_predict.mjs"
MIN_VERSION = 18
"""The oldest release of Node that is accepted: that of Debian 12."""
MAX_FACES = 256
"""Faces of one batch."""


@dataclass(frozen=True)
class Node:
    """An installed Node: its program and its version, such as `v20.20.2`."""

    program: str
    version: str


def find_node() -> Node | None:
    """The Node on the PATH; None: there is none, or it is older than `MIN_VERSION`."""
    program = shutil.which("node")
    if program is None:
        return None
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.fullmatch(r"v(\d+)\.\S+", done.stdout.strip())
    if found is None or int(found[1]) < MIN_VERSION:
        return None
    return Node(program, found[0])


class NodeModel:
    """A model in a process of Node; it ends with the `with` block.

    Args:
        node: as `find_node` returns it.
        page: folder of the page's files.
        model, detector: ONNX files.
        spec: the model's.
        name: what errors call the model; None: its path.
    """

    def __init__(
        self,
        node: Node,
        page: Path,
        model: Path,
        detector: Path,
        spec: ModelSpec,
        *,
        name: str | None = None,
    ) -> None:
        self._name, self._spec = name or str(model), spec
        command = [node.program, str(SCRIPT), *map(str, (page, model, detector))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`.

        Raises:
            ModelError: Node can't compute them.
        """
        parts = [self._predict(faces[i : i + MAX_FACES]) for i in range(0, len(faces), MAX_FACES)]
        return np.concatenate(parts)

    def _predict(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        stdin, stdout, stderr = (
            self._process.stdin,
            self._process.stdout,
            self._process.stderr,
        )
        assert stdin
        assert stdout
        assert stderr
        labels = len(self._spec.labels)
        try:
            stdin.write(np.uint32(len(faces)).tobytes() + np.ascontiguousarray(faces).tobytes())
            stdin.flush()
            found = stdout.read(4 * len(faces) * labels)
        except BrokenPipeError:
            found = b""
        if len(found) != 4 * len(faces) * labels:
            reason = one_line(ValueError(stderr.read().decode(errors="replace").strip()))
            raise ModelError(f"{self._name}: Node can't compute it: {reason}")
        return np.frombuffer(found, "<f4").reshape(len(faces), labels).astype(np.float32)
