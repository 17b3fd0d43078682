"""Damaged image files: read as far as their pixels are there, with little memory."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs import image_decoding, png_chunks
from fer_edge.runtime.inputs.images import load_image
from tests.support.files import EXAMPLE

with Image.open(EXAMPLE) as example:
    SHOWN = example.convert("RGB").crop((10, 0, 230, 260))
GRAY = np.asarray(SHOWN.convert("L")).astype(int)


def encode(suffix: str, **options: object) -> bytes:
    content = io.BytesIO()
    SHOWN.save(content, suffix, **options)
    return content.getvalue()


def chunk(kind: bytes, body: bytes, flip: int = 0) -> bytes:
    checksum = zlib.crc32(kind + body) ^ flip
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def with_chunk(kind: bytes, body: bytes, flip: int = 0, count: int = 1) -> bytes:
    """The example as PNG, with chunks behind its header."""
    content = encode("PNG")
    return content[:33] + chunk(kind, body, flip) * count + content[33:]


def with_segment(marker: int, body: bytes, count: int = 1) -> bytes:
    """The example as JPEG, with segments behind the first one."""
    content = encode("JPEG", quality=95)
    segment = struct.pack(">BBH", 255, marker, len(body) + 2) + body
    return content[:20] + segment * count + content[20:]


def with_comment(size: int) -> bytes:
    """The example as GIF, with a comment."""
    content = encode("GIF")
    start = 13 + 3 * 2 ** ((content[10] & 7) + 1)
    comment = b"!\xfe" + (b"\xff" + b"x" * 255) * (size // 255) + b"\0"
    return content[:start] + comment + content[start:]


def exif_bomb() -> bytes:
    """An EXIF block of 60 KB whose 5,000 fields are each the whole block: 300 MB."""
    fields = b"".join(struct.pack("<HHII", tag, 7, 60_000, 8) for tag in range(5000))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 5000) + fields + b"\0\0\0\0"


PROFILE = b"icc\0\0" + zlib.compress(bytes(2_000_000))
READABLE: dict[str, bytes] = {
    "a profile of 2 MB": with_chunk(b"iCCP", PROFILE),
    "a profile that is none": with_chunk(b"iCCP", b"icc\0\0none"),
    "a profile with a wrong checksum": with_chunk(b"iCCP", PROFILE, 1),
    "a text of 50 MB": with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000))),
    "a text with a wrong checksum": with_chunk(b"tEXt", b"Comment\0hello", 1),
    "an unknown chunk with a wrong checksum": with_chunk(b"abCd", b"hello", 1),
    "a broken orientation of ImageMagick": with_chunk(b"tEXt", b"Raw profile type exif\0\nexif\nx"),
    "EXIF in PNG of 300 MB": with_chunk(b"eXIf", exif_bomb()[6:]),
    "EXIF in JPEG of 300 MB": with_segment(0xE1, exif_bomb()),
    "EXIF cut off": with_segment(0xE1, exif_bomb()[:30]),
    "EXIF of zeros": with_segment(0xE1, b"Exif\0\0" + bytes(20)),
    "many profiles": with_segment(0xE2, b"ICC_PROFILE\0" + bytes(60_000), 50),
    "a broken MPF": with_segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
    "a comment of 10 MB": with_comment(10_000_000),
    "no end of JPEG": encode("JPEG", quality=95)[:-2],
    "no end of JPEG, progressive": encode("JPEG", quality=95, progressive=True)[:-2],
    "a few bytes less of JPEG": encode("JPEG", quality=95)[:-12],
    "no end of PNG": encode("PNG")[:-12],
    "no checksums at the end of PNG": encode("PNG")[:-20],
    "no end of GIF": encode("GIF")[:-1],
    **{f"bytes behind {kind}": encode(kind) + b"junk" * 99 for kind in ("JPEG", "PNG", "GIF")},
    **{f"bytes behind {kind}": encode(kind) + b"junk" * 99 for kind in ("BMP", "TIFF", "PPM")},
    "zeros between the blocks of GIF": encode("GIF")[: 13 + 768]
    + bytes(999)
    + encode("GIF")[13 + 768 :],
    "many empty segments of JPEG": with_segment(0xC4, b"", 6000),
    "many empty chunks of PNG": with_chunk(b"IDAT", b"", count=6000),
    "bytes behind WebP": encode("WEBP", lossless=True) + b"junk" * 99,
}


@pytest.mark.parametrize("damage", READABLE)
def test_damage_that_leaves_the_pixels_is_read(damage: str) -> None:
    image = load_image(READABLE[damage]).image
    difference = np.abs(np.asarray(image.convert("L")).astype(int) - GRAY)
    assert difference.mean() < (4 if "GIF" in damage or "comment of" in damage else 2)


def cut(content: bytes, part: float) -> bytes:
    return content[: int(len(content) * part)]


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 2}]
)
def test_a_jpeg_that_breaks_off_says_how_much_is_missing(part: float, options: dict) -> None:
    content = encode("JPEG", quality=95, **options)
    with pytest.raises(SourceError, match=r"^bytes: cannot be read \(cut off: \d+% of") as caught:
        load_image(cut(content, part))
    missing = int(str(caught.value).split("cut off: ")[1].split("%")[0])
    whole, here = (decode_with_any_end(one) for one in (content, cut(content, part)))
    wrong = np.abs(whole - here).max(axis=2).max(axis=1) > 8
    assert missing == pytest.approx(100 * (1 - wrong.argmax() / len(wrong)), abs=6)


def decode_with_any_end(content: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(content + b"\xff\xd9"))
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_progressive_jpeg_without_its_last_scans_is_refused(part: float) -> None:
    with pytest.raises(SourceError, match=r"^bytes: cannot be read \(cut off: "):
        load_image(cut(encode("JPEG", quality=95, progressive=True), part))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_without_its_end_is_read(options: dict) -> None:
    content = encode("JPEG", quality=95, **options)
    assert content.endswith(b"\xff\xd9")
    without = load_image(content[:-2]).image
    np.testing.assert_array_equal(np.asarray(without), np.asarray(load_image(content).image))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_other_formats_are_whole_or_refused(kind: str) -> None:
    with pytest.raises(SourceError, match=r"^bytes: cannot be read \("):
        load_image(cut(encode(kind), 0.95))


def with_pieces(count: int) -> bytes:
    """The example as JPEG, with comments between empty tables."""
    content = encode("JPEG")
    return content[:20] + b"\xff\xc4\0\2\xff\xfe\0\2" * count + content[20:]


def tiff_bomb() -> bytes:
    """A TIFF file of 60 KB whose 5,000 fields are each the whole file."""
    return exif_bomb()[6:]


def with_blocks(block: bytes, count: int) -> bytes:
    """The example as GIF, with blocks or other bytes before its frame."""
    content = encode("GIF")
    start = 13 + 3 * 2 ** ((content[10] & 7) + 1)
    return content[:start] + block * count + content[start:]


def with_marks(fields: int, count: int) -> bytes:
    """An AVIF file that ends in as many EXIF blocks, of the same fields."""
    end = b"".join(struct.pack("<2sHI", b"II", 42, 8 * (count - i)) for i in range(count))
    return b"\0\0\0\x18ftypavif" + end + struct.pack("<H", fields) + bytes(12 * fields)


def ppm(magic: bytes, maximum: int, size: bytes) -> bytes:
    return magic + b"\n" + size + b"\n%d\n" % maximum + bytes(50)


SLOW = r"megapixels, over the limit of 2: shrink it, or raise --max-pixels"
FIELDS = r"its metadata has too many fields"
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "TIFF fields": (tiff_bomb, r"its metadata would take 300 MB"),
    "fields of many EXIF blocks": (lambda: with_marks(30_000, 4), FIELDS),
    "markers in JPEG": (
        lambda: with_segment(1, b"").replace(b"\xff\1\0\2", b"\xff\1" * 110_000, 1),
        "damaged: no image data",
    ),
    "zeros in JPEG": (
        lambda: with_segment(1, b"").replace(b"\xff\1\0\2", bytes(210_000), 1),
        "damaged: no image data",
    ),
    "comments in JPEG": (lambda: with_segment(0xFE, b"", 110_000), "damaged: no image data"),
    "many EXIF blocks": (lambda: with_marks(0, 66_000), FIELDS),
    "zeros in GIF": (lambda: with_blocks(b"\0", 250_000), "damaged: no frame"),
    "empty extensions in GIF": (lambda: with_blocks(b"!\xfe\0", 250_000), "damaged: no frame"),
    "short blocks in GIF": (
        lambda: with_blocks(b"!\xfe" + b"\1x" * 250_000, 1),
        "damaged: no frame",
    ),
    "PPM as text": (lambda: ppm(b"P3", 255, b"2000 1001"), SLOW),
    "PPM of 10 bits": (lambda: ppm(b"P6", 1023, b"2000 1001"), SLOW),
    "pieces of JPEG": (lambda: with_pieces(6000), "damaged: more than 4,000 pieces"),
    "pieces of PNG": (
        lambda: encode("PNG")[:33] + (chunk(b"IDAT", b"") + chunk(b"tEXt", b"")) * 6000,
        "damaged: more than 4,000 pieces",
    ),
    "JPEG 2000": (lambda: encode("JPEG2000"), "JPEG 2000 cannot be read: save it as JPEG or PNG$"),
    "ICO": (lambda: encode("ICO"), "not an image$"),
    "TGA": (lambda: encode("TGA"), "not an image$"),
    "PDF": (lambda: encode("PDF"), "a PDF document cannot be read"),
    "a Git LFS pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n",
        "a Git LFS pointer: fetch the file with git lfs pull$",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_read_is_named(kind: str) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(SourceError, match=f"^bytes: .*{message}"):
        load_image(make())


def raw_profile(orientation: int) -> bytes:
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    return b"\nexif\n%8d\n%s\n" % (len(exif), exif.hex().encode())


XMP = b"<x:xmpmeta><rdf:Description tiff:Orientation='6'/></x:xmpmeta>"


@pytest.mark.parametrize(
    "content",
    [
        with_chunk(b"tEXt", b"Raw profile type exif\0" + raw_profile(6)),
        with_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(6))),
        with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
        with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
    ],
    ids=["text", "compressed text", "XMP", "compressed XMP", "XMP in JPEG"],
)
def test_other_places_of_an_orientation(content: bytes) -> None:
    assert load_image(content).image.size == (260, 220)


def test_xmp_states_the_orientation_where_exif_does_not() -> None:
    exif, xmp = Image.Exif(), b"http://ns.adobe.com/xap/1.0/\0" + XMP
    exif[0x010F] = "a maker"
    content = encode("JPEG", exif=exif, xmp=XMP)
    assert content.index(b"Exif\0\0") < content.index(xmp)
    assert load_image(content).image.size == (260, 220)
    exif[0x0112] = 1
    assert load_image(encode("JPEG", exif=exif, xmp=XMP)).image.size == (220, 260)


def test_only_texts_that_may_hold_an_orientation_are_decompressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = []

    class Decompressor:
        def decompress(self, text: bytes, _: int) -> bytes:
            opened.append(text)
            return b""

    monkeypatch.setattr(png_chunks.zlib, "decompressobj", Decompressor)
    load_image(with_chunk(b"zTXt", b"Comment\0\0x", count=50))
    assert not opened
    load_image(with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0x", count=50))
    assert 3 <= len(opened) <= 16


def deep_tiff(bits: int, photometric: int, row: bytes, width: int) -> bytes:
    """A gray TIFF of one row."""
    fields = ((256, width), (257, 1), (258, bits), (259, 1), (262, photometric))
    fields += ((273, 200), (277, 1), (278, 1), (279, len(row)))
    directory = struct.pack("<H", len(fields))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + row


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (deep_tiff(16, 1, struct.pack("<3H", 0, 25_700, 65_535), 3), [0, 100, 255]),
        (deep_tiff(16, 0, struct.pack("<3H", 0, 25_700, 65_535), 3), [255, 155, 0]),
        (deep_tiff(12, 1, bytes.fromhex("000fff"), 2), [0, 255]),
        (deep_tiff(8, 0, bytes([0, 100, 255]), 3), [255, 155, 0]),
    ],
    ids=["16 bits", "16 bits, white is zero", "12 bits", "8 bits, white is zero"],
)
def test_a_tiff_file_says_what_is_white(content: bytes, expected: list[int]) -> None:
    assert np.asarray(load_image(content).image).tolist() == [expected]


@pytest.mark.filterwarnings("ignore:Tag data larger than file")
def test_a_field_that_claims_more_than_the_file_is_damage_that_does_not_matter() -> None:
    content = bytearray(encode("TIFF", software="x"))
    place = content.index(struct.pack("<HH", 305, 2)) + 4
    content[place : place + 4] = b"\xff\xff\xff\x7f"
    assert load_image(bytes(content)).image.size == SHOWN.size


def test_layers_of_photoshop_in_a_tiff_file(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode("TIFF", tiffinfo={37724: bytes(17_000_000)})
    assert load_image(content).image.size == SHOWN.size
    # the file, its layers once more, and the pixels
    monkeypatch.setattr(image_decoding, "DECODE_BYTES", 34_300_000)
    with pytest.raises(SourceError, match=r"over the limit of 0\.0569"):
        load_image(content)
