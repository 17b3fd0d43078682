"""What a process takes at most for an image, measured in a child by its peak of resident memory."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

LIMIT = 400_000_000
"""Bytes that a process with its engines may take."""
ENGINES = 120_000_000
"""Of these, for the interpreter, the engines and their models (`fer infer` of a small image)."""
CHILD = """
import json, resource, sys, warnings
warnings.simplefilter("ignore")
from concurrent.futures import ThreadPoolExecutor
from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.images import hold_image
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
base = peak()
def read(name):
    try:
        with hold_image(name) as loaded:
            return [*loaded.size, *loaded.image.size]
    except SourceError as error:
        return str(error)
with ThreadPoolExecutor(2) as pool:
    print(json.dumps([list(pool.map(read, sys.argv[1:])), peak() - base]))
"""


def measure(*paths: Path) -> tuple[list[list[int] | str], int]:
    """What each file is read as, on two threads, and the bytes that it takes."""
    command = [sys.executable, "-c", CHILD, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    outcomes, taken = json.loads(done.stdout)
    return outcomes, taken


def write_png(path: Path, side: int, colour: int, bits: int, channels: int) -> None:
    """A black PNG, without making it in memory."""
    row = b"\0" + bytes(side * channels * bits // 8)
    compressor = zlib.compressobj(1)
    pixels = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + kind + body
        content += struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(content)


@pytest.mark.slow
def test_images_at_the_limits_of_their_formats(tmp_path: Path) -> None:
    upright = Image.Exif()
    upright[0x0112] = 6
    write_png(tmp_path / "rgb.png", 6300, 2, 8, 3)
    write_png(tmp_path / "deep.png", 6300, 6, 16, 4)
    write_png(tmp_path / "gray and alpha.png", 6300, 4, 8, 2)
    plain = Image.new("RGB", (4990, 4990), "gray")
    plain.save(tmp_path / "rotated.png", compress_level=1, exif=upright)
    plain.save(tmp_path / "a.tif", compression="tiff_lzw")
    plain.save(tmp_path / "a.jpg", progressive=True, subsampling=0)
    plain.save(tmp_path / "b.jpg")
    with (tmp_path / "b.jpg").open("r+b") as file:
        file.truncate((tmp_path / "b.jpg").stat().st_size - 2)
    plain.resize((6300, 6300)).save(tmp_path / "a.bmp")
    plain.resize((12_000, 12_000)).save(tmp_path / "large.jpg")
    plain.resize((6300, 6300)).convert("L").save(tmp_path / "a.gif")
    Image.fromarray(np.zeros((6300, 6300), np.float32)).save(tmp_path / "float.tif")
    if features.check("webp"):
        plain.resize((3500, 3500)).save(tmp_path / "a.webp", method=0)
    if features.check("avif"):
        plain.resize((4400, 4400)).save(tmp_path / "a.avif", speed=10)
    outcomes, taken = measure(*sorted(tmp_path.iterdir()))
    assert [one for one in outcomes if isinstance(one, str)] == []
    assert [6300, 6300, 3150, 3150] in outcomes
    assert [12_000, 12_000, 3000, 3000] in outcomes
    assert taken < LIMIT - ENGINES


def test_small_files_that_promise_many_pixels_take_little(tmp_path: Path) -> None:
    write_png(tmp_path / "palette.png", 9459, 0, 1, 1)
    # a lossless WebP of 46 bytes needs no pixels for its size to be read
    size = 9458 | 9458 << 14
    data = b"/" + struct.pack("<I", size) + bytes(21)
    content = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    (tmp_path / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    Image.new("1", (1, 19_000_000)).save(tmp_path / "column.png")
    outcomes, taken = measure(*[tmp_path / "palette.png", tmp_path / "a.webp"] * 2)
    assert all("9459 x 9459 px are 89.5 megapixels, over the limit" in one for one in outcomes)
    assert taken < 20_000_000
    (outcome,), taken = measure(tmp_path / "column.png")
    assert "1 x 19000000 px are 19.0 megapixels, over the limit of 6.9" in outcome
    assert taken < 20_000_000


def test_too_little_memory_is_one_images_error(tmp_path: Path) -> None:
    write_png(tmp_path / "large.png", 4000, 2, 8, 3)
    Image.new("L", (50, 50)).save(tmp_path / "small.png")
    child = (
        CHILD.replace(
            "base = peak()",
            "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
            "resource.setrlimit(resource.RLIMIT_AS, (used + 40_000_000,) * 2)\nbase = 0",
        )
        .replace("with ThreadPoolExecutor(2) as pool:", "if True:")
        .replace("pool.map", "map")
    )
    command = [sys.executable, "-c", child, tmp_path / "large.png", tmp_path / "small.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (large, small), _ = json.loads(done.stdout)
    assert large == f"{tmp_path}/large.png: too little memory is free to read it"
    assert small == [50, 50, 50, 50]
