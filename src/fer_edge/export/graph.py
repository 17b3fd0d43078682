"""A checkpoint in a format's own terms, on its way into a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_edge.spec import ModelSpec, NcnnOptions, Weights


@dataclass(frozen=True)
class Graph:
    """What is written.

    Attributes:
        write: takes the spec and the path of the file that the engine is given, and writes it and
            its companions.
        weights: how they lie in the file.
        tools: that made it, and their versions.
        ncnn: of an ncnn model: how it is computed.
    """

    write: Callable[[ModelSpec, Path], None]
    weights: Weights
    tools: Mapping[str, str]
    ncnn: NcnnOptions | None = None
