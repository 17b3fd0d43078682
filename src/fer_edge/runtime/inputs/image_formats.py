"""The image formats that are read, each by one of Pillow's plugins and by no other.

Pillow itself would try thirty more, some of which start other programs. A format is recognised by
the file's first bytes; its suffix decides only whether a folder's file is an image.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from PIL import ImageFile, UnidentifiedImageError

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.gif_blocks import read_gif_essentials
from fer_edge.runtime.inputs.jpeg_segments import read_jpeg_essentials
from fer_edge.runtime.inputs.limits import DECODE_BYTES, MAX_JPEG_PIXELS, MAX_PIXELS
from fer_edge.runtime.inputs.png_chunks import read_png_essentials
from fer_edge.runtime.inputs.spliced_file import Essentials, splice
from fer_edge.runtime.inputs.tiff_directory import MAX_FIELDS, count_fields, read_strip_bytes


class ImageFormat(NamedTuple):
    """How one format is recognised and read.

    Attributes:
        start: matches its files' first bytes, of at most `START_BYTES`.
        plugin: Pillow's module and the class in it.
        suffixes: that Pillow or others give to its files, in lower case.
        read_essentials: which parts of a file Pillow is given; None: the file as it is.
        max_pixels: the default limit.
        pixel_bytes: memory that Pillow takes for a pixel, with what reduces it.
        is_read_whole: Pillow holds the file's bytes beside the pixels.
    """

    start: re.Pattern[bytes]
    plugin: tuple[str, str]
    suffixes: tuple[str, ...]
    read_essentials: Callable[[BinaryIO, int], Essentials] | None = None
    max_pixels: int = MAX_PIXELS
    pixel_bytes: float = 5
    is_read_whole: bool = False


def _starts(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


FORMATS = {
    "JPEG": ImageFormat(
        _starts(rb"\xff\xd8\xff"),
        ("JpegImagePlugin", "JpegImageFile"),
        (".jfif", ".jif", ".jpe", ".jpeg", ".jpg", ".mpo"),
        read_jpeg_essentials,
        MAX_JPEG_PIXELS,
    ),
    "PNG": ImageFormat(
        _starts(rb"\x89PNG\r\n\x1a\n"),
        ("PngImagePlugin", "PngImageFile"),
        (".apng", ".png"),
        read_png_essentials,
    ),
    "WebP": ImageFormat(
        _starts(rb"RIFF....WEBPVP8"),
        ("WebPImagePlugin", "WebPImageFile"),
        (".webp",),
        pixel_bytes=16,  # the canvas, the one before it, the frame and Pillow's copy
        is_read_whole=True,
    ),
    "AVIF": ImageFormat(
        _starts(rb"....ftyp(avif|avis|m[is]f1.*avif)"),
        ("AvifImagePlugin", "AvifImageFile"),
        (".avif", ".avifs"),
        pixel_bytes=10,
        is_read_whole=True,
    ),
    "GIF": ImageFormat(
        _starts(rb"GIF8[79]a"), ("GifImagePlugin", "GifImageFile"), (".gif",), read_gif_essentials
    ),
    "TIFF": ImageFormat(
        _starts(rb"(II[*+]\0|MM\0[*+])"), ("TiffImagePlugin", "TiffImageFile"), (".tif", ".tiff")
    ),
    "BMP": ImageFormat(
        _starts(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
        ("BmpImagePlugin", "BmpImageFile"),
        (".bmp",),
    ),
    "DIB": ImageFormat(
        _starts(rb"[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
        ("BmpImagePlugin", "DibImageFile"),
        (".dib",),
    ),
    "PPM": ImageFormat(
        _starts(rb"P[1-6f]\s"),
        ("PpmImagePlugin", "PpmImageFile"),
        (".pbm", ".pfm", ".pgm", ".pnm", ".ppm"),
    ),
}
IMAGE_SUFFIXES = frozenset(suffix for one in FORMATS.values() for suffix in one.suffixes)
HEIC_SUFFIXES = frozenset((".heic", ".heif"))
"""Images that cannot be read: in a folder they are reported rather than left out."""
_CONVERT = "cannot be read: save it as JPEG or PNG"
_OTHERS = (
    (_starts(rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)"), f"HEIC {_CONVERT}"),
    (_starts(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), f"JPEG 2000 {_CONVERT}"),
    (_starts(rb"\0\0\0\x0cJXL |\xff\x0a"), f"JPEG XL {_CONVERT}"),
    (_starts(rb"8BPS"), f"a Photoshop document {_CONVERT}"),
    (_starts(rb"%PDF"), f"a PDF document {_CONVERT}"),
    (_starts(rb"version https://"), "a Git LFS pointer: fetch the file with git lfs pull"),
)
"""What begins like this isn't read, and is named."""
MAX_SLOW_PIXELS = 2_000_000
"""Default limit where Pillow takes microseconds for a pixel: its decoders in Python."""
_CODEC_PIXELS = {"ppm": MAX_SLOW_PIXELS, "ppm_plain": MAX_SLOW_PIXELS}
_CODEC_BYTES = {"ppm": 14, "ppm_plain": 14, "bmp_rle": 8}
"""Memory for a pixel of the codecs that Pillow has in Python."""
START_BYTES = 64
_MAX_WHOLE_BYTES = 50_000_000
"""Of a file that is held in memory."""
_MAX_EXIF_BYTES = 16_000_000
"""Of all fields of an EXIF block; a colour profile has 3 million at most."""
_EXIF_BLOCK = re.compile(rb"II\*\0|MM\0\*")


