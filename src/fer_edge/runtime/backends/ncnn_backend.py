"""ncnn, an extra: an engine for ARM, 32-bit boards included."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn
import numpy as np
import numpy.typing as npt

from fer_edge.errors import ModelError
from fer_edge.runtime.backends.forks import OwnProcess
from fer_edge.runtime.device.cpu import count_usable_cores
from fer_edge.runtime.formats.model_files import companion
from fer_edge.runtime.formats.ncnn_files import read_verified_spec
from fer_edge.spec import ModelSpec, NcnnOptions

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Floats = npt.NDArray[np.float32]


def devices() -> tuple[str, ...]:
    """The CPU alone: on a GPU, through Vulkan, ncnn computes in half precision."""
    return ("cpu",)


class Network:
    """A graph under ncnn. Safe to call from several threads.

    Args:
        graph, weights: ncnn's two files.
        options: how ncnn computes it.
        threads: threads of one call, 1 or more.

    Raises:
        ModelError: this version of ncnn can't load them.
    """

    def __init__(self, graph: Path, weights: Path, options: NcnnOptions, threads: int) -> None:
        self._net = ncnn.Net()
        self._process = OwnProcess("ncnn", threads)
        half = options.arithmetic == "fp16"
        # by default ncnn uses half precision where the CPU has it, and a GPU where there is one
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

    def __call__(self, input_name: str, pixels: Floats, outputs: Sequence[str]) -> list[Floats]:
        """Compute outputs of the graph.

        Args:
            input_name: name of the input.
            pixels: the input, float32 `[channels, height, width]`, contiguous.
            outputs: names of the outputs; layers that only others need aren't computed.

        Raises:
            ModelError: the graph has no such blob, or can't be computed on that input; or this
                process was forked after the network was opened with several threads.
        """
        self._process.check()  # OpenMP's threads
        extractor = self._net.create_extractor()
        # a copy that ncnn owns: layers that work in place crash on memory that isn't ncnn's
        failed = extractor.input(input_name, ncnn.Mat(pixels).clone())
        blobs: list[Floats] = []
        for name in outputs:
            code, blob = (1, None) if failed else extractor.extract(name)
            if code:  # ncnn would crash on the next call
                raise ModelError(
                    f"ncnn can't compute {', '.join(outputs)} from {input_name} {pixels.shape}"
                )
            blobs.append(np.array(blob, np.float32))
        return blobs


class NcnnBackend:
    """The files of `fer export --format ncnn`.

    The graph takes one face, in float pixels from 0 to 255: the backend converts the bytes, and
    predicts one face in each of its threads. Two threads inside ncnn save 6 % of a face's time; two
    faces at once take 0.6 of the time of two.
    """

    engine = "ncnn"

    def __init__(
        self,
        path: Path,
        *,
        device: str = "cpu",  # noqa: ARG002 - there is only one
        threads: int = 1,
    ) -> None:
        self.spec = read_verified_spec(path, ModelSpec)
        assert self.spec.ncnn is not None
        self._threads = threads or count_usable_cores()
        self._pools = _Pools(self._threads)
        self._network = Network(path, companion(path, ".bin"), self.spec.ncnn, 1)

    def __call__(self, faces: npt.NDArray[np.uint8]) -> Floats:
        """Logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""
        pixels = faces.astype(np.float32)[:, None]
        logits = np.empty((len(faces), len(self.spec.labels)), np.float32)

        def predict(i: int) -> None:
            logits[i] = self._network("faces", pixels[i], ["logits"])[0]

        if min(len(faces), self._threads) < 2:
            for i in range(len(faces)):
                predict(i)
        else:
            list(self._pools[os.getpid()].map(predict, range(len(faces))))
        return logits


class _Pools(dict[int, "ThreadPoolExecutor"]):
    """A pool for each process: one that was forked has none of its parent's threads."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._threads = threads

    def __missing__(self, process: int) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # here: most runs need none

        return self.setdefault(process, ThreadPoolExecutor(self._threads))
