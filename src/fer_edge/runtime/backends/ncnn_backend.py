"""ncnn, an extra: made for ARM, 32-bit boards among them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn
import numpy as np
import numpy.typing as npt

from fer_edge.errors import ModelError
from fer_edge.runtime.device.cpu import usable_cores
from fer_edge.runtime.formats.ncnn_files import open_files
from fer_edge.spec import NcnnOptions

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Floats = npt.NDArray[np.float32]


def devices() -> tuple[str, ...]:
    """The CPU alone: on a GPU, through Vulkan, ncnn computes in half precision."""
    return ("cpu",)


class Network:
    """A graph under ncnn. May be called from several threads.

    Args:
        graph, weights: ncnn's two files.
        options: how it is computed.
        threads: for one call, 1 or more.

    Raises:
        ModelError: this ncnn can't load them.
    """

    def __init__(self, graph: Path, weights: Path, options: NcnnOptions, threads: int) -> None:
        self._net = ncnn.Net()
        half = options.arithmetic == "fp16"
        # left alone, ncnn takes half precision where the CPU has it, and a GPU where there is one
        for name, value in {
            "use_vulkan_compute": False,
            "use_packing_layout": options.packing,
            "use_winograd_convolution": options.winograd,
            "use_fp16_packed": half,
            "use_fp16_storage": half,
            "use_fp16_arithmetic": half,
            "use_bf16_storage": False,
            "num_threads": threads,
        }.items():
            setattr(self._net.opt, name, value)
        if self._net.load_param(str(graph)) or self._net.load_model(str(weights)):
            raise ModelError(f"{graph}: ncnn {ncnn.__version__} can't load it: update ncnn")

    def __call__(self, given: str, pixels: Floats, wanted: Sequence[str]) -> list[Floats]:
        """Blobs of the graph.

        Args:
            given: the input's name.
            pixels: the input, contiguous, `[channels, height, width]`.
            wanted: names of outputs; what only others need isn't computed.

        Raises:
            ModelError: the graph has no such blob, or can't be computed on that input.
        """
        extractor = self._net.create_extractor()
        # a copy that ncnn owns: layers that work in place crash on memory that isn't ncnn's
        failed = extractor.input(given, ncnn.Mat(pixels).clone())
        answers: list[Floats] = []
        for name in wanted:
            code, blob = (1, None) if failed else extractor.extract(name)
            if code:  # asked on, ncnn would crash
                raise ModelError(
                    f"ncnn can't compute {', '.join(wanted)} from {given} {pixels.shape}"
                )
            answers.append(np.array(blob, np.float32))
        return answers


class NcnnBackend:
    """The files of `fer export --format ncnn`.

    The graph takes one face, in float pixels from 0 to 255: the backend widens the bytes, and
    answers as many faces at once as it has threads. One face takes one: two of ncnn's own gain 6 %,
    while two faces at once are done in 0.6 of the time.
    """

    engine = "ncnn"

    def __init__(
        self,
        path: Path,
        *,
        device: str = "cpu",  # noqa: ARG002 - there is only one
        threads: int = 1,
    ) -> None:
        self.spec = open_files(path)
        assert self.spec.ncnn is not None
        self._threads = threads or usable_cores()
        self._network = Network(path, path.with_suffix(".bin"), self.spec.ncnn, 1)

    def __call__(self, faces: npt.NDArray[np.uint8]) -> Floats:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""
        pixels = faces.astype(np.float32)[:, None]
        answers = np.empty((len(faces), len(self.spec.labels)), np.float32)

        def answer(i: int) -> None:
            answers[i] = self._network("faces", pixels[i], ["logits"])[0]

        if min(len(faces), self._threads) < 2:
            for i in range(len(faces)):
                answer(i)
        else:
            list(self._pool.map(answer, range(len(faces))))
        return answers

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # here: most runs need none

        return ThreadPoolExecutor(self._threads)
