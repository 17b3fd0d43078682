"""Images of every kind, made here; each shows the example face."""

from __future__ import annotations

import os
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from fer_edge import Recognizer
from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.images import open_image
from fer_edge.runtime.preprocess import to_gray
from tests.support.files import EXAMPLE

with Image.open(EXAMPLE) as example:
    SHOWN = example.convert("RGB").crop((10, 0, 230, 260))
GRAY = SHOWN.convert("L")
ELSE = Image.new("RGB", SHOWN.size, "red")
"""A second frame, which must not be read."""


@pytest.fixture(autouse=True)
def _as_the_command_does() -> Iterator[None]:
    """`fer` hides Pillow's warnings of damage that it can read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def png(path: Path, pixels: np.ndarray, kind: int, size: tuple[int, int] | None = None) -> None:
    """A PNG of 16 bits, big-endian `[H, W, channels]`, which Pillow can't write."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", *(size or (width, height)), 16, kind, 0, 0, 0)
    chunks = b""
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + name + body
        chunks += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def deep(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image).astype(np.uint16) * 257
    return pixels.reshape(*pixels.shape[:2], -1)


def see_through(path: Path) -> None:
    """A palette whose first colour is transparent."""
    SHOWN.quantize(64).save(path, transparency=0)


def float_tiff(path: Path) -> None:
    Image.fromarray((np.asarray(GRAY) / 255).astype(np.float32)).save(path)


def animation(path: Path, **options: object) -> None:
    SHOWN.save(path, save_all=True, append_images=[ELSE], **options)


def mpo(path: Path) -> None:
    SHOWN.save(path, "MPO", save_all=True, append_images=[ELSE], quality=95)


KINDS: dict[str, tuple[str, Callable[[Path], object], float]] = {
    # name: the file, what writes it, and how far its mean gray may be from the example's
    "rgb": ("a.png", SHOWN.save, 0),
    "gray": ("a.png", GRAY.save, 0),
    "palette": ("a.png", SHOWN.quantize(64).save, 3),
    "1 bit": ("a.png", GRAY.convert("1").save, 100),
    "1 bit, fax": ("a.tif", lambda p: GRAY.convert("1").save(p, compression="group4"), 100),
    "LA": ("a.png", SHOWN.convert("LA").save, 0),
    "RGBA": ("a.png", SHOWN.convert("RGBA").save, 0),
    "CMYK": ("a.jpg", lambda p: SHOWN.convert("CMYK").save(p, quality=95), 1),
    "YCbCr": ("a.jpg", lambda p: SHOWN.convert("YCbCr").save(p, quality=95), 1),
    "YCbCr, raw": ("a.tif", SHOWN.convert("YCbCr").save, 1),
    "progressive": ("a.jpg", lambda p: SHOWN.save(p, quality=95, progressive=True), 1),
    "wrong suffix": ("a.png", lambda p: SHOWN.save(p, "JPEG", quality=95), 1),
    "16 bits, gray": ("a.png", lambda p: png(p, deep(GRAY), 0), 0),
    "16 bits, gray and alpha": ("a.png", lambda p: png(p, deep(GRAY.convert("LA")), 4), 0),
    "16 bits, colour": ("a.png", lambda p: png(p, deep(SHOWN), 2), 0),
    "16 bits, colour and alpha": ("a.png", lambda p: png(p, deep(SHOWN.convert("RGBA")), 6), 0),
    "16 bits, TIFF": ("a.tif", Image.fromarray(deep(GRAY)[:, :, 0]).save, 0),
    "float": ("a.tif", float_tiff, 0),
    "GIF": ("a.gif", animation, 2),
    "WebP": ("a.webp", lambda p: animation(p, lossless=True), 0),
    "APNG": ("a.png", animation, 0),
    "pages": ("a.tif", animation, 0),
    "MPO": ("a.mpo", mpo, 1),
    "MPO, as cameras name it": ("a.jpg", mpo, 1),
    "AVIF": ("a.avif", lambda p: SHOWN.save(p, quality=90), 3),
}
NEEDS = {"WebP": "webp", "AVIF": "avif", "1 bit, fax": "libtiff"}


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(faces="whole")


@pytest.fixture(scope="module")
def probabilities(recognizer: Recognizer) -> dict[str, float]:
    return recognizer(SHOWN).faces[0].probabilities


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_any_kind_gives_the_same_prediction(
    kind: str, tmp_path: Path, recognizer: Recognizer, probabilities: dict[str, float]
) -> None:
    if kind in NEEDS and not features.check(NEEDS[kind]):
        pytest.skip(f"this Pillow was built without {NEEDS[kind]}")
    name, write, far = KINDS[kind]
    path = tmp_path / name
    write(path)
    gray = to_gray(open_image(path)).astype(int)
    assert gray.shape == (260, 220)
    assert np.abs(gray - np.asarray(GRAY)).mean() <= far
    result = recognizer(path)
    assert (result.width, result.height) == (220, 260)
    (face,) = result.faces
    assert face.probabilities == pytest.approx(probabilities, abs=0.01 if far else 1e-6)


