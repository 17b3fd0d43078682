"""Images decoded from files, bytes and file objects, or taken from Pillow images and arrays."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.limits import MAX_PIXELS, check_pixels
from fer_edge.runtime.preprocess import to_upright

Content: TypeAlias = bytes | bytearray | memoryview
ImageSource: TypeAlias = str | Path | Content | BinaryIO | Image.Image | npt.NDArray[np.uint8]
"""One image: a path, an encoded image as bytes or in a binary file object, a Pillow image, or an
array, uint8 RGB `[H, W, 3]` or gray `[H, W]`."""

MAX_BYTES = 256 * 2**20
"""Bytes that are read from one file object."""
_CHUNK = 2**20
_HEADER_WORTH_READING = 200_000
"""Bytes: a smaller file hardly holds a large image."""
_HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"))
"""From the fifth byte on: how Apple's and others' H.265 images begin."""


class LoadedImage(NamedTuple):
    """An upright image; its name is a path, a file object's name, "bytes", "image" or "array".

    `source` is what it can be loaded from again without holding its pixels: the path, the encoded
    bytes, or, where there is neither, the image itself.
    """

    name: str
    image: Image.Image
    source: Path | bytes | Image.Image


def is_in_memory(source: object) -> bool:
    """Whether a source is one image that the caller holds, rather than a name or a list."""
    kinds = (bytes, bytearray, memoryview, Image.Image, np.ndarray)
    return isinstance(source, kinds) or hasattr(source, "read")


def load_image(source: ImageSource, max_pixels: int = MAX_PIXELS) -> LoadedImage:
    """Decode an image and turn it upright; of an animation, the first frame.

    Args:
        source: see `ImageSource`.
        max_pixels: maximum of width x height; what is already in memory may be larger.

    Raises:
        SourceError: it is missing, empty, damaged, too large or not an image.
    """
    if isinstance(source, (str, Path)):
        return LoadedImage(
            str(source), open_image(Path(source), max_pixels=max_pixels), Path(source)
        )
    if isinstance(source, np.ndarray):
        image = array_to_image(source)
        return LoadedImage("array", image, image)
    if isinstance(source, Image.Image):
        with _source_errors("image"):
            image = to_upright(source)  # decodes it, where Image.open has read the header alone
        return LoadedImage("image", image, image)
    named = getattr(source, "name", None)  # of some file objects, a number
    name = named if isinstance(named, str) and named else "bytes"
    # a copy: the caller may fill a bytearray again, and a file object is read only once
    content = bytes(source) if isinstance(source, Content) else _read_file_object(source, name)
    return LoadedImage(name, open_image(content, name=name, max_pixels=max_pixels), content)


def open_image(
    source: Path | bytes, *, name: str = "", max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """`load_image` of a file or its bytes; errors call it `name`, or else by its path or "bytes".

    Raises:
        SourceError: see `load_image`; or a path isn't that of a file.
    """
    name = name or (str(source) if isinstance(source, Path) else "bytes")
    with _source_errors(name, source):
        if isinstance(source, Path):
            _check_file(source)
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as image:
            check_pixels(name, *image.size, max_pixels)
            if image.format == "EPS":  # to decode it, Pillow would start Ghostscript
                raise UnidentifiedImageError
            image.load()
            return to_upright(image)


@contextmanager
def _source_errors(name: str, source: Path | bytes = b"") -> Iterator[None]:
    """Turn whatever Pillow raises into a `SourceError` that starts with the source's name."""
    try:
        yield
    except SourceError:
        raise
    except FileNotFoundError:
        raise SourceError(f"{name}: there is no such file") from None
    except UnidentifiedImageError:
        raise SourceError(f"{name}: {_describe(source)}") from None
    except Image.DecompressionBombError:
        raise SourceError(f"{name}: far more pixels than are read: shrink it first") from None
    # damaged images make Pillow's decoders raise nearly anything: struct.error, TypeError, ...
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SourceError(f"{name}: cannot be read ({reason})") from None


def _check_file(path: Path) -> None:
    """Refuse what isn't a file before it is opened: opening a pipe waits for its writer."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path}: a folder, not an image")
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path}: a pipe or device, not an image file")


def _describe(source: Path | bytes) -> str:
    """What a source is that Pillow finds no image in."""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
        start = stream.read(12)
    if not start:
        return "empty"
    if start[4:] in _HEIC:
        return "HEIC cannot be read: save it as JPEG or PNG"
    return "not an image"


def _read_file_object(source: BinaryIO, name: str) -> bytes:
    """All that a binary file object still holds, in chunks, since a pipe gives what it has."""
    content = bytearray()
    try:
        while chunk := source.read(_CHUNK):
            content += chunk
            if len(content) > MAX_BYTES:
                limit = MAX_BYTES // 2**20
                raise SourceError(f"{name}: more than {limit} MiB: shrink it or give its path")
    except TypeError:
        raise SourceError(f'{name}: opened as text: open it as a binary file, mode "rb"') from None
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise SourceError(f"{name}: cannot be read ({error})") from None
    return bytes(content)


def count_pixels(path: Path) -> int:
    """Pixels of an image file by its header; 0 where the file is small or cannot be read."""
    try:
        if path.stat().st_size < _HEADER_WORTH_READING:
            return 0
        with Image.open(path) as image:
            return image.width * image.height
    except Exception:  # `open_image` reports what is wrong with it
        return 0


def array_to_image(array: npt.NDArray[Any]) -> Image.Image:
    """An array, uint8 RGB `[H, W, 3]` or gray `[H, W]`, as an image; any other is refused."""
    has_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not has_shape or 0 in array.shape:
        raise SourceError(
            f"an array of {array.dtype} {list(array.shape)}: expected uint8 [H, W, 3] RGB or [H, W]"
        )
    return Image.fromarray(array)
