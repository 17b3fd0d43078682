"""Images decoded from files, bytes and file objects, or taken from Pillow images and arrays."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.image_decoding import decode_image
from fer_edge.runtime.inputs.limits import (
    DECODING,
    MAX_PIXELS,
    UPRIGHT_BYTES,
    check_pixels,
    choose_reduction,
)
from fer_edge.runtime.orientation import read_orientation, undo_orientation, upright_size
from fer_edge.runtime.pixel_values import to_eight_bits, to_uint8

Content: TypeAlias = bytes | bytearray | memoryview
ImageSource: TypeAlias = str | Path | Content | BinaryIO | Image.Image | npt.NDArray[Any]
"""One image: a path, an encoded image as bytes or in a binary file object, a Pillow image of any
mode, or an array of real numbers: gray `[H, W]` or `[H, W, 1]`, RGB `[H, W, 3]` or RGBA
`[H, W, 4]`. What value is white is found as `fer_edge.runtime.pixel_values` describes."""

MAX_BYTES = 96 * 2**20
"""Bytes that are read from one file object."""
_CHUNK = 2**20


class LoadedImage(NamedTuple):
    """An upright image, L or RGB, as it is decoded.

    Attributes:
        name: a path, a file object's name, "bytes", "image" or "array".
        image: may be reduced: see `limits.choose_reduction`.
        source: what it can be loaded from again without holding its pixels: the path, the encoded
            bytes, or, where there is neither, the image itself.
        size: width and height before it was reduced, in pixels.
    """

    name: str
    image: Image.Image
    source: Path | bytes | Image.Image
    size: tuple[int, int]


def is_in_memory(source: object) -> bool:
    """Whether a source is one image that the caller holds, rather than a name or a list."""
    kinds = (bytes, bytearray, memoryview, Image.Image, np.ndarray)
    return isinstance(source, kinds) or hasattr(source, "read")


@contextmanager
def hold_image(source: ImageSource, max_pixels: int | None = None) -> Iterator[LoadedImage]:
    """Decode an image and turn it upright; of an animation, the first frame.

    Its part of the memory for decoding is held while the block runs, so that other threads wait
    with what doesn't fit beside it. The block should drop the image at its end.

    Args:
        source: see `ImageSource`.
        max_pixels: maximum of width x height; None: that of its format.

    Raises:
        SourceError: it is missing, empty, damaged, too large or not an image, or the memory does
            not suffice for it or for what the block does with it.
    """
    name = _name(source)
    with ExitStack() as stack:
        with _source_errors(name):
            loaded = [_load(source, name, max_pixels, stack)]
        try:
            yield loaded.pop()  # no reference here outlives the block
        except MemoryError:
            raise SourceError(f"{name}: too little memory is free to read it") from None


def load_image(source: ImageSource, max_pixels: int | None = None) -> LoadedImage:
    """The image of `hold_image`, whose memory isn't held for it."""
    with hold_image(source, max_pixels) as loaded:
        return loaded


def open_image(
    source: Path | bytes, *, name: str = "", max_pixels: int | None = None
) -> Image.Image:
    """`load_image` of a file or its bytes; errors call it `name`, or else by its path or "bytes".

    Raises:
        SourceError: see `hold_image`; or a path isn't that of a file.
    """
    name = name or _name(source)
    with ExitStack() as stack, _source_errors(name):
        return _load(source, name, max_pixels, stack).image


def _name(source: ImageSource) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, (np.ndarray, Image.Image)):
        return "array" if isinstance(source, np.ndarray) else "image"
    named = getattr(source, "name", None)  # of some file objects, a number
    return named if isinstance(named, str) and named else "bytes"


def _load(source: ImageSource, name: str, max_pixels: int | None, stack: ExitStack) -> LoadedImage:
    if isinstance(source, (str, Path)):
        path = Path(source)
        _check_file(path)
        with path.open("rb") as file:
            decoded = decode_image(name, file, path.stat().st_size, max_pixels, stack)
        return LoadedImage(name, decoded.image, path, decoded.size)
    if isinstance(source, (np.ndarray, Image.Image)):
        size = _size(source)
        check_pixels(name, *size, max_pixels or MAX_PIXELS)
        stack.enter_context(DECODING.reserve(UPRIGHT_BYTES * size[0] * size[1]))
        image = _array_to_image(source) if isinstance(source, np.ndarray) else source
        upright, size = _to_upright(image)
        return LoadedImage(name, upright, upright, size)
    if not isinstance(source, Content) and not hasattr(source, "read"):
        raise SourceError(
            f"an object of type {type(source).__name__}: expected a path, bytes, a binary file, a "
            "Pillow image or an array"
        )
    # a copy: the caller may fill a bytearray again, and a file object is read only once
    content = bytes(source) if isinstance(source, Content) else _read_file_object(source, name)
    held = len(content)
    decoded = decode_image(name, io.BytesIO(content), held, max_pixels, stack, held_bytes=held)
    return LoadedImage(name, decoded.image, content, decoded.size)


def _to_upright(image: Image.Image) -> tuple[Image.Image, tuple[int, int]]:
    """A Pillow image of the caller upright, which is decoded where only its header was read."""
    image.load()
    orientation = read_orientation(image)
    reduced = to_eight_bits(image, choose_reduction(*image.size))
    return undo_orientation(reduced, orientation), upright_size(image.size, orientation)


def _size(source: npt.NDArray[Any] | Image.Image) -> tuple[int, int]:
    """Width and height in pixels."""
    if isinstance(source, Image.Image):
        size = source.size
    else:
        has_shape = source.ndim == 2 or (source.ndim == 3 and source.shape[2] in (1, 3, 4))
        if not has_shape or 0 in source.shape:
            raise SourceError(
                f"an array of {source.dtype} {list(source.shape)}: expected [H, W] or [H, W, 1] "
                "gray, [H, W, 3] RGB or [H, W, 4] RGBA"
            )
        size = (source.shape[1], source.shape[0])
    if 0 in size:
        raise SourceError("image: an image without pixels")
    return size


def _array_to_image(array: npt.NDArray[Any]) -> Image.Image:
    _size(array)
    is_gray = array.ndim == 3 and array.shape[2] == 1
    return Image.fromarray(to_uint8(array[:, :, 0] if is_gray else array))


@contextmanager
def _source_errors(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises into a `SourceError` that starts with the source's name."""
    try:
        yield
    except SourceError:
        raise
    except FileNotFoundError:
        raise SourceError(f"{name}: there is no such file") from None
    except UnidentifiedImageError as error:
        raise SourceError(f"{name}: {error}") from None
    except MemoryError:
        raise SourceError(f"{name}: too little memory is free to read it") from None
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


def _read_file_object(source: BinaryIO, name: str) -> bytes:
    """All that a binary file object still holds, in chunks, since a pipe gives what it has."""
    content = io.BytesIO()
    try:
        while chunk := source.read(_CHUNK):
            content.write(chunk)
            if content.tell() > MAX_BYTES:
                limit = MAX_BYTES // 2**20
                raise SourceError(f"{name}: more than {limit} MiB: shrink it or give its path")
    except TypeError:
        raise SourceError(f'{name}: opened as text: open it as a binary file, mode "rb"') from None
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise SourceError(f"{name}: cannot be read ({error})") from None
    return content.getvalue()