def test_a_transparent_palette_is_composed_on_white(tmp_path: Path, recognizer: Recognizer) -> None:
    path = tmp_path / "a.png"
    see_through(path)
    with Image.open(path) as image:
        hidden = np.asarray(image) == 0
    gray = to_gray(open_image(path))
    assert hidden.any()
    assert (gray[hidden] == 255).all()
    assert np.abs(gray[~hidden].astype(int) - np.asarray(GRAY)[~hidden]).mean() < 3
    assert len(recognizer(path).faces) == 1


def test_transparency_does_not_clip_a_deep_image(tmp_path: Path) -> None:
    Image.fromarray(deep(GRAY)[:, :, 0]).save(tmp_path / "a.png", transparency=0)
    assert np.array_equal(to_gray(open_image(tmp_path / "a.png")), np.asarray(GRAY))


def test_nan_is_black(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 0.2]], np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert to_gray(open_image(tmp_path / "a.tif")).tolist() == [[0, 255, 0, 51]]


TURN = Image.Transpose
STORED = {
    2: TURN.FLIP_LEFT_RIGHT,
    3: TURN.ROTATE_180,
    4: TURN.FLIP_TOP_BOTTOM,
    5: TURN.TRANSPOSE,
    6: TURN.ROTATE_90,
    7: TURN.TRANSVERSE,
    8: TURN.ROTATE_270,
}
"""By EXIF orientation: how an upright image lies in the file."""


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 mean nothing
def test_every_orientation_comes_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    turn = STORED.get(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 95}, "webp": {"lossless": True}}.get(suffix, {})
    (SHOWN if turn is None else SHOWN.transpose(turn)).save(path, exif=exif, **options)
    gray = to_gray(open_image(path)).astype(int)
    assert gray.shape == (260, 220)
    assert np.abs(gray - np.asarray(GRAY)).mean() <= (1 if suffix == "jpg" else 0)


def test_images_of_one_pixel_in_width_or_height(tmp_path: Path, recognizer: Recognizer) -> None:
    for size in ((1, 5000), (5000, 1), (1, 1)):
        Image.new("RGB", size, "gray").save(tmp_path / "a.png")
        result = recognizer(tmp_path / "a.png")
        assert (result.width, result.height) == size
        assert [face.box for face in result.faces] == [(0, 0, *size)]


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tif", "bmp", "ppm"])
def test_a_truncated_image_is_named(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    SHOWN.save(path)
    cut(path, share)
    with pytest.raises(SourceError, match=rf"a\.{suffix}: (cannot be read \(.+\)|not an image)"):
        open_image(path)


def test_damage_that_leaves_the_image_readable(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    SHOWN.save(tmp_path / "a.jpg", quality=95, exif=exif)
    mpo(tmp_path / "b.jpg")
    for name, mark, damage in (
        ("a.jpg", b"Exif\0\0", b"Exif\0\0MM\0*\x7f\xff\xff\xff"),  # offsets outside the file
        ("b.jpg", b"MPF\0", b"MPF\0??"),
    ):
        content = (tmp_path / name).read_bytes()
        place = content.index(mark)
        (tmp_path / name).write_bytes(content[:place] + damage + content[place + len(damage) :])
        gray = to_gray(open_image(tmp_path / name)).astype(int)
        assert np.abs(gray - np.asarray(GRAY)).mean() < 1


@pytest.mark.parametrize("side", [10_000, 20_000, 2**31 - 1])
def test_too_many_pixels_are_refused_before_they_are_decoded(side: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    png(path, np.zeros((0, 0, 1)), 0, size=(side, side))
    with pytest.raises(SourceError, match=r"a\.png: .* megapixels, over the limit of 40"):
        open_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"These are words, and no image.\n" * 9, "not an image"),
        (b"\0" * 500, "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "HEIC .* JPEG or PNG"),
    ],
    ids=["nothing", "text", "zeros", "HEIC"],
)
def test_a_file_without_an_image_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"a\.png: {message}"):
        open_image(path)


def test_eps_is_refused_without_starting_ghostscript(tmp_path: Path) -> None:
    SHOWN.save(tmp_path / "a.png", "EPS")  # Pillow would hand it to Ghostscript
    with pytest.raises(SourceError, match=r"a\.png: not an image"):
        open_image(tmp_path / "a.png")


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(SourceError, match=r"a\.png: a folder, not an image$"):
        open_image(tmp_path / "a.png")


def test_a_device_is_no_image() -> None:
    with pytest.raises(SourceError, match="/dev/zero: a pipe or device, not an image file"):
        open_image(Path("/dev/zero"))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    os.mkfifo(path)
    # if it is opened after all, a writer that sends nothing keeps the test from hanging
    writer = threading.Thread(target=lambda: path.open("wb").close())
    writer.start()
    try:
        with pytest.raises(SourceError, match=r"a\.png: a pipe or device, not an image file"):
            open_image(path)
    finally:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer.join()
        os.close(reader)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    SHOWN.save(path)
    path.chmod(0)
    with pytest.raises(SourceError, match=r"a\.png: cannot be read \(Permission denied\)"):
        open_image(path)
