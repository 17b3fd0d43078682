"""Reading photographs, with a cache."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from fer_edge.errors import DataError, SourceError
from fer_edge.runtime.inputs.images import open_image

CACHE_BYTES = 1 << 30
"""Size of all caches of a training together: about 10,000 photographs of 320 x 320."""


def read_photograph(path: Path) -> Image.Image:
    """A photograph, L or RGB.

    Raises:
        DataError: it can't be read.
    """
    try:
        return open_image(path)
    except SourceError as error:
        raise DataError(f"{path}: {error}: label the photographs again") from None


class GrayPhotographs:
    """Reads photographs as gray images; the first ones stay in memory.

    A training reads each of them dozens of times, at random, so that which ones stay matters
    little.

    Args:
        folder: where they are.
        cache_bytes: of their pixels, at most.
    """

    def __init__(self, folder: Path, cache_bytes: int) -> None:
        self.folder = folder
        self._free = cache_bytes
        self._cache: dict[str, Image.Image] = {}

    def read(self, name: str) -> Image.Image:
        """A gray image, which must not be changed.

        Raises:
            DataError: it can't be read.
        """
        if name in self._cache:
            return self._cache[name]
        image = read_photograph(self.folder / name).convert("L")
        size = image.width * image.height
        if size <= self._free:
            self._free -= size
            self._cache[name] = image
        return image
