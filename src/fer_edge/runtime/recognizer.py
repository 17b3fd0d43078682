"""From pictures to expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.backends import Backend, open_backend
from fer_edge.runtime.bundled import bundled
from fer_edge.runtime.preprocess import Box, crop_face, to_gray, upright
from fer_edge.runtime.results import Face, Result, softmax
from fer_edge.runtime.sources import Picture, expand, from_array, open_picture
from fer_edge.spec import ModelSpec


class Recognizer:
    """Reads the expression of the face that a picture shows.

    Here the whole picture is the face. One recognizer may be called from several threads: it keeps
    nothing between calls, and backends are safe to share.

    Args:
        backend: a loaded model; `Recognizer.load` opens one by path.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        backend: str = "auto",
        device: str = "cpu",
        threads: int = 1,
    ) -> Recognizer:
        """Open the bundled model, or one by path.

        Args:
            model: an exported file; None: the one in the package.
            backend: "onnxruntime", "openvino", or "auto": the first that has the device.
            device: "cpu", "gpu", "npu", or "auto": the CPU, whose answers are the same everywhere.
            threads: for one call on the CPU; 0 takes every core.

        Raises:
            ModelError, SpecError, DeviceError, MissingExtraError: see `open_backend`.
        """
        path = bundled("model") if model is None else Path(model)
        return cls(open_backend(path, backend=backend, device=device, threads=threads))

    @property
    def spec(self) -> ModelSpec:
        """The contract inside the model."""
        return self._backend.spec

    def __call__(self, picture: Picture) -> Result:
        """Read one picture: a path, a Pillow image, or an array, uint8 RGB `[H, W, 3]` or `[H, W]`.

        Raises:
            SourceError: it can't be read.
        """
        if isinstance(picture, Image.Image):
            return self._read(upright(picture), "image")
        if isinstance(picture, np.ndarray):
            return self._read(from_array(picture), "array")
        return self._read(open_picture(Path(picture)), str(picture))

    def stream(
        self, source: Picture, *, on_error: Callable[[SourceError], None] | None = None
    ) -> Iterator[Result]:
        """Read every picture of a file, folder or pattern, in sorted order; or one in memory.

        Args:
            source: see above.
            on_error: called for a picture that can't be read, and the next one follows; without it
                the error is raised.

        Raises:
            SourceError: a picture can't be read and there is no `on_error`.
        """
        pictures = expand(source) if isinstance(source, (str, Path)) else iter([source])
        while True:
            try:
                yield self(next(pictures))
            except StopIteration:
                return
            except SourceError as error:
                if on_error is None:
                    raise
                on_error(error)

    def _read(self, image: Image.Image, source: str) -> Result:
        if 0 in image.size:
            raise SourceError(f"{source}: a picture without a pixel")
        boxes: list[Box] = [(0, 0, image.width, image.height)]
        side, crop = self.spec.input.side, self.spec.crop
        try:
            gray = to_gray(image)
            crops = np.stack([crop_face(gray, box, crop, side) for box in boxes])
        except SourceError as error:
            raise SourceError(f"{source}: {error}") from None
        probabilities = softmax(self._backend(crops) / self.spec.temperature)
        faces = tuple(
            self._face(box, row.tolist()) for box, row in zip(boxes, probabilities, strict=True)
        )
        return Result(source, image.width, image.height, faces, image)

    def _face(self, box: Box, row: list[float]) -> Face:
        best = max(range(len(row)), key=row.__getitem__)
        labels = self.spec.labels
        return Face(box, labels[best], row[best], dict(zip(labels, row, strict=True)))