class OpenedImage(NamedTuple):
    """An image whose header was read, and what decoding it takes.

    Attributes:
        image: Pillow's, not loaded.
        format: see `FORMATS`.
        essentials: the parts of the file that `image` reads; None: all of it.
        max_pixels: the default limit.
        pixel_bytes: memory for each pixel.
        held_bytes: memory beside the pixels.
    """

    image: ImageFile.ImageFile
    format: ImageFormat
    essentials: Essentials | None
    max_pixels: int
    pixel_bytes: float
    held_bytes: int


def find_format(start: bytes) -> ImageFormat:
    """The format of a file by its first bytes.

    Raises:
        UnidentifiedImageError: it is none that is read; the text says what it is.
    """
    if not start:
        raise UnidentifiedImageError("empty")
    for one in FORMATS.values():
        if one.start.match(start):
            return one
    text = next((text for sign, text in _OTHERS if sign.match(start)), "not an image")
    raise UnidentifiedImageError(text)


def open_header(file: BinaryIO, size: int, kind: ImageFormat) -> OpenedImage:
    """Read an image's header with the plugin of its format.

    Args:
        file: seekable; it stays open while the image is read.
        size: of the file, in bytes.
        kind: see `find_format`.

    Raises:
        SourceError: this Pillow has no such plugin.
        Exception: whatever Pillow raises where the file is damaged.
    """
    if kind.is_read_whole and size > _MAX_WHOLE_BYTES:
        limit = _MAX_WHOLE_BYTES // 1_000_000
        raise ValueError(f"its file has {size / 1e6:,.0f} MB, and its format is read up to {limit}")
    essentials = kind.read_essentials(file, size) if kind.read_essentials else None
    if kind is FORMATS["AVIF"]:
        _check_exif_blocks(file, size)
    metadata = strip = 0
    if kind is FORMATS["TIFF"]:
        metadata = _check_field_bytes(count_fields(file, 0, size)[1], DECODE_BYTES)
        strip = read_strip_bytes(file)
    file.seek(0)
    image = _plugin(kind)(splice(file, essentials.parts) if essentials else file)
    codec = str(image.tile[0][0]) if image.tile else ""
    held = size if kind.is_read_whole else 0
    if codec == "libtiff":
        held = size + strip  # it maps the file
    held += metadata
    if essentials:
        held += essentials.decoder_bytes
    pixel_bytes = max(kind.pixel_bytes, _CODEC_BYTES.get(codec, 0))
    max_pixels = min(kind.max_pixels, _CODEC_PIXELS.get(codec, kind.max_pixels))
    return OpenedImage(image, kind, essentials, max_pixels, pixel_bytes, held)


def reopen(file: BinaryIO, opened: OpenedImage, tail: bytes) -> ImageFile.ImageFile:
    """The same image again, with bytes that follow the end of its file."""
    assert opened.essentials is not None
    return _plugin(opened.format)(splice(file, [*opened.essentials.parts, tail]))


def read_webp_size(start: bytes) -> tuple[int, int] | None:
    """Width and height in the first 30 bytes of a WebP file; None where they hold none.

    Pillow makes room for the pixels when it opens the file. See RFC 9649, section 2.
    """
    kind, data = start[12:16], start[20:30]
    if len(data) < 10:
        return None
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width, height


def _plugin(kind: ImageFormat) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    module_name, class_name = kind.plugin
    try:
        module: Any = importlib.import_module(f"PIL.{module_name}")
    except ModuleNotFoundError:
        module = None
    if module is None or not getattr(module, "SUPPORTED", True):
        raise SourceError(f"this version of Pillow reads no {class_name.removesuffix('ImageFile')}")
    plugin: Callable[[BinaryIO], ImageFile.ImageFile] = getattr(module, class_name)
    return plugin


def _check_exif_blocks(file: BinaryIO, size: int) -> None:
    """Pillow reads every field of an AVIF file's EXIF block when it opens the file.

    Raises:
        ValueError: what could be that block has more than any image needs.
    """
    file.seek(0)
    content = file.read()
    left = MAX_FIELDS
    for found in _EXIF_BLOCK.finditer(content):
        if left <= 0:
            raise ValueError("damaged: its metadata has too many fields")
        left -= 1
        try:
            count, claimed = count_fields(file, found.start(), size)
        except ValueError:  # Pillow stops there as well; or it is no EXIF block
            continue
        _check_field_bytes(claimed, _MAX_EXIF_BYTES)
        left -= count


def _check_field_bytes(claimed: int, limit: int) -> int:
    if claimed > limit:
        raise ValueError(f"its metadata would take {claimed / 1e6:,.0f} MB")
    return claimed
